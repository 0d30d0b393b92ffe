"""From the moment at which a need arises to the start of the notifier, over demo agents that ask; prints JSON lines.

`python bench/notices.py [NEEDS]`. A stand-in for `notify-send` writes down when it was started; the need's own time is
`opened_at`, which is read from the clock before the transaction that brings it begins.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from acceptance.product import Product, make_product

AGENTS = 5
LIMIT_MS = 300.0
NOTIFIER = """\
#!/bin/sh
echo "$(date +%s.%N) ${{4%% *}} ${{5##* }}" >> {log}
echo 1
"""


def stand_in(product: Product, folder: Path) -> Path:
    """Put it first on PATH; its log."""
    programs, log = folder / "programs", folder / "log"
    programs.mkdir()
    program = programs / "notify-send"
    program.write_text(NOTIFIER.format(log=log))
    program.chmod(0o755)
    product.env["PATH"] = f"{programs}:{product.env['PATH']}"
    return log


def ask_often(product: Product, times: int) -> None:
    """Agents that ask, one approval after the other, until that many needs arose."""
    prompt = "\n".join(f"shell touch {number}" for number in range(times // AGENTS + 1))
    for _ in range(AGENTS):
        product.start(prompt)
    decided: set[str] = set()
    while len(decided) < times:
        for need in product.json("next", "--wait")["needs"]:
            if need["ask"] and need["ask"] not in decided:
                decided.add(need["ask"])
                product.at("approve", need["ask"])


def _key(need: dict[str, Any]) -> tuple[str, str]:
    """What the stand-in writes down too: the agent, and the last word of what it asks."""
    return need["agent"], need["reason"].split()[-1]


def main(times: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        product = make_product(Path(folder))
        log = stand_in(product, Path(folder))
        try:
            product.at("config", "ui.notify", "desktop")
            ask_often(product, times)
            needs = product.json("next", "--history")["interruptions"]
            opened = {_key(need): datetime.fromisoformat(need["opened_at"]) for need in needs}
            while len(log.read_text().splitlines()) < times:
                time.sleep(0.05)
            shown = [line.split() for line in log.read_text().splitlines()]
        finally:
            product.at("down")
    delays = [
        (float(moment) - opened[agent, word].timestamp()) * 1000
        for moment, agent, word in shown
        if (agent, word) in opened
    ]
    base = {"unit": "ms", "yardstick": f"{len(delays)} needs, {len(shown)} notices", "limit_of": "value"}
    print(json.dumps({"name": "need to notice, p50", "value": round(median(delays), 1), **base}))
    p99 = quantiles(delays, n=100)[98]
    print(json.dumps({"name": "need to notice, p99", "value": round(p99, 1), "limit": LIMIT_MS, **base}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
