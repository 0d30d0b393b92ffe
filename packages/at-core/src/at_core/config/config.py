"""`Config`: the settings, with where they are loaded from and how they are told."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from at_core.config import reading, writing
from at_core.config.model import Setting, Settings
from at_core.paths import Home


class Config(Settings):
    """All settings. Every key is optional; a missing file means the defaults."""

    __slots__ = ()

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> Self:
        """`config.toml` of the home folder (`AT_HOME`, else `~/.auto-tundra`) under the environment's overrides.

        Raises `ConfigError`.
        """
        env = os.environ if environment is None else environment
        return cls.load_from(Home.find(dict(env)).config_file, env)

    @classmethod
    def load_from(cls, path: str | Path, environment: Mapping[str, str] | None = None) -> Self:
        """The same from another file. A file that does not exist means the defaults. Raises `ConfigError`."""
        return reading.load(cls, Path(path), os.environ if environment is None else environment)

    @classmethod
    def from_toml(cls, text: str, where: str = "config.toml") -> Self:
        """From the text of a file alone, without the environment's overrides. Raises `ConfigError`."""
        return reading.parse(cls, text, where, {})

    def to_toml(self) -> str:
        """Every key with its value; `from_toml` of it is equal to this."""
        return writing.to_toml(self)

    def origin(self, key: str) -> str:
        """`default`, `FILE:LINE` or `environment variable NAME`. Raises `ConfigError` for an unknown key."""
        return reading.origin(self, key)

    def describe(self) -> list[Setting]:
        """Every key in order, with its value, where that comes from, and what is allowed."""
        return writing.describe(self)
