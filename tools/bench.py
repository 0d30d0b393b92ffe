"""Runs the benchmarks and prints one table: name, value, yardstick, ratio, limit, verdict.

    python tools/bench.py [WORD …]      only scripts whose path contains one of the words

A benchmark is a script `packages/*/bench/*.py` or `bench/*.py` that prints one JSON object per line:

    {"name": str, "value": number, "unit": str,
     "yardstick": number | null, "yardstick_name": str | null,   what the value is compared with, measured in the same run
     "limit": number | null,         the allowed value, or with a yardstick the allowed ratio
     "higher_is_better": bool}       optional, false when left out

Other lines of a script are shown as they are. Exit code 1 if a limit is missed or a script fails. Nothing is written: a
figure belongs to the machine and the moment that it was measured on.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HEADINGS = ("benchmark", "value", "yardstick", "ratio", "limit", "verdict")


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure; `value` and `yardstick` in `unit`."""

    name: str
    value: float
    unit: str = ""
    yardstick: float | None = None
    yardstick_name: str | None = None
    limit: float | None = None
    higher_is_better: bool = False

    @property
    def ratio(self) -> float | None:
        """Value by yardstick."""
        return self.value / self.yardstick if self.yardstick else None

    @property
    def verdict(self) -> str:
        """`ok`, `missed`, or `-` where no limit is set."""
        if self.limit is None:
            return "-"
        judged = self.value if self.ratio is None else self.ratio
        met = judged >= self.limit if self.higher_is_better else judged <= self.limit
        return "ok" if met else "missed"

    def row(self) -> tuple[str, ...]:
        """The cells of the table."""
        sign = "≥" if self.higher_is_better else "≤"
        times = "×" if self.ratio is not None else ""
        yardstick = (
            "" if self.yardstick is None else f"{self.yardstick:,.4g} ({self.yardstick_name or 'yardstick'})"
        )
        return (
            self.name,
            f"{self.value:,.4g} {self.unit}".rstrip(),
            yardstick,
            "" if self.ratio is None else f"{self.ratio:.2f} ×",
            "" if self.limit is None else f"{sign} {self.limit:,g} {times}".rstrip(),
            self.verdict,
        )


def parse(line: str) -> Measured | None:
    """The figure of one output line, or None if the line is none."""
    if not line.startswith("{"):
        return None
    try:
        given: dict[str, Any] = json.loads(line)
        return Measured(**{name: given[name] for name in Measured.__dataclass_fields__ if name in given})
    except (ValueError, TypeError):
        return None


def table(measured: Iterable[Measured]) -> str:
    """Columns padded to their widest cell."""
    rows = [HEADINGS, *(each.row() for each in measured)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def run(script: Path) -> tuple[list[Measured], bool]:
    """The figures of one script, and whether it ended well; its other output is passed on."""
    done = subprocess.run(
        [sys.executable, str(script)], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    found: list[Measured] = []
    for line in done.stdout.splitlines():
        figure = parse(line)
        if figure is None:
            print(line)
        else:
            found.append(figure)
    return found, done.returncode == 0 and bool(found)


def main(words: list[str]) -> int:
    """0 if every script ran and every limit was met."""
    scripts = sorted([*ROOT.glob("packages/*/bench/*.py"), *ROOT.glob("bench/*.py")])
    wanted = [
        path for path in scripts if not words or any(word in str(path.relative_to(ROOT)) for word in words)
    ]
    measured: list[Measured] = []
    failed: list[str] = []
    for script in wanted:
        print(f"… {script.relative_to(ROOT)}", file=sys.stderr)
        figures, well = run(script)
        measured += figures
        if not well:
            failed.append(str(script.relative_to(ROOT)))
    print(table(measured))
    for name in failed:
        print(f"failed: {name}", file=sys.stderr)
    return 1 if failed or any(each.verdict == "missed" for each in measured) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
