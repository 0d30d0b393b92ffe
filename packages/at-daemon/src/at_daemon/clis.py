"""The CLIs that there are: ours and those of the person's manifests, each with its driver and its settings."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from at_core.config import AgentConfig, Config
from at_core.errors import ConfigError, UsageError
from at_core.types import CliType
from at_session import manifest as manifests
from at_session.drivers import driver_for, known_clis
from at_session.errors import ManifestError, UnknownCli
from at_session.manifest import Manifest
from at_session.vocabulary import Allow, Driver

log = logging.getLogger(__name__)
DEMO = "demo"


class LiveConfig:
    """The configuration, read anew when its file has changed, so that a budget counts as soon as it is set.

    A file with a mistake changes nothing: `at config` and `at doctor` tell of it.
    """

    def __init__(self, path: Path, config: Config) -> None:
        self._path = path
        self._read: tuple[object, Config] = (self._stamp(), config)

    def __call__(self) -> Config:
        """The settings as they are now."""
        stamp = self._stamp()
        if stamp != self._read[0]:
            try:
                self._read = (stamp, Config.load_from(self._path))
            except ConfigError as error:
                log.warning("the settings stay as they were: %s", error)
                self._read = (stamp, self._read[1])
        return self._read[1]

    def _stamp(self) -> object:
        return _stamp(self._path)


def _stamp(path: Path) -> object:
    """Something that is another one when the file has changed."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)


@dataclass(frozen=True, slots=True)
class Cli:
    """One CLI. `manifest` is None for those that we know ourselves."""

    name: str
    driver: type[Driver]
    settings: AgentConfig
    manifest: Manifest | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """What an agent of this CLI carries: fields of `Agent`."""
        if self.manifest is None:
            return {"cli_type": CliType(self.name)}
        return {"cli_type": CliType.OTHER, "metadata": {"cli": self.name}}

    @property
    def modes(self) -> tuple[Allow, ...]:
        """The permission modes that it can be started in."""
        return tuple(Allow) if self.manifest is None else tuple(self.manifest.permission_modes)

    def binary(self, environment: Mapping[str, str]) -> str:
        """Its program as a name on PATH or as a path."""
        return self.settings.binary if self.manifest is None else self.manifest.program(environment)

    def is_found(self, environment: Mapping[str, str]) -> bool:
        """Whether its program is there for this environment."""
        if self.manifest is not None:
            return self.manifest.find(environment) is not None
        return shutil.which(self.settings.binary, path=environment.get("PATH")) is not None


@dataclass(frozen=True, slots=True)
class _Read:
    """The manifests as they were when their files bore `stamp`."""

    stamp: object
    clis: Mapping[str, Cli]
    broken: Mapping[str, ManifestError]


class Clis:
    """Finds CLIs by name. Manifests are read anew when a file has changed; a broken one is no trouble of the others."""

    def __init__(self, config: Callable[[], Config] = Config, folder: Path | None = None) -> None:
        self.config = config
        self._folder = folder
        self._now = _Read(None, {}, {})
        self._last: dict[str, Cli] = {}

    def names(self) -> tuple[str, ...]:
        """All that can be driven: ours first."""
        return (*known_clis(), *self._manifests().clis)

    def find(self, name: str) -> Cli:
        """Raises UnknownCli, and ManifestError where a file of this name cannot be used."""
        if name in known_clis():
            settings: AgentConfig = getattr(self.config().agents, name)
            return Cli(name, driver_for(name), settings)
        read = self._manifests()
        if name in read.clis:
            return read.clis[name]
        if name in read.broken:
            raise read.broken[name]
        raise UnknownCli(name, self.names())

    def last(self, name: str) -> Cli | None:
        """The CLI as it is, or was before its manifest was removed or broken; None if this daemon never had it."""
        try:
            return self.find(name)
        except (UnknownCli, ManifestError):
            return self._last.get(name)

    def called(self, word: str) -> Cli:
        """What a person calls by this word. Raises UsageError and ConfigError."""
        try:
            return self.find("opencode" if word == CliType.OPEN_CODE else word)
        except UnknownCli as error:
            known = ", ".join(error.known)
            raise UsageError(
                f"{word!r} is no CLI that can be driven (there are {known})", "at doctor"
            ) from None
        except ManifestError as error:
            raise config_error(error) from error

    def first_found(self, environment: Mapping[str, str]) -> Cli | None:
        """The first one whose program is there; never the demo agent, which does nobody's work."""
        for name in self.names():
            cli = self.last(name)
            if name != DEMO and cli is not None and cli.is_found(environment):
                return cli
        return None

    def _manifests(self) -> _Read:
        if self._folder is None:
            return self._now
        stamp = tuple((path.name, _stamp(path)) for path in manifests.files_in(self._folder))
        if stamp != self._now.stamp:
            read = manifests.read_folder(self._folder)
            for error in read.broken.values():
                log.warning("a manifest cannot be used: %s", error)
            clis = {name: _of_manifest(found) for name, found in read.found.items()}
            self._now = _Read(stamp, clis, read.broken)
            self._last.update(clis)
        return self._now


def config_error(error: ManifestError) -> ConfigError:
    """The same for the faces."""
    say = partial(ConfigError, str(error.path), error.problem, "correct the manifest; at doctor lists them")
    return say(line=error.line, key=error.key, allowed=error.allowed, more=error.more)


def _of_manifest(found: Manifest) -> Cli:
    """Its arguments are its driver's matter."""
    settings = AgentConfig(
        binary=found.binary,
        timeout_seconds=found.timeout_seconds or AgentConfig(binary=found.binary).timeout_seconds,
        allow=found.allow.value,
        budget_day_usd=found.budget_day_usd,
        budget_day_tokens=found.budget_day_tokens,
    )
    return Cli(found.name, manifests.driver_of(found), settings, found)
