"""Where a repository lies on disk, found by reading files: costs no process."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from at_daemon.git.errors import NotARepository
from at_daemon.git.run import Git


@dataclass(frozen=True)
class Place:
    """One working tree of the person: its top, its own git folder, and the folder shared by all its worktrees."""

    top: Path
    git_dir: Path
    common_dir: Path

    @property
    def git(self) -> Git:
        """Git on this repository with no working tree: cwd and GIT_DIR are its git folder.

        Git refuses all work where the working tree is gone that a submodule's settings name; another one beats these.
        """
        return Git(git_dir=self.git_dir, work_tree=None if self.top.is_dir() else self.git_dir)

    @property
    def objects(self) -> Path:
        """The object store."""
        return self.common_dir / "objects"


def locate(top: Path) -> Place:
    """The repository whose working tree has its top at `top`; a linked worktree or a submodule is followed.

    Raises `NotARepository`.
    """
    dot_git = top / ".git"
    git_dir = dot_git if dot_git.is_dir() else _pointed_at(dot_git)
    if git_dir is None or not (git_dir / "HEAD").exists():
        raise NotARepository(top)
    return Place(top, git_dir, common_dir_of(git_dir))


def common_dir_of(git_dir: Path) -> Path:
    """The shared git folder of a worktree's own git folder (the same one, unless it is a linked worktree)."""
    try:
        text = os.fsdecode((git_dir / "commondir").read_bytes()).removesuffix("\n")
    except FileNotFoundError:
        return git_dir
    return Path(os.path.normpath(git_dir / text))


def _pointed_at(file: Path) -> Path | None:
    try:
        text = os.fsdecode(file.read_bytes()).rstrip("\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not text.startswith("gitdir: "):
        return None
    return Path(os.path.normpath(file.parent / text.removeprefix("gitdir: ")))
