"""Where a file is looked for in an agent's folder there may be anything: what is no plain file counts as missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git import nofollow
from at_daemon.git.testing import BEAD, BRANCH, REF, Repo

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", ["folder", "fifo", "link", "nothing"])
def test_what_is_no_plain_file_is_none_and_leaves_no_descriptor(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    match kind:
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "link":
            path.symlink_to("/etc/passwd")
    before = os.listdir("/dev/fd")
    assert [nofollow.read(tmp_path, "file") for _ in range(3)] == [None] * 3
    assert os.listdir("/dev/fd") == before


@pytest.mark.parametrize(
    "path", [".git/index", ".git/HEAD", ".git/packed-refs", ".git/MERGE_HEAD", ".gitmodules"]
)
async def test_a_folder_in_the_place_of_a_file_keeps_no_work_back(rig: Repo, folder: Path, path: str) -> None:
    await git.prepare(rig.top, folder, BRANCH, "main")
    agent = Repo(folder)
    agent.write("work.txt", "work\n")
    (folder / path).unlink(missing_ok=True)
    agent.write(f"{path}/inside", "\n")
    found = await git.collect(rig.top, folder, BRANCH, REF, rig.sha("main"), "work")
    entry = await git.keep(rig.top, folder, BEAD, "removed")
    assert "work.txt" in found.changed_paths and rig.tree(entry.ref)["work.txt"] == "work"
