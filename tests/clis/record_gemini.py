"""Records the real Gemini CLI for the fast tests of at-session: `python -m clis.record_gemini FOLDER`.

Run from `tests` with at-session installed; the files are those that `clis.recording` describes, and each begins with the
launch. `chat` files are the CLI's own record of the case's session.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from clis.conftest import make_ground
from clis.gemini_stage import CLI, GeminiStage, session_of, shell
from clis.install import cache, installed
from clis.pipes import PipedAgent
from clis.recording import decided, each_case, entries, save, stopped, through

from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import Cut, Reply, Say, Stream, UseTools
from at_session.rehearsal.sealed import seal
from at_session.vocabulary import Allow, AskOpened, SessionStarted, Text, TurnStarted

GROUND = Path("/var/tmp/demo")
RESET = 1_900_000_000
LOST = "3f0c1d2e-0000-4000-8000-000000000001"

Case = Callable[[GeminiStage], PipedAgent]


def prompted(stage: GeminiStage, *replies: Reply, allow: Allow = Allow.EDITS) -> PipedAgent:
    agent = stage.start(allow)
    agent.wait_for(SessionStarted)
    agent.prompt("m1", stage.endpoint.script("one", *replies))
    return agent


def ended(stage: GeminiStage, *replies: Reply) -> PipedAgent:
    return through(prompted(stage, *replies))


def write(stage: GeminiStage) -> PipedAgent:
    agent = ended(stage, UseTools((CLI.write(stage.path("hello.txt"), "hi\n"),), "I write."), Say("Done."))
    stage.turn(agent, "m2", stage.endpoint.script("second", Say("Again.")))
    return agent


def approved(stage: GeminiStage) -> PipedAgent:
    agent = prompted(stage, shell("git config demo.key 1"), Say("Configured."))
    return decided(agent, approve=True)


def denied(stage: GeminiStage) -> PipedAgent:
    agent = prompted(stage, shell("make -k all; true"), Say("I could not."))
    return decided(agent, approve=False, text="Not this one.")


def edit(stage: GeminiStage) -> PipedAgent:
    path = stage.path("poem.txt")
    Path(path).write_text("one\ntwo\n", encoding="utf-8")
    edits = [UseTools(tools) for tools in CLI.edit(path, "two", "2")]
    agent = prompted(stage, *edits, Say("Edited."), allow=Allow.ASK)
    return decided(agent, approve=True)


def interrupted(stage: GeminiStage) -> PipedAgent:
    agent = prompted(stage, Stream(30))
    agent.wait_for(TurnStarted)
    return stopped(agent)


def withdrawn(stage: GeminiStage) -> PipedAgent:
    agent = prompted(stage, shell("make something"))
    agent.wait_for(AskOpened)
    return stopped(agent)


def retried(stage: GeminiStage) -> PipedAgent:
    return ended(stage, CLI.slow_down(), CLI.broken(), Say("At last."))


def limited(stage: GeminiStage) -> PipedAgent:
    return ended(stage, CLI.quota(RESET))


def login(stage: GeminiStage) -> PipedAgent:
    return ended(stage, CLI.login_refused())


def no_login(stage: GeminiStage) -> PipedAgent:
    del stage.env["GEMINI_API_KEY"]
    agent = stage.start()
    agent.prompt("m1", "Hello")
    return through(agent)


def context(stage: GeminiStage) -> PipedAgent:
    return ended(stage, CLI.too_long())


def cut(stage: GeminiStage) -> PipedAgent:
    return ended(stage, Cut("Half a sen", after_block=True))


def resumed(stage: GeminiStage) -> PipedAgent:
    first = ended(stage, Say("One."))
    first.close()
    agent = stage.start(resume=session_of(first), state=first.driver.state)
    agent.prompt("m1", "handed over again")
    agent.prompt("m2", stage.endpoint.script("second", Say("Two.")))
    agent.wait_for(Text)
    return through(agent)


def lost(stage: GeminiStage) -> PipedAgent:
    agent = stage.start(resume=LOST)
    agent.wait_for(SessionStarted)
    return agent


CASES: tuple[Case, ...] = (
    *(write, approved, denied, edit, interrupted, withdrawn, retried, limited, login, no_login),
    *(context, cut, resumed, lost),
)


def main(folder: Path) -> None:
    commands = installed()
    seal()
    for name, case in each_case(CASES, GROUND):
        ground = make_ground(GROUND)
        with Endpoint() as endpoint, ExitStack() as stack:
            agent = case(GeminiStage(endpoint, ground, commands, stack))
            wanted = {"resumed": session_of(agent), "lost": LOST}.get(name, "")
            agent.close()
            found = [json.dumps({"launch": [wanted]}), *entries(agent)]
            save(folder, name, [entry.replace(str(cache()), "/var/tmp/demo/installed") for entry in found])
            if case in (write, denied):
                (chat,) = ground.home.glob(f".gemini/tmp/*/chats/session-*-{session_of(agent)[:8]}.jsonl")
                shutil.copyfile(chat, folder / f"{name}.chat")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
