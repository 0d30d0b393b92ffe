"""Items and requests of Codex: what a tool call says in one string, what to show a person, how an answer is worded.

Source: the schema that `codex app-server generate-json-schema` of 0.169.0 prints, and runs of it.
"""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import dataclass

from at_session.drivers.commands import argument_list
from at_session.drivers.jsonlines import Object, object_of, objects_of, text_of
from at_session.vocabulary import AskKind, AskOpened, Decision

COMMAND = "item/commandExecution/requestApproval"
EDIT = "item/fileChange/requestApproval"
PERMISSIONS = "item/permissions/requestApproval"
QUESTION = "item/tool/requestUserInput"
FORM = "mcpServer/elicitation/request"
ASKS = (COMMAND, EDIT, PERMISSIONS, QUESTION, FORM)

_SHELLS = ("bash", "zsh", "sh", "dash")
_NO_TOOLS = (
    *("userMessage", "agentMessage", "reasoning", "plan", "hookPrompt"),
    *("contextCompaction", "enteredReviewMode", "exitedReviewMode"),
)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call as an item tells it; `output` and `ok` count once it is over."""

    id: str
    name: str
    what: str
    declined: bool
    ok: bool
    output: str


def tool_call(item: Object) -> ToolCall | None:
    """The tool call of an item, None if it is something else."""
    kind, status = text_of(item.get("type")), item.get("status")
    if not kind or kind in _NO_TOOLS:
        return None
    name, what, output, ok = kind, _compact(item), "", status in (None, "completed")
    if kind == "commandExecution":
        name, what = "exec_command", script_of(text_of(item.get("command")))
        output, ok = text_of(item.get("aggregatedOutput")), ok and item.get("exitCode") in (0, None)
    elif kind == "fileChange":
        name, what = "apply_patch", ", ".join(text_of(each.get("path")) for each in _changes(item))
    elif kind in ("mcpToolCall", "dynamicToolCall"):
        server = text_of(item.get("server")) or text_of(item.get("namespace"))
        name = ".".join(each for each in (server, text_of(item.get("tool"))) if each)
        what, output = _compact(item.get("arguments")), _result(item)
        ok = ok and not item.get("error")
    elif kind in ("webSearch", "imageView"):
        what = text_of(item.get("query")) or text_of(item.get("path"))
    return ToolCall(text_of(item.get("id")), name, what, status == "declined", ok, output)


def script_of(command: str) -> str:
    """The command as the model gave it: the CLI tells it wrapped into a call of the person's shell."""
    try:
        words = shlex.split(command)
    except ValueError:
        return command
    wrapped = len(words) == 3 and os.path.basename(words[0]) in _SHELLS and words[1] in ("-lc", "-c")
    return words[2] if wrapped else command


def change_shown(item: Object) -> str:
    """The whole change of a `fileChange` item: each path with its lines, as a diff has them."""
    lines: list[str] = []
    for change in _changes(item):
        kind = object_of(change.get("kind"))
        moved = text_of(kind.get("move_path"))
        lines.append(f"{text_of(change.get('path'))}{f' -> {moved}' if moved else ''}")
        mark = {"add": "+", "delete": "-"}.get(text_of(kind.get("type")), "")
        lines += [f"{mark}{line}" for line in text_of(change.get("diff")).splitlines()]
    return "\n".join(lines)


def opened(request_id: str, method: str, given: Object, folder: str, change: str) -> AskOpened:
    """A request as a person should see it; `change` is what the item of an edit was seen to say."""
    if method == COMMAND:
        return _command(request_id, given, folder)
    if method == EDIT:
        root = text_of(given.get("grantRoot"))
        shown = [f"[may write below {root} from now on]"] if root else []
        what = "\n".join([*shown, change or f"[a change that was not shown] {_compact(given)}"])
        return AskOpened(request_id, AskKind.EDIT, what, tool="apply_patch")
    if method == QUESTION:
        return AskOpened(request_id, AskKind.QUESTION, _questions(given), tool="request_user_input")
    if method == FORM:
        kind = AskKind.QUESTION if _fields(given) else AskKind.TOOL
        return AskOpened(request_id, kind, _form(given), tool=_tool_of_form(given))
    what = f"{text_of(given.get('reason'))} {_compact(given.get('permissions'))}".strip()
    return AskOpened(request_id, AskKind.TOOL, what, tool="request_permissions")


def answer(method: str, given: Object, decision: Decision) -> Object:
    """The `result` of an answer."""
    if method == QUESTION:
        return {"answers": _answers(given, decision.text) if decision.approve else {}}
    if method == FORM:
        filled = {"action": "accept", "content": _filled(given, decision.text)}
        return filled if decision.approve else {"action": "decline", "content": None}
    if method == PERMISSIONS:
        return {
            "permissions": object_of(given.get("permissions")) if decision.approve else {},
            "scope": "turn",
        }
    return {"decision": "accept" if decision.approve else "decline"}


def _command(request_id: str, given: Object, folder: str) -> AskOpened:
    command, more = script_of(text_of(given.get("command"))), []
    if (kind := text_of(given.get("kind"))) not in ("", "command"):
        more.append(kind)
    if network := object_of(given.get("networkApprovalContext")):
        more.append(f"network: {text_of(network.get('protocol'))}://{text_of(network.get('host'))}")
    if (cwd := text_of(given.get("cwd"))) not in ("", folder):
        more.append(f"in {cwd}")
    if extra := object_of(given.get("additionalPermissions")):
        more.append(f"permissions: {_compact(extra)}")
    shown = f"[{', '.join(more)}] {command}" if more else command
    # A rule made of the words alone would match what was never approved.
    argv = None if more else argument_list(command)
    return AskOpened(request_id, AskKind.COMMAND, shown.strip(), tool="exec_command", argv=argv)


def _questions(given: Object) -> str:
    lines: list[str] = []
    for question in objects_of(given.get("questions")):
        lines.append(text_of(question.get("question")))
        for number, option in enumerate(objects_of(question.get("options")), start=1):
            about = text_of(option.get("description"))
            lines.append(f"  {number}. {text_of(option.get('label'))}{f' ({about})' if about else ''}")
    return "\n".join(lines)


def _answers(given: Object, text: str) -> Object:
    """One line per question where there are as many; else the whole text answers each. A number picks an option."""
    questions = objects_of(given.get("questions"))
    answers: Object = {}
    for question, chosen in zip(questions, _parts(text, len(questions)), strict=True):
        labels = [text_of(option.get("label")) for option in objects_of(question.get("options"))]
        answers[text_of(question.get("id"))] = {"answers": [_picked(chosen, labels)]}
    return answers


def _picked(chosen: str, labels: list[str]) -> str:
    number = int(chosen) if chosen.strip().isdecimal() and len(chosen) < 4 else 0
    return labels[number - 1] if 0 < number <= len(labels) else chosen


def _parts(text: str, count: int) -> list[str]:
    lines = text.splitlines()
    return lines if len(lines) == count else [text] * count


def _fields(given: Object) -> dict[str, Object]:
    properties = object_of(object_of(given.get("requestedSchema")).get("properties"))
    return {name: object_of(each) for name, each in properties.items()}


def _tool_of_form(given: Object) -> str:
    """Server and tool of a form that asks for a tool's approval, else the server alone."""
    names = (given.get("serverName"), object_of(given.get("_meta")).get("tool_name"))
    return ".".join(filter(None, map(text_of, names))) or "mcp"


def _form(given: Object) -> str:
    meta = object_of(given.get("_meta"))
    if meta.get("tool_name"):
        return f"{_tool_of_form(given)} {_compact(meta.get('tool_params'))}"
    lines = [text_of(given.get("message")), text_of(given.get("url"))]
    for name, field in _fields(given).items():
        about = text_of(field.get("title")) or text_of(field.get("description"))
        options = field.get("enum")
        lines.append(f"  {name}{f' ({about})' if about else ''}{f': {_compact(options)}' if options else ''}")
    return "\n".join(line for line in lines if line)


def _filled(given: Object, text: str) -> Object:
    fields = _fields(given)
    return dict(zip(fields, _parts(text, len(fields)), strict=True))


def _changes(item: Object) -> list[Object]:
    return objects_of(item.get("changes"))


def _result(item: Object) -> str:
    if error := object_of(item.get("error")):
        return text_of(error.get("message"))
    blocks = objects_of(object_of(item.get("result")).get("content")) or objects_of(item.get("contentItems"))
    return "\n".join(text_of(block.get("text")) for block in blocks)


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
