"""The verbs on the real daemon, with demo agents on a real repository."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from at_cli.daemon import Daemon
from at_cli.face import Face
from at_cli.shutdown import stop_daemon
from at_cli.streams import Streams
from at_cli.testing import At, Outcome
from at_core.paths import Home

AT = [sys.executable, "-m", "at_cli"]


class Place:
    """A repository, a home folder and its daemon."""

    def __init__(self, folder: Path) -> None:
        self.repository = folder / "r\u00e9po with spaces"
        self.repository.mkdir()
        self.home = Home(folder / "home")
        environ = {"AT_HOME": str(self.home.root), "HOME": str(folder), "PATH": os.environ["PATH"]}
        self.at = At(self.home, environ)
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.email", "me@example.org")
        self.git("config", "user.name", "Me")
        self.git("commit", "-q", "--allow-empty", "-m", "Begin")

    def git(self, *arguments: str) -> str:
        """Output of git in the repository."""
        done = subprocess.run(
            ["git", *arguments], cwd=self.repository, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def __call__(self, *arguments: str, **settings: Any) -> Outcome:
        return self.at(*arguments, **settings)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The same as a process of its own."""
        return subprocess.Popen(
            [*AT, *arguments],
            env=self.at.environ,
            cwd=self.repository,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def begin(self, prompt: str, *options: str) -> tuple[str, str]:
        """Id of a bead and name of the agent that was started on it."""
        document = self("run", prompt, "--cli", "demo", "--json", *options).document
        return document["bead"]["id"], document["agent"]["name"]

    def until(self, kind: str, bead: str) -> dict[str, Any]:
        """The first event of that kind about that bead, past or to come."""
        stream = Daemon(self.home, self.at.environ).stream_events(0)
        return next(event for event in stream if event["type"] == kind and event["bead_id"] == bead)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One repository and one daemon for all tests of this file; the last one removes everything."""
    made = Place(tmp_path_factory.mktemp("acceptance"))
    before = Path.cwd()
    os.chdir(made.repository)
    try:
        yield made
    finally:
        made("down")
        os.chdir(before)


def test_a_prompt_becomes_a_proved_change_that_lands(place: Place) -> None:
    ran = place("run", "write a.txt hello", "--cli", "demo", "--wait", "--json")
    document = ran.document
    assert (ran.code, document["bead"]["status"], document["proved"]) == (0, "review", True)
    bead = document["bead"]["id"]
    assert "+hello" in place("diff", bead).out
    assert place("diff", bead, "--json").document["patch"].startswith("diff --git")
    landed = place("land", bead[:8])
    assert landed.code == 0 and "merged as" in landed.out
    trailers = place.git("log", "-1", "--format=%(trailers)", "main")
    assert f"Bead: {bead}" in trailers and f"Agent: {document['agent']['name']}" in trailers
    assert place("show", "write a.txt hello", "--json").document["evidence"]["merge"]
    assert place("explain", bead).out.splitlines()[0] == "done"
    assert place("explain", document["agent"]["name"], "--json").document["label"] != "done"


def test_landing_by_itself(place: Place) -> None:
    ran = place("run", "write b.txt", "--cli", "demo", "--land", "--wait", "--json")
    assert (ran.code, ran.document["bead"]["status"]) == (0, "done")


@pytest.mark.parametrize("prompt, code, status", [("fail no idea", 1, "failed"), ("lie", 1, "failed")])
def test_a_failure_is_exit_code_1_with_its_reason(place: Place, prompt: str, code: int, status: str) -> None:
    ran = place("run", prompt, "--cli", "demo", "--wait", "--timeout", "40", "--json")
    assert (ran.code, ran.document["bead"]["status"]) == (code, status)
    assert ran.document["reasons"]
    explained = place("explain", ran.document["bead"]["id"], "--json").document
    assert (explained["label"], explained["status"]) == (status, status)


@pytest.mark.parametrize("verb, outcome", [("approve", "result"), ("deny", "denied")])
def test_a_command_is_asked_for_and_decided(place: Place, verb: str, outcome: str) -> None:
    bead, agent = place.begin(f"shell touch {verb}.txt", "--allow", "ask")
    place.until("ask.opened", bead)
    ask = next(a for a in place("approvals", "--json").document["approvals"] if a["bead"] == bead)
    assert (ask["agent"], ask["kind"], ask["what"]) == (agent, "command", f"touch {verb}.txt")
    worded = place("answer", ask["id"], "no, don't", "--json")
    assert (worded.code, worded.error["code"]) == (1, "refused")
    assert worded.error["hint"] == "at approve {0}, or at deny {0}".format(ask["id"][:8])
    assert (
        f"touch {verb}.txt" in worded.error["message"]
        and ask in place("approvals", "--json").document["approvals"]
    )
    assert place(verb, ask["id"][:8]).code == 0
    place.until("turn.ended", bead)
    assert outcome in place("logs", agent).out
    assert place(verb, ask["id"]).code == 1
    assert place("rm", bead).code == 0


def test_a_killed_daemon_changes_nothing_for_who_waits(place: Place) -> None:
    with place.start("run", "stream 1; write c.txt", "--cli", "demo", "--wait", "--json") as waiting:
        bead = next(
            event["bead_id"]
            for event in Daemon(place.home, place.at.environ).stream_events(0)
            if event["type"] == "text.spoken"
            and place("show", event["bead_id"], "--json").document["bead"]["title"].startswith("stream 1;")
        )
        killed = place("up", "--json").document["pid"]
        os.kill(killed, signal.SIGKILL)
        out, err = waiting.communicate(timeout=50)
    assert (waiting.returncode, err) == (0, "")
    document = json.loads(out)
    assert (document["bead"]["id"], document["proved"]) == (bead, True)
    assert place("up", "--json").document["pid"] != killed


def test_a_time_out_leaves_it_at_work_and_stop_keeps_it(place: Place) -> None:
    ran = place("run", "ask which", "--cli", "demo", "--wait", "--timeout", "1", "--json")
    assert (ran.code, ran.document["bead"]["status"]) == (75, "slung")
    agent = ran.document["agent"]["name"]
    assert place("stop", agent, "--json").document["agent"]["status"] == "stopped"
    assert place("show", ran.document["bead"]["id"], "--json").document["bead"]["status"] == "slung"
    assert place("nudge", agent, "-m", "hello", "--timeout", "0").code == 75
    assert place("rm", ran.document["bead"]["id"]).code == 0


def test_a_backlog_is_hooked_and_slung(place: Place) -> None:
    added = place("add", "write d.txt", "-l", "critical", "-p", "2", "--json").document["bead"]
    assert (added["status"], added["lane"], added["priority"]) == ("backlog", "critical", 2)
    hooked = place("hook", "write d.txt", "max", "--cli", "demo", "--json").document
    assert (hooked["bead"]["id"], hooked["bead"]["status"]) == (added["id"], "hooked")
    slung = place("sling", added["id"], "max", "--wait", "--json").document
    assert (slung["bead"]["status"], slung["bead"]["lane"]) == ("review", "critical")
    assert place("send-back", "write d.txt", "-m", "write e.txt").code == 0
    assert place("explain", "max", "--json").document["facts"]


@pytest.mark.parametrize(
    "arguments, code",
    [
        (["show", "nosuchbead"], 4),
        (["nudge", "nobody", "-m", "x"], 4),
        (["approve", "00000000"], 4),
        (["explain", "nothing"], 4),
        (["run", "P", "--cli", "no-such-cli"], 2),
        (["config", "nonsense"], 2),
    ],
)
def test_a_wrong_name_is_one_line(place: Place, arguments: list[str], code: int) -> None:
    plain, told = place(*arguments), place(*arguments, "--json")
    assert (plain.code, told.code, plain.out) == (code, code, "")
    assert plain.err.count("\n") == 1 and told.error["message"]


@pytest.mark.parametrize("title", ["\x1b[31mred\x07", "-rf", "naïve 漢字\u202e", "a/b?c#d", "x" * 500])
def test_titles_are_stored_as_given_and_found_again(place: Place, title: str) -> None:
    bead = place("add", "--json", "--", title).document["bead"]
    assert bead["title"] == title
    assert place("show", "--json", "--", title).document["bead"]["id"] == bead["id"]
    assert "\x1b" not in place("ls").out + place("show", "--", title).out
    assert place("rm", bead["id"]).code == 0


def test_a_prompt_of_two_megabytes(place: Place) -> None:
    prompt = "write big.txt\n" + "# " + "x" * 2_000_000
    document = place("run", "-", "--title", "big", "--cli", "demo", "--json", stdin=prompt.encode()).document
    assert document["bead"]["description"] == prompt
    assert place("rm", document["bead"]["id"]).code == 0


def test_the_lists_are_lists(place: Place) -> None:
    bead, _agent = place.begin("write lists.txt one", "--land")
    place.until("bead.landed", bead)
    assert place("ls", "--status", "done", "--json").document["beads"]
    assert place("agents", "--json").document["agents"]
    status = place("status", "--json").document
    assert {"daemon", "rig", "kpi", "agents", "attention"} <= set(status)
    events = [json.loads(line) for line in place("events", "--json").out.splitlines()]
    assert [event["seq"] for event in events] == sorted({event["seq"] for event in events})


def test_down_stops_what_a_killed_daemon_left(place: Place) -> None:
    bead, agent = place.begin("shell true", "--allow", "ask")
    place.until("ask.opened", bead)
    os.kill(place("up", "--json").document["pid"], signal.SIGKILL)
    assert processes_of(place.home)
    down = place("down", "--json").document
    assert (down["was_running"], down["killed"]) == (True, False) and agent in down["stopped"]
    assert processes_of(place.home) == []
    assert place("down", "--json").document == {"was_running": False, "killed": False, "stopped": []}
    assert place("show", bead, "--json").document["bead"]["status"] == "slung"


def test_down_ends_a_daemon_that_does_not_answer(place: Place) -> None:
    os.kill(place("up", "--json").document["pid"], signal.SIGSTOP)
    face = Face(Streams.of_process(), place.at.environ)
    assert stop_daemon(face, keep_agents=False, patience_seconds=0.2)["killed"] is True
    assert processes_of(place.home) == []


def test_down_and_uninstall_leave_nothing(place: Place) -> None:
    assert place("uninstall", "--yes", "--json").code == 0
    assert not place.home.root.exists()
    assert processes_of(place.home) == []
    assert place("status", "--json").code == 0  # it starts anew
    assert place("down").code == 0


def processes_of(home: Home) -> list[str]:
    """Command lines that name the home folder: its daemon, holders and agents."""
    lines = [_command_line(entry) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [line for line in lines if str(home.root) in line]


def _command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""
