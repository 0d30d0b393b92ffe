"""A session of the demo agent: its file is copied to where our own process of it looks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from at_session import foreign_files
from at_session.adoption import OwnSession, copy_once, is_session_id

STATE_DIR = "AT_DEMO_STATE_DIR"


class DemoAdoption:
    """Sessions in the `--state-dir` that AT_DEMO_STATE_DIR names, else in `~/.at-demo`. Their folder is not on record."""

    def find(self, session_id: str, env: Mapping[str, str], not_below: str = "") -> OwnSession | None:
        """The session's file."""
        if not is_session_id(session_id):
            return None
        home = env.get("HOME") or os.path.expanduser("~")
        record = Path(env.get(STATE_DIR) or os.path.join(home, ".at-demo"), f"demo-{session_id}.json")
        return OwnSession(session_id, record, None) if record.is_file() else None

    def carry(self, own: OwnSession, cwd: str, private_dir: str, env: Mapping[str, str]) -> str:
        """Copy the file into the agent's own folder."""
        content = foreign_files.read_bytes(own.record, foreign_files.RECORD_LIMIT)
        copy_once(own.record, Path(private_dir, own.record.name), content)
        return own.id
