"""The Anthropic Messages wire format: requests in, replies out as server-sent events.

Source: the public API reference of `POST /v1/messages` with `stream: true`, and requests of claude 2.1.197.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from clis.rehearsal.replies import Cut, Hang, Reply, Say, Stream, Tokens, ToolUse, UseTools

Event = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What the endpoint wants to know of a request. `texts` are the user's texts, oldest first."""

    model: str
    streams: bool
    auxiliary: bool
    texts: tuple[str, ...]


def accepts(path: str) -> bool:
    """Whether a path belongs to this wire format."""
    return path.startswith("/v1/messages")


def counts_tokens(path: str) -> bool:
    """Whether a path only asks for a count."""
    return path.startswith("/v1/messages/count_tokens")


def read(body: dict[str, Any]) -> ModelRequest:
    """A request's meaning. A request that offers no tools is the CLI's own (titles, summaries), not a turn."""
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
        auxiliary=not body.get("tools"),
        texts=tuple(texts),
    )


def error(kind: str, message: str) -> dict[str, Any]:
    """The body of an HTTP error."""
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_rehearsal"}


def whole(reply: Reply, request: ModelRequest, tokens: Tokens, number: int) -> dict[str, Any]:
    """A reply to a request that does not stream."""
    text = reply.text if isinstance(reply, Say | UseTools | Cut) else "ok"
    usage = {**_usage(tokens), "output_tokens": tokens.output}
    content = [{"type": "text", "text": text}]
    return {**_message(request, number), "content": content, "stop_reason": "end_turn", "usage": usage}


def opening(request: ModelRequest, tokens: Tokens, number: int) -> Event:
    """The first event of a stream; its output figure is the start value, as the real API's is."""
    usage = {**_usage(tokens), "output_tokens": 1}
    return "message_start", {"message": {**_message(request, number), "content": [], "usage": usage}}


def closing(reply: Reply, tokens: Tokens) -> Iterator[Event]:
    """The last events of a stream, with the final output figure."""
    stop_reason = "tool_use" if isinstance(reply, UseTools) else "end_turn"
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    yield "message_delta", {"delta": delta, "usage": {"output_tokens": tokens.output}}
    yield "message_stop", {}


def blocks(reply: Reply, number: int) -> Iterator[Event]:
    """The content of a reply that needs no time."""
    index = 0
    if isinstance(reply, Say | Cut) or (isinstance(reply, UseTools) and reply.text):
        yield from text_block(index, [reply.text])
        index += 1
    if isinstance(reply, UseTools):
        for tool in reply.tools:
            yield from _tool_block(index, tool, f"toolu_{number:04}_{index}")
            index += 1


def text_block(index: int, pieces: list[str]) -> Iterator[Event]:
    """A text, piece by piece."""
    yield text_start(index)
    for piece in pieces:
        yield text_piece(index, piece)
    yield "content_block_stop", {"index": index}


def text_start(index: int) -> Event:
    """The begin of a text."""
    return "content_block_start", {"index": index, "content_block": {"type": "text", "text": ""}}


def text_piece(index: int, text: str) -> Event:
    """A piece of a text."""
    return "content_block_delta", {"index": index, "delta": {"type": "text_delta", "text": text}}


def encode(event: Event) -> bytes:
    """One server-sent event."""
    name, fields = event
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


def takes_time(reply: Reply) -> bool:
    """Whether the endpoint must pace the reply itself."""
    return isinstance(reply, Stream | Hang)


def _tool_block(index: int, tool: ToolUse, tool_id: str) -> Iterator[Event]:
    start = {"type": "tool_use", "id": tool_id, "name": tool.name, "input": {}}
    yield "content_block_start", {"index": index, "content_block": start}
    partial = json.dumps(dict(tool.input))
    yield (
        "content_block_delta",
        {"index": index, "delta": {"type": "input_json_delta", "partial_json": partial}},
    )
    yield "content_block_stop", {"index": index}


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
