"""How long verbs take from the shell, against `python -c pass` of the same interpreter; prints JSON lines.

A real daemon answers. The commands run in turns, so that a busy moment hits all of them. `at`, `at status` and
`at status --short` are judged by the ratio of their wall times, a median over pairs of a run and the yardstick right before it. Other verbs are judged by
their own time: CPU of the process beyond that of the yardstick, the least of all runs of each, because CPU time itself
grows by half on cores that others keep busy. `median` has the same as a median over pairs, `wall` the wall time.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROUNDS = 30
YARDSTICK = [sys.executable, "-c", "pass"]
FAST = (["at"], ["at", "status"], ["at", "status", "--short"])
STATUS_LIMIT = 1.3
VERB_LIMIT_MS = 80.0
VERBS = (
    ["ls"],
    ["agents"],
    ["show", "{bead}"],
    ["events", "--last", "1"],
    ["approvals"],
    ["--help"],
    ["config", "ui.theme"],
)


def at() -> str:
    """The installed script beside this interpreter."""
    return str(Path(sys.executable).with_name("at"))


@dataclass(frozen=True, slots=True)
class Run:
    """One run, in milliseconds."""

    wall: float
    cpu: float


def run(command: list[str], environ: dict[str, str]) -> Run:
    """One run of `command`, its output thrown away."""
    null = os.open(os.devnull, os.O_RDWR)
    begin = time.perf_counter()
    child = os.posix_spawn(
        command[0], command, environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, each) for each in (0, 1)]
    )
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - begin
    os.close(null)
    if status:
        raise SystemExit(f"{command} ended with {os.waitstatus_to_exitcode(status)}")
    return Run(wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000)


def measure(commands: dict[str, list[str]], environ: dict[str, str]) -> dict[str, list[tuple[Run, Run]]]:
    """Each command's runs, round by round, each with a run of the yardstick right before it."""
    taken: dict[str, list[tuple[Run, Run]]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            taken[name].append((run(YARDSTICK, environ), run(command, environ)))
    return taken


def report(name: str, pairs: list[tuple[Run, Run]]) -> dict[str, object]:
    """The figure of one verb."""
    walls = statistics.median(mine.wall for _, mine in pairs)
    if name.split() in FAST:
        return {
            "name": name,
            "value": round(walls, 2),
            "unit": "ms",
            "yardstick": round(statistics.median(base.wall for base, _ in pairs), 2),
            "yardstick_name": "python -c pass",
            "ratio": round(statistics.median(mine.wall / base.wall for base, mine in pairs), 3),
            "limit": STATUS_LIMIT,
        }
    return {
        "name": f"{name}, own time",
        "value": round(min(mine.cpu for _, mine in pairs) - min(base.cpu for base, _ in pairs), 2),
        "unit": "ms",
        "yardstick": "beyond python -c pass",
        "limit": VERB_LIMIT_MS,
        "limit_of": "value",
        "median": round(statistics.median(mine.cpu - base.cpu for base, mine in pairs), 2),
        "wall": round(walls, 2),
    }


def main() -> None:
    """Make a repository and a home, measure, take both away."""
    folder = Path(tempfile.mkdtemp(prefix="at-bench-"))
    environ = {**os.environ, "AT_HOME": str(folder / "home")}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # modules are compiled where the product is installed
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    subprocess.run(
        [
            "git",
            "-c",
            "user.name=b",
            "-c",
            "user.email=b@localhost",
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            "b",
        ],
        cwd=folder,
        check=True,
    )
    os.chdir(folder)
    try:
        added = subprocess.run(
            [at(), "add", "a bead", "--json"], env=environ, check=True, capture_output=True
        )
        bead = json.loads(added.stdout)["bead"]["id"]
        commands = {" ".join(words): [at(), *words[1:]] for words in FAST}
        for verb in VERBS:
            words = [word.format(bead=bead) for word in verb]
            commands[f"at {verb[0]}"] = [at(), *words]
        for name, pairs in measure(commands, environ).items():
            print(json.dumps(report(name, pairs)), flush=True)
    finally:
        subprocess.run([at(), "down"], env=environ, check=False, capture_output=True)
        os.chdir("/")
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
