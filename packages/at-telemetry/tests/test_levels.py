from __future__ import annotations

import logging

import pytest

from at_telemetry.errors import InvalidLevel
from at_telemetry.levels import OFF, TRACE, Levels, level_number, lowest, parse


@pytest.mark.parametrize(
    ("directives", "target", "expected"),
    [
        ("", "at_daemon", logging.INFO),
        ("debug", "at_daemon", logging.DEBUG),
        ("WARN", "at_daemon", logging.WARNING),
        ("off", "at_daemon", OFF),
        ("at_daemon.git=debug,info", "at_daemon.git", logging.DEBUG),
        ("at_daemon.git=debug,info", "at_daemon.git.fetch", logging.DEBUG),
        ("at_daemon.git=debug,info", "at_daemon.github", logging.INFO),
        ("at_daemon.git=debug,info", "at_daemon", logging.INFO),
        ("error,at_daemon=info,at_daemon.git=trace", "at_daemon.git", TRACE),
        ("at_daemon.git=trace,at_daemon=info,error", "at_daemon.git", TRACE),
        ("at_daemon=debug,at_daemon=error", "at_daemon", logging.ERROR),
        (" , at_daemon = debug , ", "at_daemon", logging.DEBUG),
    ],
)
def test_directives(directives: str, target: str, expected: int) -> None:
    assert parse(directives, logging.INFO).of(target) == expected


@pytest.mark.parametrize("directives", ["loud", "at_daemon=loud", "debug,=x", "at_daemon="])
def test_wrong_directive_is_one_clear_line(directives: str) -> None:
    with pytest.raises(
        InvalidLevel, match=r"^AT_LOG: '.*' is no log level; allowed: trace, debug, info, "
    ) as caught:
        parse(directives, logging.INFO)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("level", "number"), [("Info", 20), (30, 30), ("trace", TRACE), (" error ", 40)])
def test_level_by_name_or_number(level: int | str, number: int) -> None:
    assert level_number(level) == number


def test_loggers_let_through_what_any_handler_wants() -> None:
    console = Levels(logging.INFO, (("at_daemon", logging.ERROR),))
    files = Levels(logging.WARNING, (("at_daemon.git", logging.DEBUG),))
    needed = lowest([console, files])
    assert needed.default == logging.INFO
    assert needed.of("at_daemon") == logging.WARNING
    assert needed.of("at_daemon.git") == logging.DEBUG
    assert lowest([]).default == logging.WARNING
