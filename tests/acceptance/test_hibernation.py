"""An agent that waits for a person's look holds no process, and answers in the same session when it is spoken to."""

from __future__ import annotations

from acceptance.product import Product


def test_it_is_gone_after_a_while_and_back_with_the_next_word(product: Product) -> None:
    product.at("config", "general.hibernate_seconds", "1")
    bead = product.run("write a.txt a", "--no-land")["bead"]["id"]
    gone = product.wait(bead, "agent.exited")
    document = product.json("show", bead)
    assert (document["agent"]["label"], document["agent"]["status"]) == ("hibernating", "idle")
    assert document["attention"] == []
    product.json("send-back", bead, "-m", "write b.txt b")
    again = product.wait(bead, "agent.started", after=gone["seq"])
    assert product.run_to_rest(bead)["proved"]
    named = [e["payload"] for e in product.json_lines("events") if e["type"] == "session.named"]
    assert len({each["session_id"] for each in named}) == 1, named
    assert again["payload"]["attempt"] == 2
    product.json("land", bead)
    assert sorted(product.git("ls-tree", "--name-only", "main").split()) == ["README.md", "a.txt", "b.txt"]


def test_one_that_waits_for_a_limit_or_a_budget_holds_no_process_either(product: Product) -> None:
    product.at("config", "general.hibernate_seconds", "1")
    bead = product.start("limit 6; write a.txt a; usage 100 10 1.0", "--budget", "0.5", "--no-land")
    product.wait(bead, "limit.reached")
    gone = product.wait(bead, "agent.exited")
    assert product.json("show", bead)["agent"]["label"] == "usage limit"
    product.wait(bead, "agent.started", after=gone["seq"])
    product.wait(bead, "bead.handed_in", after=gone["seq"])
    last = product.wait(bead, "agent.exited", after=gone["seq"])
    product.json("send-back", bead, "-m", "write b.txt b")
    product.wait(bead, "budget.reached", after=last["seq"])
    assert product.json("show", bead)["agent"]["label"] == "budget reached"
    assert not [each for each in product.processes() if "demo" in each]
    product.json("budget", bead, "5")
    assert product.run_to_rest(bead)["proved"]
