"""The whole program behind `at`: reads the arguments, runs one verb, turns every outcome into a documented exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

import click

from at_cli.errors import Crashed, UnknownVerb
from at_cli.face import Face, abandon_stdout
from at_cli.group import at
from at_cli.streams import Streams
from at_core.errors import AtError, UsageError
from at_session import started_with

INTERRUPTED = 130
COMPLETION = "_AT_COMPLETE"
"""Set by completion scripts: the place of the word to complete."""


def main(arguments: Sequence[str]) -> int:
    """Run `at` with these arguments in this process's environment; the exit code."""
    program = os.path.basename(sys.argv[0]) if sys.argv else "at"
    program = program if program in ("at", "auto-tundra") else "at"
    streams = Streams.of_process()
    if COMPLETION in os.environ:
        return complete(arguments, streams, os.environ)
    code = run(arguments, streams, started_with.environment(), program)
    try:
        streams.stdout.flush()
    except OSError:  # the verb's own failure to write is reported; at this point only the exit is left
        abandon_stdout()
    return code


def run(arguments: Sequence[str], streams: Streams, environ: Mapping[str, str], program: str = "at") -> int:
    """One call of `at` on the given streams. Every outcome is an exit code; nothing is raised."""
    face = Face(streams, environ, program=program)
    try:
        with at.make_context(program, list(arguments), obj=face) as ctx:
            return at.invoke(ctx) or 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        face.json = face.json or _asks_for_json(arguments)
        return _fail(face, usage_error(error))
    except UnknownVerb as error:
        face.json = face.json or _asks_for_json(arguments)
        return _fail(face, error)
    except AtError as error:
        return _fail(face, error)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        return 0
    except Exception as error:  # noqa: BLE001 - the outermost boundary: a defect becomes one line and a log entry
        from at_cli.crash import write_traceback

        return _fail(face, Crashed(error, write_traceback(face.home, environ, error)))


def complete(arguments: Sequence[str], streams: Streams, environ: Mapping[str, str]) -> int:
    """Print what a completion script asked for; a script in mid-line is never answered with an error."""
    from at_cli.completion_scripts import candidates

    position = environ[COMPLETION]
    if position.isdecimal():
        face = Face(streams, environ)
        found = candidates(at, arguments, int(position), face)
        face.text(f"{item.value}\t{' '.join((item.help or '').split())}" for item in found)
    return 0


def usage_error(error: click.ClickException) -> UsageError:
    """click's complaint in the contract's form."""
    ctx = getattr(error, "ctx", None)
    return UsageError(error.format_message(), f"{ctx.command_path if ctx else 'at'} --help")


def _fail(face: Face, error: AtError) -> int:
    try:
        return face.fail(error)
    except OSError:  # stderr is gone as well; the exit code still tells
        return error.exit_code


def _asks_for_json(arguments: Sequence[str]) -> bool:
    """Whether `--json` stands among the options: what decides how a usage error is told."""
    for argument in arguments:
        if argument == "--":
            return False
        if argument == "--json":
            return True
    return False
