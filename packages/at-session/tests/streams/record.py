"""Records the output of terminal programs for the tests: `python record.py OUTPUT ROWS COLS KEYS -- COMMAND…`.

KEYS is a Python bytes literal's inside; `|` waits until the program has been quiet for a moment before going on.
The program sees TERM=xterm-256color and whatever environment this is started with.
"""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

from ptyprocess import PtyProcess  # type: ignore[import-untyped]

QUIET_SECONDS = 0.7
LARGEST = 100_000


def record(argv: list[str], rows: int, cols: int, keys: list[bytes]) -> bytes:
    """What `argv` writes while `keys` are typed, one entry after each silence; then the terminal is closed."""
    child = PtyProcess.spawn(argv, dimensions=(rows, cols), env={**os.environ, "TERM": "xterm-256color"})
    output = bytearray()
    for entry in [b"", *keys]:
        child.write(entry)
        while select.select([child.fd], [], [], QUIET_SECONDS)[0] and len(output) < LARGEST:
            try:
                output += os.read(child.fd, 65536)
            except OSError:  # EIO: the program has ended
                return bytes(output)
    child.close(force=True)
    return bytes(output)


def main() -> None:
    target, rows, cols, keys, _, *argv = sys.argv[1:]
    typed = keys.encode().decode("unicode_escape").encode("latin-1").split(b"|")
    Path(target).write_bytes(record(argv, int(rows), int(cols), typed)[:LARGEST])


if __name__ == "__main__":
    main()
