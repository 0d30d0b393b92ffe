"""Completion: what completes, and that bash, zsh and fish themselves load their script and complete with it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from at_cli.completion_scripts import SCRIPTS, candidates
from at_cli.face import Face
from at_cli.group import at as group
from at_cli.streams import Streams
from at_cli.testing import BEAD, At, FakeDaemon

TITLE = "Fix the flaky test"
EXECUTABLE = """\
#!/bin/sh
if [ -n "$_AT_COMPLETE" ] || [ "$1" = completion ]; then exec {python} -m at_cli "$@"; fi
printf '<%s>' "$@"
echo ENTERED
"""
"""Completes and prints scripts as the product does; else it says which arguments a shell gave it."""


def needs(shell: str) -> None:
    """Skip where the shell is missing."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")


@pytest.fixture
def shell(at: At, tmp_path: Path) -> dict[str, str]:
    """An environment in which a shell finds `at`."""
    (tmp_path / "bin").mkdir()
    executable = tmp_path / "bin" / "at"
    executable.write_text(EXECUTABLE.format(python=sys.executable))
    executable.chmod(0o755)
    return at.environ | {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "TERM": "xterm"}


def run(shell: dict[str, str], *words: str, **more: str) -> str:
    """Output of a program that must succeed without a word on stderr."""
    done = subprocess.run(words, env=shell | more, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


COMPLETES = [
    (["sho"], ["show"]),
    (["assi"], []),
    (["show", ""], ["3f2a9c1e"]),
    (["show", "3f"], ["3f2a9c1e"]),
    (["show", "Fix t"], [TITLE]),
    (["show", "fix"], []),
    (["diff", "--stat", "Fix"], [TITLE]),
    (["nudge", "fur"], ["furiosa"]),
    (["approve", "8c11d2f0", "8c"], ["8c11d2f0"]),
    (["rules", "rem"], ["remove"]),
    (["rules", "remove", "5d"], ["5d0c77e1"]),
    (["nudge", "Fix"], []),
    (["explain", "fur"], ["furiosa"]),
    (["explain", "Fix"], [TITLE]),
    (["explain", ""], ["furiosa", "3f2a9c1e"]),
    (["logs", "3f2a"], ["3f2a9c1e"]),
    (["logs", "daem"], ["daemon"]),
    (["approve", "8"], ["8c11d2f0"]),
    (["add", "T", "-l", "c"], ["critical"]),
    (["run", "P", "--cli", "=", "cod"], ["codex"]),
    (["ls", "--sta"], ["--status", "--stale"]),
    (["config", "general.max_a"], ["general.max_agents"]),
    (["config", "agents.claude.a"], ["agents.claude.args", "agents.claude.allow"]),
    (["config", "general.default_lane", "s"], ["standard"]),
    (["config", "bridge.kafka_enabled", ""], ["true", "false"]),
    (["config", "general.max_agents", ""], []),
    (["config", "nonsense", ""], []),
]


@pytest.mark.parametrize("words, expected", COMPLETES)
def test_what_completes(at: At, daemon: FakeDaemon, words: list[str], expected: list[str]) -> None:
    face = Face(Streams.of_process(), at.environ)
    assert [item.value for item in candidates(group, words, len(words), face)] == expected


@pytest.mark.parametrize("title", ["\x1b[31mred", "two\nlines", "-rf", "tab\there", "bidi \u202e"])
def test_a_title_that_would_act_on_the_terminal_or_is_an_option_completes_by_id_only(
    at: At, daemon: FakeDaemon, title: str
) -> None:
    daemon.answers["beads"] = {"beads": [{**BEAD, "title": title}]}
    face = Face(Streams.of_process(), at.environ)
    assert title not in [item.value for item in candidates(group, ["show", title[:1]], 2, face)]
    (item,) = candidates(group, ["show", "3f"], 2, face)
    assert item.value == "3f2a9c1e" and (item.help or "").isprintable()


def test_keys_complete_although_the_settings_are_wrong(at: At) -> None:
    at.home.make()
    at.home.config_file.write_text("[general\n")
    face = Face(Streams.of_process(), at.environ)
    assert [item.value for item in candidates(group, ["config", "ui.th"], 2, face)] == ["ui.theme"]


def test_completion_starts_no_daemon(at: At, shell: dict[str, str]) -> None:
    assert run(shell, sys.executable, "-m", "at_cli", "show", "", _AT_COMPLETE="2") == ""
    assert not at.home.root.exists()


BASH = r"""
set -eu
eval "$(at completion bash)"
for line; do
    eval "COMP_WORDS=($line)"
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _at_complete at
    printf '%s\n' "${COMPREPLY[@]:-}"
done
complete -p at auto-tundra
"""


def test_bash_completes(shell: dict[str, str], daemon: FakeDaemon) -> None:
    """One shell for all lines; the words of each are those that readline would give."""
    lines = {
        "at sho": "show",
        "at show ''": "3f2a9c1e",
        r"at show 'Fix\ t'": r"Fix\ the\ flaky\ test",
        "at show '\"Fix t'": TITLE,
        "at run P --cli = cod": "codex",
    }
    out = run(shell, "bash", "-c", BASH, "bash", *lines).splitlines()
    assert dict(zip(lines, out, strict=False)) == lines
    assert [line.rpartition("-F ")[2] for line in out[-2:]] == ["_at_complete at", "_at_complete auto-tundra"]


def test_fish_completes(shell: dict[str, str], daemon: FakeDaemon) -> None:
    needs("fish")
    lines = {
        "at sho": "show\tone work item with its evidence",
        "at show ": f"3f2a9c1e\t{TITLE}",
        "at show Fix": f"{TITLE}\treview",
        r"at show Fix\ t": f"{TITLE}\treview",
        'at show "Fix t': f"{TITLE}\treview",
        "at add T -l c": "critical",
        "at run P --cli co": "codex",
    }
    script = "at completion fish | source; for line in $argv; complete -C $line; end"
    out = run(shell, "fish", "--no-config", "-c", script, *lines).splitlines()
    assert dict(zip(lines, out, strict=True)) == lines


TYPE_IN = r"""
zmodload zsh/zpty
zpty terminal "$1"
zpty -w terminal "$2; print_ready"
zpty -r -m terminal out '*READY*'
for line in "${@:3}"; do
    zpty -w -n terminal "$line"$'\t\n'
    zpty -r -m terminal out '*ENTERED*'
    print -r -- "$out"
done
"""
"""A person at a terminal: a shell is started, prepared and given lines, each followed by the keys Tab and Enter."""
PREPARE = {
    "zsh": "unsetopt beep; autoload -U compinit; compinit -D; print_ready() { print READ''Y }",
    "bash": "print_ready() { echo READ''Y; }",
}


@pytest.mark.parametrize("name, start", [("zsh", "zsh -f -i"), ("bash", "bash --norc --noprofile -i")])
def test_a_person_at_a_terminal_completes(
    shell: dict[str, str], daemon: FakeDaemon, name: str, start: str
) -> None:
    needs("zsh")  # for its pseudo-terminals, whichever shell runs in them
    lines = {
        "at sho": "<show>",
        "at show Fix": f"<show><{TITLE}>",
        r"at show Fix\ t": f"<show><{TITLE}>",
        'at show "Fix t': f"<show><{TITLE}>",
        "at nudge fu": "<nudge><furiosa>",
        "at add T -l cr": "<add><T><-l><critical>",
    }
    prepared = f'{PREPARE[name]}; eval "$(at completion {name})"'
    out = run(shell, "zsh", "-f", "-c", TYPE_IN, "zsh", start, prepared, *lines)
    assert re.findall(r"((?:<[^>]*>)+)ENTERED", out) == list(lines.values())


def test_zsh_lists_words_without_help_plainly(shell: dict[str, str], daemon: FakeDaemon) -> None:
    needs("zsh")
    prepared = f'{PREPARE["zsh"]}; eval "$(at completion zsh)"'
    out = run(shell, "zsh", "-f", "-c", TYPE_IN, "zsh", "zsh -f -i", prepared, "at add T -l ")
    assert all(lane in out for lane in ("experimental", "standard", "critical"))
    assert not re.search(r"(standard|critical|experimental) +--", out)


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_script_loads(shell: dict[str, str], name: str) -> None:
    needs(name)
    load = {"bash": "set -eu; ", "zsh": "autoload -U compinit; compinit -D; ", "fish": ""}[name]
    assert run(shell, name, "-c", load + SCRIPTS[name]) == ""
