"""What a repository is, before it becomes a rig, and the plain refusals."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from at_daemon.git.errors import (
    BareRepository,
    DubiousOwnership,
    GitFailed,
    GitTooOld,
    NoCommits,
    NotARepository,
    RevisionMissing,
)
from at_daemon.git.names import checked_revision
from at_daemon.git.places import common_dir_of, locate
from at_daemon.git.run import Git
from at_daemon.git.settings import Identity, read_settings
from at_daemon.git.together import together

OLDEST = (2, 38)

_OPERATIONS = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_LOG": "bisect",
}


@dataclass(frozen=True)
class RepositoryFacts:
    """What was found; `branch` is None for a detached HEAD, `head` None without commits."""

    top: Path
    git_dir: Path
    common_dir: Path
    branch: str | None
    head: str | None
    bare: bool
    default_target: str | None
    has_submodules: bool
    uses_lfs: bool
    shallow: bool
    linked_worktree: bool
    operation: str | None
    identity: Identity | None
    git_version: str


async def git_version() -> tuple[str, tuple[int, ...]]:
    """The version of git as text and as numbers. Raises `GitMissing`, `GitTooOld` (below 2.38)."""
    said = await Git(cwd=Path("/")).text("version")
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", said)
    numbers = tuple(int(part or 0) for part in match.groups()) if match else (0,)
    found = match.group(0) if match else said
    if numbers < OLDEST:
        raise GitTooOld(found, ".".join(map(str, OLDEST)))
    return found, numbers


async def inspect(path: Path, *, allow_unborn: bool = False) -> RepositoryFacts:
    """Look at the repository that `path` is in.

    Raises `GitMissing`, `GitTooOld`, `NotARepository`, `DubiousOwnership`, `BareRepository`, and `NoCommits`
    unless `allow_unborn`.
    """
    version, _ = await git_version()
    start = path if path.is_dir() else path.parent
    if not start.is_dir():
        raise NotARepository(path)
    shallow, git_dir = await _discover(Git(cwd=start), path)
    git = Git(git_dir=git_dir)
    texts: dict[str, str] = {}

    def asking(name: str, where: Git, *arguments: str) -> Callable[[], Awaitable[None]]:
        async def ask() -> None:
            texts[name] = await where.text(*arguments, accept=(0, 1, 128))

        return ask

    await together(
        asking("top", Git(cwd=start), "rev-parse", "--show-toplevel"),
        asking("branch", git, "symbolic-ref", "--quiet", "--short", "HEAD"),
        asking("head", git, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"),
        asking("origin", git, "symbolic-ref", "--quiet", "refs/remotes/origin/HEAD"),
        asking("heads", git, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/"),
    )
    top = Path(texts["top"])
    head = texts["head"] or None
    if head is None and not allow_unborn:
        raise NoCommits(top)
    submodules, lfs = await _contents(git, head) if head else (False, False)
    common_dir = common_dir_of(git_dir)
    branch = texts["branch"] or None
    return RepositoryFacts(
        top=top,
        git_dir=git_dir,
        common_dir=common_dir,
        branch=branch,
        head=head,
        bare=False,
        default_target=_target(branch, texts["origin"], texts["heads"].split("\n")),
        has_submodules=submodules,
        uses_lfs=lfs,
        shallow=shallow,
        linked_worktree=common_dir != git_dir,
        operation=operation_in(git_dir),
        identity=(await read_settings(git)).identity,
        git_version=version,
    )


async def _discover(git: Git, path: Path) -> tuple[bool, Path]:
    """Whether the repository is shallow, and its git folder. The folder is asked for last: it may hold newlines."""
    flags = ("--is-bare-repository", "--is-inside-git-dir", "--is-shallow-repository", "--absolute-git-dir")
    try:
        bare, inside, shallow, git_dir = (await git.text("rev-parse", *flags)).split("\n", 3)
    except GitFailed as error:
        if "dubious ownership" in error.stderr:
            raise DubiousOwnership(path) from None
        if "not a git repository" in error.stderr:
            raise NotARepository(path) from None
        raise
    if bare == "true":
        raise BareRepository(path)
    if inside == "true":
        raise NotARepository(path)
    return shallow == "true", Path(git_dir)


async def _contents(git: Git, head: str) -> tuple[bool, bool]:
    """Whether the tree has submodules, and whether an attributes file asks for git-lfs."""
    pattern = ":(glob)**/.gitattributes"
    found = await git.run("grep", "-l", "-z", "-F", "-e", "filter=lfs", head, "--", pattern, accept=(0, 1))
    modules = await git.run("cat-file", "-e", f"{head}:.gitmodules", accept=(0, 1, 128))
    return modules.returncode == 0, bool(found.stdout)


def _target(branch: str | None, origin_head: str, heads: list[str]) -> str | None:
    """The branch that work most likely lands on: the current one, else the remote's default, else main, master."""
    wanted = [branch or "", origin_head.removeprefix("refs/remotes/origin/"), "main", "master"]
    return next((name for name in wanted if name in heads and not name.startswith("at/")), branch)


def operation_in(git_dir: Path) -> str | None:
    """The operation that a working tree is in the middle of (`merge`, `rebase`, …), or None."""
    return next((word for name, word in _OPERATIONS.items() if (git_dir / name).exists()), None)


async def resolve(top: Path, revision: str) -> str:
    """The full name of the commit that a person's word for it means. Raises `BadName`, `RevisionMissing`."""
    return await commit_of(locate(top).git, top, revision)


async def commit_of(git: Git, top: Path, revision: str) -> str:
    """The full name of the commit that a revision means. Raises `BadName`, `RevisionMissing`."""
    asked = f"{checked_revision(revision)}^{{commit}}"
    found = await git.text("rev-parse", "--verify", "--quiet", asked, accept=(0, 1, 128))
    if not found:
        raise RevisionMissing(top, revision)
    return found
