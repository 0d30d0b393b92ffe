"""`at top` over many demo agents in mixed states: its share of a core, the daemon's, and a key's way to the screen.

`python bench/top.py [AGENTS]`; one JSON line a figure, as `tools/bench.py` takes them.
"""

from __future__ import annotations

import json
import os
import select
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from acceptance.live import Live, live
from acceptance.product import AT, Product, make_product

AGENTS = 100
STATES = ("ask Which one?", "shell touch it", "stream 600", "limit 600")
KEYS = 100
SECONDS = 10.0
TICKS = os.sysconf("SC_CLK_TCK")


def begin(product: Product, agents: int) -> None:
    """Start them, and wait until those that ask have asked."""
    product.at("config", "general.max_agents", str(agents))
    product.at("config", "ui.notify", "off")
    for number in range(agents):
        product.start(STATES[number % len(STATES)])
    asking = sum(number % len(STATES) < 2 for number in range(agents))
    while len(product.json("approvals")["approvals"]) < asking:
        time.sleep(0.5)


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def read_on(top: Live, seconds: float) -> None:
    """Read for so long, so that it never waits for us."""
    until = time.perf_counter() + seconds
    while (left := until - time.perf_counter()) > 0:
        if select.select([top.master], [], [], left)[0]:
            os.read(top.master, 65536)


def shares(top: Live, daemon: int) -> tuple[float, float]:
    """What the screen and the daemon use of a core, in percent."""
    pids = (top.process.pid, daemon)
    before = [cpu_seconds(pid) for pid in pids]
    began = time.perf_counter()
    read_on(top, SECONDS)
    passed = time.perf_counter() - began
    used = [cpu_seconds(pid) - first for pid, first in zip(pids, before, strict=True)]
    return used[0] / passed * 100, used[1] / passed * 100


def key_to_screen(top: Live) -> list[float]:
    """Milliseconds from a key to the first byte that it has written, again and again."""
    delays = []
    for number in range(KEYS):
        read_on(top, 0.02)
        began = time.perf_counter()
        top.press("j" if number % 20 < 10 else "k")
        select.select([top.master], [], [], 5)
        delays.append((time.perf_counter() - began) * 1000)
    return delays


def report(name: str, value: float, unit: str, limit: float, agents: int) -> None:
    """Print one figure."""
    figure = {"name": name, "value": round(value, 2), "unit": unit, "yardstick": f"{agents} agents"}
    print(json.dumps(figure | {"limit": limit, "limit_of": "value"}), flush=True)


def main(agents: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        product = make_product(Path(folder))
        try:
            begin(product, agents)
            with live(product, AT, "top", columns=120, lines=40) as top:
                top.until("need you")
                mine, daemon = shares(top, product.daemon_pid())
                delays = key_to_screen(top)
                top.press("q")
        finally:
            product.at("down")
    report("at top, share of a core", mine, "%", 5.0, agents)
    report("the daemon beside it", daemon, "%", 15.0, agents)
    report("key to screen, p50", median(delays), "ms", 30.0, agents)
    report("key to screen, p99", quantiles(delays, n=100)[98], "ms", 30.0, agents)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else AGENTS)
