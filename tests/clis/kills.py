"""The daemon is killed while an agent works."""

from __future__ import annotations

import random
import threading
from typing import Any

from acceptance.product import Product


def restart(product: Product) -> None:
    product.kill_daemon()
    started = product.at("up")
    assert started.code == 0, started.stderr


def land_through_kills(product: Product, bead: str, kills: int) -> dict[str, Any]:
    """Kill the daemon while the bead's ask is open, and as often again once it is approved; wait until it has landed.

    Gives the ask as it was shown between the two.
    """
    dice = random.Random(7)
    product.wait(bead, "ask.opened")
    for _ in range(kills // 2):
        restart(product)
        threading.Event().wait(dice.uniform(0.0, 0.2))
    (ask,) = product.json("approvals")["approvals"]
    product.json("approve", ask["id"])
    for _ in range(kills // 2):
        threading.Event().wait(dice.uniform(0.1, 0.5))
        restart(product)
    product.wait(bead, "bead.landed")
    shown: dict[str, Any] = ask
    return shown
