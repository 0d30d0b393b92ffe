"""`at prove`: the installed CLIs through a table of cases, sealed to loopback, before a scripted model."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass, field
from pathlib import Path

import click

from at_cli.clock import monotonic
from at_cli.ended import EndedBySignal, Ending, ended_by_signals
from at_cli.errors import CannotProve
from at_cli.face import Face
from at_cli.prove import cleaning, ground, report
from at_cli.prove.case import Case, Played
from at_cli.prove.cases import CASES
from at_cli.prove.chaos import shaken
from at_cli.prove.table import JOBS, Table, plainly
from at_cli.verb import verb
from at_core.config import Config
from at_core.errors import UsageError
from at_session.rehearsal.clis import CLIS
from at_session.rehearsal.sealed import CannotSeal, seal

DEFAULT_SEED = 1


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
    default=None,
    show_default=str(DEFAULT_SEED),
    help="Seed of the instants of --chaos.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, 16),
    default=JOBS,
    show_default=True,
    help="Cases of one CLI at once, beside those that mostly wait. 1: strictly one after the other.",
)
@click.option("--keep", is_flag=True, help="Leave the folder in place and say where it is.")
def command(
    face: Face,
    clis: tuple[str, ...],
    names: tuple[str, ...],
    listing: bool,
    chaos: bool,
    seed: int | None,
    jobs: int,
    keep: bool,
) -> int:
    """Put the installed CLIs through a table of cases: work, asks, failures, crashes.

    Each runs in a home and a repository that are thrown away, sealed to loopback, before a scripted model: no key is
    used, nothing costs anything, and nothing of yours is changed. Of your files only our config.toml is read, for the
    CLIs' programs. Exit code 1 if a case fails; with --cli, --case and --keep it is then played alone and leaves its
    logs. Ended by a signal it still cleans up: 129 (SIGHUP), 130 (Ctrl-C), 143 (SIGTERM).
    """
    if seed is not None and not chaos:
        raise UsageError("--seed is for --chaos alone", "at prove --chaos --seed N")
    cases = _chosen_cases(names, chaos=chaos)
    if listing:
        rows = [{"case": case.name, "about": case.about} for case in cases]
        face.emit({"cases": rows}, [f"{case.name:<24} {case.about}" for case in cases])
        return 0
    chosen = ground.choose(Config.load(face.environ), face.environ.get("PATH"), clis)
    ground.require_git(face.environ.get("PATH"))
    try:
        seal()  # before there is a second thread, and for all that is started from here on
    except CannotSeal as problem:
        raise CannotProve(
            str(problem), "at prove runs on Linux, where a network namespace may be made"
        ) from None
    if chaos and seed is None:
        seed = DEFAULT_SEED
    with ended_by_signals() as ending:
        place = ground.build(face.environ)
        rehearsal = _Rehearsal(face, place.folder, chosen, cases, seed, jobs)
        try:
            with contextlib.suppress(EndedBySignal):
                rehearsal.play(ending)
        finally:
            rehearsal.clean_up(place, keep=keep)
    return rehearsal.told() if ending.number is None else 128 + ending.number


def _chosen_cases(names: tuple[str, ...], *, chaos: bool) -> list[Case]:
    offered = [case for case in CASES if case.belongs(chaos=chaos)]
    known = {case.name for case in offered}
    for name in names:
        if name not in known:
            raise UsageError(
                f"there is no case {name!r}{' with --chaos' if chaos else ''}", "at prove --list"
            )
    return [case for case in offered if not names or case.name in names]


@dataclass(slots=True)
class _Rehearsal:
    face: Face
    folder: Path
    chosen: dict[str, str]
    cases: list[Case]
    seed: int | None
    jobs: int
    clis: list[ground.Installed] = field(default_factory=list)
    cells: list[Played] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def play(self, ending: Ending) -> None:
        """All cases on all CLIs; a signal ends it by EndedBySignal."""
        began, face = monotonic(), self.face
        home = self.folder / "home"
        (home / "tmp").mkdir(parents=True)
        asking = ground.environment(home, face.environ)
        self.clis = [ground.version_of(cli, binary, asking) for cli, binary in self.chosen.items()]
        if not face.json:
            struck = f", with chaos of seed {self.seed}" if self.seed is not None else ""
            face.text(report.opening(face.style, self.clis, self.cases, struck))
        play = plainly if self.seed is None else functools.partial(shaken, self.seed)
        for installed in self.clis:
            table = Table(self.folder, installed, self.cases, face.environ, play, self.jobs)
            try:
                with contextlib.closing(table.cells()) as played, ending.interrupting():
                    for cell in played:
                        self.cells.append(cell)
                        if not face.json:
                            face.text([report.cell_line(face.style, cell)])
            finally:
                self.troubles += table.troubles
        self.seconds = monotonic() - began

    def clean_up(self, place: ground.ThrowAwayFolder, *, keep: bool) -> None:
        """End what still runs, and remove the folder unless it is to be kept."""
        if keep:
            self.troubles += cleaning.end_all(place.folder)
            self.face.note(f"kept: {place.folder}")
        else:
            self.troubles += cleaning.remove(place.folder, place.made)
        for trouble in self.troubles if self.ended_early else ():
            self.face.note(f"not cleaned up: {trouble}")

    @property
    def ended_early(self) -> bool:
        """Whether there are cells that were not played, so that no table is printed."""
        return len(self.cells) < len(self.clis) * len(self.cases) or not self.clis

    def told(self) -> int:
        """Print the table; the exit code."""
        face = self.face
        lines = [
            *report.table(face.style, self.clis, self.cases, self.cells),
            *report.ending(face.style, self.cells, self.seconds, self.troubles),
        ]
        document = report.document(
            self.clis, self.cases, self.cells, self.seconds, self.seed, self.troubles, str(self.folder)
        )
        face.emit(document, lines)
        return 0 if document["ok"] else 1
