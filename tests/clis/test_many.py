"""Prompts in a row under load, and ten agents of all CLIs on one repository."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from clis.conftest import newcomer
from clis.install import new_home

from at_cli.clock import monotonic
from at_cli.prove.ground import Installed
from at_cli.prove.scene import DONE, Scene
from at_cli.prove.site import Document, Site
from at_core.errors import AtError
from at_session.rehearsal.clis import CLIS
from at_session.rehearsal.endpoint import Endpoint, Span
from at_session.rehearsal.replies import Held, Reply, Say, Stream

PROMPTS = int(os.environ.get("AT_PROMPTS", "200"))
LOAD = 10
SETTLE_SECONDS = 1.0
"""From a request to the label that tells it."""
NEAR_SECONDS = 10.0
"""A CLI that was given its prompt, or that runs a tool, asks the model within this time; ten start at once here."""
MOST_FAILED_LOOKS = 0.05
ASKERS, REFUSED = range(4, 8), (1, 8)
"""Of the ten: one of each CLI asks for a command, one of Codex and one of Claude Code meet a 429."""
ASKING, RETRYING = "waiting for approval", "retrying"
LOOKS = 5
"""So many times is an agent looked at while an ask of its or a retry is kept from going on."""
OpenSite = Callable[..., Site]


@pytest.fixture
def open_site(commands: Path, endpoint: Endpoint, tmp_path: Path) -> Iterator[OpenSite]:
    """A home, a repository and a daemon for these CLIs, outside the system's temp folder."""
    with new_home() as folder:
        yield from _sites(commands, endpoint, tmp_path, folder)


def _sites(commands: Path, endpoint: Endpoint, tmp_path: Path, folder: Path) -> Iterator[OpenSite]:
    opened: list[Site] = []

    def begin(*clis: str) -> Site:
        first, *others = (Installed(cli, str(commands / cli), "") for cli in clis)
        site = Site(
            folder / str(len(opened)), first, endpoint, newcomer(tmp_path, commands), others=tuple(others)
        )
        site.prepare()
        opened.append(site)
        return site

    yield begin
    assert [trouble for site in opened for trouble in site.end()] == []


@pytest.mark.thorough
@pytest.mark.timeout(900)
@pytest.mark.parametrize("cli", CLIS)
def test_prompts_in_a_row_are_each_answered_once(open_site: OpenSite, endpoint: Endpoint, cli: str) -> None:
    site = open_site(cli)
    for number in range(LOAD):
        order = {"cli": "demo", "env": site.environ}
        site.daemon.call(
            "run", path=str(site.repository), prompt="stream 600", title=f"load {number}", order=order
        )
    scene = Scene(site, f"row-{cli}", patience=600.0)
    bead = scene.run(f"Write. {scene.script(scene.write(), DONE)}", land=False)
    agent = scene.settled(bead)["agent"]["name"]
    for number in range(PROMPTS):
        prompt = f"Number {number}. {scene.script(Say(f'Heard {number}.'))}"
        scene.call("nudge", agent=agent, text=prompt, wait_seconds=0.0, env=site.environ)
    scene.until(bead, lambda seen: len(answered(seen)) == PROMPTS + 1, "all answered")
    document = scene.show(bead)
    assert [message["receipt"] for message in document["messages"]] == ["answered"] * (PROMPTS + 1)
    texts = scene.all_exchanges()[-1].request.texts
    numbers = [number for number in range(PROMPTS) for text in texts if f"Number {number}. " in text]
    assert numbers == list(range(PROMPTS))
    kinds = [event["type"] for event in scene.events(bead)]
    assert kinds.count("message.accepted") == kinds.count("message.answered") == PROMPTS + 1


def answered(document: Document) -> list[Document]:
    return [message for message in document["messages"] if message["receipt"] == "answered"]


@dataclass(frozen=True)
class Reason:
    """Why a label other than `working` is true for a while: it must be told within `surely`, never outside of `at_most`.

    Both are from one time to another.
    """

    label: str
    surely: tuple[float, float]
    at_most: tuple[float, float]

    def demands(self, before: float, after: float) -> bool:
        """Whether a look between these times must have seen the label."""
        return self.surely[0] < before and after < self.surely[1]

    def allows(self, label: str, before: float, after: float) -> bool:
        """Whether a look between these times may have seen this label."""
        return label == self.label and before < self.at_most[1] and after > self.at_most[0]


@dataclass
class Recorder:
    """Looks at `at status` all the time and keeps what it said of each agent, with the time."""

    site: Site
    seen: list[tuple[float, float, dict[str, str]]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """Looks that were not answered, with the reason."""
    _over: threading.Event = field(default_factory=threading.Event)
    _looked: threading.Condition = field(default_factory=threading.Condition)

    def run(self) -> None:
        while not self._over.wait(0.2):
            before = monotonic()
            try:
                document = self.site.daemon.call("status", path=str(self.site.repository))
            except AtError as error:
                self.failed.append(str(error))
                continue
            labels = {agent["name"]: agent["label"] for agent in document["agents"]}
            with self._looked:
                self.seen.append((before, monotonic(), labels))
                self._looked.notify_all()

    def __enter__(self) -> Recorder:
        self._thread = threading.Thread(target=self.run, name="recorder")
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        self._thread.join()

    def while_looking(self, count: int) -> tuple[float, float]:
        """Wait for so many more looks; from when to when."""
        began = monotonic()
        with self._looked:
            wanted = len(self.seen) + count + 1  # one may be under way
            assert self._looked.wait_for(lambda: len(self.seen) >= wanted, 60)
        return began, monotonic()

    def demanded(self, reason: Reason) -> int:
        """How many looks had to see the label."""
        return sum(reason.demands(before, after) for before, after, _ in self.seen)

    def lies(self, name: str, spans: list[Span], reasons: list[Reason]) -> list[str]:
        """Looks at which the label said other than what the model and its caller did at that time."""
        found = []
        for before, after, labels in self.seen:
            label = labels.get(name, "")
            wanted = [each.label for each in reasons if each.demands(before, after)]
            allowed = any(each.allows(label, before, after) for each in reasons)
            answering = any(
                span.began + SETTLE_SECONDS < before and after < end_of(span) - 0.1 for span in spans
            )
            near = any(
                span.began - NEAR_SECONDS < after and before < end_of(span) + NEAR_SECONDS for span in spans
            )
            if wanted and label not in wanted:
                found.append(f"{name} was {label!r} and not {wanted}")
            if label in (ASKING, RETRYING) and not allowed:
                found.append(f"{name} was {label!r} for no reason")
            if answering and label != "working" and not (label == RETRYING and allowed):
                found.append(f"{name} was {label!r} while the model answered it")
            if label == "working" and not near:
                found.append(f"{name} was 'working' with no request within {NEAR_SECONDS} s")
        return found


def end_of(span: Span) -> float:
    """When the answer was over; one that was never finished counts as the instant of its request."""
    return span.ended if span.ended is not None else span.began


@dataclass
class Worker:
    """One of the ten: it writes a file and speaks for a while; some ask for a command before, some meet a 429."""

    number: int
    site: Site
    asks: bool = field(init=False)
    refused: bool = field(init=False)
    scene: Scene = field(init=False)
    bead: str = field(init=False)
    reasons: list[Reason] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.asks, self.refused = self.number in ASKERS, self.number in REFUSED
        cli = CLIS[self.number % len(CLIS)]
        self.scene = Scene(self.site, f"mixed-{self.number}", patience=400.0, cli=cli)

    def start(self) -> None:
        """Give the order."""
        scene = self.scene
        replies: list[Reply] = [scene.write(), Stream(3.0 + self.number % 3)]
        if self.asks:
            replies.insert(1, scene.command(f"make --version > {scene.name}-made.txt"))
        if self.refused:
            replies[0:1] = [scene.model.slow_down(), Held(scene.name, scene.write())]
        self.bead = scene.run(f"Write it. {scene.script(*replies)}")

    def go_on(self, recorder: Recorder) -> None:
        """What it waits for comes only after some looks, all of which must have seen that it waits."""
        scene = self.scene
        if self.asks:
            ask = scene.ask(self.bead)
            surely = recorder.while_looking(LOOKS)
            scene.decide(ask, approve=True)
            at_most = (scene.spans()[1].began, monotonic() + SETTLE_SECONDS)
            self.reasons.append(Reason(ASKING, surely, at_most))
        if self.refused:
            scene.event(self.bead, "call.retried")
            scene.asked_model(count=2)
            surely = recorder.while_looking(LOOKS)
            self.site.endpoint.release(scene.name)
            at_most = (scene.spans()[0].began, monotonic() + SETTLE_SECONDS)
            self.reasons.append(Reason(RETRYING, surely, at_most))


@pytest.mark.alone
@pytest.mark.timeout(600)
def test_ten_agents_of_all_clis_land_and_the_status_is_true_all_the_time(open_site: OpenSite) -> None:
    site = open_site(*CLIS)
    workers = [Worker(number, site) for number in range(10)]
    with Recorder(site) as recorder:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.go_on(recorder)
        documents = [worker.scene.landed(worker.bead) for worker in workers]
    for worker, document in zip(workers, documents, strict=True):
        name, spans, scene = document["agent"]["name"], worker.scene.spans(), worker.scene
        assert spans, f"{scene.cli} never asked the model"
        assert recorder.lies(name, spans, worker.reasons) == []
        assert [each.label for each in worker.reasons] == [ASKING] * worker.asks + [RETRYING] * worker.refused
        assert all(recorder.demanded(each) >= LOOKS for each in worker.reasons)
        after = max(end_of(span) for span in spans) + 20.0
        late = [labels[name] for before, _, labels in recorder.seen if before > after and name in labels]
        assert not set(late) & {"working", "retrying", "starting"}
        assert scene.on_main(scene.file) == "written\n"
        assert (scene.on_main(f"{scene.name}-made.txt") is not None) == worker.asks
    looks = sum(len(labels) for _, _, labels in recorder.seen)
    assert looks > 10 * len(workers)
    assert len(recorder.failed) <= MOST_FAILED_LOOKS * len(recorder.seen), recorder.failed[:3]
    assert {document["agent"]["cli"] for document in documents} == set(CLIS)
