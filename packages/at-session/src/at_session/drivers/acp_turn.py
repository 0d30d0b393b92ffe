"""A turn of the Agent Client Protocol: from `session/prompt` over its updates and requests to its response."""

from __future__ import annotations

from typing import Any

from at_session.drivers import acp_asks
from at_session.drivers.acp_dialect import AcpFailure
from at_session.drivers.jsonlines import Object, count_of, object_of, objects_of, text_of
from at_session.vocabulary import (
    AskClosed,
    AskOpened,
    CallAnswered,
    ContextUsed,
    DriverEvent,
    DriverState,
    FailureKind,
    PromptAccepted,
    Text,
    ToolEnded,
    ToolStarted,
    TurnEnded,
    TurnOutcome,
    TurnStarted,
    Usage,
    UsageReported,
    Write,
)

CONTEXT_SOURCE = "usage_update of the session"
SOURCE = "usage of the response to session/prompt"
_ACCEPTED_KEPT = 100
_OF_A_TURN = (
    *("user_message_chunk", "agent_message_chunk", "agent_thought_chunk"),
    *("tool_call", "tool_call_update", "plan"),
)
_STOPPED = {
    "max_tokens": (FailureKind.CONTEXT, "the conversation does not fit into the model's context"),
    "max_turn_requests": (
        FailureKind.OTHER,
        "the turn was ended after too many model requests, or as a loop",
    ),
    "refusal": (FailureKind.OTHER, "the model refused to go on"),
}

Events = list[DriverEvent | Write]


class AcpTurns:
    """The part of a driver that follows turns; `AcpDriver` completes it."""

    state: DriverState

    # --- what a dialect may do otherwise ---------------------------------------------------------------------------

    def failure(self, error: Object) -> AcpFailure:
        """The meaning of a JSON-RPC error."""
        raise NotImplementedError

    def usage(self, result: Object | None) -> UsageReported | None:
        """Final figures of a turn; `result` is that of `session/prompt`, None after an error."""
        given = object_of((result or {}).get("usage"))
        if not given:
            return None
        figures = Usage(
            input_tokens=count_of(given.get("inputTokens")) + count_of(given.get("cachedWriteTokens")),
            cached_tokens=count_of(given.get("cachedReadTokens")),
            output_tokens=count_of(given.get("outputTokens")),
            model=text_of(self._values.get("model")) or None,
        )
        return UsageReported(figures, SOURCE)

    def broken_off(self, result: Object) -> str | None:
        """Why a turn that is said to be completed is not: an answer that had no end. None: it is."""
        return None

    def updated(self, update: Object) -> Events:
        """An update of a kind that is not of a turn's text or tools; also what must be made of others beforehand."""
        return []

    def opened(self, request_id: str, tool_call: Object, options: list[Object]) -> AskOpened:
        """An ask as a person should see it."""
        return acp_asks.opened(request_id, self.tool_name(tool_call), tool_call, options)

    def tool_name(self, tool_call: Object) -> str:
        """The name of a tool; the protocol has none, so it is the tool's kind."""
        return acp_asks.tool_kind(tool_call)

    def tells_of_a_turn(self, update: Object) -> bool:
        """Whether an update can only come from work on a prompt, or from a replayed history."""
        return update.get("sessionUpdate") in _OF_A_TURN

    # --- events ----------------------------------------------------------------------------------------------------

    def _turn_sent(self, message_id: str) -> None:
        self._values["turn"] = {"message": message_id, "text": [], "tools": {}, "denied": []}

    def _begins(self) -> Events:
        """The first sign of work on the prompt is the CLI's only receipt for it."""
        turn = self._turn
        if not turn or turn.get("begun"):
            return []
        turn["begun"] = True
        return [*self._accept(text_of(turn.get("message"))), TurnStarted(text_of(turn.get("message")))]

    def _answered(self) -> Events:
        """The first thing that the model says or does after a call was tried again."""
        return [CallAnswered()] if self._turn.pop("retrying", False) else []

    def _accept(self, message_id: str) -> Events:
        if message_id in self._accepted:
            return []
        self._accepted.append(message_id)
        del self._accepted[:-_ACCEPTED_KEPT]
        return [PromptAccepted(message_id)]

    def _updated(self, update: Object) -> Events:
        events = [*self.updated(update), *self._context(update)]
        if not self._turn or not self.tells_of_a_turn(update):
            return events
        events += self._begins()
        if update.get("sessionUpdate") != "user_message_chunk":
            events += self._answered()
        match update.get("sessionUpdate"):
            case "agent_message_chunk":
                events += self._chunk(update)
            case "tool_call" | "tool_call_update":
                events += [*self._flush(), *self._tool(update)]
            case _:
                events += self._flush()
        return events

    def _context(self, update: Object) -> Events:
        """The session's context, from agents that tell it: the tokens in it, and its size."""
        used, size = count_of(update.get("used")), count_of(update.get("size"))
        if update.get("sessionUpdate") != "usage_update" or not used or not size:
            return []
        return [ContextUsed(used, size, text_of(self._values.get("model")) or None, CONTEXT_SOURCE)]

    def _chunk(self, update: Object) -> Events:
        content = object_of(update.get("content"))
        if content.get("type") != "text":
            return []
        events: Events = []
        name = update.get("messageId")
        if name is not None and name != self._turn.get("spoken"):
            events = self._flush()
            self._turn["spoken"] = name
        self._turn["text"].append(text_of(content.get("text")))
        return events

    def _flush(self) -> Events:
        said = "".join(self._turn.get("text", []))
        if not said:
            return []
        self._turn.update(text=[], said=said)
        return [Text(said)]

    def _tool(self, update: Object) -> Events:
        tool_id = text_of(update.get("toolCallId"))
        tools: dict[str, str] = self._turn["tools"]
        events: Events = []
        if tool_id not in tools:
            tools[tool_id] = "started"
            events.append(ToolStarted(tool_id, self.tool_name(update), acp_asks.summary(update)))
        status = update.get("status")
        if status in ("completed", "failed") and tools[tool_id] != "ended":
            tools[tool_id] = "ended"
            events.append(ToolEnded(tool_id, status == "completed", acp_asks.output(update)))
        return events

    def _permission(self, rpc_id: int | str, params: Object) -> Events:
        tool_call, options = object_of(params.get("toolCall")), objects_of(params.get("options"))
        tool_id = text_of(tool_call.get("toolCallId"))
        request_id = acp_asks.request_id_of(rpc_id, tool_id)
        events = [*self._close_answered({}), *self._begins(), *self._answered(), *self._flush()]
        if self._turn:
            events += self._tool({**tool_call, "status": "pending"})
        ask = self.opened(request_id, tool_call, options)
        if request_id not in self._asks:
            self._asks[request_id] = {"rpc": rpc_id, "tool": tool_id, "options": options, "what": ask.what}
            events.append(ask)
        return events

    def _close_answered(self, update: Object) -> Events:
        """Whatever the CLI says next shows that it went on; of a denied tool some say nothing at all."""
        events: Events = []
        for request_id, ask in [each for each in self._asks.items() if each[1].get("answered")]:
            del self._asks[request_id]
            events.append(AskClosed(request_id, withdrawn=ask["answered"] == "withdrawn"))
            if ask["answered"] != "denied" or not self._turn:
                continue
            self._turn["denied"].append(text_of(ask.get("what")))
            tool_id = text_of(ask.get("tool"))
            if update.get("toolCallId") != tool_id and self._turn["tools"].get(tool_id) == "started":
                self._turn["tools"][tool_id] = "ended"
                events.append(ToolEnded(tool_id, ok=False))
        return events

    def _prompt_ended(self, message_id: str, result: Object, error: Object | None) -> Events:
        current = self._turn.get("message") == message_id
        if not current:
            if message_id in self._accepted:
                return []
            self._turn_sent(message_id)  # a daemon that died before it stored that it had sent the prompt
        events = [*self._close_answered({}), *self._begins(), *self._flush()]
        events += [AskClosed(request_id, withdrawn=True) for request_id in self._asks]
        turn = self._turn
        self._values.update(turn={}, asks={})
        said, denied = text_of(turn.get("said")), tuple(map(str, turn.get("denied", [])))
        report = self.usage(result if error is None else None)
        events += [report] if report is not None else []
        if error is not None:
            failure = self.failure(error)
            end = TurnEnded(TurnOutcome.FAILED, message_id, said, failure.kind, failure.message, denied)
            return [*events, *self._told(failure), end]
        reason = text_of(result.get("stopReason"))
        if reason == "cancelled":
            return [*events, TurnEnded(TurnOutcome.INTERRUPTED, message_id, said, denied=denied)]
        if reason in _STOPPED:
            kind, why = _STOPPED[reason]
            return [*events, TurnEnded(TurnOutcome.FAILED, message_id, said, kind, why, denied)]
        if (why_not := self.broken_off(result)) is not None:
            cut = FailureKind.CONNECTION
            return [*events, TurnEnded(TurnOutcome.FAILED, message_id, said, cut, why_not, denied)]
        return [*events, TurnEnded(TurnOutcome.COMPLETED, message_id, said, denied=denied)]

    def _told(self, failure: AcpFailure) -> Events:
        raise NotImplementedError

    # --- parts of the state ----------------------------------------------------------------------------------------

    @property
    def _values(self) -> dict[str, Any]:
        return self.state.values

    @property
    def _turn(self) -> dict[str, Any]:
        turn: dict[str, Any] = self._values.setdefault("turn", {})
        return turn

    @property
    def _asks(self) -> dict[str, Object]:
        asks: dict[str, Object] = self._values.setdefault("asks", {})
        return asks

    @property
    def _accepted(self) -> list[str]:
        accepted: list[str] = self._values.setdefault("accepted", [])
        return accepted
