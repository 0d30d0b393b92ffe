from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter

from at_core.api import ROUTES, Answer, Route
from at_core.openapi import openapi_document, schema

DOCUMENT = openapi_document("1.2.3")
JSON_TYPES = {"string", "integer", "number", "boolean", "null", "object", "array"}
BODIES = sorted({route.body for route in ROUTES if route.body}, key=lambda kind: kind.__name__)


def walk(node: Any) -> Iterator[dict[str, Any]]:
    """All objects in the document."""
    if isinstance(node, dict):
        yield node
        for each in node.values():
            yield from walk(each)
    elif isinstance(node, list):
        for each in node:
            yield from walk(each)


def resolve(reference: str) -> Any:
    node: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


def test_the_document_is_json_of_version_3_1() -> None:
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT
    assert DOCUMENT["openapi"] == "3.1.0"
    assert DOCUMENT["info"]["version"] == "1.2.3"
    assert DOCUMENT["info"]["title"]


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    references = {node["$ref"] for node in walk(DOCUMENT) if "$ref" in node}
    assert all(isinstance(resolve(reference), dict) for reference in references)
    components = {
        f"#/components/{kind}/{name}" for kind, named in DOCUMENT["components"].items() for name in named
    }
    assert references == components


def test_every_schema_has_known_types() -> None:
    types = {node["type"] for node in walk(DOCUMENT) if isinstance(node.get("type"), str)}
    assert types <= JSON_TYPES


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_route_is_one_operation(route: Route) -> None:
    operation = DOCUMENT["paths"][route.path][route.method.lower()]
    assert operation["operationId"] == route.name
    placed = [each["name"] for each in operation["parameters"] if each["in"] == "path"]
    assert placed == re.findall(r"\{(\w+)\}", route.path)
    assert all(each["required"] is True for each in operation["parameters"] if each["in"] == "path")
    assert [each["name"] for each in operation["parameters"] if each["in"] == "query"] == [
        name for name, _ in route.query
    ]
    assert ("requestBody" in operation) == (route.body is not None)
    assert ("101" in operation["responses"]) == (route.answer is Answer.SOCKET)
    assert "default" in operation["responses"]


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for path in DOCUMENT["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids)) == len(ROUTES)


@pytest.mark.parametrize("kind", BODIES, ids=lambda kind: kind.__name__)
def test_a_body_is_described_as_it_is_validated(kind: type) -> None:
    """The validating library's own schema is the oracle for names, what is required and what is refused."""
    ours, theirs = schema(kind), TypeAdapter(kind).json_schema()
    assert list(ours["properties"]) == list(theirs["properties"])
    assert ours.get("required", []) == theirs.get("required", [])
    assert ours["additionalProperties"] is theirs["additionalProperties"] is False


def test_an_unknown_type_is_an_error_of_the_table() -> None:
    import dataclasses

    bad = dataclasses.make_dataclass("Bad", [("it", complex)])
    with pytest.raises(TypeError, match="complex"):
        schema(bad)
