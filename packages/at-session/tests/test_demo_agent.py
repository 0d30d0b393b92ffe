"""The demo agent as a real child, through its driver."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest

from at_session.drivers.demo import DemoDriver
from at_session.errors import LaunchRefused
from at_session.vocabulary import (
    Allow,
    AskClosed,
    AskKind,
    AskOpened,
    ContextUsed,
    Decision,
    DriverEvent,
    FailureKind,
    LaunchRequest,
    Limited,
    PromptAccepted,
    SessionStarted,
    Text,
    ToolEnded,
    ToolStarted,
    TurnEnded,
    TurnOutcome,
    TurnStarted,
    Unparsed,
    Usage,
    UsageReported,
    Write,
)

Found = TypeVar("Found", bound=DriverEvent)
COMPLETED, FAILED, INTERRUPTED = TurnOutcome.COMPLETED, TurnOutcome.FAILED, TurnOutcome.INTERRUPTED


class Child:
    """One process of the demo agent. Every wait ends with the event or with the process."""

    def __init__(self, request: LaunchRequest) -> None:
        self.driver = DemoDriver()
        launch = self.driver.launch(request)
        self.process = subprocess.Popen(
            launch.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=launch.cwd,
            env=dict(launch.env),
            start_new_session=True,
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.events: list[DriverEvent] = []

    def write(self, writes: list[Write]) -> None:
        for write in writes:
            self.stdin.write(write.data)
        self.stdin.flush()

    def prompt(self, message_id: str, text: str) -> None:
        self.write(self.driver.prompt(message_id, text))

    def answer(self, ask: AskOpened, *, approve: bool, text: str = "") -> None:
        self.write(self.driver.decide(ask.request_id, Decision(approve, text)))

    def next(self, kind: type[Found]) -> Found:
        """The next event of a kind; those before it are passed over and kept."""
        while data := self.stdout.readline():
            for event in self.driver.feed("stdout", data):
                assert not isinstance(event, Write)
                self.events.append(event)
                if isinstance(event, kind):
                    return event
        raise AssertionError(f"the agent ended without {kind.__name__}; events: {self.events}")

    def turn(self, message_id: str, text: str) -> TurnEnded:
        self.prompt(message_id, text)
        return self.next(TurnEnded)

    def of(self, kind: type[Found]) -> list[Found]:
        return [event for event in self.events if isinstance(event, kind)]

    def drain(self) -> int:
        """Read to the end; the exit code."""
        for data in self.stdout:
            self.events += [
                event for event in self.driver.feed("stdout", data) if not isinstance(event, Write)
            ]
        return self.process.wait()

    def close(self) -> int:
        self.stdin.close()
        return self.drain()

    def end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.stdout.close()
        try:
            self.stdin.close()
        except BrokenPipeError:
            return


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    return folder


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def start(tmp_path: Path, repository: Path) -> Iterator[Callable[..., Child]]:
    """Start the agent; by default everything is allowed and the session is the same."""
    children: list[Child] = []

    def begin(*, allow: Allow = Allow.ALL, attempt: int = 1, session: str = "session-1") -> Child:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        request = LaunchRequest(
            agent_id="a1",
            binary="demo",
            args=(),
            cwd=str(repository),
            env={"PATH": os.environ["PATH"], "HOME": str(home)},
            private_dir=str(tmp_path / "private"),
            allow=allow,
            session_id=session,
            attempt=attempt,
        )
        children.append(Child(request))
        return children[-1]

    yield begin
    for child in children:
        child.end()


Start = Callable[..., Child]


def test_a_write_is_left_uncommitted(start: Start, repository: Path) -> None:
    child = start()
    end = child.turn("m1", "write docs/a.txt hello; write b.txt")
    assert end == TurnEnded(COMPLETED, "m1")
    assert (repository / "docs" / "a.txt").read_text() == "hello\n"
    assert git(repository, "status", "--porcelain") == "?? b.txt\n?? docs/\n"
    assert child.events == [
        SessionStarted("session-1", "demo"),
        PromptAccepted("m1"),
        TurnStarted("m1"),
        ToolStarted("tool-1-1-1", "write", "docs/a.txt"),
        ToolEnded("tool-1-1-1", True, "wrote docs/a.txt"),
        ToolStarted("tool-1-1-2", "write", "b.txt"),
        ToolEnded("tool-1-1-2", True, "wrote b.txt"),
        ContextUsed(58, 200_000, "demo", "demo agent (context of its last turn)"),
        UsageReported(Usage(58, 0, 40, requests=3, model="demo"), "demo agent (no model is called)"),
        TurnEnded(COMPLETED, "m1"),
    ]


def test_prose_writes_one_small_file_and_commits_it(start: Start, repository: Path) -> None:
    child = start()
    child.turn("m1", "Please say hello; politely")
    (path,) = repository.glob("demo-*.md")
    assert path.name == "demo-please-say-hello-politely-session--1.md"
    assert git(repository, "log", "--format=%s", "--name-only").split("\n") == [
        f"Add {path.name}",
        "",
        path.name,
        "",
    ]
    assert git(repository, "status", "--porcelain") == ""


def test_a_shell_step_takes_its_line_and_tells_the_exit_code(start: Start) -> None:
    child = start()
    child.turn("m1", "shell echo one; echo two >&2; exit 3")
    ended = child.of(ToolEnded)[0]
    assert (ended.ok, ended.output) == (False, "one\ntwo\n[exit code 3]")


@pytest.mark.parametrize(
    "allow, kinds",
    [(Allow.ASK, [AskKind.EDIT, AskKind.COMMAND]), (Allow.EDITS, [AskKind.COMMAND]), (Allow.ALL, [])],
)
def test_what_asks_depends_on_the_mode(
    start: Start, repository: Path, allow: Allow, kinds: list[AskKind]
) -> None:
    child = start(allow=allow)
    child.prompt("m1", "write a.txt hi; shell cp a.txt b.txt")
    asks = []
    for kind in kinds:
        ask = child.next(AskOpened)
        assert ask.kind is kind
        asks.append(ask)
        child.answer(ask, approve=True)
    assert child.next(TurnEnded).denied == ()
    assert child.of(AskClosed) == [AskClosed(ask.request_id) for ask in asks]
    assert (repository / "b.txt").read_text() == "hi\n"


def test_an_ask_shows_exactly_what_is_asked(start: Start) -> None:
    child = start(allow=Allow.ASK)
    child.prompt("m1", "write a.txt hi there; shell echo 'a b' c")
    edit = child.next(AskOpened)
    assert (edit.what, edit.tool, edit.argv) == ("a.txt\nhi there\n", "write", None)
    child.answer(edit, approve=True)
    command = child.next(AskOpened)
    assert (command.what, command.tool, command.argv) == ("echo 'a b' c", "shell", ("echo", "a b", "c"))


def test_what_is_denied_is_not_done_and_the_turn_goes_on(start: Start, repository: Path) -> None:
    child = start(allow=Allow.EDITS)
    child.prompt("m1", "write a.txt\nshell rm a.txt\nlie")
    child.answer(child.next(AskOpened), approve=False, text="Keep it.")
    end = child.next(TurnEnded)
    assert (end.outcome, end.denied) == (COMPLETED, ("rm a.txt",))
    assert child.of(ToolEnded)[1].output == "Keep it."
    assert (repository / "a.txt").exists()


def test_a_question_is_answered(start: Start) -> None:
    child = start()
    child.prompt("m1", "ask Which colour?")
    ask = child.next(AskOpened)
    assert (ask.kind, ask.what) == (AskKind.QUESTION, "Which colour?")
    child.answer(ask, approve=True, text="blue")
    assert child.next(TurnEnded).text == "The answer is: blue"


def test_a_lie_claims_and_changes_nothing(start: Start, repository: Path) -> None:
    child = start()
    end = child.turn("m1", "lie")
    assert (end.outcome, end.text) == (COMPLETED, "I committed the change and all tests pass.")
    assert git(repository, "status", "--porcelain") == ""
    assert subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, capture_output=True).returncode != 0


@pytest.mark.parametrize(
    "text, error",
    [
        ("fail No luck; write a", "No luck"),
        ("write a; dance", "unknown step 'dance'; the steps are"),
        ("shell ln -s / root\nwrite root/tmp/x y", "stays inside the working folder, got 'root/tmp/x'"),
        ("write a; write a/b c", "cannot write 'a/b'"),
    ],
)
def test_a_failed_turn_says_why(start: Start, text: str, error: str) -> None:
    end = start().turn("m1", text)
    assert (end.outcome, end.failure) == (FAILED, FailureKind.OTHER)
    assert error in (end.error or "")


def test_a_crash_kills_and_the_next_process_goes_on_behind_it(start: Start, repository: Path) -> None:
    child = start()
    child.prompt("m1", "write a.txt one; stream 0.4; crash 0.1; stream 0.4; shell echo ran >> log")
    assert child.drain() == -signal.SIGKILL
    assert [each.text for each in child.of(Text)] == ["line 1", "line 2"]
    (repository / "a.txt").write_text("changed by hand\n")
    again = start(attempt=2)
    end = again.turn("m2", "Please go on where you stopped.")
    assert (end.outcome, end.message_id) == (COMPLETED, "m2")
    assert [each.text for each in again.of(Text)] == ["line 3", "line 4"]
    assert (repository / "a.txt").read_text() == "changed by hand\n"
    assert (repository / "log").read_text() == "ran\n"


@pytest.mark.parametrize("attempt", [1, 2])
def test_a_crash_happens_once_however_attempts_are_counted(start: Start, attempt: int) -> None:
    child = start(attempt=1)
    child.prompt("m1", "crash; lie")
    assert child.drain() == -signal.SIGKILL
    assert start(attempt=attempt).turn("m1", "crash; lie").outcome is COMPLETED


def test_a_fresh_session_at_a_later_attempt_does_not_crash(start: Start) -> None:
    assert start(attempt=2, session="other").turn("m1", "crash").outcome is COMPLETED


def test_crash_always_does(start: Start) -> None:
    for attempt in (1, 2, 3):
        child = start(attempt=attempt)
        child.prompt("m1", "crash-always")
        assert child.drain() == -signal.SIGKILL


@pytest.mark.parametrize(
    "message_id, text", [("m1", "stream 60; lie"), ("m9", "stream 60; lie"), ("m9", "Go on.")]
)
def test_a_stream_that_was_killed_goes_on_without_a_repeat(start: Start, message_id: str, text: str) -> None:
    child = start()
    child.prompt("m1", "stream 0.8; lie")
    assert child.next(Text).text == "line 1"
    os.killpg(child.process.pid, signal.SIGKILL)
    child.drain()
    seen = [each.text for each in child.of(Text)]
    again = start(attempt=2)
    again.turn(message_id, text.replace("60", "0.8"))
    numbers = [each.text for each in again.of(Text)[:-1]]
    told = [int(line.split()[1]) for line in seen + numbers]
    assert told == sorted(set(told))
    assert told[-1] == 4


def test_a_new_scenario_replaces_one_that_was_left(start: Start) -> None:
    child = start()
    child.prompt("m1", "crash; write never.txt")
    child.drain()
    again = start(attempt=2)
    assert again.turn("m2", "fail other").error == "other"
    assert again.turn("m3", "lie").outcome is COMPLETED


def test_a_hang_gives_no_sign_and_ends_on_sigterm(start: Start) -> None:
    child = start()
    child.prompt("m1", "hang")
    child.next(TurnStarted)
    child.write(child.driver.interrupt("i1"))
    os.kill(child.process.pid, signal.SIGTERM)
    assert child.drain() == 128 + signal.SIGTERM
    assert [type(event) for event in child.events] == [SessionStarted, PromptAccepted, TurnStarted]


def test_a_limit_ends_the_turn_once_and_the_next_prompt_goes_on(start: Start, repository: Path) -> None:
    child = start()
    before = datetime.now(UTC)
    end = child.turn("m1", "write a.txt; limit 60; write b.txt")
    assert (end.outcome, end.failure) == (FAILED, FailureKind.LIMIT)
    (limited,) = child.of(Limited)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", limited.reset_at or "")
    reset = datetime.fromisoformat(limited.reset_at or "")
    assert 58 <= (reset - before).total_seconds() <= 90
    assert not (repository / "b.txt").exists()
    child.close()
    again = start()
    assert again.turn("m2", "Go on.").outcome is COMPLETED
    assert (repository / "b.txt").exists()


def test_what_follows_the_end_of_a_turn_is_done_with_the_next_prompt(start: Start, repository: Path) -> None:
    child = start()
    assert child.turn("m1", "write a.txt; end-turn; write b.txt").outcome is COMPLETED
    assert (repository / "a.txt").exists() and not (repository / "b.txt").exists()
    child.close()
    again = start()
    assert again.turn("m2", "It conflicts with main.").outcome is COMPLETED
    assert (repository / "b.txt").exists()


def test_a_flood_is_as_long_as_it_says(start: Start) -> None:
    child = start()
    child.turn("m1", "flood 0.5")
    assert sum(len(each.text) for each in child.of(Text)) == 1 << 19


@pytest.mark.parametrize("step", ["stream 60", "shell sleep 60; echo late", "ask Why?"])
def test_an_interrupt_ends_the_turn_and_the_scenario(start: Start, step: str) -> None:
    child = start()
    child.prompt("m1", f"{step}\nlie")
    child.next(TurnStarted)
    child.write(child.driver.interrupt("i1"))
    assert child.next(TurnEnded).outcome is INTERRUPTED
    assert all(each.withdrawn for each in child.of(AskClosed))
    assert child.turn("m2", "write b.txt").outcome is COMPLETED


def test_an_interrupt_between_turns_is_no_event(start: Start) -> None:
    child = start()
    child.write(child.driver.interrupt("i1"))
    child.turn("m1", "lie")
    assert [type(event) for event in child.events[:2]] == [SessionStarted, PromptAccepted]


def test_prompts_queue_and_each_gets_its_turn(start: Start) -> None:
    child = start()
    for number in (1, 2, 3):
        child.prompt(f"m{number}", "lie")
    assert child.close() == 0
    assert [each.message_id for each in child.of(PromptAccepted)] == ["m1", "m2", "m3"]
    assert [each.message_id for each in child.of(TurnEnded)] == ["m1", "m2", "m3"]


def test_a_prompt_handed_over_again_is_not_run_again(start: Start, repository: Path) -> None:
    child = start()
    first = child.turn("m1", "shell echo ran >> log")
    assert child.turn("m1", "shell echo ran >> log") == first
    child.close()
    assert start().turn("m1", "shell echo ran >> log") == first
    assert child.of(PromptAccepted) == [PromptAccepted("m1"), PromptAccepted("m1", repeated=True)]
    assert (repository / "log").read_text() == "ran\n"


def test_usage_is_the_same_in_every_run(start: Start) -> None:
    runs = []
    for session in ("one", "two"):
        child = start(session=session)
        child.turn("m1", "lie; lie")
        child.turn("m2", "stream 0.2")
        runs.append([each.usage for each in child.of(UsageReported)])
    assert runs[0] == runs[1]
    assert runs[0][1].cached_tokens == runs[0][0].input_tokens + runs[0][0].output_tokens
    assert {usage.cost_usd for usage in runs[0]} == {None}


def test_a_scenario_gives_the_figures_of_its_turn(start: Start) -> None:
    child = start()
    child.turn("m1", "usage 100 20 0.25; lie; usage 7 3 openai/gpt-5")
    child.turn("m2", "usage 1 1")
    assert [each.usage for each in child.of(UsageReported)] == [
        Usage(100, 0, 20, 0.25, 1, "demo"),
        Usage(7, 0, 3, None, 1, "openai/gpt-5"),
        Usage(1, 0, 1, None, 1, "demo"),
    ]


def test_bad_lines_are_told_and_change_nothing(start: Start) -> None:
    child = start()
    child.write(
        [Write("w1", b"nonsense\n"), Write("w2", b'{"type": "dance"}\n'), Write("w3", b"\xff\n\n[]\n")]
    )
    assert child.turn("m1", "lie").outcome is COMPLETED
    assert len(child.of(Unparsed)) == 4


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "--session and --state-dir are required"),
        (["--session"], "expected pairs of --session"),
        (["--session", "../x", "--state-dir", "."], "--session is made of letters"),
        (["--session", "x", "--state-dir", ".", "--allow", "no"], "--allow is one of ask, edits, all"),
        (["--session", "x", "--state-dir", ".", "--attempt", "two"], "--attempt is a number"),
    ],
)
def test_wrong_options_are_one_clear_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "at_session.demo.agent", *arguments]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"demo agent: {message}") and ran.stderr.count("\n") == 1


def test_a_launch_needs_a_session_id(tmp_path: Path) -> None:
    request = LaunchRequest("a1", "demo", (), str(tmp_path), {}, str(tmp_path))
    with pytest.raises(LaunchRefused, match="demo cannot be started: it has no session id"):
        DemoDriver().launch(request)


def test_the_agent_is_light_to_start(tmp_path: Path) -> None:
    heavy = {"typing", "dataclasses", "subprocess", "argparse", "asyncio", "threading", "uuid", "inspect"}
    code = "import sys; sys.path.insert(0, sys.argv[1]); import at_session.demo.agent; print(*sys.modules)"
    source = Path(__file__).parents[1] / "src"
    command = [sys.executable, "-I", "-S", "-c", code, str(source)]
    loaded = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split()
    assert heavy & set(loaded) == set()
