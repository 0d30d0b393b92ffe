"""Codex CLI in a rehearsal. Source: requests, tools and settings of codex 0.169.0, and the vendor's error bodies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from at_session.rehearsal.replies import Cut, Refuse, ToolUse
from at_session.rehearsal.wires.responses import FREEFORM

# A model that the CLI knows, so that it offers all its tools and does not ask the vendor about it.
MODEL = "gpt-5.5"
# Of retries within a request the CLI tells nothing, only that it begins a stream anew.
REQUEST_RETRIES = 1
_SETTINGS = """\
model = "{model}"
model_provider = "rehearsal"
check_for_update_on_startup = false

[model_providers.rehearsal]
name = "rehearsal"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "OPENAI_API_KEY"
request_max_retries = {retries}
stream_max_retries = 2

[analytics]
enabled = false
"""


class CodexRehearsal:
    """Codex is pointed at the endpoint by a model provider in its settings; its home must not lie in the temp folder."""

    cli = "codex"
    counts_hidden_requests = True
    tells_reset = True
    limit_seconds = 20
    silent_retries = REQUEST_RETRIES
    tells_cut = True
    notices_cut_after_tool = True

    def settle(self, home: Path, folder: Path, url: str) -> Mapping[str, str]:
        """`.codex/config.toml` with a provider of its own."""
        settings = home / ".codex" / "config.toml"
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text(_SETTINGS.format(model=MODEL, url=url, retries=REQUEST_RETRIES), encoding="utf-8")
        return {"OPENAI_API_KEY": "sk-rehearsal-0123456789"}

    def subscribed(self) -> Mapping[str, str]:
        """Nothing to add: what it tells of a limit does not depend on the login."""
        return {}

    def write(self, path: str, text: str) -> ToolUse:
        """Its apply_patch tool, adding a file."""
        lines = [f"*** Add File: {path}", *(f"+{line}" for line in text.splitlines())]
        return _patch(lines)

    def edit(self, path: str, old: str, new: str) -> tuple[tuple[ToolUse, ...], ...]:
        """Its apply_patch tool, which replaces whole lines."""
        lines = [f"*** Update File: {path}", "@@"]
        lines += [f"-{line}" for line in old.splitlines()] + [f"+{line}" for line in new.splitlines()]
        return ((_patch(lines),),)

    def command(self, command: str) -> ToolUse:
        """A command that is to run outside the sandbox; one that stays inside is not asked for."""
        given = {"cmd": command, "sandbox_permissions": "require_escalated", "justification": "May it run?"}
        return ToolUse("exec_command", given)

    def question(self, question: str, options: tuple[str, ...]) -> ToolUse | None:
        """Its request_user_input tool, which a driver has to switch on."""
        listed = [{"label": option, "description": option} for option in options]
        asked = {"id": "choice", "header": "Choice", "question": question, "options": listed}
        return ToolUse("request_user_input", {"questions": [asked]})

    def slow_down(self) -> Refuse:
        """429 with a short `retry-after`."""
        return Refuse(
            429, "rate_limit_exceeded", "Rate limit reached. Please try again in 1s.", retry_after=1
        )

    def quota(self, reset_at: int) -> Refuse:
        """The limit of a subscription: its headers carry the used part of each window and when it begins anew."""
        return Refuse(
            429,
            "usage_limit_reached",
            "The usage limit has been reached",
            headers={
                "x-codex-primary-used-percent": "100",
                "x-codex-primary-window-minutes": "300",
                "x-codex-primary-reset-at": str(reset_at),
            },
        )

    def cut_between_events(self) -> Cut:
        """Within the text."""
        return Cut("Half a sen")

    def login_refused(self) -> Refuse:
        """401."""
        return Refuse(401, "invalid_api_key", "Incorrect API key provided: sk-rehea************6789.")

    def broken(self) -> Refuse:
        """500."""
        return Refuse(500, "server_error", "The server had an error while processing your request.")

    def too_long(self) -> Refuse:
        """400, with the code by which the CLI knows it."""
        told = "Your input exceeds the context window of this model. Please adjust your input and try again."
        return Refuse(400, "context_length_exceeded", told)


def _patch(lines: list[str]) -> ToolUse:
    return ToolUse("apply_patch", {FREEFORM: "\n".join(["*** Begin Patch", *lines, "*** End Patch"]) + "\n"})
