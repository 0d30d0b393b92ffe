"""The witness itself: the scripted endpoint and the seal, without any CLI."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from clis.install import LOCK

from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import Cut, Refuse, Reply, Say, Stream, Tokens, ToolUse, UseTools
from at_session.rehearsal.sealed import is_sealed

TOOLS = [{"name": "Bash"}]


@pytest.fixture
def model() -> Iterator[Endpoint]:
    with Endpoint() as running:
        yield running


def ask(model: Endpoint, *texts: str, tools: object = TOOLS) -> tuple[int, str]:
    messages = [{"role": "user", "content": [{"type": "text", "text": text}]} for text in texts]
    body = json.dumps({"model": "m", "stream": True, "messages": messages, "tools": tools})
    connection = http.client.HTTPConnection(model.url.removeprefix("http://"), timeout=10)
    connection.request("POST", "/v1/messages?beta=true", body)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


@pytest.mark.parametrize(
    "reply, status, part, ends",
    [
        (Say("Hello."), 200, '"text": "Hello."', True),
        (UseTools((ToolUse("Bash", {"command": "ls"}),)), 200, '{\\"command\\": \\"ls\\"}', True),
        (Stream(0.1, per_second=20), 200, "line 2\\n", True),
        (Cut("Hal"), 200, '"text": "Hal"', False),
        (Refuse(529, "overloaded_error", "Too much."), 529, '"message": "Too much."', False),
    ],
    ids=["say", "tools", "stream", "cut", "refuse"],
)
def test_a_reply_is_said_on_the_wire(
    model: Endpoint, reply: Reply, status: int, part: str, ends: bool
) -> None:
    got, text = ask(model, model.script("one", reply))
    assert got == status
    assert part in text
    assert ("message_stop" in text) is ends


def test_replies_follow_each_other_and_the_last_one_stays(model: Endpoint) -> None:
    marker = model.script("two", Say("first"), Say("second"))
    told = [ask(model, marker)[1] for _ in range(3)]
    assert ["first" in each for each in told] == [True, False, False]
    assert ["second" in each for each in told] == [False, True, True]


def test_the_last_prompt_chooses_and_deliveries_are_counted(model: Endpoint) -> None:
    one, two = model.script("one", Say("of one")), model.script("two", Say("of two"))
    assert "of two" in ask(model, one, two, "no marker here")[1]
    assert (model.deliveries("one"), model.deliveries("two"), model.deliveries("three")) == (1, 1, 0)
    assert [exchange.marker for exchange in model.exchanges()] == ["two"]


@pytest.mark.parametrize(
    "texts, tools", [(["rehearse:one"], []), (["rehearse:one", "CRITICAL: Respond with TEXT ONLY."], TOOLS)]
)
def test_requests_that_the_cli_makes_for_itself_take_no_reply(
    model: Endpoint, texts: list[str], tools: object
) -> None:
    model.script("one", Say("scripted"))
    assert "scripted" not in ask(model, *texts, tools=tools)[1]
    assert (model.exchanges(), len(model.exchanges(auxiliary=True))) == ([], 1)


def test_every_response_has_figures_of_its_own(model: Endpoint) -> None:
    marker = model.script("one", Refuse(500, "api_error", "No."), Say("a"), Say("b"))
    for _ in range(3):
        ask(model, marker)
    figures = [exchange.tokens for exchange in model.of("one")]
    assert figures == [None, Tokens.of_response(2), Tokens.of_response(3)]
    assert model.sent(model.of("one")) == Tokens(122 + 115, 1048 + 1035, 62 + 59, 64 + 53)


def test_the_lock_names_no_registry() -> None:
    packages = json.loads(LOCK.read_text())["packages"]
    assert not [name for name, package in packages.items() if "resolved" in package]
    assert all("integrity" in package for name, package in packages.items() if name)


def test_nothing_but_loopback_can_be_reached(commands: Path) -> None:
    assert is_sealed()
    assert (commands / "claude").exists()
    with socket.socket() as outside, pytest.raises(OSError, match="unreachable"):
        outside.connect(("192.0.2.1", 80))
