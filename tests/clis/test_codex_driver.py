"""The driver against the real Codex CLI, on plain pipes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from clis.conftest import Ground
from clis.pipes import PipedAgent

from at_session.drivers.codex import CodexDriver
from at_session.rehearsal.clis.codex import MODEL, CodexRehearsal
from at_session.rehearsal.endpoint import Endpoint, Exchange
from at_session.rehearsal.replies import Cut, Drop, Hang, Refuse, Reply, Say, Stall, Stream, ToolUse, UseTools
from at_session.vocabulary import (
    Allow,
    AskClosed,
    AskKind,
    AskOpened,
    Decision,
    DriverState,
    FailureKind,
    LaunchRequest,
    Limited,
    LoginRefused,
    PromptAccepted,
    Retrying,
    SessionLost,
    SessionStarted,
    Text,
    ToolEnded,
    ToolStarted,
    TurnEnded,
    TurnOutcome,
    TurnStarted,
    UsageReported,
)

Start = Callable[..., PipedAgent]

CODEX = CodexRehearsal()
RESET = 1_900_000_000


def shell(command: str) -> UseTools:
    """A command inside the sandbox."""
    return UseTools((ToolUse("exec_command", {"cmd": command}),))


def escalated(command: str) -> UseTools:
    return UseTools((CODEX.command(command),))


@pytest.fixture
def start(endpoint: Endpoint, ground: Ground, commands: Path) -> Iterator[Start]:
    """Start Codex on the test's ground; `before` is the state that the process before left."""
    running: list[PipedAgent] = []
    settings = CODEX.settle(ground.home, ground.repository, endpoint.url)
    ground.git("config", "user.name", "Test")
    ground.git("config", "user.email", "test@example.org")

    def begin(
        allow: Allow = Allow.EDITS,
        *,
        resume: str | None = None,
        before: DriverState | None = None,
        model: str | None = None,
        instructions: str = "",
        **extra: str,
    ) -> PipedAgent:
        env = {"PATH": os.environ["PATH"], "HOME": str(ground.home), "LANG": "C.UTF-8", **settings, **extra}
        request = LaunchRequest(
            agent_id="agent-1",
            binary=str(commands / "codex"),
            args=(),
            cwd=str(ground.repository),
            env=env,
            private_dir=str(ground.private),
            allow=allow,
            model=model,
            session_id=resume or "00000000-0000-4000-8000-000000000000",
            resume=resume is not None,
            instructions=instructions,
        )
        running.append(PipedAgent(CodexDriver(before), request))
        return running[-1]

    yield begin
    for agent in running:
        agent.kill()


def figures(endpoint: Endpoint, exchanges: list[Exchange]) -> tuple[int, int, int]:
    """Input, cached and output tokens that the endpoint sent. What was written to the cache is input."""
    sent = endpoint.sent(exchanges)
    return sent.given + sent.cache_written, sent.cached, sent.output


def reported(event: UsageReported) -> tuple[int, int, int]:
    usage = event.usage
    return usage.input_tokens, usage.cached_tokens, usage.output_tokens


def session_of(agent: PipedAgent) -> str:
    return agent.wait_for(SessionStarted).session_id


def environment(ground: Ground) -> Mapping[str, str]:
    return {"HOME": str(ground.home)}


def test_a_write_under_edits_lands_and_its_usage_is_exact(
    start: Start, endpoint: Endpoint, ground: Ground
) -> None:
    path = ground.repository / "hello.txt"
    write = UseTools((CODEX.write(str(path), "hi\n"),), text="I write it.")
    agent = start()
    agent.prompt("m1", f"Please write. {endpoint.script('write', write, Say('Done.'))}")
    end = agent.wait_for(TurnEnded)
    assert path.read_text() == "hi\n"
    assert (end.outcome, end.message_id, end.text, end.denied) == (TurnOutcome.COMPLETED, "m1", "Done.", ())
    (started,) = agent.of(SessionStarted)
    assert (started.model, started.version) == (MODEL, "0.169.0")
    assert agent.of(PromptAccepted) == [PromptAccepted("m1")]
    assert agent.of(TurnStarted) == [TurnStarted("m1")]
    assert [each.text for each in agent.of(Text)] == ["I write it.", "Done."]
    assert [(each.name, each.what) for each in agent.of(ToolStarted)] == [("apply_patch", str(path))]
    assert [each.ok for each in agent.of(ToolEnded)] == [True]
    assert [reported(each) for each in agent.of(UsageReported)] == [figures(endpoint, endpoint.of("write"))]
    assert agent.of(UsageReported)[0].usage.model == MODEL
    assert agent.close() == 0


def test_an_agent_commits_in_its_clone_without_being_asked_and_changes_nothing_that_git_runs(
    start: Start, endpoint: Endpoint, ground: Ground
) -> None:
    ground.git("commit", "-q", "--allow-empty", "-m", "begin")
    commit = shell("echo a > a.txt && git add -A && git commit -q -m 'Add a' && echo committed")
    reach = shell(
        "for f in .git/hooks/pre-commit .git/config ../outside; do echo x >> $f || echo kept; done; :"
    )
    agent = start()
    agent.prompt("m1", endpoint.script("commit", commit, reach, Say("Done.")))
    assert agent.wait_for(TurnEnded).outcome is TurnOutcome.COMPLETED
    assert ground.git("log", "--format=%s").splitlines() == ["Add a", "begin"]
    assert not (ground.repository / ".git" / "hooks" / "pre-commit").exists()
    assert not (ground.repository.parent / "outside").exists()
    assert ground.git("config", "user.name") == "Test\n"
    assert agent.of(AskOpened) == []


def test_the_settings_of_the_person_stay_as_they_are(
    start: Start, endpoint: Endpoint, ground: Ground
) -> None:
    settings = ground.home / ".codex" / "config.toml"
    before = settings.read_bytes()
    agent = start()
    agent.prompt("m1", endpoint.script("hello", shell("true"), Say("Hello.")))
    agent.wait_for(TurnEnded)
    assert settings.read_bytes() == before


def test_instructions_and_a_model_reach_the_cli_beside_the_prompt(start: Start, endpoint: Endpoint) -> None:
    agent = start(instructions="Commit all that you do.", model="another-model")
    agent.prompt("m1", endpoint.script("hello", Say("Hello.")))
    agent.wait_for(TurnEnded)
    (exchange,) = endpoint.of("hello")
    developer = [item for item in exchange.body["input"] if item.get("role") == "developer"]
    assert any("Commit all that you do." in str(item["content"]) for item in developer)
    assert exchange.request.texts[-1] == "rehearse:hello"
    assert exchange.request.model == "another-model"


def test_several_tools_in_one_answer(start: Start, endpoint: Endpoint, ground: Ground) -> None:
    names = ("one.txt", "two.txt")
    calls = tuple(CODEX.write(str(ground.repository / name), name) for name in names)
    agent = start()
    agent.prompt("m1", endpoint.script("both", UseTools(calls), Say("Both.")))
    assert agent.wait_for(TurnEnded).text == "Both."
    assert [(ground.repository / name).read_text().strip() for name in names] == list(names)
    assert len(agent.of(ToolEnded)) == 2


def test_usage_is_of_each_turn(start: Start, endpoint: Endpoint) -> None:
    agent = start()
    for number in (1, 2, 3):
        agent.prompt(f"m{number}", endpoint.script(f"say{number}", Say(f"answer {number}")))
        agent.wait_for(TurnEnded, count=number)
    expected = [figures(endpoint, endpoint.of(f"say{number}")) for number in (1, 2, 3)]
    assert [reported(each) for each in agent.of(UsageReported)] == expected


def test_a_command_that_leaves_the_sandbox_asks_with_its_exact_text(
    start: Start, endpoint: Endpoint, ground: Ground
) -> None:
    command = "git config --local demo.key 'two  words'; true"
    agent = start()
    agent.prompt("m1", endpoint.script("ask", escalated(command), Say("Configured.")))
    ask = agent.wait_for(AskOpened)
    assert (ask.kind, ask.what, ask.tool, ask.argv) == (AskKind.COMMAND, command, "exec_command", None)
    agent.decide(ask.request_id, approve=True)
    assert agent.wait_for(TurnEnded).outcome is TurnOutcome.COMPLETED
    assert agent.of(AskClosed) == [AskClosed(ask.request_id)]
    assert ground.git("config", "demo.key") == "two  words\n"


def test_a_denied_command_is_not_run_and_is_named(start: Start, endpoint: Endpoint, ground: Ground) -> None:
    agent = start()
    agent.prompt("m1", endpoint.script("ask", escalated("git config demo.key 1"), Say("I could not.")))
    ask = agent.wait_for(AskOpened)
    assert ask.argv == ("git", "config", "demo.key", "1")
    agent.decide(ask.request_id, approve=False, text="Not this one.")
    end = agent.wait_for(TurnEnded)
    assert (end.outcome, end.text) == (TurnOutcome.COMPLETED, "I could not.")
    assert end.denied == ("git config demo.key 1",)
    assert [each.ok for each in agent.of(ToolEnded)] == [False]
    assert "demo" not in (ground.repository / ".git" / "config").read_text()


@pytest.mark.parametrize("approve", [True, False])
def test_in_ask_mode_an_edit_asks_with_its_change(
    start: Start, endpoint: Endpoint, ground: Ground, approve: bool
) -> None:
    path = ground.repository / "poem.txt"
    path.write_text("one\ntwo\n")
    (calls,) = CODEX.edit(str(path), "two", "2")
    agent = start(Allow.ASK)
    agent.prompt("m1", endpoint.script("edit", UseTools(calls), Say("Edited.")))
    ask = agent.wait_for(AskOpened)
    assert (ask.kind, ask.what) == (AskKind.EDIT, f"{path}\n@@ -1,2 +1,2 @@\n one\n-two\n+2")
    agent.decide(ask.request_id, approve=approve)
    end = agent.wait_for(TurnEnded)
    assert (end.text, end.denied) == ("Edited.", () if approve else (str(path),))
    assert path.read_text() == ("one\n2\n" if approve else "one\ntwo\n")


def test_in_ask_mode_no_command_writes_by_itself(start: Start, endpoint: Endpoint, ground: Ground) -> None:
    agent = start(Allow.ASK)
    agent.prompt("m1", endpoint.script("write", shell("echo a > a.txt"), Say("I could not.")))
    assert agent.wait_for(TurnEnded).text == "I could not."
    assert not (ground.repository / "a.txt").exists()
    (output,) = [item for item in endpoint.of("write")[-1].body["input"] if "output" in item]
    assert "Read-only file system" in output["output"]


def test_everything_is_allowed_in_a_sandbox_that_is_not_the_clis_own(
    start: Start, endpoint: Endpoint, ground: Ground
) -> None:
    outside = ground.repository.parent / "outside"
    agent = start(Allow.ALL, IS_SANDBOX="1")
    agent.prompt("m1", endpoint.script("all", escalated(f"touch {outside}"), Say("Done.")))
    assert agent.wait_for(TurnEnded).text == "Done."
    assert agent.of(AskOpened) == []


def test_all_elsewhere_keeps_the_clis_sandbox_and_asks_to_leave_it(start: Start, endpoint: Endpoint) -> None:
    agent = start(Allow.ALL)
    agent.prompt("m1", endpoint.script("all", escalated("true"), Say("Done.")))
    agent.decide(agent.wait_for(AskOpened).request_id, approve=True)
    assert agent.wait_for(TurnEnded).text == "Done."


@pytest.mark.parametrize("approve", [True, False])
def test_a_question_gets_its_answer(start: Start, endpoint: Endpoint, approve: bool) -> None:
    call = CODEX.question("Which colour?", ("Red", "Blue"))
    assert call is not None
    agent = start()
    agent.prompt("m1", endpoint.script("question", UseTools((call,)), Say("Thanks.")))
    ask = agent.wait_for(AskOpened)
    assert (ask.kind, ask.what) == (AskKind.QUESTION, "Which colour?\n  1. Red (Red)\n  2. Blue (Blue)")
    agent.decide(ask.request_id, approve=approve, text="2")
    assert agent.wait_for(TurnEnded).text == "Thanks."
    (output,) = [item for item in endpoint.of("question")[-1].body["input"] if "output" in item]
    assert ("Blue" in output["output"]) is approve


@pytest.mark.parametrize(
    "reply",
    [Stream(30), Hang(), Hang(headers=False), Stall("Half"), shell("sleep 30")],
    ids=["streaming", "silent", "no-headers", "stalled", "command"],
)
def test_an_interrupt_ends_the_turn_and_the_next_prompt_works(
    start: Start, endpoint: Endpoint, reply: Reply
) -> None:
    agent = start()
    agent.prompt("m1", endpoint.script("long", reply))
    agent.wait_for(TurnStarted)
    assert endpoint.wait_for(lambda: bool(endpoint.of("long")))
    if isinstance(reply, UseTools):
        agent.wait_for(ToolStarted)
    agent.interrupt("i1")
    end = agent.wait_for(TurnEnded)
    assert (end.outcome, end.message_id) == (TurnOutcome.INTERRUPTED, "m1")
    agent.prompt("m2", endpoint.script("next", Say("Here.")))
    assert agent.wait_for(TurnEnded, count=2).text == "Here."
    sent = [exchange for exchange in endpoint.exchanges() if isinstance(exchange.reply, Say | UseTools)]
    total = [sum(each) for each in zip(*map(reported, agent.of(UsageReported)), strict=True)]
    assert tuple(total) == figures(endpoint, sent)


def test_an_interrupt_withdraws_the_open_ask(start: Start, endpoint: Endpoint) -> None:
    agent = start()
    agent.prompt("m1", endpoint.script("ask", escalated("make something")))
    ask = agent.wait_for(AskOpened)
    agent.interrupt("i1")
    assert agent.wait_for(TurnEnded).outcome is TurnOutcome.INTERRUPTED
    assert agent.of(AskClosed) == [AskClosed(ask.request_id, withdrawn=True)]
    assert agent.driver.decide(ask.request_id, Decision(approve=True)) == []


def test_a_short_rate_limit_is_retried_by_the_cli(start: Start, endpoint: Endpoint) -> None:
    agent = start()
    agent.prompt("m1", endpoint.script("busy", CODEX.slow_down(), Say("At last.")))
    assert agent.wait_for(TurnEnded).text == "At last."
    assert [(each.kind, each.attempt) for each in agent.of(Retrying)] == [(FailureKind.LIMIT, 1)]
    assert reported(agent.of(UsageReported)[0]) == figures(endpoint, endpoint.of("busy"))
    assert agent.of(Limited) == []


def test_a_usage_limit_tells_its_reset_time_each_time(start: Start, endpoint: Endpoint) -> None:
    agent = start()
    for number in (1, 2):
        agent.prompt(f"m{number}", endpoint.script(f"quota{number}", CODEX.quota(RESET)))
        end = agent.wait_for(TurnEnded, count=number)
        assert (end.outcome, end.failure) == (TurnOutcome.FAILED, FailureKind.LIMIT)
    assert [each.reset_at for each in agent.of(Limited)] == ["2030-03-17T17:46:40Z"] * 2


def test_a_limit_without_windows_has_no_reset_time(start: Start, endpoint: Endpoint) -> None:
    agent = start()
    agent.prompt(
        "m1", endpoint.script("quota", Refuse(429, "insufficient_quota", "You exceeded your quota."))
    )
    assert agent.wait_for(TurnEnded).failure is FailureKind.LIMIT
    assert [each.reset_at for each in agent.of(Limited)] == [None]


def test_a_refused_login_is_told_once_with_the_way_to_log_in(start: Start, endpoint: Endpoint) -> None:
    agent = start()
    agent.prompt("m1", endpoint.script("login", CODEX.login_refused()))
    end = agent.wait_for(TurnEnded)
    assert (end.outcome, end.failure) == (TurnOutcome.FAILED, FailureKind.LOGIN)
    (refused,) = agent.of(LoginRefused)
    assert "codex login" in refused.how
    assert "401" in refused.message


def test_no_login_at_all_is_told(start: Start) -> None:
    agent = start(OPENAI_API_KEY="")
    agent.prompt("m1", "Hello")
    assert agent.wait_for(TurnEnded).failure is FailureKind.LOGIN
    assert [each.message for each in agent.of(LoginRefused)] == [
        "Missing environment variable: `OPENAI_API_KEY`."
    ]


@pytest.mark.parametrize(
    "reply, kind",
    [
        pytest.param(CODEX.too_long(), FailureKind.CONTEXT, id="context"),
        pytest.param(
            Refuse(400, "invalid_request_error", "no such thing"), FailureKind.API, id="bad-request"
        ),
        pytest.param(CODEX.broken(), FailureKind.API, id="server-error"),
        pytest.param(
            Refuse(503, "server_is_overloaded", "Overloaded"), FailureKind.OVERLOADED, id="overloaded"
        ),
        pytest.param(Cut("Half a sen"), FailureKind.CONNECTION, id="cut"),
        pytest.param(Cut("Half a sen", after_block=True), FailureKind.CONNECTION, id="cut-after-the-text"),
        pytest.param(Drop(), FailureKind.CONNECTION, id="dropped"),
    ],
)
def test_an_api_error_fails_the_turn_with_its_kind(
    start: Start, endpoint: Endpoint, reply: Reply, kind: FailureKind
) -> None:
    agent = start()
    agent.prompt("m1", endpoint.script("error", reply))
    end = agent.wait_for(TurnEnded)
    assert (end.outcome, end.failure) == (TurnOutcome.FAILED, kind)
    assert end.error


@pytest.mark.parametrize("reply", [Cut("Half a sen"), Drop()], ids=["cut", "dropped"])
def test_a_connection_that_is_lost_once_is_asked_for_again_by_the_cli(
    start: Start, endpoint: Endpoint, reply: Reply
) -> None:
    agent = start()
    agent.prompt("m1", endpoint.script("cut", reply, Say("A whole sentence.")))
    end = agent.wait_for(TurnEnded)
    assert (end.outcome, end.text) == (TurnOutcome.COMPLETED, "A whole sentence.")
    assert reported(agent.of(UsageReported)[0]) == figures(endpoint, endpoint.of("cut")[-1:])


def test_usage_stays_exact_over_a_conversation_that_became_too_long(start: Start, endpoint: Endpoint) -> None:
    agent = start()
    agent.prompt("m1", endpoint.script("one", Say("One.")))
    agent.wait_for(TurnEnded)
    agent.prompt("m2", endpoint.script("long", CODEX.too_long()))
    assert agent.wait_for(TurnEnded, count=2).failure is FailureKind.CONTEXT
    agent.prompt("m3", endpoint.script("three", Say("Three.")))
    assert agent.wait_for(TurnEnded, count=3).text == "Three."
    told = [reported(each) for each in agent.of(UsageReported)]
    everything = [*endpoint.exchanges(), *endpoint.exchanges(auxiliary=True)]
    assert tuple(sum(each) for each in zip(*told, strict=True)) == figures(endpoint, everything)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("/help me with {}", id="slash"),
        pytest.param("  /compact {}", id="spaces-and-slash"),
        pytest.param("!ls {}", id="bang"),
        pytest.param("# remember {}", id="hash"),
        pytest.param("@README.md and $skill {}", id="mention"),
        pytest.param("\N{ROCKET} emoji \u05e9\u05dc\u05d5\u05dd \u202e {}", id="emoji-and-right-to-left"),
        pytest.param("tab\t\x1b[31m \x07 {}\r\nend\n", id="control"),
        pytest.param("long " + "\u00e9" * 100_000 + " {}", id="200-kB"),
    ],
)
def test_a_prompt_reaches_the_model_byte_for_byte(start: Start, endpoint: Endpoint, text: str) -> None:
    prompt = text.format(endpoint.script("exact", Say("Read.")))
    agent = start()
    agent.prompt("m1", prompt)
    assert agent.wait_for(TurnEnded).text == "Read."
    assert endpoint.of("exact")[0].request.texts[-1] == prompt


def test_a_prompt_that_the_cli_refuses_fails_with_its_words(start: Start, endpoint: Endpoint) -> None:
    agent = start()
    agent.prompt("m1", "x" * 1_200_000)
    agent.prompt("m2", endpoint.script("next", Say("Here.")))
    first = agent.wait_for(TurnEnded)
    assert (first.outcome, first.message_id) == (TurnOutcome.FAILED, "m1")
    assert "maximum length" in (first.error or "")
    assert agent.wait_for(TurnEnded, count=2).text == "Here."


def test_prompts_that_wait_get_a_turn_each(start: Start, endpoint: Endpoint) -> None:
    agent = start()
    for number in (1, 2, 3, 4):
        agent.prompt(f"m{number}", endpoint.script(f"turn{number}", Stream(0.5), Say("Never.")))
    ends = [agent.wait_for(TurnEnded, count=number).message_id for number in (1, 2, 3, 4)]
    assert ends == ["m1", "m2", "m3", "m4"]
    assert [len(endpoint.of(f"turn{number}")) for number in (1, 2, 3, 4)] == [1, 1, 1, 1]


def test_a_prompt_handed_over_twice_is_delivered_once(start: Start, endpoint: Endpoint) -> None:
    marker = endpoint.script("once", Say("Heard."))
    agent = start()
    for _ in range(2):
        agent.prompt("m1", marker)
    agent.wait_for(TurnEnded)
    agent.close()
    again = start(resume=session_of(agent))
    again.prompt("m1", marker)
    assert again.wait_for(PromptAccepted) == PromptAccepted("m1", repeated=True)
    again.prompt("m2", endpoint.script("after", Say("After.")))
    again.wait_for(TurnEnded)
    assert (len(endpoint.of("once")), endpoint.deliveries("once")) == (1, 1)


def test_after_a_kill_in_mid_turn_the_same_session_goes_on(
    start: Start, endpoint: Endpoint, ground: Ground
) -> None:
    write = UseTools((CODEX.write(str(ground.repository / "a.txt"), "a\n"),))
    agent = start(instructions="Be brief.")
    agent.prompt("m1", f"First. {endpoint.script('first', write, Stream(30))}")
    assert endpoint.wait_for(lambda: len(endpoint.of("first")) == 2)
    agent.wait_for(ToolEnded)
    os.killpg(agent.process.pid, signal.SIGKILL)
    agent.kill()
    told = agent.driver.reconcile(environment(ground), str(ground.repository))
    spent = [event for event in told if isinstance(event, UsageReported)]
    assert [reported(each) for each in spent] == [figures(endpoint, endpoint.of("first")[:1])]
    assert not any(isinstance(event, TurnEnded) for event in told)
    assert agent.driver.reconcile(environment(ground), str(ground.repository)) == []
    resumed = start(resume=session_of(agent), before=agent.driver.state, instructions="Be brief.")
    resumed.prompt("m1", f"First. {endpoint.script('never', Say('No.'))}")
    assert resumed.wait_for(PromptAccepted) == PromptAccepted("m1", repeated=True)
    resumed.prompt("m2", f"Go on. {endpoint.script('second', Say('Finished.'))}")
    end = resumed.wait_for(TurnEnded)
    assert (end.message_id, end.text) == ("m2", "Finished.")
    assert session_of(resumed) == session_of(agent)
    seen = endpoint.of("second")[0]
    assert [text.count("rehearse:first") for text in seen.request.texts if "rehearse:" in text] == [1, 0]
    assert [reported(each) for each in resumed.of(UsageReported)] == [figures(endpoint, [seen])]


@pytest.mark.parametrize("first, second", [(Allow.ASK, Allow.EDITS), (Allow.EDITS, Allow.ASK)])
def test_a_resumed_session_takes_the_permissions_of_its_new_start(
    start: Start, endpoint: Endpoint, ground: Ground, first: Allow, second: Allow
) -> None:
    agent = start(first)
    agent.prompt("m1", endpoint.script("hello", Say("Hello.")))
    agent.wait_for(TurnEnded)
    agent.close()
    resumed = start(second, resume=session_of(agent), before=agent.driver.state)
    resumed.prompt("m2", endpoint.script("touch", shell("touch a.txt"), Say("Done.")))
    resumed.wait_for(TurnEnded)
    assert (ground.repository / "a.txt").exists() is (second is Allow.EDITS)


def test_a_prompt_that_was_taken_unseen_is_not_run_again(
    start: Start, endpoint: Endpoint, ground: Ground
) -> None:
    agent = start()
    session = session_of(agent)
    marker = endpoint.script("once", Say("Heard."))
    agent.prompt("m1", marker)
    unseen = DriverState({**agent.driver.state.values, "thread": session})
    agent.wait_for(TurnEnded)
    agent.kill()
    # The state of a daemon that did not live to hear what the CLI said about the prompt.
    unseen.values.update(sending={"id": "m1", "digest": ""}, known=[], turn=None)
    told = CodexDriver(unseen).reconcile(environment(ground), str(ground.repository))
    kinds = [type(event) for event in told]
    assert kinds == [PromptAccepted, TurnStarted, UsageReported, TurnEnded]
    assert isinstance(told[-1], TurnEnded) and (told[-1].message_id, told[-1].text) == ("m1", "Heard.")


def test_a_session_killed_before_its_first_prompt_begins_anew(start: Start, endpoint: Endpoint) -> None:
    first = start()
    session = session_of(first)
    first.kill()
    agent = start(resume=session, before=first.driver.state)
    agent.prompt("m1", endpoint.script("hello", Say("Hello.")))
    assert agent.wait_for(TurnEnded).text == "Hello."
    assert session_of(agent) != session
    assert agent.of(SessionLost) == []


def test_a_lost_session_is_told_and_a_new_one_begun(start: Start, endpoint: Endpoint) -> None:
    session = "01a204db-1130-7011-b699-29c08635506b"
    agent = start(resume=session)
    assert agent.wait_for(SessionLost) == SessionLost(session)
    agent.prompt("m1", endpoint.script("hello", Say("Hello.")))
    assert agent.wait_for(TurnEnded).text == "Hello."
    assert session_of(agent) != session


def test_a_long_answer_is_not_silent(start: Start, endpoint: Endpoint) -> None:
    agent = start()
    agent.prompt("m1", endpoint.script("stream", Stream(2, per_second=10)))
    assert agent.wait_for(TurnEnded).text == "".join(f"line {number}\n" for number in range(1, 21))
    assert agent.output().count(b"item/agentMessage/delta") == 20
