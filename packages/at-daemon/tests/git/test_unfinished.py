"""An operation that an agent left in the middle: what of it is kept, and that the rest is said not to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git.testing import BEAD, BRANCH, Repo

pytestmark = pytest.mark.anyio


async def test_a_file_in_conflict_whose_name_is_ignored_is_kept(
    rig: Repo, folder: Path, tmp_path: Path
) -> None:
    rig.commit("ignore", **{".gitignore": "*.gen\n"})
    rig.write("x.gen", "1\n")
    rig.git("add", "-f", "x.gen")
    rig.git("commit", "-q", "-m", "generated")
    await git.prepare(rig.top, folder, BRANCH, "main")
    agent = Repo(folder)
    agent.git("checkout", "-q", "-b", "other")
    agent.commit("other", **{"x.gen": "2\n"})
    agent.git("checkout", "-q", BRANCH)
    agent.git("rm", "-q", "x.gen")
    agent.git("commit", "-q", "-m", "gone")
    agent.git("merge", "-q", "other", ok=False)
    agent.write("x.gen", "by hand\n")
    assert agent.status() == "DU x.gen"
    entry = await git.keep(rig.top, folder, BEAD, "r")
    await git.restore(rig.top, entry.ref, tmp_path / "back")
    assert (tmp_path / "back/x.gen").read_text() == "by hand\n"
    assert Repo(tmp_path / "back").status() == "DU x.gen"
