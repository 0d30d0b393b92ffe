"""What the person's `gh` says, as the request of the API has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from at_cli.errors import GhFailed
from at_cli.github import GitHub, commands_by_hand

VIEW = {
    "number": 7,
    "url": "https://example.com/7",
    "state": "OPEN",
    "isDraft": True,
    "reviewDecision": "",
    "headRefOid": "a" * 40,
    "statusCheckRollup": [
        {"__typename": "StatusContext", "context": "legacy", "state": "PENDING", "targetUrl": "https://x"},
        {"__typename": "CheckRun", "name": "n", "status": "QUEUED", "conclusion": "", "workflowName": ""},
    ],
    "comments": [{"id": "c", "author": None, "body": "half \ud83d of it"}],
    "reviews": [{"id": "r", "author": {"login": "eve"}, "body": "  "}],
}
LINES: list[dict[str, Any]] = [
    {
        "id": 1,
        "user": {"login": "eve"},
        "body": "b",
        "path": "a",
        "line": 3,
        "side": "RIGHT",
        "commit_id": "x",
    },
    {
        "id": 2,
        "user": None,
        "body": "b",
        "path": "a",
        "line": None,
        "original_line": 4,
        "original_commit_id": "y",
    },
    {"id": 3, "user": None, "body": "b", "path": "a", "line": 3, "side": "LEFT", "commit_id": "x"},
]


def gh(folder: Path, script: str) -> GitHub:
    """A `gh` that is this shell script."""
    program = folder / "gh"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return GitHub(str(folder), {"PATH": f"{folder}:/usr/bin:/bin"})


@pytest.fixture
def answering(tmp_path: Path) -> GitHub:
    """One that has a pull request, with comments on two pages."""
    (tmp_path / "view").write_text(json.dumps(VIEW))
    (tmp_path / "lines").write_text(json.dumps(LINES[:2]) + "\n" + json.dumps(LINES[2:]))
    return gh(tmp_path, 'if [ "$1" = api ]; then cat lines; else cat view; fi')


def test_checks_have_a_word_whatever_their_kind(answering: GitHub) -> None:
    seen = answering.view("7")
    assert seen is not None
    assert [(each["name"], each["word"], each["url"]) for each in seen["checks"]] == [
        ("legacy", "PENDING", "https://x"),
        ("n", "QUEUED", ""),
    ]


def test_comments_of_all_pages_and_kinds(answering: GitHub) -> None:
    seen = answering.view("7")
    assert seen is not None
    general, *lines = seen["comments"]
    assert general == {"key": "comments:c", "author": "", "text": "half ? of it"}
    assert [(each["key"], each["line"], each["head"]) for each in lines] == [
        ("line:1", 3, "x"),
        ("line:2", 4, "y"),
        ("line:3", None, "x"),
    ]


def test_no_pull_request_is_no_failure(tmp_path: Path) -> None:
    assert gh(tmp_path, "echo 'no pull requests found for branch x' >&2; exit 1").view("x") is None


@pytest.mark.parametrize(
    ("script", "says"),
    [("echo 'not logged in' >&2; exit 4", "gh pr view failed: not logged in"), ("exit 3", "exit code 3")],
)
def test_a_failure_has_its_words(tmp_path: Path, script: str, says: str) -> None:
    with pytest.raises(GhFailed, match=says):
        gh(tmp_path, script).view("x")


def test_the_commands_are_quoted_for_a_shell() -> None:
    proposal = {
        "head": "a" * 40,
        "branch": "at/b",
        "base": "main",
        "remote": {"name": "origin"},
        "title": "it's; rm -rf /",
        "body": "$(x)\n",
    }
    push, made = commands_by_hand(proposal, draft=True)
    assert push == f"git push origin {'a' * 12}:refs/heads/at/b"
    assert made.endswith("""--title 'it'"'"'s; rm -rf /' --draft \\\n  --body '$(x)\n'""")
