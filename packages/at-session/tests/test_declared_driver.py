"""Drivers that manifests make: how each protocol's program is started, and one of them with the demo agent."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeVar

import anyio
import pytest

from at_session.drivers.demo import PROGRAM
from at_session.errors import LaunchRefused
from at_session.journal import RecordKind
from at_session.manifest import driver_of, load
from at_session.pytest_plugin import SessionFactory
from at_session.session import Follower, Session
from at_session.vocabulary import (
    Allow,
    AskOpened,
    Decision,
    Driver,
    DriverEvent,
    DriverState,
    FailureKind,
    LaunchRequest,
    Limited,
    LoginRefused,
    SessionLost,
    SessionStarted,
    Text,
    TurnEnded,
    TurnOutcome,
    UsageReported,
    Write,
)

Found = TypeVar("Found", bound=DriverEvent)
STREAMS = {RecordKind.OUTPUT: "stdout", RecordKind.STDERR: "stderr"}
DEMO = f"""\
binary = "{sys.executable}"
arguments = ["-I", "-S", "{PROGRAM}", "--acp", "--state-dir", "{{private}}"]
protocol = "acp"
[permission_modes]
ask = "ask"
edits = "edits"
all = {{mode = "all", environment = {{DEMO_ALL = "yes"}}}}
"""


def declared(folder: Path, text: str) -> type[Driver]:
    path = folder / "mine.toml"
    path.write_text(text)
    return driver_of(load(path))


def request(folder: Path, **changes: object) -> LaunchRequest:
    plain: dict[str, object] = {
        "agent_id": "a1",
        "binary": "",
        "args": ("--last",),
        "cwd": str(folder),
        "env": {**os.environ, "HOME": "/nowhere", "MINE": "the caller's"},
        "private_dir": "/private place",
        "session_id": "00000000-0000-4000-8000-000000000000",
    }
    return LaunchRequest(**{**plain, **changes})  # type: ignore[arg-type]


HEAD = 'binary = "~/bin/mine"\narguments = ["--place", "{private}/x"]\n'
MODES = '[permission_modes]\nedits = {arguments = ["--tame={private}"], environment = {TAME = "{private}"}}\n'
ENVIRONMENT = '[environment]\nMINE = "the manifest\'s"\n'


@pytest.mark.parametrize(
    ("protocol", "then"),
    [
        ("acp", ["--tame=/private place", "--last"]),
        ("demo", ["--session", "00000000-0000-4000-8000-000000000000", "--state-dir"]),
        ("claude-stream-json", ["-p", "--input-format", "stream-json"]),
        ("codex-app-server", ["app-server", "-c"]),
    ],
)
def test_a_program_is_started_as_declared(tmp_path: Path, protocol: str, then: list[str]) -> None:
    text = f'{HEAD}protocol = "{protocol}"\n{MODES}{ENVIRONMENT}'
    driver = declared(tmp_path, text)()
    launch = driver.launch(request(tmp_path))
    assert launch.argv[:3] == ("/nowhere/bin/mine", "--place", "/private place/x")
    assert list(launch.argv[3 : 3 + len(then)]) == then
    assert launch.argv[-2:] == ("--tame=/private place", "--last")
    assert (launch.env["MINE"], launch.env["TAME"]) == ("the manifest's", "/private place")
    assert (driver.cli, launch.cwd) == ("mine", str(tmp_path))


def test_a_mode_that_is_not_named_starts_nothing(tmp_path: Path) -> None:
    driver = declared(tmp_path, f'{HEAD}protocol = "acp"\n{MODES}')()
    with pytest.raises(LaunchRefused, match="names no permission mode 'all'; there are edits"):
        driver.launch(request(tmp_path, allow=Allow.ALL))


def test_the_record_is_looked_for_where_the_manifest_puts_it(tmp_path: Path) -> None:
    text = f'{HEAD}protocol = "claude-stream-json"\n[environment]\nCLAUDE_CONFIG_DIR = "{{private}}"\n'
    driver = declared(tmp_path, text)()
    session = "00000000-0000-4000-8000-000000000000"
    launched = driver.launch(request(tmp_path, private_dir=str(tmp_path / "kept")))
    assert "--session-id" in launched.argv
    place = tmp_path / "kept" / "projects" / "x"
    place.mkdir(parents=True)
    (place / f"{session}.jsonl").write_text('{"type":"user","uuid":"u"}\n')
    again = driver.launch(request(tmp_path, private_dir=str(tmp_path / "kept")))
    assert "--resume" in again.argv


class Talk:
    """A session of a declared CLI, driven as the daemon does it; the driver's state is restored for each record."""

    def __init__(self, session: Session, follower: Follower, driver: Driver) -> None:
        self.session, self.follower, self.driver = session, follower, driver
        self.events: list[DriverEvent] = []

    async def write(self, writes: Sequence[Write]) -> None:
        for write in writes:
            await self.session.write(write.id, write.data)

    async def next(self, kind: type[Found]) -> Found:
        """The next event of a kind."""
        while True:
            for event in self.events:
                if isinstance(event, kind):
                    del self.events[: self.events.index(event) + 1]
                    return event
            await self._more()

    async def _more(self) -> None:
        batch = await self.follower.batch()
        assert batch, f"the agent ended; events: {self.events}"
        for record in batch:
            if record.kind not in STREAMS:
                continue
            self.driver = type(self.driver)(DriverState(self.driver.state.values))
            for heard in self.driver.feed(STREAMS[record.kind], record.data):
                if isinstance(heard, Write):
                    await self.write([heard])
                else:
                    self.events.append(heard)

    async def turn(self, message_id: str, text: str) -> TurnEnded:
        await self.write(self.driver.prompt(message_id, text))
        return await self.next(TurnEnded)


class Stage:
    """One working folder, and processes of the demo agent speaking ACP in it."""

    def __init__(self, folder: Path, factory: SessionFactory, open_: AsyncExitStack) -> None:
        self.folder, self.factory, self.open = folder / "work", factory, open_
        self.kept = folder / "kept"
        self.folder.mkdir()
        self.kind = declared(folder, DEMO)

    async def start(self, driver: Driver | None = None, **changes: object) -> Talk:
        driver = driver or self.kind()
        wanted = request(self.folder, args=(), private_dir=str(self.kept), **changes)
        launch = driver.launch(wanted)
        session = await self.factory(launch.argv, env=launch.env, cwd=self.folder)
        self.open.push_async_callback(session.aclose)
        talk = Talk(session, await self.open.enter_async_context(session.follow(0)), driver)
        await talk.write(driver.open())
        return talk


@pytest.fixture
async def stage(tmp_path: Path, session_factory: SessionFactory) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as open_:
        yield Stage(tmp_path, session_factory, open_)


@pytest.mark.anyio
async def test_turns_and_figures(stage: Stage) -> None:
    talk = await stage.start(instructions="Be brief.")
    started = await talk.next(SessionStarted)
    assert (started.model, started.version) == ("demo", "0.1.0")
    end = await talk.turn("m1", "write a.txt one; lie; usage 100 20; usage 7 3")
    assert (end.outcome, end.text) == (TurnOutcome.COMPLETED, "I committed the change and all tests pass.")
    assert (stage.folder / "a.txt").read_text() == "one\n"
    await talk.write(talk.driver.prompt("m2", "stream 0.4; usage 1 1"))
    said = [(await talk.next(Text)).text for _ in range(2)]
    used = await talk.next(UsageReported)
    assert said == ["line 1", "line 2"]
    assert (used.usage.input_tokens, used.usage.output_tokens, used.usage.model) == (1, 1, "demo")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("allow", "asked"),
    [
        (Allow.ASK, [("edit", "a.txt\n@@ -0,0 +1 @@\n+one"), ("command", 'echo "$DEMO_ALL" > b.txt')]),
        (Allow.EDITS, [("command", 'echo "$DEMO_ALL" > b.txt')]),
        (Allow.ALL, []),
    ],
)
async def test_each_mode_asks_what_it_must(stage: Stage, allow: Allow, asked: list[tuple[str, str]]) -> None:
    talk = await stage.start(allow=allow)
    await talk.write(talk.driver.prompt("m1", 'write a.txt one\nshell echo "$DEMO_ALL" > b.txt'))
    for kind, what in asked:
        ask = await talk.next(AskOpened)
        assert (ask.kind.value, ask.what) == (kind, what)
        await talk.write(talk.driver.decide(ask.request_id, Decision(approve=True)))
    end = await talk.next(TurnEnded)
    assert (end.outcome, (stage.folder / "a.txt").read_text()) == (TurnOutcome.COMPLETED, "one\n")
    assert (stage.folder / "b.txt").read_text() == ("yes\n" if allow is Allow.ALL else "\n")


@pytest.mark.anyio
@pytest.mark.parametrize("yes", [True, False], ids=["yes", "no"])
async def test_a_question_is_answered_by_yes_or_no(stage: Stage, yes: bool) -> None:
    talk = await stage.start()
    await talk.write(talk.driver.prompt("m1", "ask Tabs?; shell git push"))
    for what in ("Tabs?", "git push"):
        ask = await talk.next(AskOpened)
        assert ask.what.startswith(what)
        await talk.write(talk.driver.decide(ask.request_id, Decision(approve=yes)))
    end = await talk.next(TurnEnded)
    assert (end.outcome, end.text) == (TurnOutcome.COMPLETED, f"The answer is: {'yes' if yes else 'no'}")
    assert end.denied == (() if yes else ("Tabs?", "git push"))


@pytest.mark.anyio
async def test_a_turn_is_interrupted_while_it_streams_and_while_it_asks(stage: Stage) -> None:
    talk = await stage.start()
    await talk.write(talk.driver.prompt("m1", "stream 60"))
    assert (await talk.next(Text)).text == "line 1"
    await talk.write(talk.driver.interrupt("i1"))
    assert (await talk.next(TurnEnded)).outcome is TurnOutcome.INTERRUPTED
    await talk.write(talk.driver.prompt("m2", "shell true"))
    await talk.next(AskOpened)
    await talk.write(talk.driver.interrupt("i2"))
    assert (await talk.next(TurnEnded)).outcome is TurnOutcome.INTERRUPTED
    assert (await talk.turn("m3", "lie")).outcome is TurnOutcome.COMPLETED


@pytest.mark.anyio
async def test_a_killed_process_is_taken_up_in_its_session(stage: Stage) -> None:
    talk = await stage.start()
    session = (await talk.next(SessionStarted)).session_id
    assert (await talk.turn("m1", "write a.txt one; stream 0.2")).outcome is TurnOutcome.COMPLETED
    await talk.write(talk.driver.prompt("m2", "stream 0.4; crash; write b.txt two"))
    await talk.session.wait()
    again = await stage.start(talk.driver, session_id=session, resume=True)
    assert (await again.next(SessionStarted)).session_id == session
    await again.write(again.driver.prompt("m3", "Go on."))
    assert (await again.next(TurnEnded)).outcome is TurnOutcome.COMPLETED
    assert (stage.folder / "b.txt").read_text() == "two\n"
    await again.write(again.driver.prompt("m4", "stream 0.2"))
    assert (await again.next(Text)).text == "line 4", "the numbers go on over the whole session"


@pytest.mark.anyio
async def test_a_session_whose_record_is_gone_is_told(stage: Stage) -> None:
    talk = await stage.start(session_id="../../etc", resume=True)
    assert (await talk.next(SessionLost)).session_id == "../../etc"
    assert (await talk.turn("m1", "lie")).outcome is TurnOutcome.COMPLETED


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("step", "kind", "error"),
    [
        ("fail the disk melted", FailureKind.OTHER, "the disk melted"),
        ("write a; dance", FailureKind.OTHER, "unknown step 'dance'"),
        ("fail 401 unauthorized", FailureKind.LOGIN, "401 unauthorized"),
        ("limit 3600", FailureKind.LIMIT, "Usage limit reached; it resets at "),
    ],
)
async def test_failures_are_told_as_what_they_are(
    stage: Stage, step: str, kind: FailureKind, error: str
) -> None:
    talk = await stage.start()
    await talk.write(talk.driver.prompt("m1", step))
    if kind is FailureKind.LIMIT:
        limited = await talk.next(Limited)
        assert limited.reset_at is not None and limited.reset_at in limited.message
    if kind is FailureKind.LOGIN:
        assert (await talk.next(LoginRefused)).how == f"run `{sys.executable}` and log in"
    end = await talk.next(TurnEnded)
    assert (end.outcome, end.failure) == (TurnOutcome.FAILED, kind)
    assert end.error is not None and end.error.startswith(error)


@pytest.mark.anyio
async def test_a_model_that_is_not_offered_ends_the_turn_with_that_word(stage: Stage) -> None:
    talk = await stage.start(model="gpt-9")
    end = await talk.turn("m1", "lie")
    assert end.error == "it refused the model: 'gpt-9' is none of demo"


@pytest.mark.anyio
async def test_words_of_every_kind_arrive(stage: Stage) -> None:
    text = "/not a command 🙂 \u202eright to left\n" + "x" * 200_000
    talk = await stage.start()
    assert shutil.which("git"), "a note is committed"
    with anyio.fail_after(30):
        await talk.write(talk.driver.prompt("m1", text))
        await talk.next(TurnEnded)
    (note,) = stage.folder.glob("demo-not-a-command*.md")
    assert note.read_text() == f"# Demo note\n\n{text.strip()}\n"
