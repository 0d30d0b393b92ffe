"""A turn of OpenCode from the server's events: what was accepted, said, run, asked and spent, and how it ended."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_OID, uuid5

from at_session.drivers import opencode_asks, opencode_errors, opencode_usage
from at_session.drivers.epochs import rfc3339
from at_session.drivers.jsonlines import Object, count_of, encode, object_of, objects_of, text_of
from at_session.vocabulary import (
    Allow,
    AskClosed,
    CallAnswered,
    Decision,
    DriverEvent,
    DriverState,
    FailureKind,
    Limited,
    LoginRefused,
    PromptAccepted,
    Retrying,
    Text,
    ToolEnded,
    ToolStarted,
    TurnEnded,
    TurnOutcome,
    TurnStarted,
    Write,
)

LOGIN_HINT = "run `opencode auth login`, or set the key of the model's provider in the environment"
_KEPT = 100
"""Prompts and inner agents that the state remembers."""
_MOST_AFTER_ABORT = 1
"""Cut answers and retries that may have been on their way when a turn was aborted."""

Events = list[DriverEvent | Write]


class OpenCodeTurns:
    """The events of one session and of its inner agents. Prompts come to it by `next_prompt`."""

    state: DriverState

    @property
    def _values(self) -> dict[str, Any]:
        return self.state.values

    def next_prompt(self) -> list[Write]:
        """The write of the prompt that waits longest, once the session can take it."""
        raise NotImplementedError

    def at(self, what: str = "") -> str:
        """A path below the session's own."""
        return "/".join(each for each in ("/session", text_of(self._values.get("session")), what) if each)

    def event(self, kind: str, given: Object, at: int) -> Events:
        session = text_of(given.get("sessionID")) or text_of(object_of(given.get("info")).get("sessionID"))
        own = session != "" and session == self._values.get("session")
        if kind == "session.created":
            self._note_child(object_of(given.get("info")))
        if not own and session not in self._values.get("children", []):
            return []
        match kind:
            case "message.updated":
                return self._message(object_of(given.get("info")), own=own)
            case "message.part.updated":
                part = object_of(given.get("part"))
                return [*self._answered(session, part), *self._part(part, own=own)]
            case "message.part.delta":
                return self._answered(session, {**given, "type": given.get("field")})
            case "permission.asked":
                return self._permission(given)
            case "question.asked":
                return self._question(given)
            case "permission.replied":
                return self._replied(text_of(given.get("requestID")), text_of(given.get("reply")) == "reject")
            case "question.replied":
                return self._replied(text_of(given.get("requestID")), refused=False)
            case "question.rejected":
                return self._replied(text_of(given.get("requestID")), refused=True)
            case "session.status":
                return self._status(object_of(given.get("status")), at, session)
            case "session.error" if own and self._turn is not None:
                self._turn["error"] = object_of(given.get("error"))
        return []

    def _note_child(self, info: Object) -> None:
        family = [self._values.get("session"), *self._values.get("children", [])]
        if text_of(info.get("parentID")) and info.get("parentID") in family:
            children: list[str] = self._values.setdefault("children", [])
            children.append(text_of(info.get("id")))
            del children[:-_KEPT]

    @property
    def _turn(self) -> dict[str, Any] | None:
        turn: dict[str, Any] | None = self._values.get("turn")
        return turn

    def _message(self, info: Object, *, own: bool) -> Events:
        identity = text_of(info.get("id"))
        if info.get("role") == "user":
            return self.accept(identity) if own else []
        opencode_usage.note(self.state, info)
        if not own:
            return []
        context: Events = [*opencode_usage.context(self.state, info)]
        turn = self._turn
        if turn is None:
            return context
        if turn.get("message") != identity:
            # What went wrong before was dealt with: summarised, or asked for again.
            turn.update(message=identity, error={}, summary=info.get("summary") is True)
        if object_of(info.get("error")):
            turn["error"] = object_of(info["error"])
        turn["completed"] = count_of(object_of(info.get("time")).get("completed")) > 0
        return context

    def accept(self, identity: str) -> Events:
        message_id = object_of(self._values.get("names")).get(identity)
        accepted: dict[str, bool] = self._values.setdefault("accepted", {})
        if message_id is None or identity in accepted:
            return []
        keep(accepted, identity, True)
        self._values["turn"] = {"prompt": message_id}
        self._values["interrupted"] = False
        return [PromptAccepted(message_id)]

    def _part(self, part: Object, *, own: bool) -> Events:
        turn = self._turn
        if turn is None:
            return []
        if part.get("type") == "tool":
            return self._tool(turn, text_of(part.get("callID")), text_of(part.get("tool")), part)
        if part.get("type") == "step-finish" and own:
            return self._step_ended(turn, part)
        if part.get("type") != "text" or not own or part.get("messageID") != turn.get("message"):
            return []
        identity, text = text_of(part.get("id")), text_of(part.get("text"))
        if not count_of(object_of(part.get("time")).get("end")) or turn.get("said") == identity:
            return []
        turn["said"] = identity
        if turn.get("summary"):
            return []
        turn["text"] = text
        return [Text(text)] if text else []

    def _step_ended(self, turn: dict[str, Any], part: Object) -> Events:
        """An answer that was cut has no reason for its end and no figures; the CLI itself would ask again without end."""
        used = object_of(part.get("tokens"))
        if part.get("reason") != "unknown" or count_of(used.get("input")) or count_of(used.get("output")):
            turn.pop("cuts", None)
            return []
        if turn.get("cut") == part.get("messageID"):
            return []
        turn.update(cut=part.get("messageID"), cuts=count_of(turn.get("cuts")) + 1)
        if turn.get("given_up"):
            return self._goes_on(turn)
        turn["retrying"] = self._values.get("session")
        retrying = Retrying(FailureKind.CONNECTION, turn["cuts"], None, "the answer was cut before its end")
        if turn["cuts"] < opencode_errors.MOST_CUTS:
            return [retrying]
        return [
            retrying,
            self._give_up(turn, FailureKind.CONNECTION, f"{turn['cuts']} answers in a row were cut"),
        ]

    def _give_up(self, turn: dict[str, Any], kind: FailureKind, message: str) -> Write:
        """The abort of a turn that the CLI would go on with in vain. The turn ends when the session is idle."""
        turn["given_up"] = {"kind": kind.value, "message": message}
        return api_call(f"give-up:{turn['prompt']}", "POST", self.at("abort"))

    def abort_failed(self, message_id: str) -> Events:
        """The end of the server, if the turn that could not be aborted is still open."""
        turn = self._turn
        if turn is None or turn["prompt"] != message_id or not turn.get("given_up"):
            return []
        return self._end_server(turn)

    def _goes_on(self, turn: dict[str, Any]) -> Events:
        """What the CLI tries again in a turn that was aborted costs money, and nobody else would end it."""
        turn["after_abort"] = count_of(turn.get("after_abort")) + 1
        return self._end_server(turn) if turn["after_abort"] > _MOST_AFTER_ABORT else []

    def _end_server(self, turn: dict[str, Any]) -> Events:
        if turn.get("server_ended"):
            return []
        turn["server_ended"] = True
        return [end_server()]

    def _tool(self, turn: dict[str, Any], call: str, tool: str, part: Object) -> Events:
        state, open_calls = object_of(part.get("state")), turn.setdefault("calls", [])
        given = object_of(state.get("input"))
        events: Events = []
        if state.get("status") in ("running", "completed", "error") and call not in open_calls:
            open_calls.append(call)
            events.append(ToolStarted(call, tool, opencode_asks.summary(given)))
        if state.get("status") in ("completed", "error") and call not in turn.setdefault("ended", []):
            turn["ended"].append(call)
            failed = state["status"] == "error" or tool == "invalid"
            failed = failed or object_of(state.get("metadata")).get("exit") not in (None, 0)
            output = text_of(state.get("error")) or text_of(state.get("output"))
            events.append(ToolEnded(call, not failed, output))
        return events

    def _permission(self, asked: Object) -> Events:
        ask = opencode_asks.permission(asked)
        if ask.request_id in self._asks or not ask.request_id:
            return []
        if self._values.get("allow") == Allow.ALL:
            path, body = opencode_asks.reply(ask.request_id, None, Decision(approve=True))
            return [api_call(f"answer:{ask.request_id}", "POST", path, body)]
        self._asks[ask.request_id] = {"what": ask.what}
        return [ask]

    def _question(self, asked: Object) -> Events:
        ask = opencode_asks.question(asked)
        if ask.request_id in self._asks or not ask.request_id:
            return []
        self._asks[ask.request_id] = {"what": ask.what, "questions": objects_of(asked.get("questions"))}
        return [ask]

    def _replied(self, request_id: str, refused: bool) -> Events:
        ask = self._asks.get(request_id)
        if ask is not None and (refused or ask.get("refused")) and self._turn is not None:
            self._turn.setdefault("denied", []).append(text_of(ask.get("what")))
        return self._close_ask(request_id)

    def _close_ask(self, request_id: str, *, withdrawn: bool = False) -> Events:
        return [AskClosed(request_id, withdrawn)] if self._asks.pop(request_id, None) is not None else []

    @property
    def _asks(self) -> dict[str, Object]:
        asks: dict[str, Object] = self._values.setdefault("asks", {})
        return asks

    def _status(self, status: Object, at: int, session: str) -> Events:
        turn, own = self._turn, session == self._values.get("session")
        if turn is None:
            return []
        match status.get("type"):
            case "busy" if own and "started" not in turn:
                turn["started"] = True
                return [TurnStarted(turn["prompt"])]
            case "retry":
                return self._retry(turn, status, at, session)
            case "idle" if own and (turn.get("completed") or "message" not in turn):
                # An error makes the session idle before its message is complete; it is idle once more then.
                return self._end(turn) if "started" in turn else []
        return []

    def _retry(self, turn: dict[str, Any], status: Object, at: int, session: str) -> Events:
        retry = opencode_errors.retrying(status, at)
        # A later call of the same turn may be at the same attempt again.
        which = [session, retry.attempt, status.get("next")]
        if turn.get("retry") == which:
            return []
        turn["retry"] = which
        if turn.get("given_up"):
            return self._goes_on(turn)
        kind = opencode_errors.gives_up_as(retry)
        if kind is None:
            turn["retrying"] = session
            return [retry]
        # The CLI would sleep until then, with the turn open and half a gigabyte in use.
        abort = self._give_up(turn, kind, retry.message)
        if kind is not FailureKind.LIMIT:
            return [retry, abort]
        far = (retry.delay_seconds or 0.0) > opencode_errors.LONGEST_RETRY_SECONDS
        reset_at = rfc3339(status.get("next")) if far else None
        return [Limited(retry.message, reset_at), abort]

    def _answered(self, session: str, part: Object) -> Events:
        """The first words, reasoning or tool call after a retry, of the session that retried or of the agent itself.

        The session is busy already when the call is made once more, and may be so for every attempt that fails.
        """
        turn = self._turn
        if turn is None or session not in (turn.get("retrying", ""), self._values.get("session")):
            return []
        if session == self._values.get("session") and part.get("messageID") != turn.get("message"):
            return []
        called = part.get("type") == "tool" and object_of(part.get("state")).get("status") == "pending"
        if not called and part.get("type") not in ("text", "reasoning"):
            return []
        return [CallAnswered()] if turn.pop("retrying", None) else []

    def end_given_up(self) -> list[DriverEvent]:
        """The end of a turn that was given up, where the process ended before it told so."""
        turn = self._turn
        if turn is None or not turn.get("given_up"):
            return []
        return [each for each in self._end(turn) if not isinstance(each, Write)]

    def _end(self, turn: dict[str, Any]) -> Events:
        del self._values["turn"]
        self._values.pop("handed", None)
        events: Events = [
            event for request_id in list(self._asks) for event in self._close_ask(request_id, withdrawn=True)
        ]
        end = _ended(turn, interrupted=bool(self._values.pop("interrupted", False)))
        if end.failure is FailureKind.LOGIN:
            events.append(LoginRefused(end.error or "", LOGIN_HINT))
        if end.failure is FailureKind.LIMIT and not turn.get("given_up"):
            events.append(Limited(end.error or "", None))
        return [*events, *opencode_usage.told(self.state), end, *self.next_prompt()]


def _ended(turn: dict[str, Any], *, interrupted: bool) -> TurnEnded:
    error: Object = object_of(turn.get("error"))
    said, denied = text_of(turn.get("text")), tuple(turn.get("denied", []))
    prompt: str = turn["prompt"]
    if given_up := object_of(turn.get("given_up")):
        kind, message = FailureKind(given_up["kind"]), given_up["message"]
        return TurnEnded(TurnOutcome.FAILED, prompt, said, kind, message, denied)
    if interrupted or error.get("name") == opencode_errors.ABORTED:
        return TurnEnded(TurnOutcome.INTERRUPTED, prompt, said, denied=denied)
    if error:
        kind, message = opencode_errors.kind_of(error), opencode_errors.message_of(error)
        return TurnEnded(TurnOutcome.FAILED, prompt, said, kind, message, denied)
    return TurnEnded(TurnOutcome.COMPLETED, prompt, said, denied=denied)


def identity_of(message_id: str) -> str:
    """The id of a prompt in the CLI's own record, the same for ever.

    It sorts before the ids that the CLI makes from the time, which it does not look at: messages are ordered by time.
    """
    return f"msg_00{uuid5(NAMESPACE_OID, f'at-session:{message_id}').hex[:24]}"


def api_call(write_id: str, method: str, path: str, body: Object | None = None) -> Write:
    line: Object = {"id": write_id, "method": method, "path": path}
    return Write(write_id, encode(line if body is None else {**line, "body": body}))


def end_server() -> Write:
    """The end of the bridge's server, and so of the process."""
    return Write("open:quit", encode({"id": "open:quit", "method": "QUIT"}))


def keep(kept: dict[str, Any], name: str, value: object) -> None:
    kept[name] = value
    for oldest in list(kept)[:-_KEPT]:
        del kept[oldest]
