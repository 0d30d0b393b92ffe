"""The debug log of Gemini CLI: the only place where it tells, in ACP mode, that it tries a model request again.

Source: the log of gemini 0.61.0, a line `[2026-01-31T10:20:30.123Z] [WARN] …` with further lines of the same entry
after it. The driver has it written to standard error (`GEMINI_DEBUG_LOG_FILE`).
"""

from __future__ import annotations

import re
from binascii import crc32
from typing import Any

from at_session.drivers import jsonlines
from at_session.drivers.acp_dialect import kind_of
from at_session.vocabulary import FailureKind, Retrying, Unparsed

_ENTRY = re.compile(r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^\]]*\] \[([A-Z]+)\] (.*)")
_ATTEMPT = re.compile(r"Attempt (\d{1,4}) failed(?: with status (\d{3})| with (\d{3}) error)?[:.]? ?(.*)")
_DELAY = re.compile(r"(.*?)\.? ?Retrying after (\d{1,9})ms")
_RESET = re.compile(r"reset after ((?:\d{1,6}(?:\.\d{1,9})?(?:ms|[dhms]) ?)+)")
_PART = re.compile(r"([\d.]+)(ms|[dhms])")
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
_LONGEST_RESET = 10 * 366 * 86400
_MESSAGE_LIMIT = 500
_WARNINGS_KEPT = 200


def read(line: str, values: dict[str, Any]) -> list[Retrying | Unparsed]:
    """What a line of standard error tells. `values` keeps a retry that is half told, and which warnings were seen.

    Lines that are not of the log, as a crash writes them, are facts, each entry of them by its first line.
    """
    found = _ENTRY.match(line)
    if found is None:
        if values.get("attempt"):
            return _continued(line, values)
        return [] if _inside(line) else _outside(line, values)
    level, said_first = found.groups()
    values.pop("attempt", None)
    if level in ("WARN", "ERROR"):
        values["warned"] = [*values.get("warned", []), crc32(said_first.encode())][-_WARNINGS_KEPT:]
    told = _ATTEMPT.match(said_first)
    if told is None:
        return [jsonlines.unparsed(line, "stderr")] if level == "ERROR" else []
    number, said = int(told.group(1)), told.group(4)
    status = int(told.group(2) or told.group(3) or 0)
    if said.startswith("Retrying with backoff") or "Retrying with backoff" in line:
        message = said.removeprefix("Retrying with backoff...").strip()
        return [_retrying(number, status, message, None)]
    values["attempt"] = {"number": number, "said": ""}
    return _continued(said, values)


def reset_in(message: str) -> float | None:
    """Seconds after which a limit ends, where its message says so."""
    found = _RESET.search(message)
    if found is None:
        return None
    seconds = sum(float(count) * _SECONDS[unit] for count, unit in _PART.findall(found.group(1)))
    return seconds if seconds <= _LONGEST_RESET else None


def _continued(line: str, values: dict[str, Any]) -> list[Retrying | Unparsed]:
    attempt = values["attempt"]
    found = _DELAY.match(line)
    said = f"{attempt['said']} {(found.group(1) if found else line).strip()}".strip()[:_MESSAGE_LIMIT]
    if found is None and "Max attempts reached" not in line:
        attempt["said"] = said
        return []
    del values["attempt"]
    return [_retrying(attempt["number"], 429, said, int(found.group(2)) / 1000)] if found else []


def _retrying(number: int, status: int, message: str, delay: float | None) -> Retrying:
    kind = kind_of(status or None, message)
    return Retrying(kind if kind is not FailureKind.OTHER else FailureKind.API, number, delay, message)


def _inside(line: str) -> bool:
    """Whether a line looks like a further one of an entry: the fields of an object, or a place in the code."""
    return not line.strip() or line[0] in " \t{}]"


def _outside(line: str, values: dict[str, Any]) -> list[Retrying | Unparsed]:
    """When it ends the CLI prints what it held back on standard error: its warnings once more, without their heads."""
    again = crc32(line.encode()) in values.get("warned", []) or _DELAY.match(line) is not None
    return [] if again else [jsonlines.unparsed(line, "stderr")]
