"""OpenCode in a rehearsal. Source: requests and settings of opencode 1.18.33."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

from at_session.rehearsal.replies import Cut, Refuse, ToolUse

MODEL = "rehearsal/scripted"
# USD per million tokens; the CLI computes its cost from them.
PRICES = {"input": 1, "output": 5, "cache_read": 0.1}
_LIMITS = {"context": 200_000, "output": 8_000}


class OpenCodeRehearsal:
    """OpenCode is pointed at the endpoint by a provider of its own, in the settings of its home."""

    cli = "opencode"
    counts_hidden_requests = True
    tells_reset = True
    limit_seconds = 75
    silent_retries = 0
    tells_cut = True
    notices_cut_after_tool = True

    def settle(self, home: Path, folder: Path, url: str) -> Mapping[str, str]:
        """`opencode.json` with one provider, one model and prices; no traffic but the model's."""
        settings = home / ".config" / "opencode"
        settings.mkdir(parents=True, exist_ok=True)
        model = {"name": "Scripted", "limit": _LIMITS, "cost": PRICES}
        provider = {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Rehearsal",
            "options": {"baseURL": f"{url}/v1", "apiKey": "sk-rehearsal-0123456789"},
            "models": {"scripted": model},
        }
        config = {
            "$schema": "https://opencode.ai/config.json",
            "share": "disabled",
            "model": MODEL,
            "small_model": MODEL,
            "enabled_providers": ["rehearsal"],
            "provider": {"rehearsal": provider},
        }
        (settings / "opencode.json").write_text(json.dumps(config), encoding="utf-8")
        # The catalogue of all models is a few megabytes that each start would read for nothing.
        catalogue = settings / "models.json"
        catalogue.write_text("{}", encoding="utf-8")
        return {
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_MODELS_PATH": str(catalogue),
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        }

    def subscribed(self) -> Mapping[str, str]:
        """Nothing to add: what it tells of a limit does not depend on the login."""
        return {}

    def write(self, path: str, text: str) -> ToolUse:
        """Its write tool."""
        return ToolUse("write", {"filePath": path, "content": text})

    def edit(self, path: str, old: str, new: str) -> tuple[tuple[ToolUse, ...], ...]:
        """A file must be read before it may be edited."""
        change = {"filePath": path, "oldString": old, "newString": new}
        return (ToolUse("read", {"filePath": path}),), (ToolUse("edit", change),)

    def command(self, command: str) -> ToolUse:
        """Its bash tool."""
        return ToolUse("bash", {"command": command, "description": "Run a command"})

    def question(self, question: str, options: tuple[str, ...]) -> ToolUse | None:
        """Its question tool."""
        listed = [{"label": option, "description": option} for option in options]
        return ToolUse(
            "question", {"questions": [{"question": question, "header": "Choice", "options": listed}]}
        )

    def slow_down(self) -> Refuse:
        """429 with a short `retry-after`."""
        return Refuse(429, "requests:rate_limit_exceeded", "Rate limit reached for requests.", retry_after=1)

    def quota(self, reset_at: int) -> Refuse:
        """A rate limit whose `retry-after` is so far away that the driver takes it for a limit with a reset.

        The format itself has no word for it. For 0 it is the quota of the account, whose end nothing tells.
        """
        if not reset_at:
            told = "You exceeded your current quota, please check your plan and billing details."
            return Refuse(429, "insufficient_quota:insufficient_quota", told)
        left = max(0, reset_at - int(time.time()))
        return Refuse(
            429, "requests:rate_limit_exceeded", "Rate limit reached for requests.", retry_after=left
        )

    def cut_between_events(self) -> Cut:
        """Before the reason of its end."""
        return Cut("Half a sen")

    def login_refused(self) -> Refuse:
        """401."""
        return Refuse(
            401, "invalid_request_error:invalid_api_key", "Incorrect API key provided: sk-rehea**6789."
        )

    def broken(self) -> Refuse:
        """500."""
        return Refuse(500, "server_error", "The server had an error while processing your request.")

    def too_long(self) -> Refuse:
        """400, with the code by which the CLI knows it."""
        message = "This model's maximum context length is 200000 tokens. However, your messages resulted in 300000 tokens."
        return Refuse(400, "invalid_request_error:context_length_exceeded", message)
