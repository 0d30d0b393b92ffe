"""Manifests of further CLIs: what they hold, and the one line that a wrong one gets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from at_session.errors import LaunchRefused, ManifestError
from at_session.manifest import MAX_BYTES, PermissionMode, driver_of, line_of, load, read_folder
from at_session.vocabulary import Allow

WHOLE = """\
name = "goose.2"
binary = "~/bin/goose"
arguments = ["acp", "--home={private}"]
protocol = "acp"
login_hint = "run `goose configure`"
draws_on = "the provider of goose"
timeout_seconds = 300
allow = "ask"
budget_day_usd = 2
budget_day_tokens = 1_000_000
unreported = ["requests of inner agents"]

[environment]
GOOSE_TELEMETRY = "off"

[permission_modes]
ask = "approve"
all = {mode = "auto", arguments = ["--yes"], environment = {GOOSE_MODE = "auto"}}

[dialect]
command_marks = ["/", "!"]
replays_late = true
"""
LEAST = 'binary = "goose"\nprotocol = "acp"\n'
MODES = '[permission_modes]\nask = "approve"\n'
DEMO = 'binary = "goose"\nprotocol = "demo"\n'
NAMES = "letters, digits, `.`, `_`, `-`, at most 40"
TOP = (
    "name, binary, arguments, environment, permission_modes, dialect, login_hint, draws_on, unreported, "
    "timeout_seconds, allow, budget_day_usd, budget_day_tokens, protocol"
)
PROGRAM = "the name of a program on PATH, or a path that begins with / or ~/"
VARIABLE = "letters, digits and _, not beginning with AT_"


def write(folder: Path, text: str, name: str = "goose") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_key_arrives(tmp_path: Path) -> None:
    found = load(write(tmp_path, WHOLE, "other-name-of-the-file"))
    assert (found.name, found.binary, found.protocol) == ("goose.2", "~/bin/goose", "acp")
    assert found.arguments == ("acp", "--home={private}")
    assert found.environment == {"GOOSE_TELEMETRY": "off"}
    assert found.permission_modes == {
        Allow.ASK: PermissionMode("approve"),
        Allow.ALL: PermissionMode("auto", ("--yes",), {"GOOSE_MODE": "auto"}),
    }
    assert (found.allow, found.timeout_seconds) == (Allow.ASK, 300)
    assert (found.budget_day_usd, found.budget_day_tokens) == (2, 1_000_000)
    assert (found.command_marks, found.replays_late) == (("/", "!"), True)
    capabilities = driver_of(found).capabilities
    assert capabilities.login_hint == "run `goose configure`"
    assert capabilities.draws_on == "the provider of goose"
    assert capabilities.unreported == ("cost", "requests", "requests of inner agents")


@pytest.mark.parametrize(
    ("text", "allow", "modes"),
    [
        (f"{LEAST}{MODES}", Allow.ASK, [Allow.ASK]),
        (f'{LEAST}{MODES}edits = "e"\n', Allow.EDITS, [Allow.ASK, Allow.EDITS]),
        (f'{LEAST}allow = "all"\n[permission_modes]\nall = "yolo"\n', Allow.ALL, [Allow.ALL]),
        (DEMO, Allow.EDITS, list(Allow)),
        (f"{DEMO}[permission_modes]\nask = {{}}\n", Allow.ASK, [Allow.ASK]),
    ],
)
def test_what_is_left_out_is_the_careful_choice(
    tmp_path: Path, text: str, allow: Allow, modes: list[Allow]
) -> None:
    found = load(write(tmp_path, text))
    assert (found.name, found.allow, list(found.permission_modes)) == ("goose", allow, modes)
    assert found.login_hint == "run `goose` and log in"
    assert found.draws_on == "whatever `goose` is logged in to"


BAD = {
    "not TOML": ("binary = \n", 1, "is not TOML: Invalid value"),
    "cut": ('binary = "x', 1, 'is not TOML: Unterminated string'),
    "nothing": ("", 0, f"binary: it is missing; allowed: {PROGRAM} (and 1 more mistake)"),
    "no such key": (f"{LEAST}args = []\n{MODES}", 3, f"args: there is no such key; allowed: {TOP}"),
    "our name": (f'name = "Claude"\n{LEAST}{MODES}', 1, "name: 'Claude' is a name of ours; allowed: any other name"),
    "no name": (f'{LEAST}name = "../x"\n{MODES}', 3, f"name: '../x' is no name for a CLI; allowed: {NAMES}"),
    "long name": (f'{LEAST}name = "{"x" * 41}"\n{MODES}', 3, f"name: '{'x' * 41}' is no name for a CLI; allowed: {NAMES}"),
    "number for a text": (f"{LEAST}name = 3\n{MODES}", 3, "name: 3 is not allowed; allowed: a text of one line"),
    "no program": (f'binary = ""\nprotocol = "acp"\n{MODES}', 1, f"binary: '' is not allowed; allowed: {PROGRAM}"),
    "program beside": (f'binary = "./x"\nprotocol = "acp"\n{MODES}', 1, f"binary: './x' is not allowed; allowed: {PROGRAM}"),
    "arguments in one text": (f'{LEAST}arguments = "acp"\n{MODES}', 3, "arguments: 'acp' is not allowed; allowed: a list of texts"),
    "argument with a zero": (f'{LEAST}arguments = [\n"a",\n"\\u0000"]\n{MODES}', 3,
                             "arguments: ['a', '\\x00'] is not allowed; allowed: a list of texts"),
    "protocol": (f'binary = "x"\nprotocol = "lsp"\n{MODES}', 2,
                 'protocol: \'lsp\' is not allowed; allowed: "acp" | "demo" | "claude-stream-json" | "codex-app-server"'),
    "no modes": (LEAST, 0, "permission_modes: no permission mode is named, so none could be used; allowed: ask, edits, all"),
    "empty modes": (f"{DEMO}[permission_modes]\n", 3,
                    "permission_modes: no permission mode is named, so none could be used; allowed: ask, edits, all"),
    "mode of ours": (f'{LEAST}{MODES}yolo = "x"\n', 5, "permission_modes.yolo: there is no such permission mode; allowed: ask, edits, all"),
    "mode is a number": (f"{LEAST}[permission_modes]\nask = 1\n", 4,
                         "permission_modes.ask: 1 is not allowed; allowed: the id of a mode, or a table"),
    "mode id without acp": (f'{DEMO}[permission_modes]\nask = "x"\n', 4, "permission_modes.ask: 'x' is not allowed; allowed: a table"),
    "mode in a table without acp": (f'{DEMO}[permission_modes.ask]\nmode = "x"\n', 4,
                                    "permission_modes.ask.mode: only the protocol acp has modes by id; allowed: arguments, environment"),
    "key of a mode": (f"{LEAST}[permission_modes.ask]\n\nargs = []\n", 5,
                      "permission_modes.ask.args: there is no such key; allowed: mode, arguments, environment"),
    "default that is not named": (f'{LEAST}allow = "edits"\n{MODES}', 3,
                                  "allow: 'edits' is not among the permission modes that are named; allowed: ask"),
    "everything unsaid": (f'{LEAST}[permission_modes]\nall = "x"\n', 0,
                          'allow: it has to be said that everything is allowed where nothing is asked for; allowed: "all"'),
    "variable": (f'{LEAST}{MODES}[environment]\n"A=B" = "x"\n', 6,
                 f"environment.A=B: it is no name for a variable of a CLI; allowed: {VARIABLE}"),
    "our variable": (f'{LEAST}{MODES}[environment]\nAT_HOME = "x"\n', 6,
                     f"environment.AT_HOME: it is no name for a variable of a CLI; allowed: {VARIABLE}"),
    "value is a number": (f"{LEAST}{MODES}[environment]\nPORT = 1\n", 6, "environment.PORT: 1 is not allowed; allowed: a text"),
    "seconds": (f"{LEAST}timeout_seconds = 0\n{MODES}", 3, "timeout_seconds: 0 is not allowed; allowed: a whole number from 1 to 604800"),
    "dollars": (f"{LEAST}budget_day_usd = -1\n{MODES}", 3, "budget_day_usd: -1 is not allowed; allowed: a number from 0 to 1000000"),
    "not a number": (f"{LEAST}budget_day_usd = nan\n{MODES}", 3, "budget_day_usd: nan is not allowed; allowed: a number from 0 to 1000000"),
    "tokens": (f"{LEAST}budget_day_tokens = true\n{MODES}", 3,
               "budget_day_tokens: true is not allowed; allowed: a whole number from 0 to 1000000000000"),
    "dialect without acp": (f"{DEMO}[dialect]\n", 3, "dialect: only the protocol acp has dialects; allowed: leave it out"),
    "dialect": (f"{LEAST}{MODES}[dialect]\nreplays_late = 1\n", 6, "dialect.replays_late: 1 is not allowed; allowed: true | false"),
    "two": (f"{LEAST}timeout_seconds = 0\nallow = 3\n{MODES}", 3,
            "timeout_seconds: 0 is not allowed; allowed: a whole number from 1 to 604800 (and 1 more mistake)"),
    "words that act on a terminal": (f'{LEAST}"\\u001b[2J" = 1\n{MODES}', 0,
                                     f"\N{REPLACEMENT CHARACTER}[2J: there is no such key; allowed: {TOP}"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_one_line_with_its_place(tmp_path: Path, case: str) -> None:
    text, line, told = BAD[case]
    path = write(tmp_path, text)
    with pytest.raises(ManifestError) as caught:
        load(path)
    place = f"{path}:{line}" if line else str(path)
    assert str(caught.value) == f"{place}: {told}"
    assert (caught.value.line, "\n" in str(caught.value)) == (line, False)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: path.mkdir(), "is no regular file"),
        (lambda path: path.write_bytes(b"x" * (MAX_BYTES + 1)), f"has {MAX_BYTES + 1} bytes; at most"),
        (lambda path: path.write_bytes(b'\nname = "\xff"'), "is not UTF-8 (byte 0xff)"),
        (lambda path: path.symlink_to("nowhere"), "cannot be read: No such file or directory"),
        (lambda path: os.mkfifo(path), "is no regular file"),
    ],
    ids=["folder", "large", "bytes", "link", "pipe"],
)
def test_what_is_no_file_of_text_is_told(tmp_path: Path, make: object, told: str) -> None:
    path = tmp_path / "odd.toml"
    make(path)  # type: ignore[operator]  # a function of the path
    with pytest.raises(ManifestError) as caught:
        load(path)
    assert told in str(caught.value)


def test_a_broken_one_keeps_no_other_from_being_used(tmp_path: Path) -> None:
    write(tmp_path, f"{LEAST}{MODES}", "a")
    write(tmp_path, f'name = "a"\n{LEAST}{MODES}', "b")
    write(tmp_path, "x", "c")
    write(tmp_path, "x", ".hidden")
    (tmp_path / "notes.md").write_text("x")
    folder = read_folder(tmp_path)
    assert (list(folder.found), list(folder.broken)) == (["a"], ["b", "c"])
    assert str(folder.broken["b"]).endswith(f"name: 'a' is declared in {tmp_path / 'a.toml'} already")
    assert read_folder(tmp_path / "missing").found == {}


def test_a_mode_that_is_not_named_is_refused(tmp_path: Path) -> None:
    manifest = load(write(tmp_path, f"{LEAST}{MODES}"))
    with pytest.raises(LaunchRefused) as caught:
        manifest.mode(Allow.ALL)
    wanted = "goose cannot be started: its manifest names no permission mode 'all'; there are ask"
    assert str(caught.value) == wanted


@given(
    before=st.lists(
        st.sampled_from(["", "# wanted", 'a = "wanted"', 'b = """\nwanted = 1\n"""']), unique=True
    )
)
def test_an_entry_is_found_behind_whatever_looks_like_it(before: list[str]) -> None:
    text = "".join(f"{each}\n" for each in before)
    assert line_of(f"{text}wanted = 1\n", "wanted") == text.count("\n") + 1
    assert line_of(text, "wanted") == 0
