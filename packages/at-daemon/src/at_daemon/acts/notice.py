"""Telling a person of a need outside of any face, once, and taking that back when the need is over."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import anyio

from at_core.errors import TryLater
from at_core.interruption import Interruption
from at_core.types import Fact, Intent, IntentState
from at_core.vocabulary import NeedFact
from at_daemon.executor import Effect
from at_daemon.failpoints import failpoint
from at_daemon.interruptions import interruption_document
from at_daemon.ledger import Change
from at_daemon.notifier import notice_of, show_command, withdraw_command
from at_daemon.parts import Parts

SECONDS = 5.0
"""A notifier that takes longer is ended: it shows nothing to anybody any more."""
log = logging.getLogger(__name__)


async def notify(parts: Parts, intent: Intent) -> Effect:
    """Show it, unless it is over already. A notifier that fails is not tried again: a late notice is a false one.

    That it is being shown is noted before, so that a second try after a crash shows nothing a second time.
    """
    identity = UUID(intent.payload["interruption"])
    need, begun = await parts.ledger.read(
        lambda tx: (tx.interruption(identity), tx.fact(identity, NeedFact.NOTICE.value))
    )
    if need is None or need.closed_at is not None or begun is not None:
        return Effect()
    await parts.ledger.record(lambda change: _note(change, identity, None, shown=True))
    settings = parts.clis.config().ui
    notice = notice_of(need)
    if settings.notify_command:
        told = _told("opened", parts, need) | {"notice": {"title": notice.title, "body": notice.body}}
        await _run(settings.notify_command, told)
    command = show_command(settings, notice, str(identity), os.environ)
    said = await _run(command) if command else None

    failpoint("notify.after-show")
    return Effect(lambda change: _note(change, identity, _number(said), shown=said is not None))


def _note(change: Change, identity: UUID, number: int | None, *, shown: bool) -> None:
    value = {"number": number, "shown": shown}
    change.tx.put_fact(
        Fact(subject=identity, name=NeedFact.NOTICE.value, value=value, source="notifier", at=change.now)
    )


async def withdraw(parts: Parts, intent: Intent) -> Effect:
    """Take the notice away."""
    identity = UUID(intent.payload["interruption"])
    shown = await parts.ledger.read(lambda tx: tx.intent(f"notify:{identity}"))
    if shown is not None and shown.state is IntentState.OPEN:
        raise TryLater("it is being shown at this moment", "at events")
    need, fact = await parts.ledger.read(
        lambda tx: (tx.interruption(identity), tx.fact(identity, NeedFact.NOTICE.value))
    )
    settings = parts.clis.config().ui
    if fact is not None and need is not None:
        if settings.notify_command:
            await _run(settings.notify_command, _told("closed", parts, need))
        if fact.value["shown"] and (
            command := withdraw_command(fact.value["number"], str(identity), os.environ)
        ):
            await _run(command)
    return Effect(lambda change: change.tx.drop_fact(identity, NeedFact.NOTICE.value))


def _told(event: str, parts: Parts, need: Interruption) -> dict[str, Any]:
    """What the person's own command reads on its standard input."""
    return {"event": event, "interruption": interruption_document(need, parts.now())}


async def _run(command: Sequence[str], document: Mapping[str, Any] | None = None) -> bytes | None:
    """What the command printed; None if it could not be run, failed, or took too long."""
    body = b"" if document is None else json.dumps(document).encode("ascii") + b"\n"
    try:
        with anyio.fail_after(SECONDS):
            done = await anyio.run_process(list(command), input=body, check=False)
    except TimeoutError:
        log.warning("the notifier %s did not end within %g s", command[0], SECONDS)
        return None
    except OSError as error:
        log.warning("the notifier %s cannot be run: %s", command[0], error)
        return None
    if done.returncode:
        said = done.stderr[-200:].decode("utf-8", "replace")
        log.warning("the notifier %s ended with exit code %d: %s", command[0], done.returncode, said)
        return None
    return done.stdout


def _number(said: bytes | None) -> int | None:
    words = (said or b"").split()
    return int(words[0]) if words and words[0].isdigit() else None
