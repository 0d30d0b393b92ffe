"""The endpoint's chat completions format, without any CLI."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import (
    Cut,
    Drop,
    Hang,
    Refuse,
    Reply,
    Say,
    Stream,
    Tokens,
    ToolUse,
    UseTools,
)

TOOLS = [{"type": "function", "function": {"name": "bash"}}]
BOTH = (ToolUse("bash", {"command": "ls"}), ToolUse("write", {"filePath": "a", "content": "\u00e9\n"}))


@pytest.fixture
def model() -> Iterator[Endpoint]:
    with Endpoint() as running:
        yield running


def post(model: Endpoint, body: dict[str, Any]) -> tuple[int, str]:
    connection = http.client.HTTPConnection(model.url.removeprefix("http://"), timeout=10)
    connection.request("POST", "/v1/chat/completions", json.dumps({"model": "m", **body}))
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def ask(model: Endpoint, content: object, *, tools: object = TOOLS) -> tuple[list[dict[str, Any]], bool]:
    """The chunks of an answer, and whether it was ended."""
    messages = [{"role": "system", "content": "rehearse:none"}, {"role": "user", "content": content}]
    status, told = post(model, {"stream": True, "messages": messages, "tools": tools})
    assert status == 200
    data = [line[6:] for line in told.splitlines() if line.startswith("data: ")]
    return [json.loads(each) for each in data if each != "[DONE]"], data[-1:] == ["[DONE]"]


def said(chunks: list[dict[str, Any]]) -> str:
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


def reasons(chunks: list[dict[str, Any]]) -> list[str]:
    found = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    return [reason for reason in found if reason is not None]


@pytest.mark.parametrize(
    "reply, text, reason, ends",
    [
        (Say("Hello."), "Hello.", ["stop"], True),
        (Stream(0.1, per_second=20), "line 1\nline 2\n", ["stop"], True),
        (UseTools(BOTH, "First."), "First.", ["tool_calls"], True),
        (Cut("Hal"), "Hal", [], False),
        (Cut("Hal", after_block=True), "Hal", ["stop"], False),
    ],
    ids=["say", "stream", "tools", "cut", "cut-after-the-text"],
)
def test_a_reply_is_said_on_the_wire(
    model: Endpoint, reply: Reply, text: str, reason: list[str], ends: bool
) -> None:
    chunks, ended = ask(model, model.script("one", reply))
    assert (said(chunks), reasons(chunks), ended) == (text, reason, ends)


def test_several_tools_come_in_one_response(model: Endpoint) -> None:
    chunks, _ = ask(model, [{"type": "text", "text": model.script("two", UseTools(BOTH))}])
    calls = [
        call
        for chunk in chunks
        for choice in chunk["choices"]
        for call in choice["delta"].get("tool_calls", [])
    ]
    assert [(call["index"], call["function"]["name"]) for call in calls] == [(0, "bash"), (1, "write")]
    assert [json.loads(call["function"]["arguments"]) for call in calls] == [
        dict(tool.input) for tool in BOTH
    ]
    assert len({call["id"] for call in calls}) == 2


def test_the_figures_come_last_and_hold_what_was_cached(model: Endpoint) -> None:
    chunks, _ = ask(model, model.script("one", Say("a")))
    sent = Tokens.of_response(1)
    usage = chunks[-1]["usage"]
    assert usage["prompt_tokens"] == sent.given + sent.cached + sent.cache_written
    assert usage["prompt_tokens_details"] == {"cached_tokens": sent.cached}
    assert (usage["completion_tokens"], chunks[-1]["choices"]) == (sent.output, [])
    assert model.sent(model.of("one")) == sent


def test_a_request_without_tools_is_the_clis_own(model: Endpoint) -> None:
    chunks, _ = ask(model, model.script("one", Say("scripted")), tools=[])
    assert "scripted" not in said(chunks)
    assert (model.exchanges(), len(model.exchanges(auxiliary=True))) == ([], 1)


def test_an_answer_may_come_whole(model: Endpoint) -> None:
    marker = model.script("whole", UseTools(BOTH, "Both."))
    status, told = post(model, {"messages": [{"role": "user", "content": marker}], "tools": TOOLS})
    (choice,) = json.loads(told)["choices"]
    assert (status, choice["finish_reason"], choice["message"]["content"]) == (200, "tool_calls", "Both.")
    assert len(choice["message"]["tool_calls"]) == 2


def test_an_error_has_the_vendors_shape(model: Endpoint) -> None:
    refusal = Refuse(429, "insufficient_quota:insufficient_quota", "No more.", retry_after=7)
    marker = model.script("no", refusal)
    status, told = post(model, {"messages": [{"role": "user", "content": marker}], "tools": TOOLS})
    error = json.loads(told)["error"]
    assert (status, error["type"], error["code"]) == (429, "insufficient_quota", "insufficient_quota")
    assert error["message"] == "No more."


@pytest.mark.parametrize("reply", [Drop(), Hang(), Hang(headers=False)], ids=["drop", "hang", "mute"])
def test_silence_and_a_closed_connection_give_no_answer(model: Endpoint, reply: Reply) -> None:
    marker = model.script("none", reply)
    connection = http.client.HTTPConnection(model.url.removeprefix("http://"), timeout=0.5)
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": marker}], "tools": TOOLS}
    connection.request("POST", "/v1/chat/completions", json.dumps(body))
    with pytest.raises((TimeoutError, http.client.HTTPException, ConnectionError)):
        connection.getresponse().read()
    connection.close()
    assert [exchange.tokens is None for exchange in model.of("none")] == [True]
