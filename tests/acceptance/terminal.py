"""`at` on a terminal of its own, as a person has it."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Mapping

from acceptance.product import AT, PATIENCE_SECONDS, Product


def on_terminal(product: Product, *words: str, env: Mapping[str, str] | None = None) -> tuple[int, str]:
    """The exit code, and all that the terminal showed, with plain line ends."""
    master, slave = os.openpty()
    process = subprocess.Popen(
        [AT, *words],
        cwd=product.repo,
        env=product.env | {"TERM": "xterm", "NO_COLOR": "1"} | dict(env or {}),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    shown = b""
    try:
        while chunk := _read(master):
            shown += chunk
    finally:
        os.close(master)
        process.kill()
    return process.wait(), shown.decode(errors="replace").replace("\r\n", "\n")


def _read(master: int) -> bytes:
    assert select.select([master], [], [], PATIENCE_SECONDS)[0], "nothing was shown for too long"
    try:
        return os.read(master, 65536)
    except OSError:  # what Linux says once nobody has the other end any more
        return b""
