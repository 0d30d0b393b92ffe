"""Results of gates in the store."""

from __future__ import annotations

from sqlalchemy import bindparam

from at_core.store import schema
from at_core.store.insertion import upsert
from at_core.store.mapping import Mapping
from at_core.store.statement import Rows, Statement
from at_core.types import GateResult

_c = schema.gate_results.c
_results = Mapping(GateResult, schema.gate_results)
_of_tree = (_c.rig == bindparam("rig")) & (_c.tree == bindparam("tree"))

_PUT = Statement(upsert(schema.gate_results, _results.names, "rig", "tree", "name", "command"))
_ONE = Statement(
    _results.select.where(_of_tree, _c.name == bindparam("name"), _c.command == bindparam("command"))
)
_OF_TREE = Statement(_results.select.where(_of_tree).order_by(_c.number))


class Gates(Rows):
    """What a transaction can do with results of gates."""

    __slots__ = ()

    def add_gate_result(self, result: GateResult) -> None:
        """Record it in place of an older one of the same gate, command and tree."""
        self._run(_PUT, *_results.encode(result))

    def gate_result(self, rig: str, name: str, command: str, tree: str) -> GateResult | None:
        """What this gate with this command said of that tree."""
        row = self._one(_ONE, rig, tree, name, command)
        return None if row is None else _results.decode(row)

    def gate_results(self, rig: str, tree: str) -> list[GateResult]:
        """What all gates said of that tree, in the order in which they first ran."""
        return [_results.decode(row) for row in self._all(_OF_TREE, rig, tree)]
