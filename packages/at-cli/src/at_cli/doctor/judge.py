"""Facts to verdicts: pure functions, each with what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from at_cli.doctor.clis import STEERING, KnownCli
from at_cli.doctor.facts import HomeFacts, Program, PtyFacts
from at_cli.views.words import count, size

if TYPE_CHECKING:
    from at_session.manifest import Manifest

OLDEST_GIT = (2, 38)
"""The first with `git merge-tree --write-tree`, by which merges are tried aside."""
OLDEST_SQLITE = (3, 35, 0)
SAFE_SQLITE = (3, 51, 3)
"""Earlier ones (from 3.7.0) can corrupt a write-ahead log with several writers; we have one."""
LITTLE_SPACE, NO_SPACE = 2_000_000_000, 200_000_000


class Verdict(StrEnum):
    """`warn` is worth knowing, `fail` keeps something from working."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding; `fix` is what to do, empty if nothing."""

    name: str
    verdict: Verdict
    says: str
    fix: str = ""

    def to_json(self) -> dict[str, Any]:
        """Its document."""
        return asdict(self)


def python(version: str, executable: str) -> Check:
    """The interpreter; an older one could not have started us."""
    return Check("python", Verdict.OK, f"{version}, {executable}")


def git(program: Program, identity: str | None) -> Iterable[Check]:
    """git itself, and who commits."""
    if program.path is None:
        yield Check("git", Verdict.FAIL, "not found on PATH", "install git 2.38 or newer")
        return
    if program.version is None:
        yield Check("git", Verdict.FAIL, f"{program.path}: {program.trouble}", "install git 2.38 or newer")
        return
    old = _numbers(program.version) < OLDEST_GIT
    yield Check(
        "git",
        Verdict.FAIL if old else Verdict.OK,
        f"{program.version}, {program.path}",
        f"install git {'.'.join(map(str, OLDEST_GIT))} or newer" if old else "",
    )
    if identity is None:
        fix = 'git config --global user.email "you@example.org"'
        yield Check("git identity", Verdict.WARN, "not set: merges would carry a stand-in", fix)
    else:
        yield Check("git identity", Verdict.OK, identity)


def agent_program(
    cli: KnownCli,
    program: Program,
    signed_in: str | None,
    *,
    draws_on: str,
    refused: tuple[str, str] | None,
    any_found: bool,
) -> Check:
    """One of the agent programs. A missing one is no trouble as long as another is there.

    `signed_in` is what a turn draws on as far as it can be seen, `draws_on` what it may draw on; `refused` is why its
    driver would not start it here, with what to do.
    """
    if program.path is None:
        verdict = Verdict.OK if any_found else Verdict.WARN
        return Check(cli.name, verdict, f"not installed (tested: {cli.tested})", cli.install)
    if program.version is None:
        says = f"{program.path}: {program.trouble} (tested: {cli.tested})"
        return Check(cli.name, Verdict.FAIL, says, cli.install)
    as_tested = program.version == cli.tested
    says = f"{program.version} ({'as tested' if as_tested else f'tested: {cli.tested}'}), {program.path}"
    try_it = "" if as_tested else f"at prove --cli {cli.name} shows whether all holds with this version"
    by_login = signed_in in (None, cli.login_draws_on)
    says += f"; draws on {signed_in}" if signed_in else f"; no login in sight; it would draw on {draws_on}"
    says += f"; {cli.login_note}" if by_login and cli.login_note else ""
    if refused is not None:
        return Check(cli.name, Verdict.FAIL, f"{says}; cannot be started: {refused[0]}", refused[1])
    if signed_in is None or (by_login and cli.login_note):
        return Check(cli.name, Verdict.WARN, says, "; ".join(filter(None, (cli.sign_in, try_it))))
    return Check(cli.name, Verdict.OK, says, try_it)


def declared_program(manifest: Manifest, program: Program) -> Check:
    """A program that a manifest declares; it need not know `--version`."""
    where = f"{manifest.path} ({manifest.protocol}; {', '.join(manifest.permission_modes)})"
    if program.path is None:
        says = f"{where}: there is no program {manifest.binary!r} on your PATH"
        return Check(manifest.name, Verdict.WARN, says, "install it, or correct the manifest's binary")
    version = program.version or f"version unknown: {program.trouble}"
    return Check(
        manifest.name, Verdict.OK, f"{version}, {program.path}; {where}; draws on {manifest.draws_on}"
    )


def broken_manifest(name: str, trouble: str) -> Check:
    """A manifest that cannot be used, which is the trouble of its CLI alone."""
    return Check(name, Verdict.WARN, trouble, "correct the manifest")


def daemon(health: Mapping[str, Any] | None, trouble: str | None, ours: str) -> Check:
    """The daemon of this home, if it runs."""
    if trouble is not None:
        return Check("daemon", Verdict.FAIL, trouble, "at down, then at up")
    if health is None:
        return Check("daemon", Verdict.OK, "not running; it starts when it is needed")
    says = f"runs as process {health['pid']}, version {health['version']}"
    if health["version"] != ours:
        return Check("daemon", Verdict.WARN, f"{says}; this is {ours}", "at down --keep-agents, then at up")
    return Check("daemon", Verdict.OK, says)


def home(facts: HomeFacts) -> Iterable[Check]:
    """Who may read the home folder, and how much room there is."""
    if not facts.exists:
        yield Check("home", Verdict.OK, f"{facts.path} is made when it is needed")
    elif not facts.ours:
        yield Check(
            "home", Verdict.FAIL, f"{facts.path} belongs to another user", "set AT_HOME to a folder of yours"
        )
    elif facts.mode & 0o077:
        yield Check(
            "home",
            Verdict.WARN,
            f"{facts.path} is open to others (mode {facts.mode:o})",
            f"chmod 700 {facts.path}",
        )
    else:
        yield Check("home", Verdict.OK, facts.path)
    room = size(facts.free_bytes)
    if facts.free_bytes < NO_SPACE:
        yield Check("disk", Verdict.FAIL, f"{room} free", "make room; nothing new is started on a full disk")
    elif facts.free_bytes < LITTLE_SPACE:
        yield Check("disk", Verdict.WARN, f"{room} free", "make room: each agent has a folder of its own")
    else:
        yield Check("disk", Verdict.OK, f"{room} free")


def terminals(facts: PtyFacts) -> Check:
    """Whether agents in terminals can be started."""
    known = (
        f"{facts.used} of {facts.limit} in use"
        if facts.used is not None and facts.limit
        else "one can be had"
    )
    if facts.trouble is not None:
        return Check(
            "terminals",
            Verdict.FAIL,
            f"none can be had: {facts.trouble}",
            "mount devpts, or raise kernel.pty.max",
        )
    if facts.used is not None and facts.limit and facts.limit - facts.used < 20:
        return Check("terminals", Verdict.WARN, known, "raise kernel.pty.max")
    return Check("terminals", Verdict.OK, known)


def sqlite(version: tuple[int, ...]) -> Check:
    """The store's library."""
    shown = ".".join(map(str, version))
    if version < OLDEST_SQLITE:
        return Check("sqlite", Verdict.FAIL, f"{shown} is too old", "use a Python with SQLite 3.35 or newer")
    if version < SAFE_SQLITE:
        return Check(
            "sqlite", Verdict.OK, f"{shown}; its defect with several writers does not reach us, there is one"
        )
    return Check("sqlite", Verdict.OK, shown)


def environment(environ: Mapping[str, str], kept_back: Iterable[str]) -> Check:
    """What an agent gets of the caller's environment: names only, never a value."""
    names = sorted(name for name in environ if name.startswith(STEERING))
    kept = sorted(set(kept_back) & set(environ))
    without = f", without {', '.join(kept)}" if kept else ""
    steering = f"; these steer agent programs: {', '.join(names)}" if names else ""
    given = len(environ) - len(kept)
    return Check(
        "environment", Verdict.OK, f"agents get {count(given, 'variable')} of the call{without}{steering}"
    )


def settings(path: str, exists: bool, trouble: tuple[str, str] | None) -> Check:
    """The person's settings file."""
    if trouble is not None:
        return Check("settings", Verdict.FAIL, trouble[0], trouble[1] or f"edit {path}")
    return Check("settings", Verdict.OK, path if exists else f"{path} is not there: defaults hold")


def _numbers(version: str) -> tuple[int, ...]:
    parts = []
    for part in version.split("."):
        digits = "".join(character for character in part if character.isdigit())
        if not digits:
            break
        parts.append(int(digits))
    return tuple(parts)
