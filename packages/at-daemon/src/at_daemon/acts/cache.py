"""A new folder gets what a set-up from the same made before; and what its own set-up makes is kept for the next one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio

from at_agents.set_up import Phase, after_cache
from at_core.types import Intent, Rig
from at_daemon import folder_cache, git
from at_daemon.failpoints import failpoint
from at_daemon.parts import Parts
from at_daemon.rules import Rules

Json = dict[str, Any]
_MB = 1 << 20


async def from_cache(parts: Parts, rig: Rig, rules: Rules, folder: Path, *, keeps: bool) -> Json | None:
    """Fill the new folder; None where the trusted file says nothing of a cache.

    `{key, paths, used, instead, keeps, note}`: `used` are the paths that were there to be had; `keeps`: what its
    set-up makes may be kept, as nothing but the target's own content has a part in it.
    """
    cache = rules.settings.worktree.cache
    if cache is None or rules.state != "trusted" or not parts.clis.config().general.folder_cache_mb:
        return None
    ignored = await git.ignored_in(Path(rig.path), folder, list(cache.paths))
    left_out = [path for path in cache.paths if path not in ignored]
    note = f"not kept or used, as git does not ignore it: {', '.join(left_out)}" if left_out else None
    found: Json = {"key": None, "paths": ignored, "used": [], "instead": cache.instead, "keeps": keeps}
    if not ignored:
        return {**found, "note": note, "keeps": False}
    worktree = rules.settings.worktree
    try:
        key = await anyio.to_thread.run_sync(folder_cache.key_of, str(rig.id), worktree, folder)
    except folder_cache.NotKept as error:
        return {**found, "note": f"not kept or used: {error}", "keeps": False}
    used = await anyio.to_thread.run_sync(folder_cache.use, parts.home.folder_cache, key, folder)
    failpoint("setup.after-cache")
    return {**found, "key": key, "used": list(used), "note": note}


def set_up_from_cache(cache: Json | None, generation: int) -> Json | None:
    """The value of `BeadFact.SET_UP` in a new folder: `setup` is done already where the cache stands for it."""
    whole = cache is not None and cache["instead"] and cache["used"] == cache["paths"]
    return dict(after_cache(generation)) if whole else None


async def keep_made(
    parts: Parts, intent: Intent, commands: Json | None, folder: Path, ok: bool
) -> Json | None:
    """Keep what the last command of `setup` has completed: `{kept, why}`; None where nothing is to be kept.

    Only the folder's first set-up counts: in a later one its agent may have had a hand.
    """
    payload, cache = intent.payload, (commands or {}).get("cache")
    last = payload["phase"] == Phase.SETUP and payload["index"] == payload["of"] - 1
    if not (ok and last and cache and cache["key"] and cache["keeps"]) or cache["used"]:
        return None
    most = parts.clis.config().general.folder_cache_mb * _MB
    root = parts.home.folder_cache
    async with parts.keeping:
        try:
            await anyio.to_thread.run_sync(
                folder_cache.keep, root, cache["key"], folder, cache["paths"], most
            )
        except folder_cache.NotKept as error:
            return {"kept": False, "why": str(error)}
    failpoint("setup.after-keep")
    return {"kept": True, "why": None}
