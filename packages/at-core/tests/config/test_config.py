"""Defaults of the seed contract, the round trip, origins, the environment."""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from at_core.config import Config, ConfigError
from at_core.config.reading import fields, variable
from at_core.config.values import Within

DEFAULTS = """
[general]
default_lane = "standard"
max_agents = 20
keep_free_mb = 500
max_ptys = 20
first_port = 21000
hibernate_seconds = 900
stale_days = 3
tidy_days = 14
folder_cache_mb = 5000
keep_awake = false
[dolt]
host = "127.0.0.1"
port = 3306
database = "auto_tundra"
data_dir = "{home}/dolt"
[cache]
sqlite_path = "{home}/cache.db"
ttl_seconds = 30
[providers]
default = "openrouter"
[git]
fetch = "never"
fetch_seconds = 10
fetch_minutes = 5

[gates]
parallel = 1
batch = 16
timeout_seconds = 1800
[agents]
claude = {{ binary = "claude", args = [], timeout_seconds = 600, allow = "edits" }}
codex = {{ binary = "codex", args = [], timeout_seconds = 600, allow = "edits" }}
gemini = {{ binary = "gemini", args = [], timeout_seconds = 600, allow = "edits" }}
opencode = {{ binary = "opencode", args = [], timeout_seconds = 600, allow = "edits" }}
demo = {{ binary = "demo", args = [], timeout_seconds = 600, allow = "edits" }}
[security]
tool_firewall = true
input_sanitization = true
max_tool_calls_per_turn = 10
[daemon]
heartbeat_interval_seconds = 30
patrol_interval_seconds = 60
kpi_snapshot_interval_seconds = 300
[ui]
theme = "dark"
refresh_interval_ms = 2000
terminal_scrollback_lines = 5000
notify = "auto"
notify_command = []
[bridge]
kafka_enabled = false
kafka_brokers = "localhost:9092"
webhook_enabled = false
"""


def test_the_defaults_are_the_contract_s(home: Path) -> None:
    config = Config.load()
    assert tomllib.loads(config.to_toml()) == tomllib.loads(DEFAULTS.format(home=home))
    assert config.general.rig is None
    assert config == Config() == Config.from_toml("")
    assert not home.exists()


def test_the_home_folder_is_below_the_person_s_without_at_home(tmp_path: Path) -> None:
    config = Config.load({"HOME": str(tmp_path)})
    assert config.cache.sqlite_path == str(tmp_path / ".auto-tundra" / "cache.db")
    assert config.dolt.data_dir == str(tmp_path / ".auto-tundra" / "dolt")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("~/x.db", "{person}/x.db"),
        ("x.db", "{home}/x.db"),
        ("../x.db", "{parent}/x.db"),
        ("/var/x.db", "/var/x.db"),
    ],
)
def test_paths_are_resolved(file: Path, written: str, meant: str) -> None:
    file.write_text(f'cache.sqlite_path = "{written}"')
    environment = {"HOME": "/home/ada", "AT_HOME": str(file.parent)}
    wanted = meant.format(person="/home/ada", home=file.parent, parent=file.parent.parent)
    assert Config.load_from(file, environment).cache.sqlite_path == wanted


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Every value that a key may have."""
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        return st.lists(texts, max_size=3).map(tuple)
    if origin in (typing.Union, types.UnionType):
        return st.none() | values_of(next(each for each in arguments if each is not type(None)))
    if origin is typing.Annotated:
        (limit,) = arguments[1:]
        if not isinstance(limit, Within):
            return texts
        numbers = st.floats if arguments[0] is float else st.integers
        return numbers(limit.least, limit.most)
    return st.booleans() if hint is bool else texts


PATHS = {("cache", "sqlite_path"), ("dolt", "data_dir")}


@st.composite
def configs(draw: st.DrawFn) -> Config:
    """Any configuration that could have been loaded."""
    config = Config()
    for key, hint in fields().items():
        value = draw(values_of(hint))
        if key in PATHS:
            value = "/" + draw(st.from_regex(r"[a-zA-Zé ]{1,9}", fullmatch=True))
        if value is not None:
            config = _with(config, key, value)
    return config


def _with(section: Any, key: tuple[str, ...], value: Any) -> Any:
    first, *rest = key
    return dataclasses.replace(
        section, **{first: _with(getattr(section, first), tuple(rest), value) if rest else value}
    )


@given(config=configs())
def test_to_toml_and_back(config: Config) -> None:
    assert Config.from_toml(config.to_toml()) == config


def test_each_value_says_where_it_comes_from(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(
        "# mine\n[general]\n\nmax_agents = 3\n[agents.codex]\nargs = [\n  '-x',\n]\nallow = 'ask'\n"
        "[agents]\nclaude = { allow = 'all' }\n"
    )
    monkeypatch.setenv("AT_DAEMON__PATROL_INTERVAL_SECONDS", "5")
    monkeypatch.setenv("AT_GENERAL__MAX_AGENTS", "")
    config = Config.load()
    origins = {row.key: row.origin for row in config.describe() if row.origin != "default"}
    assert origins == {
        "general.max_agents": f"{file}:4",
        "daemon.patrol_interval_seconds": "environment variable AT_DAEMON__PATROL_INTERVAL_SECONDS",
        "agents.claude.allow": f"{file}:11",
        "agents.codex.args": f"{file}:6",
        "agents.codex.allow": f"{file}:9",
    }
    assert {key: config.origin(key) for key in origins} == origins
    assert config.origin("ui.theme") == "default" == Config().origin("general.max_agents")
    assert (config.daemon.patrol_interval_seconds, config.general.max_agents) == (5, 3)
    assert config.agents.codex.args == ("-x",)


def test_every_key_is_described(home: Path) -> None:
    rows = {row.key: row for row in Config.load().describe()}
    assert rows.keys() == {".".join(key) for key in fields()}
    assert rows["general.rig"].value == ""
    assert rows["general.default_lane"].allowed == '"experimental" | "standard" | "critical"'
    assert rows["gates.parallel"].allowed == "a whole number from 1 to 64"
    assert rows["agents.claude.args"].allowed == "a list of texts"
    assert rows["security.tool_firewall"].allowed == "true | false"


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("general.rig", "shop", "shop"),
        ("general.max_agents", "7", 7),
        ("agents.opencode.allow", "all", "all"),
        ("agents.claude.args", '["-a", "b c"]', ("-a", "b c")),
        ("bridge.kafka_enabled", "true", True),
        ("ui.theme", "7", "7"),
    ],
)
def test_the_environment_overrides_the_file(file: Path, key: str, text: str, value: object) -> None:
    file.write_text("[general]\nmax_agents = 3\n")
    name = variable(tuple(key.split(".")))
    config = Config.load_from(file, {name: text, "AT_HOME": str(file.parent)})
    found: Any = config
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value
    assert config.origin(key) == f"environment variable {name}"


@pytest.mark.parametrize(
    "name", ["AT_HOME", "AT_LOG", "AT_FAILPOINT", "AT_SESSION_MARK", "AT__X", "MY_AT_GENERAL__RIG"]
)
def test_other_variables_are_no_settings(home: Path, name: str) -> None:
    assert Config.load({"AT_HOME": str(home), name: str(home)}).general == Config().general


def test_an_unknown_key_has_no_origin() -> None:
    with pytest.raises(ConfigError, match=r"nearest is general\.max_agents"):
        Config().origin("general.max_agent")


def test_what_no_part_acts_on_yet_is_told_apart() -> None:
    used = {setting.key: setting.used for setting in Config().describe()}
    assert not used["general.max_ptys"] and not used["security.tool_firewall"]
    assert used["general.max_agents"] and used["agents.codex.allow"]
