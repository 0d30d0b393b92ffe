"""A pool of sessions: starts them within a bound on PTYs, and finds all of them again after a restart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from at_session.errors import HolderSilent, NoFreePty, SessionError, SessionOver
from at_session.session import EndedSession, Session, SessionSpec, list_sessions, open_session, start_session
from at_session.vocabulary import Transport


class SessionPool:
    """Sessions under one pair of folders, at most `max_ptys` of them on a PTY at a time. Pipes are not counted."""

    def __init__(self, max_ptys: int, *, run_dir: Path, journal_dir: Path) -> None:
        self.max_ptys = max_ptys
        self._run_dir = run_dir
        self._journal_dir = journal_dir
        self._live: dict[str, Session] = {}
        self._ptys: set[str] = set()

    @property
    def live(self) -> Mapping[str, Session]:
        """Sessions started or adopted and not known to have ended, by id."""
        return MappingProxyType(self._live)

    @property
    def ptys(self) -> int:
        """PTYs in use, those of sessions that are being started included."""
        return len(self._ptys)

    async def start(self, spec: SessionSpec) -> Session:
        """Start a session. Raises NoFreePty at the bound or when the system has none, and as `start_session`."""
        if spec.transport is Transport.PTY:
            if len(self._ptys) >= self.max_ptys:
                await self.refresh()
            if len(self._ptys) >= self.max_ptys:
                raise NoFreePty(self.max_ptys)
            if spec.id not in self._ptys:
                return await self._start_pty(spec)
        session = await start_session(spec, run_dir=self._run_dir, journal_dir=self._journal_dir)
        self._live[spec.id] = session
        return session

    async def _start_pty(self, spec: SessionSpec) -> Session:
        self._ptys.add(spec.id)  # taken before the first await, so that two starts cannot share the last one
        try:
            session = await start_session(spec, run_dir=self._run_dir, journal_dir=self._journal_dir)
        except BaseException:  # given back whatever ended the start, cancellation included
            self._ptys.discard(spec.id)
            raise
        self._live[spec.id] = session
        return session

    async def adopt(self) -> dict[str, Session | EndedSession]:
        """Find every session of the folder again; live ones join the pool, even above its bound, and are returned.

        So are those that have ended, with what their journals say. One whose holder does not answer is left out, and
        may be found by a later call.
        """
        found: dict[str, Session | EndedSession] = {}
        for session_id in list_sessions(self._run_dir):
            if session_id in self._live:
                continue
            try:
                found[session_id] = await self._find(session_id)
            except HolderSilent:
                continue
        return found

    async def _find(self, session_id: str) -> Session | EndedSession:
        """Raises HolderSilent; nothing is kept open then."""
        session = await open_session(session_id, run_dir=self._run_dir, journal_dir=self._journal_dir)
        if isinstance(session, Session):
            try:
                await self._admit(session)
            except SessionOver:  # it ended at that very moment
                return await self._find(session_id)
        return session

    async def _admit(self, session: Session) -> None:
        try:
            status = await session.status()
        except SessionError:
            await session.aclose()
            raise
        self._live[session.id] = session
        if status.transport is Transport.PTY:
            self._ptys.add(session.id)

    async def refresh(self) -> None:
        """Ask every session of the pool whether it lives, and forget those that have ended."""
        for session_id, session in list(self._live.items()):
            try:
                ended = (await session.status()).state == "ended"
            except SessionOver:
                ended = True
            except HolderSilent:
                ended = False
            if ended:
                await self.forget(session_id)

    async def forget(self, session_id: str) -> None:
        """Take a session that has ended out of the pool; its PTY counts as free."""
        self._ptys.discard(session_id)
        session = self._live.pop(session_id, None)
        if session is not None:
            await session.aclose()
