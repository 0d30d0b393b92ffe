"""Rules learned with `--always` are shown and can be taken away; several asks are answered at once, after they were shown."""

from __future__ import annotations

from acceptance.product import Product


def asked(product: Product, name: str, command: str) -> str:
    """Start an agent that asks for leave to run a command; the bead's id once it has asked."""
    bead = product.start(f"shell {command}\nwrite {name}.txt x", "--title", name)
    product.wait(bead, "interruption.opened")
    return bead


def test_a_rule_is_shown_with_where_it_came_from_and_ends_when_it_is_removed(product: Product) -> None:
    first = asked(product, "first", "echo one")
    ask = product.json("approvals")["approvals"][0]
    product.json("approve", ask["id"], "--always")
    product.run_to_rest(first)
    (rule,) = product.json("rules")["rules"]
    assert (rule["what"], rule["repository"], rule["ask"]) == (ask["what"], str(product.repo), ask["id"])
    assert rule["created_by"] == "person" and rule["kind"] == "command" and rule["argv"]
    assert rule["what"] in product.at("rules").stdout
    product.run_to_rest(product.start("shell echo one\nwrite second.txt x", "--title", "second"))
    assert product.json("approvals")["approvals"] == [], "the rule answered"
    removed = product.json("rules", "remove", rule["id"][:8])
    assert [each["id"] for each in removed["removed"]] == [rule["id"]]
    assert product.json("rules")["rules"] == []
    asked(product, "third", "echo one")
    assert len(product.json("approvals")["approvals"]) == 1
    gone = product.at("rules", "remove", rule["id"], "--json")
    assert (gone.code, gone.error["code"], gone.error["hint"]) == (4, "not_found", "at rules")


def test_all_asks_of_an_agent_are_answered_once_they_were_shown(product: Product) -> None:
    beads = [asked(product, name, f"echo {name}") for name in ("one", "two", "three")]
    asks = {ask["bead"]: ask for ask in product.json("approvals")["approvals"]}
    unseen = product.at("approve", "--all")
    assert (unseen.code, unseen.stdout) == (3, "")
    assert "at approve --all --yes" in unseen.stderr and len(product.json("approvals")["approvals"]) == 3
    for verb in ("approve", "deny"):
        nobody = product.at(verb, "--all", "--agent", "nosuchagent", "--yes")
        assert (nobody.code, nobody.stdout) == (4, "") and "at agents" in nobody.stderr
    agent = product.json("show", beads[0])["bead"]["agent_id"]
    some = product.at("approve", "--all", "--agent", agent, "--yes")
    assert some.code == 0 and "echo one" in some.stderr and "approved" in some.stdout
    told = product.at("deny", asks[beads[1]]["id"], "ffffffff", asks[beads[2]]["id"], "-m", "no", "--json")
    assert told.code == 4
    document = told.document
    assert [each["bead"] for each in document["approvals"]] == beads[1:]
    assert [(each["id"], each["error"]["code"]) for each in document["failed"]] == [("ffffffff", "not_found")]
    assert product.json("approvals")["approvals"] == []
