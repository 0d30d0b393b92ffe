"""Facts in the store: the newest observation of each name about one bead or agent."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import bindparam, column, delete, func, select

from at_core.store import schema
from at_core.store.insertion import upsert
from at_core.store.mapping import Mapping, json_text
from at_core.store.statement import Rows, Statement
from at_core.types import Fact

_c = schema.facts.c
_facts = Mapping(Fact, schema.facts)

_PUT = Statement(upsert(schema.facts, _facts.names, "subject", "name"))
_DROP = Statement(
    delete(schema.facts).where(_c.subject == bindparam("subject"), _c.name == bindparam("name"))
)
_ONE = Statement(_facts.select.where(_c.subject == bindparam("subject"), _c.name == bindparam("name")))
_OF_SUBJECT = Statement(_facts.select.where(_c.subject == bindparam("subject")).order_by(_c.name))
_OF_SUBJECTS = Statement(
    _facts.select.where(
        _c.subject.in_(select(column("value")).select_from(func.json_each(bindparam("subjects"))))
    ).order_by(_c.subject, _c.name)
)


class Facts(Rows):
    """What a transaction can do with facts."""

    __slots__ = ()

    def put_fact(self, fact: Fact) -> None:
        """Record it in place of the one of that subject and name."""
        self._run(_PUT, *_facts.encode(fact))

    def drop_fact(self, subject: UUID, name: str) -> None:
        """Forget it; no harm if there is none."""
        self._run(_DROP, str(subject), name)

    def fact(self, subject: UUID, name: str) -> Fact | None:
        """The newest observation of that name."""
        row = self._one(_ONE, str(subject), name)
        return None if row is None else _facts.decode(row)

    def facts(self, subject: UUID) -> dict[str, Fact]:
        """All that is known of the subject, by name."""
        return {fact.name: fact for fact in map(_facts.decode, self._all(_OF_SUBJECT, str(subject)))}

    def facts_of(self, subjects: Iterable[UUID]) -> dict[UUID, dict[str, Fact]]:
        """All that is known of each; a subject of which nothing is known has an empty dict."""
        found: dict[UUID, dict[str, Fact]] = {subject: {} for subject in subjects}
        for row in self._all(_OF_SUBJECTS, json_text([str(subject) for subject in found])):
            fact = _facts.decode(row)
            found[fact.subject][fact.name] = fact
        return found
