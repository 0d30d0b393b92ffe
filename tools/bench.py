"""Runs the benchmarks and prints one table: name, value, yardstick, ratio, limit, verdict.

    python tools/bench.py [WORD …]      only scripts whose path contains one of the words

A benchmark is a script `packages/*/bench/*.py` or `bench/*.py`; `bench/long/*.py` take minutes and run only when a word
names them (`prove`, or `long` for all). It prints one JSON object per line:

    {"name": str, "value": number, "unit": str,
     "yardstick": number | str | null    what the value is compared with: its figure in the same run, or its name
     "yardstick_name": str, "ratio": number   both optional; without a ratio it is value by yardstick
     "limit": number | null, "limit_of": "value" | "ratio", "higher_is_better": bool}

`higher_is_better` left out: for units that end in `/s`. `limit_of` left out: the ratio if there is one and lower is
better, else the value.

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
    """One figure; `value` and a numeric `yardstick` in `unit`."""

    name: str
    value: float
    unit: str = ""
    yardstick: float | str | None = None
    yardstick_name: str | None = None
    ratio: float | None = None
    limit: float | None = None
    limit_of: str | None = None
    higher_is_better: bool | None = None

    @property
    def against(self) -> float | None:
        """The ratio: as given, else value by yardstick."""
        if self.ratio is None and isinstance(self.yardstick, int | float) and self.yardstick:
            return self.value / self.yardstick
        return self.ratio

    @property
    def wants_more(self) -> bool:
        """Whether more is better."""
        return self.unit.endswith("/s") if self.higher_is_better is None else self.higher_is_better

    @property
    def judges_ratio(self) -> bool:
        """Whether the limit is one of the ratio."""
        if self.limit_of is not None:
            return self.limit_of == "ratio"
        return self.against is not None and not self.wants_more

    @property
    def verdict(self) -> str:
        """`ok`, `missed`, or `-` where no limit is set."""
        judged = self.against if self.judges_ratio else self.value
        if self.limit is None or judged is None:
            return "-"
        return "ok" if (judged >= self.limit if self.wants_more else judged <= self.limit) else "missed"

    def row(self) -> tuple[str, ...]:
        """The cells of the table."""
        named = self.yardstick if isinstance(self.yardstick, str) else self.yardstick_name
        figure = f"{self.yardstick:,.4g}" if isinstance(self.yardstick, int | float) else ""
        limit = "" if self.limit is None else f"{'≥' if self.wants_more else '≤'} {self.limit:,g}"
        return (
            self.name,
            f"{self.value:,.4g} {self.unit}".rstrip(),
            f"{figure} {f'({named})' if named and figure else named or ''}".strip(),
            "" if self.against is None else f"{self.against:.2f} ×",
            f"{limit} ×" if limit and self.judges_ratio else limit,
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


def chosen(root: Path, words: list[str]) -> list[Path]:
    """The scripts whose path contains one of the words; without words, all but the long ones."""
    places = ["packages/*/bench/*.py", "bench/*.py", *(["bench/long/*.py"] if words else [])]
    scripts = sorted(path for place in places for path in root.glob(place))
    return [
        path for path in scripts if not words or any(word in str(path.relative_to(root)) for word in words)
    ]


def main(words: list[str]) -> int:
    """0 if every script ran and every limit was met."""
    wanted = chosen(ROOT, words)
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
