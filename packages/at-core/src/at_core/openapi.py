"""The route table as an OpenAPI 3.1 document; its schemas are JSON Schema 2020-12 of the request dataclasses."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Sequence
from typing import Any

from at_core.__about__ import __version__
from at_core.api import MAX_BODY_BYTES, ROUTES, Answer, Route

_SCALARS: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "hint", "exit_code"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string", "description": "One line."},
                "hint": {"type": "string", "description": "What to do or run next; may be empty."},
                "exit_code": {"type": "integer", "description": "What a command ends with."},
            },
        }
    },
}


def openapi_document(version: str = __version__, routes: Sequence[Route] = ROUTES) -> dict[str, Any]:
    """The whole document as plain JSON objects; `version` is that of the program which serves it."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = operation(route)
    schemas = {kind.__name__: schema(kind) for route in routes if route.body for kind in _kinds(route.body)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "auto-tundra",
            "version": version,
            "description": "Over the Unix socket run/at.sock of the home folder only. "
            f"A request's body has at most {MAX_BODY_BYTES} bytes.",
        },
        "servers": [
            {"url": "http://localhost", "description": "The host is of no account on a Unix socket."}
        ],
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR, **dict(sorted(schemas.items()))},
            "responses": {
                "Error": {
                    "description": "Refused or failed.",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                }
            },
        },
    }


def operation(route: Route) -> dict[str, Any]:
    """One operation object."""
    made: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.about,
        "parameters": [
            *(
                {"name": name, "in": "path", "required": True, "schema": _SCALARS[str]}
                for name in route.parameters
            ),
            *({"name": name, "in": "query", "schema": _SCALARS[kind]} for name, kind in route.query),
        ],
        "responses": {**_success(route), "default": {"$ref": "#/components/responses/Error"}},
    }
    if route.body is not None:
        made["requestBody"] = {
            "required": bool(schema(route.body).get("required")),
            "content": {"application/json": {"schema": _reference(route.body)}},
        }
    return made


def schema(kind: type) -> dict[str, Any]:
    """The JSON Schema of a request's dataclass, which refers to those that it contains."""
    hints = typing.get_type_hints(kind)
    fields = dataclasses.fields(kind)
    made: dict[str, Any] = {
        "type": "object",
        "description": (kind.__doc__ or "").strip(),
        "additionalProperties": False,
        "properties": {field.name: _property(hints[field.name], field) for field in fields},
    }
    required = [field.name for field in fields if _is_required(field)]
    return made | ({"required": required} if required else {})


def _success(route: Route) -> dict[str, Any]:
    if route.answer is Answer.SOCKET:
        return {"101": {"description": f"{route.about} A WebSocket (RFC 6455)."}}
    kind = _SCALARS[str] if route.answer is not Answer.JSON else {"type": "object"}
    return {"200": {"description": route.about, "content": {route.answer.value: {"schema": kind}}}}


def _property(hint: Any, field: dataclasses.Field[Any]) -> dict[str, Any]:
    made = _schema_of(hint)
    if field.default is not dataclasses.MISSING and field.default is not None:
        made = made | {"default": list(field.default) if isinstance(field.default, tuple) else field.default}
    return made


def _schema_of(hint: Any) -> dict[str, Any]:
    if hint in _SCALARS:
        return _SCALARS[hint]
    if dataclasses.is_dataclass(hint):
        return _reference(hint)
    if isinstance(hint, types.UnionType):
        return {"anyOf": [_schema_of(each) for each in typing.get_args(hint)]}
    if typing.get_origin(hint) is dict:
        return {"type": "object", "additionalProperties": _schema_of(typing.get_args(hint)[1])}
    if typing.get_origin(hint) is tuple:
        return {"type": "array", "items": _schema_of(typing.get_args(hint)[0])}
    raise TypeError(f"no JSON Schema for {hint}")


def _reference(kind: Any) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _kinds(kind: type) -> Iterator[type]:
    yield kind
    for each in typing.get_type_hints(kind).values():
        hint = typing.get_args(each)[0] if typing.get_origin(each) is tuple else each
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            yield from _kinds(hint)


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
