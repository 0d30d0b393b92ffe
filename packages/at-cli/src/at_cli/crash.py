"""Where the traceback of a defect goes."""

from __future__ import annotations

import os
import traceback

from at_cli.clock import now
from at_core.paths import Home


def write_traceback(home: Home, error: BaseException) -> str | None:
    """Append the traceback to `logs/cli.log` in the home folder, if there is one; the file's path, else None."""
    if not home.root.is_dir():
        return None
    path = home.logs / "cli.log"
    text = f"{now().isoformat()} pid {os.getpid()}\n" + "".join(traceback.format_exception(error))
    try:
        home.logs.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as log:
            log.write(text)
    except OSError:
        return None
    return str(path)
