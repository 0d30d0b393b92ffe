"""The OpenAI chat completions wire format: requests in, replies out as server-sent events.

Source: the public API reference of `POST /v1/chat/completions` with `stream: true` and `stream_options.include_usage`,
and requests of opencode 1.18.33.
"""

from __future__ import annotations

import json
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
    ToolUse,
    UseTools,
)
from at_session.rehearsal.wires import ModelRequest, Pause

_PATH = "/v1/chat/completions"
_CREATED = 1_900_000_000


class ChatCompletions:
    """`/v1/chat/completions`."""

    def accepts(self, path: str) -> bool:
        return path.split("?")[0] == _PATH

    def aside(self, path: str) -> dict[str, Any] | None:
        return None

    def read(self, path: str, body: dict[str, Any]) -> ModelRequest:
        texts: list[str] = []
        for message in body.get("messages", []):
            if message.get("role") != "user":
                continue
            content = message.get("content")
            parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
            texts += [part["text"] for part in parts or [] if part.get("type") == "text"]
        return ModelRequest(
            model=str(body.get("model", "")),
            streams=body.get("stream") is True,
            auxiliary=not body.get("tools"),
            texts=tuple(texts),
        )

    def error(self, reply: Refuse) -> dict[str, Any]:
        kind, _, code = reply.kind.partition(":")
        return {"error": {"message": reply.message, "type": kind, "param": None, "code": code or None}}

    def whole(self, request: ModelRequest, reply: Reply, tokens: Tokens, number: int) -> dict[str, Any]:
        text = reply.text if isinstance(reply, Say | UseTools | Cut) else "ok"
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if isinstance(reply, UseTools):
            message["tool_calls"] = [_call(index, tool, number) for index, tool in enumerate(reply.tools)]
        choice = {"index": 0, "message": message, "finish_reason": _reason(reply)}
        return {**_head(request, number, "chat.completion"), "choices": [choice], "usage": _usage(tokens)}

    def stream(
        self, request: ModelRequest, reply: Reply, tokens: Tokens, number: int
    ) -> Iterator[bytes | Pause]:
        if isinstance(reply, Hang):
            yield Pause(None)
            return
        head = _head(request, number, "chat.completion.chunk")
        yield _delta(head, {"role": "assistant", "content": ""})
        yield from _content(head, reply, number)
        if isinstance(reply, Cut) and not reply.after_block:
            return
        yield _delta(head, {}, _reason(reply))
        if isinstance(reply, Cut):
            return
        yield _data({**head, "choices": [], "usage": _usage(tokens)})
        yield b"data: [DONE]\n\n"


def _content(head: dict[str, Any], reply: Reply, number: int) -> Iterator[bytes | Pause]:
    if isinstance(reply, Stream):
        for line in range(1, round(reply.seconds * reply.per_second) + 1):
            yield Pause(1 / reply.per_second)
            yield _delta(head, {"content": f"line {line}\n"})
    if isinstance(reply, Say | Cut | Stall) or (isinstance(reply, UseTools) and reply.text):
        yield _delta(head, {"content": reply.text})
    if isinstance(reply, Stall):
        yield Pause(None)
    if isinstance(reply, UseTools):
        for index, tool in enumerate(reply.tools):
            yield _delta(head, {"tool_calls": [_call(index, tool, number)]})


def _delta(head: dict[str, Any], delta: dict[str, Any], reason: str | None = None) -> bytes:
    return _data({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})


def _data(chunk: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(chunk)}\n\n".encode()


def _call(index: int, tool: ToolUse, number: int) -> dict[str, Any]:
    function = {"name": tool.name, "arguments": json.dumps(dict(tool.input))}
    return {"index": index, "id": f"call_{number:04}_{index}", "type": "function", "function": function}


def _reason(reply: Reply) -> str:
    return "tool_calls" if isinstance(reply, UseTools) else "stop"


def _head(request: ModelRequest, number: int, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{number:04}", "object": kind, "created": _CREATED, "model": request.model}


def _usage(tokens: Tokens) -> dict[str, Any]:
    """The format has no word for tokens written to a cache; they are part of the prompt, as cached ones are."""
    given = tokens.given + tokens.cached + tokens.cache_written
    return {
        "prompt_tokens": given,
        "completion_tokens": tokens.output,
        "total_tokens": given + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cached},
    }
