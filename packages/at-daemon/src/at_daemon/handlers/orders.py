"""How a bead is to be worked on: by which CLI, and in which permission mode."""

from __future__ import annotations

from typing import Any

from at_core.api import Order
from at_core.errors import UsageError
from at_daemon.clis import DEMO, Cli
from at_daemon.parts import Parts
from at_session.vocabulary import Allow

Json = dict[str, Any]


def choose_cli(parts: Parts, order: Order) -> Cli:
    """The CLI that was asked for, else the first one that the caller's PATH has. Raises UsageError, ConfigError."""
    if order.cli is not None:
        return parts.clis.called(order.cli)
    found = parts.clis.first_found(order.env)
    if found is None:
        raise UsageError(
            "no agent CLI was found on your PATH", "install one (at doctor lists them), or try --cli demo"
        )
    return found


def checked_order(order: Order, cli: Cli) -> Json:
    """The order as it is kept: everything but the environment. Raises UsageError."""
    if order.allow is not None and order.allow not in set(Allow):
        raise UsageError(f"{order.allow!r} is no permission mode (allowed: {', '.join(Allow)})")
    if order.allow is not None and order.allow not in cli.modes:
        raise UsageError(
            f"{cli.name}: its manifest names no permission mode {order.allow!r} (allowed: {', '.join(cli.modes)})",
            "leave out --allow, or name the mode in the manifest",
        )
    if cli.name != DEMO and not cli.is_found(order.env):
        raise UsageError(f"{cli.name}: there is no program {cli.settings.binary!r} on your PATH", "at doctor")
    return {
        "cli": cli.name,
        "allow": order.allow,
        "base": order.base,
        "land": order.land,
        "model": order.model,
        "generation": 0,
    }
