"""The driver against the real Codex CLI, on plain pipes: work, asks, prompts, figures."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from clis.codex_stage import CODEX, CodexStage, escalated, shell
from clis.conftest import Ground
from clis.figures import figures, reported

from at_session.rehearsal.clis.codex import MODEL
from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import Say, Stream, ToolUse, UseTools
from at_session.vocabulary import (
    Allow,
    AskClosed,
    AskKind,
    AskOpened,
    PromptAccepted,
    SessionStarted,
    Text,
    ToolEnded,
    ToolStarted,
    TurnEnded,
    TurnOutcome,
    TurnStarted,
    UsageReported,
)

MCP_SERVER = """
import json, sys
TOOL = {"name": "note", "description": "Takes a note.", "inputSchema": {"type": "object", "properties": {}}}
RESULTS = {
    "initialize": {
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "orch", "version": "1"},
    },
    "tools/list": {"tools": [TOOL]},
    "tools/call": {"content": [{"type": "text", "text": "noted"}]},
}
for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked:
        answer = {"jsonrpc": "2.0", "id": asked["id"], "result": RESULTS.get(asked["method"], {})}
        print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def start(endpoint: Endpoint, ground: Ground, commands: Path) -> Iterator[CodexStage]:
    """Start Codex on the test's ground."""
    with CodexStage(endpoint, ground, commands) as stage:
        yield stage


def test_a_write_under_edits_lands_and_its_usage_is_exact(
    start: CodexStage, endpoint: Endpoint, ground: Ground
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
    start: CodexStage, endpoint: Endpoint, ground: Ground
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
    start: CodexStage, endpoint: Endpoint, ground: Ground
) -> None:
    settings = ground.home / ".codex" / "config.toml"
    before = settings.read_bytes()
    agent = start()
    agent.prompt("m1", endpoint.script("hello", shell("true"), Say("Hello.")))
    agent.wait_for(TurnEnded)
    assert settings.read_bytes() == before


def test_instructions_and_a_model_reach_the_cli_beside_the_prompt(
    start: CodexStage, endpoint: Endpoint
) -> None:
    agent = start(instructions="Commit all that you do.", model="another-model")
    agent.prompt("m1", endpoint.script("hello", Say("Hello.")))
    agent.wait_for(TurnEnded)
    (exchange,) = endpoint.of("hello")
    developer = [item for item in exchange.body["input"] if item.get("role") == "developer"]
    assert any("Commit all that you do." in str(item["content"]) for item in developer)
    assert exchange.request.texts[-1] == "rehearse:hello"
    assert exchange.request.model == "another-model"


def test_several_tools_in_one_answer(start: CodexStage, endpoint: Endpoint, ground: Ground) -> None:
    names = ("one.txt", "two.txt")
    calls = tuple(CODEX.write(str(ground.repository / name), name) for name in names)
    agent = start()
    agent.prompt("m1", endpoint.script("both", UseTools(calls), Say("Both.")))
    assert agent.wait_for(TurnEnded).text == "Both."
    assert [(ground.repository / name).read_text().strip() for name in names] == list(names)
    assert len(agent.of(ToolEnded)) == 2


def test_usage_is_of_each_turn(start: CodexStage, endpoint: Endpoint) -> None:
    agent = start()
    for number in (1, 2, 3):
        agent.prompt(f"m{number}", endpoint.script(f"say{number}", Say(f"answer {number}")))
        agent.wait_for(TurnEnded, count=number)
    expected = [figures(endpoint, endpoint.of(f"say{number}")) for number in (1, 2, 3)]
    assert [reported(each) for each in agent.of(UsageReported)] == expected


def test_a_command_that_leaves_the_sandbox_asks_with_its_exact_text(
    start: CodexStage, endpoint: Endpoint, ground: Ground
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


def test_a_denied_command_is_not_run_and_is_named(
    start: CodexStage, endpoint: Endpoint, ground: Ground
) -> None:
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
    start: CodexStage, endpoint: Endpoint, ground: Ground, approve: bool
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


def test_in_ask_mode_no_command_writes_by_itself(
    start: CodexStage, endpoint: Endpoint, ground: Ground
) -> None:
    agent = start(Allow.ASK)
    agent.prompt("m1", endpoint.script("write", shell("echo a > a.txt"), Say("I could not.")))
    assert agent.wait_for(TurnEnded).text == "I could not."
    assert not (ground.repository / "a.txt").exists()
    (output,) = [item for item in endpoint.of("write")[-1].body["input"] if "output" in item]
    assert "Read-only file system" in output["output"]


def test_everything_is_allowed_in_a_sandbox_that_is_not_the_clis_own(
    start: CodexStage, endpoint: Endpoint, ground: Ground
) -> None:
    outside = ground.repository.parent / "outside"
    agent = start(Allow.ALL, IS_SANDBOX="1")
    agent.prompt("m1", endpoint.script("all", escalated(f"touch {outside}"), Say("Done.")))
    assert agent.wait_for(TurnEnded).text == "Done."
    assert agent.of(AskOpened) == []


def test_all_elsewhere_keeps_the_clis_sandbox_and_asks_to_leave_it(
    start: CodexStage, endpoint: Endpoint
) -> None:
    agent = start(Allow.ALL)
    agent.prompt("m1", endpoint.script("all", escalated("true"), Say("Done.")))
    agent.decide(agent.wait_for(AskOpened).request_id, approve=True)
    assert agent.wait_for(TurnEnded).text == "Done."


@pytest.mark.parametrize("approve", [True, False])
def test_a_question_gets_its_answer(start: CodexStage, endpoint: Endpoint, approve: bool) -> None:
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


@pytest.mark.parametrize("approve", [True, False])
def test_a_tool_of_an_mcp_server_asks_with_what_it_is_given(
    start: CodexStage, endpoint: Endpoint, ground: Ground, approve: bool
) -> None:
    server = ground.private / "server.py"
    server.write_text(MCP_SERVER)
    option = f"mcp_servers.orch={{command={json.dumps(sys.executable)},args=[{json.dumps(str(server))}]}}"
    agent = start(args=("-c", option), model="a-model-with-namespaces")
    call = UseTools((ToolUse("mcp__orch::note", {"text": "x"}),))
    agent.prompt("m1", endpoint.script("mcp", call, Say("Done.")))
    ask = agent.wait_for(AskOpened)
    assert (ask.kind, ask.what, ask.tool) == (AskKind.TOOL, 'orch.note {"text": "x"}', "orch.note")
    agent.decide(ask.request_id, approve=approve)
    assert agent.wait_for(TurnEnded).text == "Done."
    assert [(each.ok, each.output == "noted") for each in agent.of(ToolEnded)] == [(approve, approve)]


def test_usage_has_the_tokens_of_inner_agents(start: CodexStage, endpoint: Endpoint) -> None:
    inner = {"message": endpoint.script("inner", Say("Seen."))}
    spawn = UseTools((ToolUse("multi_agent_v1::spawn_agent", inner),))
    agent = start(model="a-model-with-namespaces")
    agent.prompt("m1", endpoint.script("outer", spawn, shell("sleep 1"), Say("Done.")))
    assert agent.wait_for(TurnEnded).text == "Done."
    assert len(endpoint.of("inner")) == 1
    assert reported(agent.of(UsageReported)[0]) == figures(endpoint, endpoint.exchanges())


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
def test_a_prompt_reaches_the_model_byte_for_byte(start: CodexStage, endpoint: Endpoint, text: str) -> None:
    prompt = text.format(endpoint.script("exact", Say("Read.")))
    agent = start()
    agent.prompt("m1", prompt)
    assert agent.wait_for(TurnEnded).text == "Read."
    assert endpoint.of("exact")[0].request.texts[-1] == prompt


def test_prompts_that_wait_get_a_turn_each(start: CodexStage, endpoint: Endpoint) -> None:
    agent = start()
    for number in (1, 2, 3, 4):
        agent.prompt(f"m{number}", endpoint.script(f"turn{number}", Stream(0.5), Say("Never.")))
    ends = [agent.wait_for(TurnEnded, count=number).message_id for number in (1, 2, 3, 4)]
    assert ends == ["m1", "m2", "m3", "m4"]
    assert [len(endpoint.of(f"turn{number}")) for number in (1, 2, 3, 4)] == [1, 1, 1, 1]


def test_a_long_answer_is_not_silent(start: CodexStage, endpoint: Endpoint) -> None:
    agent = start()
    agent.prompt("m1", endpoint.script("stream", Stream(2, per_second=10)))
    assert agent.wait_for(TurnEnded).text == "".join(f"line {number}\n" for number in range(1, 21))
    assert agent.output().count(b"item/agentMessage/delta") == 20
