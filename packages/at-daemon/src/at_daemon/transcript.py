"""Events of the audit log as the lines of a transcript."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from at_core.record import format_time
from at_core.store import Tx
from at_core.types import Event
from at_core.vocabulary import EventType

_WORDS: dict[EventType, str] = {
    EventType.MESSAGE_SENT: "sent",
    EventType.MESSAGE_ACCEPTED: "accepted",
    EventType.TEXT_SPOKEN: "text",
    EventType.TOOL_STARTED: "tool",
    EventType.TOOL_ENDED: "result",
    EventType.ASK_OPENED: "ask",
    EventType.ASK_DECIDED: "decision",
    EventType.CALL_RETRIED: "retry",
    EventType.LIMIT_REACHED: "limit",
    EventType.LOGIN_REFUSED: "login",
    EventType.TURN_ENDED: "turn",
    EventType.AGENT_STARTED: "start",
    EventType.AGENT_EXITED: "exit",
    EventType.AGENT_LOST: "lost",
    EventType.BEAD_SENT_BACK: "back",
    EventType.LINE_UNPARSED: "unparsed",
    EventType.GATE_FINISHED: "gate",
    EventType.FOLDER_COMMAND_BEGUN: "begun",
    EventType.FOLDER_COMMAND_FINISHED: "ended",
}
TRANSCRIPT_TYPES = tuple(kind.value for kind in _WORDS)


def line_of(tx: Tx, event: Event) -> dict[str, Any]:
    """{seq, at, kind, text} of one event; what was sent is in the store's messages, once."""
    kind = EventType(event.event_type)
    said = event.payload or {}
    return {
        "seq": event.seq,
        "at": format_time(event.created_at),
        "kind": _WORDS[kind],
        "text": _sent(tx, said) if kind is EventType.MESSAGE_SENT else _text(kind, said),
    }


def _sent(tx: Tx, said: dict[str, Any]) -> str:
    message = tx.message(UUID(said["message"])) if said.get("message") else None
    return message.body if message is not None else ""


def _text(kind: EventType, said: dict[str, Any]) -> str:
    match kind:
        case EventType.TEXT_SPOKEN:
            return str(said.get("text", ""))
        case EventType.TOOL_STARTED:
            return f"{said.get('tool')}: {said.get('what')}"
        case EventType.TOOL_ENDED:
            return str(said.get("output") or ("ok" if said.get("ok") else "failed"))
        case EventType.ASK_OPENED:
            return f"{said.get('kind')}: {said.get('what')}"
        case EventType.ASK_DECIDED:
            answer = f" ({said['answer']})" if said.get("answer") else ""
            return ("approved" if said.get("approve") else "denied") + answer
        case EventType.TURN_ENDED:
            return f"{said.get('outcome')}" + (f": {said['error']}" if said.get("error") else "")
        case EventType.GATE_FINISHED:
            return f"{said.get('name')}: {'passed' if said.get('ok') else 'failed'} on tree {str(said.get('tree'))[:12]}"
        case EventType.FOLDER_COMMAND_BEGUN:
            return f"{said.get('phase')}: {said.get('command')}"
        case EventType.FOLDER_COMMAND_FINISHED:
            return (
                f"{said.get('phase')}: {said.get('command')} {said.get('how')}; output in {said.get('log')}"
            )
        case EventType.LIMIT_REACHED | EventType.LOGIN_REFUSED | EventType.CALL_RETRIED:
            return str(said.get("message", ""))
        case EventType.BEAD_SENT_BACK:
            return str(said.get("reason") or "")
        case EventType.AGENT_EXITED | EventType.AGENT_LOST:
            signal = said.get("exit_signal")
            return f"signal {signal}" if signal else f"exit code {said.get('exit_code')}"
        case EventType.LINE_UNPARSED:
            return str(said.get("excerpt", ""))
        case _:
            return ""
