"""What a person is shown of Codex's requests, how their answers are worded, and what its errors mean."""

from __future__ import annotations

import json

import pytest

from at_session.drivers import codex_items
from at_session.drivers.codex_errors import kind_of, reset_at, retrying
from at_session.vocabulary import AskKind, Decision, FailureKind, Retrying

FOLDER = "/repo"
CHOICE = {
    "id": "colour",
    "question": "Which colour?",
    "options": [{"label": "Red", "description": "warm"}, {"label": "Blue", "description": ""}],
}


@pytest.mark.parametrize(
    "given, what, argv",
    [
        ({"command": "/bin/bash -lc 'git push'"}, "git push", ("git", "push")),
        ({"command": "/usr/bin/zsh -c 'ls; true'"}, "ls; true", None),
        ({"command": "git push", "cwd": FOLDER}, "git push", ("git", "push")),
        ({"command": "git push", "cwd": "/elsewhere"}, "[in /elsewhere] git push", None),
        ({"command": "'unbalanced"}, "'unbalanced", None),
        ({"command": "bash -lc 'a' 'b'"}, "bash -lc 'a' 'b'", ("bash", "-lc", "a", "b")),
        ({"kind": "writeStdin", "command": "y"}, "[writeStdin] y", None),
        (
            {"networkApprovalContext": {"protocol": "https", "host": "example.org"}, "command": "curl x"},
            "[network: https://example.org] curl x",
            None,
        ),
    ],
)
def test_a_command_is_shown_as_the_model_gave_it(
    given: dict[str, object], what: str, argv: tuple[str, ...] | None
) -> None:
    ask = codex_items.opened("1", codex_items.COMMAND, given, FOLDER, "")
    assert (ask.kind, ask.what, ask.argv) == (AskKind.COMMAND, what, argv)


@pytest.mark.parametrize(
    "changes, shown",
    [
        ([{"path": "a", "kind": {"type": "add"}, "diff": "x\ny\n"}], "a\n+x\n+y"),
        ([{"path": "a", "kind": {"type": "delete"}, "diff": "x\n"}], "a\n-x"),
        (
            [{"path": "a", "kind": {"type": "update", "move_path": "b"}, "diff": "@@ -1 +1 @@\n-x\n+y\n"}],
            "a -> b\n@@ -1 +1 @@\n-x\n+y",
        ),
        ([{"path": "a", "kind": {"type": "add"}}, {"path": "b", "kind": {"type": "add"}}], "a\nb"),
    ],
    ids=["add", "delete", "move", "two"],
)
def test_an_edit_is_shown_whole(changes: list[object], shown: str) -> None:
    change = codex_items.change_shown({"changes": changes})
    ask = codex_items.opened("1", codex_items.EDIT, {}, FOLDER, change)
    assert (ask.kind, ask.what) == (AskKind.EDIT, shown)


def test_a_grant_of_a_folder_is_shown_above_the_edit() -> None:
    ask = codex_items.opened("1", codex_items.EDIT, {"grantRoot": "/etc"}, FOLDER, "/etc/x\n+y")
    assert ask.what == "[may write below /etc from now on]\n/etc/x\n+y"


def test_an_edit_that_was_not_seen_says_so() -> None:
    ask = codex_items.opened("1", codex_items.EDIT, {"itemId": "i"}, FOLDER, "")
    assert ask.what.startswith("[a change that was not shown]")


FORM = {
    "message": "Run it?",
    "requestedSchema": {"properties": {"name": {"title": "Your name"}, "size": {"enum": ["S", "M"]}}},
}


@pytest.mark.parametrize(
    "method, given, kind, what",
    [
        (
            codex_items.QUESTION,
            {"questions": [CHOICE]},
            AskKind.QUESTION,
            "Which colour?\n  1. Red (warm)\n  2. Blue",
        ),
        (codex_items.FORM, {"message": "Allow the tool?"}, AskKind.TOOL, "Allow the tool?"),
        (
            codex_items.FORM,
            {"serverName": "s", "message": "Allow?", "_meta": {"tool_name": "t", "tool_params": {"x": 1}}},
            AskKind.TOOL,
            's.t {"x": 1}',
        ),
        (codex_items.FORM, FORM, AskKind.QUESTION, 'Run it?\n  name (Your name)\n  size: ["S", "M"]'),
        (
            codex_items.PERMISSIONS,
            {"reason": "To install", "permissions": {"network": {"enabled": True}}},
            AskKind.TOOL,
            'To install {"network": {"enabled": true}}',
        ),
    ],
    ids=["question", "tool", "named-tool", "form", "permissions"],
)
def test_other_requests_are_shown_with_all_they_say(
    method: str, given: dict[str, object], kind: AskKind, what: str
) -> None:
    ask = codex_items.opened("1", method, given, FOLDER, "")
    assert (ask.kind, ask.what) == (kind, what)


@pytest.mark.parametrize(
    "method, given, text, yes, no",
    [
        (codex_items.COMMAND, {}, "", {"decision": "accept"}, {"decision": "decline"}),
        (codex_items.EDIT, {}, "", {"decision": "accept"}, {"decision": "decline"}),
        (
            codex_items.QUESTION,
            {"questions": [CHOICE]},
            "2",
            {"answers": {"colour": {"answers": ["Blue"]}}},
            {"answers": {}},
        ),
        (
            codex_items.QUESTION,
            {"questions": [CHOICE, {"id": "why"}]},
            "Green\nBecause",
            {"answers": {"colour": {"answers": ["Green"]}, "why": {"answers": ["Because"]}}},
            {"answers": {}},
        ),
        (
            codex_items.FORM,
            FORM,
            "Ann\nM",
            {"action": "accept", "content": {"name": "Ann", "size": "M"}},
            {"action": "decline", "content": None},
        ),
        (
            codex_items.PERMISSIONS,
            {"permissions": {"network": {"enabled": True}}},
            "",
            {"permissions": {"network": {"enabled": True}}, "scope": "turn"},
            {"permissions": {}, "scope": "turn"},
        ),
    ],
    ids=["command", "edit", "number", "words", "form", "permissions"],
)
def test_answers_are_worded_as_the_protocol_wants_them(
    method: str, given: dict[str, object], text: str, yes: object, no: object
) -> None:
    assert codex_items.answer(method, given, Decision(True, text)) == yes
    assert codex_items.answer(method, given, Decision(False, text)) == no


@pytest.mark.parametrize(
    "item, name, what, ok, output",
    [
        (
            {"type": "commandExecution", "command": "ls", "exitCode": 0, "aggregatedOutput": "a\n"},
            *("exec_command", "ls", True, "a\n"),
        ),
        ({"type": "commandExecution", "command": "ls", "exitCode": 2}, "exec_command", "ls", False, ""),
        (
            {"type": "commandExecution", "command": "ls", "status": "declined"},
            "exec_command",
            "ls",
            False,
            "",
        ),
        (
            {"type": "fileChange", "changes": [{"path": "a"}, {"path": "b"}], "status": "completed"},
            *("apply_patch", "a, b", True, ""),
        ),
        (
            {
                "type": "mcpToolCall",
                "server": "s",
                "tool": "t",
                "arguments": {"x": 1},
                "result": {"content": [{"type": "text", "text": "done"}]},
            },
            *("s.t", '{"x": 1}', True, "done"),
        ),
        (
            {"type": "mcpToolCall", "server": "s", "tool": "t", "error": {"message": "no"}},
            *("s.t", "null", False, "no"),
        ),
        ({"type": "webSearch", "query": "weather"}, "webSearch", "weather", True, ""),
        ({"type": "sleep", "id": "c"}, "sleep", '{"type": "sleep", "id": "c"}', True, ""),
    ],
    ids=["command", "failed", "declined", "patch", "mcp", "mcp-error", "search", "other"],
)
def test_tool_calls_in_one_string(
    item: dict[str, object], name: str, what: str, ok: bool, output: str
) -> None:
    call = codex_items.tool_call(item)
    assert call is not None
    assert (call.name, call.what, call.ok, call.output) == (name, what, ok, output)


@pytest.mark.parametrize(
    "kind", ["userMessage", "agentMessage", "reasoning", "plan", "contextCompaction", ""]
)
def test_other_items_are_no_tool_calls(kind: str) -> None:
    assert codex_items.tool_call({"type": kind}) is None


@pytest.mark.parametrize(
    "info, message, kind",
    [
        ("contextWindowExceeded", "", FailureKind.CONTEXT),
        ("context_window_exceeded", "", FailureKind.CONTEXT),
        ("usageLimitExceeded", "", FailureKind.LIMIT),
        ("serverOverloaded", "", FailureKind.OVERLOADED),
        ("unauthorized", "", FailureKind.LOGIN),
        ("internalServerError", "", FailureKind.API),
        ({"httpConnectionFailed": {"httpStatusCode": 401}}, "", FailureKind.LOGIN),
        ({"response_too_many_failed_attempts": {"http_status_code": 429}}, "", FailureKind.LIMIT),
        ({"httpConnectionFailed": {"httpStatusCode": 418}}, "", FailureKind.API),
        (
            {"responseStreamDisconnected": {"httpStatusCode": None}},
            "stream disconnected",
            FailureKind.CONNECTION,
        ),
        ("other", "unexpected status 403 Forbidden: no", FailureKind.LOGIN),
        ("other", "exceeded retry limit, last status: 429 Too Many Requests", FailureKind.LIMIT),
        ("other", "Missing environment variable: `KEY`.", FailureKind.LOGIN),
        ("other", "idle timeout waiting for SSE", FailureKind.CONNECTION),
        ("other", '{"error": {"message": "no"}}', FailureKind.API),
        ("other", "something else", FailureKind.OTHER),
        (None, "", FailureKind.OTHER),
        ({}, "", FailureKind.OTHER),
    ],
)
def test_the_kind_of_an_error(info: object, message: str, kind: FailureKind) -> None:
    assert kind_of({"codexErrorInfo": info, "message": message}) is kind


def test_a_retry_has_its_number_and_both_texts() -> None:
    error = {
        "message": "Reconnecting... 2/5",
        "codexErrorInfo": {"responseStreamDisconnected": {"httpStatusCode": 503}},
        "additionalDetails": "busy",
    }
    assert retrying(error) == Retrying(FailureKind.OVERLOADED, 2, None, "Reconnecting... 2/5 (busy)")


FULL, HALF = {"usedPercent": 100, "resetsAt": 1_900_000_000}, {"usedPercent": 50, "resetsAt": 1_900_009_999}


@pytest.mark.parametrize(
    "limits, reset",
    [
        ({}, None),
        ({"primary": HALF}, None),
        ({"primary": FULL, "secondary": HALF}, "2030-03-17T17:46:40Z"),
        ({"primary": FULL, "secondary": {**FULL, "resetsAt": 1_900_000_060}}, "2030-03-17T17:47:40Z"),
        ({"individualLimit": {"remainingPercent": 0, "resetsAt": 1_900_000_000}}, "2030-03-17T17:46:40Z"),
        ({"individualLimit": {"remainingPercent": 3, "resetsAt": 1_900_000_000}}, None),
        ({"primary": {"usedPercent": 100, "resetsAt": None}}, None),
    ],
)
def test_a_limit_is_over_when_all_windows_that_are_used_up_begin_anew(
    limits: dict[str, object], reset: str | None
) -> None:
    assert reset_at(json.loads(json.dumps(limits))) == reset
