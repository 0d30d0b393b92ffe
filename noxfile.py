"""The workshop's sessions: `nox -s lint`, `nox -s "tests(at-core)"`, `nox -s full`; `nox --list` names them all.

Environments are reused; delete `.nox` to begin anew. uv makes them where it is installed (the lock has it).
"""

from __future__ import annotations

import os
import shutil
import tempfile
import tomllib
from pathlib import Path

import nox
from nox.command import CommandFailed

ROOT = Path(__file__).parent
LOCK = ROOT / "requirements" / "dev.txt"
PACKAGES = sorted(path.parent.name for path in ROOT.glob("packages/*/pyproject.toml"))
TEST_TOOLS = ("pytest", "pytest-timeout", "pytest-xdist", "hypothesis")
WORKERS = ("-n", os.environ.get("AT_TEST_WORKERS", "auto"))
"""As in the Makefile: how many tests run at once."""
FAST = "not crash and not clis"

nox.needs_version = ">=2024.4"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "imports", "tests"]


def project(package: str) -> dict[str, object]:
    """The `[project]` table of a package."""
    text = (ROOT / "packages" / package / "pyproject.toml").read_text(encoding="utf-8")
    table: dict[str, object] = tomllib.loads(text)["project"]
    return table


def siblings(package: str) -> list[str]:
    """The packages of this repository that `package` declares, and those that they declare, nearest first."""
    found: list[str] = []
    waiting = [package]
    while waiting:
        declared = project(waiting.pop(0))["dependencies"]
        assert isinstance(declared, list)
        for requirement in declared:
            name = next((each for each in PACKAGES if requirement.startswith(each)), None)
            if name and name not in found:
                found.append(name)
                waiting.append(name)
    return found


def tested_extras(package: str) -> str:
    """All extras: a package's tests cover what its extras bring."""
    extras = project(package).get("optional-dependencies", {})
    assert isinstance(extras, dict)
    return f"[{','.join(extras)}]" if extras else ""


def test_requirements(package: str) -> list[str]:
    """Tools that only this package's tests need, declared in its `dependency-groups.test`."""
    text = (ROOT / "packages" / package / "pyproject.toml").read_text(encoding="utf-8")
    groups: dict[str, list[str]] = tomllib.loads(text).get("dependency-groups", {})
    return groups.get("test", [])


def constraints(session: nox.Session) -> str:
    """The lock as a constraints file without hashes, which pip and uv accept beside path installs.

    It lies in the environment: `session.create_tmp` would also move the tests' temporary files into this repository.
    """
    path = Path(session.virtualenv.location).resolve() / "constraints.txt"
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    path.write_text(
        "".join(line.rstrip("\\ ") + "\n" for line in lines if not line.startswith(" ")), encoding="utf-8"
    )
    return str(path)


def workspace(session: nox.Session) -> None:
    """Everything of the lock and all packages, linked in place."""
    session.install("--require-hashes", "-r", str(LOCK))
    linked = [part for package in PACKAGES for part in ("-e", f"packages/{package}")]
    session.install("--no-build-isolation", "--no-deps", *linked)


@nox.session
@nox.parametrize("package", [nox.param(package, id=package) for package in PACKAGES])
def tests(session: nox.Session, package: str) -> None:
    """Tests of one package beside only its declared dependencies and siblings."""
    install_alone(session, package)
    session.run("pytest", "-m", FAST, *WORKERS, *(session.posargs or [f"packages/{package}/tests"]))


@nox.session
@nox.parametrize("package", [nox.param(package, id=package) for package in PACKAGES])
def alone(session: nox.Session, package: str) -> None:
    """All modules of one package, and of its tests, can be loaded beside only its declared dependencies and siblings."""
    install_alone(session, package)
    session.run("python", "tools/load_all.py", package.replace("-", "_"))
    session.run("pytest", "-q", "--collect-only", "--no-summary", f"packages/{package}/tests", silent=True)


def install_alone(session: nox.Session, package: str) -> None:
    """One package with its extras, its siblings and the tools of its tests, nothing else."""
    paths = [part for name in siblings(package) for part in ("-e", f"packages/{name}")]
    own = ("-e", f"packages/{package}{tested_extras(package)}")
    session.install("-c", constraints(session), *TEST_TOOLS, *test_requirements(package), *paths, *own)


@nox.session
def lint(session: nox.Session) -> None:
    """ruff, the forbidden list and the style ratchet."""
    workspace(session)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("python", "tools/forbidden.py")
    session.run("pytest", "-q", "tests/workshop")


@nox.session
def types(session: nox.Session) -> None:
    """mypy strict on sources, then on each folder of tests by itself, since their modules share names."""
    workspace(session)
    tests = [f"packages/{package}/{folder}" for package in PACKAGES for folder in ("tests", "bench")]
    tests += ["bench", *(f"tests/{path.name}" for path in sorted((ROOT / "tests").glob("*/")))]
    runs: list[tuple[str, ...]] = [
        tuple(f"packages/{package}/src" for package in PACKAGES),
        ("tools", "noxfile.py"),
    ]
    runs += [(folder,) for folder in tests if any((ROOT / folder).rglob("*.py"))]
    failed = [folders for folders in runs if not mypy(session, folders)]
    if failed:
        session.error(f"mypy refuses {', '.join(folder for folders in failed for folder in folders)}")


def mypy(session: nox.Session, folders: tuple[str, ...]) -> bool:
    """Whether mypy accepts these folders; modules of tests are named from the folder above theirs."""
    try:
        session.run("mypy", *folders, env={"MYPYPATH": str((ROOT / folders[0]).parent)})
    except CommandFailed:
        return False
    return True


@nox.session
def imports(session: nox.Session) -> None:
    """The layers, and what the hot path and the holder may load."""
    workspace(session)
    session.run("lint-imports")
    session.run("pytest", "-q", "tests/workshop/test_hot_path.py", "tests/workshop/test_declared.py")


@nox.session
def wheels(session: nox.Session) -> None:
    """Build all, install `at-cli` from the built files alone, run it."""
    session.install("-c", constraints(session), "uv", "hatchling")
    dist = Path(session.virtualenv.location).resolve() / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    for package in PACKAGES:
        session.run(
            "uv", "build", "--quiet", "--no-build-isolation", "--out-dir", str(dist), f"packages/{package}"
        )
    with tempfile.TemporaryDirectory(prefix="at-wheels-") as folder:
        fresh = Path(folder)
        session.run("uv", "venv", "--quiet", "--python", "python", str(fresh / "venv"))
        python = str(fresh / "venv" / "bin" / "python")
        # Versions of ours exist nowhere else; --no-index for them would also cut off the third parties, so they are
        # named as files.
        built = [str(path) for path in sorted(dist.glob("*.whl"))]
        session.run("uv", "pip", "install", "--quiet", "--python", python, "-c", constraints(session), *built)
        session.run(python, "-c", "import at_cli; assert 'site-packages' in at_cli.__file__, at_cli.__file__")
        at = str(fresh / "venv" / "bin" / "at")
        home = fresh / "home"
        home.mkdir()
        env = {"HOME": str(home), "AT_HOME": str(home / "at"), "PYTHONPATH": ""}
        session.chdir(fresh)
        for arguments in (["--version"], ["--help"], ["demo"]):
            session.run(at, *arguments, external=True, env=env)
        session.run(str(fresh / "venv" / "bin" / "auto-tundra"), "--version", external=True, env=env)


@nox.session
def clis(session: nox.Session) -> None:
    """The suite on the real CLIs: npm lock, scripted model endpoint, network namespace with only loopback."""
    workspace(session)
    session.run("pytest", "-m", "clis", *WORKERS, "--dist", "loadgroup", *(session.posargs or ["tests/clis"]))


@nox.session
def acceptance(session: nox.Session) -> None:
    """The product as a whole, as a person uses it, with the demo agent."""
    workspace(session)
    session.run(
        "pytest", "-m", "not crash and not clis", *WORKERS, *(session.posargs or ["tests/acceptance"])
    )


@nox.session
def crash(session: nox.Session) -> None:
    """The crash loops; AT_CRASH_ROUNDS sets how many kills each makes."""
    workspace(session)
    rounds = os.environ.get("AT_CRASH_ROUNDS", "100")
    session.run(
        "pytest", "-m", "crash", *(session.posargs or ["packages", "tests"]), env={"AT_CRASH_ROUNDS": rounds}
    )


@nox.session
def bench(session: nox.Session) -> None:
    """Every benchmark against its yardstick, in one table; those that take minutes only when named (`-- prove`)."""
    workspace(session)
    session.run("python", "tools/bench.py", *session.posargs)


@nox.session
def full(session: nox.Session) -> None:
    """Every session, the long ones included."""
    for name in ("lint", "types", "imports", "tests", "wheels", "acceptance", "clis", "crash", "bench"):
        session.notify(name)
