"""Asks and standing rules in the store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, delete, update

from at_core.errors import NotFound, Refused
from at_core.store import schema
from at_core.store.identity import id_range
from at_core.store.insertion import insert_new
from at_core.store.mapping import Mapping, json_text, time_text
from at_core.store.selection import by_owner
from at_core.store.statement import Rows, Statement
from at_core.types import Ask, Rule

_c = schema.asks.c
_asks = Mapping(Ask, schema.asks)
_rules = Mapping(Rule, schema.rules)
_is_open = _c.decided_at.is_(None) & _c.closed_at.is_(None)

_BY_ID = Statement(_asks.select.where(_c.id == bindparam("id")))
_BY_RANGE = Statement(
    _asks.select.where(_c.id >= bindparam("low"), _c.id < bindparam("high")).order_by(_c.number.desc())
)
_BY_REQUEST = Statement(
    _asks.select.where(_c.session == bindparam("session"), _c.request_id == bindparam("request_id"))
)
_OPEN = Statement(_asks.select.where(_is_open).order_by(_c.number))
_OPEN_OF = Statement(_asks.select.where(_is_open, _c.agent_id == bindparam("agent")).order_by(_c.number))
_LISTS = by_owner(_asks, schema.asks)
_DECIDE = Statement(
    update(schema.asks)
    .where(_c.id == bindparam("of"), _is_open)
    .values(
        approve=bindparam("new_approve"),
        answer=bindparam("new_answer"),
        decided_by=bindparam("by"),
        decided_at=bindparam("at"),
    )
)
_CLOSE = Statement(
    update(schema.asks)
    .where(_c.id == bindparam("of"), _c.closed_at.is_(None))
    .values(closed_at=bindparam("at"), withdrawn=bindparam("new_withdrawn"))
)
_r = schema.rules.c
_RULES = Statement(_rules.select.order_by(_r.number))
_RULES_OF = Statement(_rules.select.where(_r.rig == bindparam("rig")).order_by(_r.number))
_RULE_RANGE = Statement(
    _rules.select.where(_r.id >= bindparam("low"), _r.id < bindparam("high")).order_by(_r.number)
)
_REMOVE_RULE = Statement(delete(schema.rules).where(_r.id == bindparam("of")))
_MATCHING = Statement(
    _rules.select.where(
        _r.rig == bindparam("rig"),
        _r.kind == bindparam("kind"),
        _r.tool.is_not_distinct_from(bindparam("tool")),
        _r.argv == bindparam("argv"),
    ).order_by(_r.number)
)


class Asks(Rows):
    """What a transaction can do with asks and rules."""

    __slots__ = ()

    def add_ask(self, ask: Ask) -> None:
        """Add a new one. Raises `Duplicate` if its id, or its request in that session, is known."""
        insert_new(self, _asks, ask, str(ask.id))

    def ask(self, id: UUID) -> Ask | None:
        """The ask of that id."""
        row = self._one(_BY_ID, str(id))
        return None if row is None else _asks.decode(row)

    def find_asks(self, text: str) -> list[Ask]:
        """By whole id or a prefix of at least four hexadecimal digits, newest first."""
        span = id_range(text)
        return [] if span is None else [_asks.decode(row) for row in self._all(_BY_RANGE, *span)]

    def ask_by_request(self, session: str, request_id: str) -> Ask | None:
        """The ask that the CLI itself knows by that name."""
        row = self._one(_BY_REQUEST, session, request_id)
        return None if row is None else _asks.decode(row)

    def open_asks(self, agent_id: UUID | None = None) -> list[Ask]:
        """Those neither decided nor closed, of that agent (None: of any), oldest first."""
        rows = self._all(_OPEN) if agent_id is None else self._all(_OPEN_OF, str(agent_id))
        return [_asks.decode(row) for row in rows]

    def asks(self, agent_id: UUID | None = None, bead_id: UUID | None = None) -> list[Ask]:
        """Asks of that agent and bead (None: of any), oldest first."""
        statement, values = _LISTS(agent_id, bead_id)
        return [_asks.decode(row) for row in self._all(statement, *values)]

    def decide_ask(self, id: UUID, approve: bool | None, answer: str, by: str, at: datetime) -> Ask:
        """Record the decision, once. Raises `NotFound`, and `Refused` when it was decided or closed already."""
        decided = self._run(
            _DECIDE, None if approve is None else int(approve), answer, by, time_text(at), str(id)
        )
        ask = self._known(id)
        if not decided:
            raise Refused(_why_not(ask), "at approvals")
        return ask

    def close_ask(self, id: UUID, at: datetime, withdrawn: bool) -> Ask:
        """The agent no longer waits for it; the first closing stays. Raises `NotFound`."""
        self._run(_CLOSE, time_text(at), int(withdrawn), str(id))
        return self._known(id)

    def add_rule(self, rule: Rule) -> None:
        """Add a standing answer. Raises `Duplicate` if its id is taken."""
        insert_new(self, _rules, rule, str(rule.id))

    def rules(self, rig: str | None = None) -> list[Rule]:
        """Rules of that rig or all, oldest first."""
        rows = self._all(_RULES) if rig is None else self._all(_RULES_OF, rig)
        return [_rules.decode(row) for row in rows]

    def find_rules(self, text: str) -> list[Rule]:
        """By whole id or a prefix of at least four hexadecimal digits, oldest first."""
        span = id_range(text)
        return [] if span is None else [_rules.decode(row) for row in self._all(_RULE_RANGE, *span)]

    def remove_rule(self, id: UUID) -> bool:
        """Take it away; False where it was gone."""
        return self._run(_REMOVE_RULE, str(id)) > 0

    def matching_rule(self, rig: str, kind: str, tool: str | None, argv: Sequence[str]) -> Rule | None:
        """The rule for exactly this argument list, tool and kind in that rig."""
        row = self._one(_MATCHING, rig, kind, tool, json_text(list(argv)))
        return None if row is None else _rules.decode(row)

    def _known(self, id: UUID) -> Ask:
        ask = self.ask(id)
        if ask is None:
            raise NotFound("ask", str(id))
        return ask


def _why_not(ask: Ask) -> str:
    if ask.decided_at is not None:
        return f"that was decided already, by {ask.decided_by}"
    return "the agent took that question back" if ask.withdrawn else "the agent no longer waits for that"
