"""What surrounds an agent and a gate: the caller's environment, a slot of its own, ports that nobody else gets."""

from __future__ import annotations

from pathlib import Path

from acceptance.product import Product

OURS = {"AT_BEAD", "AT_AGENT", "AT_SLOT", "AT_PORT"}
SHELL = {"PWD", "OLDPWD", "SHLVL", "_"}
"""Set by any shell for itself."""
SWITCHES = {"AT_HOME", "AT_START_SECONDS"}
"""Of our own program; an agent does not inherit them."""
PORTS = 10


def environment_in(path: Path) -> dict[str, str]:
    """What `env -0` wrote."""
    return dict(part.split("=", 1) for part in path.read_text().split("\0") if part)


def test_an_agents_environment_is_the_callers_but_for_our_marks(product: Product) -> None:
    product.env |= {"MY_TOKEN": "a=b\nc", "EMPTY": "", "AT_SLOT": "99", "AT_GATE": "outer"}
    document = product.run("shell env -0 > seen", "--allow", "all")
    seen = environment_in(product.home / "worktrees" / document["bead"]["id"].replace("-", "")[:12] / "seen")
    given = {name: value for name, value in product.env.items() if name not in SWITCHES | {"AT_GATE"}}
    marks = {name: seen[name] for name in OURS}
    session = {name for name in seen if name.startswith("AT_SESSION_")}
    assert {name: value for name, value in seen.items() if name not in OURS | SHELL | session} == {
        name: value for name, value in given.items() if name not in OURS | SHELL
    }
    assert marks["AT_BEAD"] == document["bead"]["id"]
    assert marks["AT_AGENT"] == document["agent"]["name"]
    assert marks["AT_SLOT"] == "1"
    assert document["slot"] == {"number": 1, "first_port": int(marks["AT_PORT"]), "ports": PORTS}


def test_beads_and_gates_never_share_a_port_and_a_slot_is_given_again(product: Product) -> None:
    product.settings('[gates]\nports = "env -0 > \\"$HOME/gate-$AT_SLOT\\""\n')
    first = product.start("shell echo a > a", "--allow", "all")
    product.wait(first, "agent.started")
    second = product.start("shell echo b > b", "--allow", "all")
    for bead in (first, second):
        assert product.run_to_rest(bead)["proved"]
    slots = {bead: product.json("show", bead)["slot"]["number"] for bead in (first, second)}
    gates = [environment_in(path) for path in Path(product.env["HOME"]).glob("gate-*")]
    assert gates
    of_gates = {int(gate["AT_SLOT"]) for gate in gates}
    assert slots[first] == 1 and slots[second] != 1 and 1 not in of_gates, (slots, of_gates)
    ports = {gate["AT_SLOT"]: int(gate["AT_PORT"]) for gate in gates}
    assert all(port == 21000 + 10 * (int(slot) - 1) for slot, port in ports.items())
    assert {gate["AT_GATE"] for gate in gates} == {"ports"}
    product.json("land", first)
    product.json("rm", second)
    for bead in (first, second):
        product.wait(bead, "folder.removed")
    assert product.json("show", first)["slot"] is None
    assert product.run("write c.txt c")["slot"]["number"] == 1


def test_a_person_runs_a_command_where_and_as_the_agent_does(product: Product) -> None:
    document = product.run("write a.txt a")
    bead = document["bead"]["id"]
    ran = product.at(
        "exec", bead, "--", "sh", "-c", 'cat a.txt; echo "$AT_SLOT $AT_PORT $AT_AGENT"; pwd; exit 9'
    )
    path = product.at("open", bead).stdout.strip()
    slot, agent = document["slot"], document["agent"]["name"]
    assert ran.code == 9
    assert ran.stdout.splitlines() == ["a", f"{slot['number']} {slot['first_port']} {agent}", path]


def test_a_slot_outlives_the_daemon(product: Product) -> None:
    document = product.run("write a.txt a")
    product.kill_daemon()
    assert product.json("show", document["bead"]["id"])["slot"] == document["slot"] is not None
