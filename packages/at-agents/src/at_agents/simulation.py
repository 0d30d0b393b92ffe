"""A bead's whole surroundings in memory: it carries out what is decided, and lets a test say what happens.

Nothing of the daemon is in it. A month with crashes, sleeps and lying agents runs in a moment, from a seed. It insists
on what must hold at every step and raises `Violation` otherwise.
"""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from uuid import UUID

from at_agents.decisions import IntentKind, Policy, QueueMessage, Transition, derived_id
from at_agents.landing import is_proved
from at_agents.landing_queue import Line
from at_agents.lifecycle import after_exit
from at_agents.reconcile import reconcile
from at_agents.set_up import Standing, dropped, noted, standing
from at_agents.simulated_queue import next_steps
from at_agents.simulated_store import SimulatedStore, Violation
from at_core.types import (
    BeadStatus,
    GateResult,
    Intent,
    IntentState,
    MessageKind,
)
from at_core.vocabulary import AgentFact, BeadFact, EventType

MOST_PASSES = 50


class Simulation(SimulatedStore):
    """One bead, one agent, one target branch; `trees` counts the states of the agent's folder, `target` those of main.

    `budget` is what the bead may cost, `day_budget` what a day may, of which `others` is used by other beads.
    """

    def __init__(
        self,
        *,
        land: bool | None = None,
        gates: tuple[str, ...] = ("check",),
        policy: Policy | None = None,
        budget: float | None = None,
        day_budget: float | None = None,
    ) -> None:
        super().__init__(land, policy, budget, day_budget)
        self.gates = [{"name": name, "run": f"run {name}", "timeout_seconds": None} for name in gates]
        self.sent: dict[UUID, int] = {}
        self.commits, self.target, self.conflict, self.gate_passes = 0, 0, False, True
        self.blocked_checkout, self.line = False, Line()
        self.commands: dict[str, list[str]] = {"setup": [], "run": []}
        self.ran: list[str] = []
        self.command_fails: str | None = None
        self.starts = 0
        self._say(QueueMessage(derived_id("prompt"), MessageKind.PROMPT, "do it"))
        self.settle()

    # --- what a test lets happen -----------------------------------------------------------------------------------

    def pass_time(self, seconds: float, *, asleep: bool = False) -> None:
        """Let time pass; asleep the wall clock goes on and the machine's does not."""
        self.now += timedelta(seconds=seconds)
        self.awake_seconds += 0 if asleep else seconds
        self.settle()

    def accept(self) -> None:
        """The agent acknowledges what was sent, and begins."""
        for message in self._sent_open():
            self._mark(message.id, accepted_at=self.now, started_at=self.now)
            if message.kind is MessageKind.GO_ON:
                self.broken_off = False
            self.agent_facts[AgentFact.TURN] = {
                "state": "working",
                "number": self._turns() + 1,
                "session": self.world().process.get("session"),
                "message_id": str(message.id),
            }
            self._sign_of_life()
        self.settle()

    def end_turn(
        self,
        outcome: str = "completed",
        failure: str | None = None,
        *,
        commits: int = 0,
        says: str = "",
        cost: float = 0.0,
    ) -> None:
        """The agent's turn ends; it made so many commits in it, and cost so much."""
        self.costs.append((self.now, cost))
        for message in self._sent_open():
            self._mark(message.id, accepted_at=self.now, started_at=self.now, answered_at=self.now)
        self.commits += commits
        self.broken_off = self.broken_off or outcome == "failed"
        turn = {
            "state": "ended",
            "outcome": outcome,
            "failure": failure,
            "error": failure,
            "text": says,
            "number": self._turns(),
            "session": self.world().process.get("session"),
        }
        self.agent_facts[AgentFact.TURN] = turn
        if outcome != "interrupted":
            self.agent_facts.pop(AgentFact.CRASHES, None)
        if failure == "limit":
            until = (self.now + timedelta(hours=1)).isoformat()
            self.agent_facts[AgentFact.LIMIT] = {"message": "limit", "reset_at": until, "try_at": until}
        self.settle()

    def end_process(self, *, asked: bool = False, signal: int | None = 9) -> None:
        """The agent's process ends."""
        process = self.agent_facts.get(AgentFact.PROCESS)
        if not process or process["state"] != "running":
            return
        working = (self.agent_facts.get(AgentFact.TURN) or {}).get("state") == "working"
        self.broken_off = self.broken_off or working
        self.agent_facts[AgentFact.PROCESS] = process | {
            "state": "exited",
            "exit_signal": signal,
            "asked": asked,
        }
        world = self.world()
        for action in after_exit(world, None, signal, asked):
            self._apply(action)
        for message in world.open_messages:
            if message.sent_at and message.accepted_at is None:
                self._replace(dataclasses.replace(message, sent_at=None))
            elif message.sent_at:
                self._mark(message.id, failed="the process ended in its turn")
        self.settle()

    def person_says(self, text: str) -> None:
        """A person says something to the agent at work."""
        if self.bead.status is BeadStatus.SLUNG:
            self._say(QueueMessage(derived_id("said", len(self.messages)), MessageKind.NUDGE, text))
            self.settle()

    def raise_budget(self, amount: float) -> None:
        """A person lets the bead cost so much more."""
        if self.budget is not None:
            self.budget += amount
            self.settle()

    def target_moves(self) -> None:
        """Somebody else lands on the target."""
        self.target += 1
        self._look("the target moved")
        self.settle()

    def person_lands(self) -> None:
        """A person lets it land."""
        if self.bead.status is BeadStatus.REVIEW:
            branch = self.facts.get(BeadFact.BRANCH) or {}
            self.facts[BeadFact.LAND_ALLOWED] = {"by": "person", "head": branch.get("head")}
            self.blocked_checkout = False
            self._look("a person lets it land")
            self.settle()

    def person_gives_up(self) -> None:
        """A person hands it in as failed."""
        if self.bead.status in (BeadStatus.SLUNG, BeadStatus.REVIEW):
            self._apply(
                Transition(BeadStatus.FAILED, EventType.BEAD_FAILED, "given_up", "it was handed in as failed")
            )
            self.settle()

    def person_retries(self) -> None:
        """A person has a failed or escalated bead begun again."""
        if self.bead.status not in (BeadStatus.FAILED, BeadStatus.ESCALATED):
            return
        for fact in (BeadFact.OUTCOME, BeadFact.BLOCKED, BeadFact.ROUNDS, BeadFact.LAND_ALLOWED):
            self.facts.pop(fact, None)
        of_last_try = (AgentFact.LIMIT, AgentFact.STOPPED, AgentFact.CRASHES, AgentFact.TURN)
        for of_agent in of_last_try:
            self.agent_facts.pop(of_agent, None)
        self.broken_off = False
        order = self.facts[BeadFact.ORDER]
        generation = order["generation"] + 1
        self.facts[BeadFact.ORDER] = {**order, "generation": generation}
        self.bead = dataclasses.replace(self.bead, status=BeadStatus.SLUNG)
        self._say(QueueMessage(derived_id("retry", generation), MessageKind.PROMPT, "again"))
        self.settle()

    def person_undoes_giving_up(self) -> None:
        """A person takes that back: the same try goes on, once its agent is resumed."""
        if (self.facts.get(BeadFact.OUTCOME) or {}).get("kind") == "given_up":
            del self.facts[BeadFact.OUTCOME]
            self.bead = dataclasses.replace(self.bead, status=BeadStatus.SLUNG)
            self.person_stops()

    def person_stops(self) -> None:
        """A person stops the agent."""
        self.agent_facts[AgentFact.STOPPED] = {"by": "person", "reason": ""}
        self.settle()

    def person_resumes(self) -> None:
        """A person lets it run again."""
        self.agent_facts.pop(AgentFact.STOPPED, None)
        self.settle()

    def execute(self, key: str, *, fails: str | None = None) -> None:
        """Carry out one open intent, or have it fail for good."""
        intent = self.intents[key]
        if intent.state is not IntentState.OPEN or (intent.not_before and intent.not_before > self.now):
            return
        if intent.kind == IntentKind.COMMAND and self._standing(intent) is Standing.HALTED:
            return
        if fails is not None:
            self.intents[key] = dataclasses.replace(intent, state=IntentState.FAILED, error=fails)
        else:
            self.intents[key] = dataclasses.replace(intent, state=IntentState.DONE)
            getattr(self, f"_do_{intent.kind}")(intent)
        self.settle()

    # --- reading -----------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Reconcile until nothing more is asked for."""
        for _ in range(MOST_PASSES):
            changed = [self._apply(action) for action in reconcile(self.world())]
            before = self.line
            self.line, steps = next_steps(self.world(), before)
            changed += [self.line != before, *map(self._apply, steps)]
            self._check()
            if not any(changed):
                return
        raise Violation("decisions do not come to rest")

    # --- acts --------------------------------------------------------------------------------------------------------

    def _do_prepare(self, intent: Intent) -> None:
        self.facts[BeadFact.FOLDER] = {
            "path": "/folder",
            "branch": "at/1-work",
            "base_sha": "base",
            "target": "main",
        }
        self._see_commands(0)

    def _see_commands(self, look: int) -> None:
        generation = self.facts[BeadFact.ORDER]["generation"]
        commands = {**self.commands, "timeout_seconds": 60, "generation": generation, "look": look}
        self.facts[BeadFact.COMMANDS] = commands

    def _do_read_commands(self, intent: Intent) -> None:
        self._see_commands(intent.payload["look"])

    def _do_command(self, intent: Intent) -> None:
        if self._standing(intent) is Standing.OVER:
            self.facts[BeadFact.SET_UP] = dropped(self.facts, intent.payload)
            return
        if intent.payload["generation"] != self.facts[BeadFact.ORDER]["generation"]:
            raise Violation("a command runs for a try that is over")
        line = intent.payload["run"]
        self.ran.append(line)
        result = {"phase": intent.payload["phase"], "command": line, "how": "ended with exit code 1"}
        result |= {"ok": line != self.command_fails, "log": "/log"}
        self.facts[BeadFact.SET_UP] = noted(self.facts, intent.payload, result)

    def _standing(self, intent: Intent) -> Standing:
        """As the act has it: a command that is wanted waits for those of an earlier try."""
        stopped = AgentFact.STOPPED in self.agent_facts
        found = standing(self.bead, self.facts, self.boot, stopped, intent.payload)
        asked = [each for each in self.intents.values() if each.kind == IntentKind.COMMAND]
        first = next(each.key for each in asked if each.state is IntentState.OPEN or each.key == intent.key)
        return Standing.HALTED if found is Standing.WANTED and first != intent.key else found

    def _do_spawn(self, intent: Intent) -> None:
        self.starts += 1
        self._insist_on_set_up()
        attempt = intent.payload["attempt"]
        process = {
            "state": "running",
            "session": f"s-{attempt}",
            "attempt": attempt,
            "bead": str(self.bead.id),
        }
        self.agent_facts[AgentFact.PROCESS] = process
        self._sign_of_life()

    def _insist_on_set_up(self) -> None:
        """What has to run before a start has run, in its order, and lately."""
        commands = self.facts[BeadFact.COMMANDS]
        done = (self.facts.get(BeadFact.SET_UP) or {}).get("setup", {}).get("done")
        lines = ([] if done else commands["setup"]) + commands["run"]
        if lines and self.ran[-len(lines) :] != lines:
            raise Violation(f"an agent starts after {self.ran}, not after {lines}")

    def _do_send(self, intent: Intent) -> None:
        process = self.agent_facts[AgentFact.PROCESS]
        if process["state"] != "running" or process["session"] != intent.payload["session"]:
            return
        identity = UUID(intent.payload["message"])
        message = next(m for m in self.messages if m.id == identity)
        if message.accepted_at:
            raise Violation("a message was sent that had been accepted")
        self.sent[identity] = self.sent.get(identity, 0) + 1
        self._mark(identity, sent_at=self.now)
        self._sign_of_life()

    def _do_stop(self, intent: Intent) -> None:
        process = self.agent_facts.get(AgentFact.PROCESS) or {}
        if process.get("session") == intent.payload["session"]:
            self.end_process(asked=not intent.payload.get("crash"), signal=15)

    def _do_collect(self, intent: Intent) -> None:
        commits = [f"c{number}" for number in range(self.commits)]
        self.facts[BeadFact.BRANCH] = {
            "head": f"h{self.commits}",
            "tree": f"t{self.commits}",
            "base": "base",
            "commits": commits,
            "settings_changed": False,
            "round": intent.payload["round"],
        }
        self._see()

    def _do_forecast(self, intent: Intent) -> None:
        self._see()

    def _do_gate(self, intent: Intent) -> None:
        result = GateResult(
            name=intent.payload["name"],
            command=intent.payload["run"],
            tree=intent.payload["tree"],
            ok=self.gate_passes,
            exit_code=0 if self.gate_passes else 1,
            seconds=1.0,
            log="/log",
            output="said",
            at=self.now,
        )
        self.results[(result.name, result.tree)] = result

    def _do_land(self, intent: Intent) -> None:
        [member] = intent.payload["members"]
        self.line = dataclasses.replace(self.line, train=None)
        if intent.payload["target"] != f"m{self.target}":
            self._look("the target moved")
            return
        if self.blocked_checkout:
            self.facts[BeadFact.BLOCKED] = {"kind": "checkout", "reason": "a change of yours is in the way"}
            return
        results = [self.results.get((str(gate["name"]), member["tree"])) for gate in self.gates]
        if not all(result is not None and result.ok for result in results):
            raise Violation("a tree landed on which a gate did not pass")
        self.target += 1
        merged = {"merge": f"m{self.target}", "head": member["head"], "target": "main"}
        self.facts[BeadFact.MERGED] = merged

    def _do_remove(self, intent: Intent) -> None:
        self.facts.pop(BeadFact.FOLDER, None)

    # --- the store's part --------------------------------------------------------------------------------------------

    def _check(self) -> None:
        world = self.world()
        if self.bead.status is BeadStatus.DONE and not self.facts.get(BeadFact.MERGED):
            raise Violation("done without a merge")
        if is_proved(world) and not self.facts.get(BeadFact.MERGED):
            tree = self.facts[BeadFact.BRANCH]["tree"]
            passed = {name for (name, on), result in self.results.items() if on == tree and result.ok}
            if not self.commits or passed != {gate["name"] for gate in self.gates}:
                raise Violation("proved without commits and passed gates")
        if any(times > 1 for times in self.sent.values()) and not self._resent_unaccepted():
            raise Violation("a message was sent twice")

    def _resent_unaccepted(self) -> bool:
        """A message may leave again only for a new session, and only while nobody had accepted it."""
        return self.starts > 1

    def _see(self) -> None:
        number = (self.facts.get(BeadFact.LOOK) or {}).get("number", 0)
        head = self.facts[BeadFact.BRANCH]["head"]
        state = "trusted" if self.gates else "absent"
        self.facts[BeadFact.RULES] = {"state": state, "gates": self.gates, "landing": "manual"}
        self.facts[BeadFact.FORECAST] = {
            "head": head,
            "target": f"m{self.target}",
            "target_name": "main",
            "clean": not self.conflict,
            "tree": f"merge-{head}-{self.target}" if self.target else self.facts[BeadFact.BRANCH]["tree"],
            "contained": False,
            "conflicts": ["a.txt"] if self.conflict else [],
            "look": number,
        }

    def _look(self, why: str) -> None:
        number = (self.facts.get(BeadFact.LOOK) or {}).get("number", 0) + 1
        self.facts[BeadFact.LOOK] = {"number": number, "why": why}
        self.facts.pop(BeadFact.BLOCKED, None)
