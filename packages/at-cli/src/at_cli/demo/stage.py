"""Where the demo plays: a folder of its own with a repository and a home, removed at the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from at_core.errors import AtError
from at_core.paths import Home

SETTINGS = """\
# A gate runs on exactly the tree that is to be merged. Without a pass nothing lands.
[gates]
check = "sh check.sh"
"""
CHECK = """\
# Every text file says something and ends with a newline.
for file in *.txt; do
    [ -s "$file" ] || { echo "$file is empty"; exit 1; }
    [ -z "$(tail -c 1 "$file")" ] || { echo "$file does not end with a newline"; exit 1; }
done
echo "$(ls *.txt | wc -l) text files are well"
"""
WELCOME = "This repository is thrown away when the demo ends.\n"
IDENTITY = ("user.name=Demo", "user.email=demo@example.invalid", "commit.gpgsign=false")


class GitNeeded(AtError):
    """The demo's repository could not be made."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the demo needs git: {reason}", "install git 2.38 or newer, then: at doctor")


@dataclass(frozen=True, slots=True)
class Stage:
    """One throw-away place."""

    folder: Path

    @classmethod
    def build(cls) -> Stage:
        """Make the folders and a repository with one commit on `main`. Raises GitNeeded, OSError."""
        stage = cls(Path(tempfile.mkdtemp(prefix="at-demo-")))
        try:
            stage._fill()
        except BaseException:  # whatever ends it, no folder is left behind
            stage.clear()
            raise
        return stage

    def _fill(self) -> None:
        self.repository.mkdir()
        for name, text in (("welcome.txt", WELCOME), ("check.sh", CHECK), (".auto-tundra.toml", SETTINGS)):
            (self.repository / name).write_text(text)
        self.git("init", "--quiet", "--initial-branch=main")
        for setting in IDENTITY:
            self.git("config", *setting.split("=", 1))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Begin with a gate")

    @property
    def repository(self) -> Path:
        """The repository that the agents work on."""
        return self.folder / "repository"

    @property
    def home(self) -> Home:
        """The demo's own home folder: yours is not touched."""
        return Home(self.folder / "home")

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """The caller's environment with the demo's home, and without settings of ours and of git's.

        The one could name the person's own store, the other another repository.
        """
        kept = {
            name: value
            for name, value in base.items()
            if not name.startswith("GIT_") and not (name.startswith("AT_") and "__" in name)
        }
        # It answers for itself: nobody is to be told on the desktop that a demo needs them.
        return kept | {"AT_HOME": str(self.home.root), "AT_UI__NOTIFY": "off"}

    def git(self, *words: str) -> str:
        """Plain git in the demo's repository. Raises GitNeeded."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        command = ["git", "-c", "core.hooksPath=/dev/null", "-C", str(self.repository), *words]
        try:
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        except FileNotFoundError:
            raise GitNeeded("it is not on PATH") from None
        except subprocess.CalledProcessError as error:
            raise GitNeeded(error.stderr.strip().splitlines()[-1] if error.stderr else "it failed") from None
        return done.stdout.rstrip("\n")

    def clear(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)
