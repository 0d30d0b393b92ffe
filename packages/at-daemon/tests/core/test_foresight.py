"""What is known of conflicts between works, whatever was heard, missed, removed, brought back or could not be compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import anyio
import pytest

from at_core.paths import Home
from at_core.types import Bead, BeadStatus, Rig
from at_core.vocabulary import BeadFact, EventType
from at_daemon import foresight, ledger
from at_daemon.foresight import Foresight
from at_daemon.git.clone import prepare
from at_daemon.git.overlap import Tip, overlaps
from at_daemon.git.testing import Repo
from at_daemon.ledger import Change
from at_daemon.overlaps import Overlaps, overlaps_of
from at_daemon.parts import Parts
from at_daemon.testing import Desk, LedgerOnFullDisk

Asked = list[tuple[str, int]]
"""Each comparison that git was started for: of which commit, with how many others."""


class RigAtWork:
    """A repository with works in it, and what is foreseen of them."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self.desk = desk
        self.folder = folder
        self.parts: Parts = desk.parts(Home(folder))
        (folder / "rig").mkdir()
        self.repo = Repo(folder / "rig")
        self.repo.git("init", "-q", "-b", "main")
        self.repo.git("config", "user.name", "Ada Example")
        self.repo.git("config", "user.email", "ada@example.com")
        self.repo.commit("Begin", **{"same.txt": "a\n", "other.txt": "a\n"})
        self.record = Rig(
            id=uuid4(), name="rig", path=str(self.repo.top), target="main", created_at=desk.clock.now()
        )
        desk.do(lambda change: change.tx.add_rig(self.record))

    def work(self, title: str, file: str = "same.txt", target: str = "main") -> Bead:
        """A bead at work that has changed a file."""
        agent = self.desk.agent(f"on-{title}")
        bead = dataclasses.replace(
            Bead.new(title), rig=str(self.record.id), agent_id=agent.id, status=BeadStatus.SLUNG
        )
        folder = self.folder / title
        anyio.run(prepare, self.repo.top, folder, f"at/{title}", target)
        value = {
            "path": str(folder),
            "branch": f"at/{title}",
            "target": target,
            "base_sha": Repo(folder).sha(),
        }

        def add(change: Change) -> None:
            change.tx.add_bead(bead)
            change.put(bead.id, BeadFact.FOLDER, value)

        self.desk.do(add)
        self.commit(bead, file)
        return bead

    def commit(self, bead: Bead, file: str = "same.txt", text: str = "") -> str:
        return Repo(self.folder / bead.title).commit("Work", **{file: text or f"{bead.title} {uuid4()}\n"})

    def look(self, *, again: bool = False) -> bool:
        return anyio.run(partial(Foresight(self.parts).look, again=again))

    def move(self, bead: Bead, to: BeadStatus) -> None:
        self.desk.do(lambda change: change.tx.put_bead(dataclasses.replace(bead, status=to)))

    @property
    def known(self) -> Overlaps:
        return self.desk.do(lambda change: overlaps_of(change.tx, str(self.record.id)))

    def works(self) -> set[UUID]:
        """Those that were compared."""
        return {UUID(name) for name in self.known.works}

    def with_target(self, bead: Bead) -> list[str]:
        """The paths in which it conflicts with its target."""
        seen = self.known.of(bead.id)
        assert seen is not None
        return list(seen.paths)

    def head(self, bead: Bead) -> str | None:
        """The commit at which it was compared."""
        seen = self.known.of(bead.id)
        return seen.head if seen is not None else None

    def pairs(self) -> set[frozenset[UUID]]:
        """Those that conflict; what each of two tells of the other is the same."""
        found = self.known
        for one, two in found.conflicts:
            assert found.met(one)[two] == found.met(two)[one]
        return {frozenset(pair) for pair in found.conflicts}


@pytest.fixture
def rig(desk: Desk, tmp_path: Path) -> RigAtWork:
    return RigAtWork(desk, tmp_path)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    found: Asked = []

    async def counted(
        rig: Path, tip: Tip, others: Collection[Tip], target: str, scratch: Path
    ) -> list[tuple[str, ...] | None]:
        found.append((tip.sha, len(others)))
        return await overlaps(rig, tip, list(others), target, scratch)

    monkeypatch.setattr(foresight, "overlaps", counted)
    return found


def ids(*beads: Bead) -> frozenset[UUID]:
    return frozenset(bead.id for bead in beads)


def test_each_pair_is_merged_once_and_git_is_started_once_for_a_new_commit(
    rig: RigAtWork, asked: Asked
) -> None:
    works = [rig.work(f"w{number}") for number in range(5)]
    rig.look()
    assert rig.pairs() == {ids(*pair) for pair in combinations(works, 2)}
    # Each with the target, and with those that were compared before it.
    assert [count for _, count in asked] == [1, 2, 3, 4, 5]
    asked.clear()
    rig.look()
    assert asked == []
    newest = rig.commit(works[2], "other.txt")
    rig.look()
    assert asked == [(newest, 5)]
    asked.clear()
    landed = rig.repo.commit("Landed", **{"same.txt": "landed\n"})
    rig.look(again=True)
    assert asked == [(landed, 5)]
    assert [rig.with_target(work) for work in works] == [["same.txt"]] * 5


def test_works_for_different_targets_never_meet(rig: RigAtWork) -> None:
    rig.repo.git("branch", "next")
    one, two, three = rig.work("one"), rig.work("two", target="next"), rig.work("three")
    rig.look()
    assert rig.pairs() == {ids(one, three)}
    assert rig.works() == ids(one, two, three)


def test_a_work_that_comes_back_is_compared_with_what_the_others_have_got_to_meanwhile(
    rig: RigAtWork,
) -> None:
    one, two = rig.work("one"), rig.work("two", "other.txt")
    rig.look()
    assert rig.pairs() == set()
    rig.move(one, BeadStatus.FAILED)
    rig.commit(two)
    rig.look()
    assert rig.works() == ids(two)
    rig.move(one, BeadStatus.SLUNG)
    rig.look()
    assert rig.pairs() == {ids(one, two)}


def test_a_work_that_landed_is_forgotten_once_the_others_know_the_target_that_has_it(rig: RigAtWork) -> None:
    one, two = rig.work("one"), rig.work("two")
    rig.look()
    rig.repo.git("pull", "-q", str(rig.folder / "one"), "at/one")
    rig.move(one, BeadStatus.DONE)
    rig.look()
    assert rig.pairs() == set()
    assert rig.works() == ids(two)
    assert rig.with_target(two) == ["same.txt"]


def test_what_cannot_be_compared_stays_as_it_was_until_it_can_be(
    rig: RigAtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = rig.work("one"), rig.work("two")
    rig.repo.commit("Landed", **{"same.txt": "landed\n"})
    assert rig.look()

    async def full(*_: object) -> list[tuple[str, ...] | None]:
        raise OSError(28, "No space left on device")

    newest = rig.commit(one, text="landed\n")
    with monkeypatch.context() as patched:
        patched.setattr(foresight, "overlaps", full)
        assert not rig.look()
    assert rig.pairs() == {ids(one, two)}
    assert rig.head(one) == newest
    assert rig.with_target(one) == ["same.txt"]
    assert not rig.look()
    assert rig.pairs() == {ids(one, two)}
    assert rig.look(again=True)
    assert rig.with_target(one) == []


@contextmanager
def hidden(rig: RigAtWork, bead: Bead, name: str) -> Iterator[None]:
    """The clone lacks an object of its newest commit, as one that is being repaired does."""
    sha = Repo(rig.folder / bead.title).git("rev-parse", f"HEAD{name}")
    there = rig.folder / bead.title / ".git/objects" / sha[:2] / sha[2:]
    away = there.rename(rig.folder / "away")
    yield
    away.rename(there)


@pytest.mark.parametrize("name", ["^{tree}", ":same.txt"])
def test_a_conflict_stays_known_while_git_cannot_merge_the_two(rig: RigAtWork, name: str) -> None:
    one, two, three = rig.work("one"), rig.work("two"), rig.work("three")
    assert rig.look()
    newest = rig.commit(one)
    with hidden(rig, two, name):
        assert not rig.look()
        assert rig.pairs() == {ids(*pair) for pair in combinations((one, two, three), 2)}
        assert rig.head(one) == newest
        assert not rig.look(again=True)
        assert rig.pairs() == {ids(*pair) for pair in combinations((one, two, three), 2)}
        Repo(rig.folder / "one").git("reset", "-q", "--hard", "HEAD~2")
        rig.commit(one, "other.txt")
    assert rig.look(again=True)
    assert rig.pairs() == {ids(two, three)}


@pytest.mark.parametrize("moves", ["the work", "its target"])
def test_a_conflict_with_the_target_stays_known_while_git_cannot_merge_it(rig: RigAtWork, moves: str) -> None:
    one, two = rig.work("one"), rig.work("two")
    rig.repo.commit("Landed", **{"same.txt": "landed\n"})
    assert rig.look()
    if moves == "the work":
        rig.commit(one, text="landed\n")
        rig.commit(one, "other.txt")
    else:
        rig.repo.commit("Reverted", **{"same.txt": "a\n"})
    with hidden(rig, one, "^{tree}"):
        assert not rig.look(again=True)
        assert rig.with_target(one) == ["same.txt"]
        assert rig.with_target(two) == (["same.txt"] if moves == "the work" else [])
    assert rig.look(again=True)
    assert rig.with_target(one) == []


def test_a_work_that_git_cannot_merge_hides_from_no_other_that_its_target_moved(rig: RigAtWork) -> None:
    one, two, three = rig.work("one"), rig.work("two", "other.txt"), rig.work("three", "three.txt")
    clone = Repo(rig.folder / "two")
    clone.git("checkout", "-q", "--orphan", "pages")
    rig.commit(two, "other.txt")
    assert not rig.look()
    rig.commit(one)
    assert not rig.look()
    rig.repo.commit("Landed", **{"same.txt": "landed\n"})
    rig.commit(three, "three.txt")
    assert not rig.look()
    assert rig.with_target(one) == ["same.txt"]
    clone.git("checkout", "-q", "at/two")
    rig.commit(two)
    assert not rig.look(), "one has yet to be compared with all"
    assert rig.look(again=True)
    assert rig.pairs() == {ids(one, two)}


async def nothing() -> None:
    """Nothing else happens."""


def follow(
    rig: RigAtWork,
    parts: Parts,
    until: Callable[[Overlaps], bool],
    meanwhile: Callable[[], Coroutine[Any, Any, None]] = nothing,
) -> None:
    """Let it run until so much is known."""

    async def wait() -> None:
        rig.desk.ledger.store.on_commit(parts.news.tell)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Foresight(parts).run)
            tasks.start_soon(meanwhile)
            while True:
                seq = parts.news.last_seq
                if until(await parts.ledger.read(lambda tx: overlaps_of(tx, str(rig.record.id)))):
                    break
                await parts.news.wait_beyond(seq)
            tasks.cancel_scope.cancel()

    anyio.run(wait)


def test_a_full_disk_is_waited_for_and_ends_nothing(rig: RigAtWork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "FULL_DISK_SECONDS", 0)
    one, two = rig.work("one"), rig.work("two")
    full = LedgerOnFullDisk(rig.desk.ledger.store, rig.desk.ledger.worlds, refusals=3)
    follow(rig, dataclasses.replace(rig.parts, ledger=full), lambda known: bool(known.pairs))
    assert rig.pairs() == {ids(one, two)}


def test_no_amount_of_other_news_hides_that_work_was_handed_in(
    rig: RigAtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = rig.work("one"), rig.work("two")
    rig.repo.commit("Landed", **{"other.txt": "landed\n"})
    newest: list[str] = []

    async def slow(
        top: Path, tip: Tip, others: list[Tip], target: str, scratch: Path
    ) -> list[tuple[str, ...] | None]:
        if not newest:  # it happens while git is at work for the first look
            newest.append(rig.commit(two, "other.txt"))
            await rig.parts.ledger.change(handed_in)
        return await overlaps(top, tip, others, target, scratch)

    def handed_in(change: Change) -> None:
        for _ in range(1001):
            change.tell(EventType.TOOL_ENDED, one)
        change.tx.put_bead(dataclasses.replace(two, status=BeadStatus.REVIEW))
        change.put(two.id, BeadFact.HANDED_IN, {"by": "agent", "round": 1})
        change.put(
            two.id,
            BeadFact.BRANCH,
            {"head": newest[0], "round": 1, "commits": ["c"], "tree": "", "settings_changed": False},
        )
        change.tell(EventType.WORK_COLLECTED, two)

    monkeypatch.setattr(foresight, "overlaps", slow)

    def is_compared(known: Overlaps) -> bool:
        seen = known.of(two.id)
        return seen is not None and [seen.head] == newest

    follow(rig, rig.parts, is_compared)
    assert rig.with_target(two) == ["other.txt"]


def test_what_could_not_be_compared_is_tried_again_though_nothing_is_heard(
    rig: RigAtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foresight, "SOONEST_RETRY_SECONDS", 0)
    one, two = rig.work("one"), rig.work("two")
    tries: list[str] = []

    async def late(
        top: Path, tip: Tip, others: list[Tip], target: str, scratch: Path
    ) -> list[tuple[str, ...] | None]:
        tries.append(tip.sha)
        if len(tries) <= 4:
            raise OSError(28, "No space left on device")
        return await overlaps(top, tip, others, target, scratch)

    monkeypatch.setattr(foresight, "overlaps", late)
    follow(rig, rig.parts, lambda known: bool(known.conflicts))
    assert rig.pairs() == {ids(one, two)}
    assert len(tries) == 6  # twice for each in vain


def test_what_could_not_be_compared_is_tried_again_while_an_agent_talks(
    rig: RigAtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foresight, "REST_SECONDS", 0)
    one, two = rig.work("one"), rig.work("two")
    tries: list[float] = []

    async def late(
        top: Path, tip: Tip, others: list[Tip], target: str, scratch: Path
    ) -> list[tuple[str, ...] | None]:
        tries.append(rig.parts.awake_seconds())
        if len(tries) <= 2:
            raise OSError(28, "No space left on device")
        return await overlaps(top, tip, others, target, scratch)

    async def talk() -> None:
        while True:
            rig.desk.clock.pass_time(5)
            await rig.parts.ledger.change(lambda change: change.tell(EventType.TOOL_STARTED, one))

    monkeypatch.setattr(foresight, "overlaps", late)
    follow(rig, rig.parts, lambda known: bool(known.conflicts), talk)
    assert rig.pairs() == {ids(one, two)}
    assert tries[2] >= tries[1] + foresight.SOONEST_RETRY_SECONDS


def test_nothing_is_left_of_a_comparison_nor_of_one_whose_daemon_was_killed(rig: RigAtWork) -> None:
    one, two = rig.work("one"), rig.work("two")
    left = rig.parts.home.scratch / ".overlap.at-killed" / "objects" / "ab"
    left.mkdir(parents=True)
    (left / "cd").touch(mode=0o400)
    rig.look()
    assert rig.pairs() == {ids(one, two)}
    assert list(rig.parts.home.scratch.iterdir()) == []
