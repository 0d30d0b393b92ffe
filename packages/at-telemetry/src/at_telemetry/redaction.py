"""The one redaction sink: every text that a log handler writes has gone through `SINK`.

Three sources of knowledge, in this order:

1. values learnt by heart: those of environment names that look secret (`SINK.learn(environment)`), found anywhere;
2. tokens with a known shape (`sk-…`, `ghp_…`, JSON Web Tokens, private keys, …), found at the start of a word;
3. places where a secret stands: authorization headers, URL credentials, assignments to a secret-looking name.

A false alarm costs a word in a log, a miss costs a key: where a rule must err it takes too much, up to the end of
the line after an unquoted `Authorization:`. Every pattern is linear in the length of the text (possessive or bounded
repetition), because what is logged is chosen by strangers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import quote

MARK: Final = "[redacted]"
SHORTEST_VALUE: Final = 6
"""Shorter environment values (`1`, `true`, `dev`) would blank out ordinary words; they are caught as assignments."""
_SHORTEST_LINE: Final = 16
_MOST_RECURRING: Final = 1_024

_SECRET_WORD: Final = (
    r"(?:(?:api|access|private|secret|signing|encryption)[_-]?key|token(?!s|i[sz])|secret|passw(?:or)?d|passphrase"
    r"|pwd|credential|authorization|cookie)"
    r"(?!s?[_-]?(?:count|limit|usage|type|budget|kind))"
)
_SECRET_NAME = re.compile(rf"{_SECRET_WORD}|(?-i:(?:^|_)(?:AUTH|PAT)$|_KEY$)", re.IGNORECASE)

_QUOTED: Final = r"""[bru]{0,2}\\*+"(?:[^"\\]|\\[\s\S])*+"?|[bru]{0,2}\\*+'(?:[^'\\]|\\[\s\S])*+'?"""
_VALUE: Final = rf"""(?:{_QUOTED}|(?:\[redacted\]|[^\s,;&"')}}\]])++)"""
_TO_LINE_END: Final = rf"""(?:{_QUOTED}|[^\r\n]++)"""
_IS: Final = r"[\\\"']*+\s{0,8}[:=]\s{0,8}"
_HEADER: Final = r"(?:(?:proxy-)?authorization|x-(?:goog-)?api-key|api-key|(?:set-)?cookie)"

_PRIVATE_KEY: Final = (
    r"-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----"
    r"(?:(?!-----END )[\s\S])*+(?:-----END [A-Z ]{0,32}PRIVATE KEY-----)?"
)
_SHAPES: Final = (
    r"(?<![A-Za-z0-9])(?:"
    r"sk-[A-Za-z0-9_-]{8,}"
    r"|[rs]k_(?:live|test)_[A-Za-z0-9]{8,}"
    r"|gh[pousr]_[A-Za-z0-9]{8,}"
    r"|github_pat_[A-Za-z0-9_]{8,}"
    r"|gl(?:pat|cbt|ptt|rt)-[A-Za-z0-9_-]{8,}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{8,}"
    r"|A[KS]IA[A-Z0-9]{16}"
    r"|AIza[A-Za-z0-9_-]{30,}"
    r"|ya29\.[A-Za-z0-9_-]{8,}"
    r"|hf_[A-Za-z0-9]{16,}"
    r"|npm_[A-Za-z0-9]{16,}"
    r"|pypi-[A-Za-z0-9_-]{16,}"
    r"|eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{2,}+(?:\.[A-Za-z0-9_-]*+)?"
    r")"
)


def _whole(_: re.Match[str]) -> str:
    return MARK


def _after(found: re.Match[str]) -> str:
    """Keep group 1, what stands before the secret: the line stays readable."""
    return f"{found[1]}{MARK}"


_RULES: Final = tuple(
    # Functions, not templates: Python looks a template up at each call, which costs more than a search without a hit.
    (re.compile(pattern, flags), replacement)
    for pattern, flags, replacement in (
        (_PRIVATE_KEY, 0, _whole),
        (_SHAPES, 0, _whole),
        (rf"({_HEADER}{_IS}){_TO_LINE_END}", re.IGNORECASE, _after),
        (rf"(['\"](?:{_HEADER}|{_SECRET_WORD})['\"]\s?,\s?){_VALUE}", re.IGNORECASE, _after),
        (r"(\bbearer\s{1,8})[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE, _after),
        (r"(://)(?!git@)[^\s/\"'<>]*(?=@)", 0, _after),
        (r"([?&](?:key|sig|signature|code|auth)=)[^\s&\"'<>]++", re.IGNORECASE, _after),
        (rf"({_SECRET_WORD}[\w-]{{0,40}}{_IS}){_VALUE}", re.IGNORECASE, _after),
        (rf"(--(?:[a-z]{{1,16}}-){{0,3}}{_SECRET_WORD}\s{{1,8}}){_VALUE}", re.IGNORECASE, _after),
    )
)


def looks_secret(name: str) -> bool:
    """Whether a value under this name (environment, field, header) is to be hidden: `OPENAI_API_KEY`, `PGPASSWORD`.

    Counters are not: `input_tokens`, `token_count`.
    """
    return _SECRET_NAME.search(name) is not None


def _written_forms(value: str) -> Iterator[str]:
    """A value as it stands, as `repr`, JSON and URLs write it, and line by line."""
    yield value
    yield value.strip()
    yield repr(value)[1:-1]
    yield json.dumps(value)[1:-1]
    yield quote(value, safe="", errors="surrogateescape")
    for line in value.splitlines():
        if len(line) >= _SHORTEST_LINE:
            yield line


class Redactor:
    """Replaces secrets in texts by `[redacted]`; safe to use from several threads."""

    def __init__(self) -> None:
        self._values: frozenset[str] = frozenset()
        self._by_heart: re.Pattern[str] | None = None
        self._recurring: dict[str, str] = {}

    @property
    def longest(self) -> int:
        """Length in characters of the longest value learnt by heart."""
        return max(map(len, self._values), default=0)

    def learn(self, environment: Mapping[str, str]) -> None:
        """Hide from now on each value of at least six characters whose name looks secret."""
        self.learn_values(value for name, value in environment.items() if looks_secret(name))

    def learn_values(self, values: Iterable[str]) -> None:
        """Hide these values from now on, wherever they stand; those under six characters are passed over."""
        forms = {form for value in values for form in _written_forms(value) if len(form) >= SHORTEST_VALUE}
        known = self._values | (forms - {MARK})
        if known == self._values:
            return
        longest_first = sorted(known, key=lambda form: (-len(form), form))
        self._by_heart = re.compile("|".join(map(re.escape, longest_first)))
        self._values = known
        self._recurring = {}

    def forget(self) -> None:
        """Know no value by heart any more; shapes and places stay."""
        self._values, self._by_heart, self._recurring = frozenset(), None, {}

    def redact(self, text: str) -> str:
        """`text` without its secrets."""
        if self._by_heart is not None:
            text = self._by_heart.sub(MARK, text)
        for pattern, replacement in _RULES:
            text = pattern.sub(replacement, text)
        return text

    def redact_recurring(self, text: str) -> str:
        """As `redact`, for texts that come again and again, such as names of targets and ids: they are remembered."""
        clean = self._recurring.get(text)
        if clean is None:
            remembered = self._recurring
            clean = self.redact(text)
            if len(remembered) >= _MOST_RECURRING:
                remembered.clear()
            remembered[text] = clean
        return clean


SINK: Final = Redactor()
"""The process's redactor: the log handlers use it, and whoever writes a text elsewhere (a report, a trace) should."""
