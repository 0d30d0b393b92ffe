"""Makes docs/pictures/top-*.svg: `at top` over a day's worth of made-up agents, drawn by its own code in each size and
ground. `python tools/top_pictures.py`.

The document is made up so that the pictures are the same each time; what a real daemon gives is tested elsewhere.
"""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI, MONOKAI, TerminalTheme
from rich.text import Text

from at_cli.top.draw import picture
from at_cli.top.model import State, with_document
from at_cli.top.paper import Paper

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "pictures"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LIGHT = TerminalTheme(
    (250, 250, 247),
    (30, 30, 30),
    [
        (0, 0, 0),
        (176, 0, 0),
        (0, 110, 0),
        (150, 110, 0),
        (0, 0, 160),
        (140, 0, 140),
        (0, 110, 120),
        (90, 90, 90),
    ],
)
NEEDS = (
    ("furiosa", "approval", "Move the store to WAL", "git push --force-with-lease origin store-wal", 4),
    (
        "wren",
        "question",
        "Name the new setting",
        "Is it `cache.size` or `cache.max_size`?\nThe docs say both.",
        11,
    ),
    ("rook", "review", "Fix the flaky clock test", "proved, and nobody has let it land", 37),
    ("larch", "failed", "Port the parser to 3.13", "no change was made after two rounds", 52),
)
AT_WORK = (
    (
        "nux",
        "codex",
        "active",
        "working",
        "Speed up the importer",
        "Bash: pytest -q tests/importer",
        18,
        1.31,
        41,
    ),
    (
        "toast",
        "gemini",
        "active",
        "working",
        "Überschriften übersetzen",
        "Edit: src/messages.py",
        7,
        None,
        None,
    ),
    (
        "capable",
        "claude",
        "pending",
        "usage limit",
        "Split the settings page",
        "limit until 14:00",
        66,
        3.2,
        8,
    ),
    ("dag", "opencode", "idle", "idle", "Draw the new icons", "completed", 95, 0.08, 93),
)
SIZES = ((80, 24), (120, 40))
GROUNDS = {
    "dark": ({"colour": True}, MONOKAI),
    "light": ({"colour": True, "light": True}, LIGHT),
    "no-colour": ({"colour": False}, DIMMED_MONOKAI),
}


def _time(minutes: int) -> str:
    return (NOW - timedelta(minutes=minutes)).isoformat()


def _agent(
    name: str,
    cli: str,
    status: str,
    label: str,
    bead: str,
    last: str,
    minutes: int,
    cost: float | None,
    left: int | None,
) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "cli": cli,
        "status": status,
        "label": label,
        "bead_id": f"bead-{name}",
        "bead": bead,
        "began_at": _time(minutes),
        "ended_at": None,
        "cost_usd": cost,
        "cost_estimated": cli == "codex",
        "context": {"left_percent": left},
        "last": {"at": _time(1), "kind": "tool", "text": last},
    }


def document() -> dict[str, Any]:
    """What the daemon would say."""
    needs: list[dict[str, Any]] = [
        {
            "kind": kind,
            "agent": name,
            "bead": f"bead-{name}",
            "title": title,
            "reason": reason,
            "ask": name if kind in ("approval", "question") else None,
            "acts": [],
            "since": _time(minutes),
        }
        for name, kind, title, reason, minutes in NEEDS
    ]
    asking = [
        _agent(
            name, "claude", "pending", kind, title, reason.split("\n")[0], minutes + 20, 0.42, 100 - minutes
        )
        for name, kind, title, reason, minutes in NEEDS
    ]
    return {"rig_name": "shop", "needs": needs, "agents": [*asking, *(_agent(*each) for each in AT_WORK)]}


def drawn(columns: int, lines: int, ground: str) -> str:
    """One picture as an SVG."""
    settings, theme = GROUNDS[ground]
    state = with_document(State(), document())
    text = "\n".join(picture(state, Paper(columns, lines, **settings), NOW))
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text), overflow="crop", no_wrap=True)
    svg = console.export_svg(title="at top", unique_id=f"top-{columns}-{ground}", theme=theme)
    # No font from elsewhere: the picture must not make a browser fetch anything.
    return re.sub(r"@font-face \{.*?\}\n", "", svg, flags=re.DOTALL)


def main() -> None:
    """Write them all."""
    for columns, lines in SIZES:
        for ground in GROUNDS:
            path = PICTURES / f"top-{columns}x{lines}-{ground}.svg"
            path.write_text(drawn(columns, lines, ground))
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
