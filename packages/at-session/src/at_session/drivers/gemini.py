"""Driver of Gemini CLI over the Agent Client Protocol (`gemini --acp`).

Source: lines, log and record of gemini 0.61.0; what was found is kept in `docs/findings-clis.md`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from at_session import foreign_files
from at_session.drivers import acp_asks, acp_dialect, gemini_log, gemini_record, jsonlines
from at_session.drivers.acp import AcpDriver, Events
from at_session.drivers.acp_dialect import AcpFailure, Dialect
from at_session.drivers.jsonlines import Object, count_of, object_of, objects_of, text_of
from at_session.vocabulary import (
    Allow,
    AskKind,
    AskOpened,
    Capabilities,
    ContextUsed,
    DriverEvent,
    FailureKind,
    Launch,
    LaunchRequest,
    PromptForgotten,
    Retrying,
    UsageReported,
    Write,
)

SOURCE = "gemini chat record (tokens of each response)"
LOGIN_HINT = "set GEMINI_API_KEY, or run `gemini` and log in"

_MODE_NOTICE = re.compile(r"\[MODE_UPDATE\] \w+")
_LOST = re.compile(r"Invalid session identifier|No previous sessions found|Failed to (find|load) session")
_API = "https://generativelanguage.googleapis.com"
_SYSTEM_SETTINGS = tuple(Path("/etc/gemini-cli", name) for name in ("settings.json", "system-defaults.json"))
_SETTINGS_LIMIT = 1 << 20
_NAMES_AT_MOST = 64


class GeminiDriver(AcpDriver):
    """Gemini CLI, structured. The CLI's own record of the session has the figures of a turn, the protocol has not."""

    dialect: ClassVar[Dialect] = Dialect(
        cli="gemini",
        capabilities=Capabilities(
            chooses_session_id=False,
            resumes=True,
            acknowledges_prompts=True,
            asks_over_protocol=True,
            reports_cost=False,
            queues_prompts=True,
            exits_on_eof=False,
            login_hint=LOGIN_HINT,
            memory_mb=470,
            draws_on="the login of `gemini` or GEMINI_API_KEY, as `gemini` itself does",
            asks_questions=False,
            record_has_usage=True,
            keeps_failed_prompts=False,
            unreported=("cost", "requests of the model router (model `auto`)"),
        ),
        arguments=("--acp",),
        modes={Allow.ASK: "default", Allow.EDITS: "autoEdit", Allow.ALL: "yolo"},
        env={
            # Otherwise it starts itself again as a child, which survives a parent that is killed.
            "GEMINI_CLI_NO_RELAUNCH": "true",
            "GEMINI_CLI_TRUST_WORKSPACE": "true",
            # In ACP mode it says nowhere else that it tries a request again.
            "GEMINI_DEBUG_LOG_FILE": "/dev/stderr",
        },
        command_marks=("/", "$"),
        replays_late=True,
        instructions_in_prompt=False,
    )

    # --- writes ----------------------------------------------------------------------------------------------------

    def launch(self, request: LaunchRequest) -> Launch:
        """Say how to start the CLI.

        Instructions are a context file in a folder of ours beside the workspace. With a key in the environment and no
        login in its settings the CLI begins sessions and resumes none, unless it is told where the API is.
        """
        launch = super().launch(request)
        argv, env = list(launch.argv), dict(launch.env)
        if request.instructions:
            place = Path(request.private_dir, "instructions")
            _write_instructions(place, request.instructions, _context_names(env, request.cwd))
            argv.insert(2, f"--include-directories={place}")
        if request.resume and _login_is_in(env) and not _login_is_selected(env):
            env["GOOGLE_GEMINI_BASE_URL"] = _API
        return replace(launch, argv=tuple(argv), env=env)

    def _prompt_write(self, message_id: str, text: str) -> Write:
        self._turn["digest"] = gemini_record.digest(text)
        return super()._prompt_write(message_id, text)

    # --- events ----------------------------------------------------------------------------------------------------

    def heard(self, line: str) -> Events:
        """A line of its log. A request that is tried again is a sign of work on the prompt."""
        told = gemini_log.read(line, self._log)
        return [*(self._begins() if any(isinstance(each, Retrying) for each in told) else []), *told]

    def failure(self, error: Object) -> AcpFailure:
        """API errors come with the API's answer as their message."""
        failure = acp_dialect.failure_of({**error, "message": _innermost(text_of(error.get("message")))})
        if failure.kind is FailureKind.LIMIT:
            return replace(failure, reset_in_seconds=gemini_log.reset_in(failure.message))
        return failure

    def lost(self, error: Object) -> bool:
        """It names what it looked for."""
        details = object_of(error.get("data")).get("details")
        return _LOST.search(f"{text_of(error.get('message'))} {text_of(details)}") is not None

    def usage(self, result: Object | None) -> UsageReported | None:
        """The response leaves out thoughts, what was read from the cache, and turns that did not complete."""
        return None

    def name_to_load(self, session_id: str) -> str:
        """The id with a blank before it.

        The CLI takes the blank away to find the session. But first it begins a record for the name as it is given, and
        that of a session from the same minute would be the session's own, emptied.
        """
        return f" {session_id}"

    def broken_off(self, result: Object) -> str | None:
        """Without a single complete response it gives up, and says `end_turn` and zero tokens.

        An answer that is cut after a tool's result is taken for a whole one; nothing in the response tells.
        """
        counted = object_of(object_of(object_of(result.get("_meta")).get("quota")).get("token_count"))
        if not counted or any(count_of(counted.get(each)) for each in ("input_tokens", "output_tokens")):
            return None
        return None if self._values.get("no_figures") else "the model's answer had no end, several times"

    def tells_of_a_turn(self, update: Object) -> bool:
        """A change of the mode is told as if the agent had spoken."""
        said = text_of(object_of(update.get("content")).get("text"))
        return super().tells_of_a_turn(update) and _MODE_NOTICE.fullmatch(said) is None

    def tool_name(self, tool_call: Object) -> str:
        """Call ids begin with the tool's name."""
        name, separator, _ = text_of(tool_call.get("toolCallId")).partition("__")
        return name if separator and name else acp_asks.tool_kind(tool_call)

    def opened(self, request_id: str, tool_call: Object, options: list[Object]) -> AskOpened:
        """A command comes with where it runs and whether in the background; an argument list is one that runs here."""
        ask = super().opened(request_id, tool_call, options)
        if ask.kind is not AskKind.COMMAND:
            return ask
        about = acp_asks.output(tool_call)
        here = about.startswith(f"[current working directory {text_of(self._launched.get('cwd'))}]")
        notes = [] if here or not about else [about.partition("]")[0] + "]"]
        notes += ["[background]"] if about.endswith(" [background]") else []
        return replace(ask, what=" ".join([*notes, ask.what]), argv=None if notes else ask.argv)

    # --- the record ------------------------------------------------------------------------------------------------

    def keep(self) -> Object:
        """How far the record was read outlives the process."""
        return {name: self._values[name] for name in ("accepted", "record") if name in self._values}

    def reconcile(self, env: Mapping[str, str], cwd: str) -> list[DriverEvent]:
        """Figures of responses that were completed since the last look, and the receipt of a prompt that it shows."""
        session = text_of(self._values.get("session")) or text_of(self._launched.get("session"))
        record: dict[str, Any] = self._values.setdefault("record", {})
        if record.get("session") != session:
            record.clear()
            record.update(session=session, files={})
        try:
            news = gemini_record.read(env, session, record["files"])
        except OSError as error:
            return [jsonlines.unparsed(f"the record of session {session} cannot be read: {error}", "record")]
        self._values["no_figures"] = news.without_figures
        events: list[DriverEvent] = [UsageReported(usage, SOURCE) for usage in news.usage.values()]
        if news.context is not None:
            used, model = news.context
            events.append(ContextUsed(used, None, model or None, SOURCE))
        return [*self._receipts(news.prompts), *events]

    def _receipts(self, prompts: list[str]) -> list[DriverEvent]:
        """What the record says of the prompt whose turn has no end. A retry is told before a prompt is recorded."""
        turn = self._turn
        if turn.get("digest") in prompts:
            turn["recorded"] = True
        if not turn or turn.get("recorded"):
            return [event for event in self._begins() if not isinstance(event, Write)] if turn else []
        message_id = text_of(turn.get("message"))
        if message_id not in self._accepted:
            return []
        self._accepted.remove(message_id)
        return [PromptForgotten(message_id)]

    @property
    def _log(self) -> dict[str, Any]:
        log: dict[str, Any] = self._values.setdefault("log", {})
        return log


def _innermost(message: str) -> str:
    """The words within an answer of the API that stands where its words should be."""
    try:
        error = object_of(object_of(json.loads(message)).get("error")) if message.startswith("{") else {}
    except (ValueError, RecursionError):
        return message
    return text_of(error.get("message")) or message


def _write_instructions(folder: Path, text: str, names: list[str]) -> None:
    """One file under each name that can be one; a file that the CLI meets twice it reads once."""
    _make_anew(folder)
    first = folder / names[0]
    first.write_text(text, encoding="utf-8")
    for name in names[1:]:
        # A name may be too long, or the same as another to this file system; the CLI finds the file by the others.
        with suppress(OSError, ValueError):
            os.link(first, folder / name)


def _make_anew(folder: Path) -> None:
    """An empty folder in place of whatever is there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.is_dir() and not folder.is_symlink():
        # What cannot be removed, such as a closed folder in it, is out of the CLI's sight at least.
        aside = tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent)
        folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
    else:
        folder.unlink(missing_ok=True)
    folder.mkdir()


def _context_names(env: Mapping[str, str], cwd: str) -> list[str]:
    """Names under which this CLI looks for context: its own one, and those of the person's and the folder's settings."""
    names = ["GEMINI.md"]
    for settings in _settings(env, cwd):
        given = object_of(settings.get("context")).get("fileName")
        listed = given if isinstance(given, list) else [given]
        names += [each for each in listed if isinstance(each, str) and _is_file_name(each)]
    return list(dict.fromkeys(names))[:_NAMES_AT_MOST]


def _is_file_name(name: str) -> bool:
    return name not in ("", ".", "..") and not {"/", "\0"} & set(name)


def _login_is_in(env: Mapping[str, str]) -> bool:
    """Whether the environment has a key for the API itself, and names no other place to use it at."""
    elsewhere = ("GOOGLE_GENAI_USE_GCA", "GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GEMINI_BASE_URL")
    return bool(env.get("GEMINI_API_KEY")) and not any(env.get(name) for name in elsewhere)


def _login_is_selected(env: Mapping[str, str]) -> bool:
    """Whether the person's settings name a login; they may hold comments, so they are not parsed."""
    places = (Path(_home(env), ".gemini", "settings.json"), *_SYSTEM_SETTINGS)
    for place in places:
        try:
            if b'"selectedType"' in foreign_files.read_bytes(place, _SETTINGS_LIMIT):
                return True
        except OSError:
            continue
    return False


def _home(env: Mapping[str, str]) -> str:
    return env.get("GEMINI_CLI_HOME") or env.get("HOME") or str(Path.home())


def _settings(env: Mapping[str, str], cwd: str) -> list[Object]:
    found: list[Object] = []
    for folder in (_home(env), cwd):
        try:
            place = Path(folder, ".gemini", "settings.json")
            settings = json.loads(foreign_files.read_bytes(place, _SETTINGS_LIMIT))
        except (OSError, ValueError, RecursionError):
            continue
        found += objects_of([settings])
    return found
