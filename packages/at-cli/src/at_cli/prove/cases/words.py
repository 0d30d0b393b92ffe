"""Prompts reach the model byte for byte."""

from __future__ import annotations

import functools

from at_cli.prove.case import Case, must
from at_cli.prove.scene import DONE, Scene
from at_cli.prove.site import Document
from at_session.rehearsal.replies import Say

LARGE = 200_000
PROMPTS = (
    ("a leading /", "/help {marker}"),
    ("a leading !", "!ls {marker}"),
    ("a leading @ and #", "@poem.txt # {marker}"),
    ("emoji", "🦉👩‍👩‍👧‍👦 naïve {marker}"),
    ("right to left", "\u202bשלום עולם مرحبا\u202c {marker}"),
    ("lines and tabs", "first\n\n\tsecond  \n{marker}\n"),
)


def exact_prompts(scene: Scene) -> str:
    """Prompts that a CLI may be tempted to interpret, and one of 200 KB."""
    bead = scene.run(f"Write. {scene.script(scene.write(), DONE)}", land=False)
    agent = scene.settled(bead)["agent"]["name"]
    large = "0123456789 abcdef\n" * (LARGE // 18)
    for name, words in (*PROMPTS, (f"{LARGE // 1000} KB", large + "{marker}")):
        prompt = words.replace("{marker}", scene.script(Say("Heard.")))
        receipt = scene.call("nudge", agent=agent, text=prompt, wait_seconds=60.0, env=scene.site.environ)
        scene.asked_model(number=len(scene.markers) - 1)
        answered = functools.partial(_answered, receipt["message"]["id"])
        scene.until(bead, answered, f"answered: {name}")
        seen = scene.exchanges(len(scene.markers) - 1)[-1].request.texts
        must(prompt in seen, f"{name}: the model got {_nearest(seen, scene.markers[-1])!r}")
    return f"{len(PROMPTS) + 1} prompts reached the model unchanged, among them {LARGE // 1000} KB"


def _answered(message: str, document: Document) -> bool:
    return any(each["id"] == message and each["receipt"] == "answered" for each in document["messages"])


def _nearest(texts: tuple[str, ...], marker: str) -> str:
    found = [text for text in texts if marker in text]
    return found[-1][:120] if found else "nothing of it"


CASES = (Case("exact-prompts", "prompts reach the model byte for byte", exact_prompts),)
