"""How full the context is: of the newest call alone, with the window where a CLI tells it, and never a guess."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from at_session.drivers.claude import ClaudeDriver
from at_session.drivers.codex import CodexDriver
from at_session.drivers.demo import DemoDriver
from at_session.drivers.gemini import GeminiDriver
from at_session.drivers.opencode import OpenCodeDriver
from at_session.vocabulary import ContextUsed, Driver, DriverState, LaunchRequest

from .replay import Act, Chunk, Recordings, of, perform, restored

WINDOW = 1_000_000


def request(**changes: Any) -> LaunchRequest:
    given: dict[str, Any] = {
        "agent_id": "a1",
        "binary": "",
        "args": (),
        "cwd": "/var/tmp/demo/repo",
        "env": {"HOME": "/nowhere", "OPENCODE_SERVER_PASSWORD": "x"},
        "private_dir": "/nowhere",
    }
    return LaunchRequest(**given | changes)


def told(driver: Driver, version: str, case: str) -> list[tuple[int, int | None, str | None]]:
    driver.launch(request())
    found: list[ContextUsed] = []
    for step in Recordings(version).steps(case):
        if isinstance(step, Act):
            perform(driver, step)
        elif isinstance(step, Chunk):
            found += of(driver.feed(step.stream, step.data), ContextUsed)
            driver = restored(driver)
    return [(each.used, each.size, each.model) for each in found]


def test_claude_has_a_window_once_a_turn_ended() -> None:
    model = "claude-opus-4-8"
    assert told(ClaudeDriver(), "claude-2.1.197", "write") == [(1209, WINDOW, model), (1232, WINDOW, model)]
    assert told(ClaudeDriver(), "claude-2.1.197", "server-error") == []


def test_codex_tells_both_after_each_response() -> None:
    found = told(CodexDriver(), "codex-0.169.0", "write")
    assert [each[:2] for each in found] == [(1186, 258_400), (1209, 258_400), (1232, 258_400)]


def test_opencode_tells_what_is_used_and_not_of_how_much() -> None:
    model = "rehearsal/scripted"
    assert told(OpenCodeDriver(), "opencode-1.18.33", "write") == [
        (1186, None, model),
        (1209, None, model),
        (1232, None, model),
    ]


def test_an_inner_agent_of_opencode_says_nothing_of_the_conversation_s_context() -> None:
    inner = told(OpenCodeDriver(), "opencode-1.18.33", "inner")
    assert len(inner) == 2, "three requests, of which one is the inner agent's"


@pytest.mark.parametrize("case", ["write", "denied"])
def test_gemini_s_record_has_the_newest_response_and_no_window(tmp_path: Path, case: str) -> None:
    data = (Path(__file__).with_name("recordings") / "gemini-0.61.0" / f"{case}.chat").read_bytes()
    lines = [json.loads(line) for line in data.splitlines()]
    session = str(lines[0]["sessionId"])
    chats = tmp_path / ".gemini" / "tmp" / "repo" / "chats"
    chats.mkdir(parents=True)
    (chats / f"session-2030-01-01T00-00-{session[:8]}.jsonl").write_bytes(data)
    (chats / session).mkdir()
    inner = {"type": "gemini", "id": "inner", "model": "m", "tokens": {"input": 9, "output": 1}}
    (chats / session / "inner.jsonl").write_text(json.dumps(inner) + "\n")
    newest = [line["tokens"]["input"] for line in lines if line.get("tokens")][-1]
    driver = GeminiDriver(DriverState({"session": session}))
    (context,) = of(driver.reconcile({"HOME": str(tmp_path)}, "/var/tmp/demo/repo"), ContextUsed)
    assert (context.used, context.size) == (newest, None) and context.model


def claude(*lines: Mapping[str, Any]) -> list[tuple[int, int | None]]:
    driver = ClaudeDriver()
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    return [(each.used, each.size) for each in of(driver.feed("stdout", data), ContextUsed)]


def init(model: str) -> dict[str, Any]:
    return {"type": "system", "subtype": "init", "session_id": "s", "model": model}


def answer(model: str, used: int, parent: str | None = None) -> dict[str, Any]:
    usage = {"input_tokens": used - 3, "cache_read_input_tokens": 2, "cache_creation_input_tokens": 1}
    message = {"id": f"msg_{used}", "model": model, "usage": usage, "content": []}
    return {"type": "assistant", "message": message, "parent_tool_use_id": parent}


def result(**windows: int) -> dict[str, Any]:
    by_model = {name.replace("_1m", "[1m]"): {"contextWindow": size} for name, size in windows.items()}
    return {"type": "result", "subtype": "success", "modelUsage": by_model}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([init("big[1m]"), answer("big", 50), result(big=200, big_1m=1000)], [(50, 1000)]),
        ([init("big"), answer("big", 50), result(big=200, big_1m=1000)], [(50, 200)]),
        ([init("other"), answer("big", 50), result(big_1m=1000)], [(50, 1000)]),
        (
            [init("big"), answer("big", 50), answer("small", 9, "tool"), result(big=200, small=100)],
            [(50, 200)],
        ),
        ([init("big"), answer("big", 50), result(small=100)], []),
        ([init("big"), answer("big", 50), result(big=0)], []),
        (
            [init("big"), answer("big", 50), answer("big", 50), result(big=200), answer("big", 60)],
            [(50, 200), (60, 200)],
        ),
    ],
)
def test_the_window_is_that_of_the_session_s_own_model(
    lines: Sequence[Mapping[str, Any]], expected: list[tuple[int, int | None]]
) -> None:
    assert claude(*lines) == expected


def test_a_process_of_claude_knows_the_windows_of_the_one_before() -> None:
    driver = ClaudeDriver()
    driver.feed(
        "stdout", b"".join(json.dumps(each).encode() + b"\n" for each in (init("big"), result(big=200)))
    )
    driver.launch(request(binary="claude"))
    (told_now,) = of(driver.feed("stdout", json.dumps(answer("big", 60)).encode() + b"\n"), ContextUsed)
    assert (told_now.used, told_now.size) == (60, 200)


def test_the_demo_agent_tells_both() -> None:
    line = {"type": "context", "used": 58, "size": 200_000, "model": "demo"}
    (told_now,) = DemoDriver().feed("stdout", json.dumps(line).encode() + b"\n")
    assert isinstance(told_now, ContextUsed) and (told_now.used, told_now.size) == (58, 200_000)
