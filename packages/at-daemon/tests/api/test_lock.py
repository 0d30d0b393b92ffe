from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from at_core.paths import Home
from at_daemon.lock import AlreadyRunning, Owner, only_daemon, owner, require_held

HOLDER = """
import sys
from pathlib import Path
from at_core.paths import Home
from at_daemon.lock import only_daemon
with only_daemon(Home(Path(sys.argv[1])), "9.9"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_holder_is_named_in_the_file(home: Home) -> None:
    with only_daemon(home, "1.2.3"):
        assert owner(home) == Owner(os.getpid(), "1.2.3")
        require_held(home)
        assert home.lock_file.stat().st_mode & 0o777 == 0o600


def test_a_second_one_is_refused_in_one_line_that_names_the_first(home: Home) -> None:
    with only_daemon(home, "1.2.3"):
        with pytest.raises(AlreadyRunning) as caught, only_daemon(home, "1.2.4"):
            raise AssertionError("not reached")
        assert caught.value.message == f"another daemon serves {home.root} (pid {os.getpid()}, version 1.2.3)"
        assert caught.value.exit_code == 1
        assert owner(home).version == "1.2.3"
    with only_daemon(home, "1.2.4"):
        assert owner(home).version == "1.2.4"


def test_homes_have_locks_of_their_own(home: Home, tmp_path: Path) -> None:
    other = Home(tmp_path / "other")
    other.make()
    with only_daemon(home, "1"), only_daemon(other, "1"):
        assert home.lock_file != other.lock_file
    with pytest.raises(AlreadyRunning, match="just starting"):
        require_held(Home(tmp_path / "third"))


def test_the_lock_goes_with_a_killed_holder(home: Home) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(home.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyRunning, match=f"pid {holder.pid}, version 9.9"), only_daemon(home, "1"):
            raise AssertionError("not reached")
        with pytest.raises(AlreadyRunning):
            require_held(home)
        holder.kill()
        holder.wait()
        with only_daemon(home, "1"):
            require_held(home)


def test_children_that_outlive_the_daemon_do_not_hold_it(home: Home) -> None:
    with only_daemon(home, "1"):
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False,
        )  # fmt: skip
    with child:
        assert child.stdout is not None
        child.stdout.readline()  # its exec is through, which is what closes the descriptor
        with only_daemon(home, "2"):
            assert owner(home).version == "2"
        assert child.poll() is None


def test_a_lock_file_that_was_removed_is_made_again(home: Home) -> None:
    with only_daemon(home, "1"):
        home.lock_file.unlink()
    with only_daemon(home, "2"):
        assert owner(home).version == "2"


@pytest.mark.parametrize("content", ["", "\n", "x y", "12"])
def test_a_file_without_a_name_in_it_is_somebody_starting(home: Home, content: str) -> None:
    home.lock_file.write_text(content)
    assert owner(home) == (Owner(12, "") if content == "12" else Owner(None, ""))


def test_a_link_in_place_of_the_file_is_refused(home: Home, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    home.lock_file.symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic"), only_daemon(home, "1"):
        raise AssertionError("not reached")
    assert (tmp_path / "precious").read_text() == "kept"
