"""The sections, their keys, defaults and allowed values, as frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from at_core.config.values import NotEmpty, Within
from at_core.paths import Home

Word = Annotated[str, NotEmpty()]
Count = Annotated[int, Within(1, 1000)]
Seconds = Annotated[int, Within(1, 7 * 24 * 3600)]
Dollars = Annotated[float, Within(0, 1_000_000)]
Tokens = Annotated[int, Within(0, 1_000_000_000_000)]
Lanes = Literal["experimental", "standard", "critical"]
Allow = Literal["ask", "edits", "all"]
Key = tuple[str, ...]


def _in_home(name: str) -> str:
    return str(Home.find().root / name)


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneralConfig:
    """Defaults of commands, and how much runs at once."""

    rig: Word | None = None
    """The repository meant when none is named and the current folder is in none."""
    default_lane: Lanes = "standard"
    max_agents: Count = 20
    max_ptys: Count = 20
    first_port: Annotated[int, Within(1024, 65526)] = 21000
    """Ports from here on are given to work items and gates, ten to each slot (`AT_SLOT`, `AT_PORT`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoltConfig:
    """The Dolt server that may become the primary store. Not used yet."""

    host: Word = "127.0.0.1"
    port: Annotated[int, Within(1, 65535)] = 3306
    database: Word = "auto_tundra"
    data_dir: Word = field(default_factory=lambda: _in_home("dolt"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheConfig:
    """The embedded store."""

    sqlite_path: Word = field(default_factory=lambda: _in_home("cache.db"))
    ttl_seconds: Annotated[int, Within(0, 24 * 3600)] = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvidersConfig:
    """Model providers."""

    default: Word = "openrouter"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatesConfig:
    """How gates run; which ones there are is the repository's to say."""

    parallel: Annotated[int, Within(1, 64)] = 1
    timeout_seconds: Seconds = 1800
    """For a gate that names no limit of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetConfig:
    """What may be spent, in USD and in tokens (input without cache reads, plus output). None is no limit.

    A turn begins only if what it is expected to cost still fits; one that runs is never cut short.
    """

    bead_usd: Dollars | None = None
    bead_tokens: Tokens | None = None
    """For each work item that has no budget of its own."""
    day_usd: Dollars | None = None
    day_tokens: Tokens | None = None
    """For all agents together in a day of yours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """One CLI. `timeout_seconds` is without any sign of life, never a limit on the length of a turn."""

    binary: Word
    args: tuple[str, ...] = ()
    """Further arguments. What skips permissions outright belongs in `allow`, which says so."""
    timeout_seconds: Seconds = 600
    allow: Allow = "edits"
    """What it may do unasked: nothing that writes, edits in its folder, or everything."""
    budget_day_usd: Dollars | None = None
    budget_day_tokens: Tokens | None = None
    """What all its agents together may use in a day of yours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentsConfig:
    """The CLIs by name. `demo` is the scripted one; its binary, if another than `demo`, is the Python that runs it."""

    claude: AgentConfig = AgentConfig(binary="claude")
    codex: AgentConfig = AgentConfig(binary="codex")
    gemini: AgentConfig = AgentConfig(binary="gemini")
    opencode: AgentConfig = AgentConfig(binary="opencode")
    demo: AgentConfig = AgentConfig(binary="demo")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityConfig:
    """What is checked between people, agents and tools. `max_tool_calls_per_turn` counts our own tools only."""

    tool_firewall: bool = True
    input_sanitization: bool = True
    max_tool_calls_per_turn: Count = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonConfig:
    """How often the daemon looks by itself."""

    heartbeat_interval_seconds: Seconds = 30
    patrol_interval_seconds: Seconds = 60
    kpi_snapshot_interval_seconds: Seconds = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class UiConfig:
    """The faces."""

    theme: Word = "dark"
    refresh_interval_ms: Annotated[int, Within(50, 60_000)] = 2000
    terminal_scrollback_lines: Annotated[int, Within(0, 1_000_000)] = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeConfig:
    """The outside world. Nothing leaves the machine unless one of these is turned on."""

    kafka_enabled: bool = False
    kafka_brokers: Word = "localhost:9092"
    webhook_enabled: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of `Config.describe`: values as TOML writes them ("" for none)."""

    key: str
    value: str
    origin: str
    allowed: str
    used: bool = True
    """Whether a part of this version acts on it."""


NOT_USED_YET = frozenset(
    {"general.max_ptys", "dolt", "cache.ttl_seconds", "providers", "security", "ui", "bridge"}
)
"""Keys and sections that are kept and checked, for parts that are still to come."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a configuration was read from: the file's name and text, and the variables that were used."""

    where: str
    text: str
    in_file: frozenset[Key]
    variables: Mapping[Key, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings as values alone; `Config` is what a program uses. A key is a path of their names."""

    general: GeneralConfig = GeneralConfig()
    dolt: DoltConfig = field(default_factory=DoltConfig)
    cache: CacheConfig = field(default_factory=CacheConfig)
    providers: ProvidersConfig = ProvidersConfig()
    gates: GatesConfig = GatesConfig()
    agents: AgentsConfig = AgentsConfig()
    budget: BudgetConfig = BudgetConfig()
    security: SecurityConfig = SecurityConfig()
    daemon: DaemonConfig = DaemonConfig()
    ui: UiConfig = UiConfig()
    bridge: BridgeConfig = BridgeConfig()
    source: Source | None = field(default=None, compare=False, repr=False)
    """Where the values came from; None for a configuration made in a program."""
