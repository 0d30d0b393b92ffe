"""The demo agent: a scripted child process that does real git work in its working folder and calls no model.

`python -m at_session.demo.agent --session ID --state-dir DIR [--allow ask|edits|all] [--attempt N]`
`python -m at_session.demo.agent --acp --state-dir DIR [--allow ask|edits|all]`

It speaks the JSON-lines protocol of `docs/demo.md`, or the Agent Client Protocol, on its pipes and runs the scenario language of `scenario.py`.
Standard library only; modules that cost start-up time are loaded where they are first needed.
"""

from __future__ import annotations

import signal
import sys

from at_session.demo import steps
from at_session.demo.channel import Channel, Disconnected, Interrupted
from at_session.demo.scenario import ScenarioError, begins_with_step, parse
from at_session.demo.session import DemoSession

PROTOCOL = 1
_NEEDED = ("--session", "--state-dir")
_OPTIONS = (*_NEEDED, "--allow", "--attempt")
_ACP = "--acp"
_ALLOWED = ("ask", "edits", "all")
WINDOW = 200_000
"""Tokens that the context of no model at all is said to take."""
_TERMINATED = 128 + signal.SIGTERM


class Terminated(BaseException):
    """SIGTERM arrived. No ordinary handler may swallow it."""


class DemoAgent:
    """One process of a session: takes requests, runs one scenario at a time, reports what it does."""

    def __init__(
        self, session: DemoSession, allow: str, attempt: int, channel: Channel | None = None
    ) -> None:
        self.session = session
        self.allow = allow
        self.attempt = attempt
        self.channel = channel or Channel()
        self.in_turn = False
        self.told_to_go_on = False
        self.asks = 0
        self.answers: dict[str, dict[str, object]] = {}
        self.denied: list[str] = []
        self.words: list[str] = []
        self.work = 0
        self.used: list[dict[str, object]] = []

    # --- requests ------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Serve until standard input is closed; the exit code.

        A scenario that an earlier process, a usage limit or `end-turn` left waits for a prompt: nothing starts by itself.
        """
        self.channel.send("hello", protocol=PROTOCOL, session=self.session.id, resumed=self.session.resumed)
        while True:
            if self.session.queue and (self.session.current is None or self.told_to_go_on):
                self.told_to_go_on = False
                self._turn(self.session.queue.pop(0))
            elif self.channel.closed:
                return 0
            else:
                self.channel.wait(None)
                self.take_requests()

    def take_requests(self) -> None:
        """Handle what arrived. Raises Interrupted if the running turn is to stop."""
        interrupted = False
        while self.channel.requests:
            request = self.channel.requests.pop(0)
            kind = request["type"]
            if kind == "prompt":
                self._take_prompt(str(request.get("id", "")), str(request.get("text", "")))
            elif kind == "answer":
                self.answers[str(request.get("ask", ""))] = request
            elif kind == "interrupt":
                self.channel.send("interrupt_taken", interrupt=request.get("id"), in_turn=self.in_turn)
                interrupted = interrupted or self.in_turn
            else:
                self.channel.send("error", message=f"unknown request {kind!r}")
        if interrupted:
            raise Interrupted

    def _take_prompt(self, prompt_id: str, text: str) -> None:
        left_over = self.session.current if not self.in_turn else None
        known = self.session.knows(prompt_id)
        if left_over is not None and not self.told_to_go_on and prompt_id not in self.session.finished:
            self.told_to_go_on = True
            self.session.queue.insert(0, {"id": prompt_id, "text": text})
        elif not known:
            self.session.queue.append({"id": prompt_id, "text": text})
        self.session.save()
        self.channel.send("accepted", prompt=prompt_id, repeated=known)
        end = self.session.finished.get(prompt_id)
        if end is not None:
            self.channel.send("turn_ended", **end)

    # --- what steps need -----------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        self.words.append(text)
        self.channel.send("text", text=text)

    def pause(self, seconds: float) -> None:
        """Wait and stay interruptible."""
        deadline = self.channel.deadline(seconds)
        while True:
            left = self.channel.remaining(deadline)
            self.channel.wait(left)
            self.take_requests()
            if left == 0.0:
                return

    def ask(self, kind: str, tool: str, what: str) -> tuple[bool, str]:
        """Ask a person and wait for the answer: whether it was a yes, and its text."""
        self.asks += 1
        ask_id = f"{self.session.id}-{self.session.starts}-{self.asks}"
        self.channel.send("ask", ask=ask_id, kind=kind, tool=tool, what=what)
        try:
            while ask_id not in self.answers:
                if self.channel.closed:
                    raise Disconnected
                self.channel.wait(None)
                self.take_requests()
        except (Interrupted, Disconnected):
            self.channel.send("ask_closed", ask=ask_id, withdrawn=True)
            raise
        answer = self.answers.pop(ask_id)
        self.channel.send("ask_closed", ask=ask_id, withdrawn=False)
        return answer.get("approve") is True, str(answer.get("text") or "")

    # --- turns ---------------------------------------------------------------------------------------------------

    def _turn(self, prompt: dict[str, str]) -> None:
        self.denied, self.words, self.work, self.used, self.in_turn = [], [], 0, [], True
        self.channel.send("turn_started", prompt=prompt["id"])
        keep = False
        outcome, failure, error = "completed", None, None
        try:
            self._run_steps(prompt)
        except Interrupted:
            outcome = "interrupted"
        except (ScenarioError, steps.StepFailed) as problem:
            outcome, failure, error = "failed", "other", str(problem)
        except steps.LimitReached as limit:
            outcome, failure, error, keep = "failed", "limit", str(limit), True
        except steps.TurnIsOver:
            keep = True
        self.in_turn = False
        self._report_usage(prompt)
        text = self.words[-1] if self.words else ""
        end: dict[str, object] = {"prompt": prompt["id"], "outcome": outcome, "text": text}
        end.update(failure=failure, error=error, denied=self.denied)
        self.channel.send("turn_ended", **end)
        self.session.turns += 1
        self.session.finish(prompt["id"], end, keep_scenario=keep)

    def _run_steps(self, prompt: dict[str, str]) -> None:
        current = self.session.current
        if current is None or not _goes_on(current, prompt):
            current = {
                "prompt": prompt["id"],
                "text": prompt["text"],
                "step": 0,
                "progress": 0,
                "crashed": False,
            }
            self.session.current = current
        current["prompt"] = prompt["id"]
        self.session.save()
        scenario = parse(str(current["text"]))
        while (index := int(str(current["step"]))) < len(scenario):
            self.channel.wait(0)
            self.take_requests()
            steps.perform(self, current, scenario[index])
            self.work += 1
            current["step"], current["progress"] = index + 1, 0
            self.session.save()

    def _report_usage(self, prompt: dict[str, str]) -> None:
        for told in self.used:
            self.channel.send("context", used=told["input_tokens"], model=told["model"])
            self.channel.send("usage", **told)
        if self.used:
            return
        taken = 50 + len(prompt["text"].encode("utf-8", "replace")) // 4
        given = 20 * self.work + sum(len(words) for words in self.words) // 4
        figures = {"input_tokens": taken, "cached_tokens": self.session.tokens, "output_tokens": given}
        self.channel.send("context", used=taken + self.session.tokens, size=WINDOW, model="demo")
        self.channel.send("usage", model="demo", requests=self.work + 1, **figures)
        self.session.tokens += taken + given


def _goes_on(current: dict[str, object], prompt: dict[str, str]) -> bool:
    same = prompt["id"] == current["prompt"] or prompt["text"] == current["text"]
    return same or not begins_with_step(prompt["text"])


def _options(arguments: list[str], needed: tuple[str, ...], known: tuple[str, ...]) -> dict[str, str]:
    given: dict[str, str] = {"--allow": "edits", "--attempt": "1"}
    names, values = arguments[0::2], arguments[1::2]
    if len(names) != len(values) or any(name not in known for name in names):
        raise ValueError(f"expected pairs of {', '.join(known)}; got {arguments!r}")
    given.update(zip(names, values, strict=True))
    missing = [name for name in needed if name not in given]
    if missing:
        raise ValueError(f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} required")
    if given["--allow"] not in _ALLOWED:
        raise ValueError(f"--allow is one of {', '.join(_ALLOWED)}; got {given['--allow']!r}")
    if not given["--attempt"].isdecimal():
        raise ValueError(f"--attempt is a number; got {given['--attempt']!r}")
    session = given.get("--session", "none")
    if not session or not all(letter.isalnum() or letter in "-_" for letter in session):
        raise ValueError(f"--session is made of letters, digits, '-' and '_'; got {session!r}")
    return given


def _terminate(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated


def _serve(options: dict[str, str]) -> int:
    session = DemoSession(options["--state-dir"], options["--session"])
    return DemoAgent(session, options["--allow"], int(options["--attempt"])).run()


def _serve_acp(options: dict[str, str]) -> int:
    from at_session.demo import acp  # it imports this module

    return acp.serve(options["--state-dir"], options["--allow"])


def main(arguments: list[str]) -> int:
    """Run the agent; its exit code."""
    serve = _serve
    try:
        if _ACP in arguments:
            pairs, serve = [each for each in arguments if each != _ACP], _serve_acp
            options = _options(pairs, ("--state-dir",), ("--state-dir", "--allow"))
        else:
            options = _options(arguments, _NEEDED, _OPTIONS)
    except ValueError as problem:
        print(f"demo agent: {problem}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _terminate)
    try:
        return serve(options)
    except Terminated:
        return _TERMINATED
    except Disconnected:
        return 0
    except BrokenPipeError:
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
