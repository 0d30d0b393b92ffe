"""A session that Claude has lost is told before anything is said to the one in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from at_session.drivers.claude import ClaudeDriver
from at_session.vocabulary import (
    DriverEvent,
    LaunchRequest,
    PromptForgotten,
    SessionLost,
    Write,
)

from .replay import of, restored

SESSION = "3f0c1d2e-0000-4000-8000-000000000001"
READY = b'{"type":"control_response","response":{"subtype":"success","request_id":"lost"}}\n'
NO_CONVERSATION = f"No conversation found with session ID: {SESSION}\n".encode()
WITHOUT_A_PROMPT = '{"type":"queue-operation"}\n'


def request(home: Path, *, resume: bool) -> LaunchRequest:
    env = {"HOME": str(home)}
    return LaunchRequest("a1", "claude", (), "/repo", env, "/nowhere", session_id=SESSION, resume=resume)


def transcript(home: Path, text: str) -> None:
    folder = home / ".claude" / "projects" / "-repo"
    folder.mkdir(parents=True)
    (folder / f"{SESSION}.jsonl").write_text(text)


def named(argv: tuple[str, ...]) -> str:
    """The id that the CLI is to give its new session."""
    assert "--resume" not in argv
    return argv[argv.index("--session-id") + 1]


@pytest.mark.parametrize("recorded", [None, WITHOUT_A_PROMPT], ids=["gone", "without-a-prompt"])
def test_a_session_without_a_transcript_is_lost_and_another_begins(
    tmp_path: Path, recorded: str | None
) -> None:
    if recorded is not None:
        transcript(tmp_path, recorded)
    driver = ClaudeDriver()
    assert named(driver.launch(request(tmp_path, resume=True)).argv) != SESSION
    (question,) = driver.open()
    assert driver.open() == [question]
    assert driver.prompt("m1", "And this") == []
    driver = restored(driver)
    assert driver.feed("stdout", READY) == [SessionLost(SESSION)]
    assert driver.feed("stdout", READY) == []
    driver = restored(driver)
    assert [write.id for write in driver.prompt("m2", "The work, and this")] == ["prompt:m2"]


@pytest.mark.parametrize(
    ("recorded", "resume"), [(None, False), (WITHOUT_A_PROMPT, False), ('{"type":"user"}\n', True)]
)
def test_a_session_that_is_there_or_was_never_named_is_not_lost(
    tmp_path: Path, recorded: str | None, resume: bool
) -> None:
    if recorded is not None:
        transcript(tmp_path, recorded)
    driver = ClaudeDriver()
    driver.launch(request(tmp_path, resume=resume))
    assert driver.open() == []
    assert [write.id for write in driver.prompt("m1", "Hello")] == ["prompt:m1"]
    assert driver.feed("stdout", READY) == []


def test_prompts_for_a_session_that_the_cli_does_not_find_are_to_be_handed_over_anew(tmp_path: Path) -> None:
    transcript(tmp_path, '{"type":"user"}\n')
    driver = ClaudeDriver()
    driver.launch(request(tmp_path, resume=True))
    driver.prompt("m1", "And this")
    driver.prompt("m2", "And that")
    events: list[DriverEvent | Write] = driver.feed("stderr", NO_CONVERSATION)
    assert events == [PromptForgotten("m1"), SessionLost(SESSION)]
    last = b'{"type":"result","subtype":"error_during_execution","is_error":true}\n'
    assert of(driver.feed("stdout", last), Write) == []


def test_a_session_that_the_cli_does_not_find_is_not_asked_for_again(tmp_path: Path) -> None:
    transcript(tmp_path, '{"type":"user"}\n')
    driver = ClaudeDriver()
    assert "--resume" in driver.launch(request(tmp_path, resume=False)).argv
    driver.feed("stderr", NO_CONVERSATION)
    driver = restored(driver)
    first, second = (driver.launch(request(tmp_path, resume=False)).argv for _ in range(2))
    assert named(first) == named(second) != SESSION
