"""Filling a folder from the person's repository: `.git`, files, submodules. Costs no network and runs no hook."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from at_daemon.git import nofollow
from at_daemon.git.errors import FolderReplaced
from at_daemon.git.filters import filter_notes
from at_daemon.git.inspect import commit_of
from at_daemon.git.names import is_inside
from at_daemon.git.places import Place, common_dir_of
from at_daemon.git.private import Layout, lay_out
from at_daemon.git.run import LONG, Git
from at_daemon.git.settings import FALLBACK, Settings, read_settings
from at_daemon.git.together import together

_FORMAT = "%(objectname) %(*objectname) %(symref) %(refname)"
_KINDS = ("refs/heads/", "refs/remotes/", "refs/tags/", "refs/replace/")


@dataclass(frozen=True)
class CloneSource:
    """The person's repository as a clone needs it: a commit, the refs, the settings.

    `sparse` are the patterns of their sparse checkout, empty for a full one.
    """

    commit: str
    refs: dict[str, str]
    peeled: dict[str, str]
    settings: Settings
    sparse: bytes = b""


async def look(place: Place, revision: str) -> CloneSource:
    """What a clone at `revision` is made of. Raises `BadName`, `RevisionMissing`."""
    commit = listed = ""
    settings = Settings({})

    async def read_commit() -> None:
        nonlocal commit
        commit = await commit_of(place.git, place.top, revision)

    async def read_refs() -> None:
        nonlocal listed
        listed = await place.git.text("for-each-ref", f"--format={_FORMAT}", *_KINDS)

    async def read_config() -> None:
        nonlocal settings
        settings = await read_settings(place.git)

    await together(read_commit, read_refs, read_config)
    sparse = _content(place.git_dir / "info/sparse-checkout") if settings.sparse else b""
    return CloneSource(commit, *_parse_refs(listed), settings, sparse)


def _parse_refs(listed: str) -> tuple[dict[str, str], dict[str, str]]:
    """Refs a clone is given: no symbolic one, none of other beads, and none that bars the way of `at/…`."""
    shas: dict[str, str] = {}
    peeled: dict[str, str] = {}
    for line in filter(None, listed.split("\n")):
        sha, target, symref, name = line.split(" ", 3)
        if symref or name == "refs/heads/at" or name.startswith("refs/heads/at/"):
            continue
        shas[name] = sha
        if target:
            peeled[name] = target
    return shas, peeled


def folder_git(place: Place, folder: Path, settings: Settings, index: Path) -> Git:
    """Git on the person's repository, with an agent's folder as working tree and none of its filters.

    Raises `FolderReplaced` for what is a folder no longer.
    """
    if folder.is_symlink() or folder.is_file():
        raise FolderReplaced(folder)
    return Git(
        git_dir=place.git_dir,
        work_tree=folder,
        index=index,
        config=settings.without_filters(),
        cwd=folder,
        reads_only=False,
    )


async def plant(
    place: Place, folder: Path, source: CloneSource, head: str, *, filled: bool = False
) -> tuple[str, ...]:
    """Fill the empty `folder` at `source.commit`; `head` is the full ref or the sha that HEAD names.

    `filled`: `write_files` was done, and nothing else. Gives sentences about what could not be had.
    """
    await to_thread.run_sync(write_dot_git, place, folder, source, head, source.sparse)
    git = folder_git(place, folder, source.settings, folder / ".git/index")
    if not filled:
        await write_files(git, source)
    notes = await plant_submodules(place, folder, source)
    return (*_sparse_note(source), *notes, *await filter_notes(git, folder, source.settings))


async def write_files(git: Git, source: CloneSource) -> None:
    """Bring the working tree of `git` and its index to `source.commit`, from nothing or from another commit.

    That is done with the person's repository as GIT_DIR, so a clone's configuration plays no part; the patterns of a
    sparse checkout are read from there, too.
    """
    kept = git.having(config={**git.config, **source.settings.sparse}) if source.sparse else git
    await kept.run("read-tree", "-m", "-u", source.commit, limit=LONG)


def write_dot_git(
    place: Place,
    folder: Path,
    source: CloneSource,
    head: str,
    sparse: bytes = b"",
    *,
    unborn: bool = False,
) -> None:
    """Write a fresh `folder/.git` without an index; with the patterns of a sparse checkout if there are some.

    `unborn`: the branch that HEAD names has no commit yet.
    """
    refs = {name: sha for name, sha in source.refs.items() if name != head}
    if head.startswith("refs/") and not unborn:
        refs[head] = source.commit
    layout = Layout(
        objects=place.objects,
        head=head,
        refs=refs,
        peeled=source.peeled,
        identity=source.settings.identity or FALLBACK,
        carried=source.settings.carried | (source.settings.sparse if sparse else {}),
        sha256=len(source.commit) == 64,
        exclude=_content(place.common_dir / "info/exclude"),
        shallow=_content(place.common_dir / "shallow"),
        sparse=sparse,
    )
    lay_out(folder, layout)


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _sparse_note(source: CloneSource) -> tuple[str, ...]:
    if not source.sparse:
        return ()
    return ("it has the sparse set of your own checkout; gates run in a full one",)


async def plant_submodules(place: Place, folder: Path, source: CloneSource) -> tuple[str, ...]:
    """Fill the submodules of `folder` from the person's own local ones, as private clones; never from a remote."""
    if nofollow.read(folder, ".gitmodules", 1) is None:
        return ()
    notes: list[str] = []
    names = await _module_names(place, source.commit)
    for path, sha in await gitlinks(place.git, source.commit):
        if not nofollow.is_directory(folder, path):
            continue  # outside of a sparse set
        module = await to_thread.run_sync(_local_module, place, names.get(path), path)
        if module is None:
            notes.append(f"submodule {path!r} is left empty: it is not initialised in your own checkout")
            continue
        if (await module.git.run("cat-file", "-e", f"{sha}^{{commit}}", accept=(0, 1, 128))).returncode:
            notes.append(f"submodule {path!r} is left empty: your own copy lacks commit {sha}")
            continue
        inner = CloneSource(sha, {}, {}, await read_settings(module.git))
        notes += await plant(module, folder / path, inner, sha)
    return tuple(notes)


async def unknown_submodule_commits(
    place: Place, folder: Path, head: str, paths: Collection[str]
) -> list[str]:
    """Sentences about submodules among `paths` that the commit `head` sets to what the person's own copy lacks."""
    if nofollow.read(folder, ".gitmodules", 1) is None:
        return []
    names = await _module_names(place, head)
    notes = []
    for path, sha in await gitlinks(place.git, head):
        if path not in paths:
            continue
        module = await to_thread.run_sync(_local_module, place, names.get(path), path)
        asked = ("cat-file", "-e", f"{sha}^{{commit}}")
        if module is None or (await module.git.run(*asked, accept=(0, 1, 128))).returncode:
            fetch = (
                f"git -C {shlex.quote(str(place.top / path))} fetch {shlex.quote(str(folder / path))} {sha}"
            )
            notes.append(
                f"submodule {path!r} is set to {sha[:12]}, which only this folder has: no landing brings it ({fetch})"
            )
    return notes


async def gitlinks(git: Git, commit: str) -> list[tuple[str, str]]:
    """Path and commit of each submodule in a tree."""
    listed = (await git.run("ls-tree", "-r", "-z", "--full-tree", commit)).stdout
    if b"160000 commit " not in listed:  # in a large repository, splitting takes longer than git
        return []
    entries = (
        entry.partition("\t") for entry in os.fsdecode(listed).split("\0") if entry.startswith("160000 ")
    )
    return [(path, head.split(" ")[2]) for head, _, path in entries if is_inside(path)]


async def _module_names(place: Place, commit: str) -> dict[str, str]:
    """Submodule path to name, as `.gitmodules` of the commit has it."""
    blob = ("config", "-z", "--list", "--blob", f"{commit}:.gitmodules")
    ran = await place.git.run(*blob, accept=(0, 1, 128))
    names: dict[str, str] = {}
    for entry in os.fsdecode(ran.stdout).split("\0"):
        key, _, value = entry.partition("\n")
        if key.startswith("submodule.") and key.endswith(".path"):
            name = key.removeprefix("submodule.").removesuffix(".path")
            if is_inside(name):
                names[value] = name
    return names


def _local_module(place: Place, name: str | None, path: str) -> Place | None:
    """The person's own repository of a submodule: under `modules/`, or, as in old ones, inside its folder."""
    candidates = [place.common_dir / "modules" / name] if name else []
    candidates.append(place.top / path / ".git")
    for git_dir in candidates:
        if (git_dir / "HEAD").is_file() and (git_dir / "objects").is_dir():
            return Place(place.top / path, git_dir, common_dir_of(git_dir))
    return None
