"""How much of its model's context an agent has left, in documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from at_agents.decisions import World
from at_core.store import Tx
from at_core.vocabulary import AgentFact, BeadFact
from at_daemon.prices import listed_size

Json = dict[str, Any]


def context_document(tx: Tx, world: World) -> Json | None:
    """{used, size, left_percent, source} of the newest call of the bead's session; None where its CLI told of none.

    `size` and `left_percent` are None where neither the CLI nor the price list says how much the model takes.
    """
    told: Mapping[str, Any] | None = world.agent_facts.get(AgentFact.CONTEXT)
    session = (world.facts.get(BeadFact.SESSION) or {}).get("id")
    if told is None or world.agent is None or session is None or told["session"] != session:
        return None
    used, size, source = int(told["used"]), told["size"], str(told["source"])
    if size is None and (listed := listed_size(tx, world.agent.cli, told["model"])) is not None:
        size, name = listed
        source = f"{source}; size: {name}"
    left = None if size is None else max(0, 100 * (size - used) // size)
    return {"used": used, "size": size, "left_percent": left, "source": source}
