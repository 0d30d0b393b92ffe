"""Cuts a decoded terminal stream into text and complete control sequences (ECMA-48), for engines without a parser
of their own that holds."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

# A string sequence (OSC, DCS, …) longer than this loses its content; its end is still found.
STRING_LIMIT = 8 << 10

TOKEN = re.compile(
    r"""
      (?P<text>[^\x00-\x1f\x7f-\x9f]+)
    | (?P<csi>\x1b\[[0-?]*[ -/]*[@-~])
    | (?P<string>\x1b[]PX^_][^\x07\x18\x1a\x1b]*(?:[\x07\x18\x1a]|\x1b\\|(?=\x1b[^\\])))
    | (?P<escape>\x1b(?:[ -/]+[0-~]|[0-OQ-WYZ\\`-~]))
    | (?P<control>[\x00-\x1a\x1c-\x1f\x7f-\x9f])
    | (?P<partial>\x1b(?:\[[0-?]*[ -/]*|[]PX^_][^\x07\x18\x1a\x1b]*\x1b?|[ -/]*)\Z)
    | (?P<broken>\x1b(?:\[[ -?]*|[ -/]*))
    """,
    re.VERBOSE,
)


class SequenceCutter:
    """Bytes in, `(kind, text)` out. What is not complete yet is kept and can be saved."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, data: bytes) -> Iterator[tuple[str, str]]:
        """Kinds: `text`, `csi`, `string`, `escape`, `control`. Sequences that are no sequence are dropped."""
        stream = self._rest + self._decoder.decode(data)
        self._rest = ""
        for match in TOKEN.finditer(stream):
            kind = match.lastgroup
            if kind == "partial":
                partial = match.group()
                self._rest = partial if len(partial) <= STRING_LIMIT else partial[:2] + partial[-1:]
            elif kind is not None and kind != "broken":
                yield kind, match.group()

    def save(self) -> tuple[str, bytes]:
        return self._rest, self._decoder.getstate()[0]

    def restore(self, rest: str, undecoded: bytes) -> None:
        self._rest = rest
        self._decoder.setstate((undecoded, 0))
