"""Claude's requests for a decision: what to show a person, and the answer's wire form.

Source: `control_request` lines of subtype `can_use_tool`, seen with claude 2.1.197.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from at_session.drivers.commands import argument_list
from at_session.drivers.jsonlines import Object, objects_of, text_of
from at_session.vocabulary import AskKind, AskOpened, Decision

_SHELLS = ("Bash", "PowerShell")
_EDITS = ("Write", "Edit", "MultiEdit", "NotebookEdit")
_QUESTION = "AskUserQuestion"

# What a command's input may have beside it without doing anything else than the command says.
_HARMLESS = ("command", "description", "timeout")
_OFF = ("dangerouslyDisableSandbox", "replace_all", "run_in_background")
"""Switches that mean nothing when they are false; the CLI sends some of them always."""


def opened(request_id: str, tool: str, given: Object) -> AskOpened:
    """The ask as a person should see it."""
    command = text_of(given.get("command"))
    if tool in _SHELLS and command:
        more = _more(given, _HARMLESS)
        # A rule made of the words alone would match what was never approved.
        argv = None if more else argument_list(command)
        return AskOpened(request_id, AskKind.COMMAND, " ".join([*more, command]), tool=tool, argv=argv)
    if tool in _EDITS:
        return AskOpened(request_id, AskKind.EDIT, _edit(tool, given), tool=tool)
    if tool == _QUESTION:
        return AskOpened(request_id, AskKind.QUESTION, _questions(given), tool=tool)
    return AskOpened(request_id, AskKind.TOOL, f"{tool} {_compact(given)}", tool=tool)


def summary(tool: str, given: Object) -> str:
    """A tool call in one string: the exact command, the path, or the input."""
    for name in ("command", "file_path", "notebook_path"):
        if isinstance(given.get(name), str):
            return text_of(given[name])
    return _compact(given)


def answer(tool: str, given: Object, decision: Decision) -> Object:
    """The `response` of an answer. A yes hands the input back, unchanged but for a question's answers."""
    if not decision.approve:
        return {"behavior": "deny", "message": decision.text or "The person said no."}
    if tool == _QUESTION:
        return {"behavior": "allow", "updatedInput": {**given, "answers": _answers(given, decision.text)}}
    return {"behavior": "allow", "updatedInput": given}


def _edit(tool: str, given: Object) -> str:
    path = "file_path" if text_of(given.get("file_path")) else "notebook_path"
    edits = objects_of(given.get("edits"))
    whole = bool(edits) and edits == given.get("edits")
    shown = ["edits"] if whole else _texts(tool, given)
    lines = [" ".join([text_of(given.get(path)), *_more(given, (path, *shown))])]
    if not whole:
        return "\n".join([*lines, *_changed(tool, given)])
    for change in edits:
        lines += [*_more(change, _texts(tool, change)), *_changed(tool, change)]
    return "\n".join(lines)


def _texts(tool: str, change: Object) -> list[str]:
    names = ("old_string", _new_text(tool, change))
    return [name for name in names if isinstance(change.get(name), str)]


def _changed(tool: str, change: Object) -> list[str]:
    old, new = text_of(change.get("old_string")), text_of(change.get(_new_text(tool, change)))
    return [f"-{line}" for line in old.splitlines()] + [f"+{line}" for line in new.splitlines()]


def _new_text(tool: str, change: Object) -> str:
    name = "new_string" if tool in ("Edit", "MultiEdit") else "content"
    return name if text_of(change.get(name)) else "new_source"


def _more(given: Object, shown: Sequence[str]) -> list[str]:
    """What else the input says, in brackets; empty if there is nothing that is not shown anyway."""
    more = [
        f"{name}: {_compact(value)}"
        for name, value in given.items()
        if name not in shown and not (value is False and name in _OFF)
    ]
    return [f"[{', '.join(more)}]"] if more else []


def _questions(given: Object) -> str:
    lines: list[str] = []
    for question in objects_of(given.get("questions")):
        lines.append(text_of(question.get("question")))
        for number, option in enumerate(objects_of(question.get("options")), start=1):
            about = text_of(option.get("description"))
            lines.append(f"  {number}. {text_of(option.get('label'))}{f' ({about})' if about else ''}")
    return "\n".join(lines)


def _answers(given: Object, text: str) -> dict[str, str]:
    """One line per question where there are as many; else the whole text answers each. A number picks an option."""
    questions = objects_of(given.get("questions"))
    lines = text.splitlines()
    texts = lines if len(lines) == len(questions) else [text] * len(questions)
    answers: dict[str, str] = {}
    for question, chosen in zip(questions, texts, strict=True):
        labels = [text_of(option.get("label")) for option in objects_of(question.get("options"))]
        number = int(chosen) if chosen.strip().isdecimal() and len(chosen) < 4 else 0
        answers[text_of(question.get("question"))] = (
            labels[number - 1] if 0 < number <= len(labels) else chosen
        )
    return answers


def _compact(given: object) -> str:
    return json.dumps(given, ensure_ascii=False)
