"""What the scripts that record the CLIs share: the ends of the cases, and the files.

One file per case: a JSON object per line with one name, either a stream (`stdout`, `stderr`) with a line of it or an act
of ours (`launch`, `prompt`, `approve`, `deny`, `interrupt`) with its arguments.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from clis.pipes import PipedAgent

from at_session.vocabulary import AskOpened, TurnEnded

Stage = TypeVar("Stage")


def each_case(
    cases: Iterable[Callable[[Stage], PipedAgent]], ground: Path, only: tuple[str, ...] = ()
) -> Iterator[tuple[str, Callable[[Stage], PipedAgent]]]:
    """Each case with its name while `ground` is an empty folder; `only` names the wanted ones, none means all."""
    for case in cases:
        name = case.__name__.replace("_", "-")
        if only and name not in only:
            continue
        shutil.rmtree(ground, ignore_errors=True)
        ground.mkdir(parents=True)
        yield name, case
        print(name)
    shutil.rmtree(ground)


def entries(agent: PipedAgent) -> list[str]:
    """The record, one JSON text per line of it."""
    found: list[str] = []
    partial = {"stdout": b"", "stderr": b""}
    for name, data in agent.recorded:
        if isinstance(data, tuple):
            found.append(json.dumps({name: data}))
            continue
        *lines, partial[name] = (partial[name] + data).split(b"\n")
        found += [json.dumps({name: line.decode()}, ensure_ascii=False) for line in lines]
    return found


def save(folder: Path, name: str, found: list[str]) -> None:
    """Write the file of a case."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.jsonl").write_text("\n".join(found) + "\n", encoding="utf-8")


def through(agent: PipedAgent, turns: int = 1) -> PipedAgent:
    """The agent, when so many turns have ended."""
    agent.wait_for(TurnEnded, count=turns)
    return agent


def prompted_again(agent: PipedAgent, text: str) -> PipedAgent:
    """Give a second prompt; the agent, when both turns have ended."""
    agent.prompt("m2", text)
    return through(agent, turns=2)


def decided(agent: PipedAgent, *, approve: bool, text: str = "") -> PipedAgent:
    """Answer what the agent asks; the agent, when the turn has ended."""
    agent.decide(agent.wait_for(AskOpened).request_id, approve=approve, text=text)
    return through(agent)


def stopped(agent: PipedAgent) -> PipedAgent:
    """Interrupt the agent; the agent, when the turn has ended."""
    agent.interrupt("i1")
    return through(agent)
