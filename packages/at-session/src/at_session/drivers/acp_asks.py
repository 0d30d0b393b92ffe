"""`session/request_permission` of the Agent Client Protocol: what to show a person, and the answer's wire form.

Options are chosen by their kind, never by their position: the first one often allows a whole session.
"""

from __future__ import annotations

import difflib
import json
import shlex
from uuid import NAMESPACE_OID, uuid5

from at_session.drivers.commands import argument_list
from at_session.drivers.jsonlines import Object, object_of, objects_of, text_of
from at_session.vocabulary import AskKind, AskOpened

_EDITS = ("edit", "delete", "move")
_DIFF_LIMIT = 200_000
"""Characters beyond which two texts are shown whole; comparing takes time that grows with the square of their lines."""


def request_id_of(rpc_id: int | str, tool_id: str) -> str:
    """A name for a request of the agent that is fit for a write id; numbers begin anew with each process."""
    name = f"{rpc_id}:{tool_id}" if tool_id else str(rpc_id)
    plain = len(name) <= 150 and all(32 < ord(character) < 127 for character in name)
    return name if plain else str(uuid5(NAMESPACE_OID, name))


def opened(request_id: str, tool: str, tool_call: Object, options: list[Object]) -> AskOpened:
    """The ask as a person should see it; it says so if approving can only be done for more than once."""
    kind, what = _meaning(tool_call)
    words = _words(tool_call)
    argv = words or argument_list(what) if kind is AskKind.COMMAND else None
    if option(options, approve=True) is not None and not _has(options, "allow_once"):
        what, argv = f"[approving allows it for good] {what}", None
    return AskOpened(request_id, kind, what, tool=tool, argv=argv)


def option(options: list[Object], *, approve: bool) -> str | None:
    """The id of the option that says no more than the decision, or None where there is none."""
    kinds = ("allow_once", "allow_always") if approve else ("reject_once", "reject_always")
    for kind in kinds:
        for each in options:
            if each.get("kind") == kind and text_of(each.get("optionId")):
                return text_of(each["optionId"])
    return None


def outcome(option_id: str | None) -> Object:
    """The `result` of an answer; without an option the request is cancelled."""
    if option_id is None:
        return {"outcome": {"outcome": "cancelled"}}
    return {"outcome": {"outcome": "selected", "optionId": option_id}}


def tool_kind(tool_call: Object) -> str:
    """The kind of a tool."""
    return text_of(tool_call.get("kind")) or "other"


def summary(tool_call: Object) -> str:
    """A tool call in one string: the exact command, the path, or its title."""
    command = _command(tool_call)
    if command:
        return command
    for place in objects_of(tool_call.get("locations")):
        if text_of(place.get("path")):
            return text_of(place["path"])
    return text_of(tool_call.get("title")) or _compact(tool_call.get("rawInput"))


def output(update: Object) -> str:
    """The texts of a tool call's content, else its raw output."""
    texts = []
    for item in objects_of(update.get("content")):
        if item.get("type") == "content":
            texts.append(text_of(object_of(item.get("content")).get("text")))
    raw = update.get("rawOutput")
    return "\n".join(text for text in texts if text) or (raw if isinstance(raw, str) else "")


def _meaning(tool_call: Object) -> tuple[AskKind, str]:
    diffs = [item for item in objects_of(tool_call.get("content")) if item.get("type") == "diff"]
    if diffs:
        return AskKind.EDIT, "\n".join(map(_diff, diffs))
    if tool_call.get("kind") == "execute":
        return AskKind.COMMAND, _command(tool_call) or summary(tool_call)
    if tool_call.get("kind") in _EDITS:
        return AskKind.EDIT, summary(tool_call)
    title, raw = text_of(tool_call.get("title")), _compact(tool_call.get("rawInput"))
    return AskKind.TOOL, f"{title} {raw}".strip() or summary(tool_call)


def _command(tool_call: Object) -> str:
    if tool_call.get("kind") != "execute":
        return ""
    command = text_of(object_of(tool_call.get("rawInput")).get("command"))
    return shlex.join(_words(tool_call)) or command or text_of(tool_call.get("title"))


def _words(tool_call: Object) -> tuple[str, ...]:
    """The arguments of a command that comes as a list of them."""
    command = object_of(tool_call.get("rawInput")).get("command")
    if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
        return ()
    return tuple(command)


def _diff(item: Object) -> str:
    old, new = text_of(item.get("oldText")), text_of(item.get("newText"))
    before, after = old.splitlines(), new.splitlines()
    if len(old) + len(new) > _DIFF_LIMIT:
        changed = [f"-{line}" for line in before] + [f"+{line}" for line in after]
    else:
        changed = list(difflib.unified_diff(before, after, lineterm="", n=3))[2:]
    return "\n".join([text_of(item.get("path")), *changed])


def _has(options: list[Object], kind: str) -> bool:
    return any(each.get("kind") == kind for each in options)


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if value else ""
