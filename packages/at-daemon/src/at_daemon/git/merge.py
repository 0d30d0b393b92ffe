"""A merge made aside: forecast without touching a folder, then a commit with two parents. Moves no ref."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import anyio

from at_daemon.git import private
from at_daemon.git.child import Ran
from at_daemon.git.clone import give_target
from at_daemon.git.diff import read_objects
from at_daemon.git.errors import GitFailed, GitTimedOut, RevisionMissing, SigningFailed
from at_daemon.git.names import checked_path, checked_revision, checked_sha
from at_daemon.git.places import Place, locate
from at_daemon.git.run import LONG, Git
from at_daemon.git.settings import FALLBACK, read_settings


@dataclass(frozen=True)
class Forecast:
    """What merging would give. `tree` is the merged tree if `clean`; `contained`: nothing is left to merge, `brought`: and
    nothing would change, though the target may have it under other commits (squashed, rebased).

    `file` is what the target commit has under the name that was asked for, None if it has none.
    """

    target_sha: str
    clean: bool
    tree: str
    conflicts: tuple[str, ...]
    contained: bool = False
    unrelated: bool = False
    file: bytes | None = None
    brought: bool = False


async def try_merge(rig: Path, head: str, target_ref: str, file: str | None = None) -> Forecast:
    """Forecast the merge of commit `head` into `target_ref` (a ref, branch or sha), and read a `file` of the target.

    Attributes such as `merge=union` are taken from the merged trees, not from the person's checkout. Raises
    `RevisionMissing`.
    """
    return await forecast_in(locate(rig), checked_sha(head), target_ref, file)


async def forecast_in(place: Place, head: str, target_ref: str, file: str | None = None) -> Forecast:
    """`try_merge` on an opened repository."""
    asked = checked_revision(target_ref)
    named = [f"{asked}:{checked_path(file)}"] if file is not None else []
    (kind, target, commit), (_, _, attributes), *rest = await read_objects(
        place.git, f"{asked}^{{commit}}", f"{asked}:.gitattributes", *named
    )
    if kind != "commit":
        raise RevisionMissing(place.top, target_ref)
    found = next((content for kind, _, content in rest if kind == "blob"), None)
    target_tree = commit.split(b"\n", 1)[0].removeprefix(b"tree ").decode()
    ran = await _merge_tree(place.git, target, head, attributes)
    if ran.returncode == 128:
        if b"unrelated histories" in ran.stderr:
            return Forecast(target, False, "", (), unrelated=True, file=found)
        raise GitFailed(("merge-tree",), 128, ran.stderr)
    tree, *paths = os.fsdecode(ran.stdout).split("\0")
    brought = tree == target_tree and ran.returncode == 0
    contained = brought and await is_ancestor(place.git, head, target)
    conflicts = tuple(dict.fromkeys(filter(None, paths)))
    return Forecast(target, ran.returncode == 0, tree, conflicts, contained, file=found, brought=brought)


async def _merge_tree(git: Git, target: str, head: str, attributes: bytes) -> Ran:
    """Merge with the attributes of the target.

    Git 2.41 takes them from a tree itself. Before that it reads them from a working tree, so the top file is laid
    into an empty one.
    """
    arguments = ("--write-tree", "-z", "--name-only", "--no-messages", target, head)
    writing = git.having(reads_only=False, env={"GIT_ATTR_SOURCE": target})
    if not attributes:
        return await writing.run("merge-tree", *arguments, accept=(0, 1, 128), limit=LONG)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / ".gitattributes").write_bytes(attributes)
        there = writing.having(work_tree=folder, cwd=folder)
        return await there.run("merge-tree", *arguments, accept=(0, 1, 128), limit=LONG)


async def is_ancestor(git: Git, ancestor: str, descendant: str) -> bool:
    """Whether the first commit is the second or one of its ancestors."""
    ran = await git.run("merge-base", "--is-ancestor", ancestor, descendant, accept=(0, 1))
    return ran.returncode == 0


async def make_merge(
    rig: Path, head: str, target_sha: str, tree: str, message: str, *, date: int | None = None
) -> str:
    """Make the merge commit (parents `target_sha`, `head`) of a clean forecast and give its sha.

    By the person's identity (else the fallback one), signed if their `commit.gpgsign` says so. Unsigned and with the
    same `date` (seconds since 1970), making it twice gives the same sha. `message` has its trailers already, see
    `names.with_trailers`. Raises `SigningFailed`.
    """
    place = locate(rig)
    settings = await read_settings(place.git)
    identity = settings.identity or FALLBACK
    parents = ("-p", checked_sha(target_sha), "-p", checked_sha(head))
    sign = ("-S",) if settings.signs else ()
    git = place.git.having(env=identity.environment(date), reads_only=False)
    try:
        made = await git.run("commit-tree", *sign, checked_sha(tree), *parents, stdin=_encoded(message))
    except GitFailed as error:
        if sign and ("sign" in error.stderr or "gpg" in error.stderr):
            raise SigningFailed(error.message) from None
        raise
    except GitTimedOut as error:
        if sign:
            raise SigningFailed(error.message) from None
        raise
    return made.stdout.decode().strip()


async def merges_since(rig: Path, base: str, target_ref: str) -> dict[str, str]:
    """Our merges on the first-parent line of a branch since the commit `base`: the merged head to the merge commit."""
    ran = await locate(rig).git.run(
        "log",
        "--first-parent",
        "--format=%H %P %(trailers:key=Bead,valueonly,separator=%x2C)",
        checked_revision(target_ref),
        f"^{checked_sha(base)}",
    )
    lines = (line.split() for line in ran.stdout.decode("utf-8", "replace").split("\n"))
    return {line[2]: line[0] for line in lines if len(line) == 4}


def _encoded(message: str) -> bytes:
    return message.encode("utf-8", "replace")


async def update_branch(rig: Path, folder: Path, target_sha: str) -> Forecast:
    """Give the agent's clone the target as `refs/at/target`, so that it can merge or rebase itself.

    The objects are there already (shared); nothing else in the folder changes. The forecast is for the clone's HEAD
    as last collected or committed; its own new commits are not looked into.
    """
    place = locate(rig)
    target = checked_sha(target_sha)
    head = (await anyio.to_thread.run_sync(private.read_clone, folder)).head
    given = await anyio.to_thread.run_sync(give_target, folder, target)
    if head is None or not given:
        return Forecast(target, False, "", ())
    known = await place.git.run("cat-file", "-e", f"{head}^{{commit}}", accept=(0, 1, 128))
    if known.returncode:
        return Forecast(target, False, "", ())
    return await forecast_in(place, head, target)
