"""Set-up of the logs: text or JSON on standard error, rotated JSON lines in a folder.

Each function may be called again: it replaces its own handler of the same kind and leaves those of others alone.
`AT_LOG` in the environment overrides the level given: `AT_LOG=debug`, or `AT_LOG=at_daemon.git=debug,info`.
Importing this module changes nothing and prints nothing.
"""

from __future__ import annotations

import logging
import os
import re
import stat
import sys
from collections.abc import Callable, Mapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO, TypeAlias

from at_telemetry.errors import InvalidService
from at_telemetry.levels import TRACE, Levels, level_number, lowest, parse
from at_telemetry.lines import Lines
from at_telemetry.redaction import SINK

ENVIRONMENT_NAME = "AT_LOG"
_SERVICE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_targets_set: set[str] = set()

Render: TypeAlias = Callable[[logging.LogRecord], str]


class _Rendered(logging.Formatter):
    """A formatter that is one function; the standard one would keep an unredacted traceback on the record."""

    def __init__(self, render: Render) -> None:
        super().__init__()
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        return self._render(record)


class _Ours(logging.Handler):
    """What our handlers share: levels by target, and an error that stays one line without the record's content."""

    levels: Levels
    _failed = False

    def prepare(self, levels: Levels, render: Render) -> None:
        self.levels = levels
        self.setFormatter(_Rendered(render))
        self.addFilter(lambda record: record.levelno >= levels.of(record.name))

    def handleError(self, record: logging.LogRecord) -> None:
        """Say once that lines are lost; the standard report would print the record's arguments as they are."""
        if self._failed:
            return
        self._failed = True
        error = sys.exc_info()[0]
        try:
            sys.stderr.write(f"log lines are lost: {error.__name__ if error else 'unknown error'}\n")
        except (OSError, ValueError, AttributeError):
            return


class _Console(_Ours, logging.StreamHandler[TextIO]):
    """Standard error, whichever it is at the moment of writing."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


class _Folder(_Ours, RotatingFileHandler):
    """Rotated files that only their owner can read."""

    def _open(self) -> TextIO:  # type: ignore[override]
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self.baseFilename, flags, 0o600)
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != 0o600:
            os.fchmod(descriptor, 0o600)
        return open(descriptor, "a", encoding="utf-8", errors="backslashreplace")


def init_logging(
    service: str, level: int | str = "info", *, environment: Mapping[str, str] | None = None
) -> None:
    """Readable lines on standard error from `level` on; `environment` (os.environ) may override by AT_LOG.

    Raises InvalidLevel or InvalidService; then nothing has changed.
    """
    _console(service, level, environment, Lines.text)


def init_logging_json(
    service: str, level: int | str = "info", *, environment: Mapping[str, str] | None = None
) -> None:
    """As `init_logging`, but each line is one flat JSON object."""
    _console(service, level, environment, Lines.json)


def init_logging_files(
    service: str,
    level: int | str,
    folder: Path,
    max_bytes: int = 10_000_000,
    backups: int = 5,
    *,
    environment: Mapping[str, str] | None = None,
) -> Path:
    """JSON lines in `folder`/`service`.jsonl besides what goes to standard error; returns that path.

    The file is renamed to `….jsonl.1` before it would exceed `max_bytes`, and so on up to `backups` older ones. Folder
    0700 (when made here), files 0600. Raises InvalidLevel, InvalidService or OSError; then nothing has changed.
    """
    lines, levels = _prepare(service, level, environment)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{service}.jsonl"
    handler = _Folder(path, maxBytes=max_bytes, backupCount=backups)
    handler.prepare(levels, lines.json)
    _install(handler, lambda other: isinstance(other, _Folder) and other.baseFilename == handler.baseFilename)
    return path


def end_logging() -> None:
    """Take our handlers and levels back, and close our files; the sink keeps what it has learnt."""
    _remove(lambda other: isinstance(other, _Ours))
    _set_levels([])


def _console(
    service: str,
    level: int | str,
    environment: Mapping[str, str] | None,
    form: Callable[[Lines, logging.LogRecord], str],
) -> None:
    lines, levels = _prepare(service, level, environment)
    handler = _Console()
    handler.prepare(levels, lambda record: form(lines, record))
    _install(handler, lambda other: isinstance(other, _Console))


def _prepare(service: str, level: int | str, environment: Mapping[str, str] | None) -> tuple[Lines, Levels]:
    if not _SERVICE.fullmatch(service):
        raise InvalidService(service)
    environment = os.environ if environment is None else environment
    levels = parse(environment.get(ENVIRONMENT_NAME, ""), level_number(level), ENVIRONMENT_NAME)
    SINK.learn(environment)
    return Lines(service, SINK), levels


def _install(handler: _Ours, replaces: Callable[[logging.Handler], bool]) -> None:
    root = logging.getLogger()
    logging.addLevelName(TRACE, "TRACE")
    _remove(replaces)
    root.addHandler(handler)
    _set_levels([each.levels for each in root.handlers if isinstance(each, _Ours)])


def _remove(unwanted: Callable[[logging.Handler], bool]) -> None:
    root = logging.getLogger()
    for old in [each for each in root.handlers if unwanted(each)]:
        root.removeHandler(old)
        old.close()


def _set_levels(levels: list[Levels]) -> None:
    """Let the loggers drop what no handler writes: a debug call that nobody reads costs one comparison."""
    needed = lowest(levels)
    for target in _targets_set - {name for name, _ in needed.targets}:
        logging.getLogger(target).setLevel(logging.NOTSET)
    _targets_set.clear()
    for target, level in needed.targets:
        logging.getLogger(target).setLevel(level)
        _targets_set.add(target)
    logging.getLogger().setLevel(needed.default)
