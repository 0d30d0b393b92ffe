"""The person's git configuration as far as it matters here, read once per operation with one process."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from at_daemon.git.run import Git

FALLBACK_NAME = "auto-tundra"
FALLBACK_EMAIL = "auto-tundra@localhost"

_FILTER_KEYS = ("clean", "smudge", "process")
_YES = ("true", "yes", "on", "1")
_LFS_COMMANDS = ("git-lfs ", "git lfs ")
# What makes files look the same in a clone as in the person's own checkout.
_CARRIED = frozenset(
    {"core.autocrlf", "core.eol", "core.safecrlf", "core.filemode", "core.ignorecase", "core.symlinks"}
    | {"core.precomposeunicode", "core.longpaths", "i18n.commitencoding"}
)


@dataclass(frozen=True)
class Identity:
    """Author and committer."""

    name: str
    email: str

    def environment(self, date: int | None = None) -> dict[str, str]:
        """The variables that make git use this identity, and `date` (seconds since 1970, UTC) if given."""
        env = {}
        for role in ("AUTHOR", "COMMITTER"):
            env[f"GIT_{role}_NAME"] = self.name
            env[f"GIT_{role}_EMAIL"] = self.email
            if date is not None:
                env[f"GIT_{role}_DATE"] = f"@{date} +0000"
        return env


FALLBACK = Identity(FALLBACK_NAME, FALLBACK_EMAIL)


@dataclass(frozen=True)
class Settings:
    """Effective configuration of a repository: key in lower case (but for its middle part) to last value."""

    values: Mapping[str, str]

    @property
    def identity(self) -> Identity | None:
        """The person's name and address if both are configured; a guess from the host name does not count."""
        name, email = self.values.get("user.name", ""), self.values.get("user.email", "")
        email = email or os.environ.get("EMAIL", "")
        return Identity(name, email) if name and email else None

    @property
    def signs(self) -> bool:
        """Whether the person signs commits."""
        return self.values.get("commit.gpgsign", "false").lower() in _YES

    @property
    def carried(self) -> dict[str, str]:
        """Settings that a private clone takes over."""
        return {key: value for key, value in self.values.items() if key in _CARRIED}

    @property
    def filters(self) -> frozenset[str]:
        """Names of all content filters."""
        found = (key.rpartition(".") for key in self.values if key.startswith("filter."))
        return frozenset(head.removeprefix("filter.") for head, _, last in found if last in _FILTER_KEYS)

    @property
    def trusted_filters(self) -> frozenset[str]:
        """Filters that run outside a sandbox on an agent's files: git-lfs alone, where it is installed.

        A filter's command starts in the agent's folder; a relative one (`./tools/clean`) would be the agent's own
        program. So no other filter runs there, neither at checkout nor at collection, and contents stay as stored.
        """
        commands = [self.values.get(f"filter.lfs.{key}", "git-lfs ") for key in _FILTER_KEYS]
        ours = all(command.startswith(_LFS_COMMANDS) for command in commands)
        return frozenset({"lfs"}) if ours and shutil.which("git-lfs") else frozenset()

    def strict_filters(self) -> dict[str, str]:
        """Configuration for a look at the person's own checkout: a filter that fails stops it, as git would go on with
        what it is there to hide."""
        cleaning = [name for name in self.filters if self._cleans(name)]
        return {f"filter.{name}.required": "true" for name in sorted(cleaning)}

    def _cleans(self, name: str) -> bool:
        return any(self.values.get(f"filter.{name}.{key}") for key in ("clean", "process"))

    @property
    def sparse(self) -> dict[str, str]:
        """The settings of a sparse checkout; empty for a full one."""
        if self.values.get("core.sparsecheckout", "false").lower() not in _YES:
            return {}
        cone = self.values.get("core.sparsecheckoutcone", "true")
        return {"core.sparseCheckout": "true", "core.sparseCheckoutCone": cone}

    def without_filters(self) -> dict[str, str]:
        """Configuration for work in an agent's folder: untrusted filters off, no sparse set applied, and no file refused for
        the ends of its lines."""
        config = {"core.sparseCheckout": "false", "core.safecrlf": "false"}
        for name in sorted((self.filters | {"lfs"}) - self.trusted_filters):
            config |= {f"filter.{name}.{key}": "" for key in _FILTER_KEYS}
            config[f"filter.{name}.required"] = "false"
        return config


async def read_settings(git: Git) -> Settings:
    """The effective configuration of the repository that `git` works on."""
    listed = (await git.run("config", "--list", "-z")).stdout
    values: dict[str, str] = {}
    for entry in os.fsdecode(listed).split("\0"):
        key, newline, value = entry.partition("\n")
        if key:
            values[key] = value if newline else "true"
    return Settings(values)
