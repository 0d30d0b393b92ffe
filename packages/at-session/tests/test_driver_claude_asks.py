"""What a person is shown of Claude's requests, and what becomes of requests that nobody here understands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from at_session.drivers.claude import ClaudeDriver
from at_session.vocabulary import Unparsed, Write


def heard(request_id: object, request: dict[str, Any]) -> list[Any]:
    line = {"type": "control_request", "request_id": request_id, "request": request}
    return list(ClaudeDriver().feed("stdout", json.dumps(line).encode() + b"\n"))


@pytest.mark.parametrize("subtype", ["hook_callback", "mcp_message", None])
def test_a_request_that_is_not_understood_is_refused_and_told(subtype: str | None) -> None:
    told, write = heard("r9", {"subtype": subtype, "callback_id": "c"})
    assert isinstance(told, Unparsed) and "refused" in told.excerpt and str(subtype) in told.excerpt
    assert isinstance(write, Write) and write.id == "answer:r9"
    answer = json.loads(write.data)
    assert answer["type"] == "control_response"
    assert (answer["response"]["subtype"], answer["response"]["request_id"]) == ("error", "r9")
    assert answer["response"]["error"]


@pytest.mark.parametrize("request_id", [None, 7, ""])
def test_a_request_that_cannot_be_answered_is_told(request_id: object) -> None:
    (told,) = heard(request_id, {"subtype": "hook_callback"})
    assert isinstance(told, Unparsed)
