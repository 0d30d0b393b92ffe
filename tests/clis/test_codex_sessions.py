"""The driver against the real Codex CLI: threads that are taken up again, processes that are killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from clis.codex_stage import CODEX, CodexStage, session_of, shell
from clis.conftest import Ground
from clis.figures import figures, reported

from at_session.drivers.codex import CodexDriver
from at_session.rehearsal.endpoint import Endpoint
from at_session.rehearsal.replies import Say, Stream, UseTools
from at_session.vocabulary import (
    Allow,
    DriverEvent,
    DriverState,
    PromptAccepted,
    PromptForgotten,
    SessionLost,
    ToolEnded,
    TurnEnded,
    TurnStarted,
    UsageReported,
    Write,
)


def environment(ground: Ground) -> Mapping[str, str]:
    return {"HOME": str(ground.home)}


@pytest.fixture
def start(endpoint: Endpoint, ground: Ground, commands: Path) -> Iterator[CodexStage]:
    """Start Codex on the test's ground."""
    with CodexStage(endpoint, ground, commands) as stage:
        yield stage


def test_a_prompt_handed_over_twice_is_delivered_once(start: CodexStage, endpoint: Endpoint) -> None:
    marker = endpoint.script("once", Say("Heard."))
    agent = start()
    for _ in range(2):
        agent.prompt("m1", marker)
    agent.wait_for(TurnEnded)
    agent.close()
    again = start(resume=session_of(agent))
    again.prompt("m1", marker)
    assert again.wait_for(PromptAccepted) == PromptAccepted("m1", repeated=True)
    again.prompt("m2", endpoint.script("after", Say("After.")))
    again.wait_for(TurnEnded)
    assert (len(endpoint.of("once")), endpoint.deliveries("once")) == (1, 1)


def test_after_a_kill_in_mid_turn_the_same_session_goes_on(
    start: CodexStage, endpoint: Endpoint, ground: Ground
) -> None:
    write = UseTools((CODEX.write(str(ground.repository / "a.txt"), "a\n"),))
    agent = start(instructions="Be brief.")
    agent.prompt("m1", f"First. {endpoint.script('first', write, Stream(30))}")
    assert endpoint.wait_for(lambda: len(endpoint.of("first")) == 2)
    agent.wait_for(ToolEnded)
    os.killpg(agent.process.pid, signal.SIGKILL)
    agent.kill()
    told = agent.driver.reconcile(environment(ground), str(ground.repository))
    spent = [event for event in told if isinstance(event, UsageReported)]
    assert [reported(each) for each in spent] == [figures(endpoint, endpoint.of("first")[:1])]
    assert not any(isinstance(event, TurnEnded) for event in told)
    assert agent.driver.reconcile(environment(ground), str(ground.repository)) == []
    resumed = start(resume=session_of(agent), before=agent.driver.state, instructions="Be brief.")
    resumed.prompt("m1", f"First. {endpoint.script('never', Say('No.'))}")
    assert resumed.wait_for(PromptAccepted) == PromptAccepted("m1", repeated=True)
    resumed.prompt("m2", f"Go on. {endpoint.script('second', Say('Finished.'))}")
    end = resumed.wait_for(TurnEnded)
    assert (end.message_id, end.text) == ("m2", "Finished.")
    assert session_of(resumed) == session_of(agent)
    seen = endpoint.of("second")[0]
    assert [text.count("rehearse:first") for text in seen.request.texts if "rehearse:" in text] == [1, 0]
    assert [reported(each) for each in resumed.of(UsageReported)] == [figures(endpoint, [seen])]


class Killer(CodexDriver):
    """Kills its process when so many lines have come since the prompt was written."""

    lines = 0
    group = 0

    def feed(self, stream: str, data: bytes) -> list[DriverEvent | Write]:
        """Only the lines before the kill are taken in, as by a daemon that dies with the process."""
        given: list[DriverEvent | Write] = []
        for line in data.splitlines(keepends=True):
            if self.state.values.get("sending") or self.state.values.get("turn"):
                if self.lines == 0:
                    if self.group:
                        os.killpg(self.group, signal.SIGKILL)
                    self.lines = -1
                if self.lines < 0:
                    break
                self.lines -= stream == "stdout"
            given += super().feed(stream, line)
        return given


@pytest.mark.parametrize("lines", range(8))
def test_wherever_a_process_is_killed_a_prompt_is_delivered_once(
    start: CodexStage, endpoint: Endpoint, ground: Ground, lines: int
) -> None:
    marker = endpoint.script("once", Stream(30))
    driver = Killer()
    agent = start(driver=driver)
    session = session_of(agent)
    driver.lines, driver.group = lines, agent.process.pid
    agent.prompt("m1", marker)
    agent.process.wait(60)
    agent.kill()
    told = driver.reconcile(environment(ground), str(ground.repository))
    taken = PromptAccepted("m1") in [*agent.events, *told] and PromptForgotten("m1") not in told
    resumed = start(resume=session, before=driver.state)
    session_of(
        resumed
    )  # another one, where it was killed before a word was on record: nothing is held for it
    if not taken:
        resumed.prompt("m1", endpoint.script("once", Say("Heard.")))
        resumed.wait_for(TurnEnded)
    resumed.prompt("m2", endpoint.script("after", Say("After.")))
    assert resumed.wait_for(TurnEnded, lambda end: end.message_id == "m2").text == "After."
    seen = endpoint.exchanges()[-1].request.texts
    assert endpoint.deliveries("once") == 1, (taken, agent.events, told, resumed.events, seen)


@pytest.mark.parametrize("first, second", [(Allow.ASK, Allow.EDITS), (Allow.EDITS, Allow.ASK)])
def test_a_resumed_session_takes_the_permissions_of_its_new_start(
    start: CodexStage, endpoint: Endpoint, ground: Ground, first: Allow, second: Allow
) -> None:
    agent = start(first)
    agent.prompt("m1", endpoint.script("hello", Say("Hello.")))
    agent.wait_for(TurnEnded)
    agent.close()
    resumed = start(second, resume=session_of(agent), before=agent.driver.state)
    resumed.prompt("m2", endpoint.script("touch", shell("touch a.txt"), Say("Done.")))
    resumed.wait_for(TurnEnded)
    assert (ground.repository / "a.txt").exists() is (second is Allow.EDITS)


def test_a_prompt_that_was_taken_unseen_is_not_run_again(
    start: CodexStage, endpoint: Endpoint, ground: Ground
) -> None:
    agent = start()
    session = session_of(agent)
    marker = endpoint.script("once", Say("Heard."))
    agent.prompt("m1", marker)
    unseen = DriverState({**agent.driver.state.values, "thread": session})
    agent.wait_for(TurnEnded)
    agent.kill()
    # The state of a daemon that did not live to hear what the CLI said about the prompt.
    unseen.values.update(sending={"id": "m1", "digest": ""}, known=[], turn=None)
    told = CodexDriver(unseen).reconcile(environment(ground), str(ground.repository))
    kinds = [type(event) for event in told]
    assert kinds == [PromptAccepted, TurnStarted, UsageReported, TurnEnded]
    assert isinstance(told[-1], TurnEnded) and (told[-1].message_id, told[-1].text) == ("m1", "Heard.")


def test_a_session_killed_before_its_first_prompt_begins_anew(start: CodexStage, endpoint: Endpoint) -> None:
    first = start()
    session = session_of(first)
    first.kill()
    agent = start(resume=session, before=first.driver.state)
    agent.prompt("m1", endpoint.script("hello", Say("Hello.")))
    assert agent.wait_for(TurnEnded).text == "Hello."
    assert session_of(agent) != session
    assert agent.of(SessionLost) == []


def test_a_lost_session_is_told_and_a_new_one_begun(start: CodexStage, endpoint: Endpoint) -> None:
    session = "01a204db-1130-7011-b699-29c08635506b"
    agent = start(resume=session)
    assert agent.wait_for(SessionLost) == SessionLost(session)
    agent.prompt("m1", endpoint.script("hello", Say("Hello.")))
    assert agent.wait_for(TurnEnded).text == "Hello."
    assert session_of(agent) != session
