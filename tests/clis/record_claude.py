"""Records the real Claude Code for the fast tests of at-session: `python -m clis.record_claude FOLDER`.

Run from `tests` with at-session installed; the files are those that `clis.recording` describes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

from clis.claude_stage import CLAUDE, ClaudeStage, bash
from clis.conftest import make_ground
from clis.install import installed
from clis.pipes import PipedAgent
from clis.recording import decided, each_case, entries, prompted_again, save, stopped, through

from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import Cut, Refuse, Reply, Say, Stream, ToolUse, UseTools
from at_session.rehearsal.sealed import seal
from at_session.vocabulary import (
    Allow,
    AskOpened,
    LoginRefused,
    PromptAccepted,
    SessionLost,
    TurnStarted,
)

GROUND = Path("/var/tmp/demo")
REPOSITORY = GROUND / "repo"
RESET = 1_900_000_000
QUESTION = {
    "question": "Which colour?",
    "header": "Colour",
    "multiSelect": False,
    "options": [{"label": "Red", "description": "warm"}, {"label": "Blue", "description": "cold"}],
}

Case = Callable[["Stage"], PipedAgent]


class Stage:
    """How an agent starts before the endpoint, and what it is told."""

    def __init__(self, endpoint: Endpoint, claude: ClaudeStage, name: str) -> None:
        self.endpoint = endpoint
        self._claude = claude
        self._name = name

    def start(self, allow: Allow = Allow.EDITS, **extra: str) -> PipedAgent:
        return self._claude.start(str(uuid5(NAMESPACE_OID, self._name)), allow, **extra)

    def prompted(self, *replies: Reply, allow: Allow = Allow.EDITS, **extra: str) -> PipedAgent:
        agent = self.start(allow, **extra)
        agent.prompt("m1", self.endpoint.script(self._name, *replies))
        return agent

    def ended(self, *replies: Reply, **extra: str) -> PipedAgent:
        return through(self.prompted(*replies, allow=Allow.EDITS, **extra))


def write(stage: Stage) -> PipedAgent:
    both = UseTools((CLAUDE.write(str(REPOSITORY / "hello.txt"), "hi\n"),), "I write.")
    agent = stage.ended(both, Say("Done."))
    return prompted_again(agent, stage.endpoint.script("second", Say("Again.")))


def approved(stage: Stage) -> PipedAgent:
    agent = stage.prompted(bash("git config demo.key 1"), Say("Configured."))
    return decided(agent, approve=True)


def denied(stage: Stage) -> PipedAgent:
    agent = stage.prompted(bash("make -k all; true"), Say("I could not."))
    return decided(agent, approve=False, text="Not this one.")


def edit(stage: Stage) -> PipedAgent:
    path = str(REPOSITORY / "poem.txt")
    Path(path).write_text("one\ntwo\n", encoding="utf-8")
    edits = [UseTools(tools) for tools in CLAUDE.edit(path, "two", "2")]
    agent = stage.prompted(*edits, Say("Edited."), allow=Allow.ASK)
    return decided(agent, approve=True)


def question(stage: Stage) -> PipedAgent:
    asked = UseTools((ToolUse("AskUserQuestion", {"questions": [QUESTION]}),))
    agent = stage.prompted(asked, Say("Blue it is."))
    return decided(agent, approve=True, text="2")


def interrupted(stage: Stage) -> PipedAgent:
    agent = stage.prompted(Stream(30))
    agent.wait_for(TurnStarted)
    stage.endpoint.wait_for(lambda: b"line 3" in agent.output(), 3)
    return stopped(agent)


def withdrawn(stage: Stage) -> PipedAgent:
    agent = stage.prompted(bash("make something"))
    agent.wait_for(AskOpened)
    return stopped(agent)


def joined(stage: Stage) -> PipedAgent:
    agent = stage.prompted(bash("make first"), Say("Both done."))
    ask = agent.wait_for(AskOpened)
    agent.prompt("m2", "And this as well.")
    agent.decide(ask.request_id, approve=True)
    return through(agent)


def repeated(stage: Stage) -> PipedAgent:
    stage.ended(Say("Heard.")).close()
    agent = stage.prompted(Say("Not again."))
    agent.wait_for(PromptAccepted)
    return agent


def retried(stage: Stage) -> PipedAgent:
    overloaded = Refuse(529, "overloaded_error", "Overloaded")
    return stage.ended(CLAUDE.slow_down(), overloaded, Say("At last."))


def limited(stage: Stage) -> PipedAgent:
    agent = stage.ended(CLAUDE.quota(RESET), **CLAUDE.subscribed())
    return prompted_again(agent, stage.endpoint.script("again", CLAUDE.quota(RESET)))


def login(stage: Stage) -> PipedAgent:
    agent = stage.prompted(CLAUDE.login_refused())
    agent.wait_for(LoginRefused)
    return stopped(agent)


def no_login(stage: Stage) -> PipedAgent:
    return stage.ended(Say("Never."), ANTHROPIC_API_KEY="")


def context(stage: Stage) -> PipedAgent:
    return stage.ended(CLAUDE.too_long())


def server_error(stage: Stage) -> PipedAgent:
    return stage.ended(CLAUDE.broken(), CLAUDE_CODE_MAX_RETRIES="1")


def cut(stage: Stage) -> PipedAgent:
    return stage.ended(Cut("Half a sen", after_block=True))


def lost(stage: Stage) -> PipedAgent:
    folder = GROUND / "home" / ".claude" / "projects" / "elsewhere"
    folder.mkdir(parents=True)
    (folder / f"{uuid5(NAMESPACE_OID, 'lost')}.jsonl").write_text('{"type":"user"}\n', encoding="utf-8")
    agent = stage.start()
    agent.wait_for(SessionLost)
    return agent


CASES: tuple[Case, ...] = (
    *(write, approved, denied, edit, question, interrupted, withdrawn, joined, repeated),
    *(retried, limited, login, no_login, context, server_error, cut, lost),
)


def main(folder: Path) -> None:
    commands = installed()
    seal()
    for name, case in each_case(CASES, GROUND):
        ground = make_ground(GROUND)
        with Endpoint() as endpoint, ExitStack() as stack:
            agent = case(Stage(endpoint, ClaudeStage(endpoint, ground, commands, stack), name))
            agent.close()
            save(folder, name, entries(agent))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
