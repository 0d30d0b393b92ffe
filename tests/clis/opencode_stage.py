"""Where the real OpenCode is tried: an endpoint, a home and a repository, and the turns of an agent on them."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from pathlib import Path

from clis.figures import Figures
from clis.install import new_home
from clis.pipes import PATIENCE_SECONDS, Found, PipedAgent, plain_environment

from at_session.drivers.opencode import OpenCodeDriver
from at_session.rehearsal.clis.opencode import OpenCodeRehearsal
from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import UseTools
from at_session.vocabulary import (
    Allow,
    DriverEvent,
    DriverState,
    LaunchRequest,
    TurnEnded,
)

VERSION = "1.18.33"
INSTRUCTIONS = "Work in this folder only."
CLI = OpenCodeRehearsal()


class OpenCodeStage:
    """An endpoint, a home and a repository; agents start on them."""

    def __init__(self, commands: Path, folder: Path, endpoint: Endpoint, stack: ExitStack) -> None:
        self.endpoint = endpoint
        self.home, self.repository, self.private = folder / "home", folder / "repo", folder / "private"
        for each in (self.home, self.repository, self.private):
            each.mkdir()
        subprocess.run(["git", "init", "-q", "-b", "main", str(self.repository)], check=True)
        (self.repository / "AGENTS.md").write_text("The person's own words.\n")
        self._commands = commands
        self._stack = stack
        self._prompts = 0
        self.env = {
            **plain_environment(self.home),
            **CLI.settle(self.home, self.repository, endpoint.url),
        }

    def configure(self, **more: object) -> None:
        """Add to the person's settings."""
        path = self.home / ".config" / "opencode" / "opencode.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **more}))

    def start(
        self, allow: Allow = Allow.EDITS, session: str | None = None, state: DriverState | None = None
    ) -> PipedAgent:
        request = LaunchRequest(
            agent_id="agent-1",
            binary=str(self._commands / "opencode"),
            args=(),
            cwd=str(self.repository),
            env=self.env,
            private_dir=str(self.private),
            allow=allow,
            session_id=session,
            resume=session is not None,
            instructions=INSTRUCTIONS,
        )
        return self._stack.enter_context(PipedAgent(OpenCodeDriver(state), request))

    def path(self, name: str) -> str:
        return str(self.repository / name)

    def message(self) -> str:
        self._prompts += 1
        return f"m{self._prompts}"


class Turn:
    """One prompt to a shared agent and the events from there on."""

    def __init__(self, stage: OpenCodeStage, agent: PipedAgent, text: str) -> None:
        self.message = stage.message()
        self.agent = agent
        self._from = len(agent.events)
        agent.prompt(self.message, text)

    @property
    def events(self) -> list[DriverEvent]:
        return self.agent.events[self._from :]

    def of(self, kind: type[Found]) -> list[Found]:
        return [event for event in self.events if isinstance(event, kind)]

    def wait_for(self, kind: type[Found], seconds: float = PATIENCE_SECONDS) -> Found:
        before = self.agent.events[: self._from]
        return self.agent.wait_for(
            kind, lambda event: not any(event is each for each in before), seconds=seconds
        )

    def end(self) -> TurnEnded:
        return self.agent.wait_for(TurnEnded, lambda event: event.message_id == self.message)


def bash(command: str) -> UseTools:
    return UseTools((CLI.command(command),))


def cost(tokens: Figures) -> float:
    """USD at the rehearsal's prices per million."""
    given, cached, output = tokens
    return (given * 1 + cached * 0.1 + output * 5) / 1e6


def made_stage(commands: Path, stack: ExitStack) -> OpenCodeStage:
    folder = stack.enter_context(new_home())
    return OpenCodeStage(commands, folder, stack.enter_context(Endpoint()), stack)
