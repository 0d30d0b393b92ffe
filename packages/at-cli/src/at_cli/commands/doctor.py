"""`at doctor`: this machine, and how to fix what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from at_cli.__about__ import __version__
from at_cli.doctor import facts, judge
from at_cli.doctor.clis import KNOWN, draws_on
from at_cli.doctor.judge import Check, Verdict
from at_cli.face import Face
from at_cli.style import Look
from at_cli.verb import verb
from at_cli.views.words import count
from at_core.agent_environment import OF_A_REPOSITORY
from at_core.errors import AtError

if TYPE_CHECKING:
    from at_core.config import AgentsConfig

_COLOURS = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}


@verb(example="at doctor")
def command(face: Face) -> int:
    """Check this machine: Python, git, agent programs and logins, daemon, folders.

    It uses no network and starts no agent. "As tested" is a version that the product's own tests drive; with any other,
    at prove shows what holds. Exit code 1 if something fails that has to be fixed first.
    """
    with face.progress("asking the agent programs for their versions"):
        checks = list(examine(face))
    failed = [check for check in checks if check.verdict is Verdict.FAIL]
    document = {"ok": not failed, "checks": [check.to_json() for check in checks]}
    face.emit(document, _lines(checks, face.style))
    return 1 if failed else 0


def examine(face: Face) -> Iterator[Check]:
    """All checks, in the order in which a newcomer would meet what they are about."""
    environ = face.environ
    yield judge.python(*facts.python_facts())
    yield from judge.git(facts.find_program("git", "git", environ), facts.git_identity(environ, face.folder))
    yield from _agent_programs(face, environ)
    yield from _manifests(face, environ)
    yield _settings(face)
    yield from judge.home(facts.home_facts(face.home))
    yield _daemon(face)
    yield judge.terminals(facts.pty_facts())
    yield judge.sqlite(facts.sqlite_version())
    yield judge.environment(environ, OF_A_REPOSITORY)


def _agent_programs(face: Face, environ: Mapping[str, str]) -> Iterator[Check]:
    from at_session.drivers import driver_for

    agents = configured(face)
    binaries = [(cli.name, getattr(agents, cli.name).binary) for cli in KNOWN]
    programs = facts.find_programs(binaries, environ)
    found = any(program.path for program in programs)
    for cli, program in zip(KNOWN, programs, strict=True):
        yield judge.agent_program(
            cli,
            program,
            draws_on(cli, environ),
            draws_on=driver_for(cli.name).capabilities.draws_on,
            refused=facts.refusal(cli.name, getattr(agents, cli.name).allow, environ, face.folder),
            any_found=found,
        )


def _manifests(face: Face, environ: Mapping[str, str]) -> Iterator[Check]:
    from at_session.manifest import read_folder

    folder = read_folder(face.home.clis)
    wanted = [(each.name, each.find(environ) or each.program(environ)) for each in folder.found.values()]
    programs = facts.find_programs(wanted, environ) if wanted else []
    for manifest, program in zip(folder.found.values(), programs, strict=True):
        yield judge.declared_program(manifest, program)
    for name, error in folder.broken.items():
        yield judge.broken_manifest(name, str(error))


def configured(face: Face) -> AgentsConfig:
    """What the settings say of the agent programs; the defaults where the settings are broken."""
    from at_core.config import AgentsConfig, Config

    try:
        return Config.load_from(face.home.config_file, face.environ).agents
    except AtError:
        return AgentsConfig()


def _settings(face: Face) -> Check:
    from at_core.config import Config

    path = face.home.config_file
    try:
        Config.load_from(path, face.environ)
    except AtError as error:
        return judge.settings(str(path), True, (error.message, error.hint))
    return judge.settings(str(path), path.exists(), None)


def _daemon(face: Face) -> Check:
    try:
        return judge.daemon(face.daemon.health(), None, __version__)
    except AtError as error:
        return judge.daemon(None, error.message, __version__)


def _lines(checks: list[Check], style: Look) -> list[str]:
    lines = []
    for check in checks:
        verdict = style.paint(_COLOURS[check.verdict], f"{check.verdict.value:<5}")
        lines.append(f"{verdict} {check.name:<13} {style.plain(check.says)}")
        if check.fix:
            lines.append(
                f"{'':<19} fix: {style.plain(check.fix)}"
                if check.verdict is not Verdict.OK
                else f"{'':<19} {style.plain(check.fix)}"
            )
    failed = sum(check.verdict is Verdict.FAIL for check in checks)
    warned = sum(check.verdict is Verdict.WARN for check in checks)
    end = f"{count(failed, 'failure')}, {count(warned, 'warning')}" if failed or warned else "all is well"
    return [*lines, end]
