"""What work is compared with since an earlier state of it, whatever its author did to the history."""

from __future__ import annotations

import pytest

from at_daemon import git
from at_daemon.git.since import Earlier, Since
from at_daemon.git.testing import Repo

pytestmark = pytest.mark.anyio


@pytest.fixture
def work(rig: Repo) -> tuple[str, str]:
    """A base on main, and one commit of work on it, on the branch `side`."""
    base = rig.sha()
    rig.git("checkout", "-q", "-b", "side")
    return base, rig.commit("work", **{"a.txt": "a\nb\nmine\n", "new": "1\n"})


async def _new(rig: Repo, earlier: str, head: str, base: str) -> tuple[Earlier, set[str]]:
    """What is compared, and the files that differ."""
    found = await git.earlier_state(rig.top, earlier, head, base)
    return found, set(await git.changed_between(rig.top, found.start, head))


async def test_commits_that_were_added(rig: Repo, work: tuple[str, str]) -> None:
    base, seen = work
    found, changed = await _new(rig, seen, rig.commit("more", more="2\n"), base)
    assert (found, changed) == (Earlier(seen, Since.GROWN), {"more"})


async def test_commits_that_were_rewritten(rig: Repo, work: tuple[str, str]) -> None:
    base, seen = work
    rig.write("new", "2\n")
    rig.git("commit", "-qam", "work again", "--amend")
    found, changed = await _new(rig, seen, rig.sha(), base)
    assert (found, changed) == (Earlier(seen, Since.REWRITTEN), {"new"})


@pytest.mark.parametrize("how", ["rebase", "merge"])
async def test_what_a_new_base_brought_is_left_out(rig: Repo, work: tuple[str, str], how: str) -> None:
    _, seen = work
    rig.git("checkout", "-q", "main")
    base = rig.commit("theirs", **{"other": "x\n", "d/inner.txt": "theirs\n"})
    rig.git("checkout", "-q", "side")
    rig.git(how, "-q", "main")
    assert (await _new(rig, seen, rig.sha(), base))[1] == set()
    found, changed = await _new(rig, seen, rig.commit("more", more="2\n"), base)
    assert (found.how, found.conflicts, changed) == (Since.REBASED, (), {"more"})


async def test_how_a_conflict_was_resolved_is_shown(rig: Repo, work: tuple[str, str]) -> None:
    _, seen = work
    rig.git("checkout", "-q", "main")
    base = rig.commit("theirs", **{"a.txt": "a\nb\ntheirs\n", "other": "x\n"})
    rig.git("checkout", "-q", "side")
    rig.git("rebase", "-q", "main", ok=False)
    rig.write("a.txt", "a\nb\nboth\n")
    rig.git("add", "-A")
    rig.git("-c", "core.editor=true", "rebase", "--continue")
    found, changed = await _new(rig, seen, rig.sha(), base)
    assert (found.how, found.conflicts, changed) == (Since.REBASED, ("a.txt",), {"a.txt"})
    patch = (await git.diff(rig.top, found.start, rig.sha())).decode()
    assert "-theirs" in patch and "-mine" in patch and "+both" in patch


async def test_a_state_that_is_gone_gives_the_whole_work(rig: Repo, work: tuple[str, str]) -> None:
    base, seen = work
    found, changed = await _new(rig, "1" * 40, seen, base)
    assert (found, changed) == (Earlier(base, Since.GONE), {"a.txt", "new"})
