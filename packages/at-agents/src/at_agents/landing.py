"""Decisions about a bead in review: gather evidence, run gates, send back, have it queue for its target."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from at_agents import prompts
from at_agents.decisions import Action, Do, IntentKind, Put, QueueMessage, Tell, Transition, World, derived_id
from at_agents.lifecycle import short
from at_core.repo_settings import FILE_NAME
from at_core.types import BeadStatus, GateResult, IntentState, MessageKind
from at_core.vocabulary import AgentFact, BeadFact, EventType

SOMEBODY_ELSE = "somebody else"
TRIED_BY_LANDING = ("checkout", "land", "gate")
"""Kinds of what is in the way that show when it is merged."""
PULL_REQUEST_MERGED = "MERGED"
"""GitHub's word for the state of a pull request that was merged."""
TARGET_IN_CLONE = "refs/at/target"
"""Where an agent finds the target in its own clone when its branch has to be brought up to it."""


def reconcile_review(world: World) -> list[Action]:
    """What a bead in review needs now. At most one step is asked for at a time, but for gates, which are all asked for.

    What is ready merges when its target's queue says so (`landing_queue`).
    """
    if world.facts.get(BeadFact.READY) != (standing := ready(world)):
        return [Put(BeadFact.READY, standing)]
    if not (branch := _current_branch(world)):
        return _collect(world)
    if _is_merged(world, branch):
        return [Transition(BeadStatus.DONE, EventType.BEAD_LANDED)]
    if unmerged := branch.get("unmerged"):
        reason = f"it left conflicts unresolved in {', '.join(unmerged[:5])}"
        return _send_back(world, "conflict", reason, prompts.unresolved(unmerged))
    if not branch["commits"]:
        return [_no_change(world, branch["tree"])]
    if not (forecast := current_forecast(world)):
        return _forecast(world)
    if forecast["contained"] or _came_by_pull_request(world, forecast):
        return [_merged_by_others(branch, forecast)]
    if blocked := _rules_block(world):
        return _blocked(world, blocked)
    if not _all_passed(world, branch["tree"]):
        return _gates(world, branch)
    if not forecast["clean"]:
        paths = forecast["conflicts"]
        body = prompts.conflict(forecast["target_name"], TARGET_IN_CLONE, paths)
        return _send_back(
            world, "conflict", f"it conflicts with {forecast['target_name']} in {', '.join(paths[:5])}", body
        )
    return _announce(world, branch, forecast) + _settings(world, branch, forecast)


def ready(world: World) -> dict[str, Any] | None:
    """The value of `BeadFact.READY`: how it may merge, if it is proved, let land, and nothing is in the way.

    `coming`: as far as is known; it is about to be known.
    """
    branch, forecast, by = _current_branch(world), current_forecast(world), may_land(world)
    if branch is None or by is None or blocked_now(world):
        return None
    if forecast is None:
        return _coming(world, branch)
    if _is_merged(world, branch) or branch.get("unmerged") or forecast["contained"] or not is_proved(world):
        return None
    changes_settings = bool(branch["settings_changed"] or forecast.get("settings_brought"))
    if changes_settings and by != "person":
        return None
    return {
        "head": branch["head"],
        "target": forecast["target"],
        "target_name": forecast["target_name"],
        "tree": forecast["tree"],
        "by": by,
        "look": look(world),
        "single": changes_settings,
        "size": int(branch.get("insertions", 0)) + int(branch.get("deletions", 0)),
        "gates": list((world.facts.get(BeadFact.RULES) or {}).get("gates", ())),
    }


def _coming(world: World, branch: Mapping[str, Any]) -> dict[str, Any] | None:
    """Its target is looked at anew: whoever is ready already waits for it, so that they are merged together."""
    before = world.facts.get(BeadFact.FORECAST)
    proved = branch["commits"] and not branch.get("unmerged") and not _is_merged(world, branch)
    if not before or not proved or not _all_passed(world, branch["tree"]):
        return None
    return {"coming": True, "target_name": before["target_name"]}


def blocked_now(world: World) -> Mapping[str, Any] | None:
    """What keeps it from moving, unless its target is looked at anew since: then that is about to be known again."""
    blocked: Mapping[str, Any] | None = world.facts.get(BeadFact.BLOCKED)
    return blocked if blocked and blocked.get("look", look(world)) == look(world) else None


def merged_gate_failed(world: World, result: GateResult, target: str) -> list[Action]:
    """What follows when its gates passed, but one failed on what its merge gives."""
    reason = f"the gate {result.name!r} failed on its merge onto {target} (tree {result.tree[:12]})"
    body = prompts.merged_gate_failed(result, world.policy.gate_output_characters, target, TARGET_IN_CLONE)
    return _send_back(world, "gate", reason, body)


def is_proved(world: World) -> bool:
    """Commits exist, every gate passed on exactly that tree, and the merge onto the target is clean."""
    return _holds(world, current_forecast(world))


def stays_proved(world: World) -> bool:
    """Proved, or it was and its target is being looked at anew: nothing speaks against it so far."""
    return _holds(world, _forecast_of_head(world))


def _holds(world: World, forecast: Mapping[str, Any] | None) -> bool:
    branch = _current_branch(world)
    if world.bead.status not in (BeadStatus.REVIEW, BeadStatus.DONE) or branch is None:
        return False  # at work again its tree is about to be another one
    if _is_merged(world, branch) and world.facts[BeadFact.MERGED].get("by") != SOMEBODY_ELSE:
        return True
    if not branch["commits"] or _rules_block(world):
        return False
    return _all_passed(world, branch["tree"]) and forecast is not None and bool(forecast["clean"])


def current_forecast(world: World) -> Mapping[str, Any] | None:
    """The forecast for the present head and the newest look at the target."""
    forecast = _forecast_of_head(world)
    return forecast if forecast and forecast["look"] >= look(world) else None


def _forecast_of_head(world: World) -> Mapping[str, Any] | None:
    """The newest forecast for the present head."""
    forecast, branch = world.facts.get(BeadFact.FORECAST), _current_branch(world)
    return dict(forecast) if forecast and branch and forecast["head"] == branch["head"] else None


def look(world: World) -> int:
    """Number of the newest look at the target that somebody asked for."""
    return int((world.facts.get(BeadFact.LOOK) or {}).get("number", 0))


def evidence_gates(world: World) -> list[GateResult]:
    """Results of the gates that count: those on the branch's tree, then those on the merged one."""
    branch = _current_branch(world)
    if branch is None:
        return []
    trees = [branch["tree"]]
    merged, forecast = world.facts.get(BeadFact.MERGED), current_forecast(world)
    if merged and merged.get("checked"):
        trees.append(merged["checked"])
    elif forecast and forecast["clean"]:
        trees.append(forecast["tree"])
    trees = list(dict.fromkeys(trees))
    return [result for tree in trees for _, result in _results(world, tree) if result is not None]


def may_land(world: World) -> str | None:
    """Who lets this bead merge: `person`, `order` (--land) or `rule` (the trusted file), or nobody."""
    return let_land_by(world.facts)


def let_land_by(facts: Mapping[str, Any]) -> str | None:
    """`may_land` of the bead that has these facts."""
    allowed = facts.get(BeadFact.LAND_ALLOWED)
    branch = _branch_of_round(facts)
    if allowed and branch and allowed["head"] in (None, branch["head"]):
        return "person"
    wish = (facts.get(BeadFact.ORDER) or {}).get("land")
    if wish is True:
        return "order"
    rules = facts.get(BeadFact.RULES) or {}
    return (
        "rule"
        if wish is None and rules.get("landing") == "auto" and rules.get("state") == "trusted"
        else None
    )


def gate_key(rig: str, name: str, command: str, tree: str) -> str:
    """The same gate on the same tree is one intent, whichever bead asks."""
    return f"gate:{rig}:{name}:{hashlib.sha256(command.encode()).hexdigest()[:12]}:{tree}"


def _current_branch(world: World) -> Mapping[str, Any] | None:
    return _branch_of_round(world.facts)


def _branch_of_round(facts: Mapping[str, Any]) -> Mapping[str, Any] | None:
    branch, handed = facts.get(BeadFact.BRANCH), facts.get(BeadFact.HANDED_IN) or {}
    return dict(branch) if branch and branch["round"] == handed.get("round") else None


def _is_merged(world: World, branch: Mapping[str, Any]) -> bool:
    """Whether what is on the target is this round's work: a merge may come through while the bead is sent back."""
    merged = world.facts.get(BeadFact.MERGED)
    return merged is not None and merged["head"] == branch["head"]


def _collect(world: World) -> list[Action]:
    number = int((world.facts.get(BeadFact.HANDED_IN) or {}).get("round", 0))
    key = f"collect:{world.bead.id}:{world.generation}:{number}"
    if error := world.failure(key):
        reason = f"its work could not be collected: {error}"
        return [
            Transition(
                BeadStatus.FAILED, EventType.BEAD_FAILED, "collect", reason, f"at retry {short(world)}"
            )
        ]
    return [Do(key, IntentKind.COLLECT, {"round": number})]


def _no_change(world: World, tree: str) -> Transition:
    denied = tuple(world.turn.get("denied") or ())
    refused = f" ({', '.join(denied[:3])} was refused)" if denied else _failed_tools(world)
    said = " although the agent said that it is done" if world.turn.get("text") else ""
    reason = (
        f"no change was made{refused}: the turn ended{said}, and its tree {tree[:12]} is that of its base"
    )
    return Transition(
        BeadStatus.FAILED, EventType.BEAD_FAILED, "no_change", reason, f"at retry {short(world)} -m TEXT"
    )


def _failed_tools(world: World) -> str:
    """A tool that is not there or did not work is the likely reason, so its own words are told."""
    failed = (world.agent_facts.get(AgentFact.TOOLS) or {}).get("failed") or ()
    return f" (a tool did not work: {failed[-1]})" if failed else ""


def _came_by_pull_request(world: World, forecast: Mapping[str, Any]) -> bool:
    """Whether the target has what a merged pull request brought, be it under other commits."""
    merged = (world.facts.get(BeadFact.PULL_REQUEST) or {}).get("state") == PULL_REQUEST_MERGED
    return merged and bool(forecast.get("brought"))


def _merged_by_others(branch: Mapping[str, Any], forecast: Mapping[str, Any]) -> Put:
    merged = {"merge": forecast["target"], "head": branch["head"], "target": forecast["target_name"]}
    return Put(BeadFact.MERGED, {**merged, "tree": forecast["tree"], "by": SOMEBODY_ELSE})


def _rules_block(world: World) -> dict[str, str] | None:
    rules = world.facts.get(BeadFact.RULES) or {}
    state = rules.get("state")
    if state == "untrusted":
        return {
            "kind": "trust",
            "reason": "the repository's .auto-tundra.toml is not trusted, so its gates do not run",
            "hint": "at trust",
        }
    if state == "broken":
        return {
            "kind": "trust",
            "reason": f"the repository's .auto-tundra.toml is wrong: {rules.get('error')}",
            "hint": "mend it on the target branch",
        }
    return None


def _blocked(world: World, blocked: Mapping[str, str]) -> list[Action]:
    value: dict[str, Any] = {**blocked, "look": look(world)}
    before = world.facts.get(BeadFact.BLOCKED)
    if before == value:
        return []
    same = before is not None and (before["kind"], before["reason"]) == (value["kind"], value["reason"])
    return [Put(BeadFact.BLOCKED, value), *([] if same else [Tell(EventType.BEAD_BLOCKED, value)])]


def _unblocked(world: World) -> list[Action]:
    """What was in the way at an earlier look is forgotten once this one found nothing; what only landing can show
    stays until that was tried again."""
    before = world.facts.get(BeadFact.BLOCKED)
    if before is None or blocked_now(world) or (before["kind"] in TRIED_BY_LANDING and may_land(world)):
        return []
    return [Put(BeadFact.BLOCKED, None)]


def _results(world: World, tree: str) -> Iterator[tuple[Mapping[str, Any], GateResult | None]]:
    known = world.gates(tree)
    for gate in (world.facts.get(BeadFact.RULES) or {}).get("gates", ()):
        yield gate, known.get((gate["name"], gate["run"]))


def _all_passed(world: World, tree: str) -> bool:
    return all(result is not None and result.ok for _, result in _results(world, tree))


def _gates(world: World, branch: Mapping[str, Any]) -> list[Action]:
    """What is to be done about gates that have not all passed on its tree; possibly nothing but to wait."""
    tree = branch["tree"]
    steps: list[Action] = []
    for gate, result in _results(world, tree):
        if result is not None and result.ok:
            continue
        key = gate_key(world.bead.rig or "", gate["name"], gate["run"], tree)
        if result is not None:
            if _ran_in_this_round(world, key):
                reason = f"the gate {gate['name']!r} failed on tree {tree[:12]}"
                body = prompts.gate_failed(result, world.policy.gate_output_characters)
                return _send_back(world, "gate", reason, body)
            key = _key_of_this_round(world, key)
        if (broken := world.intent(key)) and broken.state is IntentState.FAILED:
            before = (broken.bead_id, broken.payload.get("look"))
            if before != (world.bead.id, look(world)):
                key = _key_of_this_look(world, key)  # tried again when it is looked at anew
        if error := world.failure(key):
            reason = f"the gate {gate['name']!r} could not run: {error}"
            return _blocked(world, {"kind": "gate", "reason": reason, "hint": f"at land {short(world)}"})
        run = {**gate, "tree": tree, "head": branch["head"], "look": look(world)}
        steps.append(Do(key, IntentKind.GATE, run | {"round": _round(world)}))
    return steps


def _ran_in_this_round(world: World, key: str) -> bool:
    """Whether a gate's failure is news. One of an earlier round is not: the gate may be flaky, or mended elsewhere."""
    own = _key_of_this_round(world, key)
    newest_first = (_key_of_this_look(world, own), own, _key_of_this_look(world, key), key)
    newest = next((found for name in newest_first if (found := world.intent(name)) is not None), None)
    if newest is None or newest.state is not IntentState.DONE:
        return False
    return (newest.bead_id, newest.payload.get("round")) == (world.bead.id, _round(world))


def _key_of_this_round(world: World, key: str) -> str:
    return f"{key}:{world.bead.id}:{_round(world)}"


def _key_of_this_look(world: World, key: str) -> str:
    return f"{key}:{world.bead.id}:{look(world)}"


def _round(world: World) -> str:
    """How often the bead was begun anew, and handed in."""
    return f"{world.generation}.{(world.facts.get(BeadFact.HANDED_IN) or {}).get('round', 0)}"


def _forecast(world: World) -> list[Action]:
    branch = _current_branch(world)
    head = branch["head"] if branch else ""
    key = f"forecast:{world.bead.id}:{head}:{look(world)}"
    if error := world.failure(key):
        return _blocked(
            world, {"kind": "target", "reason": f"the target could not be read: {error}", "hint": "at land"}
        )
    return [Do(key, IntentKind.FORECAST, {"head": head, "look": look(world)})]


def _announce(world: World, branch: Mapping[str, Any], forecast: Mapping[str, Any]) -> list[Action]:
    said = {"head": branch["head"], "target": forecast["target"]}
    if world.facts.get(BeadFact.ANNOUNCED) == said:
        return []
    return [Put(BeadFact.ANNOUNCED, said), Tell(EventType.BEAD_PROVED, {**said, "tree": branch["tree"]})]


def _settings(world: World, branch: Mapping[str, Any], forecast: Mapping[str, Any]) -> list[Action]:
    """No order and no rule lets a change of the rules land. Nothing else is in the way here."""
    if may_land(world) in ("order", "rule") and (how := _changes_settings(world, branch, forecast)):
        return _blocked(world, {"kind": "settings", **how})
    return _unblocked(world)


def _changes_settings(
    world: World, branch: Mapping[str, Any], forecast: Mapping[str, Any]
) -> dict[str, str] | None:
    """That a person must see the settings which it would bring, why, and where they are seen."""
    must, land = "so a person must look at it and let it land", f"at land {short(world)}"
    if branch["settings_changed"]:
        return {"reason": f"it changes {FILE_NAME}, {must}", "hint": land}
    if not forecast.get("settings_brought"):
        return None
    target = forecast["target_name"]
    base = (world.facts.get(BeadFact.FOLDER) or {}).get("base_ref", "its base")
    # Its own change, which `at diff` shows, has nothing of this.
    seen = f"git diff {target} {forecast['tree'][:12]} -- {FILE_NAME}"
    return {
        "reason": f"the merge brings {FILE_NAME} of {base} to {target}, {must}",
        "hint": f"{seen}, then {land}",
    }


def _send_back(world: World, kind: str, reason: str, body: str) -> list[Action]:
    count = int((world.facts.get(BeadFact.ROUNDS) or {}).get("count", 0)) + 1
    if count > world.policy.max_rounds:
        reason = f"{reason}, after it was sent back {count - 1} times"
        return [
            Transition(
                BeadStatus.FAILED, EventType.BEAD_FAILED, kind, reason, f"at retry {short(world)} -m TEXT"
            )
        ]
    number = int((world.facts.get(BeadFact.HANDED_IN) or {}).get("round", 0))
    return [
        Put(BeadFact.ROUNDS, {"count": count}),
        QueueMessage(
            derived_id(world.bead.id, "back", world.generation, number), MessageKind.SEND_BACK, body
        ),
        Transition(BeadStatus.SLUNG, EventType.BEAD_SENT_BACK, kind, reason),
    ]
