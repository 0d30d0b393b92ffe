"""A cost that a CLI does not tell is estimated from a price list, once for each model, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from at_core.types import SessionRecord, TokenMetric
from at_daemon.acts.price import PROGRAM
from at_daemon.ingest import Intake
from at_daemon.ledger import Change
from at_daemon.prices import list_name, note_price, price_from, price_key
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


def asked(*keys: str) -> dict[str, list[float] | None]:
    """What the program answers; it sees neither our environment nor a network."""
    done = subprocess.run(
        [sys.executable, "-I", str(PROGRAM), *keys], capture_output=True, text=True, check=True, env={}
    )
    assert done.stderr == ""
    answer: dict[str, list[float] | None] = json.loads(done.stdout)
    return answer


def test_the_list_knows_the_models_of_the_clis_and_says_so_of_no_others() -> None:
    found = asked(*KNOWN, "openai/no-such-model", "nobody/gpt-5", "nonsense", "")
    unknown = {key for key, prices in found.items() if prices is None}
    assert unknown == {"openai/no-such-model", "nobody/gpt-5", "nonsense", ""}
    for key in KNOWN:
        prices = found[key]
        assert prices is not None
        given, cached, produced = prices
        assert 0 < cached < given < produced


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

    desk.do(lambda change: note_price(change, price_from("openai/gpt-5", [2.0, 0.2, 8.0], change.now)))
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
