"""The merges: made aside one after the other, gated, then the target moved by compare-and-set to the last of them."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from at_agents.landing_queue import Line, Member, Train
from at_core.errors import AtError
from at_core.store import Tx
from at_core.text import MAX_TITLE, one_line
from at_core.types import Bead, BeadStatus, Intent, Rig
from at_core.vocabulary import BeadFact, EventType
from at_daemon import git
from at_daemon.destructive import LANDING, write_down
from at_daemon.executor import Effect
from at_daemon.failpoints import failpoint
from at_daemon.ledger import Change, keep_line
from at_daemon.parts import Parts, bead_named, rig_of
from at_daemon.queues import lines_of
from at_daemon.waiting import IN_PROGRESS

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Landing:
    """Members of a train that land together, each with its bead; `rig` is where."""

    rig: Rig
    target_name: str
    target: str
    members: tuple[Member, ...]
    beads: tuple[Bead, ...]


async def assemble(parts: Parts, intent: Intent) -> Effect:
    """Merge what is ready one after the other, without touching a ref or a folder. What does not merge waits."""
    wanted = intent.payload
    rig = await parts.ledger.read(lambda tx: rig_of(tx, bead_named(tx, intent.bead_id)))
    path, at = Path(rig.path), str(wanted["target"])
    riding: list[Member] = []
    async with parts.forecasts:
        for member in map(Member.from_json, wanted["members"]):
            found = await git.try_merge(path, member.head, at)
            if found.clean and not found.contained:
                riding.append(dataclasses.replace(member, tree=found.tree))
                at = await trial_merge(path, at, member.head, found.tree, intent)
    train = Train(wanted["number"], wanted["target"], tuple(riding), gates=tuple(wanted["gates"]))
    return Effect(lambda change: _assembled(change, rig, wanted["target_name"], train))


def _assembled(change: Change, rig: Rig, target_name: str, train: Train) -> None:
    line = lines_of(change.tx, str(rig.id)).get(target_name, Line())
    if line.number < train.number:  # else another one was formed meanwhile
        keep_line(change, str(rig.id), target_name, Line(train.number, train, line.alone))


async def trial_merge(rig: Path, target: str, head: str, tree: str, intent: Intent) -> str:
    """A merge commit for gates, the same whenever it is made for this intent."""
    date = int(intent.created_at.timestamp())
    return await git.make_merge(rig, head, target, tree, "A merge on trial, for gates.\n", date=date)


async def land(parts: Parts, intent: Intent) -> Effect:
    """Move the target to the last merge, or say what is in the way. Carried out again it finds what it did."""
    members = tuple(map(Member.from_json, intent.payload["members"]))
    rig, beads, names = await parts.ledger.read(lambda tx: _who(tx, intent, members))
    landing = _Landing(rig, intent.payload["target_name"], intent.payload["target"], members, tuple(beads))
    path = Path(rig.path)
    async with parts.rig_locks[rig.path]:
        failpoint("land.before-merge")
        if not await parts.ledger.read(lambda tx: _still_wanted(tx, members)):
            return await _moved(landing, "what was to land is no longer let land")
        merges: list[str] = []
        at, date = landing.target, int(intent.created_at.timestamp())
        for member, bead in zip(members, beads, strict=True):
            subject = git.with_trailers(
                f"Merge bead {_short(bead.id)}: {one_line(bead.title, MAX_TITLE)}",
                {"Bead": str(bead.id), "Agent": names.get(bead.agent_id, "none")},
            )
            at = await git.make_merge(path, member.head, at, member.tree, subject, date=date)
            merges.append(at)
        named = " ".join(str(member.bead) for member in members)
        result = await git.land(path, at, landing.target_name, landing.target, bead_id=named)
        failpoint("land.after-merge")
        if isinstance(result, git.Waits) and result.reason is git.WaitReason.TARGET_MOVED:
            return await _moved(landing, "the target moved")
    if isinstance(result, git.Waits):
        return Effect(lambda change: _waits(change, landing, result))
    shown = await _show_target(parts, rig, at)
    return Effect(
        lambda change: _landed(change, landing, dict(zip(_heads(landing), merges, strict=True)), shown)
    )


def _who(tx: Tx, intent: Intent, members: Sequence[Member]) -> tuple[Rig, list[Bead], dict[UUID | None, str]]:
    """Where it lands, the beads, and their agents' names. Raises NotFound for a bead that was removed."""
    beads = [bead_named(tx, member.bead) for member in members]
    agents = (tx.agent(bead.agent_id) for bead in beads if bead.agent_id)
    return rig_of(tx, beads[0]), beads, {agent.id: agent.name for agent in agents if agent is not None}


def _still_wanted(tx: Tx, members: Iterable[Member]) -> bool:
    """Whether none was sent back since, and nobody took back the word by which it lands."""
    for member in members:
        bead, fact = tx.bead(member.bead), tx.fact(member.bead, BeadFact.READY.value)
        if bead is None or bead.status is not BeadStatus.REVIEW or fact is None:
            return False
        if not fact.value.get("coming") and fact.value["head"] != member.head:
            return False
    return True


async def _moved(landing: _Landing, why: str) -> Effect:
    """An earlier try of this very act may have moved the target; else everything is looked at anew."""
    target = f"refs/heads/{landing.target_name}"
    merges = await git.merges_since(Path(landing.rig.path), landing.target, target)
    if all(head in merges for head in _heads(landing)):
        return Effect(lambda change: _landed(change, landing, merges, ()))
    return Effect(lambda change: _look_again(change, landing, why))


def _heads(landing: _Landing) -> list[str]:
    return [member.head for member in landing.members]


async def _show_target(parts: Parts, rig: Rig, at: str) -> tuple[UUID, ...]:
    """Give the target as it is now to agents that were given it before: one may have been sent back because of what
    landed just now."""

    def given(tx: Tx) -> list[tuple[UUID, Path]]:
        found: list[tuple[UUID, Path]] = []
        for bead in tx.beads(status=IN_PROGRESS, rig=str(rig.id)):
            look, folder = (tx.fact(bead.id, name.value) for name in (BeadFact.LOOK, BeadFact.FOLDER))
            if look is not None and folder is not None and look.value.get("given"):
                found.append((bead.id, Path(folder.value["path"])))
        return found

    shown: list[UUID] = []
    for bead_id, folder in await parts.ledger.read(given):
        try:
            await git.update_branch(Path(rig.path), folder, at)
        except (AtError, OSError) as error:  # its folder may go meanwhile
            log.info("%s is not given the target: %s", _short(bead_id), error)
        else:
            shown.append(bead_id)
    return tuple(shown)


def note_given(change: Change, bead_id: UUID, target: str) -> None:
    """The agent has this commit of the target now, and may bring it back with its work."""
    look = change.fact(bead_id, BeadFact.LOOK) or {"number": 0, "why": ""}
    change.put(bead_id, BeadFact.LOOK, {**look, "given": [*look.get("given", ()), target]})


def _landed(change: Change, landing: _Landing, merges: Mapping[str, str], shown: Iterable[UUID]) -> None:
    """`merges` is the merge commit of each head."""
    checked = landing.members[-1].tree
    for member, bead in zip(landing.members, landing.beads, strict=True):
        merge = merges[member.head]
        value = {
            "merge": merge,
            "head": member.head,
            "target": landing.target_name,
            "tree": member.tree,
            "checked": checked,
            "by": member.by,
        }
        change.put(member.bead, BeadFact.MERGED, value, "git")
        if member.by == "person":
            write_down(change, LANDING, bead, {"merge": merge, "target": landing.target_name})
        change.touch(member.bead)
    for bead_id in shown:
        note_given(change, bead_id, merges[landing.members[-1].head])
    names = ", ".join(_short(member.bead) for member in landing.members)
    _look_again(change, landing, f"{names} landed on {landing.target_name}")


def _look_again(change: Change, landing: _Landing, why: str) -> None:
    _clear(change, landing)
    change.look_again(landing.rig.id, why)


def _clear(change: Change, landing: _Landing, alone: Iterable[UUID] = (), waits: str = "") -> None:
    rig = str(landing.rig.id)
    line = lines_of(change.tx, rig).get(landing.target_name, Line())
    keep_line(change, rig, landing.target_name, Line(line.number, None, line.alone | set(alone), waits))


def _waits(change: Change, landing: _Landing, waits: git.Waits) -> None:
    """Files of the person may be in the way of some of them only; anything else keeps the whole queue waiting."""
    paths = ", ".join(waits.paths[:5])
    reason = waits.sentence + (f": {paths}" if paths else "")
    of_files = waits.reason in (git.WaitReason.CHANGES, git.WaitReason.UNTRACKED)
    if of_files and len(landing.members) > 1:
        _clear(change, landing, (member.bead for member in landing.members))
        return
    first = landing.members[0]
    _clear(change, landing, waits="" if of_files else reason)
    if change.block(first.bead, first.head, "checkout", reason):
        bead = change.tx.bead(first.bead)
        change.tell(EventType.BEAD_LANDING_WAITS, bead, reason=reason, paths=list(waits.paths))


def _short(bead: UUID) -> str:
    return str(bead)[:8]
