"""Characters that would act on a terminal or hide in text, made visible.

Covered: C0 and C1 controls and DEL (ECMA-48), line and paragraph separators, bidirectional controls (Unicode
Standard Annex 9; the "Trojan Source" set), zero-width and other invisible format characters, tag characters
(U+E0000 block) and lone surrogates. Zero-width joiner and non-joiner stay: scripts and emoji need them.
"""

from __future__ import annotations

import re

_UNSAFE = (
    r"\x00-\x1f\x7f-\x9f"
    r"\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff"
    r"\U000e0000-\U000e0fff"
)
_UNSAFE_CHARACTER = re.compile(f"[{_UNSAFE}]")
_UNSAFE_BUT_LINES = re.compile(f"(?![\n\t])[{_UNSAFE}]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _escape_for_json(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def visible(text: str, *, keep_lines: bool = False) -> str:
    """`text` with each unsafe character written as an escape such as `\\x1b` or `\\u202e`.

    With `keep_lines`, newline and tab stay as they are. A backslash is not doubled: the result is for reading,
    not for turning back.
    """
    return (_UNSAFE_BUT_LINES if keep_lines else _UNSAFE_CHARACTER).sub(_escape, text)


def visible_in_json(document: str) -> str:
    """A JSON document with the unsafe characters inside its strings written as JSON escapes: the value is unchanged.

    `document` is the output of `json.dumps(…, ensure_ascii=False)` without indentation.
    """
    return _UNSAFE_CHARACTER.sub(_escape_for_json, document)
