"""A file or variable that cannot be used is told in one line that says where, what, what is allowed, what to do."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from at_core.config import Config, ConfigError

WRONG = {
    "type": ("[general]\nmax_agents = 'many'", ":2: general.max_agents: \"many\" is not allowed; allowed: a whole number"),
    "float": ("[general]\nmax_agents = 2.0", ":2: general.max_agents: 2.0 is not allowed"),
    "true for a number": ("[general]\nmax_agents = true", ":2: general.max_agents: true is not allowed"),
    "range": ("# x\n\n[general]\n# y\nmax_agents = 0", ":5: general.max_agents: 0 is not allowed; allowed: a whole number from 1 to 1000"),
    "choice": ("general.default_lane = 'fast'", ':1: general.default_lane: "fast" is not allowed; allowed: "experimental" | "standard" | "critical"'),
    "empty": ("[ui]\ntheme = ''", ':2: ui.theme: "" is not allowed; allowed: a text, not empty'),
    "date": ("[ui]\ntheme = 2026-01-01", ":2: ui.theme: 2026-01-01 is not allowed"),
    "table for a value": ("[ui.theme]\nx = 1", ":1: ui.theme: "),
    "value for a table": ("general = 3", ":1: general: 3 is not allowed; allowed: a table of settings"),
    "list of numbers": ("[agents.claude]\nargs = [\n  1,\n  2,\n]", ":2: agents.claude.args: [1, 2] is not allowed; allowed: a list of texts"),
    "inside a list": ("[[agents]]\nx = 1", ":1: agents: "),
    "unknown key": ("[daemon]\npatrol_intervall_seconds = 5", ":2: daemon.patrol_intervall_seconds: there is no such key, the nearest is daemon.patrol_interval_seconds"),
    "key of another section": ("[general]\ntheme = 'x'", ":2: general.theme: there is no such key, the nearest is ui.theme"),
    "unknown agent": ("[agents.clade]\nbinary = 'x'", ":1: agents.clade: there is no such key, the nearest is agents.claude"),
    "unknown section": ("\nfrobnicate = 3", ":2: frobnicate: there is no such key; allowed: agents, bridge, budget, cache"),
    "not TOML": ("[general]\nrig =\n", ":2: column 6 is not TOML: "),
    "not closed": ("a = 1\n[general", ":2: column 9 is not TOML: "),
    "twice": ("[ui]\n[ui]\n", ":2: column 4 is not TOML: "),
    "control character": ("[ui]\ntheme = '\x1b[31m'", ":2: column 10 is not TOML: "),
    "escape in a value": ('[ui]\nrefresh_interval_ms = "\\u001b[31m\\u202e"', ":2: ui.refresh_interval_ms: "),
    "escape in a key": ('[general]\n"a\\u001b\\n" = 1', ":2: general.a\\x1b\\n: there is no such key"),
    "huge number": ("[general]\nmax_agents = 99999999999999999999999", ":2: general.max_agents: 9999"),
    "deep": ("a = " + "[" * 3000, ""),
}  # fmt: skip


NOBODY = 65534


def told(file: Path, environment: dict[str, str] | None = None) -> ConfigError:
    """The error, which is one line that acts on no terminal."""
    with pytest.raises(ConfigError) as caught:
        Config.load_from(file, {"AT_HOME": str(file.parent), **(environment or {})})
    error = caught.value
    assert str(error) == error.message
    assert error.message.isprintable()
    assert error.hint.isprintable()
    assert error.hint
    assert error.exit_code == 2
    return error


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_told_with_its_line(file: Path, case: str) -> None:
    text, message = WRONG[case]
    file.write_text(text)
    assert told(file).message.startswith(f"{file}{message}")


@pytest.mark.parametrize(
    ("others", "ending"), [(0, "1000"), (1, "(and 1 more mistake)"), (3, "(and 3 more mistakes)")]
)
def test_the_first_mistake_is_told_and_how_many_more(file: Path, others: int, ending: str) -> None:
    more = "".join(f"wrong{number} = 1\n" for number in range(others))
    file.write_text(f"[general]\nmax_ptys = 0\n[ui]\n{more}")
    error = told(file)
    assert (error.line, error.more) == (2, others)
    assert error.message.endswith(ending)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[general]\nrig = '\xff'\n", ":2: column 8 is not UTF-8 (byte 0xff)"),
        ("[general]\nrig = 'é'\n".encode("utf-16"), ":1: column 1 is not UTF-8 (byte 0xff)"),
        (b"x" * ((1 << 20) + 1), ": has 1048577 bytes"),
        (b"\0", ":1: column 1 is not TOML"),
    ],
)
def test_bytes_that_are_no_text(file: Path, data: bytes, message: str) -> None:
    file.write_bytes(data)
    assert told(file).message.startswith(f"{file}{message}")


def test_a_byte_order_mark_and_windows_lines_are_no_mistakes(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf[general]\r\nmax_agents = 3\r\n[ui]\r\ntheme = 0\r\n")
    assert told(file).line == 4
    file.write_bytes(b"\xef\xbb\xbf[general]\r\nmax_agents = 3\r\n")
    assert Config.load().general.max_agents == 3


def test_a_line_separator_inside_a_text_is_no_line(file: Path) -> None:
    file.write_text("[ui]\ntheme = 'a\u2028b\u0085c'\nrefresh_interval_ms = 0\n")
    assert told(file).line == 3


def test_a_folder_in_its_place(file: Path) -> None:
    file.mkdir()
    assert told(file).message == f"{file}: is a folder"


def test_a_socket_in_its_place(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(file.name)
        assert told(file).message == f"{file}: is no regular file"


def test_a_named_pipe_in_its_place_is_not_waited_for(file: Path) -> None:
    os.mkfifo(file)
    assert told(file).message == f"{file}: is no regular file"


def test_a_file_in_place_of_its_folder(file: Path) -> None:
    file.write_text("")
    assert "cannot be read: Not a directory" in told(file / "config.toml").message


def test_a_file_that_may_not_be_read(file: Path) -> None:
    file.touch(0)
    me = os.geteuid()
    if me == 0:
        os.seteuid(NOBODY)  # root may read everything
    try:
        assert "Permission denied" in told(file).message
    finally:
        os.seteuid(me)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "AT_GENERAL__MAX_AGENTS",
            "x",
            'general.max_agents: "x" is not allowed; allowed: a whole number from 1 to 1000',
        ),
        ("AT_GENERAL__MAX_AGENTS", "1\nx = 2", "general.max_agents: "),
        ("AT_GENERAL__MAX_AGENT", "1", "names no key, the nearest is AT_GENERAL__MAX_AGENTS"),
        (
            "AT_AGENTS__CLAUDE__ALLOW",
            "everything",
            'agents.claude.allow: "everything" is not allowed; allowed: "ask"',
        ),
        (
            "AT_AGENTS__CLAUDE__ARGS",
            "-x",
            'agents.claude.args: "-x" is not allowed; allowed: a list of texts',
        ),
        (
            "AT_BRIDGE__KAFKA_ENABLED",
            "yes",
            'bridge.kafka_enabled: "yes" is not allowed; allowed: true | false',
        ),
    ],
)
def test_a_wrong_variable_is_told_by_its_name(file: Path, name: str, text: str, message: str) -> None:
    error = told(file, {name: text})
    assert error.message.startswith(f"environment variable {name}: {message}")
    assert name in error.hint


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))
def test_whatever_the_file_holds_the_answer_is_a_config_or_one_line(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    answer = outcome(file)
    if isinstance(answer, ConfigError):
        assert answer.message.startswith(str(file))
        assert answer.message.isprintable()
    else:
        assert answer == Config()


def outcome(file: Path) -> Config | ConfigError:
    """What reading it gives."""
    try:
        return Config.load_from(file, {"AT_HOME": str(file.parent)})
    except ConfigError as error:
        return error
