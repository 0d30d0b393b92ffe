"""A cost that a CLI does not tell is estimated from a price list, once for each model, in a process of its own."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

import anyio
import pytest

from at_core.errors import TryLater
from at_core.types import Intent, SessionRecord, TokenMetric
from at_core.vocabulary import EventType
from at_daemon.acts.price import PROGRAM, looked_up, note_price, price_from
from at_daemon.executor import MOST_ATTEMPTS
from at_daemon.ingest import Intake
from at_daemon.ledger import Change
from at_daemon.prices import LOOK_AGAIN_AFTER, list_name, price_key
from at_daemon.testing import Desk
from at_session.vocabulary import Usage, UsageReported

KNOWN = ["openai/gpt-5", "openai/gpt-5-codex", "google/gemini-2.5-pro", "anthropic/claude-sonnet-4-5"]


@pytest.mark.parametrize(
    ("cli", "model", "key"),
    [
        ("codex", "gpt-5", "openai/gpt-5"),
        ("gemini", "gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("claude", "claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
        ("opencode", "anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
        ("opencode", "big-pickle", None),
        ("demo", "demo", None),
        ("demo", "openai/gpt-5", "openai/gpt-5"),
        ("demo", "/x", None),
        ("demo", "x/", None),
        ("codex", None, None),
        ("codex", "", None),
    ],
)
def test_a_model_is_priced_only_where_its_provider_is_known(
    cli: str, model: str | None, key: str | None
) -> None:
    assert price_key(cli, model) == key


def asked(*keys: str) -> dict[str, list[float | None] | None]:
    """What the program answers; it sees neither our environment nor a network."""
    done = subprocess.run(
        [sys.executable, "-I", str(PROGRAM), *keys], capture_output=True, text=True, check=True, env={}
    )
    assert done.stderr == ""
    answer: dict[str, list[float | None] | None] = json.loads(done.stdout)
    return answer


def test_the_list_knows_the_models_of_the_clis_and_says_so_of_no_others() -> None:
    found = asked(*KNOWN, "openai/no-such-model", "nobody/gpt-5", "nonsense", "")
    unknown = {key for key, prices in found.items() if prices is None}
    assert unknown == {"openai/no-such-model", "nobody/gpt-5", "nonsense", ""}
    for key in KNOWN:
        prices = found[key]
        assert prices is not None
        given, cached, produced, size = prices
        assert given is not None and cached is not None and produced is not None
        assert 0 < cached < given < produced and (size is None or size >= 100_000)
    assert found["openai/gpt-5"] and found["openai/gpt-5"][3] is not None


def test_the_daemon_itself_never_loads_the_list() -> None:
    code = "import sys, at_daemon.wiring; print('genai_prices' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def hear(desk: Desk, session: SessionRecord, *figures: Usage) -> None:
    def take(change: Change) -> None:
        agent = change.tx.agent(session.agent_id)
        bead = change.tx.bead(session.bead_id) if session.bead_id else None
        assert agent is not None
        Intake(change, session, agent, bead).take([UsageReported(each, "the stream") for each in figures])

    desk.do(take)


def figures_of(desk: Desk) -> list[TokenMetric]:
    return desk.do(lambda change: change.tx.usage())


def look_ups(desk: Desk) -> list[str]:
    return [
        str(intent.payload["model"])
        for intent in desk.do(lambda change: change.tx.open_intents())
        if intent.kind == "price"
    ]


GPT = Usage(1000, 500, 100, model="openai/gpt-5")


def test_a_price_is_looked_up_once_and_counts_for_what_was_used_before_and_after(desk: Desk) -> None:
    agent = desk.agent("wren")
    bead = desk.bead(agent)
    session = desk.start(agent, bead)
    hear(desk, session, GPT, GPT, Usage(1, 0, 1, model="demo"), Usage(1, 0, 1, 0.5, model="openai/gpt-4"))
    assert look_ups(desk) == ["openai/gpt-5"]
    assert [(each.cost_usd, each.estimated) for each in figures_of(desk)] == [
        (None, False),
        (None, False),
        (None, False),
        (0.5, False),
    ]

    desk.do(lambda change: note_price(change, price_from("openai/gpt-5", [2.0, 0.2, 8.0, None], change.now)))
    hear(desk, session, GPT)
    found = [each for each in figures_of(desk) if each.model == "openai/gpt-5"]
    assert [(each.cost_usd, each.estimated) for each in found] == [(0.0029, True)] * 3
    assert {each.source for each in found} == {f"the stream; {list_name()}"}
    assert look_ups(desk) == ["openai/gpt-5"]


def test_a_model_that_the_list_does_not_know_has_no_cost_and_is_not_asked_for_again(desk: Desk) -> None:
    agent = desk.agent("wren")
    session = desk.start(agent, desk.bead(agent))
    unknown = price_from("openai/gpt-5", None, desk.clock.now())
    desk.do(lambda change: note_price(change, unknown))
    hear(desk, session, GPT)
    assert [(each.cost_usd, each.estimated) for each in figures_of(desk)] == [(None, False)]
    assert look_ups(desk) == []


def open_look_ups(desk: Desk) -> list[Intent]:
    return [each for each in desk.do(lambda change: change.tx.open_intents()) if each.kind == "price"]


def carry_out(desk: Desk, program: Path, seconds: float = 60.0) -> None:
    """One try of the look-up that is open, as the executor makes it."""
    (intent,) = open_look_ups(desk)
    try:
        effect = anyio.run(partial(looked_up, intent, program, seconds))
    except TryLater as error:
        why = str(error)
        desk.do(lambda change: change.tx.delay_intent(intent.key, change.now, why))
        return

    def close(change: Change) -> None:
        change.tx.finish_intent(intent.key, change.now)
        effect.note(change)

    desk.do(close)


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, Path]:
    """Programs in place of the price list's, by what they do."""
    answer = json.dumps({"openai/gpt-5": [2.0, 0.2, 8.0, None]})
    sources = {
        "exits": "raise SystemExit(3)",
        "talks": "print('no JSON')",
        "forgets": "print('{}')",
        "hangs": "import threading; threading.Event().wait()",
        "answers": f"print('{answer}')",
    }
    for name, source in sources.items():
        tmp_path.joinpath(f"{name}.py").write_text(source)
    return {name: tmp_path / f"{name}.py" for name in sources}


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("exits", "ended with exit code 3"),
        ("talks", "cannot be read"),
        ("forgets", "cannot be read"),
        ("hangs", "did not answer within"),
    ],
)
def test_a_look_up_that_fails_is_made_again_and_told_in_the_end(
    desk: Desk, programs: dict[str, Path], program: str, reason: str
) -> None:
    agent = desk.agent("wren")
    session = desk.start(agent, desk.bead(agent))
    hear(desk, session, GPT)
    seconds = 0.1 if program == "hangs" else 60.0
    for number in range(MOST_ATTEMPTS):
        carry_out(desk, programs[program], seconds)
        (intent,) = open_look_ups(desk)
        assert (intent.attempts, reason in (intent.error or "")) == (number + 1, True)
        assert desk.do(lambda change: change.tx.price("openai/gpt-5")) is None
    carry_out(desk, programs[program], seconds)
    assert open_look_ups(desk) == []
    unknown = desk.do(lambda change: change.tx.price("openai/gpt-5"))
    assert unknown is not None, "documents tell by this that no price is to be expected"
    assert unknown.of(1, 1, 1) is None
    (event,) = desk.do(lambda change: change.tx.events(types=[EventType.INTENT_FAILED.value]))
    assert event.payload is not None and reason in event.payload["reason"]


def test_after_a_look_up_that_failed_the_next_use_looks_again_but_not_at_once(
    desk: Desk, programs: dict[str, Path]
) -> None:
    agent = desk.agent("wren")
    session = desk.start(agent, desk.bead(agent))
    hear(desk, session, GPT)
    for _ in range(MOST_ATTEMPTS + 1):
        carry_out(desk, programs["exits"])
    failed_at = desk.clock.now()
    desk.clock.pass_time(30.0)
    hear(desk, session, GPT)
    hear(desk, session, GPT)
    (again,) = open_look_ups(desk)
    assert again.not_before == failed_at + LOOK_AGAIN_AFTER
    desk.clock.pass_time(LOOK_AGAIN_AFTER / timedelta(seconds=1))
    carry_out(desk, programs["answers"])
    assert [each.cost_usd for each in figures_of(desk)] == [0.0029] * 3
    hear(desk, session, GPT)
    assert open_look_ups(desk) == []


def test_a_look_up_in_a_newer_list_that_fails_leaves_the_price_that_is_known(
    desk: Desk, programs: dict[str, Path]
) -> None:
    agent = desk.agent("wren")
    session = desk.start(agent, desk.bead(agent))
    older = dataclasses.replace(
        price_from("openai/gpt-5", [2.0, 0.2, 8.0, None], desk.clock.now()), source="price list 1"
    )
    desk.do(lambda change: note_price(change, older))
    desk.clock.pass_time(3600.0)
    hear(desk, session, GPT)
    for _ in range(MOST_ATTEMPTS + 1):
        carry_out(desk, programs["exits"])
    hear(desk, session, GPT)
    assert [each.cost_usd for each in figures_of(desk)] == [0.0029] * 2
    carry_out(desk, programs["answers"])
    hear(desk, session, GPT)
    assert open_look_ups(desk) == []
