"""A Claude Code session in another folder: the CLI looks for a transcript below the name of its working folder only.

So the transcript is copied there. The person's own stays as it is, and so does their session. Source: claude 2.1.197.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from at_session import foreign_files
from at_session.adoption import OwnSession, copy_once, is_session_id
from at_session.drivers import claude_record, jsonlines
from at_session.drivers.jsonlines import optional_text
from at_session.errors import CannotCarry

_LONGEST_NAME = 200
"""Characters of a folder's name after which the CLI cuts it in a way of its own."""


class ClaudeAdoption:
    """Sessions of the CLI's configuration folder."""

    def find(self, session_id: str, env: Mapping[str, str], not_below: str = "") -> OwnSession | None:
        """The newest transcript of that name that holds a prompt, and is no copy of ours."""
        if not is_session_id(session_id):
            return None
        found = claude_record.transcripts(env, session_id)
        for record in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True):
            folders, spoken = _folders(record)
            begun_in = _begun_in(record, folders)
            if spoken and not (not_below and _is_below(record, begun_in, not_below)):
                return OwnSession(session_id, record, begun_in or next(iter(folders), None))
        return None

    def carry(self, own: OwnSession, cwd: str, private_dir: str, env: Mapping[str, str]) -> str:
        """Copy the transcript to where the CLI looks when it is started in `cwd`. Raises CannotCarry."""
        name = project_name(cwd)
        if len(name) > _LONGEST_NAME:
            raise CannotCarry("claude", f"the path {cwd} is longer than it keeps", "use a shorter AT_HOME")
        content = foreign_files.read_bytes(own.record, foreign_files.RECORD_LIMIT)
        copy_once(own.record, own.record.parent.parent / name / own.record.name, content)
        return own.id


def project_name(cwd: str) -> str:
    """What the CLI calls the folder of transcripts of a working folder."""
    return _plain_name(os.path.realpath(cwd))


def _plain_name(path: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "-", path)


def _folders(record: Path) -> tuple[list[str], bool]:
    """The folders that its lines name, each once, and whether anything was said."""
    folders: dict[str, None] = {}
    spoken = False
    for line in foreign_files.lines(record):
        spoken |= b'"type":"user"' in line
        entry = jsonlines.parse(line) if b'"cwd"' in line else None
        if isinstance(entry, dict) and (folder := optional_text(entry.get("cwd"))):
            folders[folder] = None
    return list(folders), spoken


def _begun_in(record: Path, folders: list[str]) -> str | None:
    """The folder below whose name the record lies: a session is kept there, wherever its commands went since."""
    return next((each for each in folders if record.parent.name in _names(each)), None)


def _is_below(record: Path, begun_in: str | None, place: str) -> bool:
    """Whether it is of a folder inside `place`. A copy in which nothing was said yet names only others."""
    if begun_in is None:
        return record.parent.name.startswith(f"{project_name(place)}-")
    return Path(os.path.realpath(begun_in)).is_relative_to(os.path.realpath(place))


def _names(folder: str) -> set[str]:
    return {project_name(folder), _plain_name(folder)}
