"""The four beads, what each shows, and what must have come of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """One bead: its name on the page, its prompt in the demo agent's scenario language, its end and its lines."""

    name: str
    shows: str
    prompt: str
    ends: str
    lines: int


PARTS = (
    Part(
        "clean",
        "does its work and lands",
        "write greeting.txt Good morning.; stream 3",
        "done",
        15,
    ),
    Part(
        "crash",
        "is killed in the middle and goes on by itself",
        "stream 1; write first.txt Before the crash.; crash; write second.txt After the crash.; stream 1",
        "done",
        10,
    ),
    Part(
        "asks",
        "may not run a command unasked",
        "stream 1; write list.txt What is here:\nshell ls *.txt >> list.txt",
        "done",
        5,
    ),
    Part(
        "lies",
        "says that it is done, and changed nothing",
        "stream 2; lie",
        "failed",
        10,
    ),
)
NAMES = {part.name: part for part in PARTS}
