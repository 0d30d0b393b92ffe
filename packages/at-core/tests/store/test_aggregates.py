"""What the store promises of each kind of record beyond keeping it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from at_core.errors import Duplicate, NotFound, Refused, TransitionRefused
from at_core.store import DestructiveAct, Store, Tx, UsageTotals
from at_core.types import (
    Agent,
    AgentRole,
    Ask,
    Bead,
    BeadStatus,
    CliType,
    Convoy,
    ConvoyStatus,
    Event,
    GateResult,
    Mail,
    Message,
    MessageKind,
    ReceiptState,
    Rig,
    Rule,
    SessionRecord,
    TokenMetric,
)

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


def an_ask(**fields: Any) -> Ask:
    given: dict[str, Any] = {"id": uuid4(), "agent_id": uuid4(), "session": "s", "request_id": uuid4().hex}
    return Ask(**given | {"kind": "command", "what": "ls -l", "asked_at": NOW} | fields)


def a_message(**fields: Any) -> Message:
    given: dict[str, Any] = {"id": uuid4(), "agent_id": uuid4(), "kind": MessageKind.NUDGE, "body": "go on"}
    return Message(**given | {"created_at": NOW} | fields)


def a_metric(**fields: Any) -> TokenMetric:
    given: dict[str, Any] = {
        "id": uuid4(),
        "model": "m",
        "input_tokens": 10,
        "output_tokens": 5,
        "duration_ms": 7,
    }
    return TokenMetric(**given | {"created_at": NOW} | fields)


def a_session(**fields: Any) -> SessionRecord:
    given: dict[str, Any] = {"id": uuid4().hex, "agent_id": uuid4(), "cli": "demo", "attempt": 1}
    return SessionRecord(**given | {"started_at": NOW} | fields)


def a_rig(name: str = "shop") -> Rig:
    return Rig(id=uuid4(), name=name, path=f"/src/{name}", target="main", created_at=NOW)


def a_result(**fields: Any) -> GateResult:
    given: dict[str, Any] = {"name": "test", "command": "make test", "tree": "t1", "ok": True, "exit_code": 0}
    return GateResult(**given | {"seconds": 1.5, "log": "/log", "rig": "shop", "at": NOW} | fields)


ADDED_TWICE: dict[str, tuple[str, Any]] = {
    "rig": ("add_rig", a_rig()),
    "agent": ("add_agent", Agent.new("a", AgentRole.CREW, CliType.DEMO)),
    "message": ("add_message", a_message()),
    "ask": ("add_ask", an_ask()),
    "session": ("add_session", a_session()),
    "usage record": ("add_usage", a_metric()),
}


@pytest.mark.parametrize("kind", ADDED_TWICE)
def test_adding_the_same_twice_is_refused_by_name(store: Store, kind: str) -> None:
    method, record = ADDED_TWICE[kind]
    store.write_now(lambda tx: getattr(tx, method)(record))
    with pytest.raises(Duplicate) as told:
        store.write_now(lambda tx: getattr(tx, method)(record))
    assert told.value.kind == kind


UNKNOWN = uuid4()
MISSING: list[Callable[[Tx], object]] = [
    lambda tx: tx.remove_bead(UNKNOWN),
    lambda tx: tx.save_bead(Bead.new("never added")),
    lambda tx: tx.save_agent(Agent.new("never added", AgentRole.CREW, CliType.DEMO)),
    lambda tx: tx.trust_rig(UNKNOWN, "hash"),
    lambda tx: tx.mark_message(UNKNOWN, sent_at=NOW),
    lambda tx: tx.decide_ask(UNKNOWN, True, "", "me", NOW),
    lambda tx: tx.close_ask(UNKNOWN, NOW, False),
    lambda tx: tx.advance_session("none", 1, {}),
    lambda tx: tx.end_session("none", NOW),
    lambda tx: tx.read_mail(UNKNOWN, NOW),
    lambda tx: tx.beads(after=UNKNOWN),
]


@pytest.mark.parametrize("command", MISSING)
def test_what_is_not_there_cannot_be_changed(store: Store, command: Callable[[Tx], object]) -> None:
    with pytest.raises(NotFound):
        store.write_now(command)


def test_a_step_that_is_refused_names_its_bead(store: Store) -> None:
    bead = Bead.new("Pay later")
    store.write_now(lambda tx: tx.add_bead(bead))
    with pytest.raises(TransitionRefused) as raised:
        store.write_now(lambda tx: tx.move_bead(bead.id, BeadStatus.DONE, LATER))
    assert raised.value.hint == f"at show {str(bead.id)[:8]}"


ABSENT: list[Callable[[Tx], object]] = [
    lambda tx: tx.bead(UNKNOWN),
    lambda tx: tx.agent(UNKNOWN),
    lambda tx: tx.agent_by_name("none"),
    lambda tx: tx.rig("none"),
    lambda tx: tx.rig_by_path("/none"),
    lambda tx: tx.fact(UNKNOWN, "none"),
    lambda tx: tx.intent("none"),
    lambda tx: tx.lease("none"),
    lambda tx: tx.message(UNKNOWN),
    lambda tx: tx.ask(UNKNOWN),
    lambda tx: tx.ask_by_request("s", "none"),
    lambda tx: tx.session("none"),
    lambda tx: tx.convoy(UNKNOWN),
    lambda tx: tx.latest_kpi(),
    lambda tx: tx.gate_result("r", "n", "c", "t"),
    lambda tx: tx.matching_rule("r", "command", None, ["ls"]),
]


@pytest.mark.parametrize("question", ABSENT)
def test_what_is_not_there_is_none(store: Store, question: Callable[[Tx], object]) -> None:
    assert store.read_now(question) is None


def bead_called(id: str, title: str, rig: str | None = None) -> Bead:
    return dataclasses.replace(Bead.new(title), id=UUID(id), rig=rig)


ONE = bead_called("abcd1234-0000-4000-8000-000000000001", "fix the door", "shop")
TWO = bead_called("abcd9999-0000-4000-8000-000000000002", "fix the door", "barn")
NAMED = bead_called("12345678-0000-4000-8000-000000000003", "12345678", "shop")


@pytest.mark.parametrize(
    ("text", "rig", "found"),
    [
        (str(ONE.id), None, [ONE]),
        (str(ONE.id).upper(), None, [ONE]),
        (ONE.id.hex, None, [ONE]),
        ("abcd", None, [TWO, ONE]),
        ("abcd1", None, [ONE]),
        ("abcd1234-0000-40", None, [ONE]),
        ("abcd12340000", None, [ONE]),
        ("abc", None, []),
        ("abcd", "barn", [TWO]),
        ("fix the door", None, [TWO, ONE]),
        ("fix the door", "shop", [ONE]),
        ("Fix the door", None, []),
        ("12345678", None, [NAMED]),
        ("ffff", None, []),
        ("", None, []),
        ("%", None, []),
    ],
)
def test_a_bead_is_found_by_id_prefix_or_title(
    store: Store, text: str, rig: str | None, found: list[Bead]
) -> None:
    for bead in (ONE, TWO, NAMED):
        store.write_now(lambda tx, bead=bead: tx.add_bead(bead))  # type: ignore[misc]
    assert store.read_now(lambda tx: tx.find_beads(text, rig)) == found


def test_an_agent_is_found_by_name_before_id(store: Store) -> None:
    first = dataclasses.replace(
        Agent.new("rust", AgentRole.POLECAT, CliType.DEMO), id=UUID(int=0xABCD << 112)
    )
    second = Agent.new("abcd", AgentRole.POLECAT, CliType.DEMO)
    for agent in (first, second):
        store.write_now(lambda tx, agent=agent: tx.add_agent(agent))  # type: ignore[misc]
    assert store.read_now(lambda tx: tx.find_agents("abcd")) == [second]
    assert store.read_now(lambda tx: tx.find_agents("abcd0")) == [first]
    assert store.read_now(lambda tx: tx.find_agents("rus")) == []


def test_a_rig_is_known_by_id_name_and_path(store: Store) -> None:
    rig, other = a_rig(), a_rig("barn")
    for one in (rig, other):
        store.write_now(lambda tx, one=one: tx.add_rig(one))  # type: ignore[misc]
    trusted = dataclasses.replace(rig, trusted="hash")
    store.write_now(lambda tx: tx.trust_rig(rig.id, "hash"))
    for question in (
        lambda tx: tx.rig("shop"),
        lambda tx: tx.rig(str(rig.id)),
        lambda tx: tx.rig(rig.id),
        lambda tx: tx.rig_by_path("/src/shop"),
    ):
        assert store.read_now(question) == trusted
    assert store.read_now(lambda tx: tx.rigs()) == [other, trusted]


@pytest.mark.parametrize(
    ("filters", "seqs"),
    [
        ({}, [1, 2, 3, 4]),
        ({"after": 2}, [3, 4]),
        ({"limit": 2}, [1, 2]),
        ({"types": ["a.b"]}, [1, 3]),
        ({"types": ["a.b", "c.d"]}, [1, 2, 3, 4]),
        ({"types": []}, []),
        ({"bead_id": UUID(int=1)}, [1, 2]),
        ({"agent_id": UUID(int=2)}, [2, 3]),
        ({"bead_id": UUID(int=1), "agent_id": UUID(int=2)}, [2]),
        ({"bead_id": UUID(int=1), "types": ["a.b"], "after": 0, "limit": 5}, [1]),
        ({"after": 99}, []),
    ],
)
def test_events_are_read_from_a_place_and_by_owner_and_type(
    store: Store, filters: dict[str, Any], seqs: list[int]
) -> None:
    owners = [("a.b", 1, None), ("c.d", 1, 2), ("a.b", None, 2), ("c.d", None, None)]

    def fill(tx: Tx) -> None:
        for kind, bead, agent in owners:
            owners_of = [None if owner is None else UUID(int=owner) for owner in (bead, agent)]
            event = Event(id=uuid4(), event_type=kind, created_at=NOW)
            tx.append(dataclasses.replace(event, bead_id=owners_of[0], agent_id=owners_of[1]))

    store.write_now(fill)
    assert [event.seq for event in store.read_now(lambda tx: tx.events(**filters))] == seqs
    assert store.read_now(lambda tx: tx.last_seq()) == 4


def test_a_step_of_a_delivery_is_proved_once(store: Store) -> None:
    message = a_message()
    store.write_now(lambda tx: tx.add_message(message))
    store.write_now(lambda tx: tx.mark_message(message.id, sent_at=NOW))
    marked = store.write_now(lambda tx: tx.mark_message(message.id, sent_at=LATER, accepted_at=LATER))
    assert (marked.sent_at, marked.accepted_at, marked.receipt) == (NOW, LATER, ReceiptState.ACCEPTED)
    failed = store.write_now(lambda tx: tx.mark_message(message.id, failed="the agent is gone"))
    again = store.write_now(lambda tx: tx.mark_message(message.id, failed="another reason"))
    assert failed == again
    assert again.failed == "the agent is gone"


def test_messages_are_listed_by_agent_and_bead_in_the_order_they_came(store: Store) -> None:
    agent, bead = uuid4(), uuid4()
    first, second, third = (
        a_message(agent_id=agent),
        a_message(bead_id=bead),
        a_message(agent_id=agent, bead_id=bead),
    )
    for message in (first, second, third):
        store.write_now(lambda tx, message=message: tx.add_message(message))  # type: ignore[misc]
    assert store.read_now(lambda tx: tx.messages(agent_id=agent)) == [first, third]
    assert store.read_now(lambda tx: tx.messages(bead_id=bead)) == [second, third]
    assert store.read_now(lambda tx: tx.messages(agent, bead)) == [third]
    assert store.read_now(lambda tx: tx.messages()) == [first, second, third]


def test_an_ask_is_decided_once(store: Store) -> None:
    ask = an_ask(argv=("ls", "-l"))
    store.write_now(lambda tx: tx.add_ask(ask))
    assert store.read_now(lambda tx: tx.open_asks()) == [ask]
    decided = store.write_now(lambda tx: tx.decide_ask(ask.id, True, "yes", "me", LATER))
    assert (decided.approve, decided.answer, decided.decided_by, decided.decided_at) == (
        True,
        "yes",
        "me",
        LATER,
    )
    with pytest.raises(Refused, match="decided already, by me"):
        store.write_now(lambda tx: tx.decide_ask(ask.id, False, "", "you", LATER))
    assert store.read_now(lambda tx: (tx.open_asks(), tx.ask(ask.id))) == ([], decided)


@pytest.mark.parametrize(
    ("withdrawn", "reason"), [(True, "took that question back"), (False, "no longer waits")]
)
def test_a_closed_ask_cannot_be_decided(store: Store, withdrawn: bool, reason: str) -> None:
    ask = an_ask()
    store.write_now(lambda tx: tx.add_ask(ask))
    closed = store.write_now(lambda tx: tx.close_ask(ask.id, NOW, withdrawn))
    assert store.write_now(lambda tx: tx.close_ask(ask.id, LATER, not withdrawn)) == closed
    with pytest.raises(Refused, match=reason):
        store.write_now(lambda tx: tx.decide_ask(ask.id, True, "", "me", LATER))
    assert store.read_now(lambda tx: tx.open_asks()) == []


def test_asks_are_found_by_prefix_request_agent_and_bead(store: Store) -> None:
    bead = uuid4()
    ask, other = an_ask(bead_id=bead), an_ask()
    for one in (ask, other):
        store.write_now(lambda tx, one=one: tx.add_ask(one))  # type: ignore[misc]
    assert store.read_now(lambda tx: tx.find_asks(str(ask.id)[:9])) == [ask]
    assert store.read_now(lambda tx: tx.find_asks("zz")) == []
    assert store.read_now(lambda tx: tx.ask_by_request("s", ask.request_id)) == ask
    assert store.read_now(lambda tx: tx.asks(agent_id=ask.agent_id)) == [ask]
    assert store.read_now(lambda tx: tx.asks(bead_id=bead)) == [ask]
    with pytest.raises(Duplicate):
        store.write_now(lambda tx: tx.add_ask(an_ask(request_id=ask.request_id)))


RULE = Rule(id=uuid4(), rig="shop", kind="command", argv=("make", "test"), created_at=NOW, created_by="me")


@pytest.mark.parametrize(
    ("question", "matches"),
    [
        (("shop", "command", None, ["make", "test"]), True),
        (("shop", "command", None, ("make", "test")), True),
        (("shop", "command", None, ["make"]), False),
        (("shop", "command", None, ["make", "test", "-k"]), False),
        (("shop", "command", None, ["make test"]), False),
        (("shop", "command", "Bash", ["make", "test"]), False),
        (("shop", "edit", None, ["make", "test"]), False),
        (("barn", "command", None, ["make", "test"]), False),
    ],
)
def test_a_rule_matches_the_exact_argument_list_alone(store: Store, question: Any, matches: bool) -> None:
    store.write_now(lambda tx: tx.add_rule(RULE))
    assert store.read_now(lambda tx: tx.matching_rule(*question)) == (RULE if matches else None)
    assert store.read_now(lambda tx: tx.rules("shop")) == [RULE]
    assert store.read_now(lambda tx: (tx.rules("barn"), tx.rules())) == ([], [RULE])


def test_a_session_advances_and_ends_once(store: Store) -> None:
    session = a_session(bead_id=uuid4())
    store.write_now(lambda tx: tx.add_session(session))
    assert store.read_now(lambda tx: tx.sessions(live=True)) == [session]
    store.write_now(lambda tx: tx.advance_session(session.id, 42, {"turn": 1}))
    ended = store.write_now(lambda tx: tx.end_session(session.id, NOW, exit_signal=9))
    assert (ended.offset, ended.driver_state, ended.exit_signal, ended.exit_code) == (
        42,
        {"turn": 1},
        9,
        None,
    )
    assert store.write_now(lambda tx: tx.end_session(session.id, LATER, exit_code=0)) == ended
    assert store.read_now(lambda tx: tx.sessions(live=True)) == []
    assert store.read_now(lambda tx: tx.sessions(agent_id=session.agent_id)) == [ended]
    assert store.read_now(lambda tx: tx.sessions(bead_id=session.bead_id, live=True)) == []


def test_usage_is_summed_and_what_nobody_reported_stays_unknown(store: Store) -> None:
    bead, silent = uuid4(), uuid4()
    metrics = [
        a_metric(bead_id=bead, cached_tokens=3, cost_usd=0.5, source="result", turn=1, session="s"),
        a_metric(bead_id=bead, cost_usd=None, requests=2, source="result", turn=1, session="s", model="n"),
        a_metric(bead_id=bead, cost_usd=0.25, source="transcript", turn=2, session="s", estimated=True),
        a_metric(bead_id=silent),
    ]
    for metric in metrics:
        store.write_now(lambda tx, metric=metric: tx.add_usage(metric))  # type: ignore[misc]
    assert store.read_now(lambda tx: tx.usage_totals(bead)) == UsageTotals(
        input_tokens=30,
        cached_tokens=3,
        output_tokens=15,
        cost_usd=0.75,
        requests=2,
        duration_ms=21,
        turns=2,
        estimated=True,
        unpriced_tokens=15,
        sources=("result", "transcript"),
    )
    assert store.read_now(lambda tx: tx.usage_totals(silent)).cost_usd is None
    assert store.read_now(lambda tx: tx.usage_totals(uuid4())) == UsageTotals()
    assert store.read_now(lambda tx: tx.usage(bead_id=bead)) == metrics[:3]


def test_a_gate_is_known_by_its_command_and_tree(store: Store) -> None:
    result, other = a_result(ok=False, exit_code=2), a_result(command="make all")
    again = a_result(at=LATER)
    for one in (result, other, again):
        store.write_now(lambda tx, one=one: tx.add_gate_result(one))  # type: ignore[misc]
    assert store.read_now(lambda tx: tx.gate_result("shop", "test", "make test", "t1")) == again
    assert store.read_now(lambda tx: tx.gate_result("shop", "test", "make test", "t2")) is None
    assert store.read_now(lambda tx: tx.gate_results("shop", "t1")) == [again, other]


def test_leases_have_one_holder_and_fences_that_grow(store: Store) -> None:
    def take(owner: str, now: float, boot: str = "b1") -> int | None:
        lease = store.write_now(lambda tx: tx.take_lease("land", owner, boot, now, 10.0))
        return None if lease is None else lease.fence

    def renew(owner: str, fence: int, now: float, boot: str = "b1") -> bool:
        return store.write_now(lambda tx: tx.renew_lease("land", owner, fence, boot, now, 10.0))

    assert take("ada", 0.0) == 1
    assert take("bob", 9.9) is None
    assert renew("ada", 1, 9.9)
    assert take("bob", 19.8) is None
    assert take("bob", 19.9) == 2
    assert not renew("ada", 1, 20.0)
    assert take("bob", 21.0) == 3
    assert not renew("bob", 2, 21.0)
    assert take("ada", 0.0, boot="b2") == 4
    assert not renew("bob", 3, 1.0)
    assert not renew("ada", 4, 1.0, boot="b1")
    assert store.write_now(lambda tx: tx.release_lease("land", "ada", 4))
    assert not store.write_now(lambda tx: tx.release_lease("land", "bob", 3))
    assert not renew("ada", 4, 1.0, boot="b2")
    assert take("bob", 1.0, boot="b2") == 5


def test_convoys_and_mail(store: Store) -> None:
    convoy = Convoy(id=uuid4(), name="spring", created_at=NOW)
    active = dataclasses.replace(convoy, status=ConvoyStatus.ACTIVE, progress=0.5, started_at=LATER)
    store.write_now(lambda tx: tx.add_convoy(convoy))
    store.write_now(lambda tx: tx.put_convoy(active))
    assert (
        store.read_now(lambda tx: tx.convoys(ConvoyStatus.ACTIVE))
        == [active]
        == store.read_now(lambda tx: tx.convoys())
    )
    assert store.read_now(lambda tx: tx.convoys(ConvoyStatus.PENDING)) == []
    letter = Mail(id=uuid4(), from_agent="ada", to_agent="bob", body="hello", created_at=NOW)
    store.write_now(lambda tx: tx.add_mail(letter))
    assert store.read_now(lambda tx: tx.mail("bob", unread=True)) == [letter]
    store.write_now(lambda tx: tx.read_mail(letter.id, NOW))
    store.write_now(lambda tx: tx.read_mail(letter.id, LATER))
    assert store.read_now(lambda tx: tx.mail("bob")) == [dataclasses.replace(letter, read_at=NOW)]
    assert store.read_now(lambda tx: tx.mail("bob", unread=True) + tx.mail("ada")) == []


def test_each_owner_has_one_slot_and_the_lowest_free_one_is_given(store: Store) -> None:
    def take(tx: Tx) -> list[int]:
        return [tx.take_slot(owner) for owner in ("a", "b", "a", "c")]

    assert store.write_now(take) == [1, 2, 1, 3]
    assert store.write_now(lambda tx: (tx.free_slot("b"), tx.free_slot("b"))) == (True, False)
    assert store.read_now(lambda tx: (tx.slot("b"), tx.slot("c"))) == (None, 3)
    assert [each.owner for each in store.read_now(lambda tx: tx.slots())] == ["a", "c"]
    assert store.write_now(lambda tx: tx.take_slot("d", avoid={2, 4})) == 5
    assert store.write_now(lambda tx: tx.take_slot("e")) == 2


def test_a_destructive_act_counts_once_it_was_carried_out_and_is_taken_back_once(store: Store) -> None:
    bead = uuid4()
    acts = [
        DestructiveAct(id=uuid4(), kind="rm", bead_id=bead, title=title, rig=rig, asked_at=NOW)
        for title, rig in (("first", "here"), ("second", "there"), ("third", "here"))
    ]

    def add(tx: Tx) -> None:
        for act in acts:
            tx.add_destructive_act(act)

    def finish(tx: Tx) -> None:
        for act in acts:
            tx.finish_destructive_act(act.id, LATER, {"of": str(act.id)}, "refs/at/attic/b/1")

    def ids_called(tx: Tx, word: str) -> list[UUID]:
        return [act.id for act in tx.find_destructive_acts(word)]

    store.write_now(add)
    first, second, third = (act.id for act in acts)
    assert store.read_now(lambda tx: tx.destructive_acts()) == []
    store.write_now(finish)
    assert not store.write_now(lambda tx: tx.finish_destructive_act(first, NOW, {}, None))
    found = store.read_now(lambda tx: tx.destructive_acts(rig="here"))
    assert [(act.id, act.record, act.done_at) for act in found] == [
        (third, {"of": str(third)}, LATER),
        (first, {"of": str(first)}, LATER),
    ]
    assert [act.id for act in store.read_now(lambda tx: tx.destructive_acts(limit=1))] == [third]
    for word, ids in (
        (str(second)[:8], [second]),
        (str(bead)[:8], [third, second, first]),
        ("first", [first]),
    ):
        assert store.read_now(partial(ids_called, word=word)) == ids
    undo = [store.write_now(lambda tx: tx.take_back_destructive_act(first, LATER)) for _ in range(2)]
    assert undo == [True, False]
    taken_back = store.read_now(lambda tx: tx.destructive_act(first))
    assert taken_back is not None and taken_back.undone_at == LATER
