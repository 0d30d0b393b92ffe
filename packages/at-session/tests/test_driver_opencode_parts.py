"""What the OpenCode driver stands on: the person's permissions, errors and retries, the CLI's own record."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from at_session.drivers import opencode_asks, opencode_errors, opencode_permission, opencode_record
from at_session.drivers.opencode import OpenCodeDriver
from at_session.vocabulary import (
    Allow,
    AskKind,
    Decision,
    DriverState,
    FailureKind,
    PromptAccepted,
    Text,
    TurnEnded,
    TurnOutcome,
    Unparsed,
    UsageReported,
)

Env = dict[str, str]


@pytest.fixture
def env(tmp_path: Path) -> Env:
    """A home of the test's own, with a repository `repo` in it."""
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    return {"HOME": str(tmp_path)}


def settings(env: Env, name: str, content: object) -> None:
    path = Path(env["HOME"], name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def rules(allow: Allow, env: Env) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        opencode_permission.permission(allow, env, str(Path(env["HOME"], "repo"))) or "{}"
    )
    return found


GLOBAL = ".config/opencode/opencode.json"


@pytest.mark.parametrize(
    "permission, bash",
    [
        ({}, {"bash": {"*": "ask"}}),
        ({"read": "deny"}, {"bash": {"*": "ask"}}),
        ("deny", {"bash": {"*": "deny"}}),
        ({"*": "deny", "read": "allow"}, {"bash": {"*": "deny"}}),
        ({"b*": "deny"}, {"bash": {"*": "deny"}}),
        ({"bash": "allow"}, {"bas?": {"*": "ask"}}),
        ({"bash": "deny"}, {"bas?": {"*": "deny"}}),
        ({"bash": {"rm *": "deny"}}, {"bas?": {"*": "ask", "rm *": "deny"}}),
        (
            {"bash": {"rm *": "deny", "*": "allow", "git *": "allow"}},
            {"bas?": {"rm *": "deny", "*": "ask", "git *": "ask"}},
        ),
        (
            {"bash": {"git *": "allow"}, "*": {"rm *": "deny"}},
            {"bas?": {"*": "ask", "git *": "ask", "rm *": "deny"}},
        ),
    ],
)
def test_a_tool_asks_but_where_the_person_denies(env: Env, permission: object, bash: object) -> None:
    settings(env, GLOBAL, {"permission": permission})
    assert rules(Allow.EDITS, env) == bash


def test_the_order_in_which_rules_count_is_kept(env: Env) -> None:
    settings(env, GLOBAL, {"permission": {"bash": {"rm *": "deny", "*": "allow"}}})
    assert list(rules(Allow.EDITS, env)["bas?"]) == ["rm *", "*"]


@pytest.mark.parametrize(
    "name, content, more",
    [
        (GLOBAL + "c", '{ // mine\n "permission": {"bash": "deny",},  /* so */ }', {}),
        (GLOBAL, {"tools": {"bash": False}}, {}),
        ("repo/opencode.json", {"permission": {"bash": "deny"}}, {}),
        ("repo/.opencode/opencode.jsonc", '{"permission": {"bash": "deny"}, "x": "// no comment"}', {}),
        (".opencode/opencode.json", {"permission": {"bash": "deny"}}, {}),
        (
            "elsewhere/mine.json",
            {"permission": {"bash": "deny"}},
            {"OPENCODE_CONFIG": "../elsewhere/mine.json"},
        ),
        ("folder/opencode.json", {"permission": {"bash": "deny"}}, {"OPENCODE_CONFIG_DIR": "../folder"}),
        ("xdg/opencode/config.json", {"permission": {"bash": "deny"}}, {"XDG_CONFIG_HOME": "../xdg"}),
        ("unused", {}, {"OPENCODE_CONFIG_CONTENT": '{"permission": {"bash": "deny"}}'}),
        ("unused", {}, {"OPENCODE_PERMISSION": '{"bash": "deny"}'}),
    ],
)
def test_a_denial_is_found_wherever_the_person_wrote_it(
    env: Env, name: str, content: object, more: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(env, name, content)
    monkeypatch.chdir(Path(env["HOME"], "repo"))
    found = rules(Allow.EDITS, {**env, **more})
    assert list(found.values())[-1] == {"*": "deny"}


def test_modes_differ_in_the_tools_that_ask(env: Env) -> None:
    settings(env, GLOBAL, {"permission": {"edit": {"*.lock": "deny"}}})
    assert rules(Allow.ASK, env) == {"bash": {"*": "ask"}, "edi?": {"*": "ask", "*.lock": "deny"}}
    assert rules(Allow.EDITS, env) == {"bash": {"*": "ask"}}
    assert rules(Allow.ALL, env) == {}


def test_what_the_person_set_in_the_environment_stays(env: Env) -> None:
    env["OPENCODE_PERMISSION"] = '{"webfetch": "deny"}'
    assert rules(Allow.EDITS, env) == {"webfetch": "deny", "bash": {"*": "ask"}}


@given(st.text(max_size=200))
def test_no_settings_file_stops_a_launch(text: str) -> None:
    env = {"HOME": "/nonexistent", "OPENCODE_CONFIG_CONTENT": text}
    found = opencode_permission.permission(Allow.ASK, env, "/nonexistent")
    assert found is not None and set(json.loads(found)) == {"bash", "edit"}


@pytest.mark.parametrize(
    "name, data, kind",
    [
        ("ContextOverflowError", {"message": "too long"}, FailureKind.CONTEXT),
        ("ProviderAuthError", {"message": "no key", "providerID": "x"}, FailureKind.LOGIN),
        ("APIError", {"message": "no", "statusCode": 403}, FailureKind.LOGIN),
        ("APIError", {"message": "pay", "statusCode": 402}, FailureKind.LIMIT),
        ("APIError", {"message": "slow", "statusCode": 429}, FailureKind.LIMIT),
        ("APIError", {"message": "busy", "statusCode": 529}, FailureKind.OVERLOADED),
        ("APIError", {"message": "broken", "statusCode": 500}, FailureKind.API),
        ("APIError", {"message": "Cannot connect to API: socket"}, FailureKind.CONNECTION),
        ("APIError", {"message": "something"}, FailureKind.API),
        ("UnknownError", {"message": "Missing API key"}, FailureKind.LOGIN),
        ("UnknownError", {"message": "Model not found: a/b. Did you mean: b, b-2?"}, FailureKind.LOGIN),
        ("UnknownError", {"message": "Model not found: a/b. Did you mean: c?"}, FailureKind.OTHER),
        ("MessageOutputLengthError", {}, FailureKind.OTHER),
    ],
)
def test_a_final_error_is_of_a_kind(name: str, data: object, kind: FailureKind) -> None:
    assert opencode_errors.kind_of({"name": name, "data": data}) is kind


@pytest.mark.parametrize(
    "message, attempt, seconds, kind, end",
    [
        ("Rate limit reached", 1, 2, FailureKind.LIMIT, None),
        ("Rate limit reached", 6, 30, FailureKind.LIMIT, FailureKind.LIMIT),
        ("Too Many Requests", 1, 61, FailureKind.LIMIT, FailureKind.LIMIT),
        ("You exceeded your current quota", 1, 2, FailureKind.LIMIT, FailureKind.LIMIT),
        ("Free usage exceeded, add credits", 1, 2, FailureKind.LIMIT, FailureKind.LIMIT),
        ("Provider is overloaded", 9, 30, FailureKind.OVERLOADED, None),
        ("Service Unavailable", 1, 90, FailureKind.OVERLOADED, FailureKind.OVERLOADED),
        ("Internal server error", 9, 30, FailureKind.API, None),
        ("Internal Server Error", 1, 90, FailureKind.API, FailureKind.API),
        ("Bad Gateway", 1, 90, FailureKind.API, FailureKind.API),
        ("Request failed: status 502", 1, 90, FailureKind.API, FailureKind.API),
        ("Try again in 500 s", 1, 500, FailureKind.API, FailureKind.LIMIT),
        ("Slow.", 1, 2, FailureKind.API, None),
        ("Slow.", 1, 3600, FailureKind.API, FailureKind.LIMIT),
        ("fetch failed", 2, 4, FailureKind.CONNECTION, None),
        ("Gateway Timeout", 1, 90, FailureKind.CONNECTION, FailureKind.CONNECTION),
    ],
)
def test_a_retry_is_of_a_kind_and_may_not_be_waited_for(
    message: str, attempt: int, seconds: int, kind: FailureKind, end: FailureKind | None
) -> None:
    status = {"type": "retry", "message": message, "attempt": attempt, "next": 1000 * (100 + seconds)}
    retry = opencode_errors.retrying(status, 100_000)
    assert (retry.kind, retry.attempt, retry.delay_seconds) == (kind, attempt, seconds)
    assert opencode_errors.gives_up_as(retry) is end


def test_permissions_of_any_tool_are_shown_whole() -> None:
    asked = {"id": "p", "permission": "external_directory", "patterns": ["/etc/*"], "metadata": {"x": "y"}}
    ask = opencode_asks.permission(asked)
    assert (ask.kind, ask.what, ask.argv) == (AskKind.TOOL, 'external_directory /etc/* {"x": "y"}', None)
    assert opencode_asks.permission({}).kind is AskKind.TOOL


def test_several_questions_take_a_line_each() -> None:
    questions: list[dict[str, Any]] = [
        {"question": "A?", "options": [{"label": "x"}]},
        {"question": "B?", "options": []},
    ]
    _, body = opencode_asks.reply("q", questions, Decision(approve=True, text="1\nfree words"))
    assert body == {"answers": [["x"], ["free words"]]}
    _, body = opencode_asks.reply("q", questions, Decision(approve=False))
    assert body == {"answers": [["The person said no."]] * 2}


# --- the record -----------------------------------------------------------------------------------------------------


def tokens(given_: int, output: int) -> dict[str, Any]:
    return {"input": given_, "output": output, "reasoning": 1, "cache": {"read": 3, "write": 4}}


@pytest.fixture
def recorded(env: Env) -> Iterator[sqlite3.Connection]:
    """The CLI's database, with a session, one of an inner agent, and a stranger's."""
    path = opencode_record.database(env)
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(
            "PRAGMA journal_mode=WAL;"
            "CREATE TABLE session (id TEXT PRIMARY KEY, parent_id TEXT);"
            "CREATE TABLE message (id TEXT PRIMARY KEY, session_id TEXT, time_created INTEGER, data TEXT);"
            "CREATE TABLE part (id TEXT PRIMARY KEY, message_id TEXT, data TEXT);"
            "INSERT INTO session VALUES ('ses_1', NULL), ('ses_2', 'ses_1'), ('ses_3', NULL);"
        )
        yield connection


def store(connection: sqlite3.Connection, session: str, identity: str, at: int, **data: object) -> None:
    connection.execute("INSERT INTO message VALUES (?, ?, ?, ?)", (identity, session, at, json.dumps(data)))


def killed(prompt: str = "m1") -> OpenCodeDriver:
    """A driver whose process was killed after it was told to post a prompt."""
    driver = OpenCodeDriver(DriverState({"session": "ses_1"}))
    driver.prompt(prompt, "Hello")
    return driver


def identity_of(driver: OpenCodeDriver) -> str:
    (identity,) = driver.state.values["names"]
    return str(identity)


def test_the_record_tells_what_the_stream_did_not(env: Env, recorded: sqlite3.Connection) -> None:
    driver = killed()
    prompt = identity_of(driver)
    store(recorded, "ses_1", prompt, 1, role="user")
    store(recorded, "ses_2", "msg_2", 2, role="assistant", tokens=tokens(10, 20), cost=0.5)
    store(recorded, "ses_3", "msg_3", 3, role="assistant", tokens=tokens(900, 900), cost=9)
    last = {"role": "assistant", "parentID": prompt, "finish": "stop", "tokens": tokens(1, 2), "cost": 0.25}
    store(recorded, "ses_1", "msg_4", 4, **last)
    recorded.execute("INSERT INTO part VALUES ('prt_1', 'msg_4', ?)", ('{"type": "text", "text": "Done."}',))
    accepted, usage, end = driver.reconcile(env, "/")
    assert accepted == PromptAccepted("m1")
    assert isinstance(usage, UsageReported)
    found = usage.usage
    assert (found.input_tokens, found.cached_tokens, found.output_tokens) == (19, 6, 24)
    assert (found.cost_usd, found.requests) == (0.75, 2)
    assert end == TurnEnded(TurnOutcome.COMPLETED, "m1", "Done.")
    assert driver.reconcile(env, "/") == []


def test_an_unfinished_turn_stays_open_and_is_not_counted_twice(
    env: Env, recorded: sqlite3.Connection
) -> None:
    driver = killed()
    prompt = identity_of(driver)
    store(recorded, "ses_1", prompt, 1, role="user")
    store(
        recorded,
        "ses_1",
        "msg_2",
        2,
        role="assistant",
        parentID=prompt,
        finish="tool-calls",
        tokens=tokens(1, 2),
    )
    assert [type(event) for event in driver.reconcile(env, "/")] == [PromptAccepted, UsageReported]
    store(recorded, "ses_1", "msg_3", 3, role="assistant", parentID=prompt, tokens=tokens(5, 6))
    (usage,) = driver.reconcile(env, "/")
    assert isinstance(usage, UsageReported) and usage.usage.input_tokens == 9


def test_a_database_in_use_is_read_beside_its_writer(env: Env, recorded: sqlite3.Connection) -> None:
    driver = killed()
    recorded.execute("BEGIN IMMEDIATE")
    store(recorded, "ses_1", identity_of(driver), 1, role="user")
    assert driver.reconcile(env, "/") == []
    recorded.execute("COMMIT")
    assert driver.reconcile(env, "/") == [PromptAccepted("m1")]


@pytest.mark.parametrize("content", [None, b"", b"no database at all, but long enough to be looked at" * 99])
def test_a_record_that_cannot_be_read_is_a_fact(env: Env, content: bytes | None) -> None:
    path = opencode_record.database(env)
    path.parent.mkdir(parents=True)
    if content is not None:
        path.write_bytes(content)
    (fact,) = killed().reconcile(env, "/")
    assert isinstance(fact, Unparsed) and fact.excerpt.startswith("opencode.db: ")
    assert path.exists() is (content is not None)


@pytest.mark.parametrize(
    "data", ["", "null", "[]", '{"tokens": 7}', '{"role": "assistant", "tokens": {"input": "x"}}']
)
def test_strange_messages_of_the_record_say_nothing(
    env: Env, recorded: sqlite3.Connection, data: str
) -> None:
    recorded.execute("INSERT INTO message VALUES ('msg_1', 'ses_1', 1, ?)", (data,))
    assert killed().reconcile(env, "/") == []


def test_without_a_session_there_is_nothing_to_read(env: Env) -> None:
    assert OpenCodeDriver().reconcile(env, "/") == []
    assert not [event for event in OpenCodeDriver().feed("stdout", b"\n") if isinstance(event, Text)]
