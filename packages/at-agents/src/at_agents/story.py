"""A bead's story: what was asked, what its agent said and did turn by turn, who decided what, and what became of it.

Told from the audit log, its messages, asks and usage; nothing is stored for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from at_core.types import Event, Message, TokenMetric
from at_core.vocabulary import IN_TURN, EventType


@dataclass(slots=True)
class TurnUsage:
    """What one turn used; `cost_usd` is None where nothing of it has a price."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    cost_estimated: bool = False

    def add(self, row: TokenMetric) -> None:
        """Count one row of usage."""
        self.input_tokens += row.input_tokens
        self.cached_tokens += row.cached_tokens
        self.output_tokens += row.output_tokens
        if row.cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + row.cost_usd
            self.cost_estimated = self.cost_estimated or row.estimated


@dataclass(slots=True)
class TurnStep:
    """One thing within a turn: `kind` is text, tool, ask, retry, limit, login.

    A tool that had to be asked for bears the decision itself: `approved` and `decided_by` (person or rule).
    """

    kind: str
    at: datetime
    text: str
    tool: str | None = None
    ok: bool | None = None
    output: str = ""
    approved: bool | None = None
    decided_by: str | None = None
    answer: str = ""


@dataclass(slots=True)
class Turn:
    """What the agent was told, its steps, and how it ended; `outcome` is None while it runs, `cut` if its process ended."""

    number: int
    at: datetime
    session: str = ""
    prompts: list[dict[str, str]] = field(default_factory=list)
    steps: list[TurnStep] = field(default_factory=list)
    ended_at: datetime | None = None
    outcome: str | None = None
    error: str | None = None
    spent: TurnUsage = field(default_factory=TurnUsage)
    kind: str = "turn"

    @property
    def seconds(self) -> float | None:
        """How long it took, None while it runs."""
        return None if self.ended_at is None else (self.ended_at - self.at).total_seconds()


@dataclass(slots=True)
class Incident:
    """Something between turns: `kind` says what, `text` is a sentence, `by` who did it, `ok` how a check ended."""

    kind: str
    at: datetime
    text: str
    by: str | None = None
    ok: bool | None = None


Chapter = Turn | Incident

_INCIDENTS: Mapping[EventType, str] = {
    EventType.BEAD_ADDED: "added",
    EventType.BEAD_HANDED_IN: "handed in",
    EventType.BEAD_SENT_BACK: "sent back",
    EventType.BEAD_PROVED: "proved",
    EventType.BEAD_COMMENTED: "comment",
    EventType.BEAD_LANDING_ALLOWED: "may land",
    EventType.BEAD_LANDING_WAITS: "waits",
    EventType.BEAD_BLOCKED: "waits",
    EventType.BEAD_LANDED: "landed",
    EventType.BEAD_PUSHED: "pushed",
    EventType.PULL_REQUEST_CHANGED: "pull req",
    EventType.BEAD_FAILED: "failed",
    EventType.BEAD_ESCALATED: "given up",
    EventType.BEAD_OVERRIDDEN: "overruled",
    EventType.BEAD_RETRIED: "retried",
    EventType.FOLDER_COMMAND_FINISHED: "set-up",
    EventType.FOLDER_STAYS: "folder",
    EventType.WORK_COLLECTED: "collected",
    EventType.GATE_FINISHED: "gate",
    EventType.AGENT_STARTED: "started",
    EventType.AGENT_EXITED: "crash",
    EventType.AGENT_LOST: "crash",
    EventType.AGENT_STOPPED: "stopped",
    EventType.AGENT_SILENT: "silent",
    EventType.CLI_CHANGED: "upgrade",
    EventType.BUDGET_REACHED: "budget",
    EventType.MESSAGE_FAILED: "lost",
}
_IN_TURN = {EventType.MESSAGE_STARTED, *IN_TURN}
TYPES = tuple(kind.value for kind in (*_INCIDENTS, *_IN_TURN))
"""The events that a story is told from."""


def story(
    events: Iterable[Event], messages: Iterable[Message], usage: Iterable[TokenMetric]
) -> list[Chapter]:
    """The chapters in order of time. The events are those of one bead, of `TYPES`, oldest first."""
    teller = _Teller({str(message.id): message for message in messages})
    for event in events:
        teller.take(EventType(event.event_type), event)
    turns = {(turn.session, turn.number): turn for turn in teller.chapters if isinstance(turn, Turn)}
    for row in usage:
        if (of := turns.get((row.session, row.turn))) is not None:
            of.spent.add(row)
    return teller.chapters


class _Teller:
    def __init__(self, messages: Mapping[str, Message]) -> None:
        self.chapters: list[Chapter] = []
        self._messages = messages
        self._turn: Turn | None = None
        self._session = ""
        self._last_number = 0
        self._tools: dict[str, TurnStep] = {}
        self._asks: dict[str, TurnStep] = {}
        self._asked_for: dict[str, TurnStep] = {}

    def take(self, kind: EventType, event: Event) -> None:
        said = event.payload or {}
        if kind is EventType.AGENT_STARTED:
            self._session = str(said.get("session", ""))
        if kind in (EventType.AGENT_EXITED, EventType.AGENT_LOST) and self._turn is not None:
            self._close("cut", None, event.created_at)
        if kind is EventType.TURN_ENDED:
            turn = self._open(event)
            turn.number = int(said.get("number") or turn.number)
            turn.session = str(said.get("session") or turn.session)
            self._close(str(said.get("outcome")), said.get("error"), event.created_at)
        elif kind in _IN_TURN:
            self._in_turn(kind, event, said)
        elif (found := _incident(kind, event, said)) is not None:
            self.chapters.append(found)

    def _open(self, event: Event) -> Turn:
        if self._turn is None:
            self._turn = Turn(self._last_number + 1, event.created_at, self._session)
            self.chapters.append(self._turn)
        return self._turn

    def _close(self, outcome: str, error: str | None, at: datetime) -> None:
        assert self._turn is not None
        self._turn.outcome, self._turn.error, self._turn.ended_at = outcome, error, at
        self._last_number = self._turn.number
        self._turn = None
        self._asked_for.clear()
        self._tools.clear()

    def _in_turn(self, kind: EventType, event: Event, said: Mapping[str, Any]) -> None:
        match kind:
            case EventType.MESSAGE_STARTED:
                if (message := self._messages.get(str(said.get("message")))) is not None:
                    prompt = {"kind": message.kind.value, "text": message.body}
                    self._open(event).prompts.append(prompt)
            case EventType.TEXT_SPOKEN:
                self._step(event, "text", said.get("text"))
            case EventType.TOOL_STARTED:
                self._tool(event, said)
            case EventType.TOOL_ENDED:
                if (tool := self._tools.pop(str(said.get("tool_id")), None)) is not None:
                    tool.ok, tool.output = bool(said.get("ok")), str(said.get("output") or "")
            case EventType.ASK_OPENED:
                self._ask(event, said)
            case EventType.ASK_DECIDED:
                self._decided(event, said)
            case _:
                word = kind.value.partition(".")[0]
                self._step(event, "retry" if word == "call" else word, said.get("message"))

    def _step(self, event: Event, kind: str, text: object) -> TurnStep:
        step = TurnStep(kind, event.created_at, str(text or ""))
        self._open(event).steps.append(step)
        return step

    def _tool(self, event: Event, said: Mapping[str, Any]) -> None:
        """A CLI may ask for a tool before it says that it uses it: both are one step."""
        what = str(said.get("what") or "")
        step = self._asked_for.pop(what, None) or self._step(event, "tool", what)
        step.kind, step.tool = "tool", str(said.get("tool") or "")
        self._tools[str(said.get("tool_id"))] = step

    def _ask(self, event: Event, said: Mapping[str, Any]) -> None:
        what = str(said.get("what") or "")
        step = next((each for each in self._tools.values() if each.text == what), None)
        if step is None:
            step = self._asked_for[what] = self._step(event, "ask", what)
        self._asks[str(said.get("ask"))] = step

    def _decided(self, event: Event, said: Mapping[str, Any]) -> None:
        if (step := self._asks.get(str(said.get("ask")))) is not None:
            step.approved, step.decided_by = bool(said.get("approve")), event.actor
            step.answer = str(said.get("answer") or "")
            if not step.approved:
                self._asked_for.pop(step.text, None)  # the same done later is another step


def _incident(kind: EventType, event: Event, said: Mapping[str, Any]) -> Incident | None:
    by = event.actor if event.actor not in (None, "daemon") else None
    words = "".join(_sentence(kind, said))
    if kind is EventType.AGENT_STARTED and int(said.get("attempt") or 1) == 1:
        return None
    if kind is EventType.AGENT_EXITED and said.get("asked"):
        return None
    ok = said.get("ok") if kind in (EventType.GATE_FINISHED, EventType.FOLDER_COMMAND_FINISHED) else None
    return Incident(_INCIDENTS[kind], event.created_at, words, by, None if ok is None else bool(ok))


def _sentence(kind: EventType, said: Mapping[str, Any]) -> Iterator[str]:
    match kind:
        case EventType.GATE_FINISHED:
            others = int(said.get("together") or 1) - 1
            behind = f", merged behind {others} other work item(s)" if others > 0 else ""
            yield f"{said.get('name')} on tree {str(said.get('tree'))[:8]} in {said.get('seconds')} s{behind}"
        case EventType.FOLDER_COMMAND_FINISHED:
            yield f"{said.get('phase')}: {said.get('command')}, {said.get('how')}"
        case EventType.FOLDER_STAYS:
            yield f"not removed yet: {said.get('reason')}"
        case EventType.WORK_COLLECTED:
            commits: Sequence[str] = said.get("commits") or ()
            yield f"{len(commits)} commit{'' if len(commits) == 1 else 's'}, head {str(said.get('head'))[:8]}"
        case EventType.AGENT_STARTED:
            yield f"process {said.get('attempt')} of its agent"
        case EventType.AGENT_EXITED | EventType.AGENT_LOST:
            signal, code = said.get("exit_signal"), said.get("exit_code")
            yield (
                f"signal {signal}"
                if signal
                else f"exit code {code}"
                if code is not None
                else "no exit status"
            )
            yield f", {said['cause']}" if said.get("cause") else ""
        case EventType.AGENT_SILENT:
            yield f"no sign of life for {said.get('seconds')} s"
        case EventType.CLI_CHANGED:
            yield f"{said.get('cli')} {said.get('before')} became {said.get('version')}"
        case EventType.BEAD_PUSHED:
            yield f"{str(said.get('head'))[:8]} to {said.get('remote')} as {said.get('branch')}"
        case EventType.BEAD_COMMENTED:
            yield f"{said.get('comment')} on {said.get('file')}:{said.get('line')}"
        case _:
            yield str(said.get("reason") or "")
