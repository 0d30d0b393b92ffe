"""Refs of ours that may go: what holds what they name, and that no other is ever deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git.testing import BEAD, BRANCH, REF, Repo

pytestmark = pytest.mark.anyio
VISIBLE = f"refs/heads/{BRANCH}"
ATTIC = f"refs/at/attic/{BEAD}/1"


async def test_what_the_target_and_the_attic_contain(rig: Repo) -> None:
    begun = rig.sha()
    rig.git("switch", "-q", "-c", "work")
    work = rig.commit("work", new="1\n")
    further = rig.commit("further", new="2\n")
    rig.git("switch", "-q", "main")
    rig.git("update-ref", ATTIC, work)
    for name, sha in ((VISIBLE, begun), (REF, work), ("refs/at/base/further", further)):
        rig.git("update-ref", name, sha)
    found = await git.our_refs(rig.top, "main")
    assert {name: ref.sha for name, ref in found.refs.items()} == {
        VISIBLE: begun,
        REF: work,
        "refs/at/base/further": further,
    }
    assert found.in_target == {VISIBLE}
    assert found.in_attic == {VISIBLE, REF}
    assert found.kept == {BEAD}


async def test_a_name_is_one_whatever_ends_a_line_of_text(rig: Repo) -> None:
    begun = rig.sha()
    rig.git("update-ref", f"{VISIBLE}\u2028x", begun)
    rig.git("update-ref", VISIBLE, rig.git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "work"))
    assert (await git.our_refs(rig.top, "main")).in_target == {f"{VISIBLE}\u2028x"}


async def test_a_target_that_is_not_there_contains_nothing(rig: Repo) -> None:
    rig.git("update-ref", REF, rig.sha())
    assert (await git.our_refs(rig.top, "gone")).in_target == frozenset()


async def test_only_what_still_names_its_commit_goes(rig: Repo, tmp_path: Path) -> None:
    first = rig.sha()
    second = rig.commit("second", new="1\n")
    names = [f"refs/heads/at/{number:08x}-work" for number in range(4)]
    for name in names:
        rig.git("update-ref", name, first)
    rig.git("update-ref", names[1], second)
    rig.git("worktree", "add", "-q", str(tmp_path / "tree"), names[2].removeprefix("refs/heads/"))
    left = await git.delete_refs(rig.top, [(name, first) for name in [*names[:3], "refs/heads/main", REF]])
    assert sorted(left) == [names[1], names[2]]
    there = rig.git("for-each-ref", "--format=%(refname)", "refs/heads/").splitlines()
    assert there == [*names[1:], "refs/heads/main"]


async def test_what_a_symbolic_ref_points_to_stays(rig: Repo) -> None:
    rig.git("branch", "kept")
    rig.git("symbolic-ref", VISIBLE, "refs/heads/kept")
    assert await git.delete_refs(rig.top, [(VISIBLE, rig.sha())]) == []
    there = rig.git("for-each-ref", "--format=%(refname)", "refs/heads/").splitlines()
    assert there == ["refs/heads/kept", "refs/heads/main"]
