from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from at_core.paths import Home, short_socket_path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("environment", "root"),
    [
        ({"AT_HOME": "/a/b", "HOME": "/h"}, "/a/b"),
        ({"HOME": "/h"}, "/h/.auto-tundra"),
        ({"AT_HOME": "", "HOME": "/h"}, "/h/.auto-tundra"),
        ({"AT_HOME": "rel"}, f"{os.getcwd()}/rel"),
    ],
)
def test_the_home_folder_is_at_home_or_in_the_persons_home(environment: dict[str, str], root: str) -> None:
    assert Home.find(environment).root == Path(root)


def test_everything_made_is_closed_to_others(tmp_path: Path) -> None:
    home = Home(tmp_path / "a" / "home")
    home.make()
    made = [home.root, *(each for each in home.root.iterdir() if each.is_dir())]
    assert home.run in made
    assert {mode(folder) for folder in made} == {0o700}
    home.make()
    assert home.socket.parent == home.lock_file.parent == home.start_lock.parent == home.run


def test_an_open_empty_folder_is_closed(tmp_path: Path) -> None:
    root = tmp_path / "home"
    root.mkdir(mode=0o755)
    Home(root).make()
    assert mode(root) == 0o700


def test_our_own_folder_that_was_opened_is_closed_again(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    (home.root / "cache.db").touch()
    home.root.chmod(0o755)
    home.run.chmod(0o777)
    home.make()
    assert mode(home.root) == mode(home.run) == 0o700


def test_a_folder_with_other_things_that_is_open_to_others_is_left_alone(tmp_path: Path) -> None:
    root = tmp_path / "home"
    root.mkdir(mode=0o755)
    (root / "letters.txt").touch()
    with pytest.raises(PermissionError, match="holds other things"):
        Home(root).make()
    assert mode(root) == 0o755
    assert [each.name for each in root.iterdir()] == ["letters.txt"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "home"
    root.mkdir(mode=0o700)
    os.chown(root, 12345, -1)
    with pytest.raises(PermissionError, match="12345"):
        Home(root).make()


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(FileExistsError):
        Home(tmp_path / "home").make()


@pytest.mark.parametrize("length", [1, 40, 200])
def test_sockets_can_be_used_at_any_depth(tmp_path: Path, length: int) -> None:
    folder = tmp_path / ("d" * length)
    folder.mkdir()
    before, open_before = os.getcwd(), len(os.listdir("/dev/fd"))
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as caller:
        with short_socket_path(folder / "at.sock") as address:
            assert len(os.fsencode(address)) < 104
            listener.bind(address)
        listener.listen()
        with short_socket_path(folder / "at.sock") as address:
            caller.connect(address)
        assert stat.S_ISSOCK((folder / "at.sock").stat().st_mode)
    assert os.getcwd() == before
    assert len(os.listdir("/dev/fd")) == open_before


def test_a_short_name_of_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), short_socket_path(tmp_path / ("d" * 150) / "at.sock"):
        raise AssertionError("not reached")
