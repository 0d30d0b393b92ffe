"""From a request to a `Call`, and from what its handler gives or raises to a response. No I/O of its own."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote

from at_core.api import Route
from at_core.errors import AtError, TryLater, UsageError
from at_daemon.sockets import Peer

_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
"""Escapes all that is not ASCII, so that text with surrogates from an undecodable name still is valid JSON."""

_STATUS = {"too_large": 413, "unreachable": 502, "store": 500, "disk_full": 507, "internal": 500}
_STATUS_OF_EXIT_CODE = {2: 400, 4: 404, 75: 503}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One validated request.

    `path` has the route's path parameters, `query` all of its named parameters (None where not given) and `body` an
    instance of the route's dataclass. For a stream of events `query["after"]` has Last-Event-ID already in it.
    """

    route: Route
    peer: Peer
    path: Mapping[str, str] = dataclasses.field(default_factory=dict)
    query: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    body: Any = None


Handler: TypeAlias = Callable[[Call], Awaitable[Any]]
"""What carries out a route. Its result, by `Route.answer`: a JSON object; `str`; `bytes` or an async iterator of
them; an async iterator of `(seq, JSON object)` for events; a `TerminalFeed` for a socket. It raises AtError for
what a user can act on; anything else becomes an internal error with a number that is in the log."""

EventIterator: TypeAlias = AsyncIterator[tuple[int, Mapping[str, Any]]]


class Stopping(TryLater):
    """The daemon ends and does not go on with this request."""

    code = "stopping"

    def __init__(self) -> None:
        super().__init__("the daemon is ending", "at up")


class Internal(AtError):
    """Something that is a fault of ours; the log has the rest under `number`."""

    code = "internal"

    def __init__(self, number: str) -> None:
        super().__init__(f"the daemon failed inside (error {number})", f"the log says why: {number}")


def encode(document: object) -> bytes:
    """A JSON document in ASCII; raises TypeError or ValueError for what has no JSON form."""
    return _ENCODER.encode(document).encode("ascii")


def error_document(error: AtError) -> dict[str, Any]:
    """What a client gets for an error."""
    return {
        "error": {
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
            "exit_code": error.exit_code,
        }
    }


def status_of(error: AtError) -> int:
    """The HTTP status; faces go by `exit_code`, this is for other clients."""
    return _STATUS.get(error.code) or _STATUS_OF_EXIT_CODE.get(error.exit_code, 409)


def path_parameters(raw: Mapping[str, str]) -> dict[str, str]:
    """Percent-decoded parameters of a path; raises UsageError for what is no text."""
    return {name: _text(name, unquote(value, errors="surrogateescape")) for name, value in raw.items()}


def query_parameters(route: Route, raw: bytes, last_event_id: str | None = None) -> dict[str, Any]:
    """The route's parameters by name, None where not given; raises UsageError naming the one that is wrong."""
    kinds = dict(route.query)
    given: dict[str, Any] = dict.fromkeys(kinds)
    pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, errors="surrogateescape")
    if last_event_id is not None and "after" in kinds:
        pairs.append(("after", last_event_id))
    for name, value in pairs:
        if name not in kinds:
            allowed = ", ".join(kinds) or "none"
            raise UsageError(f"{route.name} has no parameter {name!r} (allowed: {allowed})")
        given[name] = _typed(name, kinds[name], value)
    return given


def body(route: Route, raw: bytes) -> Any:
    """The request's dataclass from its JSON; raises UsageError with one line that names the key."""
    if route.body is None:
        if raw:
            raise UsageError(f"{route.name} takes no body")
        return None
    from pydantic import ValidationError

    try:
        document = json.loads(raw or b"{}")
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the body is not JSON: {error}") from error
    try:
        made = _adapter(route.body).validate_python(document)
    except ValidationError as error:
        raise UsageError(_in_one_line(route.body, error.errors(include_input=False))) from error
    _refuse_undecodable(made)
    return made


@cache
def _adapter(kind: type) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _refuse_undecodable(made: Any) -> None:
    """Raise UsageError for text that no file can hold; an environment, which is handed on as it is, may have it."""
    for field in dataclasses.fields(made):
        value = getattr(made, field.name)
        if isinstance(value, str):
            _text(field.name, value)
        for inner in value if isinstance(value, tuple) else (value,):
            if dataclasses.is_dataclass(inner):
                _refuse_undecodable(inner)


def _in_one_line(kind: type, found: list[Any]) -> str:
    first = next((each for each in found if each["type"] == "unexpected_keyword_argument"), found[0])
    place = [str(part) for part in first["loc"]]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    name = ".".join(place) or "the body"
    if first["type"] == "unexpected_keyword_argument":
        inner = _kind_at(kind, place[:-1])
        allowed = ", ".join(field.name for field in dataclasses.fields(inner))
        return f"unknown key {name!r} (allowed: {allowed}){more}"
    if first["type"] == "missing":
        return f"the key {name!r} is missing{more}"
    return f"{name}: {first['msg'][:1].lower()}{first['msg'][1:]}{more}"


def _kind_at(kind: Any, place: list[str]) -> Any:
    """The dataclass of the field at `place`."""
    for name in place:
        listed = typing.get_origin(kind) is tuple  # and `name` the place in it
        kind = typing.get_args(kind)[0] if listed else typing.get_type_hints(kind)[name]
    return kind


def _typed(name: str, kind: type, value: str) -> Any:
    if kind is str:
        return _text(name, value)
    try:
        number = kind(value)
    except ValueError:
        number = None
    if number is None or number - number != 0:  # infinity and no-number differ from themselves
        word = "a whole number" if kind is int else "a number"
        raise UsageError(f"{name} is to be {word}, not {value[:40]!r}")
    return number


def _text(name: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{name}: the text is not valid Unicode", "use names and text in UTF-8") from error
    return value
