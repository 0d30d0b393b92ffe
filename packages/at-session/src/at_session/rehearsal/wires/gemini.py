"""The Gemini wire format: requests in, replies out as server-sent events.

Source: the public API reference of `models.streamGenerateContent` and `models.generateContent` (v1beta), the public
error model of Google APIs (`google.rpc.Status` with `QuotaFailure` and `RetryInfo`), and requests of gemini 0.61.0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from at_session.rehearsal.replies import (
    Cut,
    Hang,
    Refuse,
    Reply,
    Say,
    Stall,
    Stream,
    Tokens,
    UseTools,
)
from at_session.rehearsal.wires import ModelRequest, Pause

THOUGHTS = 9
"""Output tokens of every response that are told as thoughts, apart from the answer's own."""

_MODEL = re.compile(
    r"/v1(?:beta|beta1|alpha)?/models/([^/:?]+):(streamGenerateContent|generateContent)(?:\?|$)"
)
_COUNT = re.compile(r"/v1(?:beta|beta1|alpha)?/models/[^/:?]+:countTokens")
# Gemini CLI asks small models which model to use and who speaks next, and wants JSON; a title takes any text.
_ASIDE = json.dumps(
    {
        "complexity_reasoning": "rehearsal",
        "complexity_score": 90,
        "reasoning": "rehearsal",
        "model_choice": "pro",
        "next_speaker": "user",
    }
)
_TYPE = "type.googleapis.com/google.rpc."


class GenerateContent:
    """`/v1beta/models/MODEL:streamGenerateContent` and `:generateContent`."""

    def accepts(self, path: str) -> bool:
        return _MODEL.match(path) is not None

    def aside(self, path: str) -> dict[str, Any] | None:
        return {"totalTokens": 1} if _COUNT.match(path) else None

    def read(self, path: str, body: dict[str, Any]) -> ModelRequest:
        found = _MODEL.match(path)
        texts: list[str] = []
        for content in body.get("contents", []):
            if content.get("role", "user") == "user":
                texts += [part["text"] for part in content.get("parts", []) if "text" in part]
        return ModelRequest(
            model=found.group(1) if found else "",
            streams=found is not None and found.group(2) == "streamGenerateContent",
            auxiliary=not body.get("tools"),
            texts=tuple(texts),
        )

    def error(self, reply: Refuse) -> dict[str, Any]:
        """`kind` is the status' name, and after a colon the id of the quota that is used up."""
        status, _, quota = reply.kind.partition(":")
        details: list[dict[str, Any]] = []
        if quota:
            details.append({"@type": f"{_TYPE}QuotaFailure", "violations": [{"quotaId": quota}]})
        if reply.retry_after is not None:
            details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{reply.retry_after}s"})
        told = {"code": reply.status, "message": reply.message, "status": status}
        return {"error": {**told, "details": details} if details else told}

    def whole(self, request: ModelRequest, reply: Reply, tokens: Tokens, number: int) -> dict[str, Any]:
        text = reply.text if isinstance(reply, Say | UseTools | Cut) else "ok"
        parts = [{"text": _ASIDE if request.auxiliary else text}]
        return _chunk(request, number, parts, _usage(tokens), "STOP")

    def stream(
        self, request: ModelRequest, reply: Reply, tokens: Tokens, number: int
    ) -> Iterator[bytes | Pause]:
        if isinstance(reply, Hang):
            yield Pause(None)
            return
        # Every chunk has figures; those of the answer grow, and only the last ones count.
        usage = _usage(Tokens(tokens.given, tokens.cached, tokens.cache_written, THOUGHTS + 1))
        for piece in _content(reply):
            yield piece if isinstance(piece, Pause) else _event(_chunk(request, number, piece, usage))
        if isinstance(reply, Cut):
            if not reply.after_block:
                yield b'data: {"candidates": [{"content": {"parts": [{"text": "'
            return
        yield _event(_chunk(request, number, [{"text": ""}], _usage(tokens), "STOP"))


def _content(reply: Reply) -> Iterator[list[dict[str, Any]] | Pause]:
    if isinstance(reply, Stream):
        for line in range(1, round(reply.seconds * reply.per_second) + 1):
            yield Pause(1 / reply.per_second)
            yield [{"text": f"line {line}\n"}]
    if isinstance(reply, Say | Cut | Stall) or (isinstance(reply, UseTools) and reply.text):
        yield [{"text": reply.text}]
    if isinstance(reply, Stall):
        yield Pause(None)
    if isinstance(reply, UseTools):
        yield [{"functionCall": {"name": tool.name, "args": dict(tool.input)}} for tool in reply.tools]


def _event(chunk: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(chunk)}\r\n\r\n".encode()


def _chunk(
    request: ModelRequest,
    number: int,
    parts: list[dict[str, Any]],
    usage: dict[str, int],
    finish: str | None = None,
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": request.model,
        "responseId": f"response-{number:04}",
    }


def _usage(tokens: Tokens) -> dict[str, int]:
    """The API's prompt count has the cached tokens in it, and its candidates' count has not the thoughts."""
    prompt = tokens.given + tokens.cache_written + tokens.cached
    return {
        "promptTokenCount": prompt,
        "cachedContentTokenCount": tokens.cached,
        "candidatesTokenCount": tokens.output - THOUGHTS,
        "thoughtsTokenCount": THOUGHTS,
        "totalTokenCount": prompt + tokens.output,
    }
