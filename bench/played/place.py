"""Where a real CLI is measured: a throw-away home and repository with a daemon, sealed to loopback."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from clis.install import cache, installed

from at_cli.prove import ground
from at_cli.prove.site import Site
from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.sealed import seal


def sealed_commands() -> Path:
    """The folder of the CLIs' commands; from here on this process reaches nothing but loopback.

    Raises CannotInstall, CannotSeal. To be called before there is a second thread.
    """
    found = installed()
    seal()
    return found


@contextmanager
def place(commands: Path, cli: str, **general: int) -> Iterator[Site]:
    """A site with one CLI and a scripted model; `general` are settings of that section that are not as by default.

    Raises RuntimeError if anything is left running at its end.
    """
    homes = cache() / "homes"  # not in the temp folder, where Codex starts no sandbox
    homes.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=homes))
    try:
        with Endpoint() as endpoint:
            program = ground.Installed(cli, str(commands / cli), "")
            base = {**os.environ, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}
            site = Site(folder / "site", program, endpoint, base)
            site.prepare()
            try:
                if general:
                    change(site, general)
                yield site
            finally:
                troubles = site.end()
            if troubles:
                raise RuntimeError("; ".join(troubles))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def change(site: Site, general: Mapping[str, int]) -> None:
    """Set them, and start the daemon anew."""
    site.down()
    with (site.folder / "at" / "config.toml").open("a", encoding="utf-8") as settings:
        settings.write("\n".join(["[general]", *(f"{key} = {value}" for key, value in general.items()), ""]))
    site.daemon.start()
