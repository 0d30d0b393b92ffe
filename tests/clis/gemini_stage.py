"""Where the real Gemini CLI is tried: how an agent starts on a test's ground, and what its record is asked for."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from clis.conftest import Ground
from clis.pipes import PipedAgent, plain_environment

from at_session.drivers.gemini import GeminiDriver
from at_session.rehearsal.clis.gemini import GeminiRehearsal
from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import UseTools
from at_session.vocabulary import (
    Allow,
    DriverEvent,
    DriverState,
    LaunchRequest,
    SessionStarted,
    TurnEnded,
    Usage,
    UsageReported,
)

VERSION = "0.61.0"
INSTRUCTIONS = "Commit what you made."
CLI = GeminiRehearsal()


class GeminiStage:
    """An endpoint and a ground; agents start on them."""

    def __init__(self, endpoint: Endpoint, ground: Ground, commands: Path, stack: ExitStack) -> None:
        self.endpoint = endpoint
        self.ground = ground
        self._binary = str(commands / "gemini")
        self._stack = stack
        self.env = {
            **plain_environment(ground.home),
            **CLI.settle(ground.home, ground.repository, endpoint.url),
        }

    def start(
        self,
        allow: Allow = Allow.EDITS,
        *,
        resume: str | None = None,
        state: DriverState | None = None,
        model: str | None = None,
    ) -> PipedAgent:
        """Start the CLI, or go on with a session of it."""
        request = LaunchRequest(
            agent_id="agent-1",
            binary=self._binary,
            args=(),
            cwd=str(self.ground.repository),
            env=self.env,
            private_dir=str(self.ground.private),
            allow=allow,
            model=model,
            session_id=resume or "chosen-by-nobody",
            resume=resume is not None,
            instructions=INSTRUCTIONS,
        )
        return self._stack.enter_context(PipedAgent(GeminiDriver(state), request))

    def turn(self, agent: PipedAgent, message_id: str, text: str) -> TurnEnded:
        """Give a prompt and wait for its turn's end."""
        agent.prompt(message_id, text)
        return agent.wait_for(TurnEnded, lambda event: event.message_id == message_id)

    def record(self, agent: PipedAgent) -> list[DriverEvent]:
        """What the CLI's record tells beyond the stream."""
        return agent.driver.reconcile(self.env, str(self.ground.repository))

    def usage(self, agent: PipedAgent) -> Usage:
        """The figures that the record has more than before, of one model."""
        (report,) = [event for event in self.record(agent) if isinstance(event, UsageReported)]
        return report.usage

    def path(self, name: str) -> str:
        return str(self.ground.repository / name)


def session_of(agent: PipedAgent) -> str:
    """The id that resumes an agent's session."""
    return agent.wait_for(SessionStarted).session_id


def shell(command: str) -> UseTools:
    """One response with a shell command."""
    return UseTools((CLI.command(command),))
