"""The names that other packages may build on."""

from __future__ import annotations

import at_core.config
import at_core.store


def test_exported_names() -> None:
    assert at_core.store.__all__ == [
        "Counts",
        "DestructiveAct",
        "LandedTotals",
        "Lease",
        "Slot",
        "Spent",
        "Store",
        "Tx",
        "UsageBy",
        "UsageTotals",
        "local_day_start",
        "next_local_day",
    ]
    assert {"Config", "ConfigError", "Setting", "set_value"} <= set(at_core.config.__all__)


def test_every_command_of_the_store_is_described() -> None:
    public = [name for name in dir(at_core.store.Tx) if not name.startswith("_")]
    undescribed = [name for name in public if not getattr(at_core.store.Tx, name).__doc__]
    assert undescribed == ["newest_seq"]
    assert len(public) > 60
