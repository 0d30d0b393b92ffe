"""How many agents run at once, by their number and by the memory that there is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import pytest

from at_agents.decisions import Do, IntentKind, Policy, Room, derived_id
from at_agents.label import label
from at_core.store import Store, Tx
from at_core.types import Agent, Ask, Bead, BeadStatus, MessageKind, SessionRecord
from at_core.vocabulary import AgentFact, BeadFact
from at_daemon.admission import MB, Admission
from at_daemon.ingest import process_ended
from at_daemon.ledger import Change, Ledger
from at_daemon.memory import Memory, look
from at_daemon.testing import Desk, FakeClock
from at_daemon.world import Worlds

SIZE, KEEP = 300, 1000


class Crowd(Protocol):
    """Makes a desk on a machine with that memory, whose CLI can be given its sessions back or not."""

    def __call__(self, found: Memory, resumes: bool = True, most: int = 3) -> Desk: ...


def machine(folder: Path, *, available: int = 8_000, stalled: float = 0.0, group: str = "0::/") -> Path:
    """What a kernel tells of itself; `available` is in kB."""
    (folder / "pressure").mkdir(parents=True)
    (folder / "self").mkdir()
    (folder / "meminfo").write_text(f"MemTotal:  16000 kB\nMemAvailable:  {available} kB\n")
    some = f"some avg10={stalled} avg60=0.00 avg300=0.00 total=5"
    (folder / "pressure" / "memory").write_text(f"{some}\nfull avg10=99.00 avg60=0.00 avg300=0.00 total=0\n")
    (folder / "self" / "cgroup").write_text(f"4:memory:/of/version/one\n{group}\n")
    return folder


def test_what_the_machine_tells(tmp_path: Path) -> None:
    found = look(machine(tmp_path, available=8_000, stalled=12.5), tmp_path / "none")
    assert found == Memory(8_000 * 1024, 12.5)


def test_a_group_within_the_machine_may_leave_less(tmp_path: Path) -> None:
    groups = tmp_path / "groups"
    for name, limit, used in [
        ("user", "max", 7_000_000),
        ("user/me", "6000000", 2_000_000),
        ("user/me/tab", "max", 9),
    ]:
        (groups / name).mkdir(parents=True)
        (groups / name / "memory.max").write_text(f"{limit}\n")
        (groups / name / "memory.current").write_text(f"{used}\n")
        (groups / name / "memory.stat").write_text("anon 5\ninactive_file 500000\nactive_file 3\n")
    told = machine(tmp_path / "proc", group="0::/user/me/tab")
    assert look(told, groups).free == 6_000_000 - 2_000_000 + 500_000


def test_a_container_has_its_limit_in_the_topmost_group_that_it_sees(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("4000000\n")
    (tmp_path / "memory.current").write_text("3900000\n")
    (tmp_path / "memory.stat").write_text("inactive_file 20000\n")
    assert look(machine(tmp_path / "proc", group="0::/"), tmp_path).free == 4_000_000 - 3_900_000 + 20_000


def test_a_group_is_slowed_down_before_it_is_full(tmp_path: Path) -> None:
    groups = tmp_path / "groups" / "me"
    groups.mkdir(parents=True)
    for name, told in [("memory.max", "9000000"), ("memory.high", "4000000"), ("memory.current", "3000000")]:
        (groups / name).write_text(f"{told}\n")
    assert look(machine(tmp_path / "proc", group="0::/me"), groups.parent).free == 1_000_000


def test_in_a_container_those_that_wait_for_memory_are_its_own(tmp_path: Path) -> None:
    groups = tmp_path / "groups"
    groups.mkdir()
    some = "some avg10=4.50 avg60=0.00 avg300=0.00 total=5"
    (groups / "memory.pressure").write_text(f"{some}\nfull avg10=99.00 avg60=0.00 avg300=0.00 total=0\n")
    assert look(machine(tmp_path / "proc", stalled=80.0), groups).stalled == 4.5


def test_where_nothing_is_told_nothing_is_known(tmp_path: Path) -> None:
    assert look(tmp_path, tmp_path) == Memory(None, None)


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    """Its desks are closed."""
    stores: list[Store] = []

    def make(found: Memory, resumes: bool = True, most: int = 3) -> Desk:
        clock = FakeClock()
        stores.append(Store.open(None))
        admission = Admission(lambda: most, lambda: KEEP, lambda cli: SIZE, lambda: found)
        worlds = Worlds(clock, admission, lambda agent: Policy(resumes=resumes))
        desk = Desk(Ledger(stores[-1], worlds), clock)
        desk.ledger.on_wakes = desk.wakes.extend
        return desk

    yield make
    for store in stores:
        store.close()


def work(desk: Desk, name: str) -> Bead:
    """A bead whose agent is to be started."""
    bead = desk.bead(desk.agent(name))

    def say(change: Change) -> None:
        change.say(bead, derived_id("message", str(bead.id)), MessageKind.PROMPT, "work")
        change.touch(bead.id)

    desk.do(say)
    return bead


def starts(desk: Desk) -> int:
    return len(desk.do(lambda change: [each for each in change.tx.open_intents() if each.kind == "spawn"]))


def why(desk: Desk, bead: Bead) -> str:
    def words(change: Change) -> str:
        found = change.tx.bead(bead.id)
        assert found is not None
        return "; ".join(label(desk.ledger.worlds.of(change.tx, found)).reasons)

    return desk.do(words)


def test_of_several_that_begin_each_counts_with_what_it_will_take(crowd: Crowd) -> None:
    desk = crowd(Memory((KEEP + 2 * SIZE) * MB, 0.0))
    beads = [work(desk, name) for name in ("wren", "finch", "robin")]
    assert starts(desk) == 2
    assert "600 MB of it" in why(desk, beads[2]) and "general.keep_free_mb is 1000" in why(desk, beads[2])
    assert desk.wakes[-1] == desk.clock.now() + timedelta(seconds=5)


@pytest.mark.parametrize(
    ("found", "started", "words"),
    [
        (Memory(0, 0.0), 1, "0 MB of memory are free"),
        (Memory(9_000 * MB, 30.0), 1, "30 % of the last seconds"),
        (Memory(9_000 * MB, 9.0), 3, "general.max_agents allows, 3"),
        (Memory(None, None), 3, "general.max_agents allows, 3"),
    ],
)
def test_one_may_always_run_and_others_as_there_is_memory(
    crowd: Crowd, found: Memory, started: int, words: str
) -> None:
    desk = crowd(found)
    beads = [work(desk, name) for name in ("wren", "finch", "robin", "lark")]
    assert starts(desk) == started
    assert words in why(desk, beads[3])


def test_what_began_long_ago_is_in_the_figures_already(crowd: Crowd) -> None:
    desk = crowd(Memory((KEEP + SIZE) * MB, 0.0))
    agent: Agent = desk.agent("wren")
    desk.start(agent, desk.bead(agent))
    waiting = work(desk, "finch")
    assert starts(desk) == 0 and "300 MB of it" in why(desk, waiting)
    desk.clock.pass_time(21)
    desk.do(lambda change: change.touch(waiting.id))
    assert starts(desk) == 1


ROOMY = Memory(None, None)


def kept_for_review(desk: Desk, name: str) -> SessionRecord:
    """An agent whose work waits for a person: a process with nothing to do, and a session to have it back by."""
    agent = desk.agent(name)
    bead = desk.bead(agent, BeadStatus.REVIEW)
    record = desk.start(agent, bead)

    def rest(change: Change) -> None:
        change.put(bead.id, BeadFact.SESSION, {"id": f"of-{name}"})
        ended = {"state": "ended", "outcome": "completed", "session": record.id, "bead": str(bead.id)}
        change.put(agent.id, AgentFact.TURN, ended)

    desk.do(rest)
    return record


def ending(desk: Desk) -> list[str]:
    """The sessions that are being ended."""
    found = desk.do(lambda change: change.tx.open_intents())
    return [str(each.payload["session"]) for each in found if each.kind == "stop"]


def look_again(desk: Desk, times: int = 3) -> None:
    """What happens at each hand-in, end of a process and wake-up."""
    for _ in range(times):
        desk.do(lambda change: change.touch_waiting())


def end(desk: Desk, session: str) -> None:
    def gone(change: Change) -> None:
        record = change.tx.session(session)
        assert record is not None
        change.tx.finish_intent(f"stop:{session}", change.now)
        process_ended(change, record, None, code=0, signal=None, lost=False, asked=True, source="holder")

    desk.do(gone)


@pytest.mark.parametrize("of", [0, 1])
def test_who_waits_for_a_place_has_one_other_ended_for_it(crowd: Crowd, of: int) -> None:
    desk = crowd(ROOMY)
    for name in ("wren", "finch", "robin"):
        kept_for_review(desk, name)
    work(desk, "lark")
    look_again(desk)
    assert len(ending(desk)) == 1
    work(desk, "swift")
    look_again(desk)
    both = ending(desk)
    assert len(both) == 2
    end(desk, both.pop(of))
    look_again(desk)
    assert (starts(desk), ending(desk)) == (1, both), (
        "the first who waited has the place, whomever it was for"
    )
    end(desk, *both)
    look_again(desk)
    assert (starts(desk), ending(desk)) == (2, [])


def test_a_place_that_comes_free_by_itself_is_waited_for(crowd: Crowd) -> None:
    desk = crowd(ROOMY)
    sessions = [kept_for_review(desk, name) for name in ("wren", "finch", "robin")]

    def stop(change: Change) -> None:
        change.put(sessions[1].agent_id, AgentFact.STOPPED, {"by": "person", "reason": "a person"})
        why = {"session": sessions[1].id, "reason": "a person"}
        stopped = Do(f"stop:{sessions[1].id}", IntentKind.STOP, why)
        change.intend(stopped, sessions[1].bead_id, sessions[1].agent_id)

    desk.do(stop)
    work(desk, "lark")
    look_again(desk)
    assert ending(desk) == [sessions[1].id]


def test_short_of_memory_no_second_one_is_ended_before_the_first_has_given_its_own_back(crowd: Crowd) -> None:
    desk = crowd(Memory(0, 0.0))
    for name in ("wren", "finch", "robin"):
        kept_for_review(desk, name)
    desk.clock.pass_time(30)
    work(desk, "lark")
    for _ in range(2):
        look_again(desk)
        (ended,) = ending(desk)
        end(desk, ended)
        for _ in range(2):
            look_again(desk)
            assert ending(desk) == [], "it shows only after a while how much that was"
            desk.clock.pass_time(7)
        desk.clock.pass_time(1)
    look_again(desk)
    end(desk, *ending(desk))
    assert (starts(desk), ending(desk)) == (1, []), "one may always run"


def test_each_that_waits_for_memory_has_one_ended(crowd: Crowd) -> None:
    desk = crowd(Memory(9_000 * MB, 30.0), most=9)
    for name in ("wren", "finch", "robin", "swift"):
        kept_for_review(desk, name)
    desk.clock.pass_time(30)
    for name in ("lark", "teal"):
        work(desk, name)
    look_again(desk)
    for session in (both := ending(desk)):
        end(desk, session)
    look_again(desk)
    assert (len(both), ending(desk)) == (2, [])


def test_a_clock_that_was_set_back_makes_nobody_young(crowd: Crowd) -> None:
    desk = crowd(Memory((KEEP + SIZE) * MB, 0.0))
    agent = desk.agent("wren")
    desk.start(agent, desk.bead(agent))
    desk.clock.pass_time(600)
    desk.clock.moment -= timedelta(hours=1)
    work(desk, "finch")
    assert starts(desk) == 1


def test_for_many_that_wait_it_is_looked_once_who_may_be_ended(crowd: Crowd) -> None:
    desk = crowd(ROOMY)
    for name in ("wren", "finch", "robin"):
        kept_for_review(desk, name)
    looked: list[str] = []
    agents = [desk.agent(f"late-{number}") for number in range(9)]
    waiting = [(desk.bead(agent), agent) for agent in agents]

    def barred(tx: Tx, record: SessionRecord) -> bool:
        looked.append(record.id)
        return False

    def rooms(change: Change) -> list[Room]:
        room = desk.ledger.worlds.admission.room
        found = [room(change.tx, bead, agent, change.now, barred) for bead, agent in waiting]
        change.put(waiting[0][0].id, BeadFact.SESSION, {"id": "other"})
        room(change.tx, *waiting[0], change.now, barred)
        return found

    assert all(room.full and not room.spare for room in desk.do(rooms))
    assert len(looked) == 3 + 3, "once, and once more when something was written"


@pytest.mark.parametrize("why", ["its CLI resumes none", "no session is known", "it asks something"])
def test_who_could_not_be_had_back_is_not_ended(crowd: Crowd, why: str) -> None:
    desk = crowd(ROOMY, resumes=why != "its CLI resumes none")

    def bar(change: Change) -> None:
        for record in change.tx.sessions(live=True):
            assert record.bead_id is not None
            if why == "no session is known":
                change.put(record.bead_id, BeadFact.SESSION, None)
            if why == "it asks something":
                change.tx.add_ask(
                    Ask(
                        id=uuid4(),
                        agent_id=record.agent_id,
                        bead_id=record.bead_id,
                        session=record.id,
                        request_id="1",
                        kind="tool",
                        what="rm",
                        asked_at=change.now,
                    )
                )

    for name in ("wren", "finch", "robin"):
        kept_for_review(desk, name)
    desk.do(bar)
    work(desk, "lark")
    look_again(desk)
    assert ending(desk) == []
