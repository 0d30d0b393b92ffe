"""Events as lines of the demo: what happened, and the fact behind it."""

from __future__ import annotations

from typing import Any

Event = dict[str, Any]


def tell(event: Event) -> tuple[str, str] | None:
    """(what happened, the fact that says so) of one event, or None for one that is not told."""
    said = event["payload"]
    match event["type"]:
        case "daemon.started" if not said["adopted"]:
            return "is started", "by the first command, as it is whenever one needs it"
        case "folder.prepared":
            return "has a folder of its own", f"a private clone on {said['branch']}"
        case "agent.started":
            again = "is started again" if said["attempt"] > 1 else "is started"
            return again, f"process {said['pid']}, held by a process of its own"
        case "message.accepted":
            return "took its prompt", f"acknowledged by the agent as {said['message'][:8]}"
        case "ask.opened":
            return f"asks to run: {said['what']}", f"request {said['ask'][:8]} on the agent's protocol"
        case "ask.decided":
            return "is allowed to", f"decided by {event['actor']}: at approve {said['ask'][:8]}"
        case "agent.exited" if said.get("exit_signal"):
            return "died", f"its holder saw signal {said['exit_signal']}, and nobody had asked for it"
        case "text.spoken" if "committed" in said["text"]:
            return f"says: {said['text']}", "its own words, which count for nothing"
        case "work.collected":
            return "handed in", f"{len(said['commits'])} commit(s), tree {said['tree'][:10]}"
        case "gate.finished":
            passed = "passed" if said["ok"] else "failed"
            return (
                f"gate {said['name']} {passed}",
                f"exit code {said['exit_code']} on tree {said['tree'][:10]}",
            )
        case "bead.proved":
            return "is proved", f"commits, gate passed on tree {said['tree'][:10]}, merge onto main is clean"
        case "bead.landed":
            return "landed on main", "the target moved by compare-and-set"
        case "bead.sent_back":
            return "is sent back to its agent", said.get("reason") or ""
        case "bead.failed":
            return "FAILED", said.get("reason") or ""
    return None
