"""A path that was a file and is a folder, a link or gone, or the other way round: taken over and kept as it lies there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git.testing import BEAD, BRANCH, REF, Repo

pytestmark = pytest.mark.anyio


def file_to_folder(top: Path) -> None:
    (top / "a.txt").unlink()
    (top / "a.txt/deep").mkdir(parents=True)
    (top / "a.txt/in").write_text("in")
    (top / "a.txt/deep/er").write_text("er")


def file_to_empty_folder(top: Path) -> None:
    (top / "a.txt").unlink()
    (top / "a.txt").mkdir()


def folder_to_file(top: Path) -> None:
    shutil.rmtree(top / "d")
    (top / "d").write_text("a file now")


def folder_to_link(top: Path) -> None:
    (top / "d").rename(top / "e")
    (top / "d").symlink_to("e")


def folder_to_link_to_other_files(top: Path) -> None:
    shutil.rmtree(top / "d")
    (top / "other").mkdir()
    (top / "other/inner.txt").write_text("another inner")
    (top / "d").symlink_to("other")


def folder_to_dangling_link(top: Path) -> None:
    shutil.rmtree(top / "d")
    (top / "d").symlink_to("nowhere")


def folder_to_link_to_itself(top: Path) -> None:
    shutil.rmtree(top / "d")
    (top / "d").symlink_to("d")


def folder_above_to_dangling_link(top: Path) -> None:
    shutil.rmtree(top / "n")
    (top / "n").symlink_to("nowhere/at/all")


def file_in_folders_to_folder(top: Path) -> None:
    (top / "n/m/file").unlink()
    (top / "n/m/file/k").mkdir(parents=True)
    (top / "n/m/file/k/leaf").write_text("leaf")


def each_the_other(top: Path) -> None:
    file_to_folder(top)
    folder_to_file(top)
    folder_above_to_dangling_link(top)


SHAPES = [
    file_to_folder,
    file_to_empty_folder,
    folder_to_file,
    folder_to_link,
    folder_to_link_to_other_files,
    folder_to_dangling_link,
    folder_to_link_to_itself,
    folder_above_to_dangling_link,
    file_in_folders_to_folder,
    each_the_other,
]


def lying(top: Path) -> dict[str, str]:
    """Path to content, or to what a link says."""
    found = {}
    for where, folders, files in os.walk(top):
        folders[:] = [name for name in folders if name != ".git"]
        for path in (Path(where, name) for name in (*files, *folders)):
            if path.is_symlink():
                found[str(path.relative_to(top))] = os.readlink(path)
            elif path.is_file():
                found[str(path.relative_to(top))] = path.read_text()
    return found


@pytest.fixture
async def agent(rig: Repo, folder: Path) -> Repo:
    rig.commit("more", **{"n/m/file": "file"})
    await git.prepare(rig.top, folder, BRANCH, "main")
    return Repo(folder)


@pytest.mark.parametrize("staged", [False, True], ids=["lies", "staged"])
@pytest.mark.parametrize("reshape", SHAPES)
async def test_it_is_kept_and_taken_over_as_it_lies(
    rig: Repo, agent: Repo, tmp_path: Path, reshape: Callable[[Path], None], staged: bool
) -> None:
    reshape(agent.top)
    if staged:
        agent.git("add", "-A")
    lies = lying(agent.top)
    entry = await git.keep(rig.top, agent.top, BEAD, "removed")
    assert entry.incomplete == ()
    back = tmp_path / "back"
    assert (await git.restore(rig.top, entry.ref, back)).notes == ()
    assert lying(back) == lies

    found = await git.collect(rig.top, agent.top, BRANCH, REF, rig.sha(), "work")
    assert found.leftovers_committed and agent.status() == ""
    rig.git("checkout", "-q", "--detach", found.head)
    assert lying(rig.top) == lies


async def test_what_was_staged_below_a_link_is_gone_with_its_folder(rig: Repo, agent: Repo) -> None:
    agent.write("d/new.txt", "new")
    agent.git("add", "-A")
    folder_to_link_to_other_files(agent.top)
    agent.write("other/new.txt", "another new")
    found = await git.collect(rig.top, agent.top, BRANCH, REF, rig.sha(), "work")
    assert rig.git("ls-tree", "-r", "--name-only", found.head, "d", "other").split() == [
        *("d", "other/inner.txt", "other/new.txt")
    ]
