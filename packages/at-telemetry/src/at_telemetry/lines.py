"""A log record becomes text here and nowhere else: redacted first, then made visible, then cut to a bound.

Both forms are flat. A text line: `time LEVEL service target [thread] file:line message name=value …`, an exception's
lines below it, indented, so that no line of a message or traceback can pass for a log line. A JSON line: one object
whose values are strings, numbers, booleans or null; an extra that is a list or a mapping becomes its JSON text.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import PurePath
from typing import Final, TypeAlias

from at_telemetry import context
from at_telemetry.redaction import MARK, Redactor, looks_secret
from at_telemetry.visible import visible, visible_in_json

Scalar: TypeAlias = str | int | float | bool | None
Fields: TypeAlias = dict[str, Scalar]

LONGEST_FIELD: Final = 65_536
"""Characters of one field that are written; the rest is counted, not kept."""
_CUT_MARGIN: Final = 4_096
_LONGEST_NAME: Final = 200
_DEEPEST: Final = 8
_OURS: Final = (
    "time", "level", "service", "target", "thread", "pid", "file", "line", "message", "exception", "stack",
)  # fmt: skip
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


@lru_cache(maxsize=1_024)
def _source_file(pathname: str, target: str) -> str:
    """The file from its top package on (`at_daemon/git.py`): an installation's own path says nothing."""
    path = PurePath(pathname)
    package = target.partition(".")[0]
    if package in path.parts:
        return "/".join(path.parts[path.parts.index(package) :])
    return path.name


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - an argument's own __str__ may raise anything; the line must come out
        return f"{record.msg!r} with {type(error).__name__} while formatting {record.args!r}"


def _exception(record: logging.LogRecord) -> str | None:
    if record.exc_info and record.exc_info[1] is not None:
        return "".join(traceback.format_exception(record.exc_info[1])).rstrip("\n")
    return record.exc_text or None


class Lines:
    """Turns records of one service into fields and lines; `sink` sees every text before anything else does."""

    def __init__(self, service: str, sink: Redactor) -> None:
        self._service = service
        self._sink = sink

    def fields(self, record: logging.LogRecord) -> Fields:
        """The record, flat, in the order in which it is written, without secrets."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields: Fields = {
            "time": when.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "service": self._service,
            "target": self._name(record.name),
            "thread": self._name(record.threadName or ""),
            "pid": record.process,
            "file": self._name(_source_file(record.pathname, record.name)),
            "line": record.lineno,
            "message": self._text(_message(record)),
        }
        for name, value in context.current().items():
            fields[name] = self._name(value)
        for name, value in vars(record).items():
            if name not in _STANDARD:
                fields[self._extra_name(name)] = self._extra(name, value)
        exception = _exception(record)
        if exception:
            fields["exception"] = self._text(exception)
        if record.stack_info:
            fields["stack"] = self._text(record.stack_info)
        return fields

    def text(self, record: logging.LogRecord) -> str:
        """One readable line without its end; below it, indented, an exception or a stack."""
        fields = self.fields(record)
        shown = {name: _shown(value) for name, value in fields.items()}
        head = (
            f"{shown['time']} {record.levelname:>8} {shown['service']} {shown['target']} [{shown['thread']}]"
            f" {shown['file']}:{shown['line']} {shown['message']}"
        )
        extras = [f" {visible(name)}={value}" for name, value in shown.items() if name not in _OURS]
        blocks = [
            "\n    " + visible(str(fields[name]), keep_lines=True).replace("\n", "\n    ")
            for name in ("exception", "stack")
            if name in fields
        ]
        return head + "".join(extras) + "".join(blocks)

    def json(self, record: logging.LogRecord) -> str:
        """One JSON object without a line end; unsafe characters are JSON escapes, so the values are exact."""
        return visible_in_json(json.dumps(self.fields(record), ensure_ascii=False))

    def _text(self, text: str) -> str:
        margin = max(_CUT_MARGIN, self._sink.longest)
        if len(text) <= LONGEST_FIELD + margin:
            text = self._sink.redact(text)
            return (
                text
                if len(text) <= LONGEST_FIELD
                else f"{text[:LONGEST_FIELD]}… (+{len(text) - LONGEST_FIELD})"
            )
        # A secret cut in two would not be recognised: what could be the first half of one is dropped with the rest.
        kept = self._sink.redact(text[: LONGEST_FIELD + margin])[:-margin][:LONGEST_FIELD]
        return f"{kept}… (+{len(text) - len(kept)})"

    def _name(self, text: str) -> str:
        return self._sink.redact_recurring(text) if len(text) <= _LONGEST_NAME else self._text(text)

    def _extra_name(self, name: str) -> str:
        name = self._name(name)
        return f"extra_{name}" if name in _OURS else name

    def _extra(self, name: str, value: object) -> Scalar:
        clean = self._clean(name, value, _DEEPEST)
        if clean is None or isinstance(clean, str | int | float):
            return clean
        return self._text(json.dumps(clean, ensure_ascii=False))

    def _clean(self, name: str, value: object, depth: int) -> object:
        if value is None or isinstance(value, bool):
            return value
        if looks_secret(name):
            return MARK
        if isinstance(value, int | float):
            return self._number(value)
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, bytes | bytearray):
            return self._text(value.decode("utf-8", "backslashreplace"))
        if depth and isinstance(value, Mapping):
            return {
                self._text(str(key)): self._clean(str(key), each, depth - 1) for key, each in value.items()
            }
        if depth and isinstance(value, Sequence | set | frozenset):
            return [self._clean(name, each, depth - 1) for each in value]
        return self._text(_shown_object(value))

    def _number(self, value: float) -> Scalar:
        written = repr(value)
        finite = written.lstrip("-")[0].isdigit()
        return value if finite and self._sink.redact(written) == written else self._sink.redact(written)


def _shown(value: Scalar) -> str:
    """A value in a text line: JSON's words for null and booleans."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return visible(str(value))


def _shown_object(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - a foreign __str__ may raise anything; the line must come out
        return f"<{type(value).__name__}: {type(error).__name__} in __str__>"
