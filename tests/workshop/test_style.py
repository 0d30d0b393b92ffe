"""Ratchets on the shape of the tree; each limit is what the codebases we admire keep."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("packages", "tests", "tools", "bench")
FILES = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
    if not {"node_modules", "build", "dist"} & set(path.relative_to(ROOT).parts)
)
SHIPPED = [path for path in FILES if "src" in path.relative_to(ROOT).parts]
TESTS = [path for path in FILES if "tests" in path.relative_to(ROOT).parts]
NO_ROOM = {"util", "utils", "helper", "helpers", "common", "misc", "manager", "managers", "stuff"}


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_no_file_is_longer_than_500_lines() -> None:
    assert {name(path): count for path in FILES if (count := len(text(path).splitlines())) > 500} == {}


def test_no_file_is_named_for_nothing() -> None:
    assert [name(path) for path in FILES if NO_ROOM & set(re.split(r"[_.]", path.name))] == []


def test_broad_handlers_are_rare() -> None:
    lines = sum(len(text(path).splitlines()) for path in SHIPPED)
    broad = [
        f"{name(path)}:{number}"
        for path in SHIPPED
        for number, line in enumerate(text(path).splitlines(), 1)
        if re.match(r"\s*except(\s*:|.*\b(Base)?Exception\b(?!Group))", line)
    ]
    assert len(broad) <= max(1, lines / 1000), "\n".join(broad)


def test_a_class_name_means_one_thing() -> None:
    places: dict[str, set[str]] = defaultdict(set)
    for path in SHIPPED:
        if path.name.startswith("holder"):
            continue  # The holder can import nothing else of ours, so its names are its own.
        for node in ast.walk(ast.parse(text(path))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].add(name(path))
    twice = {each: sorted(found) for each, found in places.items() if len(found) > 1}
    assert len(twice) <= 5, twice


@pytest.fixture(scope="module")
def counted() -> dict[str, int]:
    whole = "\n".join(map(text, TESTS))
    patterns = {
        "tests": r"^\s*(?:async )?def test_",
        "mocks": r"\bmonkeypatch\.setattr\(|\bpatch\.setattr\(|\bmock\.patch\b|\b(?:Magic|Async)?Mock\(|\bmocker\.",
        "parametrised": r"^@(?:pytest\.mark\.parametrize|given)\(|^\s+@(?:pytest\.mark\.parametrize|given)\(",
    }
    return {what: len(re.findall(pattern, whole, re.MULTILINE)) for what, pattern in patterns.items()}


def test_mocks_are_few(counted: dict[str, int]) -> None:
    assert counted["mocks"] * 100 <= 8 * counted["tests"], counted


def test_tables_come_before_copied_tests(counted: dict[str, int]) -> None:
    assert counted["parametrised"] * 100 >= 8 * counted["tests"], counted


def test_each_test_asserts_something() -> None:
    """In itself, in a `raises`, or in a function of its own file that it calls."""
    idle: list[str] = []
    for path in TESTS:
        functions = {
            node.name: node
            for node in ast.walk(ast.parse(text(path)))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        asserting = {each for each, node in functions.items() if ASSERTING & called(node)}
        while more := {each for each, node in functions.items() if asserting & called(node)} - asserting:
            asserting |= more
        idle += [
            f"{name(path)}:{node.lineno}: {each}"
            for each, node in functions.items()
            if each.startswith("test_") and each not in asserting
        ]
    assert idle == []


ASSERTING = {"assert", "raises", "warns", "fail", "run_state_machine_as_test"}


def called(function: ast.AST) -> set[str]:
    """The last names of what a function calls, and `assert` if it has that statement."""
    found: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            found.add("assert")
        elif isinstance(node, ast.Call):
            last = ast.unparse(node.func).rpartition(".")[2]
            found.add("assert" if re.match(r"_?(?:assert|check|expect|conform)", last) else last)
    return found
