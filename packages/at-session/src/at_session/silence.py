"""What it means that a holder is not heard: whether it is gone, or lives and may be heard later.

Only a socket that is not there or that nobody listens on, without a process that holds the session, says that a holder
is gone. A full table of open files, a full queue of connections or silence may each be over in a moment, and the agent
works on meanwhile.
"""

from __future__ import annotations

from pathlib import Path

from at_session.errors import HolderLost, SessionEnded
from at_session.journal import ending
from at_session.processes import call_holders, holds, look_for_holders

ANSWER_SECONDS = 5.0
AGAIN_SECONDS = 0.05
NOTHING = "nothing for %g s"
NOBODY = (ConnectionRefusedError, FileNotFoundError)


class Unheard:
    """One try to reach a holder. It is called once if it lives without its socket: it binds that anew."""

    def __init__(self, run_dir: Path, session_id: str) -> None:
        self._run_dir = run_dir
        self._session_id = session_id
        self._holders: list[int] | None = None

    def reason(self) -> str | None:
        """After one of NOBODY: why it is not heard, or None when no process holds the session."""
        if self._holders is None:
            self._holders = look_for_holders(self._run_dir, self._session_id)
            call_holders(self._holders or ())
        elif all(holds(pid, self._run_dir, self._session_id) is False for pid in self._holders):
            return None
        if self._holders == []:
            return None
        path = self._run_dir / f"{self._session_id}.sock"
        no_socket = path.exists() and not path.is_socket()
        missing = f"{path} is no socket" if no_socket else f"nobody listens on {path}"
        if self._holders is None:
            return f"{missing}, and whether a process holds the session cannot be seen"
        return f"process {self._holders[0]} holds it, but {missing}"


def over(session_id: str, journal: Path) -> SessionEnded | HolderLost:
    """What its journal says of a session whose holder is gone."""
    status, complete = ending(journal)
    if complete and status is not None:
        return SessionEnded(session_id, status.code, status.signal)
    return HolderLost(session_id)
