"""OpenCode's own record of its sessions: a SQLite database that is only read.

Source: tables `session` and `message` of opencode 1.18.33. Columns beyond those named here do not matter; a database
that is missing, busy or of another shape gives a reason instead of an error.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from at_session import foreign_files
from at_session.drivers.jsonlines import Object, parse, text_of
from at_session.vocabulary import Unparsed

BUSY_SECONDS = 2.0
_MESSAGES = """
    WITH RECURSIVE family(id) AS (
        SELECT id FROM session WHERE id = :session
        UNION SELECT session.id FROM session JOIN family ON session.parent_id = family.id
    )
    SELECT message.id, message.session_id, message.data FROM message JOIN family ON message.session_id = family.id
    ORDER BY message.time_created DESC, message.id DESC LIMIT :most
"""
_TEXTS = "SELECT data FROM part WHERE message_id = :message ORDER BY id"


@dataclass(frozen=True, slots=True)
class RecordedMessage:
    """One message; `data` is the object that the API gives, without its ids."""

    id: str
    session_id: str
    data: Object


def database(env: Mapping[str, str]) -> Path:
    """Where the CLI keeps it."""
    home = env.get("HOME") or os.path.expanduser("~")
    folder = Path(env.get("XDG_DATA_HOME") or Path(home, ".local", "share"), "opencode")
    return folder / (env.get("OPENCODE_DB") or "opencode.db")


def messages(path: Path, session_id: str, most: int) -> list[RecordedMessage] | str:
    """The latest messages of a session and of its inner agents, oldest first; a reason where they cannot be had."""
    rows = _rows(path, _MESSAGES, {"session": session_id, "most": most})
    if isinstance(rows, str):
        return rows
    return [RecordedMessage(str(row[0]), str(row[1]), _object(row[2])) for row in reversed(rows)]


def last_text(path: Path, message_id: str) -> str:
    """The last text of a message; empty where it has none or it cannot be read."""
    rows = _rows(path, _TEXTS, {"message": message_id})
    parts = [] if isinstance(rows, str) else [_object(row[0]) for row in rows]
    texts = [text_of(part.get("text")) for part in parts if part.get("type") == "text"]
    return texts[-1] if texts else ""


def _rows(path: Path, query: str, values: Mapping[str, object]) -> list[tuple[object, ...]] | str:
    address = f"file:{quote(str(path))}?mode=ro"
    try:
        # Looked at and not opened: closing a file that SQLite has open too would end the locks of this process on it.
        for name in (path, *_beside(path)):
            foreign_files.size(name)
        with closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as connection:
            return connection.execute(query, values).fetchall()
    except (sqlite3.Error, OSError) as error:
        return f"{path.name}: {error}"


def _beside(path: Path) -> list[Path]:
    """The files of the database beside it that are there now."""
    names = (path.with_name(f"{path.name}{end}") for end in ("-wal", "-shm", "-journal"))
    return [name for name in names if os.path.lexists(name)]


def _object(value: object) -> Object:
    found = parse(value.encode() if isinstance(value, str) else b"")
    return {} if found is None or isinstance(found, Unparsed) else found
