"""What each step of a scenario does. The one place of the demo agent that touches files, git and the clock."""

from __future__ import annotations

import os
import signal
import time

from at_session import started_with
from at_session.demo import scenario

TYPE_CHECKING = False  # `typing` costs start-up time
if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import Popen

    from at_session.demo.agent import DemoAgent
    from at_session.demo.scenario import Step

    Current = dict[str, object]

LINES_PER_SECOND = 5
_FLOOD_LINE = 1 << 15
_OUTPUT_KEPT = 100_000
_NAME_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
# Used only where git knows no identity, so that a commit of the demo works on a new machine.
_FALLBACK_IDENTITY = {
    "GIT_AUTHOR_NAME": "Demo agent",
    "GIT_AUTHOR_EMAIL": "demo@localhost",
    "GIT_COMMITTER_NAME": "Demo agent",
    "GIT_COMMITTER_EMAIL": "demo@localhost",
}


class StepFailed(Exception):
    """The turn fails with this text."""


class LimitReached(Exception):
    """A usage limit stopped the turn; the scenario goes on with the next prompt."""


class TurnIsOver(Exception):
    """The turn is done; the scenario goes on with the next prompt."""


def perform(agent: DemoAgent, current: Current, step: Step) -> None:
    """Do one step. `current["progress"]` counts what of it was done already."""
    _STEPS[step.word](agent, current, step)


def _write(agent: DemoAgent, current: Current, step: Step) -> None:
    content = (step.content or "Written by the demo agent.") + "\n"
    tool_id = _tool_started(agent, "write", step.text)
    if agent.allow == "ask" and not _approved(agent, tool_id, "edit", step.text, f"{step.text}\n{content}"):
        return
    _put(step.text, content)
    agent.channel.send("tool_ended", tool=tool_id, ok=True, output=f"wrote {step.text}")


def _shell(agent: DemoAgent, current: Current, step: Step) -> None:
    tool_id = _tool_started(agent, "shell", step.text)
    if agent.allow != "all" and not _approved(agent, tool_id, "command", step.text, step.text):
        return
    code, output = _run(agent, ["/bin/sh", "-c", step.text])
    agent.channel.send("tool_ended", tool=tool_id, ok=code == 0, output=f"{output}[exit code {code}]")


def _ask(agent: DemoAgent, current: Current, step: Step) -> None:
    _, answer = agent.ask("question", "ask", step.text)
    agent.say(f"The answer is: {answer}" if answer else "No answer was given.")


def _stream(agent: DemoAgent, current: Current, step: Step) -> None:
    total = round(step.number * LINES_PER_SECOND)
    while (done := int(str(current["progress"]))) < total:
        agent.pause(1 / LINES_PER_SECOND)
        current["progress"] = done + 1
        agent.say(f"line {agent.session.next_line()}")


def _crash(agent: DemoAgent, current: Current, step: Step) -> None:
    if agent.attempt > 1 or current["crashed"]:
        return
    agent.pause(step.number)
    current["crashed"] = True
    agent.session.save()
    _kill_self()


def _crash_always(agent: DemoAgent, current: Current, step: Step) -> None:
    _kill_self()


def _kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _hang(agent: DemoAgent, current: Current, step: Step) -> None:
    while True:
        signal.pause()


def _limit(agent: DemoAgent, current: Current, step: Step) -> None:
    if current["progress"]:
        return
    current["progress"] = 1
    agent.session.save()
    reset_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + step.number))
    message = f"Usage limit reached; it resets at {reset_at}."
    agent.channel.send("limited", message=message, reset_at=reset_at)
    raise LimitReached(message)


def _end_turn(agent: DemoAgent, current: Current, step: Step) -> None:
    if current["progress"]:
        return
    current["progress"] = 1
    agent.session.save()
    raise TurnIsOver


def _lie(agent: DemoAgent, current: Current, step: Step) -> None:
    agent.say("I committed the change and all tests pass.")


def _flood(agent: DemoAgent, current: Current, step: Step) -> None:
    left = round(step.number * (1 << 20))
    while left > 0:
        agent.pause(0)
        size = min(left, _FLOOD_LINE)
        agent.channel.send("text", text="x" * size)
        left -= size


def _fail(agent: DemoAgent, current: Current, step: Step) -> None:
    raise StepFailed(step.text)


def _usage(agent: DemoAgent, current: Current, step: Step) -> None:
    given, produced = map(int, step.content.split())
    figures: dict[str, object] = {"input_tokens": given, "output_tokens": produced, "cached_tokens": 0}
    if step.number >= 0:
        figures["cost_usd"] = step.number
    agent.used.append({"model": step.text or "demo", "requests": 1, **figures})


def _note(agent: DemoAgent, current: Current, step: Step) -> None:
    slug = _slug(step.text)
    path = f"demo-{slug}-{agent.session.id[:8]}-{agent.session.turns + 1}.md"
    tool_id = _tool_started(agent, "write", path)
    content = f"# Demo note\n\n{step.text.strip()}\n"
    if agent.allow == "ask" and not _approved(agent, tool_id, "edit", path, f"{path}\n{content}"):
        return
    _put(path, content)
    agent.channel.send("tool_ended", tool=tool_id, ok=True, output=f"wrote {path}")
    added, _ = _run(agent, ["git", "add", "--", path])
    committed = added == 0 and _commit(agent, path)
    agent.say(f"I wrote {path} and committed it." if committed else f"I wrote {path}; it is not committed.")


def _commit(agent: DemoAgent, path: str) -> bool:
    unknown, _ = _run(agent, ["git", "var", "GIT_COMMITTER_IDENT"])
    code, _ = _run(agent, ["git", "commit", "-q", "-m", f"Add {path}", "--", path], fallback=unknown != 0)
    return code == 0


def _slug(text: str) -> str:
    letters = [letter if letter in _NAME_LETTERS else " " for letter in text.lower()[:60]]
    return "-".join("".join(letters).split()[:4])[:40] or "note"


def _tool_started(agent: DemoAgent, name: str, what: str) -> str:
    tool_id = f"tool-{agent.session.starts}-{agent.session.turns + 1}-{agent.work + 1}"
    agent.channel.send("tool_started", tool=tool_id, name=name, what=what)
    return tool_id


def _approved(agent: DemoAgent, tool_id: str, kind: str, named: str, what: str) -> bool:
    approved, reason = agent.ask(kind, "write" if kind == "edit" else "shell", what)
    if not approved:
        agent.denied.append(named)
        agent.channel.send("tool_ended", tool=tool_id, ok=False, output=reason or "denied")
    return approved


def _put(path: str, content: str) -> None:
    root = os.path.realpath(".")
    target = os.path.realpath(path)
    if os.path.commonpath([root, target]) != root or target == root:
        raise StepFailed(f"step 'write' stays inside the working folder, got {path!r}")
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "w", encoding="utf-8", errors="replace") as file:
            file.write(content)
    except OSError as problem:
        raise StepFailed(f"step 'write' cannot write {path!r}: {problem.strerror}") from None


def _run(agent: DemoAgent, command: list[str], *, fallback: bool = False) -> tuple[int, str]:
    import subprocess

    environment = {**started_with.environment(), **(_FALLBACK_IDENTITY if fallback else {})}
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            process_group=0,
        )
    except OSError as problem:
        return 127, f"{command[0]}: {problem.strerror}\n"
    try:
        output = _output(agent, process)
        return process.wait(), output
    except BaseException:  # also SIGTERM's exception: whatever ends the step ends its command
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


def _output(agent: DemoAgent, process: Popen[bytes]) -> str:
    assert process.stdout is not None
    kept = b""
    with process.stdout as pipe:
        while True:
            if agent.channel.wait(None, pipe.fileno()):
                data = os.read(pipe.fileno(), 1 << 16)
                if not data:
                    return kept.decode("utf-8", "replace")
                kept = (kept + data)[:_OUTPUT_KEPT]
            agent.take_requests()


_STEPS: dict[str, Callable[[DemoAgent, Current, Step], None]] = {
    scenario.WRITE: _write,
    scenario.SHELL: _shell,
    scenario.ASK: _ask,
    scenario.STREAM: _stream,
    scenario.CRASH: _crash,
    scenario.CRASH_ALWAYS: _crash_always,
    scenario.HANG: _hang,
    scenario.LIMIT: _limit,
    scenario.END_TURN: _end_turn,
    scenario.LIE: _lie,
    scenario.FLOOD: _flood,
    scenario.FAIL: _fail,
    scenario.USAGE: _usage,
    scenario.NOTE: _note,
}
