"""What a wire format must do: read a request and say a reply in its own words. One module per format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from at_session.rehearsal.replies import Refuse, Reply, Tokens


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A request's meaning. `texts` are the user's texts, oldest first, byte for byte as the CLI sent them.

    `auxiliary` is a request that the CLI makes for itself (a title, a summary), not for a turn.
    """

    model: str
    streams: bool
    auxiliary: bool
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pause:
    """Let time pass in the middle of a stream; None is for ever."""

    seconds: float | None


class Wire(Protocol):
    """One wire format. Paths are as requested, query included."""

    def accepts(self, path: str) -> bool:
        """Whether a path is one of its model requests."""

    def aside(self, path: str) -> dict[str, Any] | None:
        """The body of an answer to a path that is no model request, if the format knows it."""

    def read(self, path: str, body: dict[str, Any]) -> ModelRequest:
        """A request's meaning."""

    def error(self, reply: Refuse) -> dict[str, Any]:
        """The body of an HTTP error."""

    def whole(self, request: ModelRequest, reply: Reply, tokens: Tokens, number: int) -> dict[str, Any]:
        """A reply to a request that does not stream."""

    def stream(
        self, request: ModelRequest, reply: Reply, tokens: Tokens, number: int
    ) -> Iterator[bytes | Pause]:
        """A reply as a stream's bytes; it ends early where the connection is to be cut."""
