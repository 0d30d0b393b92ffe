"""How full Claude's context is: figures of the conversation's newest answer, against the window that a turn's `result` names.

The CLI tells the window of each model that it used, once a turn ends; until then there is none, and none is guessed: it
depends on the plan and on the model's variant. That is a part of the name there (`claude-opus-4-8[1m]`), and not in an
answer. Source: lines of claude 2.1.197.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from at_session.drivers.jsonlines import Object, count_of, object_of, text_of
from at_session.vocabulary import ContextUsed

SOURCE = "claude usage of the newest answer, contextWindow of its result line"
_OF_A_PROMPT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_KEPT = "windows"

Values = dict[str, Any]


def kept(values: Mapping[str, Any]) -> Values:
    """What outlives a process."""
    return {_KEPT: values[_KEPT]} if _KEPT in values else {}


def answered(values: Values, message: Object) -> list[ContextUsed]:
    """An answer of the conversation itself, not of an inner agent; one message may come in several pieces."""
    usage = object_of(message.get("usage"))
    used = sum(count_of(usage.get(name)) for name in _OF_A_PROMPT)
    newest = {"used": used, "model": text_of(message.get("model"))}
    if not used or values.get("context") == newest:
        return []
    values["context"] = newest
    return _told(values)


def turn_ended(values: Values, result: Object) -> list[ContextUsed]:
    """What the end of a turn adds: the windows."""
    by_model = object_of(result.get("modelUsage"))
    sizes = {model: count_of(object_of(each).get("contextWindow")) for model, each in by_model.items()}
    known = object_of(values.get(_KEPT))
    values[_KEPT] = {**known, **{model: size for model, size in sizes.items() if size}}
    return _told(values) if values[_KEPT] != known else []


def _told(values: Values) -> list[ContextUsed]:
    newest, windows = object_of(values.get("context")), object_of(values.get(_KEPT))
    model = text_of(newest.get("model"))
    # The session's own name of the model comes first: an inner agent may use another variant of it.
    session = values.get("session") or ["", ""]
    names = [name for name in (session[1], model, *windows) if _plain(name) == _plain(model)]
    size = next((count_of(windows[name]) for name in names if name in windows), 0)
    return [ContextUsed(count_of(newest.get("used")), size, model or None, SOURCE)] if newest and size else []


def _plain(model: str) -> str:
    """The name without its variant."""
    return model.partition("[")[0]
