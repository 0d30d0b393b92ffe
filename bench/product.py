"""The product as a whole: a run against the same git commands by hand, and finding twenty agents again.

`python bench/product.py [ROUNDS]`; one JSON line a figure, as `tools/bench.py` takes them.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from acceptance.product import Product, make_product

AGENTS = 20


def same_commands(product: Product, number: int) -> float:
    """Seconds of the git commands that `at run --land` executes (`strace -f -e execve` of the daemon), one by one.

    The product lays a clone out by itself; by hand it is `git clone`. Gates are left out, as there are none here.
    """
    git, folder, branch = product.git, product.repo.parent / f"same-{number}", f"at/same-{number}"
    there = ("-C", str(folder))
    began = time.perf_counter()
    git("config", "--list", "-z")
    git("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/", "refs/remotes/", "refs/tags/")
    base = git("rev-parse", "--verify", "--quiet", "refs/heads/main^{commit}").strip()
    git("update-ref", f"refs/at/base/same-{number}", base)
    git("clone", "--quiet", "--shared", "--no-checkout", str(product.repo), str(folder))
    git(*there, "switch", "--quiet", "--create", branch)
    (folder / f"same-{number}.txt").write_text("x\n")
    git("for-each-ref", "--format=%(objectname)%00%(refname)%00%(worktreepath)%00", "refs/heads/")
    git("config", "--list", "-z")
    git(*there, "diff-index", "--cached", "--raw", "-z", "--no-renames", base)
    git(*there, "ls-files", "-z", "-t", "-m", "-o", "--exclude-standard")
    git(*there, "update-index", "--add", f"same-{number}.txt")
    tree = git(*there, "write-tree").strip()
    head = git(*there, "commit-tree", tree, "-p", base, "-m", "by hand").strip()
    git("fetch", "--quiet", str(folder), head)
    git("rev-list", "--topo-order", "--boundary", "--no-commit-header", "--format=%m %H %T", head, f"^{base}")
    git("diff-tree", "-r", "-z", "--numstat", "--no-renames", base, head)
    git("update-ref", f"refs/heads/{branch}", head)
    git("cat-file", "-p", f"{base}^{{tree}}")
    git("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", base, head)
    git("config", "--list", "-z")
    merge = git("commit-tree", tree, "-p", base, "-p", head, "-m", "merged by hand").strip()
    git("for-each-ref", "--format=%(objectname)%00%(refname)%00%(worktreepath)%00", "refs/heads/main")
    git("diff-tree", "-r", "-z", "--raw", "--no-renames", "--full-index", base, merge)
    git("update-ref", "refs/heads/main", merge, base)
    git("read-tree", "-m", "-u", base, merge)
    return time.perf_counter() - began


def by_hand(product: Product, number: int) -> float:
    """Seconds of the few git commands that a careful person would type for one change."""
    folder, branch = product.repo.parent / f"hand-{number}", f"hand-{number}"
    began = time.perf_counter()
    product.git("clone", "--quiet", "--shared", str(product.repo), str(folder))
    product.git("-C", str(folder), "switch", "--quiet", "--create", branch)
    (folder / f"hand-{number}.txt").write_text("x\n")
    product.git("-C", str(folder), "add", "--all")
    product.git("-C", str(folder), "commit", "--quiet", "--message", "by hand")
    product.git("fetch", "--quiet", str(folder), f"{branch}:{branch}")
    product.git("merge", "--quiet", "--no-ff", "--no-edit", branch)
    return time.perf_counter() - began


def run(product: Product, number: int) -> float:
    """Seconds of `at run --land --wait` on the demo agent, the daemon being up."""
    began = time.perf_counter()
    product.json("run", f"write run-{number}.txt x", "--cli", "demo", "--land", "--wait", "--timeout", "50")
    return time.perf_counter() - began


def start(product: Product) -> float:
    """Seconds until a killed daemon is back, with every agent that is held."""
    product.kill_daemon()
    began = time.perf_counter()
    assert product.at("up").code == 0
    return time.perf_counter() - began


def main(rounds: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        product = make_product(Path(folder))
        try:
            product.run("write first.txt x")
            figures = [
                (run(product, number), same_commands(product, number), by_hand(product, number))
                for number in range(rounds)
            ]
            ours, same, few = (median(column) for column in zip(*figures, strict=True))
            report("at run --land --wait, demo agent", ours, same, 2.0, "its git commands by hand")
            report("the same, against the fewest", ours, few, None, "seven git commands")
            empty = median(start(product) for _ in range(3))
            beads = [product.start(f"write held-{number}.txt x") for number in range(AGENTS)]
            for bead in beads:
                product.wait(bead, "bead.proved")
            full = median(start(product) for _ in range(3))
            figure = {
                "name": f"re-adopting {AGENTS} agents",
                "value": round(full - empty, 3),
                "unit": "s",
                "limit": 1.0,
            }
            figure |= {
                "limit_of": "value",
                "yardstick": f"a start without agents: {empty:.2f} s",
                "ratio": None,
            }
            print(json.dumps(figure))
        finally:
            product.at("down")


def report(name: str, value: float, yardstick: float, limit: float | None, against: str) -> None:
    """One figure with its ratio."""
    figure = {
        "name": name,
        "value": round(value, 3),
        "unit": "s",
        "yardstick": f"{against}: {yardstick:.3f} s",
    }
    figure |= {"ratio": round(value / yardstick, 2), "limit": limit, "limit_of": "ratio"}
    print(json.dumps(figure))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
