"""Agents as lines."""

from __future__ import annotations

from typing import Any

from at_cli.style import Cell, Style
from at_cli.views.words import agent_colour, agent_glyph, short

Document = dict[str, Any]


def list_lines(agents: list[Document], style: Style) -> list[str]:
    """The table of `at agents`."""
    if not agents:
        return ['No agents yet. Try: at run "PROMPT"']
    return style.table([_row(agent, style) for agent in agents])


def _row(agent: Document, style: Style) -> tuple[Cell, ...]:
    bead = f"{short(agent['bead_id'])} {style.plain(agent.get('bead') or '')}" if agent.get("bead_id") else ""
    return (
        Cell(agent_glyph(agent), agent_colour(agent)),
        Cell(style.plain(agent.get("name", "")), "bold"),
        Cell(style.plain(agent.get("cli", "")), ""),
        Cell(style.plain(agent.get("role", "")), "dim"),
        Cell(style.plain(agent.get("label") or agent.get("status", "")), agent_colour(agent)),
        Cell(bead, ""),
    )


def one_line(agent: Document, style: Style) -> list[str]:
    """What an order about an agent answers with."""
    label = style.plain(agent.get("label") or agent.get("status", ""))
    return [f"{agent_glyph(agent)} {style.plain(agent['name'])} ({style.plain(agent['cli'])}): {label}"]
