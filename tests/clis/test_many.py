"""Two hundred prompts in a row under load, and ten agents of all CLIs on one repository."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from clis.conftest import newcomer
from clis.install import cache

from at_cli.clock import monotonic
from at_cli.prove.ground import Installed
from at_cli.prove.scene import DONE, Scene
from at_cli.prove.site import Document, Site
from at_core.errors import AtError
from at_session.rehearsal.clis import CLIS
from at_session.rehearsal.endpoint import Endpoint, Span
from at_session.rehearsal.replies import Say, Stream

PROMPTS = 200
LOAD = 10
SETTLE_SECONDS = 1.0
"""From a request to the label that tells it."""
NEAR_SECONDS = 10.0
"""A CLI that was given its prompt, or that runs a tool, asks the model within this time; ten start at once here."""
MOST_FAILED_LOOKS = 0.05
OpenSite = Callable[..., Site]


@pytest.fixture
def open_site(commands: Path, endpoint: Endpoint, tmp_path: Path) -> Iterator[OpenSite]:
    """A home, a repository and a daemon for these CLIs, outside the system's temp folder."""
    folder = cache() / "homes" / f"site-{tmp_path.name}"
    opened: list[Site] = []

    def begin(*clis: str) -> Site:
        first, *others = (Installed(cli, str(commands / cli), "") for cli in clis)
        site = Site(folder, first, endpoint, newcomer(tmp_path, commands), others=tuple(others))
        site.prepare()
        opened.append(site)
        return site

    yield begin
    troubles = [trouble for site in opened for trouble in site.end()]
    shutil.rmtree(folder, ignore_errors=True)
    assert troubles == []


@pytest.mark.timeout(900)
@pytest.mark.parametrize("cli", CLIS)
def test_two_hundred_prompts_in_a_row_are_each_answered_once(
    open_site: OpenSite, endpoint: Endpoint, cli: str
) -> None:
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


@dataclass
class Recorder:
    """Looks at `at status` all the time and keeps what it said of each agent, with the time."""

    site: Site
    seen: list[tuple[float, float, dict[str, str]]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """Looks that were not answered, with the reason."""
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self._over.wait(0.2):
            before = monotonic()
            try:
                document = self.site.daemon.call("status", path=str(self.site.repository))
            except AtError as error:
                self.failed.append(str(error))
                continue
            labels = {agent["name"]: agent["label"] for agent in document["agents"]}
            self.seen.append((before, monotonic(), labels))

    def __enter__(self) -> Recorder:
        self._thread = threading.Thread(target=self.run, name="recorder")
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        self._thread.join()

    def lies(self, name: str, spans: list[Span]) -> list[str]:
        """Looks at which the model was answering the agent and the label said other, or the other way about."""
        found = []
        for before, after, labels in self.seen:
            label = labels.get(name)
            answering = any(
                span.began + SETTLE_SECONDS < before and after < end_of(span) - 0.1 for span in spans
            )
            near = any(
                span.began - NEAR_SECONDS < after and before < end_of(span) + NEAR_SECONDS for span in spans
            )
            if answering and label not in ("working", "retrying"):
                found.append(f"{name} was {label!r} while the model answered it")
            if label == "working" and not near:
                found.append(f"{name} was 'working' with no request within {NEAR_SECONDS} s")
        return found


def end_of(span: Span) -> float:
    """When the answer was over; one that was never finished counts as the instant of its request."""
    return span.ended if span.ended is not None else span.began


@pytest.mark.timeout(600)
def test_ten_agents_of_all_clis_land_and_the_status_is_true_all_the_time(
    open_site: OpenSite, endpoint: Endpoint
) -> None:
    site = open_site(*CLIS)
    scenes: list[tuple[Scene, str]] = []
    with Recorder(site) as recorder:
        for number in range(10):
            scene = Scene(site, f"mixed-{number}", patience=400.0, cli=CLIS[number % len(CLIS)])
            marker = scene.script(scene.write(), Stream(3.0 + number % 3))
            scenes.append((scene, scene.run(f"Write it. {marker}")))
        documents = [scene.landed(bead) for scene, bead in scenes]
    spans = endpoint.spans()
    looks = 0
    for (scene, _), document in zip(scenes, documents, strict=True):
        name = document["agent"]["name"]
        own = [span for span in spans if span.marker in scene.markers]
        assert own, f"{scene.cli} never asked the model"
        assert recorder.lies(name, own) == []
        looks += sum(name in labels for _, _, labels in recorder.seen)
        after = max(span.ended or span.began for span in own) + 20.0
        late = [labels[name] for before, _, labels in recorder.seen if before > after and name in labels]
        assert not set(late) & {"working", "retrying", "starting"}
        assert scene.on_main(scene.file) == "written\n"
    assert looks > 10 * len(scenes)
    assert len(recorder.failed) <= MOST_FAILED_LOOKS * len(recorder.seen), recorder.failed[:3]
    assert {document["agent"]["cli"] for document in documents} == set(CLIS)
