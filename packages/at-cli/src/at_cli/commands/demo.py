"""`at demo`: four agents on a throw-away repository; the daemon is killed in the middle. No model is called."""

from __future__ import annotations

import contextlib

import click

from at_cli.demo.play import Moment, Play
from at_cli.demo.script import PARTS
from at_cli.demo.stage import Stage
from at_cli.demo.telling import tell
from at_cli.ended import EndedBySignal, Ending, ended_by_signals
from at_cli.face import Document, Face
from at_cli.style import Look
from at_cli.verb import verb
from at_core.errors import AtError, UsageError

NEXT = (
    "at init                             what branch, base and gates were found",
    'at run "what is to be done" --wait  an agent in a folder of its own, until its work is proved',
    "at land BEAD                        merge it, once you have seen: at diff BEAD",
)
COLOURS = {"clean": "green", "crash": "yellow", "asks": "cyan", "lies": "red", "daemon": "blue"}


@verb(example="at demo")
@click.option("--keep", is_flag=True, help="Leave the demo's folder in place and say where it is.")
@click.option(
    "--acp", is_flag=True, help="Be the demo agent itself, for a client of the Agent Client Protocol."
)
@click.option("--state-dir", metavar="DIR", help="With --acp: where the agent keeps its sessions.")
def command(face: Face, keep: bool, acp: bool, state_dir: str | None) -> int:
    """Show the product at work: four agents on a throw-away repository, the daemon killed in the middle.

    No model is called, no CLI or key is needed, and your own home folder is not touched.
    """
    if acp != (state_dir is not None) or (acp and keep):
        raise UsageError("--acp and --state-dir go together, and without --keep", "at demo --help")
    if state_dir is not None:
        from at_session.demo.agent import main

        return main(["--acp", "--state-dir", state_dir])
    code = 1
    with ended_by_signals() as ending:
        try:
            code = _play(face, keep, ending)
        except (EndedBySignal, AtError, OSError):
            # A signal also reaches git, and takes the terminal away: failures that follow from it tell nothing.
            if ending.number is None:
                raise
    return code if ending.number is None else 128 + ending.number


def _play(face: Face, keep: bool, ending: Ending) -> int:
    stage = Stage.build()
    play = Play(stage, stage.environment(face.environ))
    try:
        with ending.interrupting():
            failures = _moments(face, stage, play)
    finally:
        _clear(face, stage, play, keep)
    if ending.number is None:
        _say(face, [f"kept: {stage.folder}" if keep else f"removed: {stage.folder}; nothing else was made"])
    return 1 if failures else 0


def _moments(face: Face, stage: Stage, play: Play) -> list[str]:
    """The demo from its first line to its last; what did not go as it must."""
    _say(face, _opening(face.style, stage))
    play.prepare()
    play.start()
    for moment in play.moments():
        _say(face, _line(face.style, play, moment))
    documents = play.documents()
    failures = play.failures()
    history = stage.git("log", "--graph", "--format=%h %s", "main")
    face.emit(_document(play, documents, failures), _ending(face.style, play, documents, history, failures))
    return failures


def _clear(face: Face, stage: Stage, play: Play, keep: bool) -> None:
    try:
        with contextlib.suppress(AtError, OSError):
            play.end(face.streams)
    finally:
        if not keep:
            stage.clear()


def _say(face: Face, lines: list[str]) -> None:
    if not face.json:
        face.text(lines)


def _opening(style: Look, stage: Stage) -> list[str]:
    rows = [f"  {style.paint(COLOURS[part.name], f'{part.name:<6}')} {part.shows}" for part in PARTS]
    return [
        style.paint("bold", "Four agents, one repository, one gate. No model is called."),
        *rows,
        f"  {style.paint('blue', 'daemon')} is killed with SIGKILL while they work",
        style.paint("dim", f"in {stage.folder}"),
        "",
    ]


def _line(style: Look, play: Play, moment: Moment) -> list[str]:
    kind = moment.event["type"]
    if kind == "demo.killed" and play.killing is not None:
        told = (
            "KILLED",
            f"SIGKILL to process {play.killing.daemon}; the agents work on",
        )
    elif kind == "demo.back" and play.killing is not None:
        told = (f"is back after {play.killing.seconds:.1f} s", _same(play))
    else:
        told = tell(moment.event) or ("", "")
    what, fact = told
    if not what:
        return []
    colour = COLOURS.get(moment.who, "dim")
    head = f"{moment.seconds:5.1f} s  {style.paint(colour, f'{moment.who:<6}')} {style.plain(what)}"
    return [f"{head}  {style.paint('dim', style.plain(fact))}"]


def _same(play: Play) -> str:
    assert play.killing is not None
    before, after = play.killing.before, play.killing.after
    same = [name for name in before if after.get(name) == before[name]]
    pids = ", ".join(f"{name} {before[name][0]}" for name in same)
    return (
        f"the same processes as before: {pids}" if len(same) == len(before) else f"only {pids} are as before"
    )


def _ending(
    style: Look, play: Play, documents: dict[str, Document], history: str, failures: list[str]
) -> list[str]:
    lines = ["", style.paint("bold", "What came of it")]
    for name, document in documents.items():
        bead = document["bead"]
        colour = "green" if bead["status"] == "done" else "red"
        reasons = "; ".join(document["reasons"])
        heard = f"{len(play.lines.get(name, ()))} lines heard once each, in order"
        lines.append(
            f"  {style.paint(COLOURS[name], f'{name:<6}')} {style.paint(colour, bead['status'])}: {style.plain(reasons)}"
        )
        lines.append(f"         {style.paint('dim', heard)}")
    lines += [
        "",
        style.paint("bold", "main, as it landed"),
        *(f"  {line}" for line in history.splitlines()),
        "",
    ]
    if failures:
        return [
            *lines,
            style.paint("red", "The demo did not keep its word:"),
            *(f"  {line}" for line in failures),
        ]
    return [
        *lines,
        style.paint("bold", "On a repository of yours, try:"),
        *(f"  {line}" for line in NEXT),
        "",
    ]


def _document(play: Play, documents: dict[str, Document], failures: list[str]) -> Document:
    killed = play.killing
    return {
        "ok": not failures,
        "failures": failures,
        "seconds": round(play.seconds, 1),
        "model_called": False,
        "beads": [{"name": name, **document} for name, document in documents.items()],
        "daemon_killed": None
        if killed is None
        else {"pid": killed.daemon, "seconds": round(killed.seconds, 2)},
    }
