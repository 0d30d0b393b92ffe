"""The table as lines and as a document."""

from __future__ import annotations

from collections.abc import Sequence

from at_cli.face import Document
from at_cli.prove.case import Case, CaseResult, Played
from at_cli.prove.ground import Installed
from at_cli.style import Look

COLOURS = {CaseResult.PASS: "green", CaseResult.FAIL: "red", CaseResult.CANNOT: "yellow"}
WORDS = {CaseResult.PASS: "ok", CaseResult.FAIL: "FAILED", CaseResult.CANNOT: "cannot"}


def opening(style: Look, clis: Sequence[Installed], cases: Sequence[Case], chaos: str) -> list[str]:
    """What is about to be played."""
    listed = ", ".join(f"{each.cli} {each.version}" for each in clis)
    head = f"{len(cases)} cases on {listed}{chaos}."
    told = "Sealed to loopback, before a scripted model, in a home and a repository that are thrown away: no key, no cost."
    return [style.paint("bold", style.plain(head)), style.paint("dim", told), ""]


def cell_line(style: Look, cell: Played) -> str:
    """One cell, as soon as it is known."""
    word = style.paint(COLOURS[cell.verdict], f"{WORDS[cell.verdict]:<6}")
    head = f"{cell.cli:<8} {cell.case:<24} {word} {cell.seconds:6.1f} s"
    return f"{head}  {style.paint('dim', style.plain(cell.fact))}"


def table(
    style: Look, clis: Sequence[Installed], cases: Sequence[Case], cells: Sequence[Played]
) -> list[str]:
    """Cases by CLIs, with seconds."""
    found = {(cell.cli, cell.case): cell for cell in cells}
    width = max(len(case.about) for case in cases)
    heads = "".join(f"{each.cli:>16}" for each in clis)
    lines = ["", style.paint("bold", f"{'':<{width}}{heads}")]
    for case in cases:
        row = "".join(_box(style, found.get((each.cli, case.name))) for each in clis)
        lines.append(f"{case.about:<{width}}{row}")
    return lines


def _box(style: Look, cell: Played | None) -> str:
    if cell is None:
        return f"{'-':>16}"
    return style.paint(COLOURS[cell.verdict], f"{WORDS[cell.verdict]:>7}{cell.seconds:7.1f} s")


def ending(style: Look, cells: Sequence[Played], seconds: float, troubles: Sequence[str]) -> list[str]:
    """How many, and what is to be done about failures."""
    count = {verdict: sum(cell.verdict is verdict for cell in cells) for verdict in CaseResult}
    told = f"{count[CaseResult.PASS]} passed, {count[CaseResult.FAIL]} failed, {count[CaseResult.CANNOT]} cannot, in {seconds:.0f} s"
    lines = ["", style.paint("red" if count[CaseResult.FAIL] else "green", told)]
    lines += [style.plain(f"not cleaned up: {trouble}") for trouble in troubles]
    return lines


def document(
    clis: Sequence[Installed],
    cases: Sequence[Case],
    cells: Sequence[Played],
    seconds: float,
    seed: int | None,
    troubles: Sequence[str],
    folder: str = "",
) -> Document:
    """The same for programs. `seed` is None where nothing was killed on purpose; `folder` is where it was played."""
    return {
        "ok": all(cell.verdict is not CaseResult.FAIL for cell in cells) and not troubles,
        "seed": seed,
        "seconds": round(seconds, 1),
        "clis": [{"cli": each.cli, "version": each.version, "binary": each.binary} for each in clis],
        "cases": [{"case": case.name, "about": case.about} for case in cases],
        "cells": [
            {
                "cli": cell.cli,
                "case": cell.case,
                "verdict": cell.verdict.value,
                "seconds": cell.seconds,
                "fact": cell.fact,
            }
            for cell in cells
        ],
        "folder": folder,
        "not_cleaned_up": list(troubles),
    }
