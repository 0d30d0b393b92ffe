"""Runs an agent on plain pipes with its driver: the smallest shell around the sans-I/O core."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import IO, TypeVar

from at_session.vocabulary import Decision, Driver, DriverEvent, LaunchRequest, Write

Found = TypeVar("Found", bound=DriverEvent)


GROUP_SECONDS = 30.0
PATIENCE_SECONDS = 200.0
"""For what a CLI is to do: on a busy machine its start alone takes a minute."""


def plain_environment(home: Path) -> dict[str, str]:
    """What any CLI is given."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}


def _lives(group: int) -> bool:
    """Whether a process of the group runs still; one that is dead and not collected yet writes nothing any more."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, _, of = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            except OSError:
                continue
            if int(of) == group and state not in "ZX":
                return True
    return False


class PipedAgent:
    """A context manager around one process; its events are kept in order."""

    def __init__(self, driver: Driver, request: LaunchRequest) -> None:
        self.driver = driver
        self.events: list[DriverEvent] = []
        self.recorded: list[tuple[str, bytes | tuple[str, ...]]] = []
        self._changed = threading.Condition()
        self._performed: set[str] = set()
        launch = driver.launch(request)
        self.process = subprocess.Popen(
            launch.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=launch.cwd,
            env=dict(launch.env),
            start_new_session=True,
        )
        assert self.process.stdout is not None and self.process.stderr is not None
        streams = (("stdout", self.process.stdout), ("stderr", self.process.stderr))
        self._open = len(streams)
        self._threads = [threading.Thread(target=self._read, args=each, daemon=True) for each in streams]
        for thread in self._threads:
            thread.start()
        self.write(driver.open())

    def __enter__(self) -> PipedAgent:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def write(self, writes: list[Write]) -> None:
        """Perform writes, each id once, as a holder does."""
        assert self.process.stdin is not None
        with self._changed:
            fresh = [write for write in writes if write.id not in self._performed]
            self._performed.update(write.id for write in fresh)
        for write in fresh:
            self.process.stdin.write(write.data)
            self.process.stdin.flush()

    def prompt(self, message_id: str, text: str) -> None:
        """Hand a prompt over."""
        with self._changed:
            self.recorded.append(("prompt", (message_id, text)))
            writes = self.driver.prompt(message_id, text)
        self.write(writes)

    def decide(self, request_id: str, *, approve: bool, text: str = "") -> None:
        """Answer an ask."""
        with self._changed:
            self.recorded.append(("approve" if approve else "deny", (request_id, text)))
            writes = self.driver.decide(request_id, Decision(approve, text))
        self.write(writes)

    def interrupt(self, interrupt_id: str) -> None:
        """Ask the CLI to end its turn."""
        with self._changed:
            self.recorded.append(("interrupt", (interrupt_id,)))
            writes = self.driver.interrupt(interrupt_id)
        self.write(writes)

    def output(self) -> bytes:
        """What the process wrote to standard output so far."""
        with self._changed:
            return b"".join(
                data for name, data in self.recorded if name == "stdout" and isinstance(data, bytes)
            )

    def wait_for(
        self,
        kind: type[Found],
        matches: Callable[[Found], bool] = lambda event: True,
        *,
        count: int = 1,
        seconds: float = PATIENCE_SECONDS,
    ) -> Found:
        """The `count`-th event of a kind. Fails with the events so far if it does not come."""

        def found() -> list[Found]:
            return [event for event in self.events if isinstance(event, kind) and matches(event)]

        with self._changed:
            self._changed.wait_for(lambda: len(found()) >= count or self._open == 0, seconds)
            if len(found()) < count:
                listed = "\n".join(map(str, self.events))
                raise AssertionError(f"{kind.__name__} number {count} did not come; events:\n{listed}")
            return found()[count - 1]

    def of(self, kind: type[Found]) -> list[Found]:
        """All events of a kind so far."""
        with self._changed:
            return [event for event in self.events if isinstance(event, kind)]

    def close(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Close standard input and wait for the exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        code = self.process.wait(seconds)
        for thread in self._threads:
            thread.join(seconds)
        return code

    def _wait_for_group(self) -> None:
        """Until the last process of the group is gone: a CLI behind a wrapper may write its record a little longer."""
        pause, end = threading.Event(), monotonic() + GROUP_SECONDS
        while _lives(self.process.pid):
            if monotonic() > end:
                raise AssertionError(f"the group {self.process.pid} does not end")
            pause.wait(0.01)

    def kill(self) -> None:
        """SIGKILL to the whole group, as a power of nature would do it."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._wait_for_group()
        for thread in self._threads:
            thread.join(5)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None and not stream.closed:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue

    def _read(self, name: str, stream: IO[bytes]) -> None:
        while data := os.read(stream.fileno(), 1 << 16):
            with self._changed:
                self.recorded.append((name, data))
                given = list(self.driver.feed(name, data))
                self.events += [each for each in given if not isinstance(each, Write)]
                self._changed.notify_all()
            self.write([each for each in given if isinstance(each, Write)])
        with self._changed:
            self._open -= 1
            self._changed.notify_all()
