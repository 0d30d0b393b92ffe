"""Records the real Codex CLI for the fast tests of at-session: `python -m clis.record_codex FOLDER`.

Run from `tests` with at-session installed; the files are those that `clis.recording` describes. `killed.rollout.jsonl` is
the CLI's own record of the case `killed`, without what the driver does not read.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from clis.codex_stage import CODEX, CodexStage, escalated
from clis.conftest import make_ground
from clis.install import installed
from clis.pipes import PipedAgent
from clis.recording import decided, each_case, entries, prompted_again, save, stopped, through

from at_session.drivers.codex_record import WANTED, find
from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import Cut, Reply, Say, Stream, UseTools
from at_session.rehearsal.sealed import seal
from at_session.vocabulary import (
    Allow,
    AskOpened,
    PromptAccepted,
    SessionLost,
    SessionStarted,
    ToolEnded,
    TurnStarted,
)

GROUND = Path("/var/tmp/demo-codex")
REPOSITORY = GROUND / "repo"
RESET = 1_900_000_000
# It names the machine, and no driver needs it.
LEFT_OUT = "remoteControl/status/changed"

Case = Callable[["Stage"], PipedAgent]


class Stage:
    """How an agent starts before the endpoint, and what it is told."""

    def __init__(self, endpoint: Endpoint, codex: CodexStage, name: str) -> None:
        self.endpoint = endpoint
        self.start = codex
        self._name = name

    def prompted(self, *replies: Reply, allow: Allow = Allow.EDITS) -> PipedAgent:
        agent = self.start(allow)
        agent.prompt("m1", self.endpoint.script(self._name, *replies))
        return agent

    def ended(self, *replies: Reply) -> PipedAgent:
        return through(self.prompted(*replies))


def write(stage: Stage) -> PipedAgent:
    call = CODEX.write(str(REPOSITORY / "hello.txt"), "hi\n")
    agent = stage.ended(UseTools((call,), "I write."), Say("Done."))
    return prompted_again(agent, stage.endpoint.script("second", Say("Again.")))


def approved(stage: Stage) -> PipedAgent:
    agent = stage.prompted(escalated("git config demo.key 1"), Say("Configured."))
    return decided(agent, approve=True)


def denied(stage: Stage) -> PipedAgent:
    agent = stage.prompted(escalated("make -k all; true"), Say("I could not."))
    return decided(agent, approve=False, text="Not this one.")


def edit(stage: Stage) -> PipedAgent:
    path = REPOSITORY / "poem.txt"
    path.write_text("one\ntwo\n", encoding="utf-8")
    (calls,) = CODEX.edit(str(path), "two", "2")
    agent = stage.prompted(UseTools(calls), Say("Edited."), allow=Allow.ASK)
    return decided(agent, approve=True)


def question(stage: Stage) -> PipedAgent:
    call = CODEX.question("Which colour?", ("Red", "Blue"))
    assert call is not None
    agent = stage.prompted(UseTools((call,)), Say("Blue it is."))
    return decided(agent, approve=True, text="2")


def interrupted(stage: Stage) -> PipedAgent:
    agent = stage.prompted(Stream(30))
    agent.wait_for(TurnStarted)
    stage.endpoint.wait_for(lambda: b"line 3" in agent.output(), 3)
    return stopped(agent)


def withdrawn(stage: Stage) -> PipedAgent:
    agent = stage.prompted(escalated("make something"))
    agent.wait_for(AskOpened)
    return stopped(agent)


def queued(stage: Stage) -> PipedAgent:
    agent = stage.prompted(Stream(0.5), Say("Never."))
    agent.wait_for(TurnStarted)
    return prompted_again(agent, stage.endpoint.script("second", Say("In its turn.")))


def repeated(stage: Stage) -> PipedAgent:
    first = stage.ended(Say("Heard."))
    first.close()
    agent = stage.start(resume=first.of(SessionStarted)[0].session_id)
    agent.prompt("m1", stage.endpoint.script("repeated", Say("Not again.")))
    agent.wait_for(PromptAccepted)
    agent.prompt("m2", stage.endpoint.script("next", Say("Next.")))
    return through(agent)


def killed(stage: Stage) -> PipedAgent:
    call = CODEX.write(str(REPOSITORY / "a.txt"), "a\n")
    agent = stage.prompted(UseTools((call,)), Stream(30))
    agent.wait_for(ToolEnded)
    stage.endpoint.wait_for(lambda: b"line 3" in agent.output(), 3)
    agent.kill()
    return agent


def retried(stage: Stage) -> PipedAgent:
    return stage.ended(CODEX.slow_down(), Cut("Half a sen"), Say("At last."))


def limited(stage: Stage) -> PipedAgent:
    return stage.ended(CODEX.quota(RESET))


def login(stage: Stage) -> PipedAgent:
    return stage.ended(CODEX.login_refused())


def no_login(stage: Stage) -> PipedAgent:
    agent = stage.start(OPENAI_API_KEY="")
    agent.prompt("m1", stage.endpoint.script("no-login", Say("Never.")))
    return through(agent)


def context(stage: Stage) -> PipedAgent:
    agent = stage.ended(CODEX.too_long())
    return prompted_again(agent, stage.endpoint.script("second", Say("Short.")))


def server_error(stage: Stage) -> PipedAgent:
    return stage.ended(CODEX.broken())


def cut(stage: Stage) -> PipedAgent:
    return stage.ended(Cut("Half a sen"))


def lost(stage: Stage) -> PipedAgent:
    agent = stage.start(resume="01a204db-1130-7011-b699-29c08635506b")
    agent.wait_for(SessionLost)
    agent.wait_for(SessionStarted)
    return agent


CASES: tuple[Case, ...] = (
    *(write, approved, denied, edit, question, interrupted, withdrawn, queued, repeated, killed),
    *(retried, limited, login, no_login, context, server_error, cut, lost),
)


def rollout(session: str) -> list[bytes]:
    """The CLI's own record, without what the driver does not read."""
    path = find(GROUND / "home" / ".codex", session)
    assert path is not None
    return [line for line in path.read_bytes().splitlines() if any(word in line for word in WANTED)]


def main(folder: Path) -> None:
    commands = installed()
    seal()
    for name, case in each_case(CASES, GROUND):
        ground = make_ground(GROUND)
        with Endpoint() as endpoint, CodexStage(endpoint, ground, commands) as codex:
            agent = case(Stage(endpoint, codex, name))
            if agent.process.poll() is None:
                agent.close()
            save(folder, name, [entry for entry in entries(agent) if LEFT_OUT not in entry])
            if case is killed:
                lines = rollout(agent.of(SessionStarted)[0].session_id)
                (folder / "killed.rollout.jsonl").write_bytes(b"\n".join(lines) + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
