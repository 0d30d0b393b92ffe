"""Drivers: one module per CLI, loaded when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from at_session.errors import UnknownCli

if TYPE_CHECKING:
    from at_session.vocabulary import Driver

_CLASSES = {
    "claude": ("at_session.drivers.claude", "ClaudeDriver"),
    "codex": ("at_session.drivers.codex", "CodexDriver"),
    "demo": ("at_session.drivers.demo", "DemoDriver"),
    "gemini": ("at_session.drivers.gemini", "GeminiDriver"),
    "opencode": ("at_session.drivers.opencode", "OpenCodeDriver"),
}


def known_clis() -> tuple[str, ...]:
    """Names of the CLIs that have a driver."""
    return tuple(_CLASSES)


def driver_for(cli: str) -> type[Driver]:
    """The driver class of a CLI. Raises UnknownCli, which lists the known ones."""
    if cli not in _CLASSES:
        raise UnknownCli(cli, known_clis())
    module, name = _CLASSES[cli]
    driver: type[Driver] = getattr(import_module(module), name)
    return driver
