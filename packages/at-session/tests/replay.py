"""Recordings of the real CLIs, in the pieces in which a driver gets them (`tests/clis` at the root records them)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hypothesis import strategies as st

from at_session.vocabulary import Decision, Driver, DriverEvent, DriverState, Write

Found = TypeVar("Found", bound=DriverEvent | Write)
Restored = TypeVar("Restored", bound=Driver)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@dataclass(frozen=True)
class Act:
    """What we did: `launch`, `prompt`, `approve`, `deny` or `interrupt`."""

    name: str
    arguments: list[str]


@dataclass(frozen=True)
class Chunk:
    """What the CLI wrote to a stream."""

    stream: str
    data: bytes


@dataclass(frozen=True)
class Restart:
    """The daemon is killed and started again."""


class Recordings:
    """The recorded cases of one version of a CLI."""

    def __init__(self, version: str) -> None:
        self._folder = Path(__file__).with_name("recordings") / version
        # `CASE.rollout.jsonl` is no case but a CLI's own record of one.
        self.cases = sorted(path.stem for path in self._folder.glob("*.jsonl") if "." not in path.stem)

    def steps(self, case: str, cuts: Iterable[int] = ()) -> Iterator[Act | Chunk | Restart]:
        """A case from its beginning to its end, with a restart at each cut, counted in bytes of the streams."""
        waiting = sorted(set(cuts), reverse=True)
        position = 0
        for name, given in self._entries(case):
            if isinstance(given, list):
                yield Act(name, given)
                continue
            data = given.encode() + b"\n"
            while waiting and waiting[-1] < position + len(data):
                size = max(0, waiting.pop() - position)
                yield Chunk(name, data[:size])
                yield Restart()
                data, position = data[size:], position + size
            yield Chunk(name, data)
            position += len(data)

    def size(self, case: str) -> int:
        """Bytes of all streams of a case."""
        return sum(len(step.data) for step in self.steps(case) if isinstance(step, Chunk))

    def lines(self, case: str) -> list[str]:
        """What the CLI wrote to standard output."""
        entries = self._entries(case)
        return [given for name, given in entries if name == "stdout" and isinstance(given, str)]

    def _entries(self, case: str) -> Iterator[tuple[str, str | list[str]]]:
        for line in (self._folder / f"{case}.jsonl").read_text(encoding="utf-8").splitlines():
            yield next(iter(json.loads(line).items()))


def perform(driver: Driver, act: Act) -> list[Write]:
    """Do to a driver what was done to the recorded one; launching is the test's."""
    match act.name:
        case "prompt":
            return driver.prompt(*act.arguments)
        case "approve" | "deny":
            request_id, text = act.arguments
            return driver.decide(request_id, Decision(act.name == "approve", text))
        case "interrupt":
            return driver.interrupt(*act.arguments)
    raise ValueError(f"nobody does this to a driver: {act}")


def restored(driver: Restored) -> Restored:
    """The driver of a daemon that was killed and started again."""
    return type(driver)(DriverState(json.loads(json.dumps(driver.state.values))))


def of(events: Iterable[DriverEvent | Write], kind: type[Found]) -> list[Found]:
    """The events of a kind."""
    return [event for event in events if isinstance(event, kind)]
