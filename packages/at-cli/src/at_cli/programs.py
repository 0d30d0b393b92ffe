"""The person's own programs that `at` starts in their terminal and waits for: the pager and the difftool."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import UnsupportedOperation
from typing import BinaryIO

from at_cli.errors import ToolFailed

_NO_PAGER = ("", "cat")
_CANNOT_START = (126, 127)
_LESS = {"LESS": "FRX", "LV": "-c"}
"""What git gives a pager whose own variables are not set: colours pass, and one page needs no key."""


def pager_of(repository: str, environ: Mapping[str, str]) -> str | None:
    """The shell command that git would page with there (GIT_PAGER, core.pager, PAGER, else less); None: no pager."""
    asked = ["git", "-C", repository, "var", "GIT_PAGER"]
    try:
        done = subprocess.run(
            asked, env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    command = done.stdout.strip() if done.returncode == 0 else environ.get("PAGER", "less")
    return None if command in _NO_PAGER else command


def is_own_terminal(stream: BinaryIO) -> bool:
    """Whether the stream is a terminal that another program can be given."""
    try:
        return os.isatty(stream.fileno())
    except (OSError, UnsupportedOperation):
        return False


def page(command: str, body: bytes, environ: Mapping[str, str]) -> int | None:
    """Show `body` with the pager; its exit code, None if it could not be started."""
    process = subprocess.Popen(["/bin/sh", "-c", command], stdin=subprocess.PIPE, env={**_LESS, **environ})
    with _left_to_the_program():
        process.communicate(body)  # a person who has read enough closes the pipe, which is no error here
    return None if process.returncode in _CANNOT_START else process.returncode


def difftool(repository: str, start: str, head: str, environ: Mapping[str, str]) -> None:
    """Open `git difftool` as the person has set it up; raises `ToolFailed`."""
    _run(["git", "-C", repository, "difftool", start, head, "--"], environ)


def _run(command: Sequence[str], environ: Mapping[str, str]) -> None:
    try:
        process = subprocess.Popen(list(command), env=dict(environ))
    except OSError as error:
        raise ToolFailed(command[0], error.strerror or str(error)) from None
    with _left_to_the_program():
        code = process.wait()
    if code:
        raise ToolFailed("git difftool", f"it ended with exit code {code}")


@contextmanager
def _left_to_the_program() -> Iterator[None]:
    """Ctrl-C means the program that has the terminal, as in a shell."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
