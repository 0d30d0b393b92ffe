"""Pull requests: the branch pushed because the person said so, and what they saw of checks and comments since."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from at_agents import pull_request
from at_agents.comments import Comment, Comments
from at_agents.decisions import World
from at_agents.landing import PULL_REQUEST_MERGED, is_proved
from at_core.api import PullRequestRequest, PushRequest, SeenComment
from at_core.errors import Refused
from at_core.store import Tx
from at_core.types import Bead, BeadStatus
from at_core.vocabulary import BeadFact, EventType
from at_daemon import git
from at_daemon.documents import comment_documents
from at_daemon.edge import Call
from at_daemon.failpoints import failpoint
from at_daemon.git.errors import GitError
from at_daemon.git.names import is_inside, is_sha
from at_daemon.handlers.changes import HandedIn, handed_in
from at_daemon.handlers.comments import MOST_CHARACTERS, MOST_QUOTE, fitting
from at_daemon.handlers.named import bead_called, rig_at
from at_daemon.ledger import Change
from at_daemon.parts import Parts

Json = dict[str, Any]
MOST_AUTHOR = 100
_OF_ONE: Json = dict.fromkeys(("number", "url", "state", "draft", "review", "head", "checks"))
"""What is of one pull request, and is forgotten when the work goes into another."""
_LATER = datetime.min.replace(tzinfo=UTC)
"""The time of a comment is that of the change in which it is taken."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is to be pushed, and what its pull request says."""

    work: HandedIn
    target: str
    known: Mapping[str, Any]
    title: str
    body: str

    @property
    def name(self) -> str:
        """The bead, as a person types it."""
        return str(self.work.bead.id)[:8]

    @property
    def branch(self) -> str:
        """The branch's name, here and there."""
        return self.work.bead.git_branch or git.branch_name(str(self.work.bead.id), self.work.bead.title)


async def push(parts: Parts, call: Call) -> Json:
    """Bring the bead's branch to a remote, unless it is only to be told what that would be."""
    request: PushRequest = call.body
    rig = await rig_at(parts, request.path)
    found = await parts.ledger.read(
        lambda tx: _proposal(parts, tx, bead_called(tx, call.path["bead"], rig), request.draft)
    )
    wanted = request.remote if request.remote is not None else found.known.get("remote")
    remote = await git.remote_of(found.work.repository, found.target, wanted)
    head = found.work.branch["head"]
    pushed = None
    if not request.dry:
        ours = {sha for name in ("pushed", "pushing") if (sha := found.known.get(name))}
        await _note(parts, found.work.bead, {"remote": remote.name, "branch": found.branch, "pushing": head})
        # Without the lock of the repository: a network that hangs is not to hold up landings.
        failpoint("push.before-git")
        pushed = await git.push(found.work.repository, remote.name, found.branch, head, ours, request.env)
        failpoint("push.after-git")
        known = {"pushed": head, "pushing": None, "base": found.target}
        await _note(parts, found.work.bead, (_OF_ONE if request.anew else {}) | known, pushed)
    return {
        "bead": str(found.work.bead.id),
        "repository": found.work.rig.path,
        "remote": {"name": remote.name, "url": remote.url},
        "branch": found.branch,
        "head": head,
        "base": found.target,
        "title": found.title,
        "body": found.body,
        "pushed": pushed is not None,
        "already": pushed is not None and pushed.already,
        "notes": list(pushed.notes) if pushed else [],
        "known": dict(found.known) or None,
    }


async def report(parts: Parts, call: Call) -> Json:
    """Keep what the person's `gh` showed of the pull request. Each comment, and each failure of a check, is taken once."""
    request: PullRequestRequest = call.body
    work = await parts.ledger.read(lambda tx: handed_in(tx, bead_called(tx, call.path["bead"])))
    head = work.branch["head"]
    said = [await _comment(work, each) for each in request.comments if each.text.strip()]
    checks = [
        pull_request.PullRequestCheck(
            name=each.name, verdict=pull_request.verdict_of(each.word), url=each.url
        )
        for each in request.checks
    ]
    said += [_failure(each, request.head, head) for each in checks if each.verdict == pull_request.FAILED]

    def note(change: Change) -> Json:
        bead = bead_called(change.tx, str(work.bead.id))
        before = change.fact(bead.id, BeadFact.PULL_REQUEST) or {}
        seen = before | {
            **{
                name: getattr(request, name) for name in ("number", "url", "state", "draft", "review", "head")
            },
            "checks": [each.to_json() for each in checks],
        }
        if seen != before:
            change.put(bead.id, BeadFact.PULL_REQUEST, seen, "gh")
            change.touch_conflicting(bead.id)
            change.tell(
                EventType.PULL_REQUEST_CHANGED,
                bead,
                actor="person",
                number=request.number,
                url=request.url,
                reason=pull_request.summary(seen),
            )
        new = _take(change, bead, said)
        if request.state == PULL_REQUEST_MERGED and bead.status is BeadStatus.REVIEW:
            change.look_at_target(bead, "its pull request was merged")
        change.touch(bead.id)
        return {"bead": str(bead.id), "new": [each.key for each in new]}

    answer = await parts.ledger.change(note)
    return await parts.ledger.read(lambda tx: answer | _document(tx, bead_called(tx, str(work.bead.id))))


def _document(tx: Tx, bead: Bead) -> Json:
    seen = tx.fact(bead.id, BeadFact.PULL_REQUEST.value)
    noted = tx.fact(bead.id, BeadFact.COMMENTS.value)
    waiting = [
        each
        for each in comment_documents(Comments.of(noted.value if noted else None))
        if each["author"] and each["state"] == "open"
    ]
    value = seen.value if seen else None
    branch = tx.fact(bead.id, BeadFact.BRANCH.value)
    return {
        "head": branch.value["head"] if branch else None,
        "pull_request": value and {**value, "summary": pull_request.summary(value)},
        "comments": waiting,
        "status": bead.status.value,
    }


def _take(change: Change, bead: Bead, said: Sequence[Comment]) -> list[Comment]:
    """Keep those that are new; what there is no room for comes with a later look."""
    noted = Comments.of(change.fact(bead.id, BeadFact.COMMENTS))
    taken = set((change.fact(bead.id, BeadFact.PULL_REQUEST) or {}).get("taken", ()))
    waiting = [each for each in noted.to_send(from_others=True) if each.author is not None]
    unknown = {each.key: each for each in said if each.key not in taken}
    new = fitting(waiting, unknown.values())
    for each in new:
        noted = noted.added(dataclasses.replace(each, at=change.now))
    if new:
        change.put(bead.id, BeadFact.COMMENTS, noted.to_fact(), "gh")
        seen = change.fact(bead.id, BeadFact.PULL_REQUEST) or {}
        keys = sorted(taken | {str(each.key) for each in new})
        change.put(bead.id, BeadFact.PULL_REQUEST, seen | {"taken": keys}, "gh")
    return new


async def _note(parts: Parts, bead: Bead, values: Json, pushed: git.Pushed | None = None) -> None:
    def note(change: Change) -> None:
        before = change.fact(bead.id, BeadFact.PULL_REQUEST) or {}
        value = {name: each for name, each in (before | values).items() if each is not None}
        change.put(bead.id, BeadFact.PULL_REQUEST, value, "person")
        change.touch(bead.id)
        change.touch_conflicting(bead.id)
        if pushed is not None and before.get("pushed") != value["pushed"]:
            told = {name: value.get(name) for name in ("remote", "branch")}
            change.tell(EventType.BEAD_PUSHED, bead, actor="person", said=told, head=value["pushed"])

    await parts.ledger.change(note)


def _proposal(parts: Parts, tx: Tx, bead: Bead, draft: bool) -> Proposal:
    """Raises Refused for work that is not proved, unless it is to be a draft."""
    work = handed_in(tx, bead)
    world = parts.ledger.worlds.of(tx, bead)
    name = str(bead.id)[:8]
    if bead.status is not BeadStatus.REVIEW:
        raise Refused(
            f"only work in review becomes a pull request; this bead is {bead.status.value}", f"at show {name}"
        )
    if not draft and not is_proved(world):
        raise Refused("its work is not proved", f"at show {name}, or at pr {name} --draft")
    known = world.facts.get(BeadFact.PULL_REQUEST) or {}
    turns = sum(1 for message in world.messages if message.answered_at)
    return Proposal(
        work, _target(world, work), known, pull_request.title(world), pull_request.body(world, turns)
    )


def _target(world: World, work: HandedIn) -> str:
    return str((world.facts.get(BeadFact.FOLDER) or {}).get("target") or work.rig.target)


async def _comment(work: HandedIn, seen: SeenComment) -> Comment:
    """What somebody wrote; where its line is now is only told if that can be known."""
    file = seen.file if seen.file is not None and is_inside(seen.file) else None
    line = seen.line if file is not None and seen.line is not None and seen.line > 0 else None
    head, newest = (seen.head if is_sha(seen.head) else ""), work.branch["head"]
    quote, now, now_head = "", None, newest
    if file is not None and line is not None:
        try:
            found = await git.lines_of(work.repository, head, file) or []
            quote = found[line - 1][:MOST_QUOTE].rstrip("\r") if line <= len(found) else ""
            now = await git.line_now(work.repository, head, newest, file, line)
        except GitError:  # a commit that somebody else pushed is not here
            now_head = ""
    return Comment(
        number=0,
        text=seen.text[:MOST_CHARACTERS],
        head=head,
        at=_LATER,
        file=file,
        line=line,
        quote=quote,
        now_head=now_head,
        now_line=now,
        author=seen.author[:MOST_AUTHOR] or "somebody",
        key=f"comment:{seen.key}",
    )


def _failure(check: pull_request.PullRequestCheck, head: str, newest: str) -> Comment:
    where = f": {check.url}" if check.url else ""
    return Comment(
        number=0,
        text=f"the check {check.name[:MOST_QUOTE]} failed{where}",
        head=head,
        at=_LATER,
        now_head=newest,
        author=f"check {check.name[:MOST_AUTHOR]}",
        key=pull_request.failure_key(check, head),
    )


HANDLERS: Mapping[str, Callable[[Parts, Call], Awaitable[Any]]] = {"push": push, "pull_request": report}
