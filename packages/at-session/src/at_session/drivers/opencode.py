"""Driver of OpenCode over its HTTP API, carried on standard input and output by `opencode_bridge`.

Source: `GET /doc` and events of opencode 1.18.33; why not ACP is in `docs/adr/0005-opencode-over-its-server.md`, what
was found in `docs/findings-clis.md`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from at_session.drivers import (
    jsonlines,
    opencode_asks,
    opencode_permission,
    opencode_record,
    opencode_usage,
)
from at_session.drivers.jsonlines import Object, count_of, object_of, text_of
from at_session.drivers.opencode_turn import (
    LOGIN_HINT,
    Events,
    OpenCodeTurns,
    api_call,
    end_server,
    identity_of,
    keep,
)
from at_session.vocabulary import (
    Capabilities,
    Decision,
    DriverEvent,
    DriverState,
    FailureKind,
    Launch,
    LaunchRequest,
    PromptAccepted,
    SessionLost,
    SessionStarted,
    Transport,
    TurnEnded,
    TurnOutcome,
    Unparsed,
    Write,
)

BRIDGE = Path(__file__).with_name("opencode_bridge.py")
_SERVE = ("serve", "--hostname", "127.0.0.1", "--port", "0")
_NO_UPDATE = {"OPENCODE_DISABLE_AUTOUPDATE": "1"}
_COUNTED = ("counted",)
"""What outlives a session in the state: figures are counted once."""
_KEPT = (*_COUNTED, "accepted", "names", "children")
"""What outlives a process."""
_UNFINISHED = ("", "tool-calls", "unknown")
_MOST_LOOKS = 3
"""So often is a prompt looked up whose look-up fails."""


class OpenCodeDriver(OpenCodeTurns):
    """OpenCode, structured: one server per agent, one session on it.

    A prompt's message id becomes the id of the CLI's own message. Only one prompt is handed over at a time; the CLI
    would merge a second one into the running turn.
    """

    cli = "opencode"
    capabilities = Capabilities(
        chooses_session_id=False,
        resumes=True,
        acknowledges_prompts=True,
        asks_over_protocol=True,
        reports_cost=True,
        queues_prompts=True,
        exits_on_eof=True,
        login_hint=LOGIN_HINT,
        memory_mb=800,
        draws_on="the logins of `opencode auth` and the keys of providers in its settings, as `opencode` does",
        unreported=("cost of models without a price in its settings",),
    )

    def __init__(self, state: DriverState | None = None) -> None:
        self.state = state if state is not None else DriverState()

    # --- writes ----------------------------------------------------------------------------------------------------

    def launch(self, request: LaunchRequest) -> Launch:
        """Say how to start the bridge with the CLI's server; the session is made or resumed once that answers."""
        outlive = _KEPT if request.resume else _COUNTED  # a new session has taken nothing yet
        kept = {name: self._values[name] for name in outlive if name in self._values}
        self._values.clear()
        self._values.update(
            kept,
            resume=request.session_id if request.resume else None,
            title=f"auto-tundra {request.agent_id}",
            allow=request.allow.value,
            instructions=request.instructions,
            wanted_model=request.model,
        )
        # A CLI that replaces itself while agents run would be another program at the next resume.
        env = {**_NO_UPDATE, **request.env}
        permission = opencode_permission.permission(request.allow, request.env, request.cwd)
        if permission is not None:
            env["OPENCODE_PERMISSION"] = permission
        command = (request.binary or self.cli, *_SERVE, *request.args)
        argv = (sys.executable, "-I", "-S", str(BRIDGE), *command)
        return Launch(argv=argv, env=env, cwd=request.cwd, transport=Transport.PIPE)

    def open(self) -> list[Write]:
        """Nothing: the bridge speaks first."""
        return []

    def prompt(self, message_id: str, text: str) -> list[Write]:
        """Hand a prompt over, or hold it back until the turns before it are over.

        One that is handed over already gives the same write; one that was accepted is only looked up.
        """
        identity = identity_of(message_id)
        if message_id == self._values.get("handed"):
            return [self._look(message_id) if self._values.get("looking") else self._post(message_id, text)]
        if identity in object_of(self._values.get("accepted")) and "session" in self._values:
            return [self._look(message_id)]
        held: list[list[str]] = self._values.setdefault("held", [])
        if [message_id, text] not in held:
            held.append([message_id, text])
        return self.next_prompt()

    def next_prompt(self) -> list[Write]:
        """The write of the prompt that waits longest, once the session can take it."""
        held: list[list[str]] = self._values.get("held", [])
        if not held or "session" not in self._values or "handed" in self._values:
            return []
        message_id, text = held[0]
        self._values["handed"] = message_id
        keep(self._values.setdefault("names", {}), identity_of(message_id), message_id)
        if self._values.get("resume") is not None:
            # An earlier process may have taken it, and one that is posted again gets its text twice.
            self._values["looking"] = True
            return [self._look(message_id)]
        held.pop(0)
        return [self._post(message_id, text)]

    def _look(self, message_id: str) -> Write:
        # A write is made once per id, so each further look has an id of its own.
        failed = count_of(object_of(self._values.get("looks_failed")).get(message_id))
        name = f"look.{failed + 1}" if failed else "look"
        return api_call(f"{name}:{message_id}", "GET", self.at(f"message/{identity_of(message_id)}"))

    def _post(self, message_id: str, text: str) -> Write:
        return api_call(f"prompt:{message_id}", "POST", self.at("prompt_async"), self._body(message_id, text))

    def _body(self, message_id: str, text: str) -> Object:
        body: Object = {"messageID": identity_of(message_id), "parts": [{"type": "text", "text": text}]}
        if self._values.get("instructions"):
            body["system"] = self._values["instructions"]
        provider, found, model = text_of(self._values.get("wanted_model")).partition("/")
        if found:
            body["model"] = {"providerID": provider, "modelID": model}
        return body

    def decide(self, request_id: str, decision: Decision) -> list[Write]:
        """Answer an open ask; nothing to write if it is not open any more."""
        ask = self._asks.get(request_id)
        if ask is None:
            return []
        questions = ask.get("questions")
        ask["refused"] = not decision.approve
        path, body = opencode_asks.reply(
            request_id, questions if isinstance(questions, list) else None, decision
        )
        return [api_call(f"answer:{request_id}", "POST", path, body)]

    def interrupt(self, interrupt_id: str) -> list[Write]:
        """Ask the CLI to end its turn; nothing without a session."""
        if "session" not in self._values:
            return []
        self._values["interrupted"] = "turn" in self._values
        return [api_call(f"interrupt:{interrupt_id}", "POST", self.at("abort"))]

    # --- events ----------------------------------------------------------------------------------------------------

    def feed(self, stream: str, data: bytes) -> Events:
        """Events of the bridge's lines, and the writes that answer them."""
        events: Events = []
        for line in jsonlines.split_lines(self.state, stream, data):
            if stream == "stderr":
                events += (
                    [jsonlines.unparsed(line.decode("utf-8", "replace"), stream)] if line.strip() else []
                )
                continue
            parsed = jsonlines.parse(line)
            if isinstance(parsed, Unparsed):
                events.append(parsed)
            elif parsed:
                events += self._line(parsed)
        return events

    def _line(self, line: Object) -> Events:
        if "serving" in line:
            return self._serving(object_of(line["serving"]))
        if "event" in line:
            event = object_of(line["event"])
            return self.event(
                text_of(event.get("type")), object_of(event.get("properties")), count_of(line.get("at"))
            )
        if "id" in line:
            return self._answer(text_of(line["id"]), line)
        return [jsonlines.unparsed(f"a line of no kind: {line}")]

    def _serving(self, serving: Object) -> Events:
        self._values["version"] = jsonlines.optional_text(serving.get("version"))
        wanted = self._values.get("resume")
        if wanted is not None:
            return [api_call("open:resume", "GET", f"/session/{wanted}")]
        # With a title of ours the CLI asks no model for one.
        return [api_call("open:create", "POST", "/session", {"title": self._values.get("title")})]

    def _answer(self, request_id: str, line: Object) -> Events:
        kind, _, rest = request_id.partition(":")
        status = count_of(line.get("status"))
        ok = 200 <= status < 300
        match kind.partition(".")[0]:
            case "open" if ok and text_of(object_of(line.get("body")).get("id")):
                return self._session_is(text_of(object_of(line["body"])["id"]))
            case "open" if status == 404:
                return [SessionLost(text_of(self._values.get("resume"))), end_server()]
            case "look" if ok or status == 404:
                return self._looked_up(rest, found=ok)
            case "look":
                return self._look_failed(rest, line)
            case "prompt" if not ok and rest == self._values.get("handed"):
                return self._refused(line)
            case "open" if not ok:
                # Without a session nothing can be done here; the end of the process is the fact.
                return [
                    jsonlines.unparsed(f"no session: {line.get('body') or line.get('error')}"),
                    end_server(),
                ]
            case "answer" if not ok:
                return self._close_ask(rest, withdrawn=True)
        if ok:
            return []
        said = jsonlines.unparsed(f"{request_id}: {line.get('body') or line.get('error')}")
        return [said, *(self.abort_failed(rest) if kind == "give-up" else [])]

    def _session_is(self, session_id: str) -> Events:
        if "session" in self._values:
            return []
        self._values["session"] = session_id
        started = SessionStarted(session_id, self._values.get("wanted_model"), self._values.get("version"))
        return [started, *self.next_prompt()]

    def _looked_up(self, message_id: str, *, found: bool) -> Events:
        held: list[list[str]] = self._values.get("held", [])
        if message_id != self._values.get("handed") or not self._values.get("looking") or not held:
            return [PromptAccepted(message_id, repeated=True)] if found else []
        _, text = held.pop(0)
        self._values["looking"] = False
        if not found:
            return [self._post(message_id, text)]
        del self._values["handed"]
        keep(self._values.setdefault("accepted", {}), identity_of(message_id), True)
        return [PromptAccepted(message_id, repeated=True), *self.next_prompt()]

    def _look_failed(self, message_id: str, line: Object) -> Events:
        """Whether the CLI has the prompt is not known. To post it again would append its text to it."""
        failed: dict[str, int] = self._values.setdefault("looks_failed", {})
        failed[message_id] = count_of(failed.get(message_id)) + 1
        if failed[message_id] < _MOST_LOOKS:
            return [self._look(message_id)]
        # The next process asks anew.
        said = f"the CLI does not say whether it has {message_id}: {line.get('body') or line.get('error')}"
        return [jsonlines.unparsed(said), end_server()]

    def _refused(self, line: Object) -> Events:
        said = f"the CLI refused the prompt: {line.get('body') or line.get('error')}"[
            : jsonlines.EXCERPT_LIMIT
        ]
        message_id = self._values.pop("handed")
        self._values.pop("turn", None)
        return [TurnEnded(TurnOutcome.FAILED, message_id, "", FailureKind.OTHER, said), *self.next_prompt()]

    def reconcile(self, env: Mapping[str, str], cwd: str) -> list[DriverEvent]:
        """What the CLI's database has of the last turn and the stream did not tell before the process ended."""
        session = text_of(self._values.get("session"))
        if not session:
            return []
        path = opencode_record.database(env)
        found = opencode_record.messages(path, session, opencode_usage.COUNTED_KEPT)
        if isinstance(found, str):
            # The figures of answers that the stream told are not lost with the record.
            unread = jsonlines.unparsed(found, "record")
            return [unread, *opencode_usage.told(self.state), *self.end_given_up()]
        events: list[DriverEvent] = []
        for message in found:
            if message.data.get("role") == "user" and message.session_id == session:
                events += [each for each in self.accept(message.id) if not isinstance(each, Write)]
            elif message.data.get("role") == "assistant":
                opencode_usage.note(self.state, {**message.data, "id": message.id})
        events += opencode_usage.told(self.state)
        turn, last = self._turn, next((each for each in found[::-1] if each.session_id == session), None)
        if (
            turn is None
            or last is None
            or last.data.get("parentID") != identity_of(text_of(turn.get("prompt")))
        ):
            return [*events, *self.end_given_up()]
        if text_of(last.data.get("finish")) not in _UNFINISHED:
            del self._values["turn"]
            text = opencode_record.last_text(path, last.id)
            events.append(TurnEnded(TurnOutcome.COMPLETED, turn.get("prompt"), text))
        return [*events, *self.end_given_up()]
