"""The whole way of a bead: prepare, work, collect, forecast, merge, land."""

from __future__ import annotations

from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git import Landed
from at_daemon.git.testing import BEAD, BRANCH, REF, Repo

pytestmark = pytest.mark.anyio


async def test_the_whole_way_of_a_bead(rig: Repo, folder: Path) -> None:
    base = rig.sha()
    prepared = await git.prepare(rig.top, folder, BRANCH, "main")
    assert prepared.base_sha == base
    agent = Repo(folder)
    assert agent.git("symbolic-ref", "HEAD") == f"refs/heads/{BRANCH}"
    assert agent.status() == ""
    assert agent.git("remote") == ""
    made = agent.commit("agent's own", **{"a.txt": "a\nB\nc\n"})
    agent.write("new file.txt", "new\n")
    (folder / "gone.txt").unlink()

    collected = await git.collect(rig.top, folder, BRANCH, REF, base, "Leftovers", date=1_700_000_000)
    assert collected.leftovers_committed
    assert collected.commits[0] == made and len(collected.commits) == 2
    assert collected.base == base
    assert set(collected.changed_paths) == {"a.txt", "gone.txt", "new file.txt"}
    assert (collected.files, collected.insertions, collected.deletions) == (3, 2, 2)
    assert rig.sha(REF) == rig.sha(BRANCH) == collected.head
    assert rig.git("log", "-1", "--format=%an <%ae> %s", collected.head) == "Ada <ada@example.org> Leftovers"
    assert agent.status() == "" and agent.sha() == collected.head

    forecast = await git.try_merge(rig.top, collected.head, "main")
    assert forecast.clean and forecast.target_sha == base and forecast.conflicts == ()
    message = git.with_trailers("Merge the work", {"Bead": BEAD, "Agent": "opal"})
    merge = await git.make_merge(rig.top, collected.head, base, forecast.tree, message)
    landed = await git.land(rig.top, merge, "main", base, bead_id=BEAD)
    assert landed == Landed(merge, False, rig.top)
    assert rig.status() == ""
    assert rig.sha("main") == merge
    assert rig.tree("HEAD") == {"a.txt": "a\nB\nc", "d/inner.txt": "inner", "new file.txt": "new"}
    assert rig.git("log", "-1", "--format=%(trailers:key=Bead,valueonly)").strip() == BEAD
    assert rig.git("log", "-1", "--format=%P").split() == [base, collected.head]
    assert BEAD in rig.git("reflog", "-1", "HEAD")
    assert await git.land(rig.top, merge, "main", base) == Landed(merge, True, None)
