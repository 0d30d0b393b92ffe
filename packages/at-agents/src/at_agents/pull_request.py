"""A bead's pull request: what it says, and what of its checks and comments is news for the agent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from at_agents.decisions import World
from at_agents.landing import evidence_gates
from at_core.record import Record
from at_core.text import MAX_TITLE, one_line, visible
from at_core.vocabulary import BeadFact

PASSED, FAILED, RUNNING = "passed", "failed", "running"
CLOSED = "CLOSED"
"""The state of a pull request that was closed without a merge."""
_PASSING = {"SUCCESS", "NEUTRAL", "SKIPPED"}
_UNDECIDED = {"", "PENDING", "EXPECTED", "QUEUED", "IN_PROGRESS", "WAITING", "REQUESTED", "STALE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestCheck(Record):
    """One check of a pull request; `verdict` is passed, failed or running."""

    name: str
    verdict: str
    url: str = ""


def verdict_of(word: str) -> str:
    """The verdict that a check's own word (its conclusion, or state) means; a word that is new to us is a failure."""
    word = word.upper()
    return PASSED if word in _PASSING else RUNNING if word in _UNDECIDED else FAILED


def failure_key(check: PullRequestCheck, head: str) -> str:
    """What tells one failure of a check from the next."""
    return f"check:{check.name}:{head}"


def is_open(seen: Mapping[str, Any] | None) -> bool:
    """Whether it is decided about elsewhere: its branch was pushed, and nobody closed its pull request."""
    return seen is not None and bool(seen.get("pushed")) and str(seen.get("state") or "").upper() != CLOSED


def title(world: World) -> str:
    """Its title: the bead's."""
    return one_line(world.bead.title, MAX_TITLE)


def body(world: World, turns: int) -> str:
    """What was asked, what proves the work, and the trailers of its merge. No word of the agent's own is in it."""
    branch = world.facts.get(BeadFact.BRANCH) or {}
    asked = (world.bead.description or "").strip()
    facts = [f"{_count(len(branch.get('commits', ())), 'commit')}, {_count(branch.get('files', 0), 'file')}"]
    facts[0] += f" (+{branch.get('insertions', 0)} -{branch.get('deletions', 0)})"
    gates = [
        f"gate {visible(gate.name)} {'passed' if gate.ok else 'failed'} on tree {gate.tree[:12]}"
        for gate in evidence_gates(world)
    ]
    agent = world.agent.name if world.agent else "none"
    by = f"{_count(turns, 'turn')} of {agent} ({world.agent.cli})" if world.agent else ""
    summary = [f"- {line}" for line in (*facts, by, *gates) if line]
    trailers = f"Bead: {world.bead.id}\nAgent: {agent}"
    return "\n\n".join(part for part in (asked, "\n".join(summary), trailers) if part) + "\n"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def summary(seen: dict[str, Any]) -> str:
    """`open, 2 checks passed, 1 failed`."""
    state = str(seen.get("state") or "OPEN").lower()
    words = [f"{'draft' if seen.get('draft') and state == 'open' else state}"]
    checks = [PullRequestCheck.from_json(each) for each in seen.get("checks", ())]
    words += [
        f"{_count(found, 'check')} {verdict}"
        for verdict in (PASSED, FAILED, RUNNING)
        if (found := _with(checks, verdict))
    ]
    if review := str(seen.get("review") or "").replace("_", " ").lower():
        words.append(review)
    return ", ".join(words)


def _with(checks: Iterable[PullRequestCheck], verdict: str) -> int:
    return sum(check.verdict == verdict for check in checks)
