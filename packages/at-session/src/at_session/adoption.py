"""Sessions that a person began with a CLI themselves: found by the CLI's own id, and gone on with in another folder.

A driver whose CLI allows that has an `Adoption` in its capabilities. The person's own record is read, never changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


@dataclass(frozen=True, slots=True)
class OwnSession:
    """A session as the CLI keeps it. `record` is its file, `folder` the one that it was begun in, None if that is not told."""

    id: str
    record: Path
    folder: str | None


class Adoption(Protocol):
    """How one CLI's sessions are found, and made known to it in another folder. `env` is the person's environment."""

    def find(self, session_id: str, env: Mapping[str, str], not_below: str = "") -> OwnSession | None:
        """The session of that id, if the CLI has one with anything said in it. Reads files; raises OSError.

        Records of folders below `not_below` are copies that `carry` made, and no person's.
        """

    def carry(self, own: OwnSession, cwd: str, private_dir: str, env: Mapping[str, str]) -> str:
        """Let a process in `cwd` resume it; the id by which it does. Doing it again does no harm and takes nothing back.

        `cwd` stands for the folder that `own` names. Raises CannotCarry, OSError.
        """


def is_session_id(text: str) -> bool:
    """Whether this may be the id of a session: nothing in it means anything to a file system."""
    return _ID.fullmatch(text) is not None


def copy_once(record: Path, to: Path, content: bytes) -> None:
    """Write the content of `record` to a file that is not there yet, with its mode closed to others; whole or not at all."""
    if to.exists():
        return
    to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = to.with_name(f".{to.name}.at-{record.stat().st_ino}")
    beside.write_bytes(content)
    beside.chmod(0o600)
    beside.replace(to)
