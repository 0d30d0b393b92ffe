"""Codex's own record of a thread: which prompts it has, what each turn spent and how it ended.

One file a thread, `sessions/YYYY/MM/DD/rollout-<time>-<thread>.jsonl` in the CLI's folder, one object a line. Each response
of the model that was complete has a `token_usage_record` of its own. Source: files of codex 0.169.0.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from at_session import foreign_files
from at_session.drivers import jsonlines
from at_session.drivers.codex_errors import kind_of, words_of
from at_session.drivers.jsonlines import Object, count_of, object_of, objects_of, text_of
from at_session.vocabulary import TurnEnded, TurnOutcome, Unparsed

Spent = dict[str, int]

_THREAD = re.compile(r"[0-9a-fA-F-]{8,64}")
WANTED = (
    b'"client_id"',
    b'"token_usage_record"',
    b'"task_complete"',
    b'"turn_aborted"',
    b'"role":"user"',
)


@dataclass(slots=True)
class Rollout:
    """What the record of a thread says. `unnamed` is the digest of a last prompt whose id had not been written yet."""

    prompts: dict[str, str] = field(default_factory=dict)
    """Message id to the turn that took it, oldest first."""
    spent: dict[str, Spent] = field(default_factory=dict)
    ends: dict[str, TurnEnded] = field(default_factory=dict)
    unnamed: str | None = None


def find(home: Path, thread: str) -> Path | None:
    """The file of a thread, None if there is none."""
    if not _THREAD.fullmatch(thread):
        return None
    for pattern in (
        f"sessions/*/*/*/rollout-*-{thread}.jsonl",
        f"archived_sessions/rollout-*-{thread}.jsonl",
    ):
        for path in home.glob(pattern):
            return path
    return None


def read(path: Path) -> Rollout:
    """Everything at once; lines that are no objects are passed over. Raises OSError."""
    found = Rollout()
    for line in _lines(path):
        payload = object_of(line.get("payload"))
        kind = text_of(line.get("type"))
        if kind == "token_usage_record":
            _add(found, payload)
        elif kind == "response_item" and payload.get("role") == "user":
            texts = [text_of(block.get("text")) for block in objects_of(payload.get("content"))]
            found.unnamed = digest("".join(texts))
        elif kind == "event_msg":
            _event(found, payload)
    return found


def digest(text: str) -> str:
    """A prompt's mark in the driver's state, which need not hold the whole text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def figures(usage: Object) -> Spent:
    """Tokens of the CLI's own usage object, of the protocol or the record; its input includes cache reads."""
    given = count_of(usage.get("inputTokens")) or count_of(usage.get("input_tokens"))
    cached = count_of(usage.get("cachedInputTokens")) or count_of(usage.get("cached_input_tokens"))
    output = count_of(usage.get("outputTokens")) or count_of(usage.get("output_tokens"))
    return {"input": max(0, given - cached), "cached": cached, "output": output}


def _lines(path: Path) -> Iterator[Object]:
    for line in foreign_files.lines(path):
        if any(word in line for word in WANTED):
            parsed = jsonlines.parse(line)
            if parsed is not None and not isinstance(parsed, Unparsed):
                yield parsed


def _add(found: Rollout, payload: Object) -> None:
    turn, usage = text_of(payload.get("turn_id")), figures(object_of(payload.get("usage")))
    before = found.spent.get(turn, {})
    found.spent[turn] = {name: before.get(name, 0) + tokens for name, tokens in usage.items()}


def _event(found: Rollout, payload: Object) -> None:
    turn, item = text_of(payload.get("turn_id")), object_of(payload.get("item"))
    match payload.get("type"):
        case "item_completed" if item.get("type") == "UserMessage":
            found.unnamed = None
            if message := text_of(item.get("client_id")):
                found.prompts[message] = turn
        case "turn_aborted":
            found.ends[turn] = TurnEnded(TurnOutcome.INTERRUPTED)
        case "task_complete":
            text, error = text_of(payload.get("last_agent_message")), object_of(payload.get("error"))
            found.ends[turn] = (
                TurnEnded(TurnOutcome.FAILED, None, text, kind_of(error), words_of(error))
                if error
                else TurnEnded(TurnOutcome.COMPLETED, text=text)
            )
