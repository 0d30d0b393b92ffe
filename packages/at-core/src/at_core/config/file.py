"""Reading a settings file of ours, and finding the line on which a key stands.

tomllib tells no lines. A key stands right behind the longest leading part of the file that is TOML without it; that
needs no second parser of TOML.
"""

from __future__ import annotations

import re
import stat
import tomllib
from pathlib import Path
from typing import Any

from at_core.errors import ConfigError

MAX_BYTES = 1 << 20

_PLACE = r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$"
_ABSENT = object()


def read_text(path: Path) -> str | None:
    """The file's text; None if there is no such file. Raises `ConfigError`."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
            raise ConfigError(str(path), f"is {kind}", "a file in TOML is wanted here; move it aside")
        if status.st_size > MAX_BYTES:
            raise ConfigError(
                str(path), f"has {status.st_size} bytes, at most {MAX_BYTES} are read", "shorten it"
            )
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(
            str(path), f"cannot be read: {error.strerror}", "check its owner and mode"
        ) from error
    return decode(data, str(path))


def decode(data: bytes, where: str) -> str:
    """The text of UTF-8 bytes, with or without a byte order mark. Raises `ConfigError` with the line."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise ConfigError(
            where,
            f"column {column} is not UTF-8 (byte 0x{data[error.start]:02x})",
            "save it as UTF-8",
            line=line,
        ) from error


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """The document. Raises `ConfigError` with line and column."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = str(error)
        found = re.search(_PLACE, problem)
        line, column = (int(found[1]), int(found[2])) if found and found[1] else _end(text)
        told = re.sub(_PLACE, "", problem)
        raise ConfigError(
            where, f"column {column} is not TOML: {told}", "correct that line", line=line
        ) from error
    except RecursionError as error:
        raise ConfigError(where, "is nested too deeply", "a setting is at most a list of texts") from error


def _end(text: str) -> tuple[int, int]:
    lines = text.split("\n")
    return len(lines), len(lines[-1]) + 1


class KeyLines:
    """Lines of the keys of one text that is TOML. A key is a path of names and places in lists."""

    def __init__(self, text: str) -> None:
        self._lines = [f"{line}\n" for line in text.split("\n")]
        self._parsed: dict[int, Any] = {}

    def line(self, key: tuple[str, ...]) -> int:
        """The line, from 1, on which the key's entry (or the header of its table) begins."""
        low, high = 0, len(self._lines)  # the first `low` lines lack the key, the first `high` have it
        while high - low > 1:
            middle = self._readable((low + high) // 2, low)
            if middle == low:  # one entry over several lines lies above: go up to its end
                middle = self._readable_above((low + high) // 2, high)
                if middle == high:
                    break
            if _has(self._document(middle), key):
                high = middle
            else:
                low = middle
        return low + 1

    def _readable(self, count: int, least: int) -> int:
        while count > least and self._document(count) is _ABSENT:
            count -= 1
        return count

    def _readable_above(self, count: int, most: int) -> int:
        while count < most and self._document(count) is _ABSENT:
            count += 1
        return count

    def _document(self, count: int) -> Any:
        if count not in self._parsed:
            try:
                self._parsed[count] = tomllib.loads("".join(self._lines[:count]))
            except tomllib.TOMLDecodeError:
                self._parsed[count] = _ABSENT
        return self._parsed[count]


def _has(document: Any, key: tuple[str, ...]) -> bool:
    for part in key:
        if not isinstance(document, dict) or part not in document:
            return False
        document = document[part]
    return True
