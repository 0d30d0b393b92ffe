"""Staying with a bead until it is settled: through restarts of the daemon, with a line on a terminal."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

from at_cli.clock import monotonic
from at_cli.face import Document, Face
from at_cli.views.bead import bead_lines, one_line
from at_cli.views.words import short
from at_core.errors import DaemonUnreachable

TIMED_OUT = 75
_ROUND_SECONDS = 25.0
"""How long one question stays open; the route allows 30."""
_PAUSE_SECONDS = 0.2
_LOST_IN_A_ROW = 5


Verdict: TypeAlias = Callable[[Document], int | None]
"""The exit code that a document means, None as long as there is something to wait for."""


def settled(document: Document) -> int | None:
    """The daemon's own verdict: nothing more happens by itself."""
    return int(document.get("exit_code") or 0) if document.get("settled") else None


def landed(document: Document) -> int | None:
    """On the target, or known not to come there for now: sent back, failed, waiting for a person.

    What is in review and may not merge was sent back and handed in again since: that is another work than was meant.
    """
    in_review = document["bead"]["status"] == "review"
    if not in_review and not document.get("settled"):
        return 1
    code = settled(document)
    return 1 if code == 0 and in_review and not document["landing"]["allowed_by"] else code


def settle(
    face: Face, document: Document, *, wait: bool, timeout: float | None, verdict: Verdict = settled
) -> int:
    """Print the document of an order, at once or once there is a verdict; the exit code.

    A time-out leaves the bead at work and prints it as it stands.
    """
    if not wait:
        face.emit(document, one_line(document, face.style))
        return 0
    document, code = wait_for(face, document, timeout, verdict)
    face.emit(document, bead_lines(document, face.style))
    if code == TIMED_OUT:
        face.note(
            f"at: not settled after {timeout:g} s; it goes on (next: at show {short(document['bead']['id'])})"
        )
    return code


def wait_for(face: Face, document: Document, timeout: float | None, verdict: Verdict) -> tuple[Document, int]:
    """The newest document and its exit code, 75 after `timeout` seconds. Raises `DaemonUnreachable`.

    A daemon that dies is started again; what it did is in its store, so nothing is missed meanwhile. With no time
    left it is asked once all the same: others were waited for since the document was made.
    """
    deadline = None if timeout is None else monotonic() + timeout
    bead, lost, asked = str(document["bead"]["id"]), 0, False
    with face.progress(progress_text(document), after=0.0) as progress:
        while True:
            left = _ROUND_SECONDS if deadline is None else min(deadline - monotonic(), _ROUND_SECONDS)
            if left <= 0 and asked:
                return document, TIMED_OUT
            left, asked = max(left, 0.0), True
            try:
                document = face.daemon.call(
                    "wait",
                    bead=bead,
                    after=document.get("seq"),
                    seconds=round(left, 3),
                    timeout_seconds=left + 30,
                )
                lost = 0
            except DaemonUnreachable:
                lost += 1
                if lost == _LOST_IN_A_ROW:
                    raise
                threading.Event().wait(_PAUSE_SECONDS)
                continue
            if (code := verdict(document)) is not None:
                return document, code
            progress.say(progress_text(document))


def progress_text(document: Document) -> str:
    """State and the newest reason, in one line."""
    agent = document.get("agent")
    who = f" {agent['name']}: {agent.get('label') or agent['status']}" if agent else ""
    reasons = document.get("reasons") or []
    why = f", {reasons[-1]}" if reasons else ""
    return f"{short(document['bead']['id'])} {document['bead']['status']}{who}{why}"
