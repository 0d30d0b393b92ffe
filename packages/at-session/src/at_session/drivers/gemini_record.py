"""Gemini CLI's own record of a session: `~/.gemini/tmp/<folder>/chats/session-<time>-<first 8 of the id>.jsonl`.

Source: files of gemini 0.61.0. A line is a message, a patch (`{"$set": …}`) or the session's header. A message is
appended again with the same id when it changes. The tokens of a complete model response stand in one message, once;
inner agents have files of their own in a folder named after the session.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from at_session import foreign_files
from at_session.drivers import jsonlines
from at_session.drivers.jsonlines import Object, count_of, object_of, objects_of, optional_text, text_of
from at_session.vocabulary import Unparsed, Usage

_IDS_KEPT = 20
_CHATS = "chats"


@dataclass(slots=True)
class RecordNews:
    """What was added to a record: figures by model, and the texts of a person's messages as digests, in order.

    `without_figures` says that there were answers and none had figures, as from an endpoint that gives none.
    """

    usage: dict[str, Usage] = field(default_factory=dict)
    prompts: list[str] = field(default_factory=list)
    answers: int = 0
    context: tuple[int, str] | None = None
    """Tokens of the newest response's prompt, and its model; inner agents' are none."""

    @property
    def without_figures(self) -> bool:
        return self.answers > 0 and not self.usage


def digest(text: str) -> str:
    """A prompt's text as it is looked for in a record."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def read(env: Mapping[str, str], session_id: str, seen: dict[str, Any]) -> RecordNews:
    """What the record holds beyond what was read before; `seen` keeps how far, as plain JSON values.

    Raises OSError if a file cannot be read.
    """
    news = RecordNews()
    if len(session_id) < 8 or not session_id.replace("-", "").isalnum():
        return news
    for file in _files(env, session_id):
        place: Object = seen.setdefault(f"{file.parent.name}/{file.name}", {"offset": 0, "ids": []})
        for line in _added(file, place):
            message = jsonlines.parse(line)
            if message is not None and not isinstance(message, Unparsed):
                _take(message, place, news, own=file.parent.name == _CHATS)
    return news


def _files(env: Mapping[str, str], session_id: str) -> Iterator[Path]:
    home = env.get("GEMINI_CLI_HOME") or env.get("HOME") or str(Path.home())
    for chats in sorted(Path(home, ".gemini", "tmp").glob(f"*/{_CHATS}")):
        for file in sorted(chats.glob(f"session-*-{session_id[:8]}.jsonl")):
            header = jsonlines.parse(next(foreign_files.lines(file), b""))
            if isinstance(header, dict) and header.get("sessionId") == session_id:
                yield file
        yield from sorted(chats.glob(f"*{session_id}/*.jsonl"))


def _added(file: Path, place: Object) -> Iterator[bytes]:
    """Whole lines after the offset; a file that became shorter was written anew and has nothing new in it."""
    offset = min(count_of(place.get("offset")), foreign_files.size(file))
    for line in foreign_files.lines(file, offset=offset):
        if line.endswith(b"\n"):
            offset += len(line)
            yield line
    place["offset"] = offset


def _take(message: Object, place: Object, news: RecordNews, *, own: bool) -> None:
    if message.get("type") == "user":
        texts = [text_of(part.get("text")) for part in objects_of(message.get("content")) if "text" in part]
        if texts:
            news.prompts.append(digest(texts[-1]))
    tokens, message_id = object_of(message.get("tokens")), text_of(message.get("id"))
    if message.get("type") != "gemini":
        return
    news.answers += bool(message.get("content"))
    if not tokens or message_id in place["ids"]:
        return
    place["ids"] = [*place["ids"], message_id][-_IDS_KEPT:]
    model = text_of(message.get("model"))
    usage = _usage(tokens, model)
    news.usage[model] = _sum(news.usage.get(model), usage)
    if own and (used := usage.input_tokens + usage.cached_tokens):
        news.context = (used, model)


def _usage(tokens: Object, model: str) -> Usage:
    """Its `input` has the cached tokens in it; thoughts are output that is told apart."""
    cached = count_of(tokens.get("cached"))
    return Usage(
        input_tokens=max(0, count_of(tokens.get("input")) - cached) + count_of(tokens.get("tool")),
        cached_tokens=cached,
        output_tokens=count_of(tokens.get("output")) + count_of(tokens.get("thoughts")),
        requests=1,
        model=optional_text(model),
    )


def _sum(before: Usage | None, now: Usage) -> Usage:
    if before is None:
        return now
    return Usage(
        before.input_tokens + now.input_tokens,
        before.cached_tokens + now.cached_tokens,
        before.output_tokens + now.output_tokens,
        requests=(before.requests or 0) + (now.requests or 0),
        model=now.model,
    )
