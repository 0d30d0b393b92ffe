"""Which commit of a clone is the work: a decision about a branch that may have been left, rewritten or destroyed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from at_daemon.git.errors import GitFailed
from at_daemon.git.merge import is_ancestor
from at_daemon.git.private import Found
from at_daemon.git.run import Git
from at_daemon.git.transport import says_lost, says_promised


@dataclass(frozen=True)
class Choice:
    """`tip` is the end of the agent's history, `parent` the commit that its files are compared with.

    They differ where the agent was looking at another commit. `merging` are further parents of a merge that was left
    uncommitted; `set_aside` commits that the tip does not contain.
    """

    tip: str
    parent: str
    merging: tuple[str, ...] = ()
    set_aside: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


async def choose_head(
    git: Git, found: Found, visible: str, known: set[str], foreign: set[str], fallback: str
) -> Choice:
    """Decide by what exists. `git` sees the clone's objects; `fallback` is what was collected before, or the base.

    `known` are commits that the person's repository has on refs, `foreign` those of them that are not this bead's.
    """
    head, branch = found.head, found.refs.get(visible)
    claimed = [sha for sha in (head, branch, *found.merging) if sha is not None]
    unknown = await peeled(git, [sha for sha in claimed if sha not in known])
    real = {sha for sha, commit in unknown.items() if sha == commit} | known.intersection(claimed)
    head, branch = (sha if sha in real else None for sha in (head, branch))
    merging = tuple(sha for sha in found.merging if sha in real)
    if head is None or branch is None:
        tip = head or branch
        if tip is not None:
            return Choice(tip, tip, merging)
        lost = "the agent's .git was removed or damaged: only the files are taken over"
        return Choice(fallback, fallback, notes=(lost,))
    if head == branch:
        return Choice(head, head, merging)
    where = "the agent left its branch: "
    if found.operation == "rebase":
        return Choice(branch, head, notes=(f"{where}a rebase is unfinished, the branch itself is taken",))
    if not await _has_own(git, head, foreign) or await is_ancestor(git, head, branch):
        return Choice(branch, head, notes=(f"{where}it looked at {head[:12]}, the branch is taken",))
    if await is_ancestor(git, branch, head):
        return Choice(head, head, merging)
    note = f"{where}{head[:12]} is taken, the branch is in the attic"
    return Choice(head, head, merging, (branch,), (note,))


async def peeled(git: Git, claimed: Iterable[str]) -> dict[str, str]:
    """The commits that the names stand for (a tag stands for its commit), where they can be read."""
    names = list(dict.fromkeys(claimed))
    found = zip(names, await looked_up(git, [f"{sha}^{{commit}}" for sha in names]), strict=True)
    return {name: there[0] for name, there in found if there is not None and there[1] == "commit"}


async def looked_up(git: Git, asked: list[str]) -> list[tuple[str, str] | None]:
    """Name and type of the object that each expression stands for; None for one that is missing or damaged."""
    rows: list[list[str]] = []
    while len(rows) < len(asked):
        feed = "".join(f"{expression}\n" for expression in asked[len(rows) :]).encode()
        command = ("cat-file", "--batch-check")
        ran = await git.run(*command, stdin=feed, accept=(0, 128))
        rows += [line.split(" ") for line in ran.stdout.decode().splitlines()]
        if len(rows) < len(asked):
            # Git goes no further than a damaged object: it is asked for the others anew.
            said = ran.stderr.decode("utf-8", "replace")
            if not (says_lost(said) or says_promised(said)):
                raise GitFailed(command, ran.returncode, ran.stderr)
            rows.append([])
    return [(row[0], row[1]) if len(row) == 3 else None for row in rows]


async def _has_own(git: Git, head: str, foreign: set[str]) -> bool:
    feed = f"{head}\n" + "".join(f"^{sha}\n" for sha in sorted(foreign))
    return bool((await git.run("rev-list", "--max-count=1", "--stdin", stdin=feed.encode())).stdout)
