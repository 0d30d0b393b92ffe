"""Agents as lines."""

from __future__ import annotations

from typing import Any

from at_cli.style import Look, TableCell
from at_cli.views.words import agent_colour, agent_glyph, short

Document = dict[str, Any]


def list_lines(agents: list[Document], style: Look) -> list[str]:
    """The table of `at agents`."""
    if not agents:
        return ['No agents yet. Try: at run "PROMPT"']
    return style.table([_row(agent, style) for agent in agents])


def _row(agent: Document, style: Look) -> tuple[TableCell, ...]:
    bead = f"{short(agent['bead_id'])} {style.plain(agent.get('bead') or '')}" if agent.get("bead_id") else ""
    return (
        TableCell(agent_glyph(agent), agent_colour(agent)),
        TableCell(style.plain(agent.get("name", "")), "bold"),
        TableCell(style.plain(agent.get("cli", "")), ""),
        TableCell(style.plain(agent.get("role", "")), "dim"),
        TableCell(style.plain(agent.get("label") or agent.get("status", "")), agent_colour(agent)),
        TableCell(context_words(agent.get("context")), "dim"),
        TableCell(bead, ""),
    )


def context_left(context: Document | None) -> str:
    """What is left of the model's context, such as `83%`; nothing where that is not known."""
    left = (context or {}).get("left_percent")
    return "" if left is None else f"{left}%"


def context_words(context: Document | None) -> str:
    """The same with what it is of."""
    left = context_left(context)
    return f"{left} context left" if left else ""


def one_line(agent: Document, style: Look) -> list[str]:
    """What an order about an agent answers with."""
    label = style.plain(agent.get("label") or agent.get("status", ""))
    return [f"{agent_glyph(agent)} {style.plain(agent['name'])} ({style.plain(agent['cli'])}): {label}"]
