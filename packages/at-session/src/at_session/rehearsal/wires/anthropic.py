"""The Anthropic Messages wire format: requests in, replies out as server-sent events.

Source: the public API reference of `POST /v1/messages` with `stream: true`, and requests of claude 2.1.197.
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

# How Claude Code begins the request for a summary of a conversation that has become too long; it offers all tools.
_SUMMARY = "CRITICAL: Respond with TEXT ONLY"


class AnthropicMessages:
    """`/v1/messages`."""

    def accepts(self, path: str) -> bool:
        return path.split("?")[0] == "/v1/messages"

    def aside(self, path: str) -> dict[str, Any] | None:
        return {"input_tokens": 1} if path.startswith("/v1/messages/count_tokens") else None

    def read(self, path: str, body: dict[str, Any]) -> ModelRequest:
        texts: list[str] = []
        for message in body.get("messages", []):
            if message.get("role") != "user":
                continue
            content = message.get("content")
            blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
            texts += [block["text"] for block in blocks if block.get("type") == "text"]
        return ModelRequest(
            model=str(body.get("model", "")),
            streams=body.get("stream") is True,
            auxiliary=not body.get("tools") or "".join(texts[-1:]).startswith(_SUMMARY),
            texts=tuple(texts),
        )

    def error(self, reply: Refuse) -> dict[str, Any]:
        told = {"type": reply.kind, "message": reply.message}
        return {"type": "error", "error": told, "request_id": "req_rehearsal"}

    def whole(self, request: ModelRequest, reply: Reply, tokens: Tokens, number: int) -> dict[str, Any]:
        text = reply.text if isinstance(reply, Say | UseTools | Cut) else "ok"
        usage = {**_usage(tokens), "output_tokens": tokens.output}
        content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
        tools = reply.tools if isinstance(reply, UseTools) else ()
        content += [
            {
                "type": "tool_use",
                "id": f"toolu_{number:04}_{index}",
                "name": tool.name,
                "input": dict(tool.input),
            }
            for index, tool in enumerate(tools, start=len(content))
        ]
        reason = "tool_use" if tools else "end_turn"
        return {**_message(request, number), "content": content, "stop_reason": reason, "usage": usage}

    def stream(
        self, request: ModelRequest, reply: Reply, tokens: Tokens, number: int
    ) -> Iterator[bytes | Pause]:
        if isinstance(reply, Hang):
            yield Pause(None)
            return
        # The output figure is the start value, as the real API's is; the final one comes with message_delta.
        usage = {**_usage(tokens), "output_tokens": 1}
        yield _event("message_start", message={**_message(request, number), "content": [], "usage": usage})
        yield from _content(reply, number)
        if isinstance(reply, Cut):
            return
        delta = {
            "stop_reason": "tool_use" if isinstance(reply, UseTools) else "end_turn",
            "stop_sequence": None,
        }
        yield _event("message_delta", delta=delta, usage={"output_tokens": tokens.output})
        yield _event("message_stop")


def _content(reply: Reply, number: int) -> Iterator[bytes | Pause]:
    if isinstance(reply, Stream):
        yield _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        for line in range(1, round(reply.seconds * reply.per_second) + 1):
            yield Pause(1 / reply.per_second)
            yield _text(0, f"line {line}\n")
        yield _event("content_block_stop", index=0)
    if isinstance(reply, Say | Cut | Stall) or (isinstance(reply, UseTools) and reply.text):
        yield _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        yield _text(0, reply.text)
        if isinstance(reply, Stall):
            yield Pause(None)
        if not isinstance(reply, Cut) or reply.after_block:
            yield _event("content_block_stop", index=0)
    if isinstance(reply, UseTools):
        for index, tool in enumerate(reply.tools, start=1 if reply.text else 0):
            yield from _tool(index, tool, f"toolu_{number:04}_{index}")


def _text(index: int, text: str) -> bytes:
    return _event("content_block_delta", index=index, delta={"type": "text_delta", "text": text})


def _tool(index: int, tool: ToolUse, tool_id: str) -> Iterator[bytes]:
    start = {"type": "tool_use", "id": tool_id, "name": tool.name, "input": {}}
    yield _event("content_block_start", index=index, content_block=start)
    delta = {"type": "input_json_delta", "partial_json": json.dumps(dict(tool.input))}
    yield _event("content_block_delta", index=index, delta=delta)
    yield _event("content_block_stop", index=index)


def _event(name: str, **fields: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


def _message(request: ModelRequest, number: int) -> dict[str, Any]:
    return {
        "id": f"msg_{number:04}",
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "stop_reason": None,
        "stop_sequence": None,
    }


def _usage(tokens: Tokens) -> dict[str, int]:
    return {
        "input_tokens": tokens.given,
        "cache_read_input_tokens": tokens.cached,
        "cache_creation_input_tokens": tokens.cache_written,
    }
