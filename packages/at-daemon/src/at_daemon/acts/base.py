"""Where a bead begins: what was asked for, else the target or the branch it follows, fetched first if that is set."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from at_core.record import format_time
from at_core.types import BeadStatus, Rig
from at_daemon import environments, git
from at_daemon.git.errors import FetchFailed, GitError
from at_daemon.parts import Parts

Json = dict[str, Any]
NOT_BEGUN = {BeadStatus.BACKLOG.value, BeadStatus.HOOKED.value, BeadStatus.SLUNG.value}


async def base_of(
    parts: Parts, rig: Rig, asked: str | None, agent_id: UUID | None
) -> tuple[Json, tuple[str, ...]]:
    """The commit to begin at now, and sentences about it. Raises `RevisionMissing`.

    `{ref, sha, upstream, ahead, behind, fetched, target_behind, chosen}`, as `git.Base` explains them.
    """
    if asked is not None:
        return _document(git.Base(asked, await git.resolve(Path(rig.path), asked))), ()
    trouble = await _fetched(parts, rig, agent_id)
    base, document = await look(parts, rig)
    notes = [] if trouble is None else [f"{trouble}; what is known of it is from before"]
    if base.target_behind:
        notes.append(
            f"it began {_commits(base.target_behind)} ahead of {rig.target}, at {base.ref}: landing brings "
            f"{'that' if base.target_behind == 1 else 'those'} to {rig.target} as well"
        )
    return document, tuple(notes)


def base_made(document: Json, sha: str) -> Json:
    """The base of a folder that was there already: what was chosen now is another one if branches moved since."""
    return document if document["sha"] == sha else _document(git.Base(sha[:12], sha))


async def with_base(parts: Parts, document: Json, rig: Rig | None, asked: str | None) -> Json:
    """A bead document that says where the bead would begin, as long as it has no folder; nothing is fetched for it."""
    if rig is None or document["base"] is not None or document["bead"]["status"] not in NOT_BEGUN:
        return document
    try:
        if asked is not None:
            found = _document(git.Base(asked, await git.resolve(Path(rig.path), asked)))
        else:
            _, found = await look(parts, rig)
    except GitError:  # its start will say so, and be tried again
        return document
    return {**document, "base": {**found, "chosen": False}}


def base_document(folder: Mapping[str, Any] | None) -> Json | None:
    """Where the bead began, by its folder's fact; None without a folder."""
    if folder is None:
        return None
    known: Json | None = folder.get("base")
    return known or _document(git.Base(folder["base_ref"].removeprefix("refs/heads/"), folder["base_sha"]))


async def _fetched(parts: Parts, rig: Rig, agent_id: UUID | None) -> str | None:
    """Fetch what the target follows, if that is set and was not done just now; what went wrong, if something did."""
    settings = parts.clis.config().git
    if settings.fetch == "never":
        return None
    upstream = await git.upstream_of(Path(rig.path), rig.target)
    if upstream is None:
        return None
    clock = parts.ledger.worlds.clock
    async with parts.fetches.locks[rig.path]:
        last = parts.fetches.last(rig, upstream)
        if last is None or clock.awake().seconds - last.awake >= settings.fetch_minutes * 60:
            caller = environments.load(parts.home, agent_id) if agent_id else {}
            trouble, begun = None, clock.now()
            try:
                await git.fetch(Path(rig.path), upstream, settings.fetch_seconds, caller)
            except FetchFailed as error:
                trouble = error.message
            last = parts.fetches.note(rig, upstream, begun, trouble, clock)
        return last.trouble


async def look(parts: Parts, rig: Rig) -> tuple[git.Base, Json]:
    """Where a bead of whom nothing else was said begins, as far as is known without a fetch. Raises `RevisionMissing`."""

    def fetched_by_us(upstream: git.Upstream) -> float | None:
        last = parts.fetches.last(rig, upstream)
        return last.good.timestamp() if last and last.good else None

    ours = None if parts.clis.config().git.fetch == "never" else fetched_by_us
    base = await git.choose_base(Path(rig.path), rig.target, ours)
    fetched = datetime.fromtimestamp(base.fetched, UTC) if base.fetched is not None else None
    return base, {**_document(base), "fetched": format_time(fetched) if fetched else None}


def _document(base: git.Base) -> Json:
    return {
        "ref": base.ref,
        "sha": base.sha,
        "upstream": base.upstream,
        "ahead": base.ahead,
        "behind": base.behind,
        "fetched": None,
        "target_behind": base.target_behind,
        "chosen": True,
    }


def _commits(number: int) -> str:
    return f"{number} {'commit' if number == 1 else 'commits'}"
