"""What an agent's clone knows besides its files: all that its HEAD, refs and reflogs name, each judged alone.

What is missing or damaged in the clone itself can be had by nobody any more: it is left out and named. What is whole and
cannot be kept all the same holds up the removal of the folder (`HistoryUnkept`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from anyio import to_thread

from at_daemon.git import nofollow, private
from at_daemon.git.entries import entries_of
from at_daemon.git.errors import BadObjects, GitFailed, HistoryUnkept
from at_daemon.git.head import peeled
from at_daemon.git.names import HIDDEN, is_ref, is_sha
from at_daemon.git.places import common_dir_of
from at_daemon.git.restore import restored_from
from at_daemon.git.run import LONG, Git
from at_daemon.git.stashes import read_stashes
from at_daemon.git.tags import Tags, hung_up, read_tags
from at_daemon.git.transport import bad_objects, blinded, bring_each, bring_objects, objects_of

_OF_REMOTES = "refs/remotes/"
_BRANCHES = ("refs/heads/", _OF_REMOTES)
_KEPT = "refs/kept/"
"""Where a restored clone has what its reflogs named."""
_MOST_NAMED = 50
_ALL_FILES = "--refetch --no-filter"
_ALL_COMMITS = "--unshallow"
_WITHOUT_PARENTS = "it builds on commits fetched without their history"


@dataclass(frozen=True)
class Clone:
    """A clone of a bead whose history is looked at. `git` works on where it goes to, and can make commits.

    `folder` has its `.git` (a copy of what that says, where `git_dir` lies elsewhere). `given` are the refs that the clone was given, as they are now, None for one inside a folder; `mine` commits whose history is safe without it.
    `known` are commits that `git` has with all that belongs to them: nothing of these has to be brought, but what is only
    on refs of ours, which may go, is no less the clone's own.
    """

    git: Git
    folder: Path
    git_dir: Path
    bead_id: str
    found: private.Found
    given: Mapping[str, str] | None
    mine: frozenset[str]
    known: frozenset[str]

    @property
    def source(self) -> Path:
        """Its objects."""
        return objects_of(self.folder)

    @property
    def seeing(self) -> Git:
        """`git` that sees its objects too."""
        return blinded(self.git, self.source)


@dataclass(frozen=True)
class History:
    """`head` is the commit that is checked out, None if there is none to be read; `named` maps names to commits.

    `tagged` are refs that stand for no commit by themselves, `tags` what these are, which hangs on the commit `hung`.
    `stashes` map commits to what their reflog says. `lost` are sentences about what cannot be had any more.
    """

    head: str | None
    named: Mapping[str, str]
    tagged: Mapping[str, str]
    tags: Tags
    hung: str | None
    stashes: Mapping[str, str]
    lost: tuple[str, ...]

    @property
    def refs(self) -> dict[str, str]:
        """Those of the names that are worth putting back."""
        named = {
            name: sha
            for name, sha in self.named.items()
            if is_ref(name) and not (name.startswith(_KEPT) and sha in self.stashes)
        }
        return named | {name: sha for name, sha in self.tagged.items() if is_ref(name)}


async def known_of(git: Git, tips: Iterable[str], recorded: str | None) -> dict[str, str]:
    """What the repository of `git` has whole: those of its `tips` that it has (a broken ref names nothing), HEAD, and the
    commit that a submodule is `recorded` at, if nothing of it is missing; each with its commit."""
    known = await peeled(git, [*tips, "HEAD"])
    if recorded is not None and recorded not in known.values():
        feed = f"{recorded}\n" + "".join(f"^{sha}\n" for sha in sorted({*known.values()}))
        # What the remote of a filtered clone has promised counts as there.
        command = ("rev-list", "--objects", "--quiet", "--exclude-promisor-objects", "--stdin")
        ran = await git.run(*command, stdin=feed.encode(), accept=(0, 128), limit=LONG)
        if not ran.returncode:
            known[recorded] = recorded
    return known


async def read_history(clone: Clone) -> History:
    """What the clone names and can be read, one object deep."""
    stashes = await to_thread.run_sync(read_stashes, clone.folder)
    claims = await to_thread.run_sync(_claims, clone.folder, clone.found, stashes)
    claimed = await _own(clone, claims)
    commits = await peeled(clone.seeing, claimed.values())
    tags = await read_tags(clone.seeing, (sha for sha in claimed.values() if commits.get(sha) != sha))
    there = commits.keys() | {sha for sha in claimed.values() if tags.end(sha) in tags.objects}
    gone = {name: sha for name, sha in claimed.items() if sha not in there}
    await _of_this_format(clone, gone)
    unmoved = await to_thread.run_sync(_unmoved, clone, gone)
    lost = [_lost(name, sha) for name, sha in gone.items() if name not in unmoved]
    head = clone.found.head
    if head is None and clone.found.head_ref is None:
        lost.insert(0, "HEAD could not be read: which commit was checked out is not kept")
    lost += await to_thread.run_sync(_unreadable, clone.folder, claims)
    named = {name: commits[sha] for name, sha in claimed.items() if sha in commits}
    return History(
        head=head if head in commits.values() else None,
        named=named,
        tagged={name: sha for name, sha in claimed.items() if sha in there and commits.get(sha) != sha},
        tags=tags,
        hung=await hung_up(clone.seeing, tags),
        stashes={sha: said for sha, said in stashes.items() if sha in commits or sha in clone.mine},
        lost=tuple(lost),
    )


async def each_alone(clone: Clone, history: History) -> History:
    """The history without what cannot be brought, the rest of it brought. Raises `HistoryUnkept`."""
    if history.hung and await bring_each(clone.git, clone.source, [history.hung], sorted(clone.known)):
        history = await _without_tagged_files(clone, history)
    names = {sha: name for name, sha in reversed([*history.named.items()])}
    tips = [sha for sha in names if sha not in clone.mine]
    failed = await bring_each(clone.git, clone.source, tips, sorted(clone.known))
    shallow = await to_thread.run_sync(_shallow, clone)
    fetched = await _fetched_filtered(clone, failed)
    stands_for: dict[str, str] = {}
    lost = []
    for sha, error in failed.items():
        if sha in shallow:
            stands_for[sha] = await _stand_in(clone, names[sha], sha)
            lost.append(
                f"{names[sha]} ({sha[:12]}) was fetched without its history: its files and its message are kept, as another commit"
            )
        elif fetched is not None and sha in fetched:
            lost.append(
                f"{names[sha]} ({sha[:12]}) was fetched with a filter, without all its files, and is not kept"
            )
        elif fetched is not None and (error.lost or error.promised):
            why = "it builds on commits fetched with a filter"
            raise HistoryUnkept(clone.git_dir, names[sha], why, fetch=_ALL_FILES)
        elif error.lost and not shallow:
            lost.append(_lost(names[sha], sha))
        elif error.lost:
            raise HistoryUnkept(clone.git_dir, names[sha], _WITHOUT_PARENTS, fetch=_ALL_COMMITS)
        else:
            raise unkept(clone, names[sha], error)
    named = {
        name: stands_for.get(sha, sha)
        for name, sha in history.named.items()
        if sha not in failed or sha in stands_for
    }
    head = history.head if history.head not in failed else None
    gone = history.named.keys() - named.keys()
    return replace(
        history,
        head=head,
        named=named,
        tagged={name: sha for name, sha in history.tagged.items() if name not in gone},
        stashes={sha: said for sha, said in history.stashes.items() if sha not in failed},
        lost=(*history.lost, *lost),
    )


async def _without_tagged_files(clone: Clone, history: History) -> History:
    """The history without files and folders that refs stand for and that cannot be brought."""
    failed: dict[str, BadObjects] = {}
    for sha, kind in history.tags.objects.items():
        alone = await hung_up(clone.seeing, Tags({}, {sha: kind}))
        found = await bring_each(clone.git, clone.source, [alone] if alone else [], sorted(clone.known))
        for error in found.values():
            failed[sha] = error
    names = {name: end for name, sha in history.tagged.items() if (end := history.tags.end(sha)) in failed}
    for name, sha in names.items():
        if not failed[sha].lost:
            raise unkept(clone, name, failed[sha])
    objects = {sha: kind for sha, kind in history.tags.objects.items() if sha not in failed}
    tags = replace(history.tags, objects=objects)
    return replace(
        history,
        tagged={name: sha for name, sha in history.tagged.items() if name not in names},
        tags=tags,
        hung=await hung_up(clone.seeing, tags),
        lost=(*history.lost, *(_lost(name, sha) for name, sha in names.items())),
    )


async def independent(clone: Clone, history: History) -> list[str]:
    """The commits that are named and that neither `mine` nor other ones contain. Raises `BadObjects`."""
    tips = {sha for sha in history.named.values() if sha not in clone.mine}
    if not tips:
        return []
    ordered = dict.fromkeys(sha for sha in history.named.values() if sha in tips)
    feed = "".join(f"{sha}\n" for sha in ordered) + "".join(f"^{sha}\n" for sha in sorted(clone.mine))
    command = ("rev-list", "--topo-order", "--parents", "--stdin")
    try:
        listed = await clone.seeing.run(*command, stdin=feed.encode(), limit=LONG)
    except GitFailed as error:
        raise bad_objects(error) from None
    reached: set[str] = set()
    alone: list[str] = []
    for line in listed.stdout.decode().splitlines():
        commit, *parents = line.split(" ")
        if commit in tips and commit not in reached:
            alone.append(commit)
        reached.update(parents)
    return alone


def unkept(clone: Clone, name: str, error: BadObjects) -> HistoryUnkept:
    """Why what is not lost is not kept."""
    if not error.promised:
        return HistoryUnkept(clone.git_dir, name, error.detail)
    why = f"your repository was cloned with a filter and has not fetched all that this builds on: {error.detail}"
    return HistoryUnkept(clone.git_dir, name, why, fetch=_ALL_FILES, into=clone.git.git_dir)


def shortened(lost: tuple[str, ...]) -> tuple[str, ...]:
    """The sentences, at most fifty of them and how many there are more."""
    more = len(lost) - _MOST_NAMED
    return (*lost[:_MOST_NAMED], f"and so are {more} more") if more > 0 else lost


def _lost(name: str, sha: str) -> str:
    what = "a commit that only a reflog had" if name.startswith(_KEPT) else name
    return f"{what} ({sha[:12]}) is missing or damaged in the clone and not kept"


def _claims(folder: Path, found: private.Found, stashes: Iterable[str]) -> dict[str, str]:
    """Name to sha of everything that the clone's files name: refs first, then what only reflogs remember."""
    claims = dict(private.all_refs(folder))
    if found.head is not None:
        claims.setdefault("HEAD", found.head)
    seen = set(claims.values())
    free = (name for number in count() if (name := f"{_KEPT}{number}") not in claims)
    for sha in (*stashes, *private.remembered(folder)):
        if sha not in seen:
            seen.add(sha)
            claims[next(free)] = sha
    return claims


def _unreadable(folder: Path, claims: Mapping[str, str]) -> list[str]:
    """Sentences about files of refs that name nothing, as a power cut leaves them."""
    loose = (f"refs/{path}" for path in nofollow.names_below(folder, ".git/refs"))
    empty = (name for name in loose if is_ref(name) and name not in claims and not name.startswith(HIDDEN))
    return [
        f"{name} could not be read: which commit it named is not kept"
        for name in empty
        if not (nofollow.read(folder, f".git/{name}", 4) or b"").startswith(b"ref:")
    ]


async def _own(clone: Clone, claimed: Mapping[str, str]) -> dict[str, str]:
    """The claims without the refs that are as the person has them, and without remotes' branches as they had them once."""
    given = clone.given or {}
    own = {
        name: sha
        for name, sha in claimed.items()
        if given.get(name) != sha and not (name.startswith(_KEPT) and sha in clone.mine)
    }
    if clone.given is None:
        return own
    of_remotes = {name: sha for name, sha in own.items() if name.startswith(_OF_REMOTES)}
    had = await peeled(clone.git, of_remotes.values())
    theirs = {name for name, sha in of_remotes.items() if sha in had}
    if theirs:  # here because it was kept, perhaps
        kept = {sha for entry in await entries_of(clone.git, clone.bead_id) for sha in entry.refs.values()}
        unmoved = await to_thread.run_sync(_unmoved, clone, theirs)
        theirs = {name for name in theirs if name in unmoved or own[name] not in kept}
    return {name: sha for name, sha in own.items() if name not in theirs}


def _unmoved(clone: Clone, names: Iterable[str]) -> set[str]:
    """Those of the branches that stand as the clone was given them at its making: whatever moves one writes a reflog. What
    came back out of the attic was given, too, and is no less the agent's."""
    if clone.given is None or restored_from(clone.folder):
        return set()
    logged = {f"refs/{path}" for path in nofollow.names_below(clone.folder, ".git/logs/refs")}
    loose = {f"refs/{path}" for path in nofollow.names_below(clone.folder, ".git/refs")}
    ours = {name for name in names if name.startswith("refs/heads/at/")}
    return {name for name in names if name.startswith(_BRANCHES)} - logged - loose - ours


async def _of_this_format(clone: Clone, gone: Mapping[str, str]) -> None:
    """Raises `HistoryUnkept` if what is not there has names of another length: git reads no repository with another hash."""
    tips = {name: sha for name, sha in gone.items() if is_sha(sha) and not name.startswith(_KEPT)}
    if tips:
        width = 64 if await clone.git.text("rev-parse", "--show-object-format") == "sha256" else 40
        for name in (name for name, sha in tips.items() if len(sha) != width):
            why = "it has another object format (SHA-1, SHA-256) than your repository"
            raise HistoryUnkept(clone.git_dir, name, why)


def _shallow(clone: Clone) -> set[str]:
    """Commits of which only this clone says that it has them without their parents."""
    words = (nofollow.read(clone.folder, ".git/shallow") or b"").decode("ascii", "replace").split()
    assert clone.git.git_dir is not None
    with suppress(FileNotFoundError):
        theirs = (common_dir_of(clone.git.git_dir) / "shallow").read_text()
        return set(filter(is_sha, words)).difference(theirs.split())
    return set(filter(is_sha, words))


async def _fetched_filtered(clone: Clone, commits: Collection[str]) -> set[str] | None:
    """Those of the commits that a filtered clone has from its remote; None if the clone is not one."""
    # That of a linked worktree has its objects two folders further up.
    places = [(clone.git_dir, "objects/pack"), (clone.git_dir.parent.parent, "objects/pack")]
    names = (name for place in places for name in nofollow.names_below(*place))
    if not commits or not any(name.endswith(".promisor") for name in names):
        return None
    command = ("rev-list", "--no-walk", "--exclude-promisor-objects", "--stdin")
    feed = "".join(f"{sha}\n" for sha in commits).encode()
    listed = await clone.seeing.run(*command, stdin=feed, accept=(0, 128), limit=LONG)
    return set() if listed.returncode else {*commits}.difference(listed.stdout.decode().split())


async def _stand_in(clone: Clone, name: str, sha: str) -> str:
    """A commit without parents that has the tree of this one, and all that it says as its message."""
    try:
        content = (await clone.seeing.run("cat-file", "commit", sha)).stdout
        made = await clone.seeing.run("commit-tree", f"{sha}^{{tree}}", stdin=content)
        stand_in = made.stdout.decode().strip()
        await bring_objects(clone.git, clone.source, [stand_in], sorted(clone.known))
    except (BadObjects, GitFailed):
        raise HistoryUnkept(clone.git_dir, name, _WITHOUT_PARENTS, fetch=_ALL_COMMITS) from None
    return stand_in
