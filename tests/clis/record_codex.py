"""Records the real Codex CLI for the fast tests of at-session: `python -m clis.record_codex FOLDER`.

Run from `tests` with at-session installed. One file per case: a JSON object per line with one name, either a stream
(`stdout`, `stderr`) with a line of it or an act of ours (`prompt`, `approve`, `deny`, `interrupt`) with its arguments.
`killed.rollout.jsonl` is the CLI's own record of the case `killed`, without what the driver does not read.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from clis.install import installed
from clis.pipes import PipedAgent

from at_session.drivers.codex import CodexDriver
from at_session.drivers.codex_record import WANTED, find
from at_session.rehearsal.clis.codex import CodexRehearsal
from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import Cut, Reply, Say, Stream, UseTools
from at_session.rehearsal.sealed import seal
from at_session.vocabulary import (
    Allow,
    AskOpened,
    LaunchRequest,
    PromptAccepted,
    SessionLost,
    SessionStarted,
    ToolEnded,
    TurnEnded,
    TurnStarted,
)

GROUND = Path("/var/tmp/demo-codex")
REPOSITORY = GROUND / "repo"
RESET = 1_900_000_000
CODEX = CodexRehearsal()
# It names the machine, and no driver needs it.
LEFT_OUT = b"remoteControl/status/changed"

Case = Callable[["Stage"], PipedAgent]


class Stage:
    """The endpoint and the way to start an agent before it."""

    def __init__(self, endpoint: Endpoint, codex: Path, name: str) -> None:
        self.endpoint = endpoint
        self._codex = codex
        self._name = name

    def start(self, allow: Allow = Allow.EDITS, resume: str | None = None, **extra: str) -> PipedAgent:
        home = GROUND / "home"
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            **CODEX.settle(home, REPOSITORY, self.endpoint.url),
            **extra,
        }
        request = LaunchRequest(
            "a1",
            str(self._codex),
            (),
            str(REPOSITORY),
            env,
            str(GROUND / "private"),
            allow=allow,
            session_id=resume,
            resume=resume is not None,
        )
        return PipedAgent(CodexDriver(), request)

    def prompted(self, *replies: Reply, allow: Allow = Allow.EDITS, **extra: str) -> PipedAgent:
        agent = self.start(allow, **extra)
        agent.prompt("m1", self.endpoint.script(self._name, *replies))
        return agent

    def ended(self, *replies: Reply, allow: Allow = Allow.EDITS, **extra: str) -> PipedAgent:
        agent = self.prompted(*replies, allow=allow, **extra)
        agent.wait_for(TurnEnded)
        return agent


def command(text: str) -> UseTools:
    return UseTools((CODEX.command(text),))


def write(stage: Stage) -> PipedAgent:
    call = CODEX.write(str(REPOSITORY / "hello.txt"), "hi\n")
    agent = stage.ended(UseTools((call,), "I write."), Say("Done."))
    agent.prompt("m2", stage.endpoint.script("second", Say("Again.")))
    agent.wait_for(TurnEnded, count=2)
    return agent


def approved(stage: Stage) -> PipedAgent:
    agent = stage.prompted(command("git config demo.key 1"), Say("Configured."))
    agent.decide(agent.wait_for(AskOpened).request_id, approve=True)
    agent.wait_for(TurnEnded)
    return agent


def denied(stage: Stage) -> PipedAgent:
    agent = stage.prompted(command("make -k all; true"), Say("I could not."))
    agent.decide(agent.wait_for(AskOpened).request_id, approve=False, text="Not this one.")
    agent.wait_for(TurnEnded)
    return agent


def edit(stage: Stage) -> PipedAgent:
    path = REPOSITORY / "poem.txt"
    path.write_text("one\ntwo\n", encoding="utf-8")
    (calls,) = CODEX.edit(str(path), "two", "2")
    agent = stage.prompted(UseTools(calls), Say("Edited."), allow=Allow.ASK)
    agent.decide(agent.wait_for(AskOpened).request_id, approve=True)
    agent.wait_for(TurnEnded)
    return agent


def question(stage: Stage) -> PipedAgent:
    call = CODEX.question("Which colour?", ("Red", "Blue"))
    assert call is not None
    agent = stage.prompted(UseTools((call,)), Say("Blue it is."))
    agent.decide(agent.wait_for(AskOpened).request_id, approve=True, text="2")
    agent.wait_for(TurnEnded)
    return agent


def interrupted(stage: Stage) -> PipedAgent:
    agent = stage.prompted(Stream(30))
    agent.wait_for(TurnStarted)
    stage.endpoint.wait_for(lambda: b"line 3" in agent.output(), 3)
    agent.interrupt("i1")
    agent.wait_for(TurnEnded)
    return agent


def withdrawn(stage: Stage) -> PipedAgent:
    agent = stage.prompted(command("make something"))
    agent.wait_for(AskOpened)
    agent.interrupt("i1")
    agent.wait_for(TurnEnded)
    return agent


def queued(stage: Stage) -> PipedAgent:
    agent = stage.prompted(Stream(0.5), Say("Never."))
    agent.wait_for(TurnStarted)
    agent.prompt("m2", stage.endpoint.script("second", Say("In its turn.")))
    agent.wait_for(TurnEnded, count=2)
    return agent


def repeated(stage: Stage) -> PipedAgent:
    first = stage.ended(Say("Heard."))
    first.close()
    agent = stage.start(resume=first.of(SessionStarted)[0].session_id)
    agent.prompt("m1", stage.endpoint.script("repeated", Say("Not again.")))
    agent.wait_for(PromptAccepted)
    agent.prompt("m2", stage.endpoint.script("next", Say("Next.")))
    agent.wait_for(TurnEnded)
    return agent


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
    return stage.ended(Say("Never."), OPENAI_API_KEY="")


def context(stage: Stage) -> PipedAgent:
    agent = stage.ended(CODEX.too_long())
    agent.prompt("m2", stage.endpoint.script("second", Say("Short.")))
    agent.wait_for(TurnEnded, count=2)
    return agent


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


def entries(agent: PipedAgent) -> list[str]:
    """The record, one JSON text per line of it."""
    found: list[str] = []
    partial = {"stdout": b"", "stderr": b""}
    for name, data in agent.recorded:
        if isinstance(data, tuple):
            found.append(json.dumps({name: data}))
            continue
        *lines, partial[name] = (partial[name] + data).split(b"\n")
        kept = [line.decode() for line in lines if LEFT_OUT not in line]
        found += [json.dumps({name: line}, ensure_ascii=False) for line in kept]
    return found


def rollout(session: str) -> list[bytes]:
    """The CLI's own record, without what the driver does not read."""
    path = find(GROUND / "home" / ".codex", session)
    assert path is not None
    return [line for line in path.read_bytes().splitlines() if any(word in line for word in WANTED)]


def main(folder: Path) -> None:
    codex = installed() / "codex"
    seal()
    folder.mkdir(parents=True, exist_ok=True)
    for case in CASES:
        shutil.rmtree(GROUND, ignore_errors=True)
        (GROUND / "home").mkdir(parents=True)
        subprocess.run(["git", "init", "-q", str(REPOSITORY)], check=True)
        name = case.__name__.replace("_", "-")
        with Endpoint() as endpoint, case(Stage(endpoint, codex, name)) as agent:
            if agent.process.poll() is None:
                agent.close()
            (folder / f"{name}.jsonl").write_text("\n".join(entries(agent)) + "\n", encoding="utf-8")
            if case is killed:
                lines = rollout(agent.of(SessionStarted)[0].session_id)
                (folder / "killed.rollout.jsonl").write_bytes(b"\n".join(lines) + b"\n")
        print(name)
    shutil.rmtree(GROUND)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
