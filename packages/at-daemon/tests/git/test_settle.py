"""A landing whose git was killed between two files, or in the middle of one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git import Landed, WaitReason, Waits
from at_daemon.git.landing_record import LandingRecord
from at_daemon.git.testing import Repo

pytestmark = pytest.mark.anyio


@pytest.fixture
def merge(rig: Repo) -> str:
    """Changes `a.txt`, makes the folder `d` a file, removes `gone.txt`, adds `new/file`."""
    base = rig.sha()
    rig.git("checkout", "-q", "-b", "side")
    shutil.rmtree(rig.top / "d")
    (rig.top / "gone.txt").unlink()
    head = rig.commit("work", **{"a.txt": "A\nB\nC\n", "d": "now a file\n", "new/file": "new\n"})
    rig.git("checkout", "-q", "main")
    return rig.git("commit-tree", f"{head}^{{tree}}", "-p", base, "-p", head, "-m", "merge")


def _nothing_written(top: Path) -> None:
    assert (top / "a.txt").exists()


def _one_file_written(top: Path) -> None:
    (top / "a.txt").write_text("A\nB\nC\n")


def _one_file_torn(top: Path) -> None:
    (top / "a.txt").write_text("A\nB")


def _one_file_empty(top: Path) -> None:
    (top / "a.txt").write_text("")


def _one_file_unlinked(top: Path) -> None:
    (top / "a.txt").unlink()


def _removals_done(top: Path) -> None:
    (top / "gone.txt").unlink()
    shutil.rmtree(top / "d")


def _folder_became_file(top: Path) -> None:
    _removals_done(top)
    (top / "d").write_text("now a file\n")


def _file_added(top: Path) -> None:
    (top / "new").mkdir()
    (top / "new/file").write_text("new\n")


def _added_file_torn(top: Path) -> None:
    (top / "new").mkdir()
    (top / "new/file").write_text("n")


def _all_written(top: Path) -> None:
    _one_file_written(top)
    _folder_became_file(top)
    _file_added(top)


_CUT_OFF = [
    _nothing_written,
    _one_file_written,
    _one_file_torn,
    _one_file_empty,
    _one_file_unlinked,
    _removals_done,
]
_CUT_OFF += [_folder_became_file, _file_added, _added_file_torn, _all_written]


@pytest.mark.parametrize("cut_off", _CUT_OFF)
async def test_files_cut_off_half_way(rig: Repo, merge: str, cut_off: Callable[[Path], None]) -> None:
    base = rig.sha()
    rig.write("mine.txt", "untracked\n")
    record = LandingRecord(rig.top / ".git")
    record.begin("refs/heads/main", base, merge)
    cut_off(rig.top)
    rig.write(".git/refs/heads/main.lock", f"{merge}\n")
    rig.write(".git/HEAD.lock", "")
    assert await git.land(rig.top, merge, "main", base) == Landed(merge, False, rig.top)
    assert rig.status() == "?? mine.txt"
    assert (rig.top / "d").read_text() == "now a file\n"
    assert sorted(path.name for path in (rig.top / ".git").rglob("*") if "lock" in path.name) == []


@pytest.mark.parametrize("cut_off", [_one_file_torn, _folder_became_file, _all_written])
async def test_the_ref_moved_before_the_index_did(
    rig: Repo, merge: str, cut_off: Callable[[Path], None]
) -> None:
    base = rig.sha()
    LandingRecord(rig.top / ".git").begin("refs/heads/main", base, merge)
    cut_off(rig.top)
    rig.git("update-ref", "refs/heads/main", merge)
    assert await git.land(rig.top, merge, "main", base) == Landed(merge, True, None)
    assert rig.status() == "" and not (rig.top / "gone.txt").exists()


async def test_cut_off_between_the_last_two_renames(rig: Repo, merge: str) -> None:
    base = rig.sha()
    record = LandingRecord(rig.top / ".git")
    record.begin("refs/heads/main", base, merge)
    _all_written(rig.top)
    rig.git("update-ref", "refs/heads/main", merge)
    record.lock.unlink()
    record.lock.hardlink_to(record.index)
    assert await git.land(rig.top, merge, "main", base) == Landed(merge, True, None)
    assert rig.status() == ""


async def test_another_landing_settles_it_first(rig: Repo, merge: str) -> None:
    base = rig.sha()
    LandingRecord(rig.top / ".git").begin("refs/heads/main", base, merge)
    _all_written(rig.top)
    other = rig.git("commit-tree", "HEAD^{tree}", "-p", base, "-m", "other")
    assert await git.land(rig.top, other, "main", base) == Landed(other, False, rig.top)
    assert rig.status() == "" and (rig.top / "a.txt").read_text() == "a\nb\nc\n"


async def test_what_the_person_did_since_stays(rig: Repo, merge: str) -> None:
    base = rig.sha()
    LandingRecord(rig.top / ".git").begin("refs/heads/main", base, merge)
    _folder_became_file(rig.top)
    rig.write("a.txt", "edited by hand\n")
    assert await git.land(rig.top, merge, "main", base) == Waits(WaitReason.CHANGES, ("a.txt",), rig.top)
    assert (rig.top / "a.txt").read_text() == "edited by hand\n"
    assert rig.status() == " M a.txt" and (rig.top / "d/inner.txt").exists()
    rig.git("checkout", "a.txt")
    assert isinstance(await git.land(rig.top, merge, "main", base), Landed)


async def test_a_folder_the_person_made_since_stays(rig: Repo, merge: str) -> None:
    base = rig.sha()
    LandingRecord(rig.top / ".git").begin("refs/heads/main", base, merge)
    _folder_became_file(rig.top)
    rig.git("update-ref", "refs/heads/main", merge)
    (rig.top / "d").unlink()
    rig.write("d/mine.txt", "mine\n")
    rig.write("new", "mine too\n")
    assert await git.land(rig.top, merge, "main", base) == Landed(merge, True, None)
    assert (rig.top / "d/mine.txt").read_text() == "mine\n" and (rig.top / "new").read_text() == "mine too\n"
    assert rig.git("diff", "--name-only").split("\n") == ["d", "new/file"]


async def test_a_lock_of_the_person_beside_our_record(rig: Repo, merge: str) -> None:
    base = rig.sha()
    record = LandingRecord(rig.top / ".git")
    record.begin("refs/heads/main", base, merge)
    record.lock.unlink()
    lock = rig.write(".git/index.lock", "")
    assert await git.land(rig.top, merge, "main", base) == Waits(
        WaitReason.INDEX_LOCKED, (str(lock),), rig.top
    )
    lock.unlink()
    assert await git.land(rig.top, merge, "main", base) == Landed(merge, False, rig.top)


async def test_a_filter_that_fails_leaves_the_checkout_as_it_was(rig: Repo, merge: str) -> None:
    base = rig.commit("attributes", **{".gitattributes": "new/file filter=broken\n"})
    tree = rig.git("merge-tree", "--write-tree", base, merge)
    merge = rig.git("commit-tree", tree, "-p", base, "-p", merge, "-m", "merge")
    rig.git("config", "filter.broken.smudge", "false")
    rig.git("config", "filter.broken.required", "true")
    with pytest.raises(git.errors.GitFailed):
        await git.land(rig.top, merge, "main", base)
    assert rig.status() == "" and rig.sha() == base
    rig.git("config", "--unset", "filter.broken.smudge")
    rig.git("config", "--unset", "filter.broken.required")
    assert isinstance(await git.land(rig.top, merge, "main", base), Landed)
