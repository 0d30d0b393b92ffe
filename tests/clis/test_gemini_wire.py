"""The Gemini wire format of the scripted endpoint, without any CLI."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import Cut, Refuse, Reply, Say, Stream, Tokens, ToolUse, UseTools

STREAMED = "/v1beta/models/gemini-x:streamGenerateContent?alt=sse"
WHOLE = "/v1beta/models/gemini-x:generateContent"
TOOLS = [{"functionDeclarations": [{"name": "write_file"}]}]
RPC = "type.googleapis.com/google.rpc."


@pytest.fixture
def model() -> Iterator[Endpoint]:
    with Endpoint() as running:
        yield running


def ask(model: Endpoint, path: str, *texts: str, tools: object = TOOLS) -> tuple[int, str]:
    contents = [{"role": "user", "parts": [{"text": text}]} for text in texts]
    connection = http.client.HTTPConnection(model.url.removeprefix("http://"), timeout=10)
    connection.request("POST", path, json.dumps({"contents": contents, "tools": tools}))
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def chunks(text: str) -> list[dict[str, Any]]:
    """The whole events of a stream."""
    found = []
    for line in text.split("\r\n\r\n"):
        try:
            found.append(json.loads(line.removeprefix("data: ")))
        except ValueError:
            continue
    return found


@pytest.mark.parametrize(
    "reply, parts, finish, whole",
    [
        (Say("Hello."), [{"text": "Hello."}], "STOP", True),
        (
            UseTools((ToolUse("a", {"x": 1}), ToolUse("b")), "Both."),
            [
                {"text": "Both."},
                {"functionCall": {"name": "a", "args": {"x": 1}}},
                {"functionCall": {"name": "b", "args": {}}},
            ],
            "STOP",
            True,
        ),
        (Stream(0.1, per_second=20), [{"text": "line 1\n"}, {"text": "line 2\n"}], "STOP", True),
        (Cut("Hal"), [{"text": "Hal"}], None, False),
        (Cut("Half.", after_block=True), [{"text": "Half."}], None, True),
    ],
    ids=["say", "tools", "stream", "cut", "cut-after"],
)
def test_a_reply_is_said_on_the_wire(
    model: Endpoint, reply: Reply, parts: list[dict[str, Any]], finish: str | None, whole: bool
) -> None:
    status, text = ask(model, STREAMED, model.script("one", reply))
    candidates = [chunk["candidates"][0] for chunk in chunks(text)]
    said = [part for each in candidates for part in each["content"]["parts"] if part != {"text": ""}]
    assert (status, said, candidates[-1].get("finishReason")) == (200, parts, finish)
    assert text.endswith("\r\n\r\n") is whole


def test_the_last_figures_of_a_stream_are_the_responses_own(model: Endpoint) -> None:
    usages = [
        each["usageMetadata"] for each in chunks(ask(model, STREAMED, model.script("one", Say("Hi.")))[1])
    ]
    tokens = Tokens.of_response(1)
    last = usages[-1]
    assert last["promptTokenCount"] - last["cachedContentTokenCount"] == tokens.given + tokens.cache_written
    assert last["cachedContentTokenCount"] == tokens.cached
    assert last["candidatesTokenCount"] + last["thoughtsTokenCount"] == tokens.output
    assert usages[0]["candidatesTokenCount"] < last["candidatesTokenCount"]


@pytest.mark.parametrize(
    "reply, details",
    [
        (Refuse(500, "INTERNAL", "Broken."), None),
        (
            Refuse(429, "RESOURCE_EXHAUSTED", "Slow.", retry_after=2),
            [{"@type": f"{RPC}RetryInfo", "retryDelay": "2s"}],
        ),
        (
            Refuse(429, "RESOURCE_EXHAUSTED:PerDay", "Enough."),
            [{"@type": f"{RPC}QuotaFailure", "violations": [{"quotaId": "PerDay"}]}],
        ),
    ],
    ids=["plain", "retry", "quota"],
)
def test_an_error_has_the_details_of_google_apis(
    model: Endpoint, reply: Refuse, details: list[dict[str, Any]] | None
) -> None:
    status, text = ask(model, STREAMED, model.script("one", reply))
    error = json.loads(text)["error"]
    assert (status, error["code"], error["message"]) == (reply.status, reply.status, reply.message)
    assert error["status"] == reply.kind.partition(":")[0]
    assert error.get("details") == details


def test_requests_that_the_cli_makes_for_itself_take_no_reply(model: Endpoint) -> None:
    marker = model.script("one", Say("scripted"))
    status, text = ask(model, WHOLE, marker, tools=[])
    answer = json.loads(json.loads(text)["candidates"][0]["content"]["parts"][0]["text"])
    assert (status, answer["model_choice"]) == (200, "pro")
    assert (model.exchanges(), len(model.exchanges(auxiliary=True))) == ([], 1)
    assert "scripted" in ask(model, WHOLE, marker)[1]


def test_counting_tokens_is_no_model_request(model: Endpoint) -> None:
    assert ask(model, "/v1beta/models/gemini-x:countTokens") == (200, '{"totalTokens": 1}')
    assert ask(model, "/v1beta/models")[0] == 404
    assert model.exchanges() == []
