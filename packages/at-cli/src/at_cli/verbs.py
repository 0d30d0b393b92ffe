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
            Verb("adopt", "adopt", "take over a session that you have with claude or codex"),
            Verb("hook", "hook", "assign a work item to an agent, not started (also: assign)"),
            Verb("sling", "sling", "assign a work item to an agent and start it"),
            Verb("after", "after", "what has to land before a work item begins"),
            Verb("rename", "rename", "give a work item another title"),
        ),
    ),
    (
        "Look",
        (
            Verb("status", "status", "one page: what runs, what waits for you, what it costs"),
            Verb("top", "top", "all agents on one live screen, what needs you first"),
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
            Verb("rules", "rules", "what you allowed for good; rules remove ID takes it back"),
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
            Verb("comment", "comment", "words about a line of a change, sent with the next send-back"),
            Verb("land", "land", "merge work items onto their target: one, several, or all that are proved"),
            Verb("send-back", "send_back", "say what is still wanted; the agent goes on"),
            Verb("pr", "pr", "push a work item's branch and open its pull request; checks and comments"),
            Verb("retry", "retry", "begin a failed work item again"),
            Verb("done", "done", "hand a work item in for checking"),
            Verb("rm", "rm", "remove a work item; its work is kept, and at undo brings it back"),
            Verb("attic", "attic", "what was kept before something was removed; show, restore"),
            Verb("tidy", "tidy", "what is left over of work that is done, and removing it"),
            Verb("undo", "undo", "take back a removal, giving up, or a session that was left"),
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
