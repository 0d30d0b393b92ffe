"""`at attic`: what was kept before something was removed."""

from __future__ import annotations

import os.path
from pathlib import Path

import click

from at_cli.face import Face
from at_cli.verb import ENTRY, verb
from at_cli.views.attic import entry_lines, list_lines, restored_lines
from at_cli.views.patch import patch_lines
from at_core.errors import UsageError

ACTIONS = ("list", "show", "restore")


@verb(example="at attic restore 3f2a9c1e/1 --branch rescued")
@click.argument("action", type=click.Choice(ACTIONS), default="list")
@click.argument("what", type=ENTRY, required=False)
@click.option("-n", "--limit", type=click.IntRange(min=1), metavar="N", help="list: at most N.")
@click.option("--stat", is_flag=True, help="show: files and line counts alone.")
@click.option("--patch", is_flag=True, help="show: the patch, byte for byte off a terminal.")
@click.option("--to", metavar="FOLDER", help="restore: into this folder, which is not there yet.")
@click.option("--branch", metavar="NAME", help="restore: onto this branch, which is not there yet.")
def command(
    face: Face,
    action: str,
    what: str | None,
    limit: int | None,
    stat: bool,
    patch: bool,
    to: str | None,
    branch: str | None,
) -> None:
    """List what was kept of folders before they were removed, show one entry, or restore it.

    list takes a work item, also one that is long gone; show and restore take an entry, such as 3f2a9c1e/1. A restored
    folder is a clone as the agent left it, with what was not committed; a branch has that as one commit more.
    """
    _refuse_stray_options(action, limit=limit, stat=stat, patch=patch, to=to, branch=branch)
    if action == "list":
        document = face.call("attic", path=face.folder, bead=what, limit=limit)
        face.emit(document, list_lines(document, face.style))
        return
    if what is None:
        raise UsageError(f"which entry to {action} is not said", "at attic")
    if action == "show":
        _show(face, what, stat=stat, patch=patch)
        return
    if (to is None) == (branch is None):
        raise UsageError(
            "say where to: --to FOLDER, or --branch NAME", f"at attic restore {what} --to FOLDER"
        )
    place = None if to is None else _absolute(face, to)
    document = face.call("attic_restore", path=face.folder, entry=what, to=place, branch=branch)
    face.emit(document, restored_lines(document, face.style))


def _absolute(face: Face, to: str) -> str:
    place = Path(face.argument(to, "the folder")).expanduser()
    return os.path.normpath(Path(face.folder or "/") / place)


def _refuse_stray_options(action: str, **given: object) -> None:
    takes = {"list": ("limit",), "show": ("stat", "patch"), "restore": ("to", "branch")}
    for name, value in given.items():
        if value and name not in takes[action]:
            raise UsageError(f"--{name} is not for at attic {action}", "at attic --help")
    if given["stat"] and given["patch"]:
        raise UsageError("--stat and --patch exclude each other", "at attic --help")


def _show(face: Face, what: str, *, stat: bool, patch: bool) -> None:
    document = face.call("attic_entry", path=face.folder, entry=what)
    change: bytes = face.call("attic_diff", path=face.folder, entry=what, stat=None if patch else True)
    if face.json:
        face.line({**document, "patch" if patch else "stat": change.decode("utf-8", "replace")})
    elif patch and not face.streams.terminal:
        face.raw(change)
    else:
        lines = [] if stat or patch else entry_lines(document["entry"], face.style)
        face.text([*lines, *patch_lines(change, face.style)])
