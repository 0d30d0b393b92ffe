"""The status as lines of text: rendered here so that the face that prints it need not load anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from at_core.text import one_line

_COLOURS = {"active": "32", "idle": "2", "pending": "33", "unknown": "31", "stopped": "2"}
MOST_AGENTS = 40
MOST_WANTS = 12


def status_text(document: dict[str, Any], *, color: bool, width: int) -> str:
    """Plain lines of at most `width` columns, with a newline at the end."""
    kpi, agents, wants = document["kpi"], document["agents"], document["attention"]
    cost = f"{'~' if kpi['cost_estimated'] else ''}${kpi['total_cost_today']:.2f}"
    rig = f"rig {document['rig_name'] or '(all)'}"
    counts = f"{kpi['beads_active']} active, {kpi['beads_completed']} completed, {kpi['beads_failed']} failed"
    lines = [
        f"{rig}   agents {kpi['agents_active']} active of {len(agents)}   convoys {kpi['convoys_active']} active",
        f"beads {counts}   today {cost}, {kpi['total_tokens_today']:,} tokens",
    ]
    shown = [agent for agent in agents if agent["status"] != "stopped"] or agents
    if shown:
        lines.append("")
        lines.extend(_agent(agent, color, width) for agent in shown[:MOST_AGENTS])
        if len(agents) > len(shown[:MOST_AGENTS]):
            lines.append(f"… and {len(agents) - len(shown[:MOST_AGENTS])} more: at agents")
    if wants:
        lines.append("")
        lines.append(_paint("needs you", "33", color))
        lines.extend(_want(want, width) for want in wants[:MOST_WANTS])
        if len(wants) > MOST_WANTS:
            lines.append(f"… and {len(wants) - MOST_WANTS} more: at approvals, at ls")
    return "\n".join(line.rstrip()[: None if color else width] for line in lines) + "\n"


SHORT = (("needs", "!", "yellow"), ("working", "@", "green"), ("waiting", "~", "default"))
"""What a prompt's line counts, with the sign of each and its colour in tmux."""


def short_text(counts: Mapping[str, int], *, tmux: bool = False) -> str:
    """`3! 5@ 1~`, without what there is none of."""
    found = [(f"{counts[key]}{sign}", colour) for key, sign, colour in SHORT if counts[key]]
    return " ".join(f"#[fg={colour}]{text}#[default]" if tmux else text for text, colour in found)


def _agent(agent: dict[str, Any], color: bool, width: int) -> str:
    glyph = _paint(agent["glyph"], _COLOURS[agent["status"]], color)
    bead = f"{agent['bead_id'][:8]} {agent['bead']}" if agent["bead_id"] else ""
    return f"{glyph} {agent['name']:<12.12} {agent['cli']:<8.8} {agent['label']:<20.20} {one_line(bead, max(8, width - 45))}"


def _want(want: dict[str, Any], width: int) -> str:
    who = f"{want['agent'] or '-'} on {want['bead'][:8]}"
    hint = f"  → {want['hint']}" if want["hint"] else ""
    room = max(10, width - len(who) - len(hint) - len(want["kind"]) - 5)
    return f"  {want['kind']} {who}: {one_line(want['reason'], room)}{hint}"


def _paint(text: str, code: str, color: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if color else text
