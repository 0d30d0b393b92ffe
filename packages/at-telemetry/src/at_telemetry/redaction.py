"""The one redaction sink: every text that a log handler writes has gone through `SINK`.

Three sources of knowledge, in this order:

1. values learnt by heart: those of environment names that look secret (`SINK.learn(environment)`), found anywhere;
2. tokens with a known shape (`sk-…`, `ghp_…`, JSON Web Tokens, private keys, …), found at the start of a word;
3. places where a secret stands: authorization headers, URL credentials, assignments to a secret-looking name,
   passwords in the arguments of well-known commands.

A false alarm costs a word in a log, a miss costs a key: where a rule must err it takes too much, up to the end of
the line after an unquoted `Authorization:`. Every pattern is linear in the length of the text (possessive or bounded
repetition), because what is logged is chosen by strangers.
"""

from __future__ import annotations

import binascii
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

_FOLDERS: Final = frozenset({"PWD", "OLDPWD"})
_IS_FOLDER: Final = r"""(?-i:(?:\b|(?<=\bOLD))PWD\b(?=[\\"']*+\s?[:=,]\s?[\\"']*+/))"""
"""What a shell keeps under `PWD` and `OLDPWD`. An ODBC string has its password under `PWD`: the slash tells."""
_SECRET_WORD: Final = (
    r"(?:(?:api|access|private|secret|signing|encryption)[_-]?key|token(?!s|i[sz])|secret|passw(?:or)?d|passphrase"
    r"|(?:db|smtp|imap|mail|ftp|ssh|pg|mysql|redis|user|admin|root|proxy)[_-]?pass(?![a-z])"
    rf"|(?!{_IS_FOLDER})pwd|credential|(?<![a-z])creds(?![a-z])|authorization|cookie"
    r"|connection[_-]?string|webhook[_-]?url)"
    r"(?!s?[_-]?(?:count|limit|usage|type|budget|kind))"
)
_SECRET_NAME = re.compile(
    rf"{_SECRET_WORD}|(?-i:(?:^|_)(?:AUTH|PAT|PW|JWT)$|_(?:KEYS?|PASS|CREDS|WEBHOOK)$"
    r"|^(?!.*(?:MAX|MIN|INPUT|OUTPUT|CACHED|TOTAL|THINKING|NUM|COUNT|USED)_)(?:.*_)?TOKENS$)",
    re.IGNORECASE,
)
_ENVIRONMENT_NAME: Final = r"(?<![A-Z0-9_])[A-Z][A-Z0-9_]{0,60}_"

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
    r"|gsk_[A-Za-z0-9]{16,}"
    r"|xai-[A-Za-z0-9]{16,}"
    r"|glsa_[A-Za-z0-9_]{16,}"
    r"|do[opr]_v1_[A-Za-z0-9]{16,}"
    r"|SG\.[A-Za-z0-9_-]{16,}+\.[A-Za-z0-9_-]{16,}"
    r"|xapp-[A-Za-z0-9-]{8,}"
    r"|shp(?:at|ca|pa|ss)_[A-Za-z0-9]{16,}"
    r"|r8_[A-Za-z0-9]{16,}"
    r"|dckr_pat_[A-Za-z0-9_-]{16,}"
    r"|lin_api_[A-Za-z0-9]{16,}"
    r"|ATATT3[A-Za-z0-9_=-]{16,}"
    r"|eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{2,}+(?:\.[A-Za-z0-9_-]*+)?"
    r")"
)

_TO_OPTION: Final = r"""\b[^\r\n|;]{0,200}?[\s"']"""
_NEXT: Final = r"""(?:["']?,\s?|\s{1,8}|=)"""
_USER_AND_PASSWORD: Final = (
    r"""(?:"[^":\r\n]*+:[^"\r\n]*+"|'[^':\r\n]*+:[^'\r\n]*+'|[^\s:"']{1,128}+:[^\s"']++)"""
)
_COMMANDS: Final = (
    r"((?:"
    rf"\bcurl{_TO_OPTION}(?:-[A-Za-z]{{0,8}}[uU]{_NEXT}?|--(?:proxy-)?user{_NEXT})(?={_USER_AND_PASSWORD})"
    rf"|\b(?:mysql(?:dump|admin|import)?|mariadb(?:-dump|-admin)?){_TO_OPTION}-p(?![\"']?,)"
    rf"|\bsshpass{_TO_OPTION}-p{_NEXT}?"
    rf"|\bredis-cli{_TO_OPTION}-a{_NEXT}"
    rf"|\b(?:docker|podman|helm\sregistry)\slogin{_TO_OPTION}-p{_NEXT}"
    rf"))(?:{_USER_AND_PASSWORD}|{_VALUE})"
)
_ASSIGNED_IN_ENVIRONMENT: Final = (
    rf"((?:{_ENVIRONMENT_NAME}(?:(?:PW|KEY|CREDS|JWT|PAT|AUTH|WEBHOOK)|(?:PASS|TOKENS|KEYS)(?!{_IS}\d++(?![\w-])))"
    rf"|(?<![A-Z0-9_])JWT(?=[\\\"']*+=)){_IS}){_VALUE}"
)
_AS_ADDRESS: Final = (
    r"((?:hooks\.slack\.com/(?:services|workflows|triggers)|discord(?:app)?\.com/api/webhooks)/)[^\s\"'<>]++"
)


def _whole(_: re.Match[str]) -> str:
    return MARK


def _after(found: re.Match[str]) -> str:
    """Keep group 1, what stands before the secret: the line stays readable."""
    return f"{found[1]}{MARK}"


def _basic(found: re.Match[str]) -> str:
    """Hide base64 of a name, a colon and a password behind the word Basic; `Basic authentication` stays."""
    coded = found[2]
    try:
        plain = binascii.a2b_base64(coded[: len(coded) // 4 * 4]).decode()
    except ValueError:
        return found[0]
    return _after(found) if ":" in plain and plain.isprintable() else found[0]


_SECRET_NEEDLES: Final = (
    "key", "token", "secret", "pass", "pwd", "credential", "creds", "authorization", "cookie", "connection", "webhook",
)  # fmt: skip
_RULES: Final = tuple(
    # Functions, not templates: Python looks a template up at each call, which costs more than a search without a hit.
    # One of the needles is in each text (in small letters) that the pattern fits: they are found many times faster.
    (needles, re.compile(pattern, flags), replacement)
    for needles, pattern, flags, replacement in (
        (("private key",), _PRIVATE_KEY, 0, _whole),
        (("-", "_", "a", "."), _SHAPES, 0, _whole),
        (("authorization", "api-key", "cookie"), rf"({_HEADER}{_IS}){_TO_LINE_END}", re.IGNORECASE, _after),
        (
            _SECRET_NEEDLES,
            rf"(['\"](?:{_HEADER}|{_SECRET_WORD})['\"]\s?,\s?){_VALUE}",
            re.IGNORECASE,
            _after,
        ),
        (("bearer",), r"(\bbearer\s{1,8})[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE, _after),
        (("basic",), r"(\bbasic\s{1,8})([A-Za-z0-9+/]{8,}+={0,2})", re.IGNORECASE, _basic),
        (("hooks.slack", "webhooks/"), _AS_ADDRESS, 0, _after),
        (("accountkey", "accesskey"), r"((?:Account|SharedAccess)Key=)[^\s;\"']++", 0, _after),
        (("://",), r"(://)(?!git@)[^\s/\"'<>]*(?=@)", 0, _after),
        (("?", "&"), r"([?&](?:key|sig|signature|code|auth)=)[^\s&\"'<>]++", re.IGNORECASE, _after),
        (_SECRET_NEEDLES, rf"({_SECRET_WORD}[\w-]{{0,40}}{_IS}){_VALUE}", re.IGNORECASE, _after),
        (
            ("_pw", "_key", "_creds", "jwt", "_pat", "_auth", "_webhook", "_pass", "_tokens"),
            _ASSIGNED_IN_ENVIRONMENT,
            0,
            _after,
        ),
        (
            ("--",),
            rf"(--(?:[a-z]{{1,16}}-){{0,3}}{_SECRET_WORD}\s{{1,8}}){_VALUE}",
            re.IGNORECASE,
            _after,
        ),
        (("curl", "mysql", "mariadb", "sshpass", "redis-cli", "login"), _COMMANDS, 0, _after),
    )
)


def looks_secret(name: str) -> bool:
    """Whether a value under this name (environment, field, header) is to be hidden: `OPENAI_API_KEY`, `PGPASSWORD`.

    Counters are not: `input_tokens`, `token_count`. Nor are the folders in which a shell is and was.
    """
    return name not in _FOLDERS and _SECRET_NAME.search(name) is not None


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
        small = text.lower()
        for needles, pattern, replacement in _RULES:
            for needle in needles:
                if needle in small:
                    text = pattern.sub(replacement, text)
                    break
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
