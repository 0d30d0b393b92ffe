"""Standing answers: listed with where they came from, and taken away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from at_core.api import RemoveRulesRequest
from at_core.errors import Ambiguous, NotFound
from at_core.record import format_time
from at_core.store import Tx
from at_core.types import Rule
from at_core.vocabulary import EventType
from at_daemon.edge import Call
from at_daemon.ledger import Change
from at_daemon.parts import Parts

Json = dict[str, Any]


async def rules(parts: Parts, call: Call) -> Json:
    """All of them, oldest first."""
    return {"rules": await parts.ledger.read(lambda tx: _documents(tx, tx.rules()))}


async def remove(parts: Parts, call: Call) -> Json:
    """Take these away, or none of them if one is not known; agents ask again."""
    request: RemoveRulesRequest = call.body

    def note(change: Change) -> list[Json]:
        found = list(
            {rule.id: rule for word in request.rules for rule in [_called(change.tx, word)]}.values()
        )
        documents = _documents(change.tx, found)
        for rule in found:
            change.tx.remove_rule(rule.id)
            change.tell(EventType.RULE_REMOVED, actor="person", rule=str(rule.id), argv=list(rule.argv))
        return documents

    return {"removed": await parts.ledger.change(note)}


def _called(tx: Tx, word: str) -> Rule:
    """By id or unique prefix of it. Raises NotFound, Ambiguous."""
    found = tx.find_rules(word)
    if not found:
        raise NotFound("rule", word, "at rules")
    if len(found) > 1:
        raise Ambiguous("rule", word, [str(rule.id)[:8] for rule in found])
    return found[0]


def _documents(tx: Tx, rules: list[Rule]) -> list[Json]:
    asks = _asks(tx) if rules else {}
    return [_document(tx, rule, asks.get(str(rule.id))) for rule in rules]


def _document(tx: Tx, rule: Rule, ask_id: str | None) -> Json:
    rig = tx.rig(UUID(rule.rig))
    ask = tx.ask(UUID(ask_id)) if ask_id else None
    agent = tx.agent(ask.agent_id) if ask else None
    return {
        "id": str(rule.id),
        "rig": rule.rig,
        "repository": rig.path if rig else None,
        "kind": rule.kind,
        "tool": rule.tool,
        "argv": list(rule.argv),
        "what": ask.what if ask else " ".join(rule.argv),
        "created_at": format_time(rule.created_at),
        "created_by": rule.created_by,
        "ask": ask_id,
        "agent": agent.name if agent else None,
    }


def _asks(tx: Tx) -> dict[str, str]:
    """The ask that each rule was learned from, as the audit log has it."""
    told = (event.payload or {} for event in tx.events(types=[EventType.RULE_ADDED.value], limit=None))
    return {payload["rule"]: payload["ask"] for payload in told if "rule" in payload}


HANDLERS: Mapping[str, Callable[[Parts, Call], Awaitable[Any]]] = {"rules": rules, "remove_rules": remove}
