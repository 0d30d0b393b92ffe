"""How fast the terminal engines read, and what looking, saving and marking cost. Prints JSON lines for tools/bench.py.

Reading is measured on the tests' recorded streams of real programs and on two floods; the yardstick is pyte on the
same bytes in the same run. Times are CPU times: nothing here waits, and other work on the machine does not count.

    python packages/at-session/bench/terminal.py [--megabytes N]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import process_time

from at_session.engines import Engine
from at_session.engines.avt import AvtEngine
from at_session.engines.ghostty import GhosttyEngine
from at_session.engines.pyte import PyteEngine
from at_session.engines.quarantine import QuarantineLedger
from at_session.terminal import Terminal

STREAMS = Path(__file__).resolve().parent.parent / "tests" / "streams"
LEAST_TIMES_PYTE = 10.0
PIECE = 64 << 10


def report(name: str, value: float, unit: str, **more: object) -> None:
    """One figure as a JSON line."""
    print(
        json.dumps({"name": f"terminal: {name}", "value": round(value, 3), "unit": unit, **more}), flush=True
    )


def recorded() -> dict[str, tuple[int, int, bytes]]:
    """Rows, columns and bytes of every recorded stream."""
    streams = {}
    for path in sorted(STREAMS.glob("*.bin")):
        name, _, size = path.stem.rpartition("-")
        rows, cols = map(int, size.split("x"))
        streams[name] = (rows, cols, path.read_bytes())
    return streams


def floods() -> dict[str, tuple[int, int, bytes]]:
    """What a runaway command writes: short lines, and a build log with colours and CJK."""
    lines = "".join(
        f"\x1b[3{n % 8}mline {n} of a log that says 你好\x1b[0m and goes on\r\n" for n in range(1000)
    )
    return {"flood of yes": (40, 120, b"y\r\n" * 20_000), "flood of a log": (40, 120, lines.encode())}


def speed(engine: type[Engine], rows: int, cols: int, stream: bytes, size: int) -> float:
    """MB/s over `size` bytes of `stream` repeated, in pieces as a PTY gives them."""
    data = stream * max(1, size // len(stream))
    terminal = engine(rows, cols)
    began = process_time()
    for start in range(0, len(data), PIECE):
        terminal.feed(data[start : start + PIECE])
    took = process_time() - began
    terminal.close()
    return len(data) / took / 1e6


def reading(size: int) -> None:
    for name, (rows, cols, stream) in (recorded() | floods()).items():
        yardstick = speed(PyteEngine, rows, cols, stream, size // 80)
        for engine in (GhosttyEngine, AvtEngine):
            value = max(speed(engine, rows, cols, stream, size) for _ in range(3))
            limit = {"limit": LEAST_TIMES_PYTE, "limit_of": "ratio"} if engine is GhosttyEngine else {}
            against = {"yardstick": round(yardstick, 3), "yardstick_name": "pyte"}
            report(
                f"{engine.name} reads {name}",
                value,
                "MB/s",
                **against,
                ratio=round(value / yardstick, 1),
                **limit,
            )


def milliseconds(action: Callable[[], object], times: int = 15) -> float:
    """The median of `times` runs."""
    spent = []
    for _ in range(times):
        began = process_time()
        action()
        spent.append((process_time() - began) * 1e3)
    return statistics.median(spent)


def looking() -> None:
    rows, cols, stream = recorded()["claude"]
    terminal = Terminal(rows, cols)
    half = len(stream) // 2

    def full() -> None:
        terminal.feed(b"\x1b[H\x1b[2J" + stream[:half])
        terminal.renderable_content()

    def spinner() -> None:
        terminal.feed("\r\x1b[38;2;200;100;0m✽ Undulating…\x1b[0m".encode())
        terminal.renderable_content()

    full()
    report("look, every row changed", milliseconds(full), "ms")
    report("look, one row changed", milliseconds(spinner), "ms")
    report("look, nothing changed", milliseconds(terminal.renderable_content), "ms")


def saving() -> None:
    terminal = Terminal(40, 120)
    for _ in range(8):
        terminal.feed(floods()["flood of a log"][2])
    terminal.text()
    snapshot = terminal.snapshot()
    report("snapshot with 5000 rows of scrollback", len(snapshot) / 1024, "KiB")
    report("take that snapshot", milliseconds(terminal.snapshot), "ms")
    report("restore it", milliseconds(lambda: Terminal.from_snapshot(snapshot)), "ms")
    report("page of 100 rows of scrollback", milliseconds(lambda: terminal.scrollback(2000, 100)), "ms")


def marking(times: int = 20_000) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = QuarantineLedger(Path(folder) / "reading")
        guard = ledger.guard("0b9fbd33-2b45-4a7e-9f6d-6d9a0c6f4c11")

        def marked() -> None:
            for offset in range(times):
                with guard.reading(offset, offset + 1):
                    pass

        report("marking one read", milliseconds(marked, 5) / times * 1e3, "µs")
        ledger.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--megabytes", type=float, default=8.0, help="bytes per measurement of the fast engines"
    )
    reading(int(parser.parse_args().megabytes * 1e6))
    looking()
    saving()
    marking()


if __name__ == "__main__":
    main()
