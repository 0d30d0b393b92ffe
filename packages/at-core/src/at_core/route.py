"""What an operation of the API is; the operations are in `at_core.api`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Answer(StrEnum):
    """The form of a response."""

    JSON = "application/json"
    TEXT = "text/plain; charset=utf-8"
    BYTES = "application/octet-stream"
    EVENTS = "text/event-stream"
    SOCKET = "websocket"


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `request` names its body's dataclass, `query` its parameters with their kinds.

    With `takes_id` the caller names what is to be made, so that an order sent twice makes it once.
    """

    name: str
    method: str
    path: str
    about: str
    request: str | None = None
    query: tuple[tuple[str, type], ...] = ()
    answer: Answer = Answer.JSON
    takes_id: bool = False

    @property
    def body(self) -> type | None:
        """The request's dataclass."""
        return None if self.request is None else _request(self.request)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in the path's braces."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


def _request(name: str) -> Any:
    from at_core import requests

    return getattr(requests, name)
