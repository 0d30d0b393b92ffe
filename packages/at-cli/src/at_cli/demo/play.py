"""Runs the four beads at once, kills the daemon while they work, answers the one that asks, and checks the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from at_cli.clock import monotonic
from at_cli.daemon import Daemon
from at_cli.demo.script import NAMES, PARTS, Part
from at_cli.demo.stage import Stage
from at_cli.face import Face
from at_cli.shutdown import kill_process, stop_daemon
from at_cli.streams import Streams

Event = dict[str, Any]
Document = dict[str, Any]
SPOKEN_BEFORE_KILL = 4
PATIENCE_SECONDS = 55.0


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing to tell: seconds since the start, who, what, and the fact."""

    seconds: float
    who: str
    event: Event


@dataclass(slots=True)
class Killing:
    """What was true of the agents when the daemon was killed, and when it was back."""

    daemon: int
    before: dict[str, tuple[int, str]]
    began: float = field(default_factory=monotonic)
    after: dict[str, tuple[int, str]] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(slots=True)
class Play:
    """One run of the demo."""

    stage: Stage
    environ: dict[str, str]
    began: float = field(default_factory=monotonic)
    beads: dict[str, str] = field(default_factory=dict)
    agents: dict[str, str] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)
    prompts: dict[str, int] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)
    killing: Killing | None = None
    daemon: Daemon = field(init=False)

    def __post_init__(self) -> None:
        self.daemon = Daemon(self.stage.home, self.environ)

    @property
    def seconds(self) -> float:
        """Since the start."""
        return monotonic() - self.began

    def prepare(self) -> Document:
        """Start the daemon, make the repository a rig, trust its settings."""
        path = str(self.stage.repository)
        self.daemon.call("init", path=path)
        shown: Document = self.daemon.call("trust", path=path)
        return self.daemon.call("trust", path=path, hash=shown["hash"])  # type: ignore[no-any-return]

    def start(self) -> None:
        """Give all four prompts."""
        for part in PARTS:
            order = {"cli": "demo", "land": True, "env": self.environ}
            document = self.daemon.call(
                "run",
                path=str(self.stage.repository),
                prompt=part.prompt,
                title=part.name,
                order=order,
            )
            self.beads[document["bead"]["id"]] = part.name
            self.agents[part.name] = document["agent"]["name"]

    def moments(self) -> Iterator[Moment]:
        """What happens, as it happens, until all four are settled or patience ends."""
        for event in self.daemon.stream_events(0):
            who = self.beads.get(event["bead_id"] or "", "daemon")
            self._note(who, event)
            yield Moment(self.seconds, who, event)
            if len(self.settled) == len(PARTS) or self.seconds > PATIENCE_SECONDS:
                return
            if self.killing is None and self._all_at_work():
                self._kill()
                yield Moment(self.seconds, "daemon", {"type": "demo.killed", "payload": {}})
            elif event["type"] == "daemon.started" and self.killing is not None:
                self.killing.seconds = monotonic() - self.killing.began
                self.killing.after = self._processes()
                yield Moment(self.seconds, "daemon", {"type": "demo.back", "payload": event["payload"]})
                self._answer()

    def failures(self) -> list[str]:
        """What is not as it must be at the end, in plain sentences; empty when the demo kept its word."""
        found = [
            f"{name} was not settled within {PATIENCE_SECONDS:.0f} s"
            for name in NAMES
            if name not in self.settled
        ]
        for part in PARTS:
            found.extend(self._failures_of(part))
        if self.killing is None:
            found.append("the daemon was never killed")
        elif moved := [
            name for name, was in self.killing.before.items() if self.killing.after.get(name) != was
        ]:
            found.append(f"after the daemon was killed, not as before: {', '.join(moved)}")
        return found

    def documents(self) -> dict[str, Document]:
        """The bead documents by the parts' names."""
        return {name: self.daemon.call("show", bead=bead) for bead, name in self.beads.items()}

    def end(self, streams: Streams) -> None:
        """Stop what runs, also where the daemon was just killed and agents live. Raises AtError, OSError."""
        stop_daemon(Face(streams, self.environ, json=True), keep_agents=False)

    def _failures_of(self, part: Part) -> Iterator[str]:
        status = self.documents()[part.name]["bead"]["status"]
        if status != part.ends:
            yield f"{part.name} ended {status}, not {part.ends}"
        expected = [f"line {number}" for number in range(1, part.lines + 1)]
        if self.lines.get(part.name, []) != expected:
            yield f"{part.name}: its lines were not heard once each and in order"
        if self.prompts.get(part.name) != 1:
            yield f"{part.name}: its prompt was taken {self.prompts.get(part.name, 0)} times"

    def _note(self, who: str, event: Event) -> None:
        said = event["payload"]
        if event["type"] == "text.spoken":
            spoken = [line for line in said["text"].splitlines() if line.startswith("line ")]
            self.lines.setdefault(who, []).extend(spoken)
        elif event["type"] == "message.accepted":
            first = self.prompts.get(who, 0) == 0 or who != "crash"
            self.prompts[who] = self.prompts.get(who, 0) + first
        elif event["type"] in ("bead.landed", "bead.failed", "bead.escalated"):
            self.settled.add(who)
        elif event["type"] == "ask.opened" and self.killing is not None:
            self._answer()

    def _all_at_work(self) -> bool:
        return all(len(self.lines.get(name, ())) >= SPOKEN_BEFORE_KILL for name in NAMES)

    def _kill(self) -> None:
        daemon = int(self.daemon.call("health")["pid"])
        self.killing = Killing(daemon, self._processes())
        kill_process(daemon)

    def _processes(self) -> dict[str, tuple[int, str]]:
        """Process id and session of each agent that is held, by part; one that crashes meanwhile is left out."""
        found = {}
        for name, agent in self.agents.items():
            if name == "crash":
                continue
            facts = {row["fact"]: row["value"] for row in self.daemon.call("explain", name=agent)["facts"]}
            process = facts.get("process")
            if process:
                found[name] = (process["pid"], process["session"])
        return found

    def _answer(self) -> None:
        for ask in self.daemon.call("approvals")["approvals"]:
            self.daemon.call("decide", ask=ask["id"], approve=True)
