"""OpenCode's requests for a decision: what to show a person, and the answer as a request of its API.

Source: `permission.asked` and `question.asked` events and their replies, seen with opencode 1.18.33.
"""

from __future__ import annotations

import json

from at_session.drivers.commands import argument_list
from at_session.drivers.jsonlines import Object, object_of, objects_of, text_of
from at_session.vocabulary import AskKind, AskOpened, Decision

_REFUSED = "The person said no."
_PATHS = ("filePath", "path", "pattern", "url", "query", "description")


def permission(asked: Object) -> AskOpened:
    """A permission as a person should see it."""
    request_id, name = text_of(asked.get("id")), text_of(asked.get("permission"))
    metadata = object_of(asked.get("metadata"))
    patterns = [text_of(each) for each in _list(asked.get("patterns"))]
    command, diff = text_of(metadata.get("command")), text_of(metadata.get("diff"))
    if name == "bash" and command:
        return AskOpened(request_id, AskKind.COMMAND, command, tool=name, argv=argument_list(command))
    if name == "edit" and diff:
        return AskOpened(request_id, AskKind.EDIT, diff, tool=name)
    given = command or (_compact(metadata) if metadata else "")
    what = " ".join(each for each in (name, ", ".join(patterns), given) if each)
    return AskOpened(request_id, AskKind.EDIT if name == "edit" else AskKind.TOOL, what, tool=name)


def question(asked: Object) -> AskOpened:
    """A question with its options."""
    lines: list[str] = []
    for each in objects_of(asked.get("questions")):
        lines.append(text_of(each.get("question")))
        for number, option in enumerate(objects_of(each.get("options")), start=1):
            label, about = text_of(option.get("label")), text_of(option.get("description"))
            lines.append(f"  {number}. {label}{f' ({about})' if about not in ('', label) else ''}")
    return AskOpened(text_of(asked.get("id")), AskKind.QUESTION, "\n".join(lines), tool="question")


def reply(request_id: str, questions: list[Object] | None, decision: Decision) -> tuple[str, Object]:
    """Path and body of an answer. `questions` are None for a permission.

    A refusal carries words: without them the CLI ends the turn. That of a question is an answer.
    """
    if questions is None:
        said = (
            {"reply": "once"}
            if decision.approve
            else {"reply": "reject", "message": decision.text or _REFUSED}
        )
        return f"/permission/{request_id}/reply", said
    if not decision.approve:
        # Rejecting it would end the turn.
        return f"/question/{request_id}/reply", {"answers": [[decision.text or _REFUSED]] * len(questions)}
    return f"/question/{request_id}/reply", {"answers": _answers(questions, decision.text)}


def _answers(questions: list[Object], text: str) -> list[list[str]]:
    """One line per question where there are as many; else the whole text answers each. A number picks an option."""
    lines = text.splitlines()
    texts = lines if len(lines) == len(questions) else [text] * len(questions)
    answers: list[list[str]] = []
    for question_, chosen in zip(questions, texts, strict=True):
        labels = [text_of(option.get("label")) for option in objects_of(question_.get("options"))]
        number = int(chosen) if chosen.strip().isdecimal() and len(chosen) < 4 else 0
        answers.append([labels[number - 1] if 0 < number <= len(labels) else chosen])
    return answers


def summary(given: Object) -> str:
    """A tool call in one string: the exact command, the path, or the input."""
    for name in ("command", *_PATHS):
        if text_of(given.get(name)):
            return text_of(given[name])
    return _compact(given)


def _compact(given: object) -> str:
    return json.dumps(given, ensure_ascii=False)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
