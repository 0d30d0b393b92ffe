"""Waiting for what an agent does: records up to one, output up to a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from at_session.journal import Record, RecordKind
from at_session.session import Session


async def collect(
    session: Session, until: Callable[[Record], bool] | None = None, offset: int = 0
) -> list[Record]:
    """Records from `offset` up to the one that `until` accepts, or to the session's end."""
    found = []
    async with session.follow(offset) as follower:
        async for record in follower:
            found.append(record)
            if until is not None and until(record):
                break
    return found


async def wait_for_output(session: Session, text: bytes, offset: int = 0) -> list[Record]:
    """Records until the agent's output from `offset` on holds `text`, or to the session's end."""
    seen = bytearray()

    def complete(record: Record) -> bool:
        seen.extend(record.data if record.kind is RecordKind.OUTPUT else b"")
        return text in seen

    return await collect(session, complete, offset)


def output_of(records: Sequence[Record], kind: RecordKind = RecordKind.OUTPUT) -> bytes:
    """The bytes of all records of one kind, in order."""
    return b"".join(record.data for record in records if record.kind is kind)
