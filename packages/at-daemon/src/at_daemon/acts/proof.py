"""Evidence: the work brought into the person's repository, gates on exact trees, merges tried aside."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from at_core.errors import AtError
from at_core.repo_settings import FILE_NAME, content_hash, parse
from at_core.text import MAX_TITLE, one_line
from at_core.types import Bead, BeadStatus, GateResult, Intent, Rig
from at_core.vocabulary import BeadFact, EventType
from at_daemon import environments, git
from at_daemon.executor import Effect
from at_daemon.failpoints import failpoint
from at_daemon.ledger import Change
from at_daemon.parts import Parts, bead_named, rig_of
from at_daemon.sessions import let_go
from at_daemon.slots import slot_for, slot_marks
from at_daemon.world import values
from at_session.errors import HolderSilent, JournalDamaged, RequestRefused, SessionError, SessionOver
from at_session.journal import ExitStatus, Record, RecordKind, read_records
from at_session.processes import kill_session
from at_session.session import EndedSession, Session, SessionSpec, open_session, start_session
from at_session.vocabulary import Transport

Json = dict[str, Any]
MOST_OUTPUT = 20_000
MOST_LOG = 1 << 30
LOG_SEGMENT = 4 << 20
STOP_GRACE_SECONDS = 2.0
REACH_SECONDS = 8.0
"""A gate beyond its limit whose holder does not end it for so long is ended by force."""
GATE_PREFIX = "gate-"


@dataclass(frozen=True, slots=True)
class Work:
    """What evidence is gathered about."""

    bead: Bead
    rig: Rig
    facts: Mapping[str, Any]

    @property
    def target(self) -> str:
        """The branch that the work is to be merged onto."""
        return str(self.facts[BeadFact.FOLDER]["target"])


async def collect(parts: Parts, intent: Intent) -> Effect:
    """Commit what was left, bring the branch over, read the rules and try the merge: one look at everything."""
    work = await _work(parts, intent)
    folder, rig_path = work.facts[BeadFact.FOLDER], Path(work.rig.path)
    title = one_line(work.bead.title, MAX_TITLE)
    message = f"{title}\n\nCommitted by auto-tundra: the agent left it uncommitted.\n\nBead: {work.bead.id}\n"
    async with parts.rig_locks[work.rig.path]:
        found = await git.collect(
            rig_path,
            Path(folder["path"]),
            folder["branch"],
            f"refs/at/beads/{work.bead.id}",
            folder["base_sha"],
            message,
            targets=work.facts.get(BeadFact.LOOK, {}).get("given", ()),
            date=int(intent.created_at.timestamp()),
        )
    failpoint("collect.after-git")
    branch = {
        "head": found.head,
        "tree": found.tree,
        "base": found.base,
        "commits": list(found.commits),
        "files": found.files,
        "insertions": found.insertions,
        "deletions": found.deletions,
        "settings_changed": FILE_NAME in found.changed_paths,
        "leftovers_committed": found.leftovers_committed,
        "unmerged": list(found.unmerged),
        "round": intent.payload["round"],
        "notes": list(found.notes),
    }
    seen = await _look(parts, work, found.head) if found.commits else None

    def note(change: Change) -> None:
        change.put(work.bead.id, BeadFact.BRANCH, branch, "git")
        pin_permission(change, work.bead, found.head)
        change.tell(EventType.WORK_COLLECTED, work.bead, said=branch)
        if seen is not None:
            _note_look(change, work.bead, seen)

    return Effect(note)


def pin_permission(change: Change, bead: Bead, head: str) -> None:
    """A word given before the work was collected is for this head, not for what a later round may bring."""
    allowed = change.fact(bead.id, BeadFact.LAND_ALLOWED)
    if allowed is not None and allowed["head"] is None:
        change.put(bead.id, BeadFact.LAND_ALLOWED, {**allowed, "head": head}, "person")


async def forecast(parts: Parts, intent: Intent) -> Effect:
    """Look at the target anew: its rules, and whether the work merges onto it."""
    work = await _work(parts, intent)
    async with parts.forecasts:
        seen = await _look(parts, work, intent.payload["head"])
    return Effect(lambda change: _note_look(change, work.bead, seen))


def rules_of(rig: Rig, raw: bytes | None, gate_seconds: int) -> Json:
    """What the settings file says that the target branch has, if it has one: {state, gates, landing, hash, error}.

    `gate_seconds` is the time limit of a gate that sets none of its own.
    """
    if raw is None:
        return {"state": "absent", "gates": [], "landing": "manual", "hash": None, "error": None}
    found = content_hash(raw)
    try:
        where = f"{rig.path}/{FILE_NAME}"
        settings = parse(raw.decode("utf-8", "strict"), where, timeout_seconds=gate_seconds)
    except (AtError, UnicodeDecodeError) as error:
        return {"state": "broken", "gates": [], "landing": "manual", "hash": found, "error": str(error)}
    gates = [{"name": g.name, "run": g.run, "timeout_seconds": g.timeout_seconds} for g in settings.gates]
    state = "trusted" if rig.trusted == found else "untrusted"
    return {"state": state, "gates": gates, "landing": settings.landing, "hash": found, "error": None}


async def gate(parts: Parts, intent: Intent) -> Effect:
    """Run one gate on exactly one tree, in a checkout of its own; the run outlives the daemon and is found again."""
    work = await _work(parts, intent)
    session_id = gate_session_id(intent)
    log = parts.home.logs / "gates" / f"{session_id.removeprefix(GATE_PREFIX)}.log"
    limit = intent.payload["timeout_seconds"]
    async with parts.gate_slots:
        began = parts.awake_seconds()
        async with parts.starts.one():
            session = await _gate_session(parts, work, intent, session_id)
        failpoint("gate.after-start")
        try:
            status, timed_out = await _exit_of(parts, session, float(limit))
        except (
            JournalDamaged
        ):  # what it said cannot be read any more, so nothing that it does proves anything
            await _give_up(session)
            await anyio.to_thread.run_sync(_remove_gate, parts, session_id)
            raise
        if parts.starts.closed:
            await anyio.sleep_forever()  # we ended it: it proves nothing, and is run again by the next daemon
        seconds = parts.awake_seconds() - began
        failpoint("gate.after-exit")
        if isinstance(session, Session):
            await let_go(session)
    output = await anyio.to_thread.run_sync(_write_log, session, parts, log)
    if timed_out:
        output += f"\n(ended after {limit} s, its time limit)\n"
    result = GateResult(
        name=intent.payload["name"],
        command=intent.payload["run"],
        tree=intent.payload["tree"],
        ok=status is not None and status.code == 0 and not timed_out,
        exit_code=status.code if status and not timed_out else None,
        seconds=round(seconds, 3),
        log=str(log),
        output=output[-MOST_OUTPUT:],
        rig=str(work.rig.id),
        at=parts.now(),
    )

    def note(change: Change) -> None:
        change.tx.free_slot(session_id)
        change.tx.add_gate_result(result)
        change.tell(
            EventType.GATE_FINISHED,
            work.bead,
            name=result.name,
            ok=result.ok,
            tree=result.tree,
            seconds=result.seconds,
            exit_code=result.exit_code,
            log=result.log,
        )
        for bead in change.tx.beads(status={BeadStatus.REVIEW}, rig=str(work.rig.id)):
            change.touch(bead.id)

    async def tidy() -> None:
        await anyio.to_thread.run_sync(_remove_gate, parts, session_id)

    return Effect(note, tidy)


def gate_session_id(intent: Intent) -> str:
    """The session in which the gate of this intent runs, the same whenever it is carried out again."""
    return GATE_PREFIX + hashlib.sha256(intent.key.encode()).hexdigest()[:16]


async def _work(parts: Parts, intent: Intent) -> Work:
    return await parts.ledger.read(
        lambda tx: Work((b := bead_named(tx, intent.bead_id)), rig_of(tx, b), values(tx.facts(b.id)))
    )


async def _look(parts: Parts, work: Work, head: str) -> tuple[Json, Json]:
    number = int((work.facts.get(BeadFact.LOOK) or {}).get("number", 0))
    found = await git.try_merge(Path(work.rig.path), head, f"refs/heads/{work.target}", FILE_NAME)
    rules = rules_of(work.rig, found.file, parts.config.gates.timeout_seconds)
    conflicts: Sequence[str] = found.conflicts or (
        ("(the histories are unrelated)",) if found.unrelated else ()
    )
    seen = {
        "head": head,
        "target": found.target_sha,
        "target_name": work.target,
        "clean": found.clean,
        "tree": found.tree,
        "contained": found.contained,
        "conflicts": list(conflicts),
        "look": number,
    }
    folder = Path(work.facts[BeadFact.FOLDER]["path"])
    if not found.clean and folder.is_dir():
        await git.update_branch(Path(work.rig.path), folder, found.target_sha)
    return rules, seen


def _note_look(change: Change, bead: Bead, seen: tuple[Json, Json]) -> None:
    rules, found = seen
    change.put(bead.id, BeadFact.RULES, rules, "git")
    change.put(bead.id, BeadFact.FORECAST, found, "git")
    if not found["clean"]:
        look = change.fact(bead.id, BeadFact.LOOK) or {"number": 0, "why": ""}
        given = [*look.get("given", ()), found["target"]]
        change.put(bead.id, BeadFact.LOOK, {**look, "given": given})


async def _gate_session(parts: Parts, work: Work, intent: Intent, session_id: str) -> Session | EndedSession:
    folders = {"run_dir": parts.home.holders, "journal_dir": parts.home.journal}
    try:
        held = await open_session(session_id, **folders)
    except FileNotFoundError:
        pass
    else:
        if isinstance(held, Session):
            with contextlib.suppress(
                SessionOver, RequestRefused
            ):  # its input is closed already, or it is over
                await held.close_input()
            return held
        if held.exit is not None:
            return held
        held.kill_processes()
        held.discard()
    folder = _gate_folder(parts, session_id)
    async with parts.rig_locks[work.rig.path]:
        await git.checkout_tree(Path(work.rig.path), folder, await _commit_of(work, intent))
    environment = environments.load(parts.home, work.bead.agent_id) if work.bead.agent_id else {}
    first_port = parts.config.general.first_port
    slot = await slot_for(parts.ledger, session_id, first_port)
    marks = {
        "AT_BEAD": str(work.bead.id),
        "AT_GATE": intent.payload["name"],
        **slot_marks(slot, first_port),
    }
    argv = ("/bin/sh", "-c", intent.payload["run"])
    # A gate's journal becomes its log, so it is not trimmed while it grows; beyond the bound the gate is held back.
    spec = SessionSpec(
        session_id,
        argv,
        environment | marks,
        str(folder),
        Transport.PIPE,
        polite=15,
        journal_bytes=MOST_LOG,
        segment_bytes=LOG_SEGMENT,
    )
    session = await start_session(spec, **folders)
    with contextlib.suppress(SessionOver, RequestRefused):  # a quick gate is over already
        await session.close_input()
    return session


async def _commit_of(work: Work, intent: Intent) -> str:
    """The commit to check out: the branch's head, or a merge made aside for a merged tree."""
    if intent.payload.get("head"):
        return str(intent.payload["head"])
    return await git.make_merge(
        Path(work.rig.path),
        work.facts[BeadFact.BRANCH]["head"],
        work.facts[BeadFact.FORECAST]["target"],
        intent.payload["tree"],
        "A merge on trial, for gates.\n",
        date=int(intent.created_at.timestamp()),
    )


async def _exit_of(
    parts: Parts, session: Session | EndedSession, limit: float
) -> tuple[ExitStatus | None, bool]:
    if isinstance(session, EndedSession):
        return session.exit, False
    with anyio.move_on_after(limit):
        return await _followed(session), False
    with anyio.move_on_after(STOP_GRACE_SECONDS + REACH_SECONDS):
        with contextlib.suppress(SessionOver, RequestRefused, HolderSilent):  # it may end at that very moment
            await session.stop(STOP_GRACE_SECONDS)
        return await _followed(session), True
    folders = {"run_dir": parts.home.holders, "journal_dir": parts.home.journal}
    await anyio.to_thread.run_sync(functools.partial(kill_session, session.id, **folders))
    return None, True


async def _give_up(session: Session | EndedSession) -> None:
    if isinstance(session, Session):
        with contextlib.suppress(SessionError):  # it may have ended at that very moment
            await session.stop(STOP_GRACE_SECONDS)
            await session.wait()
        await let_go(session)


async def _followed(session: Session) -> ExitStatus | None:
    """Wait for the end and its exit status."""
    status: ExitStatus | None = None
    async with session.follow(0) as follower:
        while batch := await follower.batch():
            status = next((r.exit_status() for r in batch if r.kind is RecordKind.EXIT), status)
    return status


def _write_log(session: Session | EndedSession, parts: Parts, log: Path) -> str:
    log.parent.mkdir(mode=0o700, exist_ok=True)
    tail = b""
    with log.open("wb") as file:
        for record in read_records(parts.home.journal / session.id):
            data = _shown(record)
            file.write(data)
            tail = (tail + data)[-MOST_OUTPUT * 4 :]
    return tail.decode("utf-8", "replace")


def _shown(record: Record) -> bytes:
    if record.kind in (RecordKind.OUTPUT, RecordKind.STDERR):
        return record.data
    if record.kind is RecordKind.GAP:
        start, stop = record.gap()
        return b"\n(%d bytes are not kept)\n" % (stop - start)
    return b""


def _gate_folder(parts: Parts, session_id: str) -> Path:
    return parts.home.gates / session_id


def _remove_gate(parts: Parts, session_id: str) -> None:
    shutil.rmtree(_gate_folder(parts, session_id), ignore_errors=True)
    (parts.home.gates / f".{session_id}.index").unlink(missing_ok=True)
    shutil.rmtree(parts.home.journal / session_id, ignore_errors=True)
