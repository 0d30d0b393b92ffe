"""CLIs of manifests on the command line: `--cli` and its completion, `at doctor`, `at config`, the demo agent's ACP."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from at_cli.completion_scripts import candidates
from at_cli.face import Face
from at_cli.group import at as group
from at_cli.streams import Streams
from at_cli.testing import At, FakeDaemon
from at_core.paths import Home

MANIFEST = 'binary = "{binary}"\nprotocol = "acp"\ndraws_on = "a tank"\n[permission_modes]\nask = "ask"\n'


@pytest.fixture
def declared(home: Home, tmp_path: Path) -> Home:
    """A home with manifests of a program that is there, one that is not, and a broken one."""
    program = tmp_path / "goose"
    program.write_text("#!/bin/sh\n[ $1 = --version ] && echo goose 1.2.3\n")
    program.chmod(0o755)
    home.make()
    (home.clis / "goose.toml").write_text(MANIFEST.format(binary=program))
    (home.clis / "gander.toml").write_text(MANIFEST.format(binary="no-such-program"))
    (home.clis / "odd.toml").write_text("binary = 1\n")
    return home


def test_a_declared_cli_is_taken(at: At, daemon: FakeDaemon, declared: Home) -> None:
    assert at("run", "do it", "--cli", "goose").code == 0
    run = daemon.last("run").body
    assert run is not None and run["order"]["cli"] == "goose"
    assert at("hook", "do it", "wren", "--cli", "goose").code == 0
    hook = daemon.last("hook").body
    assert hook is not None and hook["cli"] == "goose"


@pytest.mark.parametrize(
    ("word", "code", "told"),
    [
        (
            "clod",
            "usage",
            "'clod' is not one of 'claude', 'codex', 'gemini', 'opencode', 'demo', 'gander', 'goose'.",
        ),
        ("", "usage", "'' is not one of 'claude'"),
        ("\x1b[2J", "usage", "is not one of 'claude'"),
        ("odd", "config", "odd.toml:1: binary: 1 is not allowed; allowed: the name of a program on PATH"),
    ],
)
def test_another_is_refused_in_one_line(at: At, declared: Home, word: str, code: str, told: str) -> None:
    outcome = at("run", "do it", "--cli", word, "--json")
    assert (outcome.code, outcome.out, outcome.error["code"]) == (2, "", code)
    assert told in outcome.error["message"] and "\x1b" not in outcome.err


def test_declared_clis_complete(at: At, declared: Home) -> None:
    face = Face(Streams.of_process(), at.environ)
    found = candidates(group, ["run", "P", "--cli", "g"], 4, face)
    assert [each.value for each in found] == ["gemini", "gander", "goose"]


def test_doctor_lists_each_with_its_program_and_its_trouble(at: At, declared: Home) -> None:
    checks = {each["name"]: each for each in at("doctor", "--json").document["checks"]}
    goose, gander, odd = checks["goose"], checks["gander"], checks["odd"]
    assert goose["verdict"] == "ok"
    assert goose["says"].startswith("1.2.3, ")
    assert goose["says"].endswith(f"{declared.clis}/goose.toml (acp; ask); draws on a tank")
    assert (gander["verdict"], gander["fix"]) == ("warn", "install it, or correct the manifest's binary")
    assert "there is no program 'no-such-program' on your PATH" in gander["says"]
    assert (odd["verdict"], odd["fix"]) == ("warn", "correct the manifest")
    assert odd["says"].startswith(f"{declared.clis}/odd.toml:1: binary: ")


def test_config_lists_them_beside_the_settings(at: At, declared: Home) -> None:
    listed = {each["name"]: each["trouble"] for each in at("config", "--json").document["manifests"]}
    assert (list(listed), listed["goose"]) == (["gander", "goose", "odd"], None)
    assert f"{declared.clis}/goose.toml" in at("config").out
    assert "manifests" not in at("config", "general", "--json").document


@pytest.mark.parametrize("words", [["--acp"], ["--state-dir", "x"], ["--acp", "--state-dir", "x", "--keep"]])
def test_the_demo_agent_needs_both_of_its_options(at: At, words: list[str]) -> None:
    outcome = at("demo", *words, "--json")
    assert (outcome.code, outcome.error["code"]) == (2, "usage")


def test_at_demo_is_the_demo_agent_for_a_client(tmp_path: Path) -> None:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": 1}}
    done = subprocess.run(
        [sys.executable, "-m", "at_cli", "demo", "--acp", "--state-dir", str(tmp_path)],
        input=json.dumps(asked) + "\n",
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["result"]["agentInfo"]["name"] == "demo"
