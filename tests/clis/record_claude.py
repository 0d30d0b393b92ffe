"""Records the real Claude Code for the fast tests of at-session: `python -m clis.record_claude FOLDER`.

Run from `tests` with at-session installed. One file per case: a JSON object per line with one name, either a stream
(`stdout`, `stderr`) with a line of it or an act of ours (`prompt`, `approve`, `deny`, `interrupt`) with its arguments.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

from clis.install import installed
from clis.pipes import PipedAgent

from at_session.drivers.claude import ClaudeDriver
from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import Cut, Refuse, Reply, Say, Stream, ToolUse, UseTools
from at_session.rehearsal.sealed import seal
from at_session.vocabulary import (
    Allow,
    AskOpened,
    LaunchRequest,
    LoginRefused,
    PromptAccepted,
    SessionLost,
    TurnEnded,
    TurnStarted,
)

GROUND = Path("/var/tmp/demo")
REPOSITORY = GROUND / "repo"
RESET = "1900000000"
QUESTION = {
    "question": "Which colour?",
    "header": "Colour",
    "multiSelect": False,
    "options": [{"label": "Red", "description": "warm"}, {"label": "Blue", "description": "cold"}],
}
REFUSED = "This request would exceed your account's rate limit. Please try again later."
QUOTA = Refuse(
    429,
    "rate_limit_error",
    REFUSED,
    retry_after=3600,
    headers={
        "anthropic-ratelimit-unified-status": "rejected",
        "anthropic-ratelimit-unified-reset": RESET,
        "anthropic-ratelimit-unified-representative-claim": "five_hour",
    },
)

Case = Callable[["Stage"], PipedAgent]


class Stage:
    """The endpoint and the way to start an agent before it."""

    def __init__(self, endpoint: Endpoint, claude: Path, name: str) -> None:
        self.endpoint = endpoint
        self._claude = claude
        self._name = name

    def start(self, allow: Allow = Allow.EDITS, **extra: str) -> PipedAgent:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(GROUND / "home"),
            "LANG": "C.UTF-8",
            "ANTHROPIC_BASE_URL": self.endpoint.url,
            "ANTHROPIC_API_KEY": "sk-ant-rehearsal-0123456789",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            **extra,
        }
        session = str(uuid5(NAMESPACE_OID, self._name))
        private = str(GROUND / "private")
        request = LaunchRequest(
            "a1", str(self._claude), (), str(REPOSITORY), env, private, allow=allow, session_id=session
        )
        return PipedAgent(ClaudeDriver(), request)

    def prompted(self, *replies: Reply, allow: Allow = Allow.EDITS, **extra: str) -> PipedAgent:
        agent = self.start(allow, **extra)
        agent.prompt("m1", self.endpoint.script(self._name, *replies))
        return agent


def tool(name: str, **given: object) -> UseTools:
    return UseTools((ToolUse(name, given),))


def write(stage: Stage) -> PipedAgent:
    both = UseTools(
        (ToolUse("Write", {"file_path": str(REPOSITORY / "hello.txt"), "content": "hi\n"}),), "I write."
    )
    agent = stage.prompted(both, Say("Done."))
    agent.wait_for(TurnEnded)
    agent.prompt("m2", stage.endpoint.script("second", Say("Again.")))
    agent.wait_for(TurnEnded, count=2)
    return agent


def approved(stage: Stage) -> PipedAgent:
    agent = stage.prompted(tool("Bash", command="git config demo.key 1"), Say("Configured."))
    agent.decide(agent.wait_for(AskOpened).request_id, approve=True)
    agent.wait_for(TurnEnded)
    return agent


def denied(stage: Stage) -> PipedAgent:
    agent = stage.prompted(tool("Bash", command="make -k all; true"), Say("I could not."))
    agent.decide(agent.wait_for(AskOpened).request_id, approve=False, text="Not this one.")
    agent.wait_for(TurnEnded)
    return agent


def edit(stage: Stage) -> PipedAgent:
    path = str(REPOSITORY / "poem.txt")
    Path(path).write_text("one\ntwo\n", encoding="utf-8")
    change = tool("Edit", file_path=path, old_string="two", new_string="2")
    agent = stage.prompted(tool("Read", file_path=path), change, Say("Edited."), allow=Allow.ASK)
    agent.decide(agent.wait_for(AskOpened).request_id, approve=True)
    agent.wait_for(TurnEnded)
    return agent


def question(stage: Stage) -> PipedAgent:
    agent = stage.prompted(tool("AskUserQuestion", questions=[QUESTION]), Say("Blue it is."))
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
    agent = stage.prompted(tool("Bash", command="make something"))
    agent.wait_for(AskOpened)
    agent.interrupt("i1")
    agent.wait_for(TurnEnded)
    return agent


def joined(stage: Stage) -> PipedAgent:
    agent = stage.prompted(tool("Bash", command="make first"), Say("Both done."))
    ask = agent.wait_for(AskOpened)
    agent.prompt("m2", "And this as well.")
    agent.decide(ask.request_id, approve=True)
    agent.wait_for(TurnEnded)
    return agent


def repeated(stage: Stage) -> PipedAgent:
    first = stage.prompted(Say("Heard."))
    first.wait_for(TurnEnded)
    first.close()
    agent = stage.prompted(Say("Not again."))
    agent.wait_for(PromptAccepted)
    return agent


def retried(stage: Stage) -> PipedAgent:
    busy = Refuse(429, "rate_limit_error", "Slow down.", retry_after=1)
    agent = stage.prompted(busy, Refuse(529, "overloaded_error", "Overloaded"), Say("At last."))
    agent.wait_for(TurnEnded)
    return agent


def limited(stage: Stage) -> PipedAgent:
    agent = stage.prompted(QUOTA, ANTHROPIC_API_KEY="", CLAUDE_CODE_OAUTH_TOKEN="sk-ant-oat01-rehearsal")
    agent.wait_for(TurnEnded)
    agent.prompt("m2", stage.endpoint.script("again", QUOTA))
    agent.wait_for(TurnEnded, count=2)
    return agent


def login(stage: Stage) -> PipedAgent:
    agent = stage.prompted(Refuse(401, "authentication_error", "invalid x-api-key"))
    agent.wait_for(LoginRefused)
    agent.interrupt("i1")
    agent.wait_for(TurnEnded)
    return agent


def no_login(stage: Stage) -> PipedAgent:
    agent = stage.prompted(Say("Never."), ANTHROPIC_API_KEY="")
    agent.wait_for(TurnEnded)
    return agent


def context(stage: Stage) -> PipedAgent:
    agent = stage.prompted(
        Refuse(400, "invalid_request_error", "prompt is too long: 300000 tokens > 200000 maximum")
    )
    agent.wait_for(TurnEnded)
    return agent


def server_error(stage: Stage) -> PipedAgent:
    agent = stage.prompted(Refuse(500, "api_error", "Internal server error"), CLAUDE_CODE_MAX_RETRIES="1")
    agent.wait_for(TurnEnded)
    return agent


def cut(stage: Stage) -> PipedAgent:
    agent = stage.prompted(Cut("Half a sen", after_block=True))
    agent.wait_for(TurnEnded)
    return agent


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


def entries(agent: PipedAgent) -> list[str]:
    """The record, one JSON text per line of it."""
    found: list[str] = []
    partial = {"stdout": b"", "stderr": b""}
    for name, data in agent.recorded:
        if isinstance(data, tuple):
            found.append(json.dumps({name: data}))
            continue
        *lines, partial[name] = (partial[name] + data).split(b"\n")
        found += [json.dumps({name: line.decode()}, ensure_ascii=False) for line in lines]
    return found


def main(folder: Path) -> None:
    claude = installed() / "claude"
    seal()
    folder.mkdir(parents=True, exist_ok=True)
    for case in CASES:
        shutil.rmtree(GROUND, ignore_errors=True)
        (GROUND / "home").mkdir(parents=True)
        subprocess.run(["git", "init", "-q", str(REPOSITORY)], check=True)
        name = case.__name__.replace("_", "-")
        with Endpoint() as endpoint, case(Stage(endpoint, claude, name)) as agent:
            agent.close()
            (folder / f"{name}.jsonl").write_text("\n".join(entries(agent)) + "\n", encoding="utf-8")
        print(name)
    shutil.rmtree(GROUND)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
