"""The table of cases, one row per case and one column per CLI, as `at prove` plays it for anybody."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clis.conftest import newcomer

from at_cli.prove import cleaning
from at_cli.prove.cases import CASES, words
from at_session.rehearsal.clis import CLIS

ROWS = [case.name for case in CASES if case.belongs(chaos=False)]
CANNOT = {("gemini", "question-answered"), ("gemini", "cut-after-tool")}
"""What a CLI itself does not offer; `docs/agents.md` says so, and the cell proves it anew."""
UNTOLD = {
    ("claude", "cut-mid-stream"),
    ("claude", "cut-after-tool"),
    ("codex", "connection-cut"),
    ("gemini", "cut-mid-stream"),
}
"""Where a CLI asks the model again without a word."""
MUST_HOLD = {
    "write lands": "write-lands",
    "edit of an existing file": "edit-lands",
    "several tools in a turn": "several-tools",
    "no change": "no-change",
    "command approved": "command-approved",
    "command denied": "command-denied",
    "question answered": "question-answered",
    "rule of --always used": "rule-used",
    "429 once": "429-once",
    "hard quota": "quota",
    "500 for ever": "500-for-ever",
    "401": "401",
    "connection cut once": "connection-cut",
    "cut mid-stream": "cut-mid-stream",
    "cut in the answer to a tool's result": "cut-after-tool",
    "context overflow": "context-overflow",
    "never answers": "never-answers",
    "stops mid-stream": "stops-mid-stream",
    "CLI killed mid-turn": "cli-killed",
    "daemon killed while streaming": "daemon-killed-streaming",
    "daemon killed while an approval waits": "daemon-killed-asking",
    "daemon killed between sending and acceptance": "daemon-killed-sending",
    "resume after `at down`": "resume-after-down",
    "send-back with a second turn": "second-turn",
    "prompts byte for byte": "exact-prompts",
    "usage exact": "usage-exact",
}
"""The rows that no change of the table may lose, by name."""
PROMPTS = {"a leading /", "a leading !", "emoji", "right to left"}
Table = dict[str, Any]


@dataclass(frozen=True)
class Around:
    """A table, and the processes of its network namespace before and after: nothing else of this machine is in it."""

    document: Table
    before: set[int]
    after: set[int]


def inhabitants() -> set[int]:
    """Ids of the processes in this process's network namespace."""
    here, found = os.readlink("/proc/self/ns/net"), set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it is gone
            if os.readlink(f"/proc/{name}/ns/net") == here:
                found.add(int(name))
    return found


@pytest.fixture(scope="session")
def table(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Around]:
    """`at prove --cli CLI`, played once."""
    played: dict[str, Around] = {}

    def of(cli: str) -> Around:
        if cli not in played:
            environment = newcomer(tmp_path_factory.mktemp("home"), commands)
            before = inhabitants()
            document = prove(environment, "--cli", cli)
            played[cli] = Around(document, before, inhabitants())
        return played[cli]

    return of


def prove(environment: dict[str, str], *options: str) -> Table:
    """What `at prove --json` prints."""
    command = [str(Path(environment["AT"])), "prove", "--json", *options]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert ran.stdout, ran.stderr
    document: Table = json.loads(ran.stdout)
    return document


@pytest.mark.parametrize("about", MUST_HOLD)
def test_no_row_is_lost(about: str) -> None:
    assert MUST_HOLD[about] in ROWS


def test_every_row_is_played_on_the_four_clis() -> None:
    assert CLIS == ("claude", "codex", "gemini", "opencode")
    assert len(ROWS) * len(CLIS) >= 100


def test_the_row_of_prompts_has_each_that_a_cli_may_interpret() -> None:
    assert {name for name, _ in words.PROMPTS} >= PROMPTS
    assert words.LARGE == 200_000


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("cli", CLIS)
@pytest.mark.parametrize("case", ROWS)
def test_cell(table: Callable[[str], Around], cli: str, case: str) -> None:
    (cell,) = [each for each in table(cli).document["cells"] if each["case"] == case]
    expected = "cannot" if (cli, case) in CANNOT else "pass"
    assert cell["verdict"] == expected, cell["fact"]
    assert cell["fact"]
    assert ("told nothing of a retry" in cell["fact"]) == ((cli, case) in UNTOLD), cell["fact"]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("cli", CLIS)
def test_nothing_is_left_behind(table: Callable[[str], Around], cli: str) -> None:
    around = table(cli)
    assert around.document["not_cleaned_up"] == []
    folder = Path(around.document["folder"])
    assert folder.name.startswith("at-prove-")
    assert folder.name not in os.listdir(folder.parent)
    assert cleaning.belonging(folder) == []
    assert around.after <= around.before
