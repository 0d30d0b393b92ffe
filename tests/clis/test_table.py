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
from at_cli.prove.cases import CASES
from at_session.rehearsal.clis import CLIS

ROWS = [case.name for case in CASES if case.belongs(chaos=False)]
CANNOT = {("gemini", "question-answered")}
"""What a CLI itself does not offer; `docs/agents.md` says so, and the cell proves it anew."""
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


def test_the_table_has_a_hundred_cells() -> None:
    assert len(ROWS) * len(CLIS) >= 100


@pytest.mark.timeout(900)
@pytest.mark.parametrize("cli", CLIS)
@pytest.mark.parametrize("case", ROWS)
def test_cell(table: Callable[[str], Around], cli: str, case: str) -> None:
    (cell,) = [each for each in table(cli).document["cells"] if each["case"] == case]
    expected = "cannot" if (cli, case) in CANNOT else "pass"
    assert cell["verdict"] == expected, cell["fact"]
    assert cell["fact"]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("cli", CLIS)
def test_nothing_is_left_behind(table: Callable[[str], Around], cli: str) -> None:
    around = table(cli)
    assert around.document["not_cleaned_up"] == []
    folder = Path(around.document["folder"])
    assert folder.name.startswith("at-prove-")
    assert folder.name not in os.listdir(folder.parent)
    assert cleaning.belonging(folder) == []
    assert around.after <= around.before
