"""The only clock of the daemon: wall time for what is written down, awake time for patience."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from at_agents.decisions import Awake

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """Two readings; tests give their own."""

    def now(self) -> datetime:
        """The present, aware, in UTC."""

    def awake(self) -> Awake:
        """Seconds during which this boot was awake (CLOCK_MONOTONIC stands still in suspend), and which boot."""


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's clocks."""

    boot: str

    @classmethod
    def of_this_boot(cls) -> SystemClock:
        """Reads the boot id once; a machine without one counts as one boot per process."""
        try:
            return cls(BOOT_ID.read_text().strip())
        except OSError:
            return cls(f"process-{time.monotonic_ns()}")

    def now(self) -> datetime:
        return datetime.now(UTC)

    def awake(self) -> Awake:
        return Awake(time.monotonic(), self.boot)
