"""`at prove` on a machine with none, one and all of the CLIs, and while everything is killed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from clis.conftest import newcomer

QUICK = ("--case", "write-lands", "--case", "401")


def prove(environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """Call it as a person does."""
    command = [environment["AT"], "prove", *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)


def verdicts(document: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {(cell["cli"], cell["case"]): cell["verdict"] for cell in document["cells"]}


def test_with_none_of_them_it_says_so_and_what_works_without(commands: Path, tmp_path: Path) -> None:
    ran = prove(newcomer(tmp_path, commands, without=("claude", "codex", "gemini", "opencode")))
    assert (ran.returncode, ran.stdout) == (4, "")
    assert ran.stderr.count("\n") == 1 and "at demo" in ran.stderr


def test_one_that_was_asked_for_and_is_missing_is_named(commands: Path, tmp_path: Path) -> None:
    ran = prove(newcomer(tmp_path, commands, without=("gemini",)), "--cli", "gemini")
    assert (ran.returncode, ran.stdout) == (4, "")
    assert "gemini" in ran.stderr and "at doctor" in ran.stderr


@pytest.mark.timeout(600)
@pytest.mark.parametrize("missing", [("codex", "gemini", "opencode"), ()], ids=["one", "all"])
def test_those_that_are_there_are_played_and_nothing_of_the_person_is_touched(
    commands: Path, tmp_path: Path, missing: tuple[str, ...]
) -> None:
    home = tmp_path / "home"
    ran = prove(newcomer(home, commands, without=missing), *QUICK, "--json")
    assert ran.returncode == 0, ran.stderr + ran.stdout
    document = json.loads(ran.stdout)
    found = {each["cli"] for each in document["clis"]}
    assert found == {"claude", "codex", "gemini", "opencode"} - set(missing)
    assert set(verdicts(document).values()) == {"pass"}
    assert all(each["version"][0].isalnum() for each in document["clis"])
    assert sorted(os.listdir(home)) == []


def test_a_case_that_does_not_exist_is_a_usage_error(commands: Path, tmp_path: Path) -> None:
    ran = prove(newcomer(tmp_path, commands), "--case", "nothing")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "at prove --list" in ran.stderr


@pytest.mark.thorough
@pytest.mark.timeout(1200)
def test_the_same_seed_gives_the_same_verdicts_twice(commands: Path, tmp_path: Path) -> None:
    cases = ("shaken-work", "shaken-turns")
    options = [part for case in cases for part in ("--case", case)]
    environment = newcomer(tmp_path, commands)
    documents = [
        json.loads(prove(environment, "--chaos", "--seed", "7", "--json", *options).stdout) for _ in range(2)
    ]
    first, second = map(verdicts, documents)
    assert first == second
    assert set(first.values()) == {"pass"}, [
        c for d in documents for c in d["cells"] if c["verdict"] != "pass"
    ]
    struck = [cell["fact"] for document in documents for cell in document["cells"]]
    assert sum("not struck" not in fact for fact in struck) >= len(struck) // 2
