"""Client core of the Agent Client Protocol, version 1: JSON-RPC 2.0, one object per line, over pipes.

Source: the protocol's public schema (agentclientprotocol.com) and lines of gemini 0.61.0. What differs per CLI is a
`Dialect`, and the methods of `AcpDriver` that say "a dialect may".

A process begins with `initialize`, then `session/new` or `session/load`, then the permission mode and the model. Prompts
are held until then, and while a turn runs: a second `session/prompt` would end the first one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from at_session.__about__ import __version__
from at_session.drivers import acp_asks, acp_dialect, jsonlines
from at_session.drivers.acp_dialect import GUARD, AcpFailure, Dialect
from at_session.drivers.acp_turn import AcpTurns
from at_session.drivers.jsonlines import Object, encode, object_of, objects_of, optional_text, text_of
from at_session.vocabulary import (
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
    Transport,
    TurnEnded,
    TurnOutcome,
    Unparsed,
    Write,
)

PROTOCOL_VERSION = 1
NOT_SUPPORTED = -32601

Events = list[DriverEvent | Write]


class AcpDriver(AcpTurns):
    """A CLI that speaks the Agent Client Protocol. Subclasses give `dialect`.

    Phases of a process: `initialize`, `session`, `settle` (mode, model, end of a replayed history), `ready`, `failed`
    (the handshake was refused; the next prompt tries it again).
    """

    dialect: ClassVar[Dialect]
    cli: str
    capabilities: Capabilities

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.cli, cls.capabilities = cls.dialect.cli, cls.dialect.capabilities

    def __init__(self, state: DriverState | None = None) -> None:
        self.state = state if state is not None else DriverState()

    # --- what a dialect may do otherwise ---------------------------------------------------------------------------

    def failure(self, error: Object) -> AcpFailure:
        """The meaning of a JSON-RPC error."""
        return acp_dialect.failure_of(error)

    def lost(self, error: Object) -> bool:
        """Whether `session/load` failed since there is no such session (any failure but a login, a limit or the net)."""
        return self.failure(error).kind in (FailureKind.OTHER, FailureKind.API)

    def heard(self, line: str) -> Events:
        """A line of standard error."""
        return [jsonlines.unparsed(line, "stderr")] if line.strip() else []

    def name_to_load(self, session_id: str) -> str:
        """The name of a session for `session/load` and what follows."""
        return session_id

    def keep(self) -> Object:
        """What a new process inherits of the state of the one before."""
        return {name: self._values[name] for name in ("accepted", "counted") if name in self._values}

    def blocks(self, text: str, *, first: bool) -> list[Object]:
        """The content of a prompt, `first` of its session or not; the last block is the prompt as it was given."""
        before: list[Object] = []
        instructions = text_of(self._launched.get("instructions"))
        if first and instructions and self.dialect.instructions_in_prompt:
            before.append({"type": "text", "text": f"{instructions}\n\n"})
        elif text.lstrip("\ufeff \t\r\n\v\f\xa0\u2028\u2029").startswith(self.dialect.command_marks):
            before.append({"type": "text", "text": GUARD})
        return [*before, {"type": "text", "text": text}]

    # --- writes ----------------------------------------------------------------------------------------------------

    def launch(self, request: LaunchRequest) -> Launch:
        """Say how to start the CLI; only what `keep` names outlives the process before."""
        dialect, allow = self.dialect, request.allow
        kept = self.keep()
        self._values.clear()
        self._values.update(kept)
        self._values["launched"] = {
            "cwd": request.cwd,
            "session": request.session_id if request.resume else None,
            "mode": dialect.modes.get(allow),
            "model": request.model,
            "instructions": request.instructions,
        }
        self._values["phase"] = "initialize"
        argv = (
            request.binary or self.cli,
            *dialect.arguments,
            *dialect.mode_arguments.get(allow, ()),
            *request.args,
        )
        env = {**dialect.env, **request.env, **dialect.mode_env.get(allow, {})}
        return Launch(argv=argv, env=env, cwd=request.cwd, transport=Transport.PIPE)

    def open(self) -> list[Write]:
        """The `initialize` request; files and terminals of ours are not offered."""
        params = {
            "protocolVersion": PROTOCOL_VERSION,
            "clientCapabilities": {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False},
            "clientInfo": {"name": "auto-tundra", "title": "auto-tundra", "version": __version__},
        }
        return [self._call("initialize", "initialize", params)]

    def prompt(self, message_id: str, text: str) -> list[Write]:
        """One `session/prompt`, or nothing while the CLI cannot take it.

        A prompt that the CLI is known to have taken is not sent again; a request without effect is, whose answer gives
        the occasion to say so.
        """
        held: list[list[str]] = self._values.setdefault("held", [])
        if self._turn.get("message") == message_id:
            return [self._prompt_write(message_id, text)]
        if message_id not in [each for each, _ in held]:
            held.append([message_id, text])
        if message_id in self._accepted and self._phase == "ready":
            return [self._call(f"ping:{message_id}", "_at/ping", {})]
        if self._phase == "failed":
            return self._begin_again(message_id)
        if not self._may_send() or len(held) > 1:
            return []
        return [each for each in self._next() if isinstance(each, Write)]

    def decide(self, request_id: str, decision: Decision) -> list[Write]:
        """Answer an open ask; nothing to write if it is not open any more. The protocol carries no reason."""
        ask = self._asks.get(request_id)
        if ask is None:
            return []
        ask.setdefault("answered", "approved" if decision.approve else "denied")
        chosen = acp_asks.option(objects_of(ask.get("options")), approve=ask["answered"] == "approved")
        return [self._answer(request_id, ask, None if ask["answered"] == "withdrawn" else chosen)]

    def interrupt(self, interrupt_id: str) -> list[Write]:
        """Cancel the turn that runs, if any; open asks are answered as cancelled, as the protocol demands."""
        if not self._turn:
            return []
        params = {"sessionId": self._values.get("called")}
        cancel = {"jsonrpc": "2.0", "method": "session/cancel", "params": params}
        writes = [Write(f"interrupt:{interrupt_id}", encode(cancel))]
        for request_id, ask in self._asks.items():
            if ask.setdefault("answered", "withdrawn") == "withdrawn":
                writes.append(self._answer(request_id, ask, None))
        return writes

    def reconcile(self, env: Mapping[str, str], cwd: str) -> list[DriverEvent]:
        """Nothing: the protocol names no record. A dialect may."""
        return []

    def _call(self, rpc_id: str, method: str, params: Object) -> Write:
        self._values.setdefault("calls", {})[rpc_id] = method
        request = {"jsonrpc": "2.0", "id": rpc_id, "method": method, "params": params}
        return Write(rpc_id if rpc_id.startswith("prompt:") else f"acp:{rpc_id}", encode(request))

    def _answer(self, request_id: str, ask: Object, option_id: str | None) -> Write:
        line = {"jsonrpc": "2.0", "id": ask.get("rpc"), "result": acp_asks.outcome(option_id)}
        return Write(f"answer:{request_id}", encode(line))

    def _prompt_write(self, message_id: str, text: str) -> Write:
        first = self._values.setdefault("first", message_id) == message_id
        params = {"sessionId": self._values.get("called"), "prompt": self.blocks(text, first=first)}
        return self._call(f"prompt:{message_id}", "session/prompt", params)

    def _may_send(self) -> bool:
        return self._phase == "ready" and not self._turn

    def _next(self) -> Iterable[DriverEvent | Write]:
        """Of the prompts that are held: those that the CLI has already, then the first that it has not."""
        held: list[list[str]] = self._values.setdefault("held", [])
        while held:
            message_id, text = held.pop(0)
            if message_id not in self._accepted:
                self._turn_sent(message_id)
                yield self._prompt_write(message_id, text)
                return
            yield PromptAccepted(message_id, repeated=True)

    # --- events ----------------------------------------------------------------------------------------------------

    def feed(self, stream: str, data: bytes) -> Events:
        """Events of the CLI's lines."""
        events: Events = []
        for line in jsonlines.split_lines(self.state, stream, data):
            if stream == "stderr":
                told = self.heard(line.decode("utf-8", "replace"))
                if self._turn and any(isinstance(each, Retrying) for each in told):
                    self._turn["retrying"] = True
                events += told
                continue
            parsed = jsonlines.parse(line)
            events += [parsed] if isinstance(parsed, Unparsed) else self._line(parsed) if parsed else []
            if self._may_send():
                events += self._next()
        return events

    def _line(self, line: Object) -> Events:
        method, rpc_id = optional_text(line.get("method")), line.get("id")
        params = object_of(line.get("params"))
        if method is None:
            return self._response(rpc_id, line)
        if method == "session/update":
            return self._session_update(params)
        if "id" not in line:
            return []
        if isinstance(rpc_id, bool) or not isinstance(rpc_id, int | str):
            return [jsonlines.unparsed(f"a request without an id: {line}")]
        if method == "session/request_permission":
            return self._permission(rpc_id, params)
        return _refused(rpc_id, line)

    def _session_update(self, params: Object) -> Events:
        update = object_of(params.get("update"))
        if self._phase != "ready":
            self._values["replayed"] = self._values.get("replayed", 0) + self.tells_of_a_turn(update)
            return []
        if params.get("sessionId") not in (None, self._values.get("called")):
            return []  # a session beside ours, which some CLIs use for themselves
        return [*self._close_answered(update), *self._updated(update)]

    def _response(self, rpc_id: object, line: Object) -> Events:
        name, calls = text_of(rpc_id), self._calls
        if name not in calls and not name.startswith("prompt:"):
            return [jsonlines.unparsed(str(line))]
        method = calls.pop(name, "session/prompt")
        error = object_of(line.get("error")) if "error" in line else None
        result = object_of(line.get("result"))
        match method:
            case "initialize":
                return self._initialized(result, error)
            case "session/new" | "session/load":
                return self._session_begins(method, result, error)
            case "session/set_mode" | "session/set_model":
                return self._settled(name, error)
            case "session/prompt":
                return self._prompt_ended(name.removeprefix("prompt:"), result, error)
        if name.startswith("ping:settle"):
            return self._settle()
        return list(self._next()) if self._may_send() else self._repeated()

    def _repeated(self) -> Events:
        """While a turn runs: only those that the CLI has already."""
        held: list[list[str]] = self._values.setdefault("held", [])
        known = [message_id for message_id, _ in held if message_id in self._accepted]
        held[:] = [each for each in held if each[0] not in known]
        return [PromptAccepted(message_id, repeated=True) for message_id in known]

    # --- the handshake ---------------------------------------------------------------------------------------------

    def _initialized(self, result: Object, error: Object | None) -> Events:
        if error is not None:
            return self._handshake_failed("initialize", self.failure(error))
        if result.get("protocolVersion") != PROTOCOL_VERSION:
            said = f"it speaks version {result.get('protocolVersion')} of the Agent Client Protocol, not 1"
            return self._handshake_failed("initialize", AcpFailure(FailureKind.OTHER, said))
        self._values["version"] = optional_text(object_of(result.get("agentInfo")).get("version"))
        self._values["loads"] = object_of(result.get("agentCapabilities")).get("loadSession") is True
        return self._ask_for_session()

    def _ask_for_session(self) -> Events:
        self._values["phase"] = "session"
        wanted, params = optional_text(self._launched.get("session")), self.session_params()
        if wanted is None:
            return [self._call(self._numbered("session"), "session/new", params)]
        if not self._values.get("loads"):
            return self._session_is_lost(wanted)
        named = {"sessionId": self.name_to_load(wanted), **params}
        return [self._call(self._numbered("session"), "session/load", named)]

    def session_params(self) -> Object:
        """Parameters of `session/new` and `session/load`. A dialect may add to them."""
        return {"cwd": self._launched.get("cwd"), "mcpServers": []}

    def _session_begins(self, method: str, result: Object, error: Object | None) -> Events:
        wanted = text_of(self._launched.get("session"))
        if error is not None and method == "session/load" and self.lost(error):
            return self._session_is_lost(wanted)
        if error is not None:
            return self._handshake_failed("session", self.failure(error))
        session = wanted if method == "session/load" else text_of(result.get("sessionId"))
        if not session:
            return self._handshake_failed("session", AcpFailure(FailureKind.OTHER, "the session has no id"))
        models = object_of(result.get("models"))
        mode, model = self._launched.get("mode"), optional_text(self._launched.get("model"))
        offered = [text_of(each.get("modelId")) for each in objects_of(models.get("availableModels"))]
        loaded = method == "session/load"
        name = self.name_to_load(session) if loaded else session
        self._launched["session"] = session
        self._values.update(session=session, called=name, phase="settle", replayed=0)
        self._values["model"] = model or optional_text(models.get("currentModelId"))
        wishes: Events = []
        if mode is not None and object_of(result.get("modes")).get("currentModeId") != mode:
            call = {"sessionId": name, "modeId": mode}
            wishes.append(self._call(self._numbered("mode"), "session/set_mode", call))
        if model is not None and offered and models.get("currentModelId") != model:
            call = {"sessionId": name, "modelId": model}
            wishes.append(self._call(self._numbered("model"), "session/set_model", call))
        if loaded:
            self._values["first"] = ""
        if loaded and self.dialect.replays_late:
            wishes.append(self._call(self._numbered("ping:settle"), "_at/ping", {}))
        return wishes or self._ready()

    def _session_is_lost(self, wanted: str) -> Events:
        """The process goes on with a new session, which knows nothing of what the other one was told.

        So what waits is not said to it as it stands: it has to be handed over anew, by whoever knows what comes before.
        """
        self._launched["session"] = None
        self._accepted.clear()
        self._values.pop("held", None)
        # For its caller the prompt that made this try counts as sent.
        sent = optional_text(self._values.pop("tried_for", None))
        forgotten = [PromptForgotten(sent)] if sent is not None else []
        return [*forgotten, SessionLost(wanted), *self._ask_for_session()]

    def _settled(self, name: str, error: Object | None) -> Events:
        if error is not None:
            failure = self.failure(error)
            what = "permission mode" if name.startswith("mode:") else "model"
            return self._handshake_failed(
                "session", AcpFailure(failure.kind, f"it refused the {what}: {failure.message}")
            )
        return self._settle()

    def _settle(self) -> Events:
        """Go on when nothing is asked any more and, after a load, no more history came since the last question."""
        if self._phase != "settle" or self._calls:
            return []
        if self.dialect.replays_late and self._values.get("replayed"):
            self._values["replayed"] = 0
            return [self._call(self._numbered("ping:settle"), "_at/ping", {})]
        return self._ready()

    def _ready(self) -> Events:
        self._values["phase"] = "ready"
        session, model = text_of(self._values.get("session")), optional_text(self._values.get("model"))
        return [SessionStarted(session, model, optional_text(self._values.get("version")))]

    def _handshake_failed(self, step: str, failure: AcpFailure) -> Events:
        self._values.update(phase="failed", failed_step=step, calls={})
        held: list[list[str]] = self._values.pop("held", [])
        events = self._told(failure)
        events += [
            TurnEnded(TurnOutcome.FAILED, message_id, failure=failure.kind, error=failure.message)
            for message_id, _ in held
        ]
        return events or [jsonlines.unparsed(failure.message)]

    def _begin_again(self, message_id: str) -> list[Write]:
        self._values["tried_for"] = message_id
        if self._values.get("failed_step") == "initialize":
            self._values["phase"] = "initialize"
            again = self.open()[0]
            return [Write(f"{again.id}:{message_id}", again.data)]
        return [each for each in self._ask_for_session() if isinstance(each, Write)]

    def _told(self, failure: AcpFailure) -> Events:
        """What a failure says beyond the end of its turn."""
        if failure.kind is FailureKind.LIMIT:
            return [Limited(failure.message, failure.reset_at, failure.reset_in_seconds)]
        if failure.kind is FailureKind.LOGIN:
            return [LoginRefused(failure.message, self.capabilities.login_hint)]
        return []

    def _numbered(self, name: str) -> str:
        number = int(self._values.get("calls_made", 0)) + 1
        self._values["calls_made"] = number
        return f"{name}:{number}"

    # --- parts of the state ----------------------------------------------------------------------------------------

    @property
    def _phase(self) -> str:
        return text_of(self._values.get("phase"))

    @property
    def _launched(self) -> dict[str, Any]:
        launched: dict[str, Any] = self._values.setdefault("launched", {})
        return launched

    @property
    def _calls(self) -> dict[str, str]:
        calls: dict[str, str] = self._values.setdefault("calls", {})
        return calls


def _refused(rpc_id: int | str, line: Object) -> Events:
    """Files and terminals of ours were not offered; an agent that asks for them must not be left waiting."""
    error = {"code": NOT_SUPPORTED, "message": "requests of this kind are not supported"}
    answer = encode({"jsonrpc": "2.0", "id": rpc_id, "error": error})
    told = jsonlines.unparsed(f"a request that is not supported, refused: {line}")
    return [told, Write(f"answer:{acp_asks.request_id_of(rpc_id, '')}", answer)]
