"""The repository's file says gates, worktree, target and landing, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from at_core.errors import ConfigError
from at_core.repo_settings import DEFAULT_TIMEOUT_SECONDS, Gate, RepoSettings, Worktree, content_hash, parse

RIGHT = {
    "empty": ("", RepoSettings()),
    "short gate": ('[gates]\ntest = "make test"', RepoSettings(gates=(Gate("test", "make test", 1800),))),
    "long gate": (
        '[gates.test]\nrun = "make test"\ntimeout_seconds = 60',
        RepoSettings(gates=(Gate("test", "make test", 60),)),
    ),
    "both, in their order": (
        '[gates]\nlint = "ruff ."\nunit = { run = "pytest" }\n[gates."e2e.1"]\nrun = "x"\ntimeout_seconds = 5',
        RepoSettings(gates=(Gate("lint", "ruff ."), Gate("unit", "pytest"), Gate("e2e.1", "x", 5))),
    ),
    "target and landing": (
        'target = "release/1.0"\nlanding = "auto"',
        RepoSettings(target="release/1.0", landing="auto"),
    ),
    "worktree": (
        '[worktree]\nsetup = ["npm ci", "make deps"]\nrun = "true"\nteardown = []',
        RepoSettings(worktree=Worktree(("npm ci", "make deps"), ("true",), (), DEFAULT_TIMEOUT_SECONDS)),
    ),
    "warm folders": ("[worktree]\nwarm = 3", RepoSettings(worktree=Worktree(warm=3))),
    "worktree with a limit": (
        '[worktree]\nsetup = "x"\ntimeout_seconds = 60',
        RepoSettings(worktree=Worktree(("x",), timeout_seconds=60)),
    ),
    "shell characters": (
        "[gates]\na = 'x && y | z; \"q\"'",
        RepoSettings(gates=(Gate("a", 'x && y | z; "q"'),)),
    ),
}


@pytest.mark.parametrize("case", RIGHT)
def test_what_it_may_say(case: str) -> None:
    text, settings = RIGHT[case]
    assert parse(text) == settings


WRONG = {
    "agents": ('[agents.claude]\nallow = "all"', ":1: agents: a repository cannot set this; it belongs in your own config.toml; allowed: target, landing, gates, worktree"),
    "security": ("\n[security]\ntool_firewall = false", ":2: security: a repository cannot set this"),
    "environment": ('[environment]\nPATH = "x"', ":1: environment: a repository cannot set this"),
    "misspelt": ("[gate]\na = 'x'", ":1: gate: there is no such key; nearest is gates; allowed: "),
    "unknown": ("zzz = 1", ":1: zzz: there is no such key; allowed: target, landing, gates, worktree"),
    "landing": ('landing = "yes"', ':1: landing: "yes" is not allowed; allowed: "manual" | "auto"'),
    "landing type": ("landing = true", ":1: landing: true is not allowed"),
    "target option": ('target = "--upload-pack=x"', ":1: target: \"--upload-pack=x\" is not allowed; allowed: the name of a branch"),
    "target up": ('target = "a/../b"', ":1: target: "),
    "target lock": ('target = "a.lock"', ":1: target: "),
    "target reflog": ('target = "a@{1}"', ":1: target: "),
    "gates": ("gates = 3", ":1: gates: 3 is not allowed; allowed: a table: [gates]"),
    "gate list": ("[gates]\na = ['x']", ":2: gates.a: [\"x\"] is not allowed; allowed: a command line, not empty"),
    "gate empty": ("[gates]\na = ' '", ":2: gates.a: "),
    "gate NUL": ('[gates]\na = "x\\u0000y"', ":2: gates.a: "),
    "gate name": ('[gates]\n"a b" = "x"', ":2: gates.a b: \"a b\" is no name for a gate; allowed: letters"),
    "gate name path": ('[gates]\n"../x" = "x"', ":2: gates.../x: "),
    "gate name option": ('[gates]\n-x = "x"', ":2: gates.-x: "),
    "gate name long": (f'[gates]\n{"a" * 41} = "x"', ":2: gates.aaaa"),
    "gate without run": ("[gates.a]\ntimeout_seconds = 5", ":1: gates.a: says no command; allowed: run = \"COMMAND\""),
    "gate key": ('[gates.a]\nrun = "x"\ntimeout = 5', ":3: gates.a.timeout: there is no such key; nearest is timeout_seconds; allowed: run, timeout_seconds"),
    "gate time": ('[gates.a]\nrun = "x"\ntimeout_seconds = 0', ":3: gates.a.timeout_seconds: 0 is not allowed; allowed: a whole number from 1 to 86400"),
    "too many gates": ("[gates]\n" + "".join(f"g{n} = 'x'\n" for n in range(33)), ":1: gates: there are 33 gates; allowed: at most 32"),
    "worktree key": ("[worktree]\nset_up = 'x'", ":2: worktree.set_up: there is no such key; nearest is setup"),
    "worktree time": ('[worktree]\ntimeout_seconds = "5"', ':2: worktree.timeout_seconds: "5" is not allowed; allowed: a whole number from 1 to 86400'),
    "too many warm folders": ("[worktree]\nwarm = 9", ":2: worktree.warm: 9 is not allowed; allowed: a whole number from 0 to 8"),
    "warm folders in words": ("[worktree]\nwarm = true", ":2: worktree.warm: true is not allowed; allowed: a whole number from 0 to 8"),
    "too many commands": (f"[worktree]\nrun = {['x'] * 33}", ":2: worktree.run: "),
    "worktree value": ("[worktree]\nsetup = [1]", ":2: worktree.setup: [1] is not allowed; allowed: a command line or a list of them"),
    "several": ("landing = 1\ntarget = 2\nzzz = 3", ":1: landing: 1 is not allowed; allowed: \"manual\" | \"auto\" (and 2 more mistakes)"),
    "not TOML": ("[gates\n", ":1: column 7 is not TOML: "),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_told_with_its_line(case: str) -> None:
    text, message = WRONG[case]
    with pytest.raises(ConfigError) as told:
        parse(text, "/src/shop/.auto-tundra.toml")
    assert told.value.message.startswith(f"/src/shop/.auto-tundra.toml{message}")
    assert told.value.message.isprintable()
    assert told.value.hint


def test_a_gate_without_a_limit_has_the_person_s() -> None:
    text = '[gates]\na = "x"\n[gates.b]\nrun = "y"'
    assert {gate.timeout_seconds for gate in parse(text).gates} == {DEFAULT_TIMEOUT_SECONDS}
    assert {gate.timeout_seconds for gate in parse(text, timeout_seconds=7).gates} == {7}


@given(st.binary(), st.binary())
def test_the_hash_names_the_content(one: bytes, other: bytes) -> None:
    assert (content_hash(one) == content_hash(other)) is (one == other)


@given(st.text(max_size=80))
def test_whatever_it_holds_the_answer_is_settings_or_one_line(text: str) -> None:
    answer = outcome(text)
    assert isinstance(answer, RepoSettings) or answer.message.isprintable()


def outcome(text: str) -> RepoSettings | ConfigError:
    """What parsing it gives."""
    try:
        return parse(text)
    except ConfigError as error:
        return error
