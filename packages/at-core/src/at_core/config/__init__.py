"""Settings: `Config.load()` reads `config.toml` of the home folder, `set_value` edits it, `describe` explains it.

model.py    sections, keys, defaults, allowed values      file.py     reading a file, and where in it a key stands
reading.py  file and environment to a checked Config      writing.py  Config to TOML, and editing the file in place
"""

from at_core.config.model import (
    AgentConfig,
    AgentsConfig,
    BridgeConfig,
    CacheConfig,
    Config,
    DaemonConfig,
    DoltConfig,
    GatesConfig,
    GeneralConfig,
    ProvidersConfig,
    SecurityConfig,
    Setting,
    UiConfig,
)
from at_core.config.writing import set_value
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
    "ProvidersConfig",
    "SecurityConfig",
    "Setting",
    "UiConfig",
    "set_value",
]
