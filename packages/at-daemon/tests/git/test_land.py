"""The target moves by compare-and-set, and never over a change of the person's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git import Landed, WaitReason, Waits, errors
from at_daemon.git.testing import BEAD, Repo

pytestmark = pytest.mark.anyio


@pytest.fixture
def merge(rig: Repo) -> str:
    """A merge made aside: `a.txt` and `d/inner.txt` changed, `gone.txt` removed, `new/file` and `top.log` added."""
    rig.write(".gitignore", "*.log\n")
    rig.commit("ignore logs")
    base = rig.sha()
    rig.git("checkout", "-q", "-b", "side")
    rig.write("top.log", "tracked though ignored\n")
    rig.write("new/file", "new\n")
    rig.git("add", "-f", "top.log")
    (rig.top / "gone.txt").unlink()
    head = rig.commit("work", **{"a.txt": "A\n", "d/inner.txt": "INNER\n"})
    rig.git("checkout", "-q", "main")
    return rig.git("commit-tree", f"{head}^{{tree}}", "-p", base, "-p", head, "-m", "merge")


def _contents(top: Path) -> dict[str, tuple[int, bytes]]:
    """Every file of a working tree with its mode and bytes, links as their target."""
    found = {}
    for where, folders, files in os.walk(top):
        if ".git" in folders:
            folders.remove(".git")
        for name in files:
            path = Path(where, name)
            content = os.fsencode(os.readlink(path)) if path.is_symlink() else path.read_bytes()
            found[os.path.relpath(path, top)] = (os.lstat(path).st_mode, content)
    return found


async def test_a_target_that_is_checked_out_nowhere(rig: Repo, merge: str) -> None:
    base = rig.sha("main")
    rig.git("checkout", "-q", "--detach")
    before = _contents(rig.top)
    assert await git.land(rig.top, merge, "main", base, bead_id=BEAD) == Landed(merge, False, None)
    assert rig.sha("main") == merge and _contents(rig.top) == before
    assert f"at: land bead {BEAD}" in rig.git("reflog", "-1", "main")
    assert await git.land(rig.top, merge, "main", base) == Landed(merge, True, None)


async def test_a_clean_checkout_is_fast_forwarded(rig: Repo, merge: str) -> None:
    base = rig.sha()
    assert await git.land(rig.top, merge, "main", base) == Landed(merge, False, rig.top)
    assert rig.status() == "" and (rig.top / "new/file").read_text() == "new\n"
    assert not (rig.top / "gone.txt").exists()
    assert sorted(path.name for path in (rig.top / ".git").glob("*at-*")) == []


async def test_a_linked_worktree_is_fast_forwarded(rig: Repo, merge: str, tmp_path: Path) -> None:
    base = rig.sha("main")
    rig.git("checkout", "-q", "--detach")
    linked = Repo(tmp_path / "li nked")
    rig.git("worktree", "add", "-q", str(linked.top), "main")
    before = _contents(rig.top)
    assert await git.land(rig.top, merge, "main", base) == Landed(merge, False, linked.top)
    assert linked.status() == "" and linked.sha() == merge and _contents(rig.top) == before
    assert await git.land(linked.top, merge, "main", base) == Landed(merge, True, None)


def _modified(rig: Repo) -> None:
    rig.write("a.txt", "mine\n")


def _staged(rig: Repo) -> None:
    rig.write("a.txt", "mine\n")
    rig.git("add", "a.txt")


def _staged_then_reverted(rig: Repo) -> None:
    _staged(rig)
    rig.write("a.txt", "a\nb\nc\n")


def _removed(rig: Repo) -> None:
    rig.git("rm", "-q", "a.txt")


def _changed_what_the_merge_removes(rig: Repo) -> None:
    rig.write("gone.txt", "still needed\n")


def _mode(rig: Repo) -> None:
    (rig.top / "a.txt").chmod(0o755)


def _folder_for_file(rig: Repo) -> None:
    (rig.top / "a.txt").unlink()
    rig.write("a.txt/x", "mine\n")


def _intent_to_add(rig: Repo) -> None:
    rig.write("new/file", "mine\n")
    rig.git("add", "-N", "new/file")


def _untracked(rig: Repo) -> None:
    rig.write("new/file", "mine\n")


def _ignored(rig: Repo) -> None:
    rig.write("top.log", "mine\n")


def _file_where_a_folder_goes(rig: Repo) -> None:
    rig.write("new", "mine\n")


def _link_where_a_folder_goes(rig: Repo) -> None:
    (rig.top / "new").symlink_to("d")


def _folder_where_a_file_goes(rig: Repo) -> None:
    rig.write("top.log/inside.log", "mine\n")


@pytest.mark.parametrize(
    ("disturb", "reason", "path"),
    [
        (_modified, WaitReason.CHANGES, "a.txt"),
        (_staged, WaitReason.CHANGES, "a.txt"),
        (_staged_then_reverted, WaitReason.CHANGES, "a.txt"),
        (_removed, WaitReason.CHANGES, "a.txt"),
        (_changed_what_the_merge_removes, WaitReason.CHANGES, "gone.txt"),
        (_mode, WaitReason.CHANGES, "a.txt"),
        (_folder_for_file, WaitReason.CHANGES, "a.txt"),
        (_intent_to_add, WaitReason.UNTRACKED, "new/file"),
        (_untracked, WaitReason.UNTRACKED, "new/file"),
        (_ignored, WaitReason.UNTRACKED, "top.log"),
        (_file_where_a_folder_goes, WaitReason.UNTRACKED, "new"),
        (_link_where_a_folder_goes, WaitReason.UNTRACKED, "new"),
        (_folder_where_a_file_goes, WaitReason.UNTRACKED, "top.log/inside.log"),
    ],
)
async def test_a_change_in_the_way_waits(
    rig: Repo, merge: str, disturb: Callable[[Repo], None], reason: WaitReason, path: str
) -> None:
    base = rig.sha()
    disturb(rig)
    files, status, staged = _contents(rig.top), rig.status(), rig.git("diff", "--cached")
    waits = await git.land(rig.top, merge, "main", base)
    assert isinstance(waits, Waits)
    assert (waits.reason, waits.paths, waits.worktree) == (reason, (path,), rig.top)
    assert waits.sentence
    assert (_contents(rig.top), rig.status(), rig.git("diff", "--cached")) == (files, status, staged)
    assert rig.sha() == base
    assert [path for path in (rig.top / ".git").rglob("*") if "lock" in path.name or "at-" in path.name] == []


async def test_changes_elsewhere_are_carried_along(rig: Repo, merge: str) -> None:
    rig.commit("more", **{"b.txt": "b\n", "c.txt": "c\n"})
    base = rig.sha()
    tree = rig.git("merge-tree", "--write-tree", base, merge)
    merge = rig.git("commit-tree", tree, "-p", base, "-p", merge, "-m", "merge")
    rig.write("b.txt", "modified\n")
    rig.write("c.txt", "staged\n")
    rig.git("add", "c.txt")
    rig.write("mine.txt", "untracked\n")
    rig.write("mine.log", "ignored\n")
    assert isinstance(await git.land(rig.top, merge, "main", base), Landed)
    assert rig.status() == " M b.txt\nM  c.txt\n?? mine.txt"
    assert (rig.top / "mine.log").read_text() == "ignored\n"


async def test_a_file_that_was_only_touched_is_no_change(rig: Repo, merge: str) -> None:
    base = rig.sha()
    os.utime(rig.top / "a.txt", (1, 1))
    assert isinstance(await git.land(rig.top, merge, "main", base), Landed)


@pytest.mark.parametrize("operation", ["merge", "rebase", "cherry-pick"])
async def test_an_operation_in_progress_waits(rig: Repo, merge: str, operation: str) -> None:
    rig.git("checkout", "-q", "-b", "other", "main~1")
    rig.commit("clash", **{"a.txt": "clash\n", "mine.txt": "1"})
    rig.git("checkout", "-q", "main")
    base = rig.commit("ours", **{"a.txt": "ours\n"})
    rig.git(operation, "other", ok=False)
    waits = await git.land(rig.top, merge, "main", base)
    assert isinstance(waits, Waits) and waits.reason is WaitReason.OPERATION
    assert rig.sha("main") == base


async def test_a_held_index_waits(rig: Repo, merge: str) -> None:
    lock = rig.write(".git/index.lock", "")
    waits = await git.land(rig.top, merge, "main", rig.sha())
    assert waits == Waits(WaitReason.INDEX_LOCKED, (str(lock),), rig.top)
    lock.unlink()
    assert isinstance(await git.land(rig.top, merge, "main", rig.sha()), Landed)


@pytest.mark.parametrize("detach", [True, False])
async def test_a_held_ref_waits(rig: Repo, merge: str, detach: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from at_daemon.git import run

    monkeypatch.setitem(run._SETTINGS, "core.filesRefLockTimeout", "0")
    if detach:
        rig.git("checkout", "-q", "--detach")
    rig.write(".git/refs/heads/main.lock", "")
    base = rig.sha("main")
    waits = await git.land(rig.top, merge, "main", base)
    assert isinstance(waits, Waits) and waits.reason is WaitReason.REF_LOCKED
    assert rig.status() == ""


@pytest.mark.parametrize("detach", [True, False])
async def test_a_target_that_moved_waits(rig: Repo, merge: str, detach: bool) -> None:
    base = rig.sha()
    rig.commit("person was faster", **{"z.txt": "z"})
    if detach:
        rig.git("checkout", "-q", "--detach")
    assert await git.land(rig.top, merge, "main", base) == Waits(WaitReason.TARGET_MOVED)
    assert rig.status() == ""


async def test_landed_and_gone_on_is_landed(rig: Repo, merge: str) -> None:
    base = rig.sha()
    await git.land(rig.top, merge, "main", base)
    later = rig.commit("later", **{"z.txt": "z"})
    assert await git.land(rig.top, merge, "main", base) == Landed(later, True, None)


async def test_a_worktree_that_is_away_waits(rig: Repo, merge: str, tmp_path: Path) -> None:
    base = rig.sha("main")
    rig.git("checkout", "-q", "--detach")
    rig.git("worktree", "add", "-q", str(tmp_path / "usb"), "main")
    (tmp_path / "usb").rename(tmp_path / "unplugged")
    waits = await git.land(rig.top, merge, "main", base)
    assert waits == Waits(WaitReason.WORKTREE_MISSING, (str(tmp_path / "usb"),))


async def test_a_target_checked_out_twice_waits(rig: Repo, merge: str, tmp_path: Path) -> None:
    base = rig.sha("main")
    rig.git("worktree", "add", "-q", "-f", str(tmp_path / "twice"), "main")
    waits = await git.land(rig.top, merge, "main", base)
    assert isinstance(waits, Waits) and waits.reason is WaitReason.SEVERAL_WORKTREES


async def test_no_such_target(rig: Repo, merge: str) -> None:
    with pytest.raises(errors.RevisionMissing):
        await git.land(rig.top, merge, "nosuch", rig.sha())
    with pytest.raises(errors.BadName):
        await git.land(rig.top, merge, "-x", rig.sha())


async def test_the_persons_filters_apply_in_their_checkout(rig: Repo, merge: str) -> None:
    rig.git("config", "core.autocrlf", "true")
    await git.land(rig.top, merge, "main", rig.sha())
    assert (rig.top / "a.txt").read_bytes() == b"A\r\n"
    assert rig.status() == ""
