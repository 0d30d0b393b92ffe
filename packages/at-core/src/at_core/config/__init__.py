"""Settings: `Config.load()` reads `config.toml` of the home folder, `set_value` and `unset_value` edit it, `describe` explains it.

Each of these imports only those above it:

file.py     reading a file, and where in it a key stands   values.py   one value: allowed or not, from text, to TOML
model.py    sections, keys, defaults, allowed values
reading.py  file and environment to checked settings
writing.py  settings to TOML, and editing the file in place
config.py   `Config`, which has all of this as methods
"""

from at_core.config.config import Config
from at_core.config.model import (
    AgentConfig,
    AgentsConfig,
    BridgeConfig,
    CacheConfig,
    DaemonConfig,
    DoltConfig,
    GatesConfig,
    GeneralConfig,
    LaneConfig,
    LanesConfig,
    ProvidersConfig,
    SecurityConfig,
    Setting,
    UiConfig,
)
from at_core.config.writing import set_value, unset_value
from at_core.errors import ConfigError

__all__ = [
    "AgentConfig",
    "AgentsConfig",
    "BridgeConfig",
    "CacheConfig",
    "Config",
    "ConfigError",
    "DaemonConfig",
    "DoltConfig",
    "GatesConfig",
    "GeneralConfig",
    "LaneConfig",
    "LanesConfig",
    "ProvidersConfig",
    "SecurityConfig",
    "Setting",
    "UiConfig",
    "set_value",
    "unset_value",
]
