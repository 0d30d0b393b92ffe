"""A session that a person began with a CLI themselves, taken over: its bead has a clone that begins as their checkout is.

The checkout itself, and the person's own record of the session, are only read (docs/adr/0008).
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from anyio import to_thread

from at_agents import prompts
from at_agents.decisions import derived_id
from at_core import text
from at_core.api import AdoptRequest
from at_core.errors import Ambiguous, AtError, NotFound, Refused, UsageError
from at_core.store import Tx
from at_core.types import Bead, Rig
from at_core.vocabulary import BeadFact, EventType
from at_daemon import environments, git
from at_daemon.clis import Cli
from at_daemon.destructive import named
from at_daemon.edge import Call
from at_daemon.handlers.beads import new_bead, shown
from at_daemon.handlers.begun import add_polecat, insert_bead, put_on_hook, start_bead
from at_daemon.handlers.named import rig_or_new
from at_daemon.handlers.orders import checked_order
from at_daemon.ledger import Change
from at_daemon.own_sessions import process_in
from at_daemon.parts import Parts
from at_daemon.waiting import NOT_OVER
from at_session.adoption import OwnSession
from at_session.errors import CannotCarry

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Found:
    """A session, the CLI that has it, and the checkout that it is about."""

    own: OwnSession
    cli: Cli
    facts: git.RepositoryFacts


async def adopt(parts: Parts, call: Call) -> Json:
    """Begin a bead with the state of the person's checkout, and let an agent go on in their session."""
    request: AdoptRequest = call.body
    body = request.text or prompts.go_on_adopted()
    text.require_prompt(body)
    if (known := await _known(parts, request)) is not None:
        return await shown(parts, known.id)
    found = await _find(parts, request)
    order = checked_order(request.order, found.cli)
    await _require_quiet(parts, found)
    rig = await rig_or_new(parts, str(_repository(found.facts)))
    title = request.title or f"{found.cli.name} session {found.own.id[:8]}"
    bead = new_bead(parts, rig, title, body, None, 0, request.id)
    await _take_over(parts, request, found, rig, bead, order)
    return await shown(parts, bead.id)


async def _known(parts: Parts, request: AdoptRequest) -> Bead | None:
    """What the request has made already, if it is asked once more: its answer was lost."""
    with suppress(ValueError):
        identity = UUID(request.id) if request.id else None
        return await parts.ledger.read(lambda tx: tx.bead(identity) if identity else None)
    return None


async def _take_over(
    parts: Parts, request: AdoptRequest, found: _Found, rig: Rig, bead: Bead, order: Json
) -> None:
    identity = derived_id(bead.id, "agent")
    folder, private = parts.folder(bead), parts.home.private / str(identity)
    branch = git.branch_name(str(bead.id), bead.title)
    first = git.ForBead(str(bead.id), branch, rig.target)
    async with parts.rig_locks[rig.path]:
        carried = await git.carry(found.facts.top, first, folder, request.order.env)
    # Whatever is refused is refused before this, and leaves nothing.
    session = await _own_record(found, folder, private, request)
    async with parts.rig_locks[rig.path]:
        ref = await git.hold(Path(rig.path), first, carried)
    begun_in = _begun_elsewhere(found)
    begun = [f"its session was begun in {begun_in}; it goes on at the top of its clone"] if begun_in else []
    adopted = {
        "session": session,
        "own": found.own.id,
        "folder": str(found.facts.top),
        "attic": ref,
        "base": carried.base,
        "base_ref": f"refs/heads/{rig.target}" if carried.ahead else _where(found.facts),
        "begun_in": begun_in,
        "notes": [*begun, *carried.notes],
    }

    def begin(change: Change) -> None:
        if change.tx.bead(bead.id) is not None:
            return
        _require_free(change.tx, found.own.id)
        agent = add_polecat(change, identity, found.cli, rig, request.order.model, session)
        insert_bead(change, dataclasses.replace(bead, git_branch=branch))
        change.put(bead.id, BeadFact.SESSION, {"id": session}, "person")
        change.tell(
            EventType.SESSION_ADOPTED, bead, agent, actor="person", said={**adopted, "cli": found.cli.name}
        )
        start_bead(
            change, put_on_hook(change, bead, agent), {**order, "base": carried.base, "adopted": adopted}
        )

    environments.save(parts.home, identity, request.order.env)
    try:
        await parts.ledger.change(begin)
    except AtError:
        environments.forget(parts.home, identity)
        raise


async def _own_record(found: _Found, folder: Path, private: Path, request: AdoptRequest) -> str:
    """Copy the CLI's own record to where it is found in the folder; the id by which it is. Raises Refused."""
    adoption = found.cli.driver.capabilities.adoption
    assert adoption is not None
    try:
        return await to_thread.run_sync(
            adoption.carry, _of_the_top(found), str(folder), str(private), request.order.env
        )
    except CannotCarry as error:
        raise Refused(str(error).partition(";")[0], error.hint) from None
    except OSError as error:
        raise Refused(f"its record could not be read or copied: {error}", "at doctor") from None


def _of_the_top(found: _Found) -> OwnSession:
    """The session as one of the whole checkout, for which the clone will stand, where it was begun in a folder of it."""
    own = found.own
    if own.folder is None:
        return own
    below = os.path.relpath(os.path.realpath(own.folder), os.path.realpath(found.facts.top))
    if below.startswith("..") or not own.folder.rstrip("/").endswith(f"/{below}"):
        return own
    return dataclasses.replace(own, folder=own.folder.rstrip("/").removesuffix(f"/{below}"))


def _begun_elsewhere(found: _Found) -> str | None:
    """The folder in which the session was begun, where that is not the top of the checkout."""
    folder = found.own.folder
    return folder if folder and os.path.realpath(folder) != os.path.realpath(found.facts.top) else None


def _where(facts: git.RepositoryFacts) -> str:
    return f"refs/heads/{facts.branch}" if facts.branch else str(facts.head)


async def _find(parts: Parts, request: AdoptRequest) -> _Found:
    cli, own = await _session(parts, request)
    folder = Path(request.folder or own.folder or request.path)
    if not folder.is_absolute():
        raise UsageError(f"the path {str(folder)!r} is not absolute", f"at adopt {own.id} --folder PATH")
    if not folder.is_dir():
        raise NotFound("folder", str(folder), f"at adopt {own.id} --folder PATH")
    if folder.resolve().is_relative_to(parts.home.root.resolve()):
        raise Refused(f"{folder} is a folder of at already", "at ls")
    facts = await git.inspect(folder)
    if facts.operation is not None:
        raise Refused(
            f"{facts.top} is in the middle of a {facts.operation}",
            f"git {facts.operation} --continue, or --abort",
        )
    return _Found(own, cli, facts)


async def _session(parts: Parts, request: AdoptRequest) -> tuple[Cli, OwnSession]:
    """The session of that id, of the CLI that is named, else of the one that has it."""
    word = request.order.cli
    clis = [parts.clis.called(word)] if word else [parts.clis.find(name) for name in parts.clis.names()]
    can = [cli for cli in clis if cli.driver.capabilities.adoption is not None]
    if word and not can:
        raise Refused(
            f"{clis[0].name} keeps a session to its folder, so that it cannot be gone on with in a clone",
            f"at run PROMPT --cli {clis[0].name}",
        )
    ours = str(parts.home.worktrees)
    found = [(cli, own) for cli in can if (own := await _own(cli, request, ours)) is not None]
    if not found:
        if copies := [own for cli in can if (own := await _own(cli, request)) is not None]:
            raise Refused(
                f"{request.session} is only the session of an agent, in {copies[0].folder}", "at ls"
            )
        raise NotFound(
            f"session of {' or '.join(cli.name for cli in can)}", request.session, "at adopt --help"
        )
    if len(found) > 1:
        raise Ambiguous("session", request.session, [f"--cli {cli.name}" for cli, _ in found])
    return found[0]


async def _own(cli: Cli, request: AdoptRequest, not_below: str = "") -> OwnSession | None:
    adoption = cli.driver.capabilities.adoption
    if adoption is None:
        return None
    try:
        return await to_thread.run_sync(adoption.find, request.session, request.order.env, not_below)
    except OSError as error:
        raise Refused(f"the record of {cli.name} could not be read: {error}", "at doctor") from None


async def _require_quiet(parts: Parts, found: _Found) -> None:
    """Raises Refused while somebody is in the session: it would go on in two places, over files that change meanwhile."""
    await parts.ledger.read(lambda tx: _require_free(tx, found.own.id))
    program = found.cli.binary({})
    look = functools.partial(process_in, found.own, program, found.facts.top)
    pid = await to_thread.run_sync(look)
    if pid is not None:
        raise Refused(
            f"process {pid} is still in the session, or {found.cli.name} in {found.facts.top}",
            "end it there, then adopt it",
        )


def _require_free(tx: Tx, session: str) -> None:
    """Raises Refused for a session in which an agent works already, as its own or adopted."""
    for bead in tx.beads(status=NOT_OVER):
        agent = tx.agent(bead.agent_id) if bead.agent_id else None
        order = tx.fact(bead.id, BeadFact.ORDER.value)
        adopted = (order.value.get("adopted") or {}) if order else {}
        if session in (adopted.get("own"), agent.session_id if agent else None):
            raise Refused(
                f"it goes on in {named(bead.id, bead.title)} already", f"at show {str(bead.id)[:8]}"
            )


def _repository(facts: git.RepositoryFacts) -> Path:
    """The repository that a checkout belongs to: of a linked worktree the one that it was made from."""
    return facts.common_dir.parent if facts.linked_worktree and facts.common_dir.name == ".git" else facts.top


HANDLERS: Mapping[str, Callable[[Parts, Call], Awaitable[Any]]] = {"adopt": adopt}
