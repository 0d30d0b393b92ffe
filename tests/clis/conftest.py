"""Real CLIs against the scripted endpoint, sealed to loopback: `python -m pytest tests/clis`.

The first test that needs a CLI installs the lock file's versions (npm, once per lock) and then seals the whole test
process. Where that is impossible the tests are skipped with the reason; under CI=true they fail.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from clis.install import CannotInstall, installed, new_home

from at_session.rehearsal.clis import CLIS
from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.sealed import CannotSeal, is_sealed, seal

FOLDER = Path(__file__).parent
OF_ONE_DRIVER = ("_driver", "_failures", "_sessions", "_wire")
"""Files that try one driver without the product around it, in all that it does."""
TIMEOUT_SECONDS = 600
"""A CLI of 240 MB starts slowly on a busy machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder needs the real CLIs."""
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker(pytest.mark.clis)
            item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS))
            if item.path.stem.endswith(OF_ONE_DRIVER):
                item.add_marker(pytest.mark.thorough)
            item.add_marker(pytest.mark.xdist_group(item.path.name))  # a table is played once, by one worker


@dataclass(frozen=True)
class Ground:
    """A home and a repository of one test's own."""

    home: Path
    repository: Path
    private: Path

    def git(self, *arguments: str) -> str:
        """Run git in the repository and give its output."""
        command = ["git", "-C", str(self.repository), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def make_ground(folder: Path) -> Ground:
    """An empty home and an empty repository below a folder."""
    made = Ground(folder / "home", folder / "repo", folder / "private")
    for each in (made.home, made.repository, made.private):
        each.mkdir()
    made.git("init", "-q", "-b", "main")
    return made


@pytest.fixture(scope="session")
def commands() -> Path:
    """The folder of the CLIs' commands; from here on the process is sealed."""
    try:
        found = installed()
        seal()
    except (CannotInstall, CannotSeal) as problem:
        if os.environ.get("CI") == "true":
            pytest.fail(str(problem))
        pytest.skip(str(problem))
    assert is_sealed()
    return found


@pytest.fixture
def ground() -> Iterator[Ground]:
    """Outside the system's temp folder; removed after the test."""
    with new_home() as folder:
        yield make_ground(folder)


@pytest.fixture
def endpoint(commands: Path) -> Iterator[Endpoint]:
    """The scripted model."""
    with Endpoint() as running:
        yield running


def newcomer(home: Path, commands: Path, without: tuple[str, ...] = ()) -> dict[str, str]:
    """The environment of a person with an empty home and these CLIs; `AT` is the path of `at`."""
    home.mkdir(exist_ok=True)
    found = home.with_name(f"{home.name}-bin")
    found.mkdir(exist_ok=True)
    for command in commands.iterdir():
        if command.name not in without and not (found / command.name).exists():
            (found / command.name).symlink_to(command.resolve())
    kept = [
        part
        for part in os.environ["PATH"].split(os.pathsep)
        if os.path.isdir(part) and not set(os.listdir(part)) & set(CLIS)
    ]
    return {
        "PATH": os.pathsep.join([str(found), *kept]),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "AT": str(Path(sys.executable).with_name("at")),
        "AT_START_SECONDS": "40",
    }
