"""Where the real Codex is tried: an endpoint, a home and a repository; agents start on them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from clis.conftest import Ground
from clis.pipes import PipedAgent, plain_environment

from at_session.drivers.codex import CodexDriver
from at_session.rehearsal.clis.codex import CodexRehearsal
from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import ToolUse, UseTools
from at_session.vocabulary import Allow, DriverState, LaunchRequest, SessionStarted

CODEX = CodexRehearsal()


class CodexStage:
    """A context manager; calling it starts an agent, which ends with it."""

    def __init__(self, endpoint: Endpoint, ground: Ground, commands: Path) -> None:
        self.ground = ground
        self.settings = CODEX.settle(ground.home, ground.repository, endpoint.url)
        self._binary = str(commands / "codex")
        self._stack = ExitStack()
        ground.git("config", "user.name", "Test")
        ground.git("config", "user.email", "test@example.org")

    def __enter__(self) -> CodexStage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def __call__(
        self,
        allow: Allow = Allow.EDITS,
        *,
        resume: str | None = None,
        before: DriverState | None = None,
        model: str | None = None,
        instructions: str = "",
        args: tuple[str, ...] = (),
        driver: CodexDriver | None = None,
        **extra: str,
    ) -> PipedAgent:
        """Start Codex; `before` is the state that the process before left."""
        request = LaunchRequest(
            agent_id="agent-1",
            binary=self._binary,
            args=args,
            cwd=str(self.ground.repository),
            env={**plain_environment(self.ground.home), **self.settings, **extra},
            private_dir=str(self.ground.private),
            allow=allow,
            model=model,
            session_id=resume or "00000000-0000-4000-8000-000000000000",
            resume=resume is not None,
            instructions=instructions,
        )
        return self._stack.enter_context(PipedAgent(driver or CodexDriver(before), request))


def shell(command: str) -> UseTools:
    """A command inside the sandbox."""
    return UseTools((ToolUse("exec_command", {"cmd": command}),))


def escalated(command: str) -> UseTools:
    """A command that asks to leave it."""
    return UseTools((CODEX.command(command),))


def session_of(agent: PipedAgent) -> str:
    """The id of its thread."""
    return agent.wait_for(SessionStarted).session_id
