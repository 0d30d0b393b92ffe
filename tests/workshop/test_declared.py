"""What packages import, what they declare and what the lock holds agree."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted(path.parent.name for path in ROOT.glob("packages/*/pyproject.toml"))
MODULE_OF = {"pyyaml": "yaml"}


@pytest.mark.parametrize("package", PACKAGES)
def test_each_distribution_carries_the_licence(package: str) -> None:
    assert (ROOT / "packages" / package / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def project(package: str) -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "packages" / package / "pyproject.toml").read_text())[
        "project"
    ]
    return table


def requirements(package: str) -> list[str]:
    table = project(package)
    return [
        *table["dependencies"],
        *(each for extra in table.get("optional-dependencies", {}).values() for each in extra),
    ]


def unmarked(requirement: str) -> str:
    """Without the marker: what is needed on some platforms only is locked as well."""
    return requirement.partition(";")[0].strip()


def distribution(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return found[0].lower()


def module(name: str) -> str:
    return MODULE_OF.get(name, name.replace("-", "_"))


def imported(path: Path) -> set[str]:
    tops: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            tops |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            tops.add(node.module.partition(".")[0])
    return tops


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_are_declared(package: str) -> None:
    declared = {module(distribution(each)) for each in requirements(package)} | {module(package), "pytest"}
    # Engines of the conformance suite that no installation needs; each is imported only when it is asked for.
    optional = {"pyavt", "pyte"} if package == "at-session" else set()
    undeclared = {
        f"{path.relative_to(ROOT)}: {top}"
        for path in (ROOT / "packages" / package / "src").rglob("*.py")
        for top in imported(path) - declared - optional - sys.stdlib_module_names
    }
    assert undeclared == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_third_parties_are_in_the_lock_as_declared(package: str) -> None:
    wanted = {unmarked(each) for each in requirements(package) if distribution(each) not in PACKAGES}
    listed = {unmarked(line) for line in (ROOT / "requirements" / "run.in").read_text().splitlines()}
    assert wanted - listed == set()
    groups = tomllib.loads((ROOT / "packages" / package / "pyproject.toml").read_text()).get(
        "dependency-groups", {}
    )
    wanted |= set(groups.get("test", []))
    locked = {
        distribution(line)
        for line in (ROOT / "requirements" / "dev.txt").read_text().splitlines()
        if line[:1].isalnum()
    }
    assert {distribution(each) for each in wanted} - locked == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_siblings_are_pinned_to_our_own_range(package: str) -> None:
    """The public index has a foreign at-core 1.0.0; the range must never let it in."""
    siblings = [each for each in requirements(package) if distribution(each) in PACKAGES]
    assert [each for each in siblings if not each.endswith(">=0.1,<0.2")] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_complete(package: str) -> None:
    folder = ROOT / "packages" / package
    name = module(package)
    for needed in ("README.md", "CHANGELOG.md", f"src/{name}/py.typed", f"src/{name}/__about__.py", "tests"):
        assert (folder / needed).exists(), needed
    table = project(package)
    assert table["requires-python"] == ">=3.11"
    assert table["license"] == "Apache-2.0"


@pytest.mark.parametrize("lock", ["run.txt", "dev.txt"])
def test_a_lock_has_names_versions_and_hashes_only(lock: str) -> None:
    line = re.compile(r"([a-z0-9-]+==[^ ]+( ; .+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?)")
    lines = (ROOT / "requirements" / lock).read_text().splitlines()
    assert lines
    assert [each for each in lines if not line.fullmatch(each)] == []


def test_the_locks_agree() -> None:
    run, dev = (
        set((ROOT / "requirements" / lock).read_text().splitlines()) for lock in ("run.txt", "dev.txt")
    )
    assert {line for line in run if "==" in line} <= {line for line in dev if "==" in line}
