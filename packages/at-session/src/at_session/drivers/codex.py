"""Driver of Codex CLI over `codex app-server`: one long-lived process, one thread, JSON-RPC on standard input and output.

Source: the schema that `codex app-server generate-json-schema` of 0.169.0 prints; what runs showed beyond it is kept in
`docs/findings-clis.md`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from at_session.__about__ import __version__
from at_session.drivers import codex_errors, codex_items, codex_launch, codex_record, jsonlines
from at_session.drivers.codex_adoption import CodexAdoption
from at_session.drivers.codex_turn import CodexTurns
from at_session.drivers.jsonlines import Object, encode, object_of, optional_text, text_of
from at_session.vocabulary import (
    Capabilities,
    Decision,
    DriverEvent,
    DriverState,
    FailureKind,
    Launch,
    LaunchRequest,
    PromptAccepted,
    PromptForgotten,
    SessionLost,
    SessionStarted,
    Transport,
    TurnEnded,
    TurnOutcome,
    TurnStarted,
    Unparsed,
    UsageReported,
    Write,
)

RECORD_SOURCE = "codex rollout file (token_usage_record)"
_NOISE = (
    b'{"method":"item/agentMessage/delta"',
    b'{"method":"item/commandExecution/outputDelta"',
    b'{"method":"item/reasoning/',
)
_VERSION = re.compile(r"^[^/]*/(\S+)")
# Words about the thread itself. "Not found" alone is also said of a model, a profile or a folder.
_LOST = re.compile(
    r"no rollout found for (thread|conversation) id|invalid (session|thread) id|thread not found|rollout at .* is empty"
)

Events = list[DriverEvent | Write]


class CodexDriver(CodexTurns):
    """Codex, structured.

    A prompt's message id travels as `clientUserMessageId`; the item of the prompt bears it, in the stream and in the CLI's
    record. The CLI itself runs a prompt with a known id again, and takes one that comes during a turn into that turn by
    throwing the answer under way away. So the driver sends one at a time, and none that the record has.
    """

    cli = "codex"
    capabilities = Capabilities(
        chooses_session_id=False,
        resumes=True,
        acknowledges_prompts=True,
        asks_over_protocol=True,
        reports_cost=False,
        queues_prompts=True,
        exits_on_eof=True,
        login_hint=codex_errors.LOGIN_HINT,
        memory_mb=250,
        draws_on="the login of `codex` or the key of its model provider, as `codex app-server` does",
        unreported=("cost", "requests"),
        adoption=CodexAdoption(),
    )

    def __init__(self, state: DriverState | None = None) -> None:
        self.state = state if state is not None else DriverState()

    @property
    def _values(self) -> dict[str, Any]:
        return self.state.values

    # --- writes ----------------------------------------------------------------------------------------------------

    def launch(self, request: LaunchRequest) -> Launch:
        """Say how to start the CLI, and which thread it is to take up.

        `session_id` counts only with `resume`; a thread of which the CLI has no record, because it was ended before
        its first turn, begins anew. Prompts that the record has are remembered, so that none is run twice.

        Raises LaunchRefused where the CLI is known to run no command.
        """
        codex_launch.check(request)
        before = dict(self._values)
        self._values.clear()
        self._values["known"] = list(before.get("known") or [])
        self._values["settings"] = codex_launch.thread_settings(request)
        self._values["folder"] = request.cwd
        self._values["places"] = [request.cwd, os.path.realpath(request.cwd)]
        if request.resume and request.session_id is not None:
            self._values["unsettled"] = _unsettled(before)
            self._take_up(request, request.session_id, before)
        return Launch(
            argv=codex_launch.arguments(request),
            env=dict(request.env),
            cwd=request.cwd,
            transport=Transport.PIPE,
        )

    def _take_up(self, request: LaunchRequest, session: str, before: Mapping[str, Any]) -> None:
        found = codex_record.find(codex_launch.home(request.env), session)
        if found is None and session == before.get("thread") and not before.get("spoken"):
            return
        self._values.update(resume=session, spoken=True)
        if found is None:
            return
        try:
            recorded = codex_record.read(found)
        except OSError:  # as if it were not there; the CLI itself says what is wrong with it
            return
        known = [*self._values["known"], *recorded.prompts]
        sending = object_of(before.get("sending"))
        if recorded.unnamed is not None and recorded.unnamed == sending.get("digest"):
            known.append(text_of(sending.get("id")))
        self._values["known"] = known
        self._forget_old()

    def open(self) -> list[Write]:
        """The first request; what follows comes as it is answered."""
        client = {"name": "auto-tundra", "title": "auto-tundra", "version": __version__}
        capabilities = {"optOutNotificationMethods": ["turn/diff/updated"]}
        return [_request("initialize", "initialize", clientInfo=client, capabilities=capabilities)]

    def prompt(self, message_id: str, text: str) -> list[Write]:
        """A turn of its own, as soon as the thread is there and no other turn runs."""
        if message_id in self._known:
            # The stream has told already, or the record has it: the answer to a harmless question says so then.
            return [self._echo("repeated", message_id)] if self._thread else self._hold(message_id, text)
        if object_of(self._values.get("sending")).get("id") == message_id:
            return [self._turn_start(message_id, text)]
        if not self._thread or self._turn or self._values.get("sending"):
            return self._hold(message_id, text)
        return [self._send(message_id, text)]

    def decide(self, request_id: str, decision: Decision) -> list[Write]:
        """Answer an open ask; nothing to write if it is not open any more. A reason for a no cannot be passed on."""
        ask = object_of(self._asks.get(request_id))
        if not ask:
            return []
        result = codex_items.answer(text_of(ask.get("method")), object_of(ask.get("given")), decision)
        return [Write(f"answer:{request_id}", encode({"id": ask.get("id"), "result": result}))]

    def interrupt(self, interrupt_id: str) -> list[Write]:
        """Ask the CLI to end its turn; one that has not begun yet is interrupted when it does."""
        if turn := self._turn:
            return [self._interruption(interrupt_id, turn)]
        if self._values.get("sending"):
            self._values["interrupt"] = interrupt_id
        return []

    def _hold(self, message_id: str, text: str) -> list[Write]:
        if [message_id, text] not in self._held:
            self._held.append([message_id, text])
        return []

    def _send(self, message_id: str, text: str) -> Write:
        if self._values.get("broken"):
            return self._echo("refused", message_id)
        self._values["sending"] = {"id": message_id, "digest": codex_record.digest(text)}
        return self._turn_start(message_id, text)

    def _turn_start(self, message_id: str, text: str) -> Write:
        given = [{"type": "text", "text": text}]
        return _request(
            f"prompt:{message_id}",
            "turn/start",
            threadId=self._thread,
            clientUserMessageId=message_id,
            input=given,
        )

    def _interruption(self, interrupt_id: str, turn: Object) -> Write:
        turn["interrupted"] = True
        name = f"interrupt:{interrupt_id}"
        return _request(name, "turn/interrupt", threadId=self._thread, turnId=turn.get("id"))

    def _echo(self, purpose: str, message_id: str) -> Write:
        return _request(f"{purpose}:{message_id}", "thread/loaded/list")

    def _next(self) -> Events:
        """What waited for the thread, for the end of a turn, or for its begin."""
        if (turn := self._turn) and (interrupt_id := optional_text(self._values.pop("interrupt", None))):
            return [self._interruption(interrupt_id, turn)]
        writes: Events = []
        while self._held and self._thread and not self._turn and not self._values.get("sending"):
            message_id, text = self._held.pop(0)
            writes += self.prompt(message_id, text)
        return writes

    # --- events ----------------------------------------------------------------------------------------------------

    def feed(self, stream: str, data: bytes) -> Events:
        """Events of the CLI's lines."""
        events: Events = []
        for line in jsonlines.split_lines(self.state, stream, data):
            if stream == "stderr":
                events.append(jsonlines.unparsed(line.decode("utf-8", "replace"), stream))
            elif not line.startswith(_NOISE) or self._is_retrying:
                parsed = jsonlines.parse(line)
                events += [parsed] if isinstance(parsed, Unparsed) else self._line(parsed or {})
                events += self._next()
        return events

    def _line(self, line: Object) -> Events:
        method, params = text_of(line.get("method")), object_of(line.get("params"))
        if not method:
            return self._response(line)
        if "id" in line:
            return self._ask(line, method, params)
        return self._notification(method, params)

    def _response(self, line: Object) -> Events:
        purpose, _, message_id = text_of(line.get("id")).partition(":")
        result, failed = object_of(line.get("result")), "error" in line
        error = text_of(object_of(line.get("error")).get("message"))
        match purpose:
            case "initialize" if failed:
                return self._break(error)
            case "initialize":
                found = _VERSION.match(text_of(result.get("userAgent")))
                self._values["version"] = found.group(1) if found else None
                hello = Write("initialized", encode({"method": "initialized"}))
                return [hello, self._open_thread(text_of(self._values.get("resume")))]
            case "resume" if failed and _LOST.search(error):
                self._values.pop("resume", None)
                # What waits is not said as it stands to a thread that knows nothing: it has to be handed over anew.
                self._held.clear()
                self._known.clear()
                return [SessionLost(message_id), self._open_thread("")]
            case "resume" | "thread" if failed:
                return self._break(error)
            case "resume" | "thread":
                return self._thread_is_there(result)
            case "prompt" if failed:
                return self._refuse(message_id, error)
            case "refused":
                return self._refuse(message_id, text_of(self._values.get("broken")))
            case "repeated" if message_id in self._known and message_id not in self._told:
                self._told.append(message_id)
                return [PromptAccepted(message_id, repeated=True)]
        return []

    def _open_thread(self, resume: str) -> Write:
        settings = object_of(self._values.get("settings"))
        if resume:
            # Its answer may hold the whole history otherwise.
            return _request(
                f"resume:{resume}", "thread/resume", threadId=resume, excludeTurns=True, **settings
            )
        return _request("thread", "thread/start", **settings)

    def _thread_is_there(self, result: Object) -> Events:
        thread = object_of(result.get("thread"))
        name = text_of(thread.get("id"))
        if not name or self._thread:
            return []
        folder = text_of(result.get("cwd")) or self._folder
        if self._values.get("resume") and folder not in self._values.get("places", [folder]):
            # A thread works in the folder of its record: it must not touch one that is not the agent's.
            return self._break(f"the session works in {folder}, not in {self._folder}")
        model = optional_text(result.get("model")) or optional_text(thread.get("model"))
        self._values.update(thread=name, model=model, folder=folder)
        return [SessionStarted(name, model, optional_text(self._values.get("version")))]

    def _break(self, error: str) -> Events:
        """There will be no thread; prompts are told so one by one."""
        self._values.update(broken=error or "the CLI opened no thread", thread="none")
        return [jsonlines.unparsed(error)]

    def _refuse(self, message_id: str, error: str) -> Events:
        if object_of(self._values.get("sending")).get("id") == message_id:
            self._values["sending"] = None
        end = TurnEnded(TurnOutcome.FAILED, message_id, failure=FailureKind.OTHER, error=error)
        return [*self._accept(message_id), end]

    # --- the CLI's own record ----------------------------------------------------------------------------------------

    def reconcile(self, env: Mapping[str, str], cwd: str) -> list[DriverEvent]:
        """What a process that ended in the middle of a turn had taken, spent and finished."""
        open_turns = _unsettled(self._values)
        sending = object_of(self._values.get("sending"))
        if not self._thread or not (open_turns or sending):
            return []
        try:
            path = codex_record.find(codex_launch.home(env), self._thread)
            recorded = codex_record.read(path) if path is not None else codex_record.Rollout()
        except OSError as error:
            return [jsonlines.unparsed(f"the record of {self._thread}: {error}")]
        message_id = text_of(sending.get("id"))
        taken_by = recorded.prompts.get(message_id)
        events: list[DriverEvent] = []
        on_record = taken_by is not None or recorded.unnamed == sending.get("digest")
        if message_id and on_record:
            events += [*self._accept(message_id), TurnStarted(message_id)]
            if taken_by is not None and taken_by not in open_turns:
                open_turns.append(taken_by)
        for turn in open_turns:
            if spent := recorded.spent.get(turn):
                events.append(UsageReported(self._usage(spent), RECORD_SOURCE))
        end = recorded.ends.get(text_of((self._turn or {}).get("id")) or taken_by or "")
        if end is not None and self._is_own_end(end):
            named = message_id or optional_text((self._turn or {}).get("message"))
            events += self._last_words(replace(end, message_id=named))
        elif not (message_id and on_record):
            events += self._forgotten(recorded)
        self._values.update(turn=None, sending=None, unsettled=[])
        return events

    def _is_own_end(self, end: TurnEnded) -> bool:
        """Whether a turn ended before its process did: one that is told to end interrupts its turn by itself."""
        return end.outcome is not TurnOutcome.INTERRUPTED or bool((self._turn or {}).get("interrupted"))

    def _forgotten(self, recorded: codex_record.Rollout) -> list[DriverEvent]:
        """A prompt that the CLI told it had taken, and did not live to put on record."""
        turn = self._turn or {}
        message_id = text_of(turn.get("message"))
        if message_id not in self._known or message_id in recorded.prompts:
            return []
        if recorded.unnamed is not None and recorded.unnamed == turn.get("digest"):
            return []
        self._known.remove(message_id)
        self._values["spoken"] = bool(recorded.prompts)
        return [PromptForgotten(message_id)]


def _unsettled(values: Mapping[str, Any]) -> list[str]:
    """Turns that ended with their process, and whose figures no event has told."""
    kept = values.get("unsettled")
    turn = text_of(object_of(values.get("turn")).get("id"))
    turns = [each for each in kept if isinstance(each, str)] if isinstance(kept, list) else []
    return [*turns, turn] if turn else turns


def _request(name: str, method: str, **params: object) -> Write:
    return Write(name, encode({"id": name, "method": method, "params": params}))
