"""What an agent made unreadable is kept like anything else, and what nobody here can read is not removed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git import errors, nofollow
from at_daemon.git.testing import BEAD, BRANCH, REF, Repo

pytestmark = pytest.mark.anyio

NOBODY = 65534


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder that any user may be given: pytest's own lies below one that is closed to all others."""
    path = Path(tempfile.mkdtemp())
    yield path
    nofollow.remove_tree(path)


@pytest.fixture
async def agent(rig: Repo, folder: Path) -> Repo:
    await git.prepare(rig.top, folder, BRANCH, "main")
    return Repo(folder)


@pytest.fixture
def as_user(tmp_path: Path, agent: Repo) -> Iterator[Callable[[], None]]:
    """Goes on as a user for whom modes count, who owns all that is there but what `foreign` was given."""
    root = os.geteuid() == 0

    def drop() -> None:
        if not root:
            return
        for where, folders, files in os.walk(tmp_path):
            for path in (where, *(os.path.join(where, name) for name in folders + files)):
                if not os.path.basename(path).startswith("foreign"):
                    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        os.setresuid(NOBODY, NOBODY, 0)

    yield drop
    if root:
        os.setresuid(0, 0, 0)


@pytest.mark.parametrize("mode", [0o000, 0o100, 0o200, 0o400, 0o600])
async def test_a_closed_folder_is_kept_with_all_in_it(
    rig: Repo, agent: Repo, as_user: Callable[[], None], tmp_path: Path, mode: int
) -> None:
    files = {"new/deep/er.txt": "new", "new/top.txt": "top", "d/inner.txt": "changed", "d/more.txt": "more"}
    for path, text in files.items():
        agent.write(path, text)
    as_user()
    for path in ("new/deep", "new", "d"):
        (agent.top / path).chmod(mode)
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    assert entry.notes == () and files.items() <= rig.tree(entry.tree).items()
    await git.set_aside_folder(agent.top, agent.top.parent)
    assert await git.remove_set_aside(agent.top.parent) == []


@pytest.mark.parametrize("name", ["x\x01y", "x\ny", "x': y", "x/" * 2 + "\x7f"])
async def test_a_closed_folder_is_kept_whatever_its_name(
    rig: Repo, agent: Repo, as_user: Callable[[], None], name: str
) -> None:
    agent.write(f"{name}/new.txt", "new")
    as_user()
    (agent.top / name).chmod(0)
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    assert (entry.notes, rig.tree(entry.tree)[f"{name}/new.txt"]) == ((), "new")


async def test_what_no_path_leads_to_is_said_not_to_be_kept(rig: Repo, agent: Repo) -> None:
    current = os.open(agent.top, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("n" * 200, dir_fd=current)
        below = os.open("n" * 200, os.O_RDONLY, dir_fd=current)
        os.close(current)
        current = below
    os.close(os.open("new.txt", os.O_CREAT, dir_fd=current))
    os.close(current)
    (note,) = (await git.keep(rig.top, agent.top, BEAD, "r")).incomplete
    assert "nnn" in note and "not kept" in note


async def test_a_closed_file_is_kept(rig: Repo, agent: Repo, as_user: Callable[[], None]) -> None:
    files = {"a.txt": "changed", "new.txt": "new", "staged.txt": "staged"}
    for path, text in files.items():
        agent.write(path, text)
    agent.git("add", "staged.txt")
    as_user()
    for path in files:
        (agent.top / path).chmod(0o200)
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    assert entry.notes == () and files.items() <= rig.tree(entry.tree).items()


@pytest.mark.parametrize("closed", [".", ".git", ".git/objects", ".git/logs", ".git/logs/HEAD"])
async def test_a_closed_history_is_kept(
    rig: Repo, agent: Repo, as_user: Callable[[], None], closed: str
) -> None:
    lost = agent.commit("reset away", **{"lost.txt": "lost"})
    agent.git("reset", "-q", "--hard", "HEAD~1")
    head = agent.commit("one", **{"one.txt": "one"})
    agent.git("update-ref", "-d", "ORIG_HEAD")
    as_user()
    (agent.top / closed).chmod(0)
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    assert (entry.notes, entry.parents) == ((), (head, lost))


async def test_a_repository_in_a_closed_folder_is_kept(
    rig: Repo, agent: Repo, as_user: Callable[[], None]
) -> None:
    inner = Repo(agent.top / "closed/lib")
    inner.top.mkdir(parents=True)
    inner.git("init", "-q")
    sha = inner.commit("one", f="x")
    as_user()
    (agent.top / "closed").chmod(0)
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    (inside,) = entry.nested.values()
    assert rig.git("merge-base", "--is-ancestor", sha, inside) == ""


async def test_no_link_is_followed_to_what_is_closed(
    rig: Repo, agent: Repo, as_user: Callable[[], None], tmp_path: Path
) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/file").write_text("theirs")
    agent.write("closed/file", "new")
    for name in ("theirs", "theirs/file"):
        (agent.top / f"link-{Path(name).name}").symlink_to(tmp_path / name)
    as_user()
    for path in (tmp_path / "theirs/file", tmp_path / "theirs", agent.top / "closed"):
        path.chmod(0)
    entry = await git.keep(rig.top, agent.top, BEAD, "r")
    assert rig.tree(entry.tree)["closed/file"] == "new"
    assert (tmp_path / "theirs").stat().st_mode & 0o777 == 0


@pytest.mark.parametrize("closed", ["file", "folder"])
async def test_no_link_that_comes_meanwhile_is_followed(
    agent: Repo, as_user: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    theirs, mine = tmp_path / "theirs", agent.top / "mine"
    for path in (theirs, mine):
        path.write_text("theirs") if closed == "file" else path.mkdir()
    as_user()
    theirs.chmod(0o700)
    mine.chmod(0o077)
    change, changed = os.chmod, []

    def swapping(path: str, mode: int, *, dir_fd: int | None = None) -> None:
        mine.rename(agent.top / "moved")
        mine.symlink_to(theirs)
        changed.append(path)
        change(path, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "chmod", swapping)
    nofollow.open_up(agent.top)
    assert changed and theirs.stat().st_mode & 0o777 == 0o700


async def test_what_is_closed_is_opened_on_a_system_that_has_no_descriptors_of_what_cannot_be_read(
    agent: Repo, as_user: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_PATH", raising=False)
    agent.write("closed/file", "new")
    as_user()
    for path in ("closed/file", "closed"):
        (agent.top / path).chmod(0o022)
    assert nofollow.open_up(agent.top) == []
    assert (agent.top / "closed/file").read_text() == "new"
    # What was looked at may be another file than the one that is changed: nobody else is let in.
    assert (agent.top / "closed/file").stat().st_mode & 0o777 == 0o400


async def test_work_beside_a_closed_folder_is_collected(
    rig: Repo, agent: Repo, as_user: Callable[[], None]
) -> None:
    agent.write("work.txt", "work")
    agent.write("closed/file", "new")
    as_user()
    for path in ("d", "closed"):
        (agent.top / path).chmod(0)
    found = await git.collect(rig.top, agent.top, BRANCH, REF, rig.sha("main"), "work")
    assert found.changed_paths == ("work.txt",)
    (note,) = found.notes
    assert "cannot be read" in note and "'closed'" in note and "'d/inner.txt'" in note
    assert (agent.top / "closed").stat().st_mode & 0o777 == 0


@pytest.mark.parametrize("place", ["foreign", "foreign\n\x01", "new/foreign.txt", ".git/logs/foreign"])
async def test_what_belongs_to_somebody_else_holds_up_the_removal(
    rig: Repo, agent: Repo, as_user: Callable[[], None], place: str
) -> None:
    foreign = agent.top / place
    foreign.parent.mkdir(parents=True, exist_ok=True)
    if foreign.parent == agent.top:
        foreign.mkdir()
        (foreign / "file").write_text("theirs")
    else:
        foreign.write_text("theirs")
    foreign.chmod(0)
    as_user()
    if foreign.stat().st_uid == os.geteuid():  # only root can give a file to somebody else: it is opened
        assert (await git.keep(rig.top, agent.top, BEAD, "r")).notes == ()
        return
    with pytest.raises(errors.Unreadable, match="cannot be read, so it is not removed"):
        await git.keep(rig.top, agent.top, BEAD, "r")
    assert await git.attic_entries(rig.top) == []


async def test_a_pipe_in_the_place_of_a_file_holds_up_nothing(
    rig: Repo, agent: Repo, as_user: Callable[[], None]
) -> None:
    (agent.top / "a.txt").unlink()
    os.mkfifo(agent.top / "a.txt", 0)
    as_user()
    (note,) = (await git.keep(rig.top, agent.top, BEAD, "r")).notes
    assert "'a.txt'" in note and "not kept" in note
