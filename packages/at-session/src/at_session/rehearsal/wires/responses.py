"""The OpenAI Responses wire format: requests in, replies out as server-sent events.

Source: the public API reference of `POST /v1/responses` with `stream: true`, and requests of codex 0.169.0.
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

FREEFORM = "freeform"
"""The name under which a `ToolUse` holds the whole input of a tool that takes text, not JSON."""


class Responses:
    """`/v1/responses`."""

    def accepts(self, path: str) -> bool:
        return path.split("?")[0] == "/v1/responses"

    def aside(self, path: str) -> dict[str, Any] | None:
        return None

    def read(self, path: str, body: dict[str, Any]) -> ModelRequest:
        texts: list[str] = []
        given = body.get("input", [])
        items = [{"role": "user", "content": given}] if isinstance(given, str) else given
        for item in items:
            if item.get("role") == "user":
                texts += _texts(item.get("content") or [])
        # Of its newer models Codex tells the tools in an item of the conversation.
        has_tools = body.get("tools") or any(item.get("type") == "additional_tools" for item in items)
        return ModelRequest(
            model=str(body.get("model", "")),
            streams=body.get("stream") is True,
            auxiliary=not has_tools,
            texts=tuple(texts),
        )

    def error(self, reply: Refuse) -> dict[str, Any]:
        return {"error": {"type": reply.kind, "code": reply.kind, "message": reply.message, "param": None}}

    def whole(self, request: ModelRequest, reply: Reply, tokens: Tokens, number: int) -> dict[str, Any]:
        items = [item for item, _ in _items(reply, number)]
        return {**_response(request, number, "completed"), "output": items, "usage": _usage(tokens)}

    def stream(
        self, request: ModelRequest, reply: Reply, tokens: Tokens, number: int
    ) -> Iterator[bytes | Pause]:
        if isinstance(reply, Hang):
            yield Pause(None)
            return
        yield _event("response.created", response=_response(request, number, "in_progress"))
        output: list[dict[str, Any]] = []
        for index, (item, deltas) in enumerate(_items(reply, number)):
            began = {**item, "status": "in_progress", **({"content": []} if "content" in item else {})}
            yield _event("response.output_item.added", output_index=index, item=began)
            yield from deltas
            if isinstance(reply, Cut) and not reply.after_block:
                return
            yield _event("response.output_item.done", output_index=index, item=item)
            output.append(item)
        if isinstance(reply, Cut):
            return
        done = {**_response(request, number, "completed"), "output": output, "usage": _usage(tokens)}
        yield _event("response.completed", response=done)


def _texts(content: str | list[dict[str, Any]]) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [block["text"] for block in content if block.get("type") == "input_text"]


def _items(reply: Reply, number: int) -> Iterator[tuple[dict[str, Any], Iterator[bytes | Pause]]]:
    """Output items, each with what is sent between its beginning and its end."""
    if isinstance(reply, Stream):
        lines = [f"line {line}\n" for line in range(1, round(reply.seconds * reply.per_second) + 1)]
        yield _message(number, "".join(lines)), _text(number, lines, pause=1 / reply.per_second)
    if isinstance(reply, Say | Cut | Stall) or (isinstance(reply, UseTools) and reply.text):
        yield _message(number, reply.text), _text(number, [reply.text], stalls=isinstance(reply, Stall))
    if isinstance(reply, UseTools):
        for index, tool in enumerate(reply.tools):
            yield _tool(tool, f"{number:04}_{index}")


def _text(
    number: int, pieces: list[str], *, pause: float | None = None, stalls: bool = False
) -> Iterator[bytes | Pause]:
    for piece in pieces:
        if pause is not None:
            yield Pause(pause)
        yield _event(
            "response.output_text.delta",
            item_id=f"msg_{number:04}",
            output_index=0,
            content_index=0,
            delta=piece,
        )
    if stalls:
        yield Pause(None)


def _message(number: int, text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {
        "type": "message",
        "id": f"msg_{number:04}",
        "role": "assistant",
        "status": "completed",
        "content": content,
    }


def _tool(tool: ToolUse, name: str) -> tuple[dict[str, Any], Iterator[bytes]]:
    """A call; `NAMESPACE::NAME` is a tool within a namespace, as those of MCP servers are."""
    namespace, _, plain = tool.name.rpartition("::")
    call: dict[str, Any] = {"call_id": f"call_{name}", "name": plain, "status": "completed"}
    if namespace:
        call["namespace"] = namespace
    if FREEFORM in tool.input:
        call |= {"type": "custom_tool_call", "id": f"ctc_{name}", "input": tool.input[FREEFORM]}
    else:
        arguments = json.dumps(dict(tool.input))
        call |= {"type": "function_call", "id": f"fc_{name}", "arguments": arguments}
    return call, iter(())


def _event(name: str, **fields: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


def _response(request: ModelRequest, number: int, status: str) -> dict[str, Any]:
    return {"id": f"resp_{number:04}", "object": "response", "model": request.model, "status": status}


def _usage(tokens: Tokens) -> dict[str, Any]:
    """Here the input includes what was read from and written to the cache."""
    given = tokens.given + tokens.cached + tokens.cache_written
    return {
        "input_tokens": given,
        "input_tokens_details": {
            "cached_tokens": tokens.cached,
            "cache_write_tokens": tokens.cache_written,
        },
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.output // 3},
        "total_tokens": given + tokens.output,
    }
