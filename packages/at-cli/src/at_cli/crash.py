"""Where the traceback of a defect goes: into the product's logs, through the one sink that hides secrets."""

from __future__ import annotations

from collections.abc import Mapping

from at_core.paths import Home


def write_traceback(home: Home, environ: Mapping[str, str], error: BaseException) -> str | None:
    """Append the traceback to `logs/at.jsonl` in the home folder, if there is one; the file's path, else None."""
    import logging

    from at_telemetry.logging import end_logging, init_logging_files

    if not home.root.is_dir():
        return None
    try:
        path = init_logging_files("at", "error", home.logs, environment=environ)
    except OSError:
        return None
    logging.getLogger(__name__).error("a defect ended the call", exc_info=error)
    end_logging()
    return str(path)
