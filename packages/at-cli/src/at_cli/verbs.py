"""The verbs: which file each lives in, what it is for, and its one line of help.

Kept as data, so that `at --help` and completion import no command, and a call imports only its own.
"""

from __future__ import annotations

from typing import NamedTuple


class Verb(NamedTuple):
    """`about` is the line in the overview; `module` the file in `at_cli/commands/`."""

    name: str
    module: str
    about: str


SECTIONS: tuple[tuple[str, tuple[Verb, ...]], ...] = (
    (
        "Start work",
        (
            Verb("init", "init", "put this repository under management (a rig)"),
            Verb("run", "run", "give a prompt to a fresh agent in a folder of its own"),
            Verb("add", "add", "note a work item (bead) in the backlog"),
            Verb("hook", "hook", "assign a work item to an agent, not started (also: assign)"),
            Verb("sling", "sling", "assign a work item to an agent and start it"),
        ),
    ),
    (
        "Look",
        (
            Verb("status", "status", "one page: what runs, what waits for you, what it costs"),
            Verb("ls", "ls", "work items"),
            Verb("agents", "agents", "agents and what they are doing"),
            Verb("show", "show", "one work item with its evidence"),
            Verb("explain", "explain", "why an agent or a work item is called what it is"),
            Verb("costs", "costs", "what was spent on what, and what is left of budgets"),
            Verb("logs", "logs", "transcript of an agent"),
            Verb("events", "events", "everything that happened"),
            Verb("open", "open", "path of a work item's folder"),
            Verb("exec", "execute", "run a command in a work item's folder, with its slot and ports"),
            Verb("attach", "attach", "an agent's terminal, or its live transcript"),
        ),
    ),
    (
        "Decide",
        (
            Verb("next", "next", "what needs you most, and the commands that decide it"),
            Verb("approvals", "approvals", "what agents ask you for"),
            Verb("approve", "approve", "allow what was asked"),
            Verb("deny", "deny", "refuse what was asked"),
            Verb("answer", "answer", "answer a question"),
            Verb("nudge", "nudge", "say something to a running agent"),
            Verb("budget", "budget", "what a work item may use; one that waits for it goes on"),
            Verb("stop", "stop", "stop an agent; its work stays and can be resumed"),
            Verb("resume", "resume", "start stopped agents again"),
        ),
    ),
    (
        "Review and land",
        (
            Verb("diff", "diff", "the change of a work item"),
            Verb("land", "land", "merge a work item onto its target"),
            Verb("send-back", "send_back", "say what is still wanted; the agent goes on"),
            Verb("retry", "retry", "begin a failed work item again"),
            Verb("done", "done", "hand a work item in for checking"),
            Verb("rm", "rm", "remove a work item; its work is kept on a hidden ref"),
            Verb("trust", "trust", "accept this repository's .auto-tundra.toml"),
        ),
    ),
    (
        "The tool itself",
        (
            Verb("up", "up", "start the daemon"),
            Verb("down", "down", "stop agents (resumable) and the daemon"),
            Verb("demo", "demo", "four agents on a throw-away repository; no model is called"),
            Verb("prove", "prove", "the installed CLIs through a table of cases; no key, no cost"),
            Verb("doctor", "doctor", "check this machine and say how to fix what is wrong"),
            Verb("config", "config", "settings, and where each comes from"),
            Verb("completion", "completion", "completion for bash, zsh or fish"),
            Verb("uninstall", "uninstall", "list and remove everything the tool keeps"),
        ),
    ),
)

SYNONYMS = {"assign": "hook"}

BY_NAME = {verb.name: verb for _, verbs in SECTIONS for verb in verbs}
