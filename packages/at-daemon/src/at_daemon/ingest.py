"""What an agent was seen to do becomes facts, receipts, asks and figures. Runs inside a ledger change."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from at_agents import prompts
from at_agents.decisions import Action, Do, IntentKind, Put, World, derived_id
from at_agents.lifecycle import after_exit, lost_message
from at_core.record import parse_time
from at_core.text import one_line
from at_core.types import Agent, Ask, Bead, BeadStatus, Message, MessageKind, SessionRecord, TokenMetric
from at_core.vocabulary import AgentFact, BeadFact, EventType
from at_daemon.error_row import ErrorRow
from at_daemon.ledger import Change
from at_daemon.prices import cost_of, size_wanted
from at_session import vocabulary as seen

MOST_TEXT = 20_000
TOOL_WORDS = 160
MOST_FAILED_TOOLS = 3
SOONEST_RETRY_SECONDS = 1.0
PAST_RESET_SECONDS = 30.0


@dataclasses.dataclass(slots=True)
class Intake:
    """Takes in the events of one session within one change."""

    change: Change
    session: SessionRecord
    agent: Agent
    bead: Bead | None
    limit_retry_seconds: float = 900.0

    def take(self, events: Sequence[seen.DriverEvent], *, goes_on: bool = False) -> None:
        """Record each event, in order. `goes_on`: the agent was heard a moment ago, and mere words are nothing new then."""
        only_words = bool(events) and all(isinstance(event, seen.Text) for event in events)
        nothing_new = goes_on and only_words and not self._row.under_way()
        for event in events:
            self._take(event)
        if not nothing_new:
            self.change.touch(self.bead.id if self.bead else None)

    def _take(self, event: seen.DriverEvent) -> None:
        match event:
            case seen.SessionLost():
                self._session_lost(event.session_id)
            case seen.SessionStarted():
                self._named(event)
            case seen.PromptAccepted(repeated=True):
                self._taken_before(event.message_id)
            case seen.PromptAccepted():
                self._mark(event.message_id, EventType.MESSAGE_ACCEPTED)
            case seen.PromptForgotten():
                self._forgotten(event.message_id)
            case seen.TurnStarted():
                self._turn_started(event)
            case seen.Text():
                self._row.answered()
                self._tell(EventType.TEXT_SPOKEN, text=event.text[:MOST_TEXT])
            case seen.ToolStarted():
                self._row.got_on()
                self._tools(event.tool_id, event.name)
                self._tell(
                    EventType.TOOL_STARTED,
                    tool=event.name,
                    what=event.what[:MOST_TEXT],
                    tool_id=event.tool_id,
                )
            case seen.ToolEnded():
                self._tool_ended(event)
                self._tell(
                    EventType.TOOL_ENDED, tool_id=event.tool_id, ok=event.ok, output=event.output[:MOST_TEXT]
                )
            case seen.AskOpened():
                self._ask(event)
            case seen.AskClosed():
                self._ask_closed(event)
            case seen.UsageReported():
                self._usage(event)
            case seen.ContextUsed():
                self._context(event)
            case seen.Retrying():
                self._row.retried(event)
                told = ("attempt", "delay_seconds", "message")
                self._tell(
                    EventType.CALL_RETRIED,
                    kind=event.kind.value,
                    **{name: getattr(event, name) for name in told},
                )
            case seen.CallAnswered():
                self._row.answered()
            case seen.Limited():
                self._limited(event.message, event.reset_at or self._time_in(event.reset_in_seconds))
            case seen.LoginRefused():
                self._put(AgentFact.LOGIN, {"message": event.message, "how": event.how})
                self._tell(EventType.LOGIN_REFUSED, message=event.message, how=event.how)
            case seen.TurnEnded():
                self._turn_ended(event)
            case seen.Unparsed():
                self._tell(EventType.LINE_UNPARSED, excerpt=event.excerpt, stream=event.stream)
                self._put(AgentFact.LAST_WORDS, {"text": event.excerpt, "session": self.session.id})

    def _tell(self, event: EventType, **payload: object) -> None:
        self.change.tell(event, self.bead, self.agent, actor=self.agent.name, said=payload)

    def _put(self, name: AgentFact, value: object) -> None:
        self.change.put(self.agent.id, name, value, self.session.cli)

    def _session_lost(self, session_id: str) -> None:
        """The next session knows nothing of the work, so it is told what was asked before anything else.

        What waits to be said is said with it: alone it would make no sense to a session that begins.
        """
        if self.bead is None:
            return
        self.change.put(self.bead.id, BeadFact.SESSION, None)
        messages = self.change.tx.messages(bead_id=self.bead.id)
        if not any(message.accepted_at for message in messages):
            return
        waiting = [m for m in messages if m.sent_at is None and not m.failed and not m.answered_at]
        identity = derived_id(self.bead.id, "lost", session_id, self.session.id)
        asked = self.bead.description or self.bead.title
        said = [message.body for message in waiting if message.kind is not MessageKind.GO_ON]
        body = "\n\n".join((asked, prompts.begun_before(), *said))
        if self.change.say(self.bead, identity, MessageKind.PROMPT, body):
            self._turn_is_dealt_with()
            for message in waiting:
                self.change.tx.mark_message(message.id, failed="it is said anew in another session")

    def _turn_is_dealt_with(self) -> None:
        """What follows from how the newest turn ended was done in another way."""
        if turn := self.change.fact(self.agent.id, AgentFact.TURN):
            self._put(AgentFact.TURN, turn | {"dealt_with": True, "begun": False})
        self._put(AgentFact.TROUBLE, None)

    def _version(self, version: str | None) -> None:
        """An upgrade between two starts is a fact that a person may need to understand what follows."""
        before = self.change.fact(self.agent.id, AgentFact.VERSION) or {}
        if version is None or before.get("version") == version:
            return
        self._put(AgentFact.VERSION, {"version": version, "before": before.get("version")})
        if before:
            self._tell(EventType.CLI_CHANGED, cli=self.session.cli, before=before["version"], version=version)

    def _named(self, event: seen.SessionStarted) -> None:
        self._version(event.version)
        if self.bead is not None and self.change.fact(self.bead.id, BeadFact.SESSION) != {
            "id": event.session_id
        }:
            self.change.put(self.bead.id, BeadFact.SESSION, {"id": event.session_id}, self.session.cli)
        if self.agent.session_id != event.session_id:
            self.agent = self.change.tx.save_agent(
                dataclasses.replace(self.agent, session_id=event.session_id)
            )
            self._tell(
                EventType.SESSION_NAMED, session_id=event.session_id, model=event.model, version=event.version
            )

    def _current(self, message_id: str | None) -> Message | None:
        """The message that the agent names, else the oldest that was sent and is not answered."""
        if self.bead is None:
            return None
        of_bead = self.change.tx.messages(bead_id=self.bead.id)
        waiting = [m for m in of_bead if not m.answered_at and not m.failed]
        if message_id is not None:
            return next((m for m in waiting if str(m.id) == message_id), None)
        return next((m for m in waiting if m.sent_at), None)

    def _mark(self, message_id: str | None, event: EventType) -> Message | None:
        message = self._current(message_id)
        if message is None:
            return None
        now = self.change.now
        started = now if event is not EventType.MESSAGE_ACCEPTED else None
        answered = now if event is EventType.MESSAGE_ANSWERED else None
        self.change.tx.mark_message(
            message.id, sent_at=now, accepted_at=now, started_at=started, answered_at=answered
        )
        self._tell(event, message=str(message.id))
        return message

    def _taken_before(self, message_id: str) -> None:
        """The CLI had it from us before its process ended, so it starts no turn: that one was cut."""
        message = self._mark(message_id, EventType.MESSAGE_ACCEPTED)
        if message is not None and message.started_at is None:
            self.change.tx.mark_message(message.id, failed=lost_message())
            self._tell(EventType.MESSAGE_FAILED, message=str(message.id), reason=lost_message())
            turn = self.change.fact(self.agent.id, AgentFact.TURN) or {}
            of = {"bead": str(self.bead.id)} if self.bead else {}
            self._put(AgentFact.TURN, turn | of | {"state": "cut", "begun": True, "dealt_with": False})

    def _forgotten(self, message_id: str) -> None:
        """The next process of the CLI knows nothing of it: it is delivered as if for the first time."""
        message = self._current(message_id)
        if message is not None:
            self.change.tx.requeue_message(message.id)
            self._tell(EventType.MESSAGE_FORGOTTEN, message=str(message.id))

    def _turn_started(self, event: seen.TurnStarted) -> None:
        turn = self.change.fact(self.agent.id, AgentFact.TURN) or {}
        if turn.get("state") == "working" and turn.get("session") == self.session.id:
            return
        message = self._mark(event.message_id, EventType.MESSAGE_STARTED)
        number = int(turn.get("number", 0)) + 1
        self._put(
            AgentFact.TURN,
            {
                "state": "working",
                "number": number,
                "session": self.session.id,
                "bead": self._bead_id,
                "message_id": str(message.id) if message else None,
            },
        )
        self._put(AgentFact.TOOLS, None)
        self._row.turn_began()

    def _turn_ended(self, event: seen.TurnEnded) -> None:
        message = self._mark(event.message_id, EventType.MESSAGE_ANSWERED)
        for joined in event.joined:
            self._mark(joined, EventType.MESSAGE_ANSWERED)
        turn = self.change.fact(self.agent.id, AgentFact.TURN) or {}
        number = int(turn.get("number", 0)) + (turn.get("state") != "working")
        value = {
            "state": "ended",
            "number": number,
            "session": self.session.id,
            "bead": self._bead_id,
            # One that a person handed in meanwhile is judged by its evidence.
            "dealt_with": self.bead is not None and self.bead.status is not BeadStatus.SLUNG,
            "outcome": event.outcome.value,
            "message_id": str(message.id) if message else None,
            "text": event.text[:MOST_TEXT],
            "failure": event.failure.value if event.failure else None,
            "error": event.error,
            "denied": list(event.denied),
            **self._row.heard(),
        }
        self._put(AgentFact.TURN, value)
        self._row.turn_ended(event)
        if event.outcome is not seen.TurnOutcome.INTERRUPTED:  # a process that dies may say so first
            self._put(AgentFact.CRASHES, None)
        if event.failure is seen.FailureKind.LIMIT and not self.change.fact(self.agent.id, AgentFact.LIMIT):
            self._limited(event.error or "usage limit", None)
        if event.outcome is seen.TurnOutcome.COMPLETED:
            self._put(AgentFact.LIMIT, None)  # it went through after all
            self._put(AgentFact.LIMITS, None)
        for ask in self.change.tx.asks(agent_id=self.agent.id):
            if ask.closed_at is None and ask.session == self.session.id:
                self.change.tx.close_ask(ask.id, self.change.now, ask.decided_at is None)
        told = {name: each for name, each in value.items() if name not in ("state", "awake", "boot")}
        self._tell(EventType.TURN_ENDED, **told)
        self.change.touch_parked()

    @property
    def _row(self) -> ErrorRow:
        return ErrorRow(self.change, self.agent.id, self.session.cli)

    @property
    def _bead_id(self) -> str | None:
        return str(self.bead.id) if self.bead else None

    def _tools(self, tool_id: str, name: str) -> None:
        tools = self.change.fact(self.agent.id, AgentFact.TOOLS) or {}
        self._put(AgentFact.TOOLS, {**tools, "open": {**tools.get("open", {}), tool_id: name}})

    def _tool_ended(self, event: seen.ToolEnded) -> None:
        """A tool that is refused or does not exist is why a turn changed nothing, so the last words of each are kept."""
        tools = self.change.fact(self.agent.id, AgentFact.TOOLS) or {}
        still = dict(tools.get("open", {}))
        name = still.pop(event.tool_id, "")
        failed = list(tools.get("failed", []))
        if not event.ok:
            failed.append(
                f"{name}: {one_line(event.output, TOOL_WORDS)}"
                if name
                else one_line(event.output, TOOL_WORDS)
            )
        if still or failed or tools:
            self._put(AgentFact.TOOLS, {"open": still, "failed": failed[-MOST_FAILED_TOOLS:]})

    def _limited(self, message: str, reset_at: str | None) -> None:
        try_at = self._try_at(reset_at, self._limits_in_a_row()).isoformat()
        limit = {"message": message, "reset_at": reset_at, "try_at": try_at, "bead": self._bead_id}
        self._put(AgentFact.LIMIT, limit)
        self._tell(EventType.LIMIT_REACHED, message=message, reset_at=reset_at, try_at=try_at)

    def _time_in(self, seconds: float | None) -> str | None:
        """The time that is so far away, to the second and not too early."""
        if seconds is None:
            return None
        end = self.change.now + timedelta(seconds=seconds, microseconds=999_999)
        return end.strftime("%Y-%m-%dT%H:%M:%SZ")

    def _limits_in_a_row(self) -> int:
        """How many turns a limit ended since the last one that was completed, this one included."""
        before = self.change.fact(self.agent.id, AgentFact.LIMITS) or {}
        number = (self.change.fact(self.agent.id, AgentFact.TURN) or {}).get("number")
        count = int(before.get("count", 0)) + (before.get("turn") != number or not before)
        self._put(AgentFact.LIMITS, {"count": count, "turn": number})
        return count

    def _try_at(self, reset_at: str | None, in_a_row: int) -> datetime:
        try:
            reset = parse_time(reset_at) if reset_at else None
        except (ValueError, OverflowError):
            reset = None  # a CLI's word is no reason to stumble
        if reset is None:
            return self.change.now + timedelta(seconds=self.limit_retry_seconds)
        # A clock that is wrong, or a limit that goes on: not once a second for ever.
        least = SOONEST_RETRY_SECONDS if reset > self.change.now else PAST_RESET_SECONDS
        wait = min(self.limit_retry_seconds, least * 2.0 ** min(in_a_row - 1, 10))
        return max(reset, self.change.now + timedelta(seconds=wait))

    def _ask(self, event: seen.AskOpened) -> None:
        tx = self.change.tx
        if tx.ask_by_request(self.session.id, event.request_id) is not None:
            return
        ask = Ask(
            id=derived_id(self.session.id, event.request_id),
            agent_id=self.agent.id,
            bead_id=self.bead.id if self.bead else None,
            session=self.session.id,
            request_id=event.request_id,
            kind=event.kind.value,
            what=event.what,
            tool=event.tool,
            argv=event.argv,
            asked_at=self.change.now,
        )
        tx.add_ask(ask)
        self._tell(EventType.ASK_OPENED, ask=str(ask.id), kind=ask.kind, what=ask.what[:MOST_TEXT])
        rig = self.bead.rig if self.bead else None
        if rig and event.argv and tx.matching_rule(rig, ask.kind, event.tool, event.argv):
            decide(self.change, ask, self.bead, approve=True, answer="", by="rule")

    def _ask_closed(self, event: seen.AskClosed) -> None:
        ask = self.change.tx.ask_by_request(self.session.id, event.request_id)
        if ask is not None and ask.closed_at is None:
            self.change.tx.close_ask(ask.id, self.change.now, event.withdrawn)
            self._tell(EventType.ASK_CLOSED, ask=str(ask.id), withdrawn=event.withdrawn)

    def _usage(self, event: seen.UsageReported) -> None:
        usage = event.usage
        cost = cost_of(self.change.tx, self.session.cli, usage, event.source)
        if cost.wanted is not None:
            self.change.intend(cost.wanted, self.bead.id if self.bead else None, self.agent.id)
        self.change.tx.add_usage(
            TokenMetric(
                id=uuid4(),
                agent_id=self.agent.id,
                bead_id=self.bead.id if self.bead else None,
                model=usage.model or "",
                input_tokens=usage.input_tokens,
                cached_tokens=usage.cached_tokens,
                output_tokens=usage.output_tokens,
                cost_usd=cost.usd,
                requests=usage.requests,
                duration_ms=usage.duration_ms or 0,
                source=cost.source,
                estimated=cost.estimated,
                created_at=self.change.now,
                cli=self.session.cli,
                turn=self._turn_number(),
                session=self.session.id,
            )
        )
        self._tell(EventType.USAGE_REPORTED, **dataclasses.asdict(usage), source=event.source)

    def _context(self, event: seen.ContextUsed) -> None:
        told = {
            "used": event.used,
            "size": event.size,
            "model": event.model,
            "session": self.agent.session_id,
        }
        self.change.put(self.agent.id, AgentFact.CONTEXT, {**told, "source": event.source}, event.source)
        wanted = size_wanted(self.change.tx, self.session.cli, event.model) if event.size is None else None
        if wanted is not None:
            self.change.intend(wanted, self.bead.id if self.bead else None, self.agent.id)

    def _turn_number(self) -> int:
        """The session's newest turn, which figures may come after: some CLIs only write them down at its end."""
        turn = self.change.fact(self.agent.id, AgentFact.TURN) or {}
        if turn.get("session") == self.session.id:
            return int(turn.get("number", 0))
        return self.change.tx.last_turn(self.agent.id, self.session.id)


def decide(change: Change, ask: Ask, bead: Bead | None, *, approve: bool, answer: str, by: str) -> Ask:
    """Put a decision on record and intend its delivery. Raises Refused when it was decided or closed already."""
    decided = change.tx.decide_ask(ask.id, approve, answer, by, change.now)
    payload = {"ask": str(ask.id), "session": ask.session}
    change.intend(Do(f"answer:{ask.id}", IntentKind.ANSWER, payload), ask.bead_id, ask.agent_id)
    change.tell(EventType.ASK_DECIDED, bead, actor=by, ask=str(ask.id), approve=approve, answer=answer)
    change.touch(ask.bead_id)
    return decided


def process_ended(
    change: Change,
    session: SessionRecord,
    world: World | None,
    *,
    code: int | None,
    signal: int | None,
    lost: bool,
    asked: bool,
    source: str,
    cause: str = "",
) -> None:
    """A session's process is gone: end its record, settle its messages, count a crash if nobody asked for it.

    `cause` is what the machine tells of why it ended.
    """
    tx = change.tx
    tx.end_session(session.id, change.now, code, signal)
    process = change.fact(session.agent_id, AgentFact.PROCESS) or {}
    agent = tx.agent(session.agent_id)
    if process.get("session") == session.id:
        ended = {
            "state": "lost" if lost else "exited",
            "exit_code": code,
            "exit_signal": signal,
            "asked": asked,
            "cause": cause,
        }
        change.put(session.agent_id, AgentFact.PROCESS, process | ended, source)
    ErrorRow(change, session.agent_id, source).process_ended()
    for ask in tx.asks(agent_id=session.agent_id):
        if ask.session == session.id and ask.closed_at is None:
            tx.close_ask(ask.id, change.now, True)
    event = EventType.AGENT_LOST if lost else EventType.AGENT_EXITED
    bead = world.bead if world else None
    change.tell(
        event, bead, agent, exit_code=code, exit_signal=signal, session=session.id, asked=asked, cause=cause
    )
    if world is not None and bead is not None:
        _settle_messages(change, world, after_exit(world, code, signal, asked, cause))
    change.touch_waiting()


def _settle_messages(change: Change, world: World, actions: list[Action]) -> None:
    for action in actions:
        if isinstance(action, Put) and isinstance(action.name, AgentFact) and world.agent is not None:
            change.put(world.agent.id, action.name, action.value, action.source)
    for message in world.open_messages:
        if message.sent_at is not None and message.accepted_at is None:
            # Same id in the next session: a CLI that did take it before it died knows the id and ignores it.
            change.tx.unsend_message(message.id)
        elif message.sent_at is not None:
            change.tx.mark_message(message.id, failed=lost_message())
            change.tell(EventType.MESSAGE_FAILED, world.bead, message=str(message.id), reason=lost_message())
    change.touch(world.bead.id)
