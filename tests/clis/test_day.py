"""A day with fifteen agents: conflicts, a failing gate, a limit, a crash, a reboot, a night; one person who obeys `at next`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from acceptance.product import Product, make_product
from clis.conftest import Ground
from clis.day import Computer, Person, Planned

from at_session.rehearsal.clis import CLIS, rehearsed
from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import Held, Say, UseTools

NIGHT_HOURS = 8
LIMIT_SECONDS = 3 * 3600
HELD = "until the machine is up again"
MERGE = "git merge -q refs/at/target; printf '{both}' > {file}; git add -A; git commit -qm 'Keep both'"
MADE = {
    "Schema": ("schema.txt",),
    "Model": ("model.txt",),
    "Views": ("views.txt",),
    "Colours": ("theme.txt",),
    "Fonts": ("theme.txt",),
    "Menu": ("menu.txt",),
    "Keys": ("menu.txt",),
    "Roof": ("roof.txt",),
    "Patience": ("patience.txt",),
    "Fragile": ("fragile.txt",),
    "Sky": ("sky.txt",),
    "claude": ("claude.txt", "claude-command.txt"),
    "codex": ("codex.txt",),
    "gemini": ("gemini.txt",),
    "opencode": ("opencode.txt",),
}
"""Files that each work item brings, by title."""


def keeps_both(file: str, own: str, both: str) -> str:
    """Writes its own line; when it comes back with a conflict, keeps both."""
    return f"write {file} {own}; end-turn\nshell {MERGE.format(file=file, both=both)}"


def plan(endpoint: Endpoint) -> list[Planned]:
    """The morning's work, in the order in which it is given out."""
    demo = [
        Planned("Schema", "stream 1; write schema.txt s"),
        Planned("Model", "write model.txt m", after=("Schema",)),
        Planned("Views", "write views.txt v", after=("Model",)),
        Planned("Colours", keeps_both("theme.txt", "blue", "serif\\nblue\\n"), allow="all"),
        Planned("Fonts", keeps_both("theme.txt", "serif", "blue\\nserif\\n"), allow="all"),
        Planned("Menu", keeps_both("menu.txt", "file", "ctrl-o\\nfile\\n"), allow="all"),
        Planned("Keys", keeps_both("menu.txt", "ctrl-o", "file\\nctrl-o\\n"), allow="all"),
        Planned("Roof", "write roof.txt r; write broken x; end-turn\nshell rm broken"),
        Planned("Patience", f"limit {LIMIT_SECONDS}; write patience.txt p"),
        Planned("Fragile", "crash 1; write fragile.txt f"),
        Planned("Sky", "ask Which colour?; write sky.txt s"),
    ]
    return demo + [real(endpoint, cli) for cli in CLIS]


def real(endpoint: Endpoint, cli: str) -> Planned:
    """One that a real CLI does: Claude Code asks for a command, OpenCode is at it while the machine is rebooted."""
    model = rehearsed(cli)
    replies: list[UseTools | Held | Say] = [UseTools((model.write(f"{cli}.txt", f"{cli}\n"),), "I write it.")]
    if cli == "claude":
        replies.append(UseTools((model.command("curl --version; echo made > claude-command.txt"),)))
    if cli == "opencode":
        replies.append(Held(HELD, Say("Done.")))
    marker = endpoint.script(f"day-{cli}", *replies, Say("Done."))
    return Planned(cli, f"Please write. {marker}", cli)


@pytest.fixture
def computer(endpoint: Endpoint, ground: Ground, commands: Path) -> Iterator[Computer]:
    """A home with all four CLIs, a repository with a gate, and the machine on which they are."""
    made = make_product(ground.home / "work")
    made.env["PATH"] = f"{commands}{os.pathsep}{made.env['PATH']}"
    for cli in CLIS:
        made.env |= rehearsed(cli).settle(Path(made.env["HOME"]), ground.home, endpoint.url)
    machine = Computer(made, ground.home / "clock")
    machine.boot()
    yield machine
    endpoint.release(HELD)
    machine.end()


@pytest.mark.alone  # for what it prints
@pytest.mark.timeout(900)
def test_whoever_obeys_it_lands_all_fifteen(computer: Computer, endpoint: Endpoint) -> None:
    product, person = computer.product, Person(computer.product)
    product.settings('[gates]\ncheck = "test ! -e broken"\n')
    person.give(plan(endpoint))
    assert len(person.beads) == len(MADE) == 15

    person.work_until(lambda: waits_only(person, "Patience", "opencode") and writes(endpoint, "opencode"))
    computer.reboot()
    endpoint.release(HELD)
    person.work_until(lambda: waits_only(person, "Patience"))
    computer.sleep(NIGHT_HOURS)
    person.work_until(lambda: set(person.statuses().values()) == {"done"})

    told = product.json("next", "--history")
    report(told, person)
    assert told["counts"]["withdrawn"] == told["counts"]["open"] == 0
    assert_all_landed(product, person)


def waits_only(person: Person, *titles: str) -> bool:
    """Whether all but these are done."""
    return {title for title, status in person.statuses().items() if status != "done"} == set(titles)


def writes(endpoint: Endpoint, cli: str) -> bool:
    """Whether the CLI waits for the answer that is held back."""
    return any(each.held == HELD for each in endpoint.of(f"day-{cli}"))


def assert_all_landed(product: Product, person: Person) -> None:
    """Each once, with all that it made; nothing of what another brought is lost."""
    merged = product.git("log", "--first-parent", "--format=%(trailers:key=Bead,valueonly)", "main").split()
    assert Counter(merged) == Counter(person.beads.values())
    for files in MADE.values():
        for file in files:
            assert (product.repo / file).exists(), file
    assert not (product.repo / "broken").exists()
    assert set((product.repo / "theme.txt").read_text().split()) == {"blue", "serif"}
    assert set((product.repo / "menu.txt").read_text().split()) == {"file", "ctrl-o"}
    assert product.git("status", "--porcelain") == ""
    accepted = Counter(
        event["payload"]["message"] for event in product.happened() if event["type"] == "message.accepted"
    )
    assert set(accepted.values()) == {1}


def report(told: dict[str, Any], person: Person) -> None:
    """What the person was wanted for, counted."""
    landed = told["landed"]
    kinds = Counter(each["kind"] for each in told["interruptions"])
    print(f"{landed['beads']} landed, {landed['interruptions']} interruptions: {dict(kinds)}")
    print(
        f"{landed['per_bead']} interruptions and {person.keys / landed['beads']:.0f} keys for each that landed"
    )
