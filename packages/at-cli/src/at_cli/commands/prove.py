"""`at prove`: the installed CLIs through a table of cases, sealed to loopback, before a scripted model."""

from __future__ import annotations

import contextlib
import functools
import shutil
from pathlib import Path

import click

from at_cli.clock import monotonic
from at_cli.ended import EndedBySignal, Ending, ended_by_signals
from at_cli.errors import CannotProve
from at_cli.face import Face
from at_cli.prove import ground, report
from at_cli.prove.case import Case, CaseResult, Played
from at_cli.prove.cases import CASES
from at_cli.prove.chaos import shaken
from at_cli.prove.table import JOBS, Table, plainly
from at_cli.verb import verb
from at_core.config import Config
from at_core.errors import UsageError
from at_session.rehearsal.clis import CLIS
from at_session.rehearsal.sealed import CannotSeal, seal


@verb(example="at prove --cli claude --case write-lands")
@click.option(
    "--cli", "clis", multiple=True, type=click.Choice(CLIS), help="Only this CLI (may be repeated)."
)
@click.option(
    "--case",
    "names",
    multiple=True,
    metavar="CASE",
    help="Only this case (may be repeated); --list names them.",
)
@click.option("--list", "listing", is_flag=True, help="Name the cases and play none.")
@click.option("--chaos", is_flag=True, help="Kill the daemon and the CLIs at seeded instants meanwhile.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Seed of the instants of --chaos.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, 16),
    default=JOBS,
    show_default=True,
    help="Cases of one CLI at once.",
)
@click.option("--keep", is_flag=True, help="Leave the folder in place and say where it is.")
def command(
    face: Face,
    clis: tuple[str, ...],
    names: tuple[str, ...],
    listing: bool,
    chaos: bool,
    seed: int,
    jobs: int,
    keep: bool,
) -> int:
    """Put the installed CLIs through a table of cases: work, asks, failures, crashes.

    Each runs in a home and a repository that are thrown away, sealed to loopback, before a scripted model: no key is
    used, nothing costs anything, and nothing of yours is touched. Exit code 1 if a case fails; with --cli, --case and
    --keep it is then played alone and leaves its logs.
    """
    cases = _chosen_cases(names, chaos=chaos)
    if listing:
        rows = [{"case": case.name, "about": case.about} for case in cases]
        face.emit({"cases": rows}, [f"{case.name:<24} {case.about}" for case in cases])
        return 0
    chosen = ground.choose(Config.load(face.environ), face.environ.get("PATH"), clis)
    try:
        seal()  # before there is a second thread, and for all that is started from here on
    except CannotSeal as problem:
        raise CannotProve(
            str(problem), "at prove runs on Linux, where a network namespace may be made"
        ) from None
    folder = ground.build()
    code = 1
    try:
        with ended_by_signals() as ending, contextlib.suppress(EndedBySignal):
            code = _play(face, folder, chosen, cases, seed if chaos else None, jobs, ending)
    finally:
        if keep:
            face.note(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return code if ending.number is None else 128 + ending.number


def _chosen_cases(names: tuple[str, ...], *, chaos: bool) -> list[Case]:
    offered = [case for case in CASES if case.belongs(chaos=chaos)]
    known = {case.name for case in offered}
    for name in names:
        if name not in known:
            raise UsageError(
                f"there is no case {name!r}{' with --chaos' if chaos else ''}", "at prove --list"
            )
    return [case for case in offered if not names or case.name in names]


def _play(
    face: Face,
    folder: Path,
    chosen: dict[str, str],
    cases: list[Case],
    seed: int | None,
    jobs: int,
    ending: Ending,
) -> int:
    began = monotonic()
    home = folder / "home"
    (home / "tmp").mkdir(parents=True)
    asking = ground.environment(home, face.environ)
    clis = [ground.version_of(cli, binary, asking) for cli, binary in chosen.items()]
    if not face.json:
        face.text(
            report.opening(
                face.style, clis, cases, f", with chaos of seed {seed}" if seed is not None else ""
            )
        )
    play = plainly if seed is None else functools.partial(shaken, seed)
    cells: list[Played] = []
    troubles: list[str] = []
    for installed in clis:
        table = Table(folder, installed, cases, face.environ, play, jobs)
        with contextlib.closing(table.cells()) as played, ending.interrupting():
            for cell in played:
                cells.append(cell)
                if not face.json:
                    face.text([report.cell_line(face.style, cell)])
        troubles += table.troubles
    seconds = monotonic() - began
    lines = [
        *report.table(face.style, clis, cases, cells),
        *report.ending(face.style, cells, seconds, troubles),
    ]
    face.emit(report.document(clis, cases, cells, seconds, seed, troubles), lines)
    return 1 if troubles or any(cell.verdict is CaseResult.FAIL for cell in cells) else 0
