"""`at exec`: where a command runs, with which variables, and what is said where it cannot."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from at_cli.testing import BEAD_ID, At, FakeDaemon

MARKS = {"AT_BEAD": BEAD_ID, "AT_AGENT": "furiosa", "AT_SLOT": "2", "AT_PORT": "21010"}


@pytest.fixture
def folder(daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bead's folder; the test goes back to where it was."""
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "clone"
    made.mkdir()
    daemon.answers["folder"] = {"path": str(made), "branch": "at/3f2a", "environment": MARKS}
    return made


def test_the_command_takes_its_place_in_the_folder_with_the_slot_s_variables(
    at: At, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, Any]] = []

    def execvpe(file: str, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        ran.append((os.getcwd(), (file, tuple(argv), dict(environment))))
        raise SystemExit(7)

    monkeypatch.setattr(os, "execvpe", execvpe)
    at.environ |= {"AT_SLOT": "9", "MINE": "kept"}
    with pytest.raises(SystemExit):
        at("exec", "3f2a", "--", "make", "-j2", "--json", "a b")
    ((where, (file, argv, environment)),) = ran
    assert where == str(folder)
    assert (file, argv) == ("make", ("make", "-j2", "--json", "a b"))
    assert environment == {**at.environ, **MARKS, "PWD": str(folder)}


def test_with_json_nothing_is_run(at: At, folder: Path) -> None:
    document = at("exec", "3f2a", "--json", "--", "touch", "made").document
    assert document["argv"] == ["touch", "made"]
    assert (document["path"], document["environment"]) == (str(folder), MARKS)
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [("no-such-command", 127, "No such file"), ("./data", 126, "Permission denied")],
)
def test_what_cannot_be_executed_is_said_in_one_line(
    at: At, folder: Path, name: str, code: int, words: str
) -> None:
    (folder / "data").write_text("no program")
    said = at("exec", "3f2a", "--", name)
    assert said.code == code
    assert said.err.count("\n") == 1 and name in said.err and words in said.err


def test_without_a_command_it_is_a_usage_error(at: At, folder: Path) -> None:
    assert at("exec", "3f2a").code == 2
