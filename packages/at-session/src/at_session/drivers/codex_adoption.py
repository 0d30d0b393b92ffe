"""A Codex thread in another folder: a thread goes on in the folder that its record names, wherever the CLI is started.

Naming another one in the request would put that on the person's list of trusted projects. So the record is copied under another id,
with the other folder in it; the person's own thread stays as it is. Sources: runs of codex 0.169.0; openai/codex#40702.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from uuid import NAMESPACE_OID, uuid5

from at_session import foreign_files
from at_session.adoption import OwnSession, copy_once, is_session_id
from at_session.drivers import codex_launch, codex_record, jsonlines
from at_session.drivers.jsonlines import Object, object_of, optional_text
from at_session.errors import CannotCarry

_NAMES_THE_FOLDER = ("session_meta", "turn_context", "thread_settings_applied")
"""Kinds of lines in which folders stand that the CLI goes by: where it works, and what it may write."""


class CodexAdoption:
    """Threads of the CLI's own folder."""

    def find(self, session_id: str, env: Mapping[str, str], not_below: str = "") -> OwnSession | None:
        """The record of that thread; its first line names the folder."""
        if not is_session_id(session_id):
            return None
        record = codex_record.find(codex_launch.home(env), session_id)
        if record is None:
            return None
        entry = jsonlines.parse(next(foreign_files.lines(record), b""))
        payload = object_of(entry.get("payload")) if isinstance(entry, dict) else {}
        return OwnSession(session_id, record, optional_text(payload.get("cwd")))

    def carry(self, own: OwnSession, cwd: str, private_dir: str, env: Mapping[str, str]) -> str:
        """Copy the record beside itself under an id that follows from the thread's and the folder's."""
        if own.folder is None:
            raise CannotCarry("codex", "its record names no folder", "at run PROMPT --cli codex")
        thread = str(uuid5(NAMESPACE_OID, f"{own.id} in {cwd}"))
        content = b"".join(_moved(own, thread, cwd))
        copy_once(own.record, own.record.with_name(own.record.name.replace(own.id, thread)), content)
        return thread


def _moved(own: OwnSession, thread: str, cwd: str) -> Iterator[bytes]:
    for line in foreign_files.lines(own.record):
        named = any(f'"{kind}"'.encode() in line for kind in _NAMES_THE_FOLDER)
        entry = jsonlines.parse(line) if named else None
        payload = object_of(entry.get("payload")) if isinstance(entry, dict) else {}
        if not isinstance(entry, dict) or not {entry.get("type"), payload.get("type")} & {*_NAMES_THE_FOLDER}:
            yield line
            continue
        moved: Object = {**entry, "payload": _renamed(payload, own, thread, cwd)}
        yield (
            json.dumps(moved, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
            + b"\n"
        )


def _renamed(value: object, own: OwnSession, thread: str, cwd: str) -> object:
    """Part of such a line, with the thread's id and with paths in its folder; what it worked in is the one folder, whatever that was."""
    if isinstance(value, dict):
        return {
            name: cwd if name == "cwd" and isinstance(each, str) else _renamed(each, own, thread, cwd)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_renamed(each, own, thread, cwd) for each in value]
    if value == own.id:
        return thread
    if isinstance(value, str) and own.folder and f"{value}/".startswith(f"{own.folder.rstrip('/')}/"):
        return cwd + value[len(own.folder.rstrip("/")) :]
    return value
