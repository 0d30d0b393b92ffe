"""Every verb on a repository of 50,000 files and 5,000 branches: what it takes beyond the start of `at` and git's own.

`python bench/big_repository.py [FILES] [BRANCHES]`; one JSON line a figure, as `tools/bench.py` takes them. The time in
which at least one git process runs is git's own, by its own trace (trace2), and told beside ours. Verbs that check files
out (`run`, `undo`) are timed until they answer; the files follow in the background.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from acceptance.product import Product, make_product

FILES, BRANCHES, TIMES = 50_000, 5_000, 7
LIMIT_MILLISECONDS = 300.0


def history(files: int, branches: int) -> Iterator[bytes]:
    """A stream for `git fast-import`: one commit with all files, and a branch with one commit more each."""
    yield b"blob\nmark :1\ndata 5\nhello\n"
    yield _commit("refs/heads/main", 2, "Import")
    for number in range(files):
        yield b"M 100644 :1 src/part-%03d/module-%05d.txt\n" % (number % 500, number)
    for number in range(branches):
        yield _commit(f"refs/heads/topic/{number:04d}", 3 + number, f"Topic {number}", b"from :2\n")
        yield b"M 100644 :1 topic/%04d.txt\n" % number


def _commit(ref: str, mark: int, message: str, parent: bytes = b"") -> bytes:
    text = message.encode()
    who = b"Ada Example <ada@example.com> 1700000000 +0000"
    return (
        f"commit {ref}\nmark :{mark}\n".encode()
        + b"committer %s\ndata %d\n%s\n" % (who, len(text), text)
        + parent
    )


def grow(product: Product, files: int, branches: int) -> None:
    """Give the product's repository that history and check it out."""
    command = ["git", "fast-import", "--quiet", "--force"]
    stream = b"".join(history(files, branches))
    subprocess.run(command, cwd=product.repo, env=product.env, input=stream, check=True)
    product.git("reset", "-q", "--hard", "main")


def taken(product: Product, *words: str, codes: tuple[int, ...] = (0,)) -> tuple[float, float]:
    """Milliseconds of one call, a program of its own, and of those the ones in which git ran."""
    trace = product.home.parent / "trace"
    trace.unlink(missing_ok=True)
    began = time.time()
    ran = product.at(*words)
    ended = time.time()
    assert ran.code in codes, f"at {' '.join(words)}: {ran.stderr}"
    return (ended - began) * 1000, of_git(trace, began, ended) * 1000


def of_git(trace: Path, began: float, ended: float) -> float:
    """Seconds of a span in which at least one git process ran."""
    starts: dict[str, float] = {}
    spans: list[tuple[float, float]] = []
    for line in trace.read_text().splitlines() if trace.exists() else ():
        event = json.loads(line)
        if event["event"] == "start":
            starts[event["sid"]] = moment(event)
        elif event["event"] == "atexit" and event["sid"] in starts:
            spans.append((starts.pop(event["sid"]), moment(event)))
    spans += [(start, ended) for start in starts.values()]  # they go on in the background
    total, until = 0.0, began
    for first, last in sorted(spans):
        first, last = max(first, until), min(last, ended)
        if last > first:
            total, until = total + last - first, last
    return total


def moment(event: dict[str, Any]) -> float:
    """When something was traced, in seconds since the epoch."""
    return datetime.fromisoformat(event["time"]).timestamp()


def measured(
    product: Product, *words: str, times: int = TIMES, codes: tuple[int, ...] = (0,)
) -> tuple[float, float]:
    """The medians of several calls."""
    calls = [taken(product, *words, codes=codes) for _ in range(times)]
    return median(whole for whole, _ in calls), median(git for _, git in calls)


def report(verb: str, found: tuple[float, float], start: float, size: str) -> None:
    """Print one figure."""
    whole, git = found
    figure = {
        "name": f"big repository: at {verb}",
        "value": round(max(0.0, whole - git - start), 1),
        "unit": "ms",
    }
    yardstick = f"{size}; beyond `at --version` ({start:.0f} ms) and git ({git:.0f} ms)"
    print(
        json.dumps(figure | {"yardstick": yardstick, "limit": LIMIT_MILLISECONDS, "limit_of": "value"}),
        flush=True,
    )


def main(files: int, branches: int) -> None:
    """Measure all of them."""
    size = f"{files:,} files, {branches:,} branches"
    with tempfile.TemporaryDirectory() as folder:
        product = make_product(Path(folder))
        os.environ["AT_TEST_PROGRAMS"] = "1"
        settings = Path(product.env["HOME"]) / ".gitconfig"
        with settings.open("a", encoding="utf-8") as config:
            config.write(f"[trace2]\n\teventTarget = {product.home.parent / 'trace'}\n")
        grow(product, files, branches)
        product.at("up")
        try:
            measure(product, size)
        finally:
            product.at("down")


def measure(product: Product, size: str) -> None:
    """Once each what changes something, several times what only looks."""
    start, _ = measured(product, "--version")
    report("init", measured(product, "init", times=1), start, size)
    report("run", measured(product, "run", "write new.txt x", "--cli", "demo", times=1), start, size)
    bead = product.json("ls")["beads"][0]["id"]
    product.wait(bead, "bead.proved")
    agent = product.json("show", bead)["agent"]["name"]
    for words in (
        ("status",),
        ("ls",),
        ("show", bead),
        ("diff", bead),
        ("next",),
        ("agents",),
        ("explain", agent),
        ("events",),
        ("costs",),
        ("approvals",),
        ("after", bead),
        ("attic",),
        ("logs", agent),
        ("open", bead),
        ("rules",),
    ):
        report(words[0], measured(product, *words), start, size)
    report("land", measured(product, "land", bead, times=1), start, size)
    second = product.start("write other.txt x")
    product.wait(second, "bead.proved")
    report("rm", measured(product, "rm", second, times=1), start, size)
    # Its folder is large: it may say that it comes back once that is filled.
    report("undo", measured(product, "undo", times=1, codes=(0, 75)), start, size)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3] or (FILES, BRANCHES)))
