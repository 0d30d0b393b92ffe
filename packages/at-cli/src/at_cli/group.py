"""The group `at`: verbs by what people do, each loaded when it is called."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import click

from at_cli.__about__ import __version__
from at_cli.errors import UnknownVerb
from at_cli.face import Face
from at_cli.verb import json_option
from at_cli.verbs import BY_NAME, SECTIONS, SYNONYMS

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class VerbGroup(click.Group):
    """Verbs come from the table in `at_cli.verbs`; a verb's code is `command` in the file that the table names."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order of the overview."""
        return list(BY_NAME)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb of that name, its file loaded now; None if there is none."""
        verb = BY_NAME.get(SYNONYMS.get(cmd_name, cmd_name))
        if verb is None:
            return None
        command: click.Command = importlib.import_module(f"at_cli.commands.{verb.module}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with an error that names the closest verb."""
        if not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            import difflib  # only a mistake needs it

            raise UnknownVerb(args[0], difflib.get_close_matches(args[0], [*BY_NAME, *SYNONYMS], n=1))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The overview; no verb is loaded for it."""
        for title, verbs in SECTIONS:
            with formatter.section(title):
                formatter.write_dl([(verb.name, verb.about) for verb in verbs], col_max=12)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Verbs from the table, then options."""
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(verb.name, help=verb.about)
            for verb in BY_NAME.values()
            if verb.name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]


@click.command(
    cls=VerbGroup,
    params=[json_option()],
    invoke_without_command=True,
    epilog="at VERB --help tells more about a verb. Without a verb: at status.",
)
@click.version_option(__version__, prog_name="at", message="%(prog)s %(version)s")
@click.pass_context
def at(ctx: click.Context) -> int | None:
    """Run coding agents on one repository at once, and land only what is proved."""
    if ctx.invoked_subcommand is not None:
        return None
    from at_cli.commands.status import status_or_welcome

    face = ctx.find_object(Face)
    assert face is not None  # main gives every context one
    return status_or_welcome(face)
