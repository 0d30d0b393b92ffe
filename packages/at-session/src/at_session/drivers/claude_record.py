"""What Claude Code's own transcript has of a turn whose end was not seen, because its process was killed in it.

A JSON object per line in `projects/<folder>/<session>.jsonl` below the CLI's configuration folder. The lines of one
answer repeat its figures, so they count once per message id. Source: transcripts of claude 2.1.197.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from at_session import foreign_files
from at_session.drivers import jsonlines
from at_session.drivers.jsonlines import Object, count_of, object_of, text_of
from at_session.vocabulary import Usage

_SYNTHETIC = "<synthetic>"


@dataclass(frozen=True, slots=True)
class CutTurn:
    """`known`: the transcript has the prompt, so that a resumed session knows it. `usages` are one per model."""

    known: bool
    usages: tuple[Usage, ...]


def transcripts(env: Mapping[str, str], session_id: str) -> list[Path]:
    """The files that may hold a session's transcript; the CLI names their folder after the working folder."""
    home = env.get("HOME") or os.path.expanduser("~")
    folder = env.get("CLAUDE_CONFIG_DIR") or os.path.join(home, ".claude")
    return sorted(Path(folder, "projects").glob(f"*/{session_id}.jsonl"))


def has_conversation(env: Mapping[str, str], session_id: str) -> bool | None:
    """Whether the CLI's transcript of a session holds a prompt; None if there is no transcript.

    One that cannot be read is taken to hold one: the CLI refuses to begin a session whose transcript is there.
    """
    found = transcripts(env, session_id)
    return any(map(_may_hold_a_prompt, found)) if found else None


def _may_hold_a_prompt(transcript: Path) -> bool:
    try:
        return any(b'"type":"user"' in line for line in foreign_files.lines(transcript))
    except OSError:
        return True


def cut_turn(env: Mapping[str, str], session_id: str, uuid: str) -> CutTurn:
    """What the transcript has of the turn that began with the prompt `uuid`. Raises OSError."""
    for transcript in transcripts(env, session_id):  # an adopted session has the person's own beside ours
        if (turn := read(foreign_files.lines(transcript), uuid)).known:
            return turn
    return CutTurn(known=False, usages=())


def read(lines: Iterable[bytes], uuid: str) -> CutTurn:
    """`cut_turn` of a transcript's lines; one that is no JSON object is passed over, the last may be half a line."""
    known = False
    answers: dict[str, Object] = {}
    for line in lines:
        entry = jsonlines.parse(line)
        if not isinstance(entry, dict):
            continue
        if entry.get("type") == "user" and entry.get("uuid") == uuid:
            known, answers = True, {}
        message = object_of(entry.get("message"))
        if known and entry.get("type") == "assistant" and message.get("model") != _SYNTHETIC:
            answers[text_of(message.get("id"))] = message
    return CutTurn(known, tuple(_usages(answers.values())))


def _usages(answers: Iterable[Object]) -> list[Usage]:
    by_model: dict[str, list[Object]] = {}
    for answer in answers:
        by_model.setdefault(text_of(answer.get("model")), []).append(object_of(answer.get("usage")))
    return [
        Usage(
            input_tokens=_sum(figures, "input_tokens") + _sum(figures, "cache_creation_input_tokens"),
            cached_tokens=_sum(figures, "cache_read_input_tokens"),
            output_tokens=_sum(figures, "output_tokens"),
            model=model or None,
        )
        for model, figures in by_model.items()
    ]


def _sum(figures: Iterable[Object], name: str) -> int:
    return sum(count_of(each.get(name)) for each in figures)
