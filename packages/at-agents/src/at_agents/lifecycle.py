"""Decisions about an agent's process while its bead is at work: start, send, wait, start again, give up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from at_agents import prompts, set_up, trouble
from at_agents.budget import park, reached, unpark
from at_agents.decisions import (
    Action,
    Do,
    IntentKind,
    Put,
    QueueMessage,
    Tell,
    Transition,
    WakeAt,
    World,
    derived_id,
)
from at_core.record import parse_time
from at_core.text import one_line
from at_core.types import BeadStatus, IntentState, MessageKind
from at_core.vocabulary import AgentFact, BeadFact, EventType

ROOM_SECONDS = 15.0
"""So long it takes until it shows whether the end of one agent freed enough memory."""
MEANINGS = {
    "context": "the conversation no longer fits into the model's context",
    "connection": "the connection to the model broke off",
    "overloaded": "the model's servers are overloaded",
    "api": "the model's endpoint answered with an error",
}
"""What a kind of failure means for the person, before the CLI's own words."""
END_SECONDS = 10.0
"""A turn that is told as interrupted so shortly before the process's end was interrupted by that, not by a person."""
WORDS = 200
"""Columns of a CLI's last line in a reason."""


def reconcile_work(world: World) -> list[Action]:
    """What a slung bead needs now: its folder, its process, its messages, or a verdict about its last turn."""
    if world.waits_for is not None:
        return []
    if world.facts.get(BeadFact.FOLDER) is None:
        return _folder(world)
    if world.agent is None:
        return []
    if login := world.agent_facts.get(AgentFact.LOGIN):
        return [_failed("login", login["message"], login["how"])]
    if world.agent_facts.get(AgentFact.STOPPED):
        return _stopped(world)
    if (limit := world.agent_facts.get(AgentFact.LIMIT)) and not world.speaking:
        if world.now < (try_at := parse_time(limit["try_at"])):
            return [WakeAt(try_at)]
        if world.limit is not None:
            return [Put(AgentFact.LIMIT, None), *_limit_over(world)]
    return _with_process(world) if world.running else _without_process(world)


def reconcile_rest(world: World) -> list[Action]:
    """What is left of a bead that is at its end: end its process, then clear its folder once the work is merged."""
    actions: list[Action] = []
    if world.running and world.session is not None:
        return [stop(world.session.id, "the bead is at its end")]
    if world.bead.status is BeadStatus.DONE and world.facts.get(BeadFact.FOLDER) and not _override(world):
        actions.append(
            Do(f"remove:{world.bead.id}:{world.generation}", IntentKind.REMOVE, {"reason": "landed"})
        )
    return actions


def leave(world: World) -> list[Action]:
    """What a bead needs that is being removed: the end of its process, also of one that came up meanwhile."""
    return [stop(world.session.id, "its bead is removed")] if world.running and world.session else []


def stop(session: str, reason: str) -> Do:
    """End one session politely; the same session is ended once."""
    return Do(f"stop:{session}", IntentKind.STOP, {"session": session, "reason": reason})


def after_exit(
    world: World, code: int | None, signal: int | None, asked: bool, cause: str = ""
) -> list[Action]:
    """What the end of a process means: which messages will get no answer, and whether it was a crash.

    `cause` is what the machine tells of why it ended, in words.
    """
    turn = dict(world.turn)
    actions: list[Action] = []
    if turn.get("state") == "working" or any(m.sent_at for m in world.open_messages) or _ended_with_it(world):
        begun = turn.get("begun", False) or turn.get("state") == "working" or _ended_with_it(world)
        # A prompt that was taken gets no answer, be its turn begun or not.
        begun = begun or any(m.accepted_at for m in world.open_messages)
        number = (world.agent_facts.get(AgentFact.TURN) or {}).get("number", 0)
        cut = {"state": "cut", "begun": begun, "bead": str(world.bead.id), "dealt_with": False}
        actions.append(Put(AgentFact.TURN, {"number": number} | turn | cut, "holder"))
        if not asked:
            actions.append(Put(AgentFact.CRASHES, _one_more_crash(world, code, signal, cause), "holder"))
    elif not asked and world.bead.status is BeadStatus.SLUNG and world.open_messages:
        actions.append(Put(AgentFact.CRASHES, _one_more_crash(world, code, signal, cause), "holder"))
    return actions


def ends_now(world: World) -> float:
    """Seconds for which an interrupted turn may still turn out to be its process's end, which some CLIs tell first."""
    told = world.turn.get("awake")
    if told is None or world.turn.get("boot") != world.awake.boot:
        return 0.0
    return max(0.0, END_SECONDS - (world.awake.seconds - float(told)))


def _ended_with_it(world: World) -> bool:
    """Whether its last turn was interrupted by the process's end: some CLIs still say so before they go."""
    turn = world.turn
    of_it = turn.get("outcome") == "interrupted" and turn.get("session") == world.process.get("session")
    return of_it and ends_now(world) > 0


def lost_message() -> str:
    """Why a message that was taken gets no answer."""
    return "the process ended in its turn"


def _folder(world: World) -> list[Action]:
    key = f"prepare:{world.bead.id}:{world.generation}"
    if error := world.failure(key):
        return [_failed("folder", f"its folder could not be made: {error}", f"at retry {short(world)}")]
    return [Do(key, IntentKind.PREPARE, {})]


def _stopped(world: World) -> list[Action]:
    """A start that was under way when it was stopped may have come through since."""
    if world.running and world.session is not None:
        return [stop(world.session.id, world.agent_facts[AgentFact.STOPPED]["reason"] or "it is stopped")]
    return set_up.run_anew(world)


def _limit_over(world: World) -> list[Action]:
    return _once(world, MessageKind.GO_ON, prompts.limit_over(world.lost_prompt), "limit", *_this_turn(world))


def _this_turn(world: World) -> tuple[object, ...]:
    """What tells the newest turn from all others of the bead; turns are counted anew with each try."""
    return world.generation, world.turn.get("session"), world.turn.get("number")


def _once(world: World, kind: MessageKind, body: str, *cause: object) -> list[Action]:
    """A message for a cause, unless it was said: what was said for it must not bar the way of anything else."""
    identity = derived_id(world.bead.id, *cause)
    if any(message.id == identity for message in world.messages):
        return []
    return [QueueMessage(identity, kind, body)]


def _with_process(world: World) -> list[Action]:
    ending = world.intent(f"stop:{world.process['session']}")
    if ending is not None and ending.state is IntentState.OPEN:
        return []
    if world.turn.get("state") == "working":
        return _api_patience(world) or _silence(world)
    if world.speaking:
        return _silence(world)
    if broken_off := _broken_off(world, int(world.process["attempt"])):
        return broken_off
    if waiting := world.waiting_messages:
        first = waiting[0]
        key = f"send:{first.id}:{world.process['session']}"
        if error := world.failure(key):
            return [
                _failed("send", f"the prompt could not be delivered: {error}", f"at retry {short(world)}")
            ]
        if world.intent(key) is None and (full := reached(world)):
            return park(world, full)
        send = Do(key, IntentKind.SEND, {"message": str(first.id), "session": world.process["session"]})
        return [send, *unpark(world), *_coming_up(world)]
    return _verdict(world)


def _without_process(world: World) -> list[Action]:
    cut = world.turn.get("state") == "cut"
    if not world.open_messages and not cut:
        return _verdict(world)
    if world.busy_elsewhere:
        return []
    if world.elsewhere:
        return [stop(world.elsewhere, "its agent is needed for another bead")]
    crashes = world.agent_facts.get(AgentFact.CRASHES) or {}
    if int(crashes.get("count", 0)) > world.policy.max_crashes:
        times = crashes["count"]
        reason = f"the agent ended {times} times without finishing its turn, last with {crashes['last']}"
        return [
            Transition(
                BeadStatus.ESCALATED, EventType.BEAD_ESCALATED, "crashed", reason, f"at retry {short(world)}"
            )
        ]
    attempt = int(world.process.get("attempt", 0)) + 1
    key = f"spawn:{_agent(world)}:{world.bead.id}:{world.generation}:{attempt}"
    if error := world.failure(key):
        return [_failed("start", error, "at doctor")]
    actions = _broken_off(world, attempt)
    if world.turn.get("state") == "ended" and actions:
        return actions
    if world.intent(key) is None and (full := reached(world)):
        return [*actions, *park(world, full)]
    actions += unpark(world)
    if world.intent(key) is None and (before := set_up.missing(world, set_up.Phase.SETUP, attempt)):
        return [*actions, *before]
    if world.room.full and world.intent(key) is None:
        return [*actions, *_make_room(world)]
    if world.intent(key) is None and (before := set_up.missing(world, set_up.Phase.RUN, attempt)):
        return [*actions, *before]
    not_before = parse_time(crashes["try_at"]) if crashes.get("try_at") else None
    actions.append(Do(key, IntentKind.SPAWN, {"attempt": attempt}, not_before))
    return actions


def _make_room(world: World) -> list[Action]:
    """An agent that waits for a review can be had back by its session; its place is worth more to work."""
    actions = set_up.run_anew(world)
    if world.room.look_again:
        actions.append(WakeAt(world.room.look_again))
    if not world.room.spare or (world.room.look_again and _made_room_lately(world)):
        return actions
    awake = {"awake": world.awake.seconds, "boot": world.awake.boot}
    made = Put(BeadFact.MADE_ROOM, {"session": world.room.spare, **awake})
    return [*actions, stop(world.room.spare, "its place is needed"), made]


def _made_room_lately(world: World) -> bool:
    """Memory that was given back is not seen at once: the share of time spent waiting for it is of the last seconds."""
    made = world.facts.get(BeadFact.MADE_ROOM) or {}
    lately = made.get("boot") == world.awake.boot
    return lately and world.awake.seconds - float(made["awake"]) < ROOM_SECONDS


def _broken_off(world: World, attempt: int) -> list[Action]:
    """What a turn that came to no end of its own wants before anything else is said; empty where there is none.

    What a person says meanwhile must not pass for the whole of the work.
    """
    turn = world.turn
    if world.told_to_go_on or turn.get("dealt_with"):
        return []
    if turn.get("state") == "cut" and (turn.get("begun") or not world.open_messages):
        return _once(world, MessageKind.GO_ON, prompts.go_on(), "go-on", attempt, turn.get("number"))
    return _verdict(world) if world.broken_turn else []


def _verdict(world: World) -> list[Action]:
    turn = world.turn
    if turn.get("state") != "ended":
        return []
    if turn.get("outcome") == "completed":
        return hand_in(world, "agent")
    if turn.get("outcome") == "interrupted":
        left = ends_now(world)
        return [WakeAt(world.now + timedelta(seconds=left))] if left else []
    if not world.broken_turn:
        return []
    failure = turn.get("failure") or "other"
    if failure == "limit":
        return _limit_over(world)  # the limit itself was another bead's meanwhile
    if turn.get("go_on"):
        return _once(
            world, MessageKind.GO_ON, prompts.trouble_over(world.lost_prompt), "again", *_this_turn(world)
        )
    if again := trouble.go_on(world):
        return again
    error = turn.get("error") or "the turn failed"
    reason = f"{MEANINGS[failure]}: {error}" if failure in MEANINGS else error
    return [_failed(failure, reason, f"at retry {short(world)}{' --fresh' if failure == 'context' else ''}")]


def hand_in(world: World, by: str) -> list[Action]:
    """Take the bead to review, one round further."""
    number = int((world.facts.get(BeadFact.HANDED_IN) or {}).get("round", 0)) + 1
    dealt_with = dict(world.turn) | {"dealt_with": True}
    return [
        *([Put(AgentFact.TURN, dealt_with)] if world.broken_turn else []),
        Put(BeadFact.HANDED_IN, {"by": by, "round": number}, by),
        Put(BeadFact.OUTCOME, None),
        Transition(BeadStatus.REVIEW, EventType.BEAD_HANDED_IN),
    ]


def _api_patience(world: World) -> list[Action]:
    """A CLI may go on calling for minutes; errors that do not pass end the bead before. Limits have their own rule."""
    retrying = world.agent_facts.get(AgentFact.RETRYING) or {}
    if retrying.get("awake") is None or retrying.get("kind") == "limit":
        return []
    left = world.policy.api_patience_seconds - (world.awake.seconds - float(retrying["awake"]))
    due = float(retrying.get("newest") or retrying["awake"]) + float(retrying.get("delay_seconds") or 0.0)
    if world.awake.seconds - due > world.policy.api_answer_seconds:
        return _silence(world)  # no error since: the call that was tried again is being answered
    if left > 0:
        return [*_silence(world), WakeAt(world.now + timedelta(seconds=left))]
    reason = f"its calls were answered with errors for {world.policy.api_patience_seconds:.0f} s: {retrying['message']}"
    return [_failed("api", reason, f"at retry {short(world)}")]


def _coming_up(world: World) -> list[Action]:
    """A process that takes no prompt yet and says nothing may hang in its own start."""
    if world.turn.get("session") == world.process["session"]:
        return []
    return _silence(world, min(world.policy.start_seconds, world.policy.silence_seconds), " since its start")


def _silence(world: World, seconds: float | None = None, when: str = "") -> list[Action]:
    """End a process that gives no sign of life for so long (None: as the CLI's settings say)."""
    patience = world.policy.silence_seconds if seconds is None else seconds
    if world.asks or world.session is None:
        return []
    sign = world.agent_facts.get(AgentFact.SIGN_OF_LIFE) or {}
    if sign.get("boot") != world.awake.boot or sign.get("session") != world.session.id:
        return []
    quiet = world.awake.seconds - float(sign["awake"])
    left = patience - quiet
    if left > 0:
        return [WakeAt(world.now + timedelta(seconds=left))]
    reason = f"no sign of life for {patience:.0f} s{when}"
    key = f"stop:{world.session.id}"
    if world.intent(key) is not None:
        return []
    return [
        Tell(EventType.AGENT_SILENT, {"seconds": quiet}),
        Do(key, IntentKind.STOP, {"session": world.session.id, "reason": reason, "crash": True}),
    ]


def _one_more_crash(world: World, code: int | None, signal: int | None, cause: str) -> dict[str, Any]:
    count = int((world.agent_facts.get(AgentFact.CRASHES) or {}).get("count", 0)) + 1
    waits = world.policy.crash_backoff_seconds
    wait = waits[min(count, len(waits)) - 1]
    last = f"signal {signal}" if signal else f"exit code {code}" if code is not None else "no exit status"
    if cause:
        last += f" ({cause})"
    words = world.agent_facts.get(AgentFact.LAST_WORDS) or {}
    if words.get("session") == world.process.get("session") and (
        said := one_line(words.get("text", ""), WORDS)
    ):
        last += f", saying: {said}"
    try_at = world.now + timedelta(seconds=wait)
    return {"count": count, "last": last, "try_at": try_at.isoformat()}


def _failed(kind: str, reason: str, hint: str) -> Transition:
    return Transition(BeadStatus.FAILED, EventType.BEAD_FAILED, kind, reason, hint)


def _override(world: World) -> bool:
    return world.facts.get(BeadFact.OVERRIDE) is not None and world.facts.get(BeadFact.MERGED) is None


def _agent(world: World) -> str:
    return str(world.agent.id) if world.agent else ""


def short(world: World) -> str:
    """The bead's short id, as it is shown in commands to run next."""
    return str(world.bead.id)[:8]
