"""Terminal engines behind one interface.

`ghostty` (libghostty-vt through pyghostty) is the default. `pyte` stands in where no pyghostty wheel exists, plainly
degraded. `avt` is the second opinion of the conformance suite and is never chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Protocol, Self

from at_session.engines.screen import Cursor, Modes, Row
from at_session.errors import EngineMissing

SCROLLBACK_ROWS = 5000


class Engine(Protocol):
    """A terminal emulator: bytes in, state out. Rows and columns count from 0, sizes from 1.

    `feed` never raises, whatever the bytes. Nothing is ever answered to the program: replies come from the holder.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    """Name and release of what is inside; a saved state is only restored by the same version."""

    limitation: ClassVar[str | None]
    """What this engine cannot do, in words for a person; `None` when nothing is missing."""

    slow: ClassVar[bool]
    """It reads about 1 MB a second, not 100: too slow to follow a flood."""

    def __init__(self, rows: int, cols: int, scrollback: int = SCROLLBACK_ROWS) -> None: ...

    @classmethod
    def restore(cls, state: bytes, rows: int, cols: int, scrollback: int) -> Self:
        """Rebuild from `save`. Raises `SnapshotRejected` when `state` is damaged."""
        ...

    def save(self) -> bytes:
        """The whole state, unfinished sequences included. Raises `SnapshotUnavailable`."""
        ...

    def feed(self, data: bytes) -> None: ...
    def resize(self, rows: int, cols: int) -> None: ...
    def screen(self) -> tuple[Row, ...]: ...
    def cursor(self) -> Cursor: ...
    def modes(self) -> Modes: ...
    def title(self) -> str: ...
    def scrollback_length(self) -> int: ...

    def scrollback(self, start: int, count: int) -> tuple[Row, ...]:
        """Rows that left the screen, 0 being the oldest still kept; fewer than `count` where they end."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """The engine used where none is asked for, and why it is not the best one (`None`: it is)."""

    engine: type[Engine]
    degraded: str | None


@cache
def default_engine() -> EngineChoice:
    """Chosen once per process. Raises `EngineMissing` when neither pyghostty nor pyte is installed."""
    try:
        from at_session.engines.ghostty import GhosttyEngine
    except (EngineMissing, OSError) as missing:
        # OSError: the wheel is there but its library does not load on this system.
        from at_session.engines.pyte import PyteEngine

        return EngineChoice(PyteEngine, f"{PyteEngine.limitation} ({missing})")
    return EngineChoice(GhosttyEngine, None)
