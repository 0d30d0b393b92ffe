"""Repositories: make one a rig, trust its settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from at_core.api import InitRequest, TrustRequest
from at_core.errors import Conflict, NotFound
from at_core.repo_settings import FILE_NAME, content_hash
from at_core.types import BeadStatus, Rig
from at_core.vocabulary import BeadFact, EventType
from at_daemon import git
from at_daemon.edge import Call
from at_daemon.handlers.named import make_rig, rig_or_new
from at_daemon.ledger import Change
from at_daemon.parts import Parts
from at_daemon.rules import read_rules

Json = dict[str, Any]


async def init(parts: Parts, call: Call) -> Json:
    """What was found: branch, base, gates, notes."""
    request: InitRequest = call.body
    rig, facts = await make_rig(parts, request.path)
    raw = await git.read_file_at(Path(rig.path), f"refs/heads/{rig.target}", FILE_NAME)
    rules = read_rules(rig, raw, parts.config.gates.timeout_seconds)
    notes = []
    if facts.has_submodules:
        notes.append("it has submodules: they are initialised from your own copies of them")
    if facts.uses_lfs:
        notes.append("it uses git LFS: files that git-lfs did not fetch stay pointers")
    if rules.state == "absent":
        notes.append(f"no {FILE_NAME} on {rig.target}: no gates will run")
    if rules.state == "untrusted":
        notes.append(f"{FILE_NAME} is not trusted yet: at trust")
    if rules.state == "broken":
        notes.append(str(rules.error))
    return {
        "rig": rig.to_json(),
        "branch": rig.target,
        "base": facts.head,
        "gates": rules.gates,
        "notes": notes,
    }


async def trust(parts: Parts, call: Call) -> Json:
    """Show the settings file as it stands on the target branch; with its hash, accept it."""
    request: TrustRequest = call.body
    rig = await rig_or_new(parts, request.path)
    raw = await git.read_file_at(Path(rig.path), f"refs/heads/{rig.target}", FILE_NAME)
    if raw is None:
        raise NotFound("file on the target branch", FILE_NAME, f"commit {FILE_NAME} on {rig.target} first")
    found = content_hash(raw)
    if request.hash is not None:
        if request.hash != found:
            raise Conflict("the settings file", FILE_NAME)
        await parts.ledger.change(lambda change: _accept(change, rig, found))
    trusted = request.hash is not None or rig.trusted == found
    return {
        "file": FILE_NAME,
        "hash": found,
        "content": raw.decode("utf-8", "replace"),
        "trusted": trusted,
        "target": rig.target,
    }


def _accept(change: Change, rig: Rig, accepted: str) -> None:
    change.tx.trust_rig(rig.id, accepted)
    change.tell(EventType.RIG_TRUSTED, actor="person", rig=rig.path, hash=accepted)
    change.look_again(rig.id, "the settings were trusted")
    for bead in change.tx.beads(status={BeadStatus.SLUNG, BeadStatus.REVIEW}, rig=str(rig.id)):
        if (commands := change.fact(bead.id, BeadFact.COMMANDS)) and commands["state"] == "untrusted":
            change.put(bead.id, BeadFact.COMMANDS, {**commands, "stale": True})
            change.touch(bead.id)


HANDLERS: Mapping[str, Callable[[Parts, Call], Awaitable[Any]]] = {"init": init, "trust": trust}
