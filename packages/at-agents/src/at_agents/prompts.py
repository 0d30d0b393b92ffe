"""Every word that auto-tundra itself says to an agent. The person's own prompt is never changed.

What is added to a CLI's instructions is short and says only what the agent cannot see for itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from at_core.types import GateResult


def instructions(branch: str, target: str) -> str:
    """Added once to the CLI's own instructions when an agent is started on a bead."""
    return (
        f"You work alone in a private clone, on the branch {branch}. Commit your work there when it is complete; "
        f"what is left uncommitted will be committed for you. Do not push and do not switch branches. "
        f"The work is checked and merged onto {target} by auto-tundra, not by you."
    )


def go_on() -> str:
    """After the process ended in the middle of a turn and was started again."""
    return (
        "Your process ended before this turn was complete and was started again. "
        "Look at what is already done and go on with the work where you left off."
    )


def trouble_over(lost: str = "") -> str:
    """After an error on the way to the model ended a turn; `lost` is its prompt if the CLI does not keep that."""
    told = (
        "Your last turn was broken off by an error on the way to the model. "
        "Look at what is already done and go on with the work where you left off."
    )
    return with_lost(told, lost)


def limit_over(lost: str = "") -> str:
    """After a usage limit; `lost` is the prompt that met it if the CLI does not keep that."""
    return with_lost("The usage limit is over. Go on with the work where you left off.", lost)


def with_lost(told: str, lost: str) -> str:
    """The words, and behind them what was asked if the CLI did not keep that."""
    return f"{told} You were asked:\n\n{lost}" if lost else told


def gate_failed(result: GateResult, limit: int) -> str:
    """Back to the agent with a failing gate's output, its end if it is long."""
    output = result.output if len(result.output) <= limit else "…" + result.output[-limit:]
    code = "the time limit" if result.exit_code is None else f"exit code {result.exit_code}"
    return (
        f"The check {result.name!r} failed ({code}) on exactly what you committed (tree {result.tree[:12]}). "
        f"The command is: {result.command}\nIts output:\n\n{output}\n\nMend the cause and commit. "
        "If the cause is not in your work, say so and end your turn: the check is then run once more."
    )


def conflict(target: str, ref: str, paths: Sequence[str]) -> str:
    """Back to the agent when its branch no longer merges."""
    listed = "\n".join(f"- {path}" for path in paths)
    return (
        f"Your branch conflicts with what {target} has become. The target is in your clone as {ref}. "
        f"Merge it (git merge {ref}), keep what both sides meant, and commit. Files in conflict:\n{listed}"
    )


def unresolved(paths: Sequence[str]) -> str:
    """Back to the agent when it handed in files that still have conflicts."""
    listed = "\n".join(f"- {path}" for path in paths)
    return f"A merge is unfinished: these files still have conflicts. Resolve them and commit.\n{listed}"


def begun_before() -> str:
    """To a new session in a folder where another one worked."""
    return "Another session has begun this in the same folder. Look at what is already done before you go on."


def again(reason: str) -> str:
    """After a person asked for another try."""
    because = f" It ended with: {reason}." if reason else ""
    return f"Your last try was not accepted.{because} Look at the state of the work and complete what was asked for."
