"""Messages to agents, and mail, in the store."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, func, update

from at_core.errors import NotFound
from at_core.store import schema
from at_core.store.insertion import insert_new
from at_core.store.mapping import Mapping, time_text
from at_core.store.selection import by_owner
from at_core.store.statement import Rows, Statement
from at_core.types import Mail, Message

_c = schema.messages.c
_messages = Mapping(Message, schema.messages)
_mail = Mapping(Mail, schema.mail)

_BY_ID = Statement(_messages.select.where(_c.id == bindparam("id")))
_LISTS = by_owner(_messages, schema.messages)
_steps = ("sent_at", "accepted_at", "started_at", "answered_at", "failed")
_MARK = Statement(
    update(schema.messages)
    .where(_c.id == bindparam("of"))
    .values({name: func.coalesce(_c[name], bindparam(f"new_{name}")) for name in _steps})
)
_UNSEND = Statement(
    update(schema.messages)
    .where(_c.id == bindparam("of"), _c.accepted_at.is_(None), _c.answered_at.is_(None), _c.failed.is_(None))
    .values(sent_at=None)
)
_REQUEUE = Statement(
    update(schema.messages)
    .where(_c.id == bindparam("of"), _c.answered_at.is_(None), _c.failed.is_(None))
    .values(sent_at=None, accepted_at=None, started_at=None)
)
_MAIL_OF = Statement(
    _mail.select.where(schema.mail.c.to_agent == bindparam("to")).order_by(schema.mail.c.number)
)
_UNREAD_OF = Statement(
    _mail.select.where(schema.mail.c.to_agent == bindparam("to"), schema.mail.c.read_at.is_(None)).order_by(
        schema.mail.c.number
    )
)
_READ = Statement(
    update(schema.mail)
    .where(schema.mail.c.id == bindparam("of"))
    .values(read_at=func.coalesce(schema.mail.c.read_at, bindparam("at")))
)


class Messages(Rows):
    """What a transaction can do with messages and mail."""

    __slots__ = ()

    def add_message(self, message: Message) -> None:
        """Queue a new one. Raises `Duplicate` if its id is taken."""
        insert_new(self, _messages, message, str(message.id))

    def message(self, id: UUID) -> Message | None:
        """The message of that id."""
        row = self._one(_BY_ID, str(id))
        return None if row is None else _messages.decode(row)

    def messages(self, agent_id: UUID | None = None, bead_id: UUID | None = None) -> list[Message]:
        """Messages of that agent and bead (None: of any) in the order in which they were queued."""
        statement, values = _LISTS(agent_id, bead_id)
        return [_messages.decode(row) for row in self._all(statement, *values)]

    def mark_message(
        self,
        id: UUID,
        *,
        sent_at: datetime | None = None,
        accepted_at: datetime | None = None,
        started_at: datetime | None = None,
        answered_at: datetime | None = None,
        failed: str | None = None,
    ) -> Message:
        """Set the steps given that are not set yet: the first proof of a step stays. Raises `NotFound`."""
        times = [
            None if at is None else time_text(at) for at in (sent_at, accepted_at, started_at, answered_at)
        ]
        self._run(_MARK, *times, failed, str(id))
        message = self.message(id)
        if message is None:
            raise NotFound("message", str(id))
        return message

    def unsend_message(self, id: UUID) -> None:
        """Queue it again, unless it was accepted or is at its end: nobody took it."""
        self._run(_UNSEND, str(id))

    def requeue_message(self, id: UUID) -> None:
        """Queue it again although it was accepted, unless it is at its end: who accepted it has forgotten it."""
        self._run(_REQUEUE, str(id))

    def add_mail(self, mail: Mail) -> None:
        """Leave a new one. Raises `Duplicate` if its id is taken."""
        insert_new(self, _mail, mail, str(mail.id))

    def mail(self, to_agent: str, *, unread: bool = False) -> list[Mail]:
        """Mail for that agent, oldest first."""
        return [_mail.decode(row) for row in self._all(_UNREAD_OF if unread else _MAIL_OF, to_agent)]

    def read_mail(self, id: UUID, at: datetime) -> None:
        """It was read; the first time stays. Raises `NotFound`."""
        if not self._run(_READ, time_text(at), str(id)):
            raise NotFound("mail", str(id))
