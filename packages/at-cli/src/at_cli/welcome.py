"""`at` alone on a new machine: what is here, and what to try. Nothing is made and no daemon is started."""

from __future__ import annotations

from typing import Any

from at_cli.doctor import facts
from at_cli.doctor.clis import KNOWN, draws_on
from at_cli.face import Document, Face
from at_cli.style import Look


def look_around(face: Face) -> Document:
    """{new, repository, git, clis: [{name, path, version, trouble, draws_on}], try: [command]}."""
    with face.progress("looking around"):
        git, *programs = facts.find_programs(
            [("git", "git"), *((cli.name, cli.name) for cli in KNOWN)], face.environ
        )
    clis = [
        {
            "name": program.name,
            "path": program.path,
            "version": program.version,
            "trouble": program.trouble,
            "draws_on": draws_on(cli, face.environ) if program.path else None,
        }
        for cli, program in zip(KNOWN, programs, strict=True)
    ]
    repository = facts.repository_of(face.folder)
    return {
        "new": True,
        "repository": repository,
        "git": git.version,
        "clis": clis,
        "try": what_to_try(
            repository is not None,
            any(cli["version"] for cli in clis),
            any(cli["version"] and cli["draws_on"] for cli in clis),
        ),
    }


def what_to_try(in_repository: bool, has_cli: bool, has_login: bool) -> list[str]:
    """Commands in the order in which they make sense here."""
    steps = ["at demo"]
    if not has_cli:
        return [*steps, "at doctor"]
    steps += ["at prove"] if has_login else ["at prove", "at doctor"]
    if not in_repository:
        return [*steps, "cd YOUR-REPOSITORY && at init"]
    return [*steps, "at init", 'at run "PROMPT" --wait']


_ABOUT = {
    "at demo": "four scripted agents on a throw-away repository; no key, no model",
    "at prove": "your CLIs through a table of cases, sealed to loopback; no key, no cost",
    "at init": "put this repository under management; writes nothing in it",
    "at doctor": "what is missing on this machine, and what to do about it",
}


def welcome_lines(found: Document, style: Look) -> list[str]:
    """The page."""
    repository = found["repository"]
    lines = [
        style.paint(
            "bold", "auto-tundra: several coding agents on one repository, and only proved work lands"
        ),
        "",
    ]
    lines += ["Found here"]
    lines += [f"  {'repository':<12}{style.plain(repository) if repository else 'none in this folder'}"]
    lines += [f"  {'git':<12}{style.plain(found['git'] or 'not found on PATH')}"]
    lines += [f"  {cli['name']:<12}{_cli(cli, style)}" for cli in found["clis"]]
    lines += ["", "Try"]
    lines += [f"  {step:<24}{_ABOUT.get(step, '')}".rstrip() for step in found["try"]]
    return lines


def _cli(cli: dict[str, Any], style: Look) -> str:
    if cli["path"] is None:
        return style.paint("dim", "not installed")
    if cli["version"] is None:
        return style.plain(cli["trouble"])
    login = "" if cli["draws_on"] else ", not signed in as far as can be seen"
    return f"{style.plain(cli['version'])}{login}"
