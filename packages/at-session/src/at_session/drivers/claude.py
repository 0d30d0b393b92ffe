"""Driver of Claude Code over its stream-json protocol: one long-lived process, approvals on standard input.

Source: the CLI's own help and lines of claude 2.1.197; what was found is kept in `docs/findings-clis.md`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from at_session.drivers import claude_asks, claude_context, claude_record, claude_result, jsonlines
from at_session.drivers.claude_adoption import ClaudeAdoption
from at_session.drivers.epochs import rfc3339
from at_session.drivers.jsonlines import Object, count_of, encode, number_of, object_of, objects_of, text_of
from at_session.errors import LaunchRefused
from at_session.vocabulary import (
    Allow,
    AskClosed,
    CallAnswered,
    Capabilities,
    Decision,
    DriverEvent,
    DriverState,
    FailureKind,
    Launch,
    LaunchRequest,
    Limited,
    LoginRefused,
    PromptAccepted,
    PromptForgotten,
    Retrying,
    SessionLost,
    SessionStarted,
    Text,
    ToolEnded,
    ToolStarted,
    Transport,
    TurnEnded,
    TurnOutcome,
    TurnStarted,
    Unparsed,
    UsageReported,
    Write,
)

SOURCE = "claude result line (modelUsage)"
RECORD_SOURCE = "claude transcript"
LOGIN_HINT = "run `claude` and type /login, or set ANTHROPIC_API_KEY"
_PROTOCOL = (
    "-p",
    "--input-format",
    "stream-json",
    "--output-format",
    "stream-json",
    "--verbose",
    # Without these a long answer is silent until its end, and a cut answer cannot be told from a whole one.
    "--include-partial-messages",
    "--replay-user-messages",
    "--permission-prompt-tool",
    "stdio",
)
_MODES = {Allow.ASK: "default", Allow.EDITS: "acceptEdits", Allow.ALL: "bypassPermissions"}
_NO_CONVERSATION = "No conversation found with session ID"
_DELTA = b'{"type":"stream_event","event":{"type":"content_block_'
_PROMPTS_KEPT = 100
_ALLOWED = ("allowed", "allowed_warning")
_OCCASION = "lost"
"""The id of a request without effect, whose answer gives the occasion to tell that the session is lost."""

Events = list[DriverEvent | Write]


class ClaudeDriver:
    """Claude Code, structured.

    A prompt's message id travels as the line's `uuid`. The CLI echoes it, keeps it in its transcript and takes no
    prompt with a uuid that it has already, also after a resume: handing a prompt over again does no harm.
    """

    cli = "claude"
    capabilities = Capabilities(
        chooses_session_id=True,
        resumes=True,
        acknowledges_prompts=True,
        asks_over_protocol=True,
        reports_cost=True,
        queues_prompts=True,
        exits_on_eof=True,
        login_hint=LOGIN_HINT,
        memory_mb=300,
        draws_on="the login of `claude` or ANTHROPIC_API_KEY, as `claude -p` does",
        unreported=("requests",),
        adoption=ClaudeAdoption(),
    )

    def __init__(self, state: DriverState | None = None) -> None:
        self.state = state if state is not None else DriverState()

    @property
    def _values(self) -> dict[str, Any]:
        return self.state.values

    # --- writes ----------------------------------------------------------------------------------------------------

    def launch(self, request: LaunchRequest) -> Launch:
        """Say how to start the CLI and forget what belonged to an earlier process, prompts held back included.

        Whether the session is resumed is decided by the CLI's own record of it, not by `resume`; one that was to be
        resumed and has no record is lost. The session may get another id than the wanted one; SessionStarted tells it.

        Raises LaunchRefused where the CLI is known to refuse: everything allowed, as root, outside a sandbox.
        """
        if request.allow is Allow.ALL and os.geteuid() == 0 and request.env.get("IS_SANDBOX") != "1":
            reason = "it lets nobody skip permissions as root"
            raise LaunchRefused(
                self.cli, reason, "allow `edits`, or set IS_SANDBOX=1 inside a sandbox of yours"
            )
        argv = [request.binary or self.cli, *_PROTOCOL, "--permission-mode", _MODES[request.allow]]
        kept = {"not_found": self._values["not_found"]} if "not_found" in self._values else {}
        if request.session_id is not None:
            conversation = claude_record.has_conversation(request.env, request.session_id)
            if request.resume and not conversation:
                kept["lost"] = request.session_id
            argv += _session_options(request.env, request.session_id, set(kept.values()))
        if request.model is not None:
            argv += ["--model", request.model]
        if request.instructions:
            argv += ["--append-system-prompt", request.instructions]
        kept |= claude_context.kept(self._values)
        self._values.clear()
        self._values.update(kept)
        # A CLI that replaces itself while agents run would be another program at the next resume.
        env = {"DISABLE_AUTOUPDATER": "1", **request.env}
        return Launch(argv=(*argv, *request.args), env=env, cwd=request.cwd, transport=Transport.PIPE)

    def open(self) -> list[Write]:
        """No handshake: the CLI takes prompts at once. It says nothing before, so where there is news it is asked."""
        if "lost" not in self._values:
            return []
        return [replace(write, id=f"open:{_OCCASION}") for write in self.interrupt(_OCCASION)]

    def prompt(self, message_id: str, text: str) -> list[Write]:
        """One user line; its uuid is the message id, or is derived from it.

        The CLI merges prompts that wait together into one, and keeps the id of the last. So one waits there at most;
        a further one is held back, nothing is to be written for it yet, and `feed` gives its write in time. None is
        kept for a session that is lost: it has to be handed over anew once that was told.
        """
        if "lost" in self._values:
            return []
        held: list[list[str]] = self._values.setdefault("held", [])
        if self._values.get("waiting") and _uuid(message_id) not in self._names:
            if [message_id, text] not in held:
                held.append([message_id, text])
            return []
        return [self._user_line(message_id, text)]

    def _user_line(self, message_id: str, text: str) -> Write:
        uuid = _uuid(message_id)
        if uuid not in self._names:
            _keep(self._names, uuid, message_id)
            if uuid not in self._accepted:
                self._values.setdefault("waiting", []).append(uuid)
        content: list[Object] = [{"type": "text", "text": text}]
        if text.lstrip().startswith("/"):
            # The CLI looks for a slash command in the last text block only, and drops an empty one.
            content.append({"type": "text", "text": ""})
        line = {"type": "user", "uuid": uuid, "message": {"role": "user", "content": content}}
        return Write(f"prompt:{message_id}", encode(line))

    def _held_back(self) -> Events:
        held: list[list[str]] = self._values.get("held", [])
        return [self._user_line(*held.pop(0))] if held and not self._values.get("waiting") else []

    def decide(self, request_id: str, decision: Decision) -> list[Write]:
        """Answer an open ask; nothing to write if it is not open any more."""
        ask = object_of(self._asks.get(request_id))
        if not ask:
            return []
        response = claude_asks.answer(text_of(ask.get("tool")), object_of(ask.get("input")), decision)
        body = {"subtype": "success", "request_id": request_id, "response": response}
        return [Write(f"answer:{request_id}", encode({"type": "control_response", "response": body}))]

    def interrupt(self, interrupt_id: str) -> list[Write]:
        """Ask the CLI to end its turn. With no turn running it only acknowledges."""
        line = {"type": "control_request", "request_id": interrupt_id, "request": {"subtype": "interrupt"}}
        return [Write(f"interrupt:{interrupt_id}", encode(line))]

    def reconcile(self, env: Mapping[str, str], cwd: str) -> list[DriverEvent]:
        """Of a turn that the process was killed in: the prompt, if the transcript does not have it, and its tokens."""
        current, session = self._values.get("current"), self._values.get("session")
        if current is None or not session or self._values.get("reconciled"):
            return []
        self._values["reconciled"] = True
        try:
            turn = claude_record.cut_turn(env, session[0], current)
        except OSError as error:
            return [jsonlines.unparsed(f"the transcript of {session[0]}: {error}")]
        events: list[DriverEvent] = [UsageReported(usage, RECORD_SOURCE) for usage in turn.usages]
        return events if turn.known else [*events, PromptForgotten(self._name(current))]

    # --- events ----------------------------------------------------------------------------------------------------

    def feed(self, stream: str, data: bytes) -> Events:
        """Events of the CLI's lines."""
        events: Events = []
        for line in jsonlines.split_lines(self.state, stream, data):
            if stream == "stdout" and line.startswith(_DELTA):
                continue
            if (lost := self._values.pop("lost", None)) is not None:
                events.append(SessionLost(lost))
            if _NO_CONVERSATION.encode() in line and not line.startswith(b"{"):
                events += self._not_found(line.decode("utf-8", "replace").rpartition(" ")[2])
            elif stream == "stderr":
                events.append(jsonlines.unparsed(line.decode("utf-8", "replace"), stream))
            else:
                parsed = jsonlines.parse(line)
                events += [parsed] if isinstance(parsed, Unparsed) else self._line(parsed or {})
                events += self._held_back()
        return events

    def _not_found(self, session_id: str) -> Events:
        """The process ends now. What it was given has to be handed over anew, after what the next one must know first."""
        self._values["not_found"] = session_id
        self._values.pop("held", None)
        waiting: list[str] = self._values.pop("waiting", [])
        return [*(PromptForgotten(self._name(uuid)) for uuid in waiting), SessionLost(session_id)]

    def _line(self, line: Object) -> Events:
        match line.get("type"):
            case "system":
                return self._system(line)
            case "assistant":
                return self._assistant(line)
            case "user":
                return self._user(line)
            case "control_request":
                return self._control_request(line)
            case "control_response":
                return self._close_ask(text_of(object_of(line.get("response")).get("request_id")))
            case "control_cancel_request":
                return self._close_ask(text_of(line.get("request_id")), withdrawn=True)
            case "stream_event":
                return self._follow_message(line)
            case "rate_limit_event":
                return self._rate_limit(object_of(line.get("rate_limit_info")))
            case "result":
                return self._result(line)
        return []

    def _system(self, line: Object) -> Events:
        match line.get("subtype"):
            case "init":
                return self._turn_begins(line)
            case "api_retry":
                return self._retry(line)
        return []

    def _turn_begins(self, line: Object) -> Events:
        session = [text_of(line.get("session_id")), text_of(line.get("model"))]
        events: Events = []
        if self._values.get("session") != session:
            self._values["session"] = session
            version = text_of(line.get("claude_code_version")) or None
            events.append(SessionStarted(session[0], session[1] or None, version))
        waiting: list[str] = self._values.setdefault("waiting", [])
        current = waiting.pop(0) if waiting else None
        self._values.update(current=current, error="", message=None, login_told=False, limit_told=False)
        if current is not None:
            events += self._accept(current)
        events.append(TurnStarted(self._name(current) if current is not None else None))
        return events

    def _retry(self, line: Object) -> Events:
        error, status = text_of(line.get("error")), line.get("error_status")
        kind = claude_result.kind_of(error, status)
        # Of a connection that is closed without an answer it says `unknown`.
        words = "connection error" if error in ("", "unknown") else error
        said = f"{words}{f' ({status})' if isinstance(status, int) else ''}"
        if kind is FailureKind.LOGIN:
            # The CLI would go on for more than a minute; no retry of its own cures a refused login.
            return self._login_refused(said)
        self._values["retrying"] = True
        delay = number_of(line.get("retry_delay_ms"))
        attempt = count_of(line.get("attempt")) or None
        return [Retrying(kind, attempt, None if delay is None else delay / 1000, said)]

    def _login_refused(self, message: str) -> Events:
        if self._values.get("login_told"):
            return []
        self._values["login_told"] = True
        return [LoginRefused(message, LOGIN_HINT)]

    def _assistant(self, line: Object) -> Events:
        message = object_of(line.get("message"))
        if message.get("model") == "<synthetic>":
            # The CLI's own words about an error; the result repeats them.
            self._values["error"] = text_of(line.get("error"))
            return []
        own = line.get("parent_tool_use_id") is None
        if own and message.get("id") != self._values.get("message"):
            self._values["message"] = None
        events: Events = [*claude_context.answered(self._values, message)] if own else []
        for block in objects_of(message.get("content")):
            if block.get("type") == "text" and own:
                events.append(Text(text_of(block.get("text"))))
            elif block.get("type") == "tool_use":
                name = text_of(block.get("name"))
                what = claude_asks.summary(name, object_of(block.get("input")))
                events.append(ToolStarted(text_of(block.get("id")), name, what))
        return events

    def _user(self, line: Object) -> Events:
        if line.get("isReplay") is True:
            return self._replay(text_of(line.get("uuid")), seen_before="timestamp" not in line)
        events: Events = []
        for block in objects_of(object_of(line.get("message")).get("content")):
            if block.get("type") == "tool_result":
                tool_id = text_of(block.get("tool_use_id"))
                for request_id in [
                    each for each, ask in self._asks.items() if ask.get("tool_use_id") == tool_id
                ]:
                    events += self._close_ask(request_id)
                events.append(
                    ToolEnded(tool_id, block.get("is_error") is not True, _output(block.get("content")))
                )
        return events

    def _replay(self, uuid: str, *, seen_before: bool) -> Events:
        """The CLI's echo of a prompt.

        The echo of a turn's own prompt comes with the first answer, when the turn's beginning has told us already. An
        echo without a time stamp is of a prompt that the CLI had before; any other is of one that joined the turn. A
        daemon that died before it stored that it had sent a prompt learns it here.
        """
        known = uuid in self._accepted
        if not seen_before and self._values.get("current", uuid) is None:
            self._values["current"] = uuid
        elif not seen_before and not known:
            self._values.setdefault("joined", []).append(uuid)
        return self._accept(uuid, repeated=seen_before)

    def _accept(self, uuid: str, *, repeated: bool = False) -> Events:
        waiting: list[str] = self._values.setdefault("waiting", [])
        if uuid in waiting:
            waiting.remove(uuid)
        if uuid in self._accepted:
            return []
        _keep(self._accepted, uuid, True)
        return [PromptAccepted(self._name(uuid), repeated)]

    def _control_request(self, line: Object) -> Events:
        request_id, request = text_of(line.get("request_id")), object_of(line.get("request"))
        if request.get("subtype") != "can_use_tool":
            return _refused(request_id, line)
        tool, given = text_of(request.get("tool_name")), object_of(request.get("input"))
        self._asks[request_id] = {
            "tool": tool,
            "input": given,
            "tool_use_id": text_of(request.get("tool_use_id")),
        }
        return [claude_asks.opened(request_id, tool, given)]

    def _close_ask(self, request_id: str, *, withdrawn: bool = False) -> Events:
        if self._asks.pop(request_id, None) is None:
            return []
        return [AskClosed(request_id, withdrawn)]

    def _follow_message(self, line: Object) -> Events:
        event = object_of(line.get("event"))
        answered = event.get("type") == "message_start" and self._values.pop("retrying", False)
        events: Events = [CallAnswered()] if answered else []
        if line.get("parent_tool_use_id") is not None:
            return events
        if event.get("type") == "message_start":
            self._values["message"] = object_of(event.get("message")).get("id")
        elif event.get("type") == "message_stop":
            self._values["message"] = None
        return events

    def _rate_limit(self, info: Object) -> Events:
        # A limit that the account's extra usage goes beyond stops nothing.
        beyond = info.get("isUsingOverage") is True or info.get("overageStatus") in _ALLOWED
        if info.get("status") != "rejected" or beyond:
            self._values["reset_at"] = None
            return []
        window = text_of(info.get("rateLimitType"))
        message = f"the usage limit is reached{f' ({window})' if window else ''}"
        # Told only when it changes: a later turn that the same limit refuses gets no such line.
        self._values.update(limit_told=True, reset_at=rfc3339(info.get("resetsAt")))
        return [Limited(message, self._values["reset_at"])]

    def _result(self, line: Object) -> Events:
        if "current" not in self._values:
            # No turn has begun: the CLI could not start, and the line above this one says why.
            return [jsonlines.unparsed(f"{line.get('subtype')}: {line.get('errors') or line.get('result')}")]
        events: Events = [
            event for request_id in list(self._asks) for event in self._close_ask(request_id, withdrawn=True)
        ]
        end = self._turn_end(line)
        if end.failure is FailureKind.LIMIT and not self._values.get("limit_told"):
            reset_at = self._values.get("reset_at") or claude_result.reset_in(end.error or "")
            events.append(Limited(end.error or "", reset_at))
        if end.failure is FailureKind.LOGIN:
            events += self._login_refused(end.error or "")
        return [*events, *self._usage(line), *claude_context.turn_ended(self._values, line), end]

    def _usage(self, line: Object) -> Events:
        total = claude_result.spent(line)
        if total is None:
            return []
        before = object_of(self._values.get("spent"))
        self._values["spent"] = total
        return [UsageReported(usage, SOURCE) for usage in claude_result.usages(total, before, line)]

    def _turn_end(self, line: Object) -> TurnEnded:
        current: str | None = self._values.pop("current")
        joined = tuple(map(self._name, self._values.pop("joined", [])))
        cut = self._values.get("message") is not None
        end = claude_result.turn_ended(line, text_of(self._values.get("error")), cut=cut)
        if end.outcome is TurnOutcome.INTERRUPTED and self._values.get("login_told"):
            end = replace(
                end, outcome=TurnOutcome.FAILED, failure=FailureKind.LOGIN, error="the login was refused"
            )
        return replace(end, message_id=None if current is None else self._name(current), joined=joined)

    @property
    def _asks(self) -> dict[str, Object]:
        asks: dict[str, Object] = self._values.setdefault("asks", {})
        return asks

    @property
    def _names(self) -> dict[str, str]:
        names: dict[str, str] = self._values.setdefault("names", {})
        return names

    @property
    def _accepted(self) -> dict[str, bool]:
        accepted: dict[str, bool] = self._values.setdefault("accepted", {})
        return accepted

    def _name(self, uuid: str) -> str:
        return self._names.get(uuid, uuid)


def _session_options(env: Mapping[str, str], session_id: str, useless: Collection[str]) -> list[str]:
    # A CLI that was killed before its first turn leaves nothing, or a transcript without a prompt. The latter can be
    # neither resumed nor begun again, so a further id is taken; it follows from the first one. The same goes for an id
    # whose session is lost; its transcript may lie where the CLI does not look.
    conversation = claude_record.has_conversation(env, session_id)
    while conversation is False or session_id in useless:
        session_id = str(uuid5(NAMESPACE_OID, session_id))
        conversation = claude_record.has_conversation(env, session_id)
    return ["--resume" if conversation else "--session-id", session_id]


def _refused(request_id: str, line: Object) -> Events:
    """A request that we do not understand must not leave the CLI waiting for an answer."""
    if not request_id:
        return [jsonlines.unparsed(f"a request without an id: {line}")]
    body = {"subtype": "error", "request_id": request_id, "error": "requests of this kind are not supported"}
    write = Write(f"answer:{request_id}", encode({"type": "control_response", "response": body}))
    return [jsonlines.unparsed(f"a request of an unknown kind, refused: {line}"), write]


def _keep(kept: dict[str, Any], uuid: str, value: object) -> None:
    kept[uuid] = value
    for oldest in list(kept)[:-_PROMPTS_KEPT]:
        del kept[oldest]


def _uuid(message_id: str) -> str:
    try:
        return str(UUID(message_id))
    except ValueError:
        return str(uuid5(NAMESPACE_OID, f"at-session:{message_id}"))


def _output(content: object) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(text_of(block.get("text")) for block in objects_of(content))
