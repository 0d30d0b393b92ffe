"""A turn of Codex from its notifications: prompts taken, tools, asks, figures, errors, its end."""

from __future__ import annotations

from typing import Any

from at_session.drivers import codex_errors, codex_items, codex_record, jsonlines
from at_session.drivers.codex_errors import LOGIN_HINT
from at_session.drivers.jsonlines import (
    Object,
    count_of,
    encode,
    object_of,
    objects_of,
    optional_text,
    text_of,
)
from at_session.vocabulary import (
    AskClosed,
    CallAnswered,
    ContextUsed,
    DriverEvent,
    FailureKind,
    Limited,
    LoginRefused,
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

SOURCE = "codex thread/tokenUsage/updated"
_OUTCOMES = {"completed": TurnOutcome.COMPLETED, "interrupted": TurnOutcome.INTERRUPTED}
_WORDS = ("item/agentMessage/", "item/reasoning/")
"""Notifications of words and reasoning as they come, piece by piece."""
_KEPT = 100

Events = list[DriverEvent | Write]


class CodexTurns:
    """The part of the driver that follows turns; all of its memory is in the driver's state."""

    @property
    def _values(self) -> dict[str, Any]:
        raise NotImplementedError

    def _notification(self, method: str, params: Object) -> Events:
        if method == "thread/tokenUsage/updated":
            self._count(params)
            return self._context(params)
        if text_of(params.get("threadId")) not in ("", self._thread):
            return []  # a thread that the CLI keeps for itself: a title, an inner agent
        match method:
            case "turn/started":
                self._begin(text_of(object_of(params.get("turn")).get("id")))
            case "item/started" | "item/completed":
                item, over = object_of(params.get("item")), method == "item/completed"
                return [*self._answered(item, over=over), *self._item(item, over=over)]
            case "error" if params.get("willRetry") is True:
                if self._turn is not None:
                    self._turn["retrying"] = True
                return [codex_errors.retrying(object_of(params.get("error")))]
            case "account/rateLimits/updated":
                self._values["limits"] = object_of(params.get("rateLimits"))
            case "serverRequest/resolved":
                return self._close_ask(str(params.get("requestId")))
            case "turn/completed":
                return self._end(object_of(params.get("turn")))
            case "configWarning":
                return [jsonlines.unparsed(f"{params.get('summary')} {params.get('details') or ''}".strip())]
        return self._call_answered() if method.startswith(_WORDS) else []

    def _begin(self, turn: str) -> None:
        sending = object_of(self._values.get("sending"))
        spent = self._values.pop("spent", {})
        self._values["turn"] = {"id": turn, "message": optional_text(sending.get("id")), "spent": spent}

    # --- a call that is tried again ----------------------------------------------------------------------------------

    @property
    def _is_retrying(self) -> bool:
        return bool((self._turn or {}).get("retrying"))

    def _answered(self, item: Object, *, over: bool) -> Events:
        """A new item is an answer; a tool that ends may be one that was called before the call failed."""
        known = object_of((self._turn or {}).get("calls"))
        if item.get("type") == "userMessage" or (over and text_of(item.get("id")) in known):
            return []
        return self._call_answered()

    def _call_answered(self) -> Events:
        turn = self._turn
        return [CallAnswered()] if turn is not None and turn.pop("retrying", False) else []

    # --- items -----------------------------------------------------------------------------------------------------

    def _item(self, item: Object, *, over: bool) -> Events:
        turn = self._turn
        if turn is None:
            return []
        if item.get("type") == "userMessage":
            return self._prompt_taken(turn, text_of(item.get("clientId"))) if over else []
        events = self._work_seen(turn)
        if item.get("type") == "agentMessage" and over:
            turn["text"] = text_of(item.get("text"))
            return [*events, Text(turn["text"])]
        call = codex_items.tool_call(item)
        if call is None:
            return events
        open_calls: dict[str, str] = turn.setdefault("calls", {})
        if call.id not in open_calls:
            events.append(ToolStarted(call.id, call.name, call.what))
            # The request for an approval of an edit names the item only.
            open_calls[call.id] = codex_items.change_shown(item) if call.name == "apply_patch" else ""
        if over:
            open_calls.pop(call.id, None)
            if call.declined:
                turn.setdefault("denied", []).append(call.what)
            events.append(ToolEnded(call.id, call.ok, call.output))
        return events

    def _prompt_taken(self, turn: Object, message_id: str) -> Events:
        if not message_id:
            return self._work_seen(turn)
        sending = object_of(self._values.get("sending"))
        if sending.get("id") == message_id:
            turn["digest"], self._values["sending"] = sending.get("digest"), None
        self._values["spoken"] = True
        if turn.get("message") in (None, message_id):
            turn["message"] = message_id
            return [*self._accept(message_id), *self._work_seen(turn)]
        if message_id not in turn.setdefault("joined", []):
            turn["joined"].append(message_id)
        return [*self._accept(message_id)]

    def _work_seen(self, turn: Object) -> Events:
        if turn.get("begun"):
            return []
        turn["begun"] = True
        return [TurnStarted(optional_text(turn.get("message")))]

    def _accept(self, message_id: str) -> list[DriverEvent]:
        if message_id in self._known:
            return []
        self._known.append(message_id)
        self._told.append(message_id)
        self._forget_old()
        return [PromptAccepted(message_id)]

    # --- asks ------------------------------------------------------------------------------------------------------

    def _ask(self, line: Object, method: str, params: Object) -> Events:
        request_id = str(line.get("id"))
        if method not in codex_items.ASKS:
            told = {"code": -32601, "message": "requests of this kind are not supported"}
            write = Write(f"answer:{request_id}", encode({"id": line.get("id"), "error": told}))
            return [jsonlines.unparsed(f"a request of an unknown kind, refused: {method} {params}"), write]
        self._asks[request_id] = {"id": line.get("id"), "method": method, "given": params}
        calls = object_of((self._turn or {}).get("calls"))
        change = text_of(calls.get(text_of(params.get("itemId"))))
        return [codex_items.opened(request_id, method, params, self._folder, change)]

    def _close_ask(self, request_id: str, *, withdrawn: bool = False) -> Events:
        if self._asks.pop(request_id, None) is None:
            return []
        return [AskClosed(request_id, withdrawn)]

    # --- figures ---------------------------------------------------------------------------------------------------

    def _count(self, params: Object) -> None:
        """The CLI tells the totals of a thread: after each response, and once when a thread is taken up again.

        An inner agent is a thread of its own. The totals begin at zero again when the conversation became too long.
        """
        usage, thread = object_of(params.get("tokenUsage")), text_of(params.get("threadId"))
        totals: dict[str, codex_record.Spent] = self._values.setdefault("totals", {})
        before, total = totals.get(thread), codex_record.figures(object_of(usage.get("total")))
        totals[thread] = total
        turn = self._turn
        own = thread == self._thread
        if own and (turn is None or params.get("turnId") != turn.get("id")):
            return
        if before is None and own and self._values.get("resume"):
            since = codex_record.figures(object_of(usage.get("last")))
        else:
            since = {name: tokens - (before or {}).get(name, 0) for name, tokens in total.items()}
        if min(since.values()) >= 0:
            # What an inner agent spends between two turns counts for the later one.
            place = self._values if turn is None else turn
            spent = object_of(place.get("spent"))
            place["spent"] = {name: spent.get(name, 0) + tokens for name, tokens in since.items()}

    def _context(self, params: Object) -> Events:
        """Of its newest response; the window is what the CLI makes use of, and null for a model that it does not know."""
        told = object_of(params.get("tokenUsage"))
        used = count_of(object_of(told.get("last")).get("inputTokens"))
        if not used or text_of(params.get("threadId")) != self._thread:
            return []
        size = count_of(told.get("modelContextWindow")) or None
        return [ContextUsed(used, size, optional_text(self._values.get("model")), SOURCE)]

    def _usage(self, spent: codex_record.Spent, duration_ms: int | None = None) -> Usage:
        return Usage(
            input_tokens=spent.get("input", 0),
            cached_tokens=spent.get("cached", 0),
            output_tokens=spent.get("output", 0),
            model=optional_text(self._values.get("model")),
            duration_ms=duration_ms,
        )

    # --- the end ---------------------------------------------------------------------------------------------------

    def _end(self, told: Object) -> Events:
        turn = self._turn
        if turn is None or told.get("id") != turn.get("id"):
            return []
        events: Events = [
            event for each in list(self._asks) for event in self._close_ask(each, withdrawn=True)
        ]
        message_id = optional_text(turn.get("message"))
        if message_id is not None:
            # It may have been stopped before it was put on record: a hook, an interrupt.
            events += self._accept(message_id)
        for item in objects_of(told.get("items")):
            if item.get("type") == "agentMessage" and not turn.get("text"):
                turn["text"] = text_of(item.get("text"))
        self._values.update(turn=None, sending=None)
        self._values.pop("interrupt", None)
        spent = turn.get("spent") or {}
        if any(spent.values()):
            duration = count_of(told.get("durationMs")) or None
            events.append(UsageReported(self._usage(spent, duration), SOURCE))
        return [*events, *self._last_words(_ended(told, turn, message_id))]

    def _last_words(self, end: TurnEnded) -> list[DriverEvent]:
        """The end of a turn, after what a person has to know about its failure."""
        said = end.error or ""
        if end.failure is FailureKind.LIMIT:
            return [Limited(said, codex_errors.reset_at(object_of(self._values.get("limits")))), end]
        if end.failure is FailureKind.LOGIN:
            return [LoginRefused(said, LOGIN_HINT), end]
        return [end]

    # --- memory ----------------------------------------------------------------------------------------------------

    @property
    def _thread(self) -> str:
        return text_of(self._values.get("thread"))

    @property
    def _folder(self) -> str:
        return text_of(self._values.get("folder"))

    @property
    def _turn(self) -> Object | None:
        turn = self._values.get("turn")
        return turn if isinstance(turn, dict) else None

    @property
    def _held(self) -> list[list[str]]:
        held: list[list[str]] = self._values.setdefault("held", [])
        return held

    @property
    def _known(self) -> list[str]:
        """Prompts that the CLI has, newest last."""
        known: list[str] = self._values.setdefault("known", [])
        return known

    @property
    def _told(self) -> list[str]:
        """Prompts of which this process has told that the CLI has them."""
        told: list[str] = self._values.setdefault("told", [])
        return told

    @property
    def _asks(self) -> dict[str, Object]:
        asks: dict[str, Object] = self._values.setdefault("asks", {})
        return asks

    def _forget_old(self) -> None:
        del self._known[:-_KEPT]
        del self._told[:-_KEPT]


def _ended(told: Object, turn: Object, message_id: str | None) -> TurnEnded:
    error = object_of(told.get("error"))
    outcome = _OUTCOMES.get(text_of(told.get("status")), TurnOutcome.FAILED)
    failed = outcome is TurnOutcome.FAILED
    return TurnEnded(
        outcome,
        message_id,
        text_of(turn.get("text")),
        codex_errors.kind_of(error) if failed else None,
        (codex_errors.words_of(error) or "the turn failed") if failed else None,
        denied=tuple(turn.get("denied") or ()),
        joined=tuple(turn.get("joined") or ()),
    )
