"""What a person's word for a bead, an agent, an ask or a repository stands for."""

from __future__ import annotations

import dataclasses
from itertools import count
from pathlib import Path
from uuid import uuid4

from at_core.errors import Ambiguous, NotFound, UsageError
from at_core.store import Tx
from at_core.types import Agent, Ask, Bead, Rig
from at_core.vocabulary import EventType
from at_daemon import git
from at_daemon.git.errors import NotARepository
from at_daemon.ledger import Change
from at_daemon.parts import Parts


def bead_called(tx: Tx, word: str, rig: Rig | None = None) -> Bead:
    """By id, unique prefix of at least four characters, or exact title; in `rig` first. Raises NotFound, Ambiguous."""
    found = (tx.find_beads(word, str(rig.id)) if rig else []) or tx.find_beads(word)
    if not found:
        raise NotFound("bead", word, "at ls")
    if len(found) > 1:
        raise Ambiguous("bead", word, [f"{str(bead.id)[:8]} {bead.title[:40]}" for bead in found])
    return found[0]


def agent_called(tx: Tx, word: str) -> Agent:
    """By name or id. Raises NotFound, Ambiguous."""
    found = tx.find_agents(word)
    if not found:
        raise NotFound("agent", word, "at agents")
    if len(found) > 1:
        raise Ambiguous("agent", word, [agent.name for agent in found])
    return found[0]


def ask_called(tx: Tx, word: str) -> Ask:
    """By id or unique prefix. Raises NotFound, Ambiguous."""
    found = tx.find_asks(word)
    if not found:
        raise NotFound("approval", word, "at approvals")
    if len(found) > 1:
        raise Ambiguous("approval", word, [str(ask.id)[:8] for ask in found])
    return found[0]


async def rig_at(parts: Parts, path: str | None) -> Rig | None:
    """The repository that `path` lies in, else `general.rig`, if it is known already. No process is started."""
    return await parts.ledger.read(lambda tx: _known(parts, tx, path)) if path else None


async def rig_or_new(parts: Parts, path: str) -> Rig:
    """The repository that `path` lies in, else `general.rig`, made a rig if it is none yet.

    Raises the errors of `git.inspect`.
    """
    if not path.startswith("/"):
        raise UsageError(f"the path {path!r} is not absolute")
    if known := await rig_at(parts, path):
        return known
    try:
        return (await make_rig(parts, path))[0]
    except NotARepository:
        if (meant := parts.config.general.rig) is None:
            raise
    try:
        if not (path := str(Path(meant).expanduser())).startswith("/"):
            raise NotARepository(Path(meant))
        return (await make_rig(parts, path))[0]
    except NotARepository:
        raise UsageError(
            f"the setting general.rig names {meant!r}, which is no repository", "at config general.rig /PATH"
        ) from None


async def make_rig(parts: Parts, path: str) -> tuple[Rig, git.RepositoryFacts]:
    """Look at the repository at `path` and remember it; nothing is written in it."""
    facts = await git.inspect(Path(path))
    if facts.default_target is None:
        raise UsageError(
            f"{facts.top}: no branch is checked out, and none is called main or master", "git switch BRANCH"
        )
    rig = Rig(
        id=uuid4(),
        name=facts.top.name,
        path=str(facts.top),
        target=facts.default_target,
        created_at=parts.now(),
    )

    def add(change: Change) -> Rig:
        if (known := change.tx.rig_by_path(rig.path)) is not None:
            return known
        fresh = dataclasses.replace(rig, name=_free_name(rig.name, {each.name for each in change.tx.rigs()}))
        change.tx.add_rig(fresh)
        change.tell(EventType.RIG_ADDED, rig=fresh.path, target=fresh.target)
        return fresh

    return await parts.ledger.change(add), facts


def _free_name(name: str, taken: set[str]) -> str:
    """The name, with a number if another repository's folder is called the same."""
    numbered = (f"{name}-{number}" for number in count(2))
    return name if name not in taken else next(each for each in numbered if each not in taken)


def _known(parts: Parts, tx: Tx, path: str) -> Rig | None:
    place = Path(path)
    if place.is_relative_to(parts.home.worktrees):
        return _of_worktree(parts, tx, place)
    for folder in (place, *place.parents):
        if (rig := tx.rig_by_path(str(folder))) is not None:
            return rig
        if (folder / ".git").exists():
            return None  # the top of a repository that is not known yet
    named = parts.config.general.rig
    return (tx.rig(named) or tx.rig_by_path(str(Path(named).expanduser()))) if named else None


def _of_worktree(parts: Parts, tx: Tx, place: Path) -> Rig | None:
    name = place.relative_to(parts.home.worktrees).parts[:1]
    for bead in tx.find_beads(name[0][:8]) if name else []:
        if bead.rig:
            return tx.rig(bead.rig)
    return None
