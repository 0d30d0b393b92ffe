"""Records the real OpenCode for the fast tests of at-session: `python -m clis.record_opencode FOLDER [CASE…]`.

Run from `tests` with at-session installed. One file per case, in the form that `record_claude` describes. Events that
say nothing about a session, such as the list of the CLI's plugins, are left out.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from clis.install import installed
from clis.opencode_stage import CLI, OpenCodeStage, bash
from clis.pipes import PipedAgent
from clis.record_claude import entries

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
    TurnEnded,
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
    agent = prompted(stage, *replies)
    agent.wait_for(TurnEnded)
    return agent


def write(stage: OpenCodeStage) -> PipedAgent:
    tools = (CLI.write(stage.path("a.txt"), "a\n"), CLI.write(stage.path("b.txt"), "b\n"))
    agent = prompted(stage, UseTools(tools, "I write."), Say("Done."))
    agent.prompt("m2", stage.endpoint.script("second", Say("Again.")))
    agent.wait_for(TurnEnded, count=2)
    return agent


def approved(stage: OpenCodeStage) -> PipedAgent:
    agent = prompted(stage, bash("git config demo.key 1"), Say("Configured."))
    agent.decide(agent.wait_for(AskOpened).request_id, approve=True)
    agent.wait_for(TurnEnded)
    return agent


def denied(stage: OpenCodeStage) -> PipedAgent:
    agent = prompted(stage, bash("make -k all; true"), Say("I could not."))
    agent.decide(agent.wait_for(AskOpened).request_id, approve=False, text="Not this one.")
    agent.wait_for(TurnEnded)
    return agent


def edit(stage: OpenCodeStage) -> PipedAgent:
    Path(stage.path("poem.txt")).write_text("one\ntwo\n", encoding="utf-8")
    steps = [UseTools(tools) for tools in CLI.edit(stage.path("poem.txt"), "two", "2")]
    agent = prompted(stage, *steps, Say("Edited."), allow=Allow.ASK)
    agent.decide(agent.wait_for(AskOpened).request_id, approve=True)
    agent.wait_for(TurnEnded)
    return agent


def question(stage: OpenCodeStage) -> PipedAgent:
    tool = CLI.question("Which colour?", ("Red", "Blue"))
    assert tool is not None
    agent = prompted(stage, UseTools((tool,)), Say("Blue it is."))
    agent.decide(agent.wait_for(AskOpened).request_id, approve=True, text="2")
    agent.wait_for(TurnEnded)
    return agent


def inner(stage: OpenCodeStage) -> PipedAgent:
    given = stage.endpoint.script("inner", Say("Seen."))
    task = ToolUse("task", {"description": "Look", "prompt": given, "subagent_type": "general"})
    return ended(stage, UseTools((task,)), Say("Done."))


def interrupted(stage: OpenCodeStage) -> PipedAgent:
    agent = prompted(stage, Stream(30))
    agent.wait_for(TurnStarted)
    stage.endpoint.wait_for(lambda: b"line 3" in agent.output(), 10)
    agent.interrupt("i1")
    agent.wait_for(TurnEnded)
    return agent


def withdrawn(stage: OpenCodeStage) -> PipedAgent:
    agent = prompted(stage, bash("make something"))
    agent.wait_for(AskOpened)
    agent.interrupt("i1")
    agent.wait_for(TurnEnded)
    return agent


def silent(stage: OpenCodeStage) -> PipedAgent:
    agent = prompted(stage, Hang())
    stage.endpoint.wait_for(lambda: bool(stage.endpoint.of("case")))
    agent.interrupt("i1")
    agent.wait_for(TurnEnded)
    return agent


def broken(stage: OpenCodeStage) -> PipedAgent:
    agent = prompted(stage, CLI.broken())
    agent.wait_for(Retrying)
    agent.interrupt("i1")
    agent.wait_for(TurnEnded)
    return agent


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
    agent.prompt("m2", stage.endpoint.script("second", CLI.too_long(), Say("Shorter.")))
    agent.wait_for(TurnEnded, count=2)
    return agent


def cut(stage: OpenCodeStage) -> PipedAgent:
    return ended(stage, Cut("Half a sen"), Say("A whole sentence."))


def repeated(stage: OpenCodeStage) -> PipedAgent:
    first = ended(stage, Say("Heard."))
    first.close()
    agent = stage.start(session=first.wait_for(SessionStarted).session_id)
    agent.prompt("m1", "rehearse:case")
    agent.wait_for(PromptAccepted)
    agent.prompt("m2", stage.endpoint.script("after", Say("After.")))
    agent.wait_for(TurnEnded)
    return agent


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
    folder.mkdir(parents=True, exist_ok=True)
    for case in CASES:
        name = case.__name__.replace("_", "-")
        if names and name not in names:
            continue
        shutil.rmtree(GROUND, ignore_errors=True)
        GROUND.mkdir(parents=True)
        with Endpoint() as endpoint, ExitStack() as stack:
            agent = case(OpenCodeStage(commands, GROUND, endpoint, stack))
            agent.close()
            kept = [entry for entry in entries(agent) if not NOISE.search(entry.replace("\\", ""))]
            shown = [re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:4096", entry) for entry in kept]
            (folder / f"{name}.jsonl").write_text("\n".join(shown) + "\n", encoding="utf-8")
        print(name)
    shutil.rmtree(GROUND)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
