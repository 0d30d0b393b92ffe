"""Records the real OpenCode for the fast tests of at-session: `python -m clis.record_opencode FOLDER [CASE…]`.

Run from `tests` with at-session installed; the files are those that `clis.recording` describes. Events that say nothing
about a session, such as the list of the CLI's plugins, are left out.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from clis.install import installed
from clis.opencode_stage import CLI, OpenCodeStage, bash
from clis.pipes import PipedAgent
from clis.recording import decided, each_case, entries, prompted_again, save, stopped, through

from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import Cut, Hang, Refuse, Reply, Say, Stream, ToolUse, UseTools
from at_session.rehearsal.sealed import seal
from at_session.vocabulary import (
    Allow,
    AskOpened,
    PromptAccepted,
    Retrying,
    SessionLost,
    SessionStarted,
    TurnStarted,
)

GROUND = Path("/var/tmp/demo")
NOISE = re.compile(
    r'"type":"(plugin\.|catalog\.|integration\.|reference\.|file\.|session\.(updated|diff|next))'
)
HOUR = Refuse(429, "requests:rate_limit_exceeded", "Slow down.", retry_after=3600)

Case = Callable[[OpenCodeStage], PipedAgent]


def prompted(stage: OpenCodeStage, *replies: Reply, allow: Allow = Allow.EDITS) -> PipedAgent:
    agent = stage.start(allow)
    agent.wait_for(SessionStarted)
    agent.prompt("m1", stage.endpoint.script("case", *replies))
    return agent


def ended(stage: OpenCodeStage, *replies: Reply) -> PipedAgent:
    return through(prompted(stage, *replies))


def write(stage: OpenCodeStage) -> PipedAgent:
    tools = (CLI.write(stage.path("a.txt"), "a\n"), CLI.write(stage.path("b.txt"), "b\n"))
    agent = prompted(stage, UseTools(tools, "I write."), Say("Done."))
    return prompted_again(agent, stage.endpoint.script("second", Say("Again.")))


def approved(stage: OpenCodeStage) -> PipedAgent:
    agent = prompted(stage, bash("git config demo.key 1"), Say("Configured."))
    return decided(agent, approve=True)


def denied(stage: OpenCodeStage) -> PipedAgent:
    agent = prompted(stage, bash("make -k all; true"), Say("I could not."))
    return decided(agent, approve=False, text="Not this one.")


def edit(stage: OpenCodeStage) -> PipedAgent:
    Path(stage.path("poem.txt")).write_text("one\ntwo\n", encoding="utf-8")
    steps = [UseTools(tools) for tools in CLI.edit(stage.path("poem.txt"), "two", "2")]
    agent = prompted(stage, *steps, Say("Edited."), allow=Allow.ASK)
    return decided(agent, approve=True)


def question(stage: OpenCodeStage) -> PipedAgent:
    tool = CLI.question("Which colour?", ("Red", "Blue"))
    assert tool is not None
    agent = prompted(stage, UseTools((tool,)), Say("Blue it is."))
    return decided(agent, approve=True, text="2")


def inner(stage: OpenCodeStage) -> PipedAgent:
    given = stage.endpoint.script("inner", Say("Seen."))
    task = ToolUse("task", {"description": "Look", "prompt": given, "subagent_type": "general"})
    return ended(stage, UseTools((task,)), Say("Done."))


def interrupted(stage: OpenCodeStage) -> PipedAgent:
    agent = prompted(stage, Stream(30))
    agent.wait_for(TurnStarted)
    stage.endpoint.wait_for(lambda: b"line 3" in agent.output(), 10)
    return stopped(agent)


def withdrawn(stage: OpenCodeStage) -> PipedAgent:
    agent = prompted(stage, bash("make something"))
    agent.wait_for(AskOpened)
    return stopped(agent)


def silent(stage: OpenCodeStage) -> PipedAgent:
    agent = prompted(stage, Hang())
    stage.endpoint.wait_for(lambda: bool(stage.endpoint.of("case")))
    return stopped(agent)


def broken(stage: OpenCodeStage) -> PipedAgent:
    agent = prompted(stage, CLI.broken())
    agent.wait_for(Retrying)
    return stopped(agent)


def retried(stage: OpenCodeStage) -> PipedAgent:
    return ended(stage, CLI.slow_down(), Say("At last."))


def quota(stage: OpenCodeStage) -> PipedAgent:
    return ended(stage, CLI.quota(0))


def limited(stage: OpenCodeStage) -> PipedAgent:
    return ended(stage, HOUR)


def login(stage: OpenCodeStage) -> PipedAgent:
    return ended(stage, CLI.login_refused())


def context(stage: OpenCodeStage) -> PipedAgent:
    # The first prompt of a session would be summarised itself, with the word that chooses the script.
    agent = ended(stage, Say("First."))
    return prompted_again(agent, stage.endpoint.script("second", CLI.too_long(), Say("Shorter.")))


def cut(stage: OpenCodeStage) -> PipedAgent:
    return ended(stage, Cut("Half a sen"), Say("A whole sentence."))


def repeated(stage: OpenCodeStage) -> PipedAgent:
    first = ended(stage, Say("Heard."))
    first.close()
    agent = stage.start(session=first.wait_for(SessionStarted).session_id)
    agent.prompt("m1", "rehearse:case")
    agent.wait_for(PromptAccepted)
    agent.prompt("m2", stage.endpoint.script("after", Say("After.")))
    return through(agent)


def lost(stage: OpenCodeStage) -> PipedAgent:
    agent = stage.start(session="ses_0000000000000NoSuchSession")
    agent.wait_for(SessionLost)
    return agent


def no_login(stage: OpenCodeStage) -> PipedAgent:
    stage.configure(model="anthropic/claude-sonnet-4-5", enabled_providers=["anthropic"])
    return ended(stage, Say("Never."))


CASES: tuple[Case, ...] = (
    *(write, approved, denied, edit, question, inner, interrupted, withdrawn, silent, broken),
    *(retried, quota, limited, login, context, cut, repeated, lost, no_login),
)


def main(folder: Path, *names: str) -> None:
    commands = installed()
    seal()
    for name, case in each_case(CASES, GROUND, names):
        with Endpoint() as endpoint, ExitStack() as stack:
            agent = case(OpenCodeStage(commands, GROUND, endpoint, stack))
            agent.close()
            kept = [entry for entry in entries(agent) if not NOISE.search(entry.replace("\\", ""))]
            save(folder, name, [re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:4096", entry) for entry in kept])


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
