"""What a warm folder saves: seconds from `at run` to the bead's folder, on a repository of 50,000 files.

`python bench/warm_folders.py [FILES] [BRANCHES] [TIMES]`; one JSON line a figure, as `tools/bench.py` takes them.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from big_repository import BRANCHES, FILES, grow

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from acceptance.product import Product, make_product

TIMES = 5
LIMIT_SHARE = 0.5
"""Of the time without it: less is saved only where something is broken."""


def prepared(product: Product, warm: bool) -> tuple[float, int]:
    """Seconds of one bead, from the call to the event of its folder, and that event's number."""
    began = time.time()
    bead = product.start("hang")
    event = product.wait(bead, "folder.prepared")
    assert event["payload"]["warm"] is warm, f"warm: {event['payload']['warm']}"
    product.at("stop", product.json("show", bead)["agent"]["name"])
    return datetime.fromisoformat(event["at"]).timestamp() - began, event["seq"]


def next_warm(product: Product, after: int) -> dict[str, Any]:
    """Wait until a warm folder is there again."""
    return next(event for event in product.happenings(after) if event["type"] == "folder.warmed")


def main(files: int, branches: int, times: int) -> None:
    """Measure both ways, the same beads in the same repository."""
    with tempfile.TemporaryDirectory() as folder:
        product = make_product(Path(folder))
        grow(product, files, branches)
        product.at("up")
        try:
            product.settings("[worktree]\nwarm = 1\n", trust=False)
            plain = [prepared(product, warm=False)[0] for _ in range(times)]
            product.at("trust", "--yes")
            seq, warm, near = 0, list[float](), list[float]()
            for number in range(2 * times):
                next_warm(product, seq)
                if number % 2:
                    product.write("mine.txt", f"{number}\n")
                    product.commit("Mine")
                seconds, seq = prepared(product, warm=True)
                (near if number % 2 else warm).append(seconds)
        finally:
            product.at("down")
        size = f"{files:,} files, {branches:,} branches"
        report(f"at run to its folder, warm: {size}", warm, plain)
        report(f"at run to its folder, warm at the commit before: {size}", near, plain)


def report(name: str, found: Sequence[float], plain: Sequence[float]) -> None:
    """Print one figure."""
    figure = {
        "name": name,
        "value": round(median(found), 3),
        "unit": "s",
        "yardstick": round(median(plain), 3),
        "yardstick_name": "without a warm folder",
        "limit": LIMIT_SHARE,
        "limit_of": "ratio",
    }
    print(json.dumps(figure), flush=True)


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:4]]
    main(*given, *(FILES, BRANCHES, TIMES)[len(given) :])
