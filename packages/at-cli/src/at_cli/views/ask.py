"""What agents ask as lines. The thing asked for is shown whole: a person decides on exactly that."""

from __future__ import annotations

from typing import Any

from at_cli.style import Look
from at_cli.views.words import clock_time, short

Document = dict[str, Any]


def queue_lines(asks: list[Document], style: Look) -> list[str]:
    """The queue of `at approvals`."""
    if not asks:
        return ["Nothing waits for you."]
    lines: list[str] = []
    for ask in asks:
        lines += _ask_lines(ask, style)
    return lines


def _ask_lines(ask: Document, style: Look) -> list[str]:
    name = short(ask["id"])
    agent = style.plain(_name(ask.get("agent")))
    head = f"{style.paint('bold', name)}  {agent} {_wish(ask['kind'])} ({clock_time(ask.get('asked_at'))})"
    answers = (
        f"at answer {name} TEXT"
        if ask["kind"] == "question"
        else f"at approve {name} [--always] | at deny {name} [-m TEXT]"
    )
    return [head, *style.block(str(ask["what"]).rstrip("\n"), "    "), f"    {style.paint('dim', answers)}"]


def _wish(kind: str) -> str:
    return {
        "command": "wants to run a command",
        "edit": "wants to change files",
        "tool": "wants to use a tool",
        "question": "asks",
    }.get(kind, f"asks for {kind}")


def _name(agent: Any) -> str:
    return str(agent.get("name", "")) if isinstance(agent, dict) else str(agent or "an agent")


def decided_lines(ask: Document, verdict: str, style: Look) -> list[str]:
    """What a decision answers with."""
    return [f"{short(ask['id'])} {verdict}: {style.fit(style.plain(ask.get('what', '')), 60)}"]


def answers_lines(document: Document, verdict: str, style: Look) -> list[str]:
    """What decisions about several asks answer with: what could not be decided last."""
    if not document["approvals"] and not document["failed"]:
        return ["Nothing of that is asked."]
    lines = [line for ask in document["approvals"] for line in decided_lines(ask, verdict, style)]
    for each in document["failed"]:
        told = style.paint("red", f"not {verdict}")
        lines.append(f"{short(style.plain(each['id']))} {told}: {style.plain(each['error']['message'])}")
    return lines
