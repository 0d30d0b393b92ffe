"""Beads as lines: a list, one line after an order, and the whole page of `at show`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from at_cli.style import Look, TableCell
from at_cli.views.agent import context_left
from at_cli.views.comment import comment_lines
from at_cli.views.costs import budget_words, dollars
from at_cli.views.words import BEAD_COLOURS, agent_glyph, clock_time, count, duration, short

Document = dict[str, Any]


def list_lines(beads: list[Document], style: Look) -> list[str]:
    """The table of `at ls`."""
    if not beads:
        return ['No work items yet. Try: at run "PROMPT"']
    return style.table([_row(bead, style) for bead in beads])


def _row(bead: Document, style: Look) -> tuple[TableCell, ...]:
    status = str(bead.get("status", ""))
    lane = str(bead.get("lane", ""))
    return (
        TableCell(short(bead.get("id", "")), "dim"),
        TableCell(status, BEAD_COLOURS.get(status, "")),
        TableCell(lane if lane != "standard" else "", "bold" if lane == "critical" else "dim"),
        TableCell(style.plain(bead.get("agent") or ""), ""),
        TableCell(style.plain(bead.get("title", "")) + _waiting_words(bead), ""),
    )


def _waiting_words(bead: Document) -> str:
    first = bead.get("waits_for") or ()
    return f" (waits for {', '.join(map(short, first))})" if first else ""


def one_line(document: Document, style: Look) -> list[str]:
    """What an order answers with: which bead, in which state, on whose hook."""
    bead = document["bead"]
    agent = document.get("agent")
    whose = f" with {style.plain(agent['name'])} ({style.plain(agent['cli'])})" if agent else ""
    state = state_words(document, style)
    start = f" from {words}" if (words := _base_words(document.get("base") or {}, style)) else ""
    at_work = start if bead.get("status") in ("hooked", "slung") else ""
    return [f"{short(bead['id'])} {state}{whose}{at_work}: {style.fit(style.plain(bead['title']), 60)}"]


def state_words(document: Document, style: Look) -> str:
    """Status, and whether it is proved, in its colour."""
    status = str(document["bead"].get("status", ""))
    words = f"{status}, proved" if status == "review" and document.get("proved") else status
    return (
        style.paint("green" if document.get("proved") else BEAD_COLOURS.get(status, ""), words)
        if (BEAD_COLOURS.get(status))
        else words
    )


def bead_lines(document: Document, style: Look, story: Sequence[str] = ()) -> list[str]:
    """The page of `at show`, with lines of its story."""
    bead = document["bead"]
    lines = [style.paint("bold", style.plain(bead["title"])), f"  {'id':<10}{style.plain(bead['id'])}"]
    lines += [f"  {name:<10}{text}" for name, text in _fields(document, style) if text]
    lines += _paragraph("description", bead.get("description"), style)
    lines += [f"  {'why':<10}{style.plain(reason)}" for reason in document.get("reasons", [])]
    lines += [f"  {'note':<10}{style.plain(note)}" for note in document.get("notes", [])]
    lines += [
        f"  {style.paint('yellow', 'needs you')} {attention_words(item, style)}"
        for item in document.get("attention", [])
    ]
    lines += ["  story", *story] if story else []
    lines += _comment_lines(document.get("comments") or [], style)
    steps = next_steps(document)
    return [*lines, f"  {'next':<10}{' | '.join(steps)}"] if steps else lines


def _comment_lines(comments: list[Document], style: Look) -> list[str]:
    """Those that wait to be sent; of the others their messages tell."""
    waiting = [each for each in comments if each["state"] == "open"]
    return ["  comments", *comment_lines(waiting, style, "    ")] if waiting else []


def _fields(document: Document, style: Look) -> Iterator[tuple[str, str]]:
    bead, evidence = document["bead"], document.get("evidence") or {}
    yield "state", state_words(document, style)
    lane, priority = bead.get("lane", "standard"), bead.get("priority", 0)
    yield "lane", f"{lane}, priority {priority}" if priority else str(lane) if lane != "standard" else ""
    yield "agent", _agent_words(document.get("agent"), style)
    yield "context", _context_words((document.get("agent") or {}).get("context"))
    yield "branch", style.plain(bead.get("git_branch") or "")
    yield "base", _base_words(document.get("base") or {}, style)
    yield "slot", _slot_words(document.get("slot") or {})
    yield "set-up", _set_up_words(document.get("set_up") or {}, style)
    yield "commits", _commit_words(evidence.get("commits") or [])
    yield "change", _diff_words(evidence.get("diff") or {})
    for gate in evidence.get("gates") or []:
        yield "gate", _gate_words(gate, style)
    yield "pull req", _pull_request_words(document.get("pull_request") or {}, style)
    for overlap in document.get("overlaps") or []:
        yield "overlap", _overlap_words(overlap, style)
    yield "landing", style.plain((document.get("landing") or {}).get("place") or "")
    yield "merged as", short(evidence["merge"]) if evidence.get("merge") else ""
    yield "usage", usage_words(document.get("usage") or {}, document.get("turns", 0), style)
    for budget in document.get("budgets") or []:
        yield "budget", budget_words(budget)
    yield "made", clock_time(bead.get("created_at"))


def _overlap_words(overlap: Document, style: Look) -> str:
    """With what, in which files, and what to do about it."""
    paths = overlap["paths"]
    files = style.fit(style.plain(", ".join(paths[:3])), 60) + (
        f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    )
    if overlap["bead"] is None:
        return (
            f"conflicts with {style.plain(overlap['target'])} in {files}: its agent will be asked to merge it"
        )
    other = f"{short(overlap['bead'])} ({style.fit(style.plain(overlap['title']), 30)})"
    return f"conflicts with {other} in {files}: land one, then the other merges it (hold it: at stop)"


def _agent_words(agent: Document | None, style: Look) -> str:
    if agent is None:
        return ""
    return (
        f"{agent_glyph(agent)} {style.plain(agent['name'])} ({style.plain(agent['cli'])}), "
        f"{style.plain(agent.get('label') or agent['status'])}"
    )


def _context_words(context: Document | None) -> str:
    """What the newest call took of the model's context, and what is left of it."""
    if context is None:
        return ""
    used = f"{context['used']:,}"
    if context.get("size") is None:
        return f"{used} tokens used, of how many is not known"
    return f"{context_left(context)} left, {used} of {context['size']:,} tokens used"


def _base_words(base: Document, style: Look) -> str:
    """The commit that it begins at, how that stands to the branch of the remote, and how old our knowledge of it is."""
    if not base:
        return ""
    words = f"{style.plain(base['ref'])} {short(base['sha'])}"
    ahead, behind = base.get("ahead") or 0, base.get("behind") or 0
    upstream = style.plain(base.get("upstream") or "")
    if base.get("target_behind"):
        words += f" ({count(base['target_behind'], 'commit')} ahead of your own"
    elif ahead and behind:
        words += f" ({ahead:,} ahead of and {behind:,} behind {upstream}"
    elif ahead or behind:
        words += f" ({count(ahead or behind, 'commit')} {'ahead of' if ahead else 'behind'} {upstream}"
    else:
        return words
    return f"{words}{', fetched ' + clock_time(base['fetched']) if base.get('fetched') else ''})"


def _slot_words(slot: Document) -> str:
    if not slot:
        return ""
    first = slot["first_port"]
    return f"{slot['number']}, ports {first} to {first + slot['ports'] - 1}" if first else str(slot["number"])


def _set_up_words(set_up: Document, style: Look) -> str:
    if not set_up:
        return ""
    if running := set_up.get("under_way"):
        return f"under way, {style.plain(running)}"
    if waiting := set_up.get("waits"):
        return f"waits for a place, {style.plain(waiting)}"
    cache = set_up.get("cache") or {}
    had = f"{', '.join(map(style.plain, cache['used']))} from the cache" if cache.get("used") else ""
    why = f", not kept in the cache: {style.plain(cache['why'])}" if cache.get("why") else ""
    if not set_up["commands"]:
        return f"{had}{why}".removeprefix(", ")
    last = set_up["commands"][-1]
    if not last["ok"]:
        line = style.plain(f"{last['phase']} command `{last['command']}` {last['how']}")
        return f"{style.paint('red', 'failed')}: {line}, output in {style.plain(last['log'])}"
    kept = ", kept in the cache" if cache.get("kept") else why
    with_it = f" with {had}" if had else ""
    return f"{count(len(set_up['commands']), 'command')} in {duration(set_up['seconds'])}{with_it}{kept}"


def _pull_request_words(seen: Document, style: Look) -> str:
    if not seen:
        return ""
    number = f"#{seen['number']} " if seen.get("number") else ""
    url = f": {style.plain(seen['url'])}" if seen.get("url") else ""
    return f"{number}{style.plain(seen['summary'])}{url}"


def _commit_words(commits: list[str]) -> str:
    shown = ", ".join(short(commit) for commit in commits[:5])
    return f"{shown} and {len(commits) - 5} more" if len(commits) > 5 else shown


def _diff_words(diff: Document) -> str:
    if not diff.get("files"):
        return ""
    return f"{count(diff['files'], 'file')}, +{diff.get('insertions', 0)} -{diff.get('deletions', 0)}"


def _gate_words(gate: Document, style: Look) -> str:
    verdict = style.paint("green", "passed") if gate["ok"] else style.paint("red", "failed")
    took = f" in {duration(gate['seconds'])}" if gate.get("seconds") is not None else ""
    log = "" if gate["ok"] or not gate.get("log") else f", output in {style.plain(gate['log'])}"
    return f"{style.plain(gate['name'])} {verdict}{took} on tree {short(gate.get('tree', ''))}{log}"


def usage_words(usage: Document, turns: int, style: Look) -> str:
    """Tokens and cost; what the CLI did not report is not guessed."""
    parts = [count(turns, "turn")] if turns else []
    if usage.get("input_tokens") or usage.get("output_tokens"):
        parts.append(f"{usage.get('input_tokens') or 0:,} tokens in, {usage.get('output_tokens') or 0:,} out")
        if usage.get("cached_tokens"):
            parts.append(f"{usage['cached_tokens']:,} cached")
        cost = usage.get("cost_usd")
        unpriced = usage.get("unpriced_tokens") or 0
        known = dollars(cost, bool(usage.get("cost_estimated")), bool(unpriced))
        known += (
            f" ({count(unpriced, 'token')} {'has' if unpriced == 1 else 'have'} no price)" if unpriced else ""
        )
        parts.append(known if cost is not None else "cost not reported")
    return ", ".join(parts)


def _paragraph(name: str, text: str | None, style: Look) -> list[str]:
    return [f"  {name}", *style.block(text.rstrip("\n"), "    ")] if text else []


def attention_words(item: Document, style: Look) -> str:
    """One thing that waits for a person."""
    until = f", again at {clock_time(item['reset_at'])}" if item.get("reset_at") else ""
    how = f" ({style.plain(item['hint'])})" if item.get("hint") else ""
    return f"{style.plain(item.get('kind', ''))}: {style.plain(item.get('reason', ''))}{until}{how}"


def next_steps(document: Document) -> list[str]:
    """What a person would do with it now, as commands."""
    name = short(document["bead"]["id"])
    kinds = {item.get("kind") for item in document.get("attention", [])}
    if kinds & {"approval", "question"}:
        return ["at approvals"]
    if raised := [item["hint"] for item in document.get("attention", []) if item.get("kind") == "budget"]:
        return raised[:1]
    match document["bead"].get("status"):
        case "backlog":
            return [f"at sling {name} AGENT"]
        case "hooked":
            return [f"at sling {name} {document['agent']['name']}"] if document.get("agent") else []
        case "slung":
            return [f"at logs {document['agent']['name']} -f"] if document.get("agent") else []
        case "review":
            land = [f"at land {name}"] if document.get("proved") else []
            waiting = any(each["state"] == "open" for each in document.get("comments") or [])
            words = "" if waiting else " -m TEXT"
            return [f"at diff {name}", *land, f"at send-back {name}{words}"]
        case "failed" | "escalated":
            return [f"at retry {name}", f"at rm {name}"]
        case _:
            return []
