"""Whether a shell command is no more than a list of words, so that a rule can be matched on it exactly."""

from __future__ import annotations

import re
import shlex

# Everything that the shell would change or act on; a backslash is left out too, so nothing hides behind one.
_SHELL_SYNTAX = re.compile(r"[|&;<>()$`\\*?\[\]{}~#!\n\r\0^%]")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")


def argument_list(command: str) -> tuple[str, ...] | None:
    """The arguments of a plain command, or None where a shell would do more than split it into words."""
    if _SHELL_SYNTAX.search(command):
        return None
    try:
        words = shlex.split(command, posix=True)
    except ValueError:
        return None
    if not words or _ASSIGNMENT.match(words[0]):
        return None
    return tuple(words)
