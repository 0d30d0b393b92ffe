"""Errors in a row on an agent's way to its model, as facts: since when, over how many turns, and whether they are over.

RETRYING while the CLI tries again, ERRORS for a while after words that may break off, TROUBLE for turns that were ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from at_agents import trouble
from at_agents.decisions import Awake, Policy
from at_core.vocabulary import AgentFact
from at_daemon.ledger import Change
from at_session import vocabulary as seen

SAME_ROW_SECONDS = 30.0
"""Errors that come so soon after words belong to the errors before them: answers that break off again and again."""


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """The row of one agent within one change; `source` is what tells it."""

    change: Change
    agent: UUID
    source: str

    def retried(self, event: seen.Retrying) -> None:
        """A call failed and is tried again."""
        value = {
            "kind": event.kind.value,
            "attempt": event.attempt,
            "delay_seconds": event.delay_seconds,
            "message": event.message,
            "awake": self._since(event.kind),
            "newest": self.heard()["awake"],
        }
        self._put(AgentFact.RETRYING, value)

    def answered(self) -> None:
        """Words came after errors. Whether they come to an end is not known yet, so the errors are remembered a while."""
        self._ease()
        before = self._fact(AgentFact.RETRYING)
        if before:
            if before.get("kind") != seen.FailureKind.LIMIT.value:
                self._remember(before.get("awake"))
            self._put(AgentFact.RETRYING, None)

    def got_on(self) -> None:
        """An answer came to its end: a tool is at work."""
        self._put(AgentFact.RETRYING, None)
        self._put(AgentFact.ERRORS, None)
        self._ease()

    def turn_began(self) -> None:
        """Errors that go on at once in this turn count from the first one in the turns before."""
        self._put(AgentFact.RETRYING, None)
        known, heard = self._fact(AgentFact.TROUBLE), self.heard()
        if not known:
            return
        if known.get("boot") != heard["boot"] or self._later(
            known, SAME_ROW_SECONDS + known.get("wait", 0.0)
        ):
            self._put(AgentFact.TROUBLE, None)  # it was let rest for another reason meanwhile
        else:
            self._remember(known["awake"])

    def turn_ended(self, event: seen.TurnEnded) -> None:
        """Whether an error ended it, too."""
        self._put(AgentFact.TROUBLE, self._trouble(event))
        self._put(AgentFact.RETRYING, None)
        self._put(AgentFact.ERRORS, None)

    def process_ended(self) -> None:
        """Nothing is tried again any more."""
        self._put(AgentFact.RETRYING, None)
        self._put(AgentFact.ERRORS, None)

    def under_way(self) -> bool:
        """Whether there are errors that words may bring to an end."""
        return bool(self._fact(AgentFact.RETRYING) or self._fact(AgentFact.TROUBLE))

    def heard(self) -> dict[str, Any]:
        """When the agent was last heard, on the clock that stands still while the machine sleeps: {awake, boot}."""
        sign = self._fact(AgentFact.SIGN_OF_LIFE)
        return {name: sign.get(name) for name in ("awake", "boot")}

    def _fact(self, name: AgentFact) -> dict[str, Any]:
        return self.change.fact(self.agent, name) or {}

    def _put(self, name: AgentFact, value: object) -> None:
        self.change.put(self.agent, name, value, self.source)

    def _ease(self) -> None:
        """Trouble that was followed by so much work is over."""
        known = self._fact(AgentFact.TROUBLE)
        if known and (known.get("boot") != self.heard()["boot"] or self._later(known, SAME_ROW_SECONDS)):
            self._put(AgentFact.TROUBLE, None)

    def _later(self, known: dict[str, Any], seconds: float) -> bool:
        """Whether trouble ended longer ago than that."""
        heard = self.heard()["awake"]
        return heard is None or heard - float(known.get("ended", known["awake"])) > seconds

    def _remember(self, since: float | None) -> None:
        heard = self.heard()
        self._put(AgentFact.ERRORS, {"awake": since, "until": heard["awake"], "boot": heard["boot"]})

    def _since(self, kind: seen.FailureKind) -> float | None:
        """The awake time of the first of the errors in a row, answers that broke off between them included.

        Limits are waited for: they begin no such row, and do not end one.
        """
        before, heard = self._fact(AgentFact.RETRYING), self.heard()
        was_limit = before.get("kind") == seen.FailureKind.LIMIT.value
        is_limit = kind is seen.FailureKind.LIMIT
        if before and is_limit and not was_limit:
            self._remember(before.get("awake"))
        if was_limit is not is_limit:
            before = {}
        ended = {} if is_limit else self._fact(AgentFact.ERRORS)
        known = None not in (heard["awake"], ended.get("until"))
        if not before and known and ended.get("boot") == heard["boot"]:
            before = ended if heard["awake"] - float(ended["until"]) < SAME_ROW_SECONDS else {}
        since: float | None = before.get("awake", heard["awake"])
        return since

    def _trouble(self, event: seen.TurnEnded) -> dict[str, Any] | None:
        before = self._fact(AgentFact.TROUBLE) or None
        if event.outcome is not seen.TurnOutcome.FAILED or event.failure is None:
            return before if event.outcome is seen.TurnOutcome.INTERRUPTED else None
        if event.failure.value not in trouble.TRANSIENT:
            return None
        heard = self.heard()
        awake = Awake(float(heard["awake"] or 0.0), str(heard["boot"] or ""))
        since = self._since(event.failure)
        begun = awake.seconds if since is None else since
        delay = float(self._fact(AgentFact.RETRYING).get("delay_seconds") or 0.0)
        error = event.error or event.failure.value
        return trouble.noted(before, error, self.change.now, begun, awake, Policy(), delay)
