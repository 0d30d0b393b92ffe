"""What differs between the CLIs in a rehearsal: how one is pointed at the endpoint, and what its tools are called.

One module per CLI, loaded when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Protocol

from at_session.errors import UnknownCli
from at_session.rehearsal.replies import Cut, Refuse, ToolUse

_CLASSES = {
    "claude": "ClaudeRehearsal",
    "codex": "CodexRehearsal",
    "gemini": "GeminiRehearsal",
    "opencode": "OpenCodeRehearsal",
}
CLIS = tuple(_CLASSES)


class RehearsedCli(Protocol):
    """One CLI's settings, tools and errors, in the words that the real vendor's endpoint would use."""

    cli: str
    counts_hidden_requests: bool
    """Whether the CLI's own figures hold the requests that it makes for itself (titles, summaries)."""

    tells_reset: bool
    """Whether the refusal of `quota` makes the CLI tell when the limit is over."""
    limit_seconds: int
    """How long a limit of a rehearsal lasts: long enough that the CLI takes it for one and does not wait itself."""

    silent_retries: int
    """How many failed requests in a row it tries again without a word, before it tells of the next one."""
    tells_cut: bool
    """Whether it tells that it asks again for an answer that was cut."""
    notices_cut_after_tool: bool
    """Whether it asks again when the answer to a tool's result is cut between two events, or takes it for a whole one."""

    def settle(self, home: Path, folder: Path, url: str) -> Mapping[str, str]:
        """Write the CLI's settings below a throw-away home and give the environment variables to add.

        `folder` is the top folder below which the CLI will work, `url` the endpoint's base address without a path.
        """

    def subscribed(self) -> Mapping[str, str]:
        """Environment variables to add where the login is to be one whose limits tell their reset."""

    def write(self, path: str, text: str) -> ToolUse:
        """The call that writes a whole file."""

    def edit(self, path: str, old: str, new: str) -> tuple[tuple[ToolUse, ...], ...]:
        """The calls that replace a text in an existing file, one inner tuple per model response."""

    def command(self, command: str) -> ToolUse:
        """A call that runs a shell command and is asked for under `edits`."""

    def question(self, question: str, options: tuple[str, ...]) -> ToolUse | None:
        """A call that asks the person, or None where the CLI has no such tool."""

    def slow_down(self) -> Refuse:
        """A rate limit that passes: the CLI tries again by itself."""

    def quota(self, reset_at: int) -> Refuse:
        """A hard usage limit that is over at an epoch second, told as far as the vendor tells it."""

    def cut_between_events(self) -> Cut:
        """An answer that breaks off where an event of its stream is over and the answer is not."""

    def login_refused(self) -> Refuse:
        """A key that is not accepted."""

    def broken(self) -> Refuse:
        """A server error."""

    def too_long(self) -> Refuse:
        """The conversation does not fit into the model's context."""


def rehearsed(cli: str) -> RehearsedCli:
    """The rehearsal of a CLI. Raises UnknownCli, which lists the known ones."""
    if cli not in _CLASSES:
        raise UnknownCli(cli, CLIS)
    found: RehearsedCli = getattr(import_module(f"{__name__}.{cli}"), _CLASSES[cli])()
    return found
