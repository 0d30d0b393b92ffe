"""How long verbs take from the shell, against `python -c pass` of the same interpreter; prints JSON lines.

A real daemon answers. The commands run in turns, so that a busy moment hits all of them; the figures are medians.
`at status` is judged by its ratio to the yardstick, taken pair by pair; other verbs by what they take beyond it.
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
from pathlib import Path

ROUNDS = 40
YARDSTICK = [sys.executable, "-c", "pass"]
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


def milliseconds(command: list[str], environ: dict[str, str]) -> float:
    """Wall time of one run, its output thrown away."""
    null = os.open(os.devnull, os.O_RDWR)
    begin = time.perf_counter()
    child = os.posix_spawn(
        command[0], command, environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, each) for each in (0, 1)]
    )
    _, status = os.waitpid(child, 0)
    taken = (time.perf_counter() - begin) * 1000
    os.close(null)
    if status:
        raise SystemExit(f"{command} ended with {os.waitstatus_to_exitcode(status)}")
    return taken


def measure(commands: dict[str, list[str]], environ: dict[str, str]) -> dict[str, list[float]]:
    """Times of each command and of the yardstick, round by round."""
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            taken[name].append(milliseconds(command, environ))
    return taken


def report(taken: dict[str, list[float]]) -> None:
    """One line a verb."""
    base = taken.pop("pass")
    yardstick = statistics.median(base)
    for name, times in taken.items():
        fast = name in ("at status", "at")
        ratio = statistics.median(mine / pair for mine, pair in zip(times, base, strict=True))
        beyond = statistics.median(mine - pair for mine, pair in zip(times, base, strict=True))
        figure = {
            "name": name if fast else f"{name}, beyond the yardstick",
            "value": round(statistics.median(times) if fast else beyond, 2),
            "unit": "ms",
            "yardstick": round(yardstick, 2),
            "yardstick_name": "python -c pass",
            "ratio": round(ratio, 3),
            "limit": STATUS_LIMIT if fast else VERB_LIMIT_MS,
            "limit_of": "ratio" if fast else "value",
        }
        print(json.dumps(figure))


def main() -> None:
    """Make a repository and a home, measure, take both away."""
    folder = Path(tempfile.mkdtemp(prefix="at-bench-"))
    environ = {**os.environ, "AT_HOME": str(folder / "home")}
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
        commands = {"pass": YARDSTICK, "at": [at()], "at status": [at(), "status"]}
        for verb in VERBS:
            words = [word.format(bead=bead) for word in verb]
            commands[f"at {verb[0]}"] = [at(), *words]
        report(measure(commands, environ))
    finally:
        subprocess.run([at(), "down"], env=environ, check=False, capture_output=True)
        os.chdir("/")
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
