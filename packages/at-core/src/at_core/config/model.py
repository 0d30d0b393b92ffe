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
    keep_free_mb: Annotated[int, Within(0, 10_000_000)] = 500
    """Beside one that runs, an agent is started only if so many MB of memory stay free. 0: memory is not looked at."""
    max_ptys: Count = 20
    first_port: Annotated[int, Within(1024, 65526)] = 21000
    """Ports from here on are given to work items and gates, ten to each slot (`AT_SLOT`, `AT_PORT`)."""
    hibernate_seconds: Annotated[int, Within(0, 30 * 24 * 3600)] = 900
    """An agent that waits for you, a limit or a budget holds no process after so long; it is resumed. 0: never."""
    stale_days: Annotated[int, Within(0, 3650)] = 3
    """`at ls --stale` lists what nobody touched for so many days."""
    tidy_days: Annotated[int, Within(0, 3650)] = 14
    """`at tidy` removes journals, logs and the like once they are so many days old."""
    folder_cache_mb: Annotated[int, Within(0, 10_000_000)] = 5000
    """What set-ups made is kept for other folders, if their repository says so, up to so many MB. 0: never."""
    keep_awake: bool = False
    """The machine does not fall asleep by itself while agents are at work, gates run, or folders are set up."""


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
class LaneConfig:
    """One lane. `most`: so many of its work items are in progress at once, those that wait for your look included."""

    most: Annotated[int, Within(1, 10_000)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LanesConfig:
    """The lanes by name. Further work waits; what has begun goes on."""

    critical: LaneConfig = LaneConfig()
    standard: LaneConfig = LaneConfig()
    experimental: LaneConfig = LaneConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class GitConfig:
    """Remotes. Nothing is fetched or pushed unless you say so."""

    fetch: Literal["never", "auto"] = "never"
    """`auto`: before work begins, the branch that its target follows is fetched, without any question to you."""
    fetch_seconds: Annotated[int, Within(1, 300)] = 10
    """So long work waits for that at most; then it begins at what is there."""
    fetch_minutes: Annotated[int, Within(0, 24 * 60)] = 5
    """What was fetched is not fetched again for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatesConfig:
    """How gates run; which ones there are is the repository's to say."""

    parallel: Annotated[int, Within(1, 64)] = 1
    batch: Annotated[int, Within(1, 100)] = 16
    """So many work items at most are merged together, gated once, and landed together."""
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
    notify: Literal["auto", "desktop", "terminal", "off"] = "auto"
    """How you are told that something needs you: on the desktop, by the terminal of a face that runs, or by both."""
    notify_command: tuple[str, ...] = ()
    """A program of yours with its arguments, run as a need begins and ends, with JSON on its standard input."""


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
    {
        "general.max_ptys",
        "dolt",
        "cache.ttl_seconds",
        "providers",
        "security",
        "ui.refresh_interval_ms",
        "ui.terminal_scrollback_lines",
        "bridge",
    }
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
    lanes: LanesConfig = LanesConfig()
    dolt: DoltConfig = field(default_factory=DoltConfig)
    cache: CacheConfig = field(default_factory=CacheConfig)
    providers: ProvidersConfig = ProvidersConfig()
    git: GitConfig = GitConfig()
    gates: GatesConfig = GatesConfig()
    agents: AgentsConfig = AgentsConfig()
    budget: BudgetConfig = BudgetConfig()
    security: SecurityConfig = SecurityConfig()
    daemon: DaemonConfig = DaemonConfig()
    ui: UiConfig = UiConfig()
    bridge: BridgeConfig = BridgeConfig()
    source: Source | None = field(default=None, compare=False, repr=False)
    """Where the values came from; None for a configuration made in a program."""
