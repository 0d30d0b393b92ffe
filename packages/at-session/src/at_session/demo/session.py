"""What the demo agent remembers of a session between its processes: one JSON file, replaced atomically.

A step is recorded after it was done and a stream's line before it is printed, so a process that is killed at any
instant neither does a finished step again nor prints a number twice.
"""

from __future__ import annotations

import json
import os

_FINISHED_KEPT = 200


def is_stored(folder: str, session_id: str) -> bool:
    """Whether there was a process of this session."""
    return os.path.exists(_path(folder, session_id))


def _path(folder: str, session_id: str) -> str:
    return os.path.join(folder, f"demo-{session_id}.json")


class DemoSession:
    """State of one session. `current` is the scenario that has begun and has not ended."""

    __slots__ = (
        "_path",
        "current",
        "finished",
        "id",
        "line",
        "queue",
        "resumed",
        "starts",
        "tokens",
        "turns",
    )

    def __init__(self, folder: str, session_id: str) -> None:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self._path = _path(folder, session_id)
        self.id = session_id
        self.starts = 0
        self.turns = 0
        self.line = 0
        self.tokens = 0
        self.current: dict[str, object] | None = None
        self.queue: list[dict[str, str]] = []
        self.finished: dict[str, dict[str, object]] = {}
        self.resumed = os.path.exists(self._path)
        if self.resumed:
            self._load()
        self.starts += 1
        self.save()

    def _load(self) -> None:
        with open(self._path, encoding="utf-8") as file:
            stored = json.load(file)
        for name in ("starts", "turns", "line", "tokens", "current", "queue", "finished"):
            setattr(self, name, stored[name])

    def save(self) -> None:
        stored = {
            "starts": self.starts,
            "turns": self.turns,
            "line": self.line,
            "tokens": self.tokens,
            "current": self.current,
            "queue": self.queue,
            "finished": self.finished,
        }
        beside = self._path + ".new"
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(stored, file)
        os.replace(beside, self._path)

    def next_line(self) -> int:
        self.line += 1
        self.save()
        return self.line

    def knows(self, prompt_id: str) -> bool:
        """Whether a prompt was accepted before."""
        if self.current is not None and self.current["prompt"] == prompt_id:
            return True
        return prompt_id in self.finished or any(waiting["id"] == prompt_id for waiting in self.queue)

    def finish(self, prompt_id: str, end: dict[str, object], *, keep_scenario: bool) -> None:
        """The turn's end was printed. A scenario that a usage limit stopped stays, to be gone on with."""
        if not keep_scenario:
            self.current = None
            self.finished[prompt_id] = end
        for oldest in list(self.finished)[:-_FINISHED_KEPT]:
            del self.finished[oldest]
        self.save()
