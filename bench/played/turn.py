"""One turn of a real CLI, by the product and on plain pipes, with the times at which it came to each point."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from clis.pipes import PipedAgent

from at_agents.prompts import instructions
from at_cli.prove.scene import DONE, Scene
from at_cli.prove.site import Document, Site
from at_session.drivers import driver_for
from at_session.journal import Record, RecordKind, read_records
from at_session.vocabulary import Allow, LaunchRequest, PromptAccepted, TurnEnded, TurnOutcome


@dataclass(frozen=True, slots=True)
class Plain:
    """Seconds on plain pipes: from the process's start to the accepted prompt, from there to the turn's end."""

    start: float
    turn: float


@dataclass(frozen=True, slots=True)
class Ours:
    """Seconds by the product: from the order to the accepted prompt, from there to the proof.

    The rest is our own part of both, by the holder's journal: `until_process` from the order to the CLI's process,
    `lines` and `later_lines` the times in which the CLI may have waited for a line of ours, before and after it
    accepted, `until_proof` from the bytes that end the turn to the proof.
    """

    start: float
    turn: float
    until_process: float
    lines: float
    later_lines: float
    until_proof: float

    @property
    def own_start(self) -> float:
        """Our own part of the start."""
        return self.until_process + self.lines

    @property
    def own_turn(self) -> float:
        """Our own part of the turn."""
        return self.later_lines + self.until_proof


@dataclass(frozen=True, slots=True)
class Woken:
    """Seconds from a word to an agent that holds no process to the accepted prompt, and our own part of them."""

    whole: float
    own: float


def prompt_of(scene: Scene) -> str:
    """A prompt upon which the model has one file written and says that it is done."""
    return f"Please write it. {scene.script(scene.write(), DONE)}"


def plain(site: Site, name: str) -> Plain:
    """The turn with the driver alone, in a clone as the product makes one."""
    folder, branch = site.folder / "plain" / name, f"at/{name}"
    site.git("clone", "--quiet", "--shared", str(site.repository), str(folder))
    site.git("-C", str(folder), "switch", "--quiet", "--create", branch)
    private = folder.with_name(f"{name}-private")
    private.mkdir()
    request = LaunchRequest(
        agent_id=str(uuid4()),
        binary=site.installed.binary,
        args=(),
        cwd=str(folder),
        env=site.environ,
        private_dir=str(private),
        allow=Allow.EDITS,
        session_id=str(uuid4()),
        instructions=instructions(branch, "main"),
    )
    prompt = prompt_of(Scene(site, name))
    began = time.perf_counter()
    with PipedAgent(driver_for(site.cli)(), request) as agent:
        agent.prompt(str(uuid4()), prompt)
        agent.wait_for(PromptAccepted)
        accepted = time.perf_counter()
        end = agent.wait_for(TurnEnded)
        ended = time.perf_counter()
        assert end.outcome is TurnOutcome.COMPLETED, end
        assert (folder / f"{name}.txt").exists()
        agent.close()
    return Plain(accepted - began, ended - accepted)


def ours(site: Site, name: str) -> Ours:
    """The turn by the product: a bead's run until its work is proved; the bead is removed after it."""
    scene = Scene(site, name)
    before = site.daemon.call("events", limit=1)["last_seq"]
    bead = scene.run(prompt_of(scene), land=False)
    events = list(_events(site, bead, before, "bead.proved"))
    at = {event["type"]: moment(event) for event in reversed(events)}
    (session,) = (event["payload"]["session"] for event in events if event["type"] == "agent.started")
    records = list(read_records(site.daemon.home.journal / session))
    accepted, ended, proved = at["message.accepted"], at["turn.ended"], at["bead.proved"]
    found = Ours(
        start=accepted - at["bead.added"],
        turn=proved - accepted,
        until_process=stamp(records[0]) - at["bead.added"],
        lines=sum(_waits(records, 0.0, accepted)),
        later_lines=sum(_waits(records, accepted, ended)),
        until_proof=proved
        - max(stamp(each) for each in records if _is_output(each) and stamp(each) <= ended),
    )
    scene.call("remove", bead=bead)
    return found


def woken(site: Site, name: str) -> Woken:
    """Have an agent finish its work and hibernate, then say something to it: it must answer in the same session."""
    scene = Scene(site, name)
    before = site.daemon.call("events", limit=1)["last_seq"]
    bead = scene.run(prompt_of(scene), land=False)
    first = list(_events(site, bead, before, "agent.exited"))
    again = scene.script(scene.write(path=f"{name}-again.txt"), DONE)
    scene.call("send_back", bead=bead, text=f"And once more. {again}")
    events = list(_events(site, bead, first[-1]["seq"], "bead.proved"))
    at = {event["type"]: moment(event) for event in reversed(events)}
    (session,) = (event["payload"]["session"] for event in events if event["type"] == "agent.started")
    named = {each["payload"]["session_id"] for each in first + events if each["type"] == "session.named"}
    assert len(named) == 1, f"{site.cli} went on in another session: {named}"
    records = list(read_records(site.daemon.home.journal / session))
    asked, accepted = at["message.queued"], at["message.accepted"]
    scene.call("remove", bead=bead)
    return Woken(accepted - asked, stamp(records[0]) - asked + sum(_waits(records, 0.0, accepted)))


def moment(event: Document) -> float:
    """When an event was noted, in seconds since the epoch."""
    return datetime.fromisoformat(event["at"]).timestamp()


def _events(site: Site, bead: str, after: int, last: str) -> Iterator[Document]:
    """The bead's events until one of that type."""
    for event in site.daemon.stream_events(after):
        if event["bead_id"] == bead:
            yield event
            if event["type"] in ("bead.failed", "bead.escalated"):
                raise RuntimeError(f"{site.cli}: {event}")
            if event["type"] == last:
                return


def stamp(record: Record) -> float:
    """When the holder journalled a record, in seconds since the epoch."""
    return record.time_ns / 1e9


def _is_output(record: Record) -> bool:
    return record.kind is RecordKind.OUTPUT


def _waits(records: Sequence[Record], after: float, until: float) -> Iterator[float]:
    """Seconds between what the CLI said within a span of time and the last line of ours before it spoke again.

    What is written before the CLI first speaks costs nothing: it is not up yet.
    """
    said, wrote = None, None
    for record in records:
        if _is_output(record):
            if said is not None and wrote is not None and after <= said <= until:
                yield wrote - said
            said, wrote = stamp(record), None
        elif record.kind is RecordKind.INPUT:
            wrote = stamp(record)
