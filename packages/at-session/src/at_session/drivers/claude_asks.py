"""Claude's requests for a decision: what to show a person, and the answer's wire form.

Source: `control_request` lines of subtype `can_use_tool`, seen with claude 2.1.197.
"""

from __future__ import annotations

import json

from at_session.drivers.commands import argument_list
from at_session.drivers.jsonlines import Object, objects_of, text_of
from at_session.vocabulary import AskKind, AskOpened, Decision

_SHELLS = ("Bash", "PowerShell")
_EDITS = ("Write", "Edit", "MultiEdit", "NotebookEdit")
_QUESTION = "AskUserQuestion"


def opened(request_id: str, tool: str, given: Object) -> AskOpened:
    """The ask as a person should see it."""
    command = text_of(given.get("command"))
    if tool in _SHELLS and command:
        return AskOpened(request_id, AskKind.COMMAND, command, tool=tool, argv=argument_list(command))
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
    path = text_of(given.get("file_path")) or text_of(given.get("notebook_path"))
    changes = objects_of(given.get("edits")) or [given]
    lines = [path]
    for change in changes:
        old = text_of(change.get("old_string"))
        new = text_of(change.get("new_string" if tool in ("Edit", "MultiEdit") else "content"))
        new = new or text_of(change.get("new_source"))
        lines += [f"-{line}" for line in old.splitlines()] + [f"+{line}" for line in new.splitlines()]
    return "\n".join(lines)


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


def _compact(given: Object) -> str:
    return json.dumps(given, ensure_ascii=False)
