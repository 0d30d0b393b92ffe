"""What `at doctor` says of each agent program: version found and tested, what it draws on, whether it can start."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from at_cli.doctor import facts, judge
from at_cli.doctor.clis import CLAUDE, GEMINI, KNOWN, KnownCli
from at_cli.doctor.facts import Program, repository_of
from at_cli.doctor.judge import Check, Verdict
from at_cli.testing import At
from at_session.drivers import driver_for

OK, WARN, FAIL = Verdict.OK, Verdict.WARN, Verdict.FAIL
KEY = "the API key in GEMINI_API_KEY"


def judged(
    cli: KnownCli,
    version: str | None,
    signed_in: str | None,
    refused: tuple[str, str] | None = None,
    path: str | None = "/c",
    any_found: bool = True,
) -> Check:
    program = Program(cli.name, path, version, None if version else "ends with 1")
    return judge.agent_program(
        cli, program, signed_in, draws_on="its login", refused=refused, any_found=any_found
    )


@pytest.mark.parametrize(
    "check, verdict, says, fix",
    [
        (judged(CLAUDE, None, None, path=None), OK, "tested: 2.1.197", "npm install"),
        (judged(CLAUDE, None, None, path=None, any_found=False), WARN, "not installed", "npm install"),
        (judged(CLAUDE, None, None), FAIL, "ends with 1 (tested: 2.1.197)", "npm install"),
        (judged(CLAUDE, "2.1.197", "a key"), OK, "2.1.197 (as tested), /c; draws on a key", ""),
        (judged(CLAUDE, "2.2.0", "a key"), OK, "2.2.0 (tested: 2.1.197)", "at prove --cli claude"),
        (judged(CLAUDE, "2.1.197", None), WARN, "no login in sight; it would draw on its login", "/login"),
        (judged(CLAUDE, "2.2.0", None), WARN, "tested: 2.1.197", "at prove --cli claude"),
        (judged(GEMINI, "0.61.0", KEY), OK, f"draws on {KEY}", ""),
        (judged(GEMINI, "0.61.0", None), WARN, "refused since 2026-06-18", "GEMINI_API_KEY"),
        (judged(GEMINI, "0.61.0", GEMINI.login_draws_on), WARN, "since 2026-06-18", "GEMINI_API_KEY"),
        (judged(CLAUDE, "2.1.197", "a key", ("no room", "make room")), FAIL, "started: no room", "make room"),
    ],
)
def test_a_program_and_what_to_do(check: Check, verdict: Verdict, says: str, fix: str) -> None:
    assert check.verdict is verdict
    assert says in check.says
    assert fix in check.fix if fix else check.fix == ""


def test_the_note_on_logins_is_for_those_without_a_key() -> None:
    assert "2026-06-18" not in judged(GEMINI, "0.61.0", KEY).says


@pytest.mark.parametrize("cli", KNOWN, ids=lambda cli: cli.name)
def test_an_ordinary_home_is_refused_by_no_driver(cli: KnownCli, tmp_path: Path) -> None:
    elsewhere = {"HOME": "/home/somebody", "TMPDIR": str(tmp_path)}
    assert facts.refusal(cli.name, "edits", elsewhere, str(tmp_path)) is None
    assert list(tmp_path.iterdir()) == []


def rows(at: At) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in at("doctor", "--json").document["checks"]}


def install(at: At, folder: Path) -> None:
    """Programs that know nothing but their versions, as tested."""
    folder.mkdir()
    for cli in KNOWN:
        program = folder / cli.name
        program.write_text(f"#!/bin/sh\necho {cli.tested}\n")
        program.chmod(0o755)
    at.environ["PATH"] = f"{folder}:/usr/bin:/bin"


def test_a_home_that_codex_cannot_work_in_is_told(at: At, tmp_path: Path) -> None:
    install(at, tmp_path / "bin")
    at.environ["CODEX_HOME"] = str(Path(tempfile.gettempdir(), "codex-home"))
    at.environ["TMPDIR"] = tempfile.gettempdir()
    row = rows(at)["codex"]
    assert row["verdict"] == "fail" and "temp folder" in row["says"]
    assert "CODEX_HOME" in row["fix"]


def test_each_row_has_both_versions_and_what_is_drawn_on(at: At, tmp_path: Path) -> None:
    install(at, tmp_path / "bin")
    at.environ["CODEX_HOME"] = "/home/somebody/.codex"
    found = rows(at)
    for cli in KNOWN:
        says = found[cli.name]["says"]
        assert f"{cli.tested} (as tested)" in says
        assert driver_for(cli.name).capabilities.draws_on in says


@pytest.mark.parametrize("sandbox, free", [("0", False), ("1", True)])
def test_as_root_claude_is_told_to_need_a_sandbox_for_everything(
    tmp_path: Path, sandbox: str, free: bool
) -> None:
    refused = facts.refusal("claude", "all", {"HOME": "/h", "IS_SANDBOX": sandbox}, str(tmp_path))
    assert (refused is None) is (free or os.geteuid() != 0)


@pytest.mark.parametrize(
    "made, found",
    [((), False), (("folder",), False), (("file",), True), (("folder", "HEAD"), True)],
    ids=["nothing", "an empty folder", "a linked worktree", "a repository"],
)
def test_an_empty_git_folder_is_no_repository(tmp_path: Path, made: tuple[str, ...], found: bool) -> None:
    git, inside = tmp_path / ".git", tmp_path / "src"
    inside.mkdir()
    if "folder" in made:
        git.mkdir()
    if "file" in made:
        git.write_text("gitdir: elsewhere\n")
    if "HEAD" in made:
        (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert (repository_of(str(inside)) == str(tmp_path)) is found
