"""Driver of the demo agent; its protocol is `docs/demo.md`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from at_session.drivers import jsonlines
from at_session.drivers.commands import argument_list
from at_session.drivers.demo_adoption import DemoAdoption
from at_session.drivers.jsonlines import Object, count_of, encode, number_of, optional_text, text_of
from at_session.errors import LaunchRefused
from at_session.vocabulary import (
    AskClosed,
    AskKind,
    AskOpened,
    Capabilities,
    ContextUsed,
    Decision,
    DriverEvent,
    DriverState,
    FailureKind,
    Launch,
    LaunchRequest,
    Limited,
    PromptAccepted,
    SessionStarted,
    Text,
    ToolEnded,
    ToolStarted,
    Transport,
    TurnEnded,
    TurnOutcome,
    TurnStarted,
    Unparsed,
    Usage,
    UsageReported,
    Write,
)

PROGRAM = Path(__file__).parent.parent / "demo"
SOURCE = "demo agent (no model is called)"
CONTEXT_SOURCE = "demo agent (context of its last turn)"


class DemoDriver:
    """The demo agent over pipes. It calls no model, so it needs no login and has no cost but one of its scenario."""

    cli = "demo"
    capabilities = Capabilities(
        chooses_session_id=True,
        resumes=True,
        acknowledges_prompts=True,
        asks_over_protocol=True,
        reports_cost=False,
        queues_prompts=True,
        exits_on_eof=True,
        login_hint="",
        memory_mb=30,
        draws_on="nothing: no model is called",
        unreported=("cost",),
        adoption=DemoAdoption(),
    )

    def __init__(self, state: DriverState | None = None) -> None:
        self.state = state if state is not None else DriverState()

    def launch(self, request: LaunchRequest) -> Launch:
        """The agent is our own program, so it runs in our interpreter unless another one is named."""
        if request.session_id is None:
            raise LaunchRefused(self.cli, "it has no session id", "choose one for every launch")
        python = sys.executable if request.binary in ("", self.cli) else request.binary
        options = ["--session", request.session_id, "--state-dir", request.private_dir]
        options += ["--allow", request.allow.value, "--attempt", str(request.attempt)]
        argv = (python, "-I", "-S", str(PROGRAM), *options, *request.args)
        return Launch(argv=argv, env=dict(request.env), cwd=request.cwd, transport=Transport.PIPE)

    def open(self) -> list[Write]:
        """No handshake: the agent says hello by itself."""
        return []

    def feed(self, stream: str, data: bytes) -> list[DriverEvent | Write]:
        """Events of the agent's reports."""
        events: list[DriverEvent | Write] = []
        for line in jsonlines.split_lines(self.state, stream, data):
            if stream == "stderr":
                events.append(jsonlines.unparsed(line.decode("utf-8", "replace"), stream))
                continue
            report = jsonlines.parse(line)
            event = report if report is None or isinstance(report, Unparsed) else _event(report)
            if event is not None:
                events.append(event)
        return events

    def prompt(self, message_id: str, text: str) -> list[Write]:
        """One line; the agent acknowledges it by its id."""
        request = {"type": "prompt", "id": message_id, "text": text}
        return [Write(f"prompt:{message_id}", encode(request))]

    def decide(self, request_id: str, decision: Decision) -> list[Write]:
        """One line with the answer."""
        request = {"type": "answer", "ask": request_id, "approve": decision.approve, "text": decision.text}
        return [Write(f"answer:{request_id}", encode(request))]

    def interrupt(self, interrupt_id: str) -> list[Write]:
        """One line; a hanging agent does not react to it."""
        return [Write(f"interrupt:{interrupt_id}", encode({"type": "interrupt", "id": interrupt_id}))]

    def reconcile(self, env: Mapping[str, str], cwd: str) -> list[DriverEvent]:
        """The agent keeps no record beside its stream."""
        return []


def _event(report: Object) -> DriverEvent | None:
    match report.get("type"):
        case "hello":
            return SessionStarted(text_of(report.get("session")), model="demo")
        case "accepted":
            return PromptAccepted(text_of(report.get("prompt")), repeated=report.get("repeated") is True)
        case "turn_started":
            return TurnStarted(text_of(report.get("prompt")))
        case "text":
            return Text(text_of(report.get("text")))
        case "tool_started":
            return ToolStarted(*(text_of(report.get(name)) for name in ("tool", "name", "what")))
        case "tool_ended":
            output = text_of(report.get("output"))
            return ToolEnded(text_of(report.get("tool")), report.get("ok") is True, output)
        case "ask":
            return _ask(report)
        case "ask_closed":
            return AskClosed(text_of(report.get("ask")), withdrawn=report.get("withdrawn") is True)
        case "limited":
            return Limited(text_of(report.get("message")), optional_text(report.get("reset_at")))
        case "context":
            size = count_of(report.get("size")) or None
            return ContextUsed(
                count_of(report.get("used")), size, optional_text(report.get("model")), CONTEXT_SOURCE
            )
        case "usage":
            return UsageReported(_usage(report), SOURCE)
        case "turn_ended":
            return _end(report)
        case "interrupt_taken":
            return None
        case _:
            return jsonlines.unparsed(str(report))


def _ask(report: Object) -> AskOpened:
    kind = text_of(report.get("kind"))
    what = text_of(report.get("what"))
    return AskOpened(
        text_of(report.get("ask")),
        AskKind(kind) if kind in set(AskKind) else AskKind.TOOL,
        what,
        tool=optional_text(report.get("tool")),
        argv=argument_list(what) if kind == AskKind.COMMAND else None,
    )


def _usage(report: Object) -> Usage:
    return Usage(
        input_tokens=count_of(report.get("input_tokens")),
        cached_tokens=count_of(report.get("cached_tokens")),
        output_tokens=count_of(report.get("output_tokens")),
        cost_usd=number_of(report.get("cost_usd")),
        requests=count_of(report.get("requests")),
        model=optional_text(report.get("model")),
    )


def _end(report: Object) -> TurnEnded:
    outcome, failure = text_of(report.get("outcome")), text_of(report.get("failure"))
    denied = report.get("denied")
    return TurnEnded(
        TurnOutcome(outcome) if outcome in set(TurnOutcome) else TurnOutcome.FAILED,
        message_id=optional_text(report.get("prompt")),
        text=text_of(report.get("text")),
        failure=FailureKind(failure) if failure in set(FailureKind) else None,
        error=optional_text(report.get("error")),
        denied=tuple(map(str, denied)) if isinstance(denied, list) else (),
    )
