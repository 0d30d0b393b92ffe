"""`at pr`: a bead's work as a pull request, and what becomes of that."""

from __future__ import annotations

import threading

import click

from at_cli.clock import monotonic
from at_cli.errors import NoGh
from at_cli.face import Document, Face
from at_cli.github import GitHub, commands_by_hand
from at_cli.verb import BEAD, timeout_option, verb
from at_cli.views.bead import one_line
from at_cli.views.pull_request import pull_request_lines
from at_cli.waiting import TIMED_OUT
from at_core.errors import Refused, UsageError

PUSH_SECONDS = 1000.0
"""Longer than the daemon gives git."""
LOOKS_FOR_CHECKS = 3
"""Right after a push there are no checks yet; where so many looks find none, there are none."""


@verb(example="at pr 3f2a9c1e --watch --feed-back")
@click.argument("bead", type=BEAD)
@click.option("--draft", is_flag=True, help="As a draft; the work need not be proved yet.")
@click.option("--remote", metavar="NAME", help="Push there (default: your target's upstream, else origin).")
@click.option("--print", "printed", is_flag=True, help="Print the commands and do nothing.")
@click.option(
    "--watch", is_flag=True, help="Look at the pull request until its checks are over; push nothing."
)
@click.option(
    "--feed-back", is_flag=True, help="Send failed checks and new comments to the agent, each once."
)
@click.option(
    "--every",
    type=click.FloatRange(min=0.01),
    default=30.0,
    metavar="S",
    help="With --watch: seconds between looks.",
)
@timeout_option()
def command(
    face: Face,
    bead: str,
    draft: bool,
    remote: str | None,
    printed: bool,
    watch: bool,
    feed_back: bool,
    every: float,
    timeout: float | None,
) -> int:
    """Push a work item's branch and open its pull request with gh; called again, push what is new and look.

    Nothing goes to a remote but by this call. With --watch or --feed-back it only looks. Exit code 0: no check
    failed. 1: a check failed, or it was closed. 3: gh is not there; the commands to run by hand are printed.
    """
    looks_only = watch or feed_back
    if looks_only and (draft or printed or remote is not None):
        raise UsageError(
            "--watch and --feed-back push nothing, so they take no option of a push", "at pr BEAD"
        )
    if timeout is not None and not watch:
        raise UsageError("--timeout is for --watch", "at pr BEAD --watch")
    proposal = _proposal(face, bead, remote, draft, dry=True) if not looks_only else None
    if proposal is None:
        known = face.call("show", bead=bead, path=face.folder)
        return _look(face, known, watch=watch, feed_back=feed_back, every=every, timeout=timeout)
    github = GitHub(proposal["repository"], face.environ)
    if printed or not github.installed:
        return _by_hand(face, proposal, draft, missing=not printed)
    seen = _merged(github, proposal)
    if seen is None or not _is_in(seen, proposal):
        seen = _push(face, github, proposal, draft, anew=seen is not None)
    document = face.call("pull_request", bead=proposal["bead"], **seen)
    face.emit(document, pull_request_lines(document, face.style))
    return _verdict(document)


def _merged(github: GitHub, proposal: Document) -> Document | None:
    """The pull request that is known of the work, if it was merged."""
    number = (proposal["known"] or {}).get("number")
    seen = github.view(str(number)) if number else None
    return seen if seen is not None and seen["state"] == "MERGED" else None


def _is_in(seen: Document, proposal: Document) -> bool:
    """Whether a merged pull request has the work as it is, be it that others added to the branch there."""
    return proposal["head"] in (seen["head"], (proposal["known"] or {}).get("pushed"))


def _push(face: Face, github: GitHub, proposal: Document, draft: bool, *, anew: bool) -> Document:
    """Push, and open a pull request unless one is open for the branch: as it is seen then."""
    proposal = _proposal(face, proposal["bead"], proposal["remote"]["name"], draft, dry=False, anew=anew)
    for note in proposal["notes"]:
        face.note(f"at: {note}")
    seen = github.view(proposal["branch"])
    if seen is None or _is_over_without(seen, proposal):
        github.create(proposal, draft=draft)
        seen = github.view(proposal["branch"])
    if seen is None:
        raise Refused("gh opened no pull request for the branch", "gh pr list")
    return seen


def _is_over_without(seen: Document, proposal: Document) -> bool:
    """Whether a pull request was closed, or merged before this work came."""
    state: str = seen["state"]
    return state == "CLOSED" or (state == "MERGED" and bool(seen["head"] != proposal["head"]))


def _proposal(
    face: Face, bead: str, remote: str | None, draft: bool, *, dry: bool, anew: bool = False
) -> Document:
    found: Document = face.call(
        "push",
        bead=bead,
        path=face.folder,
        remote=remote,
        draft=draft,
        dry=dry,
        anew=anew,
        env={} if dry else face.caller_environment(),
        timeout_seconds=PUSH_SECONDS,
    )
    return found


def _by_hand(face: Face, proposal: Document, draft: bool, *, missing: bool) -> int:
    commands = commands_by_hand(proposal, draft=draft)
    shown = [line for command in commands for line in face.style.block(command, "")]
    face.emit({"bead": proposal["bead"], "pull_request": None, "commands": commands}, shown)
    if not missing:
        return 0
    face.note("at: gh is not on your PATH, so nothing was done; these commands do it")
    return NoGh.exit_code


def _look(
    face: Face, known: Document, *, watch: bool, feed_back: bool, every: float, timeout: float | None
) -> int:
    """Look once, or until nothing runs any more; then tell the agent, if that was asked for."""
    bead, seen = known["bead"]["id"], known.get("pull_request") or {}
    if not seen.get("number"):
        raise Refused("it has no pull request yet", f"at pr {bead[:8]}")
    github = GitHub(known["repository"], face.environ)
    if not github.installed:
        raise NoGh
    deadline, looks = None if timeout is None else monotonic() + timeout, 0
    with face.progress(f"watching pull request #{seen['number']}", after=0.0) as progress:
        while True:
            found = github.view(str(seen["number"]))
            if found is None:
                raise Refused(f"pull request #{seen['number']} is gone", "gh pr list")
            document = face.call("pull_request", bead=bead, **found)
            progress.say(f"#{seen['number']} {document['pull_request']['summary']}")
            looks += 1
            if not watch or (_is_over(document) and (looks >= LOOKS_FOR_CHECKS or _is_known(document))):
                break
            if deadline is not None and monotonic() + every > deadline:
                face.emit(document, pull_request_lines(document, face.style))
                return TIMED_OUT
            threading.Event().wait(every)
    if feed_back and document["comments"] and document["status"] == "review":
        sent = face.call("send_back", bead=bead, from_pr=True)
        document = {
            **document,
            "sent": len(document["comments"]),
            "comments": [],
            "status": sent["bead"]["status"],
        }
        face.emit(document, [*pull_request_lines(document, face.style), *one_line(sent, face.style)])
        return 0
    face.emit(document, pull_request_lines(document, face.style))
    return _verdict(document)


def _is_over(document: Document) -> bool:
    seen = document["pull_request"]
    return seen["state"] != "OPEN" or all(check["verdict"] != "running" for check in seen["checks"])


def _is_known(document: Document) -> bool:
    """Whether what was seen is of the newest push, and not before its checks were set up."""
    seen = document["pull_request"]
    return seen["state"] != "OPEN" or (bool(seen["checks"]) and seen["head"] == seen["pushed"])


def _verdict(document: Document) -> int:
    seen = document["pull_request"]
    failed = any(check["verdict"] == "failed" for check in seen["checks"])
    return 1 if failed or seen["state"] == "CLOSED" else 0
