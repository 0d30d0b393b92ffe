"""Level directives: `debug`, or `at_daemon.git=debug,info` as in `AT_LOG`."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from at_telemetry.errors import InvalidLevel

TRACE: Final = 5
OFF: Final = logging.CRITICAL + 10
NAMES: Final = {
    "trace": TRACE,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "off": OFF,
}


@dataclass(frozen=True, slots=True)
class Levels:
    """From which level on a target (a logger's name) is written; the longest matching prefix decides."""

    default: int
    targets: tuple[tuple[str, int], ...] = ()

    def of(self, target: str) -> int:
        """The level of `target`; `at_daemon.git` also covers `at_daemon.git.fetch`."""
        matching = [
            (len(prefix), level)
            for prefix, level in self.targets
            if target == prefix or target.startswith(prefix + ".")
        ]
        return max(matching)[1] if matching else self.default


def level_number(level: int | str, source: str = "level") -> int:
    """The number of a level given by number or name in any case; InvalidLevel otherwise."""
    if isinstance(level, int):
        return level
    number = NAMES.get(level.strip().lower())
    if number is None:
        raise InvalidLevel(level.strip(), source, tuple(NAMES))
    return number


def parse(directives: str, default: int, source: str = "AT_LOG") -> Levels:
    """Directives separated by commas; one without a target replaces `default`, the last of a target counts."""
    targets: dict[str, int] = {}
    for directive in filter(None, (part.strip() for part in directives.split(","))):
        target, equals, level = directive.rpartition("=")
        if equals:
            targets[target.strip()] = level_number(level, source)
        else:
            default = level_number(directive, source)
    return Levels(default, tuple(targets.items()))


def lowest(levels: list[Levels]) -> Levels:
    """The most talkative of several, target by target: what the loggers must let through."""
    named = dict.fromkeys(target for each in levels for target, _ in each.targets)
    return Levels(
        min((each.default for each in levels), default=logging.WARNING),
        tuple((target, min(each.of(target) for each in levels)) for target in named),
    )
