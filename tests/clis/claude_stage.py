"""Where the real Claude Code is tried: how an agent starts on a test's ground."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from clis.conftest import Ground
from clis.pipes import PipedAgent, plain_environment

from at_session.drivers.claude import ClaudeDriver
from at_session.rehearsal.clis.claude import ClaudeRehearsal
from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import UseTools
from at_session.vocabulary import Allow, LaunchRequest

CLAUDE = ClaudeRehearsal()


class ClaudeStage:
    """An endpoint and a ground; agents start on them."""

    def __init__(self, endpoint: Endpoint, ground: Ground, commands: Path, stack: ExitStack) -> None:
        self.endpoint = endpoint
        self._ground = ground
        self._binary = str(commands / "claude")
        self._stack = stack
        self._env = {
            **plain_environment(ground.home),
            **CLAUDE.settle(ground.home, ground.repository, endpoint.url),
        }

    def start(self, session: str, allow: Allow = Allow.EDITS, **extra: str) -> PipedAgent:
        """Start the CLI with a session of this id, new or not; `extra` goes into its environment."""
        request = LaunchRequest(
            agent_id="agent-1",
            binary=self._binary,
            args=(),
            cwd=str(self._ground.repository),
            env={**self._env, **extra},
            private_dir=str(self._ground.private),
            allow=allow,
            session_id=session,
        )
        return self._stack.enter_context(PipedAgent(ClaudeDriver(), request))


def bash(command: str) -> UseTools:
    """One response with a shell command."""
    return UseTools((CLAUDE.command(command),))
