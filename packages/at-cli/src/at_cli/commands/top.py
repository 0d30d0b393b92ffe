"""`at top`: one live screen."""

from __future__ import annotations

from at_cli.face import Face
from at_cli.verb import verb
from at_core.errors import UsageError


@verb(example="at top")
def command(face: Face) -> int:
    """Show all agents on one live screen: what needs you first, what each last did, for how long, and what it cost.

    y and n answer what is asked, after showing it whole; ? lists the other keys. It draws only when something
    happened. The settings ui.theme (light or dark) and ui.notify hold for it.
    """
    if face.json or not face.streams.interactive:
        raise UsageError(
            "at top is for a terminal: its input and output must be one", "at status, or at next --json"
        )
    from at_cli.terminal_title import has_title
    from at_cli.top.run import Top
    from at_cli.top.screen import LiveScreen
    from at_core.config import Config

    ui = Config.load(face.environ).ui
    face.daemon.start()
    with LiveScreen(face.streams.encode, titled=has_title(face.environ)) as screen:
        return Top(face, screen, light=ui.theme == "light", notifies=ui.notify in ("auto", "terminal")).run()
