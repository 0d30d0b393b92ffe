from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from at_core import api
from at_core.api import BY_NAME, ROUTES, Answer, Request, Route
from at_core.client import Client, body_of, target_of

BODIES = sorted({route.body for route in ROUTES if route.body}, key=lambda kind: kind.__name__)


def test_each_route_has_a_name_and_a_place_of_its_own() -> None:
    assert len(BY_NAME) == len(ROUTES)
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


def test_no_path_hides_another() -> None:
    """A parameter takes one part of a path, so two routes of one method must differ in a fixed part or in length."""

    def collide(one: Route, other: Route) -> bool:
        mine, theirs = one.path.split("/"), other.path.split("/")
        pairs = list(zip(mine, theirs, strict=False))
        return len(mine) == len(theirs) and all("{" in a + b or a == b for a, b in pairs)

    assert not [
        (one.name, other.name)
        for one in ROUTES
        for other in ROUTES
        if one is not other and one.method == other.method and collide(one, other)
    ]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_route_can_be_called_by_the_client(route: Route) -> None:
    parameters = dict.fromkeys(route.parameters, "x")
    query = {name: kind(1) for name, kind in route.query}
    target = target_of(route, parameters, query)
    assert target.startswith("/v1/")
    assert "{" not in target
    for name, _ in route.query:
        assert f"{name}=1" in target
    assert (body_of(route, route.body and _example(route.body)) is None) == (route.body is None)
    assert route.answer is not Answer.EVENTS or route.name == "event_stream"
    assert callable(Client.call)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_only_orders_have_a_body_and_questions_never_do(route: Route) -> None:
    assert route.method in ("GET", "POST", "DELETE")
    assert (route.body is not None) == (route.method == "POST")


@pytest.mark.parametrize("kind", BODIES, ids=lambda kind: kind.__name__)
def test_bodies_are_frozen_and_refuse_keys_they_do_not_have(kind: type) -> None:
    assert Request in kind.__mro__
    made = _example(kind)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made, dataclasses.fields(kind)[0].name, "changed")
    assert not hasattr(made, "__dict__")


def test_parameters_are_the_names_in_braces() -> None:
    assert Route("x", "GET", "/v1/a/{b}/c/{d}", "").parameters == ("b", "d")
    assert Route("x", "GET", "/v1/a", "").parameters == ()


def _example(kind: type) -> object:
    required = {
        field.name: "x" if field.type == "str" else True
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    return kind(**required)


def test_a_route_takes_an_id_exactly_where_its_request_has_one() -> None:
    named = {
        route.name
        for route in ROUTES
        if route.body and "id" in {field.name for field in dataclasses.fields(route.body)}
    }
    assert {route.name for route in ROUTES if route.takes_id} == named == {"add", "adopt", "run"}


def test_the_table_loads_no_request_before_it_is_needed() -> None:
    code = "import sys, at_core.client; print('at_core.requests' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_requests_may_be_imported_from_the_table() -> None:
    assert all(getattr(api, route.request) is route.body for route in ROUTES if route.request)
    with pytest.raises(AttributeError):
        _ = api.NoSuchRequest
