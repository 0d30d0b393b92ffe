"""One home, one repository and one daemon of the rehearsal, for one CLI; cases on a site follow each other."""

from __future__ import annotations

import io
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from at_cli.daemon import Daemon
from at_cli.face import Face
from at_cli.prove import cleaning, ground
from at_cli.shutdown import stop_daemon
from at_cli.streams import Streams
from at_core.config.values import to_toml_value
from at_core.paths import Home
from at_session.rehearsal.clis import rehearsed
from at_session.rehearsal.endpoint import Endpoint

Document = dict[str, Any]
GITCONFIG = "[user]\n\tname = Rehearsal\n\temail = rehearsal@example.invalid\n[commit]\n\tgpgsign = false\n"
HEARTBEAT_SECONDS = 5
"""Below every watchdog of a case, so that what counts as a sign of life is asked for several times within it."""
POEM = "one\ntwo\nthree\n"


@dataclass(slots=True)
class Site:
    """Opened with `prepare`, closed with `end`, which leaves no process behind."""

    folder: Path
    installed: ground.Installed
    endpoint: Endpoint
    base: Mapping[str, str]
    watchdog: int | None = None
    failpoint: str | None = None
    others: tuple[ground.Installed, ...] = ()
    """Further CLIs that work in the same repository."""
    given_up: threading.Event = field(default_factory=threading.Event)
    environ: dict[str, str] = field(default_factory=dict)
    daemon: Daemon = field(init=False)

    @property
    def cli(self) -> str:
        """The CLI's name."""
        return self.installed.cli

    @property
    def repository(self) -> Path:
        """The repository that agents of this site work on."""
        return self.folder / "repo"

    def prepare(self) -> None:
        """Make the folders, the CLI's settings and the repository, and start the daemon. Raises AtError, OSError."""
        home = self.folder / "home"
        for each in (home / "tmp", self.repository, self.folder / "at"):
            each.mkdir(parents=True)
        (home / ".gitconfig").write_text(GITCONFIG, encoding="utf-8")
        self.environ = ground.environment(home, self.base)
        for program in (self.installed, *self.others):
            self.environ |= rehearsed(program.cli).settle(home, self.folder, self.endpoint.url)
        self.environ["AT_HOME"] = str(self.folder / "at")
        self._configure()
        (self.repository / "poem.txt").write_text(POEM, encoding="utf-8")
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Begin")
        self.daemon = Daemon(Home(self.folder / "at"), dict(self.environ))
        if self.failpoint is not None:
            self.daemon.environ["AT_FAILPOINT"] = self.failpoint
        self.daemon.call("init", path=str(self.repository))
        self.daemon.environ.pop("AT_FAILPOINT", None)  # the next daemon lives on

    def _configure(self) -> None:
        lines: list[str] = []
        for each in (self.installed, *self.others):
            lines += [f"[agents.{each.cli}]", f"binary = {to_toml_value(each.binary)}"]
            if self.watchdog is not None:
                lines.append(f"timeout_seconds = {self.watchdog}")
        if self.watchdog is not None:
            lines += ["[daemon]", f"heartbeat_interval_seconds = {HEARTBEAT_SECONDS}"]
        (self.folder / "at" / "config.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def git(self, *words: str) -> str:
        """Plain git in the site's repository. Raises CalledProcessError."""
        command = ["git", "-c", "core.hooksPath=/dev/null", "-C", str(self.repository), *words]
        return subprocess.run(command, env=self.environ, check=True, capture_output=True, text=True).stdout

    def down(self) -> None:
        """As `at down`. Raises AtError, OSError."""
        nowhere = Streams(stdin=io.BytesIO(), stdout=io.BytesIO(), stderr=io.BytesIO())
        stop_daemon(Face(nowhere, self.environ, json=True), keep_agents=False)

    def end(self) -> list[str]:
        """End everything; what could not be ended. Also for a site whose `prepare` failed, wherever it did."""
        troubles: list[str] = []
        if "AT_HOME" in self.environ:  # else there was no daemon yet, and `down` would end that of the person
            try:
                self.down()
            except Exception as error:  # noqa: BLE001 - whatever goes wrong here, the processes still have to end
                troubles.append(f"{self.folder.name}: {type(error).__name__}: {error}")
        return troubles + cleaning.end_all(self.folder)
