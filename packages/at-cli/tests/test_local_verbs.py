"""Verbs that look at this machine themselves: doctor, config, uninstall, completion, down, and `at` alone."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from at_cli.doctor import judge
from at_cli.doctor.clis import CLAUDE, CODEX, GEMINI, KNOWN, OPENCODE, KnownCli, draws_on
from at_cli.doctor.facts import HomeFacts, Program, PtyFacts
from at_cli.doctor.judge import Check, Verdict
from at_cli.leftovers import elsewhere
from at_cli.testing import At, FakeDaemon
from at_cli.verb import CLIS, LANES
from at_cli.views import words
from at_core import types
from at_core.paths import Home
from at_core.store import Store

OK, WARN, FAIL = Verdict.OK, Verdict.WARN, Verdict.FAIL


def program(folder: Path, name: str, script: str) -> Path:
    """An executable of that name which does what `script` says."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_a_new_machine_is_told_what_was_found_and_what_to_try(at: At, place: Path, tmp_path: Path) -> None:
    (place / ".git").mkdir()
    (place / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    program(tmp_path / "bin", "claude", "echo '2.1.197 (Claude Code)'")
    at.environ["PATH"] = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    told = at("--json").document
    claude = told["clis"][0]
    assert (claude["name"], claude["version"], claude["draws_on"]) == ("claude", "2.1.197", None)
    assert told["repository"] == str(place) and told["git"]
    assert told["try"] == ["at demo", "at prove", "at doctor", "at init", 'at run "PROMPT" --wait']
    at.environ["ANTHROPIC_API_KEY"] = "k"
    assert at("--json").document["try"] == ["at demo", "at prove", "at init", 'at run "PROMPT" --wait']
    plain = at()
    assert plain.code == 0 and str(place) in plain.out and "at demo" in plain.out
    assert not at.home.root.exists()


@pytest.mark.parametrize(
    "in_repository, cli, steps",
    [
        (False, False, ["at demo", "at doctor"]),
        (False, True, ["at demo", "at prove", "at doctor", "cd YOUR-REPOSITORY && at init"]),
    ],
)
def test_what_to_try_depends_on_what_is_there(
    at: At, tmp_path: Path, in_repository: bool, cli: bool, steps: list[str]
) -> None:
    if cli:
        program(tmp_path / "bin", "codex", "echo codex-cli 0.169.0")
    git = shutil.which("git")
    assert git is not None
    program(tmp_path / "bin", "git", f'exec {git} "$@"')
    at.environ["PATH"] = f"{tmp_path / 'bin'}:/bin" if cli else str(tmp_path / "bin")
    assert at("--json").document["try"] == steps


def test_at_alone_is_the_status_where_something_was_made(at: At, daemon: FakeDaemon) -> None:
    assert at().out == "rig demo\nagents 1 active\n"


def verdict(check: Check) -> tuple[Verdict, bool]:
    """What was decided, and whether there is something to do."""
    return check.verdict, bool(check.fix)


def home_facts(exists: bool = True, ours: bool = True, mode: int = 0o700, free: int = 10**11) -> HomeFacts:
    return HomeFacts("/h", exists, ours, mode, free)


CHECKS = [
    (judge.python("3.11.7", "/usr/bin/python"), OK, False),
    (judge.daemon(None, None, "0.1.0"), OK, False),
    (judge.daemon({"pid": 1, "version": "0.1.0"}, None, "0.1.0"), OK, False),
    (judge.daemon({"pid": 1, "version": "0.0.9"}, None, "0.1.0"), WARN, True),
    (judge.daemon(None, "it does not answer", "0.1.0"), FAIL, True),
    (next(iter(judge.home(home_facts(exists=False)))), OK, False),
    (next(iter(judge.home(home_facts()))), OK, False),
    (next(iter(judge.home(home_facts(mode=0o755)))), WARN, True),
    (next(iter(judge.home(home_facts(ours=False)))), FAIL, True),
    (list(judge.home(home_facts()))[1], OK, False),
    (list(judge.home(home_facts(free=10**9)))[1], WARN, True),
    (list(judge.home(home_facts(free=10**8)))[1], FAIL, True),
    (judge.terminals(PtyFacts(3, 4096, None)), OK, False),
    (judge.terminals(PtyFacts(None, None, None)), OK, False),
    (judge.terminals(PtyFacts(4090, 4096, None)), WARN, True),
    (judge.terminals(PtyFacts(3, 4096, "No space left on device")), FAIL, True),
    (judge.sqlite((3, 34, 1)), FAIL, True),
    (judge.sqlite((3, 45, 0)), OK, False),
    (judge.sqlite((3, 52, 0)), OK, False),
    (next(iter(judge.git(Program("git", None), None))), FAIL, True),
    (next(iter(judge.git(Program("git", "/g", trouble="killed"), None))), FAIL, True),
    (next(iter(judge.git(Program("git", "/g", "2.37.9"), None))), FAIL, True),
    (next(iter(judge.git(Program("git", "/g", "2.39.5"), "me@x"))), OK, False),
    (next(iter(judge.git(Program("git", "/g", "2.39.3 (Apple Git-146)"), "me@x"))), OK, False),
    (list(judge.git(Program("git", "/g", "2.40"), None))[1], WARN, True),
    (list(judge.git(Program("git", "/g", "2.40"), "me@x"))[1], OK, False),
    (judge.settings("/h/config.toml", False, None), OK, False),
    (judge.settings("/h/config.toml", True, ("line 3: no such key", "")), FAIL, True),
]


@pytest.mark.parametrize("check, expected, fix", CHECKS)
def test_verdicts(check: Check, expected: Verdict, fix: bool) -> None:
    assert verdict(check) == (expected, fix)


@pytest.mark.parametrize(
    "cli, environ, login, expected",
    [
        (CLAUDE, {}, None, None),
        (CLAUDE, {"ANTHROPIC_API_KEY": "k"}, None, "API key"),
        (CLAUDE, {"ANTHROPIC_API_KEY": "k", "CLAUDE_CODE_USE_BEDROCK": "1"}, None, "Bedrock"),
        (CLAUDE, {}, ".claude/.credentials.json", "login"),
        (CLAUDE, {"CLAUDE_CONFIG_DIR": "{home}/c"}, "c/.credentials.json", "login"),
        (CLAUDE, {"CLAUDE_CONFIG_DIR": "{home}/c"}, ".claude/.credentials.json", None),
        (CODEX, {}, ".codex/auth.json", "login"),
        (CODEX, {"OPENAI_API_KEY": "k", "CODEX_API_KEY": "k"}, None, None),
        (GEMINI, {"GEMINI_API_KEY": ""}, None, None),
        (GEMINI, {}, ".gemini/oauth_creds.json", "login"),
        (OPENCODE, {"XDG_DATA_HOME": "{home}/d"}, "d/opencode/auth.json", "set up with"),
    ],
)
def test_what_a_turn_draws_on(
    tmp_path: Path, cli: KnownCli, environ: dict[str, str], login: str | None, expected: str | None
) -> None:
    if login is not None:
        (tmp_path / login).parent.mkdir(parents=True)
        (tmp_path / login).write_text("not read")
    given = {name: value.format(home=tmp_path) for name, value in environ.items()} | {"HOME": str(tmp_path)}
    found = draws_on(cli, given)
    assert (found is None) if expected is None else (found is not None and expected in found)


def test_the_environment_is_told_by_name_only() -> None:
    check = judge.environment({"ANTHROPIC_API_KEY": "secret", "GIT_DIR": "/h", "A": "b"}, ("GIT_DIR",))
    assert "ANTHROPIC_API_KEY" in check.says and "secret" not in check.says
    assert "2 variables of the call, without GIT_DIR" in check.says


def test_doctor_starts_nothing_and_makes_nothing(at: At, tmp_path: Path) -> None:
    program(tmp_path / "bin", "claude", "echo crashed >&2; exit 3")
    at.environ["PATH"] = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    document = at("doctor", "--json").document
    checks = {check["name"]: check for check in document["checks"]}
    assert {
        "python",
        "git",
        "daemon",
        "home",
        "disk",
        "terminals",
        "sqlite",
        "environment",
        "settings",
    } <= set(checks)
    assert {cli.name for cli in KNOWN} <= set(checks)
    assert checks["claude"]["verdict"] == "fail" and "crashed" in checks["claude"]["says"]
    assert (document["ok"], at("doctor").code) == (False, 1)
    assert not at.home.root.exists()


def test_doctor_says_which_line_of_the_settings_is_wrong(at: At) -> None:
    at.home.make()
    at.home.config_file.write_text("[general]\nmax_agents = 'many'\n")
    check = next(c for c in at("doctor", "--json").document["checks"] if c["name"] == "settings")
    assert check["verdict"] == "fail" and "config.toml:2" in check["says"]


def test_settings_are_shown_and_set(at: At) -> None:
    assert at("config", "general.default_lane").out == "standard\n"
    assert at("config", "general.default_lane", "critical").code == 0
    one = at("config", "general.default_lane", "--json").document
    assert (one["value"], one["origin"]) == ("critical", f"{at.home.config_file}:2")
    every = at("config", "--json").document["settings"]
    assert {"key": "general.max_agents", "value": 20}.items() <= next(
        row for row in every if row["key"] == "general.max_agents"
    ).items()
    assert at.home.root.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "arguments, code, says",
    [
        (["config", "general.nonsense"], 2, "no such key"),
        (["config", "general.max_agents", "many"], 2, "allowed"),
        (["config", "general.default_lane", "urgent"], 2, "critical"),
    ],
)
def test_a_wrong_setting_is_one_line(at: At, arguments: list[str], code: int, says: str) -> None:
    outcome = at(*arguments, "--json")
    assert outcome.code == code and says in outcome.error["message"]


def test_a_setting_is_taken_out_again(at: At) -> None:
    assert at("config", "general.rig", "none").out == "none\n"
    document = at("config", "general.rig", "--unset", "--json").document
    assert (document["value"], document["origin"]) == (None, "default")
    assert "rig" not in at.home.config_file.read_text()
    assert at("config", "general.rig", "--unset").code == 0


@pytest.mark.parametrize(
    "arguments", [["--unset"], ["general.rig", "x", "--unset"], ["general.nonsense", "--unset"]]
)
def test_what_is_to_be_taken_out_is_one_key(at: At, arguments: list[str]) -> None:
    outcome = at("config", *arguments, "--json")
    assert outcome.code == 2 and outcome.error["hint"]


@pytest.mark.parametrize("change, shown", [(["3"], 3), (["--unset"], 20)])
def test_a_setting_without_effect_says_so(at: At, change: list[str], shown: int) -> None:
    at.environ["AT_GENERAL__MAX_AGENTS"] = "7"
    plain = at("config", "general.max_agents", *change)
    assert (plain.code, plain.out) == (0, "7\n")
    assert plain.err.count("\n") == 1 and "AT_GENERAL__MAX_AGENTS" in plain.err and "no effect" in plain.err
    document = at("config", "general.max_agents", *change, "--json").document
    assert (document["value"], document["overridden_by"]) == (7, "AT_GENERAL__MAX_AGENTS")
    del at.environ["AT_GENERAL__MAX_AGENTS"]
    after = at("config", "general.max_agents", *change, "--json").document
    assert (after["value"], after["overridden_by"], after["trouble"]) == (shown, None, None)


@pytest.mark.parametrize("where", ["file", "variable"])
def test_another_mistake_does_not_hide_that_a_setting_was_written(at: At, where: str) -> None:
    at.home.make()
    if where == "file":
        at.home.config_file.write_text("[ui]\ntheme = 5\n")
    else:
        at.environ["AT_UI__THEME"] = ""
        at.environ["AT_UI__THEMES"] = "dark"
    plain = at("config", "general.max_agents", "3")
    assert (plain.code, plain.out) == (0, "3\n")
    assert plain.err.count("\n") == 1 and "written" in plain.err and "next:" in plain.err
    document = at("config", "general.max_agents", "4", "--json").document
    assert (document["value"], document["origin"]) == (4, str(at.home.config_file))
    assert document["trouble"]["code"] == "config" and document["trouble"]["hint"]
    assert "max_agents = 4" in at.home.config_file.read_text()
    assert at("config", "general.max_agents").code == 2


def test_a_section_and_where_its_values_come_from(at: At) -> None:
    at.environ["AT_GENERAL__MAX_AGENTS"] = "7"
    shown = at("config", "general", "--show-origin").out
    assert "environment variable AT_GENERAL__MAX_AGENTS" in shown and "agents.claude" not in shown


def test_uninstall_lists_and_removes_only_when_told(at: At, place: Path) -> None:
    at.home.make()
    folder = at.home.worktrees / "3f2a9c1e0000" / "cache"
    folder.mkdir(parents=True)
    (folder / "read-only").write_text("x" * 5000)
    folder.chmod(0o500)
    transcripts = (
        place
        / ".claude"
        / "projects"
        / str(at.home.worktrees / "3f2a9c1e0000").replace("/", "-").replace(".", "-").replace("_", "-")
    )
    transcripts.mkdir(parents=True)
    listed = at("uninstall", "--json").document
    assert listed["removed"] is False and folder.exists()
    assert any(entry["bytes"] >= 5000 for entry in listed["entries"])
    assert str(transcripts) in {each["path"] for each in listed["elsewhere"]}
    assert at("uninstall", "--yes").code == 0
    assert not at.home.root.exists() and transcripts.exists()
    assert "nothing is kept" in at("uninstall").out


def test_uninstall_leaves_what_it_did_not_make(at: At) -> None:
    at.home.make()
    (at.home.root / "notes.txt").write_text("mine")
    outcome = at("uninstall", "--yes")
    assert outcome.code == 0 and "notes.txt" in outcome.out
    assert [path.name for path in at.home.root.iterdir()] == ["notes.txt"]


def test_uninstall_leaves_what_others_put_into_its_folders(at: At) -> None:
    at.home.make()
    at.home.lock_file.write_text("1 0.1.0\n")
    theirs = [at.home.logs / "my.txt", at.home.journal / "diary.md", at.home.run / "mine" / "x"]
    theirs[2].parent.mkdir()
    ours = [at.home.logs / "at-daemon.jsonl.1", at.home.journal / "3f2a9c1e0000-1", at.home.environments]
    ours[1].mkdir()
    for path in (*theirs, ours[0]):
        path.write_text("x" * 100)
    document = at("uninstall", "--json").document
    assert {entry["path"] for entry in document["entries"] if not entry["ours"]} == {
        str(path) for path in (*theirs[:2], theirs[2].parent)
    }
    assert next(e for e in document["entries"] if e["path"] == str(at.home.logs))["bytes"] == 100
    outcome = at("uninstall", "--yes")
    assert outcome.code == 0 and str(theirs[0]) in outcome.out
    assert all(path.exists() for path in theirs) and not any(path.exists() for path in ours)


@pytest.mark.parametrize("names", [["logs", "journal"], ["config.toml"], ["run", "cache.db"]])
def test_uninstall_wants_a_sign_that_a_folder_is_its_own(at: At, names: list[str]) -> None:
    for name in names:
        path = at.home.root / name
        path.parent.mkdir(exist_ok=True)
        if "." in name:
            path.write_text("mine")
        else:
            path.mkdir()
            (path / "my.txt").write_text("mine")
    before = sorted(at.home.root.rglob("*"))
    for options in ([], ["--yes"]):
        outcome = at("uninstall", *options, "--json")
        assert (outcome.code, outcome.error["code"]) == (1, "refused")
        assert "nothing in it says" in outcome.error["message"]
    assert sorted(at.home.root.rglob("*")) == before


def test_a_store_is_sign_enough(at: At) -> None:
    at.home.root.mkdir()
    Store.open(at.home.store_file).close()
    assert at("uninstall", "--yes").code == 0
    assert not at.home.root.exists()


def other_program_s_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (x)")


def test_another_program_s_database_is_left_alone(at: At) -> None:
    at.home.make()
    other_program_s_database(at.home.store_file)
    assert at("uninstall", "--yes").code == 0
    assert list(at.home.root.iterdir()) == [at.home.store_file]


@pytest.mark.parametrize("configured_by", ["variable", "file"])
def test_a_store_that_was_moved_goes_too(at: At, tmp_path: Path, configured_by: str) -> None:
    store = tmp_path / "data" / "elsewhere.db"
    store.parent.mkdir()
    (store.parent / "mine.txt").write_text("x")
    Store.open(store).close()
    at.home.make()
    if configured_by == "file":
        at.home.config_file.write_text(f'[cache]\nsqlite_path = "{store}"\n')
    else:
        at.environ["AT_CACHE__SQLITE_PATH"] = str(store)
    listed = at("uninstall")
    assert f"  {store} " in listed.out and f"  {store}.lock " in listed.out
    assert at("uninstall", "--yes").code == 0
    assert [path.name for path in store.parent.iterdir()] == ["mine.txt"] and not at.home.root.exists()


@pytest.mark.parametrize("content", ["another program's", "damaged", "absent"])
def test_what_stands_where_the_store_was_moved_to_and_is_no_store_of_ours(
    at: At, tmp_path: Path, content: str
) -> None:
    store = tmp_path / "elsewhere.db"
    if content == "damaged":
        store.write_text("no database")
    elif content != "absent":
        other_program_s_database(store)
    at.home.make()
    at.environ["AT_CACHE__SQLITE_PATH"] = str(store)
    assert at("uninstall", "--yes").code == 0
    assert store.exists() == (content != "absent") and not at.home.root.exists()


def test_settings_that_cannot_be_read_do_not_keep_the_rest(at: At) -> None:
    at.home.make()
    at.home.config_file.write_text("[cache\n")
    assert at("uninstall", "--yes").code == 0
    assert not at.home.root.exists()


@pytest.mark.parametrize("trap", ["home", "above", "repository"])
def test_uninstall_refuses_a_folder_that_is_more_than_ours(at: At, place: Path, trap: str) -> None:
    root = {"home": place, "above": place.parent, "repository": place / "repo"}[trap]
    (root / ".git").mkdir(parents=True) if trap == "repository" else None
    at.environ["AT_HOME"] = str(root)
    outcome = at("uninstall", "--yes", "--json")
    assert outcome.code == 1 and outcome.error["code"] == "refused"
    assert root.exists()


def test_elsewhere_names_what_each_program_keeps(tmp_path: Path) -> None:
    (tmp_path / ".codex" / "sessions").mkdir(parents=True)
    (tmp_path / ".gemini" / "tmp").mkdir(parents=True)
    owners = [place.owner for place in elsewhere(Home(tmp_path / "at"), {"HOME": str(tmp_path)})]
    assert owners == ["codex", "gemini", "git"]


def test_the_log_of_a_daemon_that_does_not_run(at: At) -> None:
    at.home.make()
    lines = [
        {
            "time": "2026-11-22T10:00:00Z",
            "level": "error",
            "message": "full\x1b",
            "exception": "Traceback\n  x",
        }
    ]
    (at.home.logs / "at-daemon.jsonl").write_text(json.dumps(lines[0]) + "\ncut sho")
    assert at("logs", "daemon").out == ("2026-11-22T10:00:00Z error full\\x1b\n  Traceback\n    x\ncut sho\n")
    assert [json.loads(line) for line in at("logs", "daemon", "--json").out.splitlines()][0] == lines[0]
    assert "tail -f" in at("logs", "daemon", "-f").err
    assert not at.home.socket.exists()


def test_down_without_a_daemon_starts_none(at: At) -> None:
    assert at("down", "--json").document == {"was_running": False, "killed": False, "stopped": []}
    assert not at.home.root.exists()


def test_down_waits_for_the_end_of_the_process(at: At, daemon: FakeDaemon) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        daemon.answers["health"] = {"ok": True, "pid": process.pid, "version": "0.1.0", "protocol": 1}

        def answer(_seen: object) -> dict[str, object]:
            assert process.stdin is not None
            process.stdin.close()
            return {"stopped": ["furiosa"]}

        daemon.answers["down"] = answer
        outcome = at("down")
        assert os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    assert outcome.code == 0
    assert outcome.out.splitlines()[:2] == ["stopped furiosa", "the daemon has ended"]


@pytest.mark.parametrize(
    "ours, theirs",
    [
        (words.BEAD_STATUSES, [status.value for status in types.BeadStatus]),
        (list(words.GLYPHS.items()), [(status.value, status.glyph()) for status in types.AgentStatus]),
        (LANES, [lane.value for lane in types.Lane]),
        (sorted((*CLIS, "other")), sorted(cli.value.replace("_", "") for cli in types.CliType)),
    ],
)
def test_the_words_of_the_wire_are_those_of_the_types(ours: Sequence[object], theirs: list[object]) -> None:
    assert list(ours) == theirs
