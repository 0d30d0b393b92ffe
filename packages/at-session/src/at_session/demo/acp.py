"""The demo agent as a speaker of the Agent Client Protocol, version 1: JSON-RPC 2.0, one object per line.

The agent stays the same: this channel turns the client's requests into its requests, and its reports into updates.
Source: the protocol's public schema (agentclientprotocol.com). A process serves one session.
"""

from __future__ import annotations

import json
import os

from at_session.__about__ import __version__
from at_session.demo.agent import DemoAgent
from at_session.demo.channel import Channel
from at_session.demo.session import DemoSession, is_stored

TYPE_CHECKING = False  # `typing` costs start-up time
if TYPE_CHECKING:
    from typing import Any

    Object = dict[str, Any]

PROTOCOL_VERSION = 1
MODES = {"ask": "Ask before files and commands", "edits": "Ask before commands", "all": "Ask nothing"}
MODEL = "demo"
PARSE_ERROR, NOT_A_REQUEST, NO_METHOD, BAD_PARAMETERS = -32700, -32600, -32601, -32602
INTERNAL_ERROR, NOT_FOUND, LIMIT_REACHED = -32603, -32002, 429
_KINDS = {"write": "edit", "shell": "execute"}
_OPTIONS = (("allow", "Yes", "allow_once"), ("reject", "No", "reject_once"))


class Refusal(Exception):
    """A request that is answered with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class AcpChannel(Channel):
    """The client's side of the demo agent; `agent` is there once a session was opened."""

    def __init__(self, folder: str, allow: str) -> None:
        super().__init__()
        self.agent: DemoAgent | None = None
        self._folder = folder
        self._allow = allow
        self._prompts: dict[str, object] = {}
        self._asks: dict[int, Object] = {}
        self._sent = 0
        self._tool = ""
        self._question = ""
        self._usage: dict[str, int] = {}

    # --- from the client -----------------------------------------------------------------------------------------

    def _take(self, line: bytes) -> None:
        try:
            message = json.loads(line.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            self._error(None, PARSE_ERROR, "not a JSON object")
            return
        method, params = message.get("method"), message.get("params")
        if method is None:
            self._answered(message)
            return
        try:
            result = self._called(str(method), params if isinstance(params, dict) else {}, message.get("id"))
        except Refusal as refusal:
            if "id" in message:
                self._error(message["id"], refusal.code, str(refusal))
            return
        if result is not None and "id" in message:
            self._write({"id": message["id"], "result": result})

    def _called(self, method: str, params: Object, rpc_id: object) -> Object | None:
        """The result; None where it comes later or is not wanted."""
        match method:
            case "initialize":
                return _about()
            case "session/new":
                return self._open(params, os.urandom(16).hex())
            case "session/load":
                return self._open(params, self._known_session(params))
        if method not in ("session/prompt", "session/cancel", "session/set_mode", "session/set_model"):
            raise Refusal(NO_METHOD, f"there is no method {method!r}")
        agent = self.agent
        if agent is None or params.get("sessionId") != agent.session.id:
            raise Refusal(NOT_FOUND, f"there is no session {params.get('sessionId')!r}")
        if method == "session/prompt":
            self._prompted(agent, params, rpc_id)
            return None
        if method == "session/cancel":
            self.requests.append({"type": "interrupt", "id": "cancel"})
            return None
        chosen, offered = (
            (params.get("modeId"), list(MODES))
            if method == "session/set_mode"
            else (params.get("modelId"), [MODEL])
        )
        if chosen not in offered:
            raise Refusal(BAD_PARAMETERS, f"{chosen!r} is none of {', '.join(offered)}")
        if method == "session/set_mode":
            agent.allow = str(chosen)
        return {}

    def _known_session(self, params: Object) -> str:
        session_id = str(params.get("sessionId"))
        if not session_id.isalnum() or not is_stored(self._folder, session_id):
            raise Refusal(NOT_FOUND, f"there is no session {session_id!r}")
        return session_id

    def _open(self, params: Object, session_id: str) -> Object:
        if self.agent is not None:
            raise Refusal(NOT_A_REQUEST, "this process has its session already")
        cwd = str(params.get("cwd") or "")
        if not os.path.isabs(cwd) or not os.path.isdir(cwd):
            raise Refusal(BAD_PARAMETERS, f"cwd is no folder: {cwd!r}")
        os.chdir(cwd)
        session = DemoSession(self._folder, session_id)
        # Whoever asked for these has gone with the process before, and asks again.
        session.queue.clear()
        self.agent = DemoAgent(session, self._allow, session.starts, self)
        for end in session.finished.values():
            self._says(str(end.get("text") or ""), f"{end.get('prompt')}")
        modes = [{"id": name, "name": said} for name, said in MODES.items()]
        return {
            "sessionId": session_id,
            "modes": {"currentModeId": self._allow, "availableModes": modes},
            "models": {"currentModelId": MODEL, "availableModels": [{"modelId": MODEL, "name": "Demo"}]},
        }

    def _prompted(self, agent: DemoAgent, params: Object, rpc_id: object) -> None:
        """The last block of text is the scenario. Ids of requests begin anew with each process, ours do not."""
        blocks = params.get("prompt")
        texts = [
            str(block.get("text", ""))
            for block in (blocks if isinstance(blocks, list) else [])
            if isinstance(block, dict) and block.get("type") == "text"
        ]
        if not texts:
            raise Refusal(BAD_PARAMETERS, "the prompt has no text")
        self._sent += 1
        prompt_id = f"{agent.session.starts}-{self._sent}"
        self._prompts[prompt_id] = rpc_id
        self.requests.append({"type": "prompt", "id": prompt_id, "text": texts[-1]})

    def _answered(self, message: Object) -> None:
        """A permission that was asked for; whatever is no choice of ours counts as a no."""
        rpc_id = message.get("id")
        ask = self._asks.pop(rpc_id, None) if isinstance(rpc_id, int) else None
        if ask is None:
            return
        result = message.get("result")
        outcome = result.get("outcome") if isinstance(result, dict) else None
        approve = isinstance(outcome, dict) and outcome.get("optionId") == "allow"
        text = ("yes" if approve else "no") if ask["kind"] == "question" else ""
        self.requests.append({"type": "answer", "ask": ask["ask"], "approve": approve, "text": text})

    # --- to the client -------------------------------------------------------------------------------------------

    def send(self, report: str, **fields: object) -> None:
        match report:
            case "turn_started":
                self._usage = {}
                thought = {"type": "text", "text": "Reading the scenario."}
                self._update("agent_thought_chunk", content=thought)
            case "text":
                self._sent += 1
                self._says(str(fields["text"]), str(self._sent))
            case "tool_started":
                self._tool = str(fields["tool"])
                self._update("tool_call", status="in_progress", **_tool_call(**fields))
            case "tool_ended":
                self._tool_ended(str(fields["tool"]), bool(fields["ok"]), str(fields["output"]))
            case "ask":
                self._asked(**fields)
            case "ask_closed":
                self._ask_closed(fields)
            case "context" if "size" in fields:
                self._update("usage_update", used=fields["used"], size=fields["size"])
            case "usage":
                for name in ("input_tokens", "cached_tokens", "output_tokens"):
                    self._usage[name] = self._usage.get(name, 0) + int(str(fields.get(name, 0)))
            case "turn_ended":
                self._turn_ended(fields)

    def _says(self, text: str, message_id: str) -> None:
        content = {"type": "text", "text": text}
        self._update("agent_message_chunk", content=content, messageId=message_id)

    def _tool_ended(self, tool_id: str, ok: bool, output: str) -> None:
        content = [{"type": "content", "content": {"type": "text", "text": output}}]
        status = "completed" if ok else "failed"
        self._update("tool_call_update", toolCallId=tool_id, status=status, content=content)

    def _asked(self, ask: object, kind: object, tool: object, what: object) -> None:
        """The protocol knows no questions: one is a permission whose yes or no is the answer."""
        self._sent += 1
        self._asks[self._sent] = {"ask": ask, "kind": kind}
        call: Object = {"toolCallId": f"question-{ask}", "title": what, "kind": "other"}
        if kind == "question":
            self._question = str(ask)
        elif kind == "edit":
            path, _, content = str(what).partition("\n")
            call = _tool_call(self._tool, "write", path)
            call["content"] = [{"type": "diff", "path": path, "oldText": None, "newText": content}]
        else:
            call = _tool_call(self._tool, "shell", str(what))
        options = [dict(zip(("optionId", "name", "kind"), each, strict=True)) for each in _OPTIONS]
        params = {"sessionId": self._session, "toolCall": call, "options": options}
        self._write({"id": self._sent, "method": "session/request_permission", "params": params})

    def _ask_closed(self, fields: Object) -> None:
        for number in [number for number, ask in self._asks.items() if ask["ask"] == fields["ask"]]:
            del self._asks[number]  # what the client still answers comes too late
        if fields["ask"] == self._question and not fields["withdrawn"]:
            self._update("tool_call_update", toolCallId=f"question-{self._question}", status="completed")

    def _turn_ended(self, fields: Object) -> None:
        rpc_id = self._prompts.pop(str(fields["prompt"]), None)
        if fields["outcome"] == "failed":
            code = LIMIT_REACHED if fields["failure"] == "limit" else INTERNAL_ERROR
            self._error(rpc_id, code, str(fields["error"]))
            return
        usage = {
            "inputTokens": self._usage.get("input_tokens", 0),
            "cachedReadTokens": self._usage.get("cached_tokens", 0),
            "outputTokens": self._usage.get("output_tokens", 0),
        }
        reason = "cancelled" if fields["outcome"] == "interrupted" else "end_turn"
        self._write({"id": rpc_id, "result": {"stopReason": reason, "usage": usage}})

    def _update(self, kind: str, /, **fields: object) -> None:
        params = {"sessionId": self._session, "update": {"sessionUpdate": kind, **fields}}
        self._write({"method": "session/update", "params": params})

    def _error(self, rpc_id: object, code: int, message: str) -> None:
        self._write({"id": rpc_id, "error": {"code": code, "message": message}})

    def _write(self, message: Object) -> None:
        self.put({"jsonrpc": "2.0", **message})

    @property
    def _session(self) -> str:
        assert self.agent is not None
        return self.agent.session.id


def serve(folder: str, allow: str) -> int:
    """Serve one client until its end of input; the exit code."""
    channel = AcpChannel(folder, allow)
    while (agent := channel.agent) is None:
        if channel.closed:
            return 0
        channel.wait(None)
    agent.take_requests()
    return agent.run()


def _about() -> Object:
    return {
        "protocolVersion": PROTOCOL_VERSION,
        "agentInfo": {"name": "demo", "title": "Demo agent", "version": __version__},
        "agentCapabilities": {"loadSession": True, "promptCapabilities": {}},
        "authMethods": [],
    }


def _tool_call(tool: object, name: object, what: object) -> Object:
    call: Object = {"toolCallId": tool, "title": what, "kind": _KINDS[str(name)]}
    if name == "shell":
        return {**call, "rawInput": {"command": what}}
    return {**call, "locations": [{"path": what}]}
