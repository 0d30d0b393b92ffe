"""Bytes of a terminal to names of keys. Sequences that we do not know are swallowed whole, so none becomes text."""

from __future__ import annotations

import codecs
import re

_NAMED = {
    "\r": "enter",
    "\n": "enter",
    "\t": "tab",
    "\x7f": "backspace",
    "\b": "backspace",
    "\x03": "interrupt",
    "\x04": "end-of-input",
    "\x0c": "redraw",
    "\x15": "erase",
    "\x1a": "suspend",
}
_ARROWS = {"A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end"}
_TILDES = {"1": "home", "4": "end", "5": "page-up", "6": "page-down"}
_SEQUENCE = re.compile(r"\x1b(?:\[([0-9;:<=>?]*)[ -/]*([@-~])|O([ -~])|\x1b|([^\x1b[O]))")
_UNFINISHED = re.compile(r"\x1b(?:\[[0-9;:<=>?]*[ -/]*|O)?\Z")


class Keys:
    """Feed it what was read; a character or a sequence that is cut is finished by the next read."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    @property
    def waits(self) -> bool:
        """Whether a sequence is not at its end: if nothing follows, it was the escape key."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[str]:
        """The keys that are whole now: a name, or the character itself."""
        text = self._rest + self._decoder.decode(data)
        found: list[str] = []
        place = 0
        while place < len(text):
            if text[place] != "\x1b":
                found += self._plain(text[place])
                place += 1
            elif _UNFINISHED.match(text, place):
                break
            elif sequence := _SEQUENCE.match(text, place):
                found += self._named(sequence)
                place = sequence.end()
            else:
                place += 1  # a sequence that breaks off in its middle
        self._rest = text[place:]
        return found

    def flush(self) -> list[str]:
        """Nothing follows for now: an escape alone was the key."""
        rest, self._rest = self._rest, ""
        return ["escape"] if rest == "\x1b" else []

    def _plain(self, character: str) -> list[str]:
        if character in _NAMED:
            return [_NAMED[character]]
        return [character] if character.isprintable() else []

    def _named(self, sequence: re.Match[str]) -> list[str]:
        parameters, final, single, _ = sequence.groups()
        if final == "~":
            name = _TILDES.get(parameters or "")
        else:
            name = _ARROWS.get(final or single or "")
        return [name] if name else []
