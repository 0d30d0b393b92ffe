"""Claude Code in a rehearsal. Source: requests and settings of claude 2.1.197."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from at_session.rehearsal.replies import Cut, Refuse, ToolUse


class ClaudeRehearsal:
    """Claude Code takes all it needs from the environment."""

    cli = "claude"
    counts_hidden_requests = False
    tells_reset = True
    limit_seconds = 20
    silent_retries = 0
    tells_cut = False
    notices_cut_after_tool = True

    def settle(self, home: Path, folder: Path, url: str) -> Mapping[str, str]:
        """Nothing is written: there are no first-start dialogs without a terminal."""
        return {
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_API_KEY": "sk-ant-rehearsal-0123456789",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }

    def subscribed(self) -> Mapping[str, str]:
        """A subscription's token: only with one do limits carry a reset, and is a 429 not tried again."""
        return {"ANTHROPIC_API_KEY": "", "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-rehearsal"}

    def write(self, path: str, text: str) -> ToolUse:
        """Its Write tool."""
        return ToolUse("Write", {"file_path": path, "content": text})

    def edit(self, path: str, old: str, new: str) -> tuple[tuple[ToolUse, ...], ...]:
        """A file must be read before it may be edited."""
        change = {"file_path": path, "old_string": old, "new_string": new}
        return (ToolUse("Read", {"file_path": path}),), (ToolUse("Edit", change),)

    def command(self, command: str) -> ToolUse:
        """Its Bash tool; a few commands that only read are not asked for."""
        return ToolUse("Bash", {"command": command})

    def question(self, question: str, options: tuple[str, ...]) -> ToolUse | None:
        """Its AskUserQuestion tool."""
        listed = [{"label": option, "description": option} for option in options]
        asked = {"question": question, "header": "Choice", "multiSelect": False, "options": listed}
        return ToolUse("AskUserQuestion", {"questions": [asked]})

    def slow_down(self) -> Refuse:
        """429 with a short `retry-after`."""
        return Refuse(429, "rate_limit_error", "Slow down.", retry_after=1)

    def quota(self, reset_at: int) -> Refuse:
        """The headers of a subscription's limit, which carry the time of its reset."""
        return Refuse(
            429,
            "rate_limit_error",
            "This request would exceed your account's rate limit. Please try again later.",
            retry_after=3600,
            headers={
                "anthropic-ratelimit-unified-status": "rejected",
                "anthropic-ratelimit-unified-reset": str(reset_at),
                "anthropic-ratelimit-unified-representative-claim": "five_hour",
            },
        )

    def cut_between_events(self) -> Cut:
        """Within the block of text."""
        return Cut("Half a sen")

    def login_refused(self) -> Refuse:
        """401."""
        return Refuse(401, "authentication_error", "invalid x-api-key")

    def broken(self) -> Refuse:
        """500."""
        return Refuse(500, "api_error", "Internal server error")

    def too_long(self) -> Refuse:
        """400, with the words by which the CLI knows it."""
        return Refuse(400, "invalid_request_error", "prompt is too long: 300000 tokens > 200000 maximum")
