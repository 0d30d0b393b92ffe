"""`at land`: let beads merge."""

from __future__ import annotations

import click

from at_cli.face import Face
from at_cli.landings import Landing, land_all, left_alone
from at_cli.verb import BEAD, timeout_option, verb
from at_cli.views.landing import intention_lines, landing_lines, worst
from at_cli.waiting import landed, settle
from at_core.errors import UsageError


@verb(example="at land 3f2a9c1e")
@click.argument("beads", type=BEAD, nargs=-1, metavar="BEAD...")
@click.option("--proved", is_flag=True, help="All of this repository that are proved and that you have read.")
@click.option("-y", "--unread", is_flag=True, help="With --proved: also what you have not looked at.")
@click.option("--wait/--no-wait", default=True, help="Stay until all are merged or cannot be (the default).")
@timeout_option()
def command(
    face: Face, beads: tuple[str, ...], proved: bool, unread: bool, wait: bool, timeout: float | None
) -> int:
    """Merge work items onto their target branch, once they are proved and gates passed on the merged tree.

    A work item that is named is meant, read or not. --proved takes those whose newest change at diff has shown you,
    says in which order, and names the others. Exit code 0: all merged. 1: one was sent back or failed. 3: something
    of yours is in the way, or there is work that you have not read.
    """
    if proved == bool(beads) or (unread and not proved):
        raise UsageError("name work items, or give --proved (and with it --unread)", "at land BEAD")
    if len(beads) == 1:
        document = face.call("land", bead=beads[0])
        return settle(face, document, wait=wait, timeout=timeout, verdict=landed)
    if not proved:
        landings = land_all(face, [(bead, None) for bead in beads], wait=wait, timeout=timeout)
        return _tell(face, landings)
    ready = face.call("landable", path=face.folder)["beads"]
    taken = [bead for bead in ready if bead["unread"] is None or (unread and not bead["must_read"])]
    left = [left_alone(bead) for bead in ready if bead not in taken]
    for line in intention_lines(taken, face.style):
        face.note(line)
    heads = [(bead["id"], bead["head"]) for bead in taken]
    return _tell(face, [*land_all(face, heads, wait=wait, timeout=timeout), *left])


def _tell(face: Face, landings: list[Landing]) -> int:
    documents = [each.document for each in landings]
    face.emit({"landings": documents}, landing_lines(documents, face.style))
    return worst([each["exit_code"] for each in documents])
