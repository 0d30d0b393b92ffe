"""When folders are made ahead: never without room, for a repository that is used, and as often as they are wanted."""

from __future__ import annotations

import dataclasses
import shutil
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import anyio
import pytest

from at_core.paths import Home
from at_core.repo_settings import FILE_NAME, content_hash
from at_core.types import Rig
from at_daemon.git import is_set_aside
from at_daemon.git.testing import Repo, log_starts
from at_daemon.memory import Memory
from at_daemon.testing import Desk
from at_daemon.warm_folders import WarmFolders, warm_folders

GB = 1_000_000_000
ROOMY = (1000 * GB, 0, 500 * GB)


@dataclasses.dataclass
class Shop:
    """A repository that wants warm folders, and a machine."""

    desk: Desk
    repo: Repo
    home: Home
    rig: Rig
    disk: tuple[int, int, int] = ROOMY
    memory: Memory = dataclasses.field(default_factory=Memory)

    def __post_init__(self) -> None:
        self.parts = self.desk.parts(self.home)
        self.keeper = WarmFolders(self.parts, lambda path: self.disk, lambda: self.memory)

    def wants(self, number: int, trust: bool = True) -> None:
        """Say so in a file that is trusted."""
        text = f"[worktree]\nwarm = {number}\n"
        self.repo.commit("settings", **{FILE_NAME: text})
        if trust:
            self.trust(text)

    def trust(self, text: str) -> None:
        self.desk.do(lambda change: change.tx.trust_rig(self.rig.id, content_hash(text.encode())))

    def look(self) -> int:
        """How many are there after a look."""
        anyio.run(self.keeper.look)
        return self.there()

    def look_later(self, minutes: int) -> int:
        """How many are there after so long in which nothing was heard."""
        for _ in range(minutes):
            self.desk.clock.pass_time(60)
            anyio.run(self.keeper.look_at_due)
        return self.there()

    def there(self) -> int:
        return len(warm_folders(self.parts, self.rig).folders)


@pytest.fixture(name="shop")
def made_shop(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """It wants none yet."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.com\n")
    (tmp_path / "repo").mkdir()
    repo = Repo(tmp_path / "repo")
    repo.git("init", "-q", "-b", "main")
    repo.commit("first", **{"a.txt": "a\n"})
    home = Home(tmp_path / "home")
    home.make()
    rig = Rig(id=uuid4(), name="repo", path=str(repo.top), target="main", created_at=desk.clock.now())
    desk.do(lambda change: change.tx.add_rig(rig))
    return Shop(desk, repo, home, rig)


@pytest.fixture
def starts(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What git was started for."""
    return log_starts(tmp_path, monkeypatch.setenv)


def test_as_many_as_are_wanted_are_there(shop: Shop) -> None:
    found = [shop.look()]
    for number in (3, 1, 0):
        shop.wants(number)
        found.append(shop.look())
    assert found == [0, 3, 1, 0]


def test_what_nobody_trusts_makes_none_and_takes_none_away(shop: Shop) -> None:
    shop.wants(1)
    assert shop.look() == 1
    shop.wants(2, trust=False)
    assert shop.look() == 1


@pytest.mark.parametrize(
    ("disk", "memory"),
    [
        ((100 * GB, 0, 9 * GB), Memory()),
        ((200 * GB, 0, 10 * GB + 1), Memory()),
        (ROOMY, Memory(free=1)),
        (ROOMY, Memory(stalled=50.0)),
    ],
    ids=["disk", "disk that it would fill", "memory", "waits for memory"],
)
def test_none_is_made_without_room_and_one_as_soon_as_there_is_some(
    shop: Shop, starts: Path, disk: tuple[int, int, int], memory: Memory
) -> None:
    shop.wants(1)
    shop.disk, shop.memory = disk, memory
    assert shop.look() == 0
    starts.write_text("")
    assert (shop.look_later(100), starts.read_text()) == (0, ""), "git is not started to find that out"
    shop.disk, shop.memory = ROOMY, Memory()
    assert shop.look_later(1) == 1


def test_one_that_is_there_is_renewed_though_another_would_fill_the_disk(shop: Shop) -> None:
    shop.wants(1)
    assert shop.look() == 1
    shop.disk = (200 * GB, 0, 10 * GB + 3)
    newest = shop.repo.commit("more", **{"b.txt": "b\n"})
    assert shop.look_later(1) == 1
    [folder] = warm_folders(shop.parts, shop.rig).folders
    assert newest in (folder / ".git/warm.json").read_text()


def test_one_is_renewed_only_if_there_is_room_for_what_changed(shop: Shop) -> None:
    shop.wants(1)
    assert shop.look() == 1
    shop.disk = (200 * GB, 0, 10 * GB + 1000)
    shop.repo.commit("one that goes", **{"a.txt": "a" * 900})
    newest = shop.repo.commit("big", **{"a.txt": "a" * 600, "b.txt": "b" * 600})

    def mark() -> str:
        [folder] = warm_folders(shop.parts, shop.rig).folders
        return (folder / ".git/warm.json").read_text()

    assert shop.look_later(1) == 1 and newest not in mark()
    shop.disk = (200 * GB, 0, 10 * GB + 1201)
    assert shop.look_later(1) == 1 and newest in mark()


def test_one_of_no_use_goes_also_where_none_is_made_before_it(shop: Shop) -> None:
    shop.wants(2)
    assert shop.look() == 2
    taken, other = sorted(warm_folders(shop.parts, shop.rig).folders)
    shutil.rmtree(taken)
    shop.repo.git("config", "core.autocrlf", "true")
    shop.disk = (200 * GB, 0, 10 * GB + 1)
    assert (shop.look(), other.exists()) == (0, False)
    shop.disk = ROOMY
    assert shop.look_later(1) == 2


def test_one_that_must_be_made_anew_is_a_checkout_more_and_goes_first_where_there_is_no_room(
    shop: Shop, starts: Path
) -> None:
    shop.wants(1)
    assert shop.look() == 1
    [old] = warm_folders(shop.parts, shop.rig).folders
    shop.repo.git("config", "core.autocrlf", "true")
    shop.disk = (200 * GB, 0, 10 * GB + 1)
    starts.write_text("")
    assert shop.look() == 0
    assert "read-tree" not in starts.read_text()
    [aside] = shop.home.warm.iterdir()
    assert is_set_aside(aside.name) and aside.name.startswith(f".{old.name}"), "its room is given back"
    assert shop.look_later(100) == 0
    shop.disk = ROOMY
    assert shop.look_later(1) == 1


def test_none_is_made_for_a_repository_that_nobody_used_for_a_day(shop: Shop) -> None:
    shop.wants(1)
    shop.desk.clock.pass_time(timedelta(days=2).total_seconds())
    assert shop.look() == 0


def test_what_is_there_is_kept_over_a_weekend(shop: Shop) -> None:
    shop.wants(1)
    assert shop.look() == 1
    shop.desk.clock.pass_time(timedelta(days=2).total_seconds())
    assert shop.look() == 1


def test_what_a_killed_daemon_made_is_cleared_away(shop: Shop) -> None:
    half = shop.home.warm / ".0123456789ab-0.at-abcdefgh"
    (half / "src").mkdir(parents=True)
    assert (shop.look(), half.exists()) == (0, False)


def test_a_repository_that_is_gone_stops_no_other_and_starts_nothing_until_it_is_back(
    shop: Shop, starts: Path, tmp_path: Path
) -> None:
    shop.wants(1)
    (tmp_path / "other").mkdir()
    other = Repo(tmp_path / "other")
    other.git("clone", "-q", str(shop.repo.top), ".")
    now, raw = shop.desk.clock.now(), (shop.repo.top / FILE_NAME).read_bytes()
    rig = Rig(
        id=uuid4(),
        name="other",
        path=str(other.top),
        target="main",
        trusted=content_hash(raw),
        created_at=now,
    )
    shop.desk.do(lambda change: change.tx.add_rig(rig))
    away = other.top.rename(tmp_path / "away")
    assert shop.look() == 1
    starts.write_text("")
    assert (shop.look_later(100), starts.read_text()) == (1, "")
    away.rename(other.top)
    shop.look_later(1)
    assert len(warm_folders(shop.parts, rig).folders) == 1


def test_what_fails_is_tried_again_ever_more_rarely_and_at_once_where_the_target_moves(
    shop: Shop, starts: Path
) -> None:
    shop.wants(1)
    sha = shop.repo.git("rev-parse", "HEAD:a.txt")
    there = shop.repo.top / ".git/objects" / sha[:2] / sha[2:]
    away = there.rename(shop.repo.top / ".git/away")
    assert shop.look() == 0
    tried: list[int] = []
    for minute in range(1, 200):
        starts.write_text("")
        assert shop.look_later(1) == 0
        if starts.read_text():
            tried.append(minute)
    assert tried == [1, 3, 7, 15, 31, 63, 123, 183]
    shop.repo.git("commit", "-q", "--allow-empty", "-m", "more")
    starts.write_text("")
    assert (shop.look_later(1), "read-tree" in starts.read_text()) == (0, True)
    away.rename(there)
    assert shop.look_later(1) == 1, "it waits no longer than at first"


def test_a_folder_of_ours_that_is_taken_away_ends_nothing(shop: Shop) -> None:
    def disk(path: Path) -> tuple[int, int, int]:
        shutil.disk_usage(path)
        return shop.disk

    shop.keeper = WarmFolders(shop.parts, disk)
    shop.wants(1)
    shop.disk = (100 * GB, 0, 9 * GB)
    assert shop.look() == 0
    shop.home.warm.rmdir()
    assert shop.look_later(1) == 0
    shop.home.warm.mkdir()
    shop.disk = ROOMY
    assert shop.look_later(1) == 1
