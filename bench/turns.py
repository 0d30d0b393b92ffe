"""What the product adds to a real CLI: to its start, and to a turn. JSON lines for `tools/bench.py`.

    python bench/turns.py [ROUNDS] [CLI …]

Each round plays the same turn twice, on plain pipes with the driver alone and by the product, in changing order: the
CLI is started in a fresh clone of a small repository, takes a prompt, writes a file as the scripted model tells it, and
ends its turn. There are no gates.

start: from the order's event (`bead.added`) to that of the accepted prompt (`message.accepted`); on plain pipes from
the start of the process to the driver's PromptAccepted. turn: from there to the proof (`bead.proved`); on plain pipes
to the driver's TurnEnded.

`added` is the difference of the medians. CLIs vary by more than that from run to run, so it is judged only where
twice its standard error (of medians, from the quartiles) is less than the limit; else its line says `not judged`.
`our part` is what the holders' journals say of the same runs: the times in which the CLI was not started yet, may have
waited for a line of ours, or had ended its turn. Whatever else uses the processor makes it longer, the
least included: on a machine with other work a missed limit tells nothing.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from math import hypot, sqrt
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from played.place import place, sealed_commands
from played.turn import Ours, Plain, ours, plain

from at_cli.prove.site import Site
from at_session.rehearsal.clis import CLIS

ROUNDS = 12
START_LIMIT_MS = 80.0
TURN_LIMIT_MS = 150.0


def play(site: Site, rounds: int) -> tuple[list[Plain], list[Ours]]:
    """The rounds of one CLI, after one that warms up what is read from disk."""
    plainly, by_us = [plain(site, "warm-plain")], [ours(site, "warm-ours")]
    for number in range(rounds):
        if number % 2:
            by_us.append(ours(site, f"ours-{number}"))
        plainly.append(plain(site, f"plain-{number}"))
        if not number % 2:
            by_us.append(ours(site, f"ours-{number}"))
    return plainly[1:], by_us[1:]


def added(name: str, ours: Sequence[float], plain: Sequence[float], limit: float) -> None:
    """The line of what we add."""
    error = 2 * hypot(error_of_median(ours), error_of_median(plain)) * 1000
    beside = f"± {error:.0f}, beside {median(plain) * 1000:.0f} on plain pipes"
    if error < limit:
        line(f"{name}, added", median(ours) - median(plain), limit, beside)
    else:
        told = f"not judged: the noise exceeds the limit of {limit:.0f}; {beside}"
        line(f"{name}, added", median(ours) - median(plain), None, told)


def error_of_median(values: Sequence[float]) -> float:
    """Standard error of the median, by the quartiles, as if the values were normally distributed."""
    low, _, high = quantiles(values, n=4, method="inclusive")
    return 1.253 * (high - low) / 1.349 / sqrt(len(values))


def own(name: str, seconds: Sequence[float], limit: float, parts: str) -> None:
    """Two lines: our own part at the middle, which is judged, and at the 95th percentile."""
    line(f"{name}, our part, p50", median(seconds), limit, f"{parts}; least {min(seconds) * 1000:.0f}")
    line(f"{name}, our part, p95", quantiles(seconds, n=20, method="inclusive")[-1], None, None)


def line(name: str, seconds: float, limit: float | None, against: str | None) -> None:
    """One figure."""
    figure = {"name": name, "value": round(seconds * 1000, 1), "unit": "ms", "yardstick": against}
    print(json.dumps(figure | {"limit": limit, "limit_of": "value"}), flush=True)


def report(cli: str, plainly: Sequence[Plain], by_us: Sequence[Ours]) -> None:
    """The lines of one CLI."""

    def all_of(read: Callable[[Ours], float]) -> list[float]:
        return [read(each) for each in by_us]

    def middle(read: Callable[[Ours], float]) -> str:
        return f"{median(all_of(read)) * 1000:.0f}"

    added(f"{cli}: start", all_of(lambda each: each.start), [each.start for each in plainly], START_LIMIT_MS)
    parts = f"{middle(lambda each: each.until_process)} until its process, {middle(lambda each: each.lines)} our lines"
    own(f"{cli}: start", all_of(lambda each: each.own_start), START_LIMIT_MS, parts)
    added(f"{cli}: turn", all_of(lambda each: each.turn), [each.turn for each in plainly], TURN_LIMIT_MS)
    parts = f"{middle(lambda each: each.until_proof)} after its end, {middle(lambda each: each.later_lines)} our lines"
    own(f"{cli}: turn", all_of(lambda each: each.own_turn), TURN_LIMIT_MS, parts)


def main(rounds: int, clis: Sequence[str]) -> None:
    """Measure and print."""
    commands = sealed_commands()
    for cli in clis:
        with place(commands, cli) as site:
            plainly, by_us = play(site, rounds)
        print(f"{cli}: load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {rounds} rounds")
        report(cli, plainly, by_us)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS, sys.argv[2:] or CLIS)
