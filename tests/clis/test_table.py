"""The table of cases, one row per case and one column per CLI, as `at prove` plays it for anybody."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clis.conftest import newcomer

from at_cli.prove.cases import CASES
from at_session.rehearsal.clis import CLIS

ROWS = [case.name for case in CASES if case.belongs(chaos=False)]
CANNOT = {("gemini", "question-answered")}
"""What a CLI itself does not offer; `docs/agents.md` says so, and the cell proves it anew."""
Table = dict[str, Any]


@pytest.fixture(scope="session")
def table(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Table]:
    """The document of `at prove --cli CLI`, played once."""
    played: dict[str, Table] = {}

    def of(cli: str) -> Table:
        if cli not in played:
            environment = newcomer(tmp_path_factory.mktemp("home"), commands)
            played[cli] = prove(environment, "--cli", cli)
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
def test_cell(table: Callable[[str], Table], cli: str, case: str) -> None:
    (cell,) = [each for each in table(cli)["cells"] if each["case"] == case]
    expected = "cannot" if (cli, case) in CANNOT else "pass"
    assert cell["verdict"] == expected, cell["fact"]
    assert cell["fact"]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("cli", CLIS)
def test_nothing_is_left_behind(table: Callable[[str], Table], cli: str) -> None:
    assert table(cli)["not_cleaned_up"] == []
    assert not list(Path("/var/tmp").glob("at-prove-*")) or table(cli)["cells"]
