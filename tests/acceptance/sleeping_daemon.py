"""The daemon of a machine that can sleep and be rebooted by a test: `python sleeping_daemon.py CLOCK …`, with the daemon's own options.

CLOCK is a file with how many seconds the wall clock is ahead of this machine's, and the name of the boot.
"""

from __future__ import annotations

import functools
import json
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from at_agents.decisions import Awake
from at_daemon import wiring
from at_daemon.main import main


@dataclass(frozen=True, slots=True)
class Machine:
    """What a clock says on a machine that slept: the wall clock went on, the other one stood still."""

    ahead_seconds: float = 0.0
    boot: str = "boot-1"

    @classmethod
    def read(cls, file: Path) -> Machine:
        """From its file."""
        return cls(**json.loads(file.read_text()))

    def write(self, file: Path) -> None:
        """Into its file, at once as a whole."""
        new = file.with_suffix(".new")
        new.write_text(json.dumps({"ahead_seconds": self.ahead_seconds, "boot": self.boot}))
        new.replace(file)


@dataclass(frozen=True, slots=True)
class FileClock:
    """The daemon's clock, as the machine's file has it."""

    file: Path

    def now(self) -> datetime:
        """The wall clock."""
        return datetime.now(UTC) + timedelta(seconds=Machine.read(self.file).ahead_seconds)

    def awake(self) -> Awake:
        """How long this boot was awake, and which it is."""
        return Awake(time.monotonic(), Machine.read(self.file).boot)


if __name__ == "__main__":
    clock, *options = sys.argv[1:]
    sys.exit(main(options, functools.partial(wiring.run, clock=FileClock(Path(clock)))))
