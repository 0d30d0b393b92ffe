"""One key is set in the file; everything else in it stays."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from at_core.config import Config, ConfigError, set_value, unset_value

MINE = """# my settings
[general]  # how much
max_agents = 3   # three
rig = 'shop'

# the end
"""


def test_comments_and_order_are_kept(file: Path) -> None:
    file.write_text(MINE)
    set_value("general.max_agents", "9")
    assert file.read_text() == MINE.replace("= 3 ", "= 9 ")
    set_value("daemon.patrol_interval_seconds", "5")
    set_value("agents.claude.args", '["-x", "a b"]')
    set_value("agents.codex.allow", "all")
    config = Config.load()
    assert (config.general.max_agents, config.daemon.patrol_interval_seconds) == (9, 5)
    assert (config.agents.claude.args, config.agents.codex.allow) == (("-x", "a b"), "all")
    assert file.read_text().startswith(MINE.replace("= 3 ", "= 9 "))


def test_a_file_is_made_for_its_owner_alone(home: Path) -> None:
    before = os.umask(0)
    try:
        set_value("ui.theme", "light")
    finally:
        os.umask(before)
    file = home / "config.toml"
    assert file.read_text() == '[ui]\ntheme = "light"\n'
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert os.listdir(home) == ["config.toml"]


def test_a_link_is_followed(file: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.toml"
    real.write_text("# kept elsewhere\n")
    file.symlink_to(real)
    set_value("ui.theme", "light")
    assert file.is_symlink()
    assert real.read_text() == '# kept elsewhere\n\n[ui]\ntheme = "light"\n'


@pytest.mark.parametrize(
    ("key", "text", "problem"),
    [
        (
            "general.max_agent",
            "1",
            "general.max_agent: there is no such key, the nearest is general.max_agents",
        ),
        ("general", "1", "general: there is no such key"),
        ("", "1", "there is no such key"),
        ("general.max_agents", "0", "0 is not allowed; allowed: a whole number from 1 to 1000"),
        ("general.max_agents", "", '"" is not allowed'),
        ("general.max_agents", "1\n[x]", "is not allowed"),
        ("general.default_lane", "fast", '"fast" is not allowed'),
        ("agents.claude.args", "x", "allowed: a list of texts"),
    ],
)
def test_what_cannot_be_set_changes_nothing(file: Path, key: str, text: str, problem: str) -> None:
    file.write_text(MINE)
    with pytest.raises(ConfigError) as told:
        set_value(key, text)
    assert problem in told.value.message
    assert told.value.message.isprintable()
    assert told.value.hint
    assert file.read_text() == MINE


def test_another_mistake_does_not_stop_a_correction(file: Path) -> None:
    file.write_text("[general]\nmax_agents = 'many'\n[ui]\ntheme = 3\n")
    set_value("general.max_agents", "3")
    set_value("ui.theme", "dark")
    assert Config.load().general.max_agents == 3


@pytest.mark.parametrize("text", ["[general\n", "general = 3\n", "agents = [1]\n"])
def test_a_file_that_cannot_be_edited_is_left_alone(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as told:
        set_value(
            "agents.claude.allow" if "agents" in text else "general.max_agents",
            "all" if "agents" in text else "3",
        )
    assert str(file) in told.value.message
    assert file.read_text() == text


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be"):
        set_value("ui.theme", "light", tmp_path / "file" / "config.toml")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(codec="utf-8"), min_size=1, max_size=30))
def test_any_text_comes_back_as_it_was_set(file: Path, text: str) -> None:
    file.write_text(MINE)
    set_value("general.rig", text)
    assert Config.load().general.rig == text
    assert Config.load().general.max_agents == 3


@pytest.mark.parametrize("text", ["[ui]\ntheme = 5\n", "[general]\nmax_agents = 'many'\n[ui]\ntheme = 5\n"])
def test_a_wrong_value_can_be_taken_out(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    unset_value("ui.theme", path)
    assert path.read_text() == text.replace("theme = 5\n", "")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        (
            "# mine\n[general]\nrig = 'none'  # no\nmax_agents = 3 # few\n",
            "# mine\n[general]\nmax_agents = 3 # few\n",
        ),
        ("[general]\nrig = 'x'\n[ui]\n", "[general]\n[ui]\n"),
        ("general.rig = 'x'\n", ""),
        ("general = 3\n", "general = 3\n"),
    ],
)
def test_a_key_is_taken_out_and_all_else_stays(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(before)
    unset_value("general.rig", path)
    assert path.read_text() == after


def test_a_key_that_is_none_cannot_be_taken_out(file: Path) -> None:
    with pytest.raises(ConfigError, match="no such key"):
        unset_value("general.rigg", file)


INLINE = 'agents = { claude = { allow = "ask" } }  # mine\n'


@pytest.mark.parametrize(
    ("before", "key", "text", "after"),
    [
        (INLINE, "agents.codex.allow", "edits", INLINE.replace("} }", '}, codex = {allow = "edits"}}')),
        (INLINE, "agents.claude.allow", "all", INLINE.replace("ask", "all")),
        (INLINE, "agents.claude.binary", "x", INLINE.replace('"ask" }', '"ask", binary = "x"}')),
        ("general = {}\n[ui]\n", "general.rig", "x", 'general = {rig = "x"}\n[ui]\n'),
        ("agents.claude = {}\n", "agents.claude.allow", "all", 'agents.claude = {allow = "all"}\n'),
        (
            "agents.claude = {}\n",
            "agents.codex.allow",
            "all",
            'agents.claude = {}\n\n[agents.codex]\nallow = "all"\n',
        ),
    ],
)
def test_inline_tables_are_edited_in_place(file: Path, before: str, key: str, text: str, after: str) -> None:
    file.write_text(before)
    set_value(key, text)
    assert file.read_text() == after


@pytest.mark.parametrize(
    ("before", "key", "after"),
    [
        (INLINE, "agents.claude.allow", INLINE.replace('{ allow = "ask" }', "{  }")),
        (INLINE, "agents.codex.allow", INLINE),
        ("general = { max_agents = 3, rig = 'x' }\n", "general.rig", "general = { max_agents = 3  }\n"),
        ("general = { rig = 'x', max_agents = 3 }\n", "general.rig", "general = {  max_agents = 3 }\n"),
        ("agents = { claude.allow = 'ask' }\n", "agents.claude.allow", "agents = {  }\n"),
    ],
)
def test_a_key_is_taken_out_of_an_inline_table(file: Path, before: str, key: str, after: str) -> None:
    file.write_text(before)
    unset_value(key)
    assert file.read_text() == after


def test_what_stands_in_the_place_of_a_section_is_told_with_its_line(file: Path) -> None:
    file.write_text("[ui]\n[[agents]]\n")
    with pytest.raises(ConfigError, match=f"{file}:2: agents.claude.allow: agents is no table"):
        set_value("agents.claude.allow", "all")


def test_a_new_section_takes_no_other_key_in(file: Path) -> None:
    text = 'agents.claude.allow = "ask"\ngeneral.rig = "x"  # mine\n'
    file.write_text(text)
    set_value("agents.codex.allow", "all")
    assert file.read_text() == f'{text}\n[agents.codex]\nallow = "all"\n'


def test_a_file_without_a_last_end_of_line_is_edited(file: Path) -> None:
    file.write_text("[ui]\nagents.claude.allow = 'ask'")
    set_value("ui.theme", "light")
    assert tomllib.loads(file.read_text())["ui"]["theme"] == "light"


@pytest.mark.parametrize(
    "change", [partial(set_value, "ui.theme", "light"), partial(unset_value, "ui.theme")]
)
def test_what_cannot_be_edited_where_it_stands_is_left_to_the_person(
    file: Path, change: Callable[[], None]
) -> None:
    text = f"# mine\n[ui]\ntheme = {'[' * 200}{']' * 200}\n"
    file.write_text(text)
    with pytest.raises(ConfigError, match=f"{file}:3: ui.theme: cannot be changed") as told:
        change()
    assert told.value.hint == "correct the file by hand"
    assert file.read_text() == text


_NAMES = ("claude", "codex", '"claude"', "'codex'")
_LINES = [
    *(f"[agents.{name}]" for name in _NAMES),
    *(f"agents.{name}.allow = 'ask'" for name in _NAMES),
    *(f"{name} = {{ allow = 'ask', binary = 'x' }}" for name in _NAMES),
    *(f"{name}.allow = 'ask' # c" for name in _NAMES),
    "agents = { claude = { allow = 'ask' }, codex = {} }",
    "agents.claude = {allow='ask'}",
    "agents = { claude.allow = 'ask', claude.binary = 'x' }",
    "[agents]",
    "[ui]",
    "allow = 'ask' # c",
    "binary = 'x'",
    "x = nan",
    "# mine",
    "",
]


def entries(table: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Values by their dotted keys; tables without one leave none."""
    found: dict[str, str] = {}
    for name, value in table.items():
        found |= (
            entries(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: repr(value)}
        )
    return found


def refusal(change: Callable[[], None]) -> ConfigError | None:
    """What an edit was refused with."""
    try:
        change()
    except ConfigError as error:
        return error
    return None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.sampled_from(_LINES), max_size=6),
    name=st.sampled_from(["claude", "codex"]),
    sets=st.booleans(),
)
def test_an_edit_changes_its_key_alone_or_nothing(
    file: Path, lines: list[str], name: str, sets: bool
) -> None:
    text, key = "\n".join(lines) + "\n", f"agents.{name}.allow"
    try:
        wanted = entries(tomllib.loads(text))
    except tomllib.TOMLDecodeError:
        assume(False)
    wanted.pop(key, None)
    file.write_text(text)
    refused = refusal(partial(set_value, key, "all") if sets else partial(unset_value, key))
    if refused is None:
        assert entries(tomllib.loads(file.read_text())) == wanted | ({key: "'all'"} if sets else {})
    else:
        assert str(file) in refused.message and "by hand" in refused.hint
        assert file.read_text() == text
