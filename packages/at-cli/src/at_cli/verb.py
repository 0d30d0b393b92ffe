"""The shape of a verb: a click command that takes `--json`, shows an example, and answers with an exit code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from at_cli.amounts import budget_option
from at_cli.errors import EmptyText, NotText
from at_cli.face import Face, is_unicode
from at_core.paths import Home

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from at_session.manifest import Folder

LANES = ("experimental", "standard", "critical")
CLIS = ("claude", "codex", "gemini", "opencode", "demo")
MODES = ("ask", "edits", "all")


class VerbCommand(click.Command):
    """A command whose help ends with one example. Its callback gives an exit code, or None for 0."""

    example = ""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The example, as typed."""
        with formatter.section("Example"):
            for line in self.example.splitlines():
                formatter.write_text(line)


def verb(example: str, **settings: Any) -> Callable[[Callable[..., int | None]], VerbCommand]:
    """Make a function that takes a `Face` first into the verb that its file is named after."""

    def wrap(function: Callable[..., int | None]) -> VerbCommand:
        command = click.command(cls=VerbCommand, **settings)(click.pass_obj(function))
        command.example = example
        command.params.append(json_option())
        return command

    return wrap


def json_option() -> click.Option:
    """`--json`, which every verb and `at` itself takes."""

    def remember(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
        if value:
            ctx.find_object(Face).json = True  # type: ignore[union-attr]  # main gives every context a Face

    return click.Option(
        ["--json"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=remember,
        help="One JSON document in place of text.",
    )


class Name(click.ParamType[str]):
    """A bead or an agent as typed; the daemon resolves it. Completes from a daemon that runs, and starts none.

    `listed` is the command that lists such names.
    """

    def __init__(self, kind: str, listed: str) -> None:
        self.name = kind
        self._listed = listed

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """`value` as given; raises `NotText` and `EmptyText`."""
        what = f"the {param.name if param else self.name}"
        if not is_unicode(value):
            raise NotText(what)
        if not value.strip():
            raise EmptyText(what, self._listed)
        return value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Names that begin with what is typed."""
        from at_cli.naming import candidates

        face = ctx.find_object(Face)
        return [] if face is None else candidates(face, self.name, incomplete)


BEAD = Name("bead", "at ls")
AGENT = Name("agent", "at agents")
ASK = Name("ask", "at approvals")
RULE = Name("rule", "at rules")
ENTRY = Name("entry", "at attic")
ACT = Name("act", "at undo --list")
"""What took something away, by its own id or by its bead."""
EITHER = Name("name", "at agents, at ls")
"""An agent, or a bead and with it its agent."""


class CliName(click.ParamType[str]):
    """One of the CLIs that we know, or one of the person's manifests."""

    name = "cli"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """`value` as given; raises `ConfigError` for a manifest that cannot be used."""
        if value in CLIS:
            return value
        declared = _manifests(ctx)
        if value in declared.broken:
            from at_daemon.clis import config_error  # only a mistake needs it

            raise config_error(declared.broken[value])
        if value not in declared.found:
            known = ", ".join(map(repr, (*CLIS, *declared.found)))
            self.fail(f"{value!r} is not one of {known}.", param, ctx)
        return value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Ours and those of manifests."""
        from click.shell_completion import CompletionItem

        names = (*CLIS, *_manifests(ctx).found)
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _manifests(ctx: click.Context | None) -> Folder:
    from at_session.manifest import read_folder  # not for those who name a CLI that we know

    face = ctx.find_object(Face) if ctx is not None else None
    return read_folder(face.home.clis if face is not None else Home.find().clis)


def cli_option(about: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--cli`."""
    return click.option(
        "--cli", type=CliName(), metavar="CLI", help=f"{about}: {', '.join(CLIS)}, or a manifest of yours."
    )


def lane_option() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`-l`, `--lane`."""
    return click.option("-l", "--lane", type=click.Choice(LANES), help="Priority class (lane).")


after_option = click.option(
    "--after",
    type=BEAD,
    multiple=True,
    metavar="BEAD",
    help="It begins once that one has landed (repeatable).",
)
"""`--after`."""


def message_option(required: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`-m`, `--message`; `-` reads standard input."""
    return click.option(
        "-m", "--message", required=required, metavar="TEXT", help="The words; - reads standard input."
    )


def order_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say how a bead is to be worked on; they arrive as `at_core.api.Order` fields."""
    for decorate in reversed(
        (
            cli_option("Which agent program does it"),
            click.option("--model", metavar="MODEL", help="The model, as that program names it."),
            click.option("--base", metavar="REF", help="Begin at REF in place of the target branch."),
            click.option(
                "--allow",
                type=click.Choice(MODES),
                help="What the agent may do without asking.",
            ),
            click.option("--land/--no-land", default=None, help="Merge by itself once it is proved."),
            budget_option(),
        )
    ):
        function = decorate(function)
    return function


def timeout_option() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--timeout`, seconds of waiting."""
    return click.option(
        "--timeout",
        type=click.FloatRange(min=0),
        metavar="S",
        help="Wait, but at most S seconds; then exit code 75, and work goes on.",
    )


def wait_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--wait` and `--timeout`."""
    wait = click.option("--wait", is_flag=True, help="Stay until it is settled; the exit code says how.")
    return wait(timeout_option()(function))
