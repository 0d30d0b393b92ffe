"""The endpoint's Responses format, without any CLI."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from at_session.rehearsal.clis.codex import CodexRehearsal
from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import Cut, Drop, Refuse, Reply, Say, Stream, Tokens, ToolUse, UseTools
from at_session.rehearsal.wires.responses import FREEFORM

TOOLS = [{"type": "function", "name": "exec_command"}]
BOTH = (ToolUse("exec_command", {"cmd": "ls"}), ToolUse("apply_patch", {FREEFORM: "*** Begin Patch\n"}))


@pytest.fixture
def model() -> Iterator[Endpoint]:
    with Endpoint() as running:
        yield running


def post(model: Endpoint, body: dict[str, Any]) -> tuple[int, str]:
    connection = http.client.HTTPConnection(model.url.removeprefix("http://"), timeout=10)
    connection.request("POST", "/v1/responses", json.dumps({"model": "m", **body}))
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def ask(model: Endpoint, text: str, *, tools: object = TOOLS) -> tuple[int, list[dict[str, Any]]]:
    block = [{"type": "input_text", "text": text}]
    said = {"type": "message", "role": "user", "content": block}
    status, told = post(model, {"stream": True, "input": [said], "tools": tools})
    return status, [json.loads(line[6:]) for line in told.splitlines() if line.startswith("data: ")]


def items(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event["item"] for event in events if event["type"] == "response.output_item.done"]


@pytest.mark.parametrize(
    "reply, texts, ends",
    [
        (Say("Hello."), ["Hello."], True),
        (Stream(0.1, per_second=20), ["line 1\nline 2\n"], True),
        (Cut("Hal"), [], False),
        (Cut("Hal", after_block=True), ["Hal"], False),
    ],
    ids=["say", "stream", "cut", "cut-after-the-item"],
)
def test_a_text_is_said_on_the_wire(model: Endpoint, reply: Reply, texts: list[str], ends: bool) -> None:
    status, events = ask(model, model.script("one", reply))
    assert status == 200
    assert [item["content"][0]["text"] for item in items(events)] == texts
    assert (events[-1]["type"] == "response.completed") is ends


def test_several_tools_are_called_in_one_response(model: Endpoint) -> None:
    _, events = ask(model, model.script("tools", UseTools(BOTH, "Both.")))
    said, function, custom = items(events)
    assert said["content"][0]["text"] == "Both."
    assert (function["type"], json.loads(function["arguments"])) == ("function_call", {"cmd": "ls"})
    assert (custom["type"], custom["input"]) == ("custom_tool_call", "*** Begin Patch\n")
    assert function["call_id"] != custom["call_id"]


def test_a_tool_in_a_namespace_is_called_by_both_names(model: Endpoint) -> None:
    _, events = ask(model, model.script("mcp", UseTools((ToolUse("mcp__orch::note", {}),))))
    (call,) = items(events)
    assert (call["namespace"], call["name"]) == ("mcp__orch", "note")


def test_tools_told_in_the_conversation_count_as_tools(model: Endpoint) -> None:
    said = {"type": "message", "role": "user", "content": model.script("one", Say("scripted"))}
    told = {"type": "additional_tools", "role": "developer", "tools": TOOLS}
    assert "scripted" in post(model, {"stream": True, "input": [told, said]})[1]


def test_the_figures_of_a_response_include_its_cache(model: Endpoint) -> None:
    _, events = ask(model, model.script("one", Say("Hello.")))
    usage, sent = events[-1]["response"]["usage"], Tokens.of_response(1)
    assert usage["input_tokens"] == sent.given + sent.cached + sent.cache_written
    assert usage["input_tokens_details"]["cached_tokens"] == sent.cached
    assert (usage["output_tokens"], usage["total_tokens"]) == (
        sent.output,
        usage["input_tokens"] + sent.output,
    )


@pytest.mark.parametrize(
    "reply, status",
    [
        (CodexRehearsal().slow_down(), 429),
        (CodexRehearsal().quota(1_900_000_000), 429),
        (CodexRehearsal().login_refused(), 401),
        (CodexRehearsal().broken(), 500),
        (CodexRehearsal().too_long(), 400),
    ],
    ids=["slow-down", "quota", "login", "broken", "too-long"],
)
def test_an_error_has_the_vendors_shape(model: Endpoint, reply: Refuse, status: int) -> None:
    got, told = post(model, {"stream": True, "input": model.script("one", reply), "tools": TOOLS})
    assert got == status
    assert json.loads(told)["error"] == {
        "type": reply.kind,
        "code": reply.kind,
        "message": reply.message,
        "param": None,
    }


def test_a_dropped_connection_says_nothing(model: Endpoint) -> None:
    with pytest.raises(http.client.RemoteDisconnected):
        ask(model, model.script("one", Drop()))


def test_a_request_that_does_not_stream_is_answered_whole(model: Endpoint) -> None:
    status, told = post(model, {"input": model.script("one", Say("Whole.")), "tools": TOOLS})
    assert (status, json.loads(told)["output"][0]["content"][0]["text"]) == (200, "Whole.")


def test_a_request_without_tools_takes_no_reply(model: Endpoint) -> None:
    ask(model, model.script("one", Say("scripted")), tools=[])
    assert (model.exchanges(), len(model.exchanges(auxiliary=True))) == ([], 1)
