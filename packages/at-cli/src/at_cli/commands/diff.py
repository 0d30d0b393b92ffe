"""`at diff`: the change of a bead."""

from __future__ import annotations

import click

from at_cli.face import Document, Face
from at_cli.verb import BEAD, verb
from at_cli.views.patch import patch_lines, since_words
from at_core.errors import UsageError
from at_core.text import is_cut


@verb(example="at diff 3f2a9c1e | git apply --check")
@click.argument("bead", type=BEAD)
@click.option("--since-seen", is_flag=True, help="Only what its agent did since you last looked.")
@click.option("--stat", is_flag=True, help="Files and line counts in place of the patch.")
@click.option("--tool", is_flag=True, help="In your difftool (git config diff.tool).")
@click.option("--no-pager", is_flag=True, help="Print it on the terminal as it is.")
def command(face: Face, bead: str, since_seen: bool, stat: bool, tool: bool, no_pager: bool) -> int:
    """Show a work item's change against its base, on a terminal in your pager (as git would choose it).

    Off a terminal it is the patch, byte for byte. What was shown whole counts as seen: --since-seen begins there,
    and leaves out what another base brought where the work was rebased meanwhile. Exit code 1: it is too large to be
    shown whole.
    """
    if tool and (face.json or not face.streams.interactive):
        raise UsageError("a difftool wants a terminal", "at diff BEAD, without --tool")
    if tool and stat:
        raise UsageError("--tool and --stat exclude each other", "at diff BEAD --stat")
    change = face.call("change", bead=bead, path=face.folder, since_seen=since_seen or None)
    if tool:
        from at_cli.programs import difftool

        difftool(change["repository"], change["from"], change["head"], face.environ)
        shown, cut = True, False
    else:
        patch: bytes = face.call(
            "diff",
            bead=change["bead"],
            head=change["head"],
            since_seen=since_seen or None,
            stat=stat or None,
        )
        shown, cut = _show(face, change, patch, stat=stat, paged=not no_pager), is_cut(patch)
    if cut:
        there = f"git diff {change['from'][:12]} {change['head'][:12]}"
        face.note(f"at: the change is too large and was cut, so this is not taken for a look (next: {there})")
    elif shown and not stat:
        face.call("looked", bead=change["bead"], head=change["head"])
    return int(cut)


def _show(face: Face, change: Document, patch: bytes, *, stat: bool, paged: bool) -> bool:
    """Print the patch in the form that its reader wants; whether it was shown."""
    if face.json:
        known = {name: change[name] for name in ("bead", "head", "from", "since", "comments")}
        face.line({**known, "patch": patch.decode("utf-8", "replace"), "cut": is_cut(patch)})
    elif not face.streams.terminal:
        face.raw(patch)
    elif not patch:
        face.note("at: no change" + (" since you last looked" if _has_looked(change) else ""))
    else:
        waiting = [each for each in change["comments"] if each["state"] == "open"]
        head = since_words(change["since"], face.style)
        lines = [*head, *patch_lines(patch, face.style, [] if stat else waiting)]
        return _on_terminal(face, change["repository"], lines, paged=paged)
    return True


def _has_looked(change: Document) -> bool:
    return bool(change["since"] and change["since"]["seen"])


def _on_terminal(face: Face, repository: str, lines: list[str], *, paged: bool) -> bool:
    from at_cli.programs import is_own_terminal, page, pager_of

    if paged and is_own_terminal(face.streams.stdout) and (pager := pager_of(repository, face.environ)):
        body = face.streams.encode("".join(f"{line}\n" for line in lines))
        code = page(pager, body, face.environ)
        if code is not None:
            if code:
                face.note(
                    f"at: the pager {pager} ended with exit code {code}, so this is not taken for a look"
                )
            return code == 0
    face.text(lines)
    return True
