"""What a person is shown of Claude's requests, and what becomes of requests that nobody here understands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from at_session.drivers.claude import ClaudeDriver
from at_session.vocabulary import AskOpened, Unparsed, Write


def heard(request_id: object, request: dict[str, Any]) -> list[Any]:
    line = {"type": "control_request", "request_id": request_id, "request": request}
    return list(ClaudeDriver().feed("stdout", json.dumps(line).encode() + b"\n"))


def asked(tool: str, **given: object) -> AskOpened:
    (ask,) = heard("r1", {"subtype": "can_use_tool", "tool_name": tool, "input": given})
    assert isinstance(ask, AskOpened)
    return ask


@pytest.mark.parametrize(
    ("more", "what", "argv"),
    [
        ({}, "ls -l", ("ls", "-l")),
        ({"description": "List", "timeout": 5000}, "ls -l", ("ls", "-l")),
        ({"run_in_background": False, "dangerouslyDisableSandbox": False}, "ls -l", ("ls", "-l")),
        ({"run_in_background": True}, "[run_in_background: true] ls -l", None),
        (
            {"dangerouslyDisableSandbox": True, "run_in_background": True},
            "[dangerouslyDisableSandbox: true, run_in_background: true] ls -l",
            None,
        ),
        ({"sandbox": False}, "[sandbox: false] ls -l", None),
        ({"env": {"A": "\n"}}, '[env: {"A": "\\n"}] ls -l', None),
    ],
)
def test_a_command_is_shown_with_all_that_changes_what_it_does(
    more: dict[str, object], what: str, argv: tuple[str, ...] | None
) -> None:
    ask = asked("Bash", command="ls -l", **more)
    assert (ask.what, ask.argv) == (what, argv)


@pytest.mark.parametrize(
    ("tool", "given", "what"),
    [
        ("Edit", {"file_path": "a", "old_string": "1", "new_string": "2", "replace_all": False}, "a\n-1\n+2"),
        (
            "Edit",
            {"file_path": "a", "old_string": "1", "new_string": "2", "replace_all": True},
            "a [replace_all: true]\n-1\n+2",
        ),
        ("Edit", {"file_path": "a", "old_string": "1", "content": "x"}, 'a [content: "x"]\n-1'),
        ("Edit", {"file_path": "a", "old_string": 1}, "a [old_string: 1]"),
        ("Edit", {"file_path": "a", "edits": [], "old_string": "1"}, "a [edits: []]\n-1"),
        (
            "MultiEdit",
            {
                "file_path": "a",
                "edits": [
                    {"old_string": "1", "new_string": "2", "replace_all": True},
                    {"old_string": "3", "new_string": "4"},
                ],
            },
            "a\n[replace_all: true]\n-1\n+2\n-3\n+4",
        ),
        ("MultiEdit", {"file_path": "a", "edits": [{"old_string": 1}]}, "a\n[old_string: 1]"),
        (
            "MultiEdit",
            {"file_path": "a", "edits": [{"old_string": "1"}, 7]},
            'a [edits: [{"old_string": "1"}, 7]]',
        ),
        ("Write", {"file_path": "a", "content": "x", "mode": 511}, "a [mode: 511]\n+x"),
        (
            "NotebookEdit",
            {"notebook_path": "n", "new_source": "x", "cell_id": "c", "edit_mode": "delete"},
            'n [cell_id: "c", edit_mode: "delete"]\n+x',
        ),
        ("Write", {"file_path": "a", "notebook_path": "n", "content": "x"}, 'a [notebook_path: "n"]\n+x'),
    ],
)
def test_an_edit_is_shown_with_all_that_changes_what_it_does(
    tool: str, given: dict[str, object], what: str
) -> None:
    assert asked(tool, **given).what == what


@pytest.mark.parametrize("subtype", ["hook_callback", "mcp_message", None])
def test_a_request_that_is_not_understood_is_refused_and_told(subtype: str | None) -> None:
    told, write = heard("r9", {"subtype": subtype, "callback_id": "c"})
    assert isinstance(told, Unparsed) and "refused" in told.excerpt and str(subtype) in told.excerpt
    assert isinstance(write, Write) and write.id == "answer:r9"
    answer = json.loads(write.data)
    assert answer["type"] == "control_response"
    assert (answer["response"]["subtype"], answer["response"]["request_id"]) == ("error", "r9")
    assert answer["response"]["error"]


@pytest.mark.parametrize("request_id", [None, 7, ""])
def test_a_request_that_cannot_be_answered_is_told(request_id: object) -> None:
    (told,) = heard(request_id, {"subtype": "hook_callback"})
    assert isinstance(told, Unparsed)
