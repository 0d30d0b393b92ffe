"""Gemini CLI in a rehearsal. Source: requests and settings of gemini 0.61.0."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

from at_session.rehearsal.replies import Cut, Refuse, ToolUse

_SETTINGS = {
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
    "privacy": {"usageStatisticsEnabled": False},
}


class GeminiRehearsal:
    """Gemini CLI with an API key; its settings only keep it from asking how to log in and from calling home."""

    cli = "gemini"
    counts_hidden_requests = False
    tells_reset = True
    limit_seconds = 20
    silent_retries = 0
    tells_cut = False
    notices_cut_after_tool = False

    def settle(self, home: Path, folder: Path, url: str) -> Mapping[str, str]:
        """One settings file; the endpoint and the key are in the environment."""
        place = home / ".gemini"
        place.mkdir(parents=True, exist_ok=True)
        (place / "settings.json").write_text(json.dumps(_SETTINGS), encoding="utf-8")
        return {"GOOGLE_GEMINI_BASE_URL": url, "GEMINI_API_KEY": "rehearsal-0123456789"}

    def subscribed(self) -> Mapping[str, str]:
        """Nothing to add: what it tells of a limit does not depend on the login."""
        return {}

    def write(self, path: str, text: str) -> ToolUse:
        """Its write_file tool."""
        return ToolUse("write_file", {"file_path": path, "content": text})

    def edit(self, path: str, old: str, new: str) -> tuple[tuple[ToolUse, ...], ...]:
        """Its replace tool needs no read before it."""
        change = {"file_path": path, "old_string": old, "new_string": new, "instruction": "Replace the text."}
        return ((ToolUse("replace", change),),)

    def command(self, command: str) -> ToolUse:
        """Its run_shell_command tool."""
        return ToolUse("run_shell_command", {"command": command, "description": "Run it."})

    def question(self, question: str, options: tuple[str, ...]) -> ToolUse | None:
        """None: its ask_user tool has no way out over the Agent Client Protocol."""
        return None

    def slow_down(self) -> Refuse:
        """429 of a quota per minute, with the delay that the API asks for."""
        return Refuse(
            429,
            "RESOURCE_EXHAUSTED:GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
            "You exceeded your current quota, please check your plan and billing details.",
            retry_after=1,
        )

    def quota(self, reset_at: int) -> Refuse:
        """429 in the words for people who are logged in: the limit ends after a time that counts from now.

        The quota per day of an API key (`GenerateRequestsPerDayPerProjectPerModel-FreeTier`) tells nothing of its end.
        """
        left = max(0, reset_at - int(time.time()))
        span = f"{left // 3600}h{left // 60 % 60}m{left % 60}s"
        said = f"You have exhausted your capacity on this model. Your quota will reset after {span}."
        return Refuse(429, "RESOURCE_EXHAUSTED", said)

    def cut_between_events(self) -> Cut:
        """Before the event with the reason of its end."""
        return Cut("Half a sen", after_block=True)

    def login_refused(self) -> Refuse:
        """401; the API gives 400 with `API_KEY_INVALID` for a key that it does not know."""
        return Refuse(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")

    def broken(self) -> Refuse:
        """500."""
        return Refuse(500, "INTERNAL", "An internal error has occurred.")

    def too_long(self) -> Refuse:
        """400, in the API's words."""
        said = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
        return Refuse(400, "INVALID_ARGUMENT", said)
