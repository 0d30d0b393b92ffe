"""What surrounds an agent and a gate: the caller's environment, a slot of its own, ports that nobody else gets."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from acceptance.product import AT, Product

from at_core.agent_environment import OF_A_REPOSITORY

MARKS = {"AT_BEAD", "AT_AGENT", "AT_SLOT", "AT_PORT", "AT_SESSION_MARK"}
"""Ours, as docs/set-up.md lists them."""
SHELL = {"OLDPWD", "SHLVL", "_"}
"""Set by any shell for itself."""
PORTS = 10


def environment_in(path: Path) -> dict[str, str]:
    """What `env -0` wrote."""
    return dict(part.split("=", 1) for part in path.read_text().split("\0") if part)


def folder_of(product: Product, bead: str) -> Path:
    """The bead's folder."""
    return product.home / "worktrees" / bead.replace("-", "")[:12]


@pytest.mark.parametrize(
    "locale", [{}, {"LC_CTYPE": "C"}, {"LANG": "C.UTF-8"}, {"LC_ALL": "C"}], ids=lambda given: str(given)
)
def test_an_agents_environment_is_the_calling_shells_but_for_our_marks(
    product: Product, tmp_path: Path, locale: dict[str, str]
) -> None:
    product.env.pop("LANG", None)
    product.env |= {
        "MY_TOKEN": "a=b\nc",
        "EMPTY": "",
        "AT_UI__NOTIFY": "off",
        "PYTHONPATH": "/none",
        "AT_GATE": "outer",
        "AT_SLOT": "99",
        **locale,
    }
    subprocess.run(
        ["/bin/sh", "-c", 'env -0 > "$1"; exec "$2" run "shell env -0 > seen" --cli demo --allow all']
        + ["--", str(tmp_path / "calling"), AT],
        cwd=product.repo,
        env=product.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    document = product.run_to_rest(product.json("ls")["beads"][0]["id"])
    calling, folder = environment_in(tmp_path / "calling"), folder_of(product, document["bead"]["id"])
    seen = environment_in(folder / "seen")
    marks = {name: seen.pop(name) for name in MARKS}
    for name in MARKS | SHELL | {"AT_GATE"}:
        calling.pop(name, None)
    assert {name: value for name, value in seen.items() if name not in SHELL} == {
        **calling,
        "PWD": str(folder),
    }
    assert marks["AT_BEAD"] == document["bead"]["id"]
    assert marks["AT_AGENT"] == document["agent"]["name"]
    assert marks["AT_SLOT"] == "1"
    assert document["slot"] == {"number": 1, "first_port": int(marks["AT_PORT"]), "ports": PORTS}


def test_every_mark_is_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs/set-up.md").read_text()
    assert [name for name in (*MARKS, "AT_GATE", *OF_A_REPOSITORY) if f"`{name}`" not in page] == []


def test_an_agents_at_is_that_of_its_own_daemon(product: Product) -> None:
    product.env["PATH"] = f"{Path(AT).parent}:{product.env['PATH']}"
    document = product.run('shell at show "$AT_BEAD" --json > seen', "--allow", "all")
    seen = json.loads((folder_of(product, document["bead"]["id"]) / "seen").read_text())
    assert seen["bead"]["id"] == document["bead"]["id"]


def test_a_call_from_a_hook_of_git_leaves_its_agent_in_the_folder_of_its_own(product: Product) -> None:
    before = product.git("rev-parse", "HEAD")
    hook = product.repo / ".git/hooks/post-commit"
    hook.write_text(
        f"#!/bin/sh\n{AT} run 'shell echo a > a && git add a && git commit -q -m Own' --cli demo --allow all\n"
    )
    hook.chmod(0o755)
    product.env["GIT_DIR"] = str(product.repo / ".git")
    product.env["GIT_WORK_TREE"] = str(product.repo)
    product.git("commit", "-q", "--allow-empty", "-m", "Hooked")
    hook.unlink()
    document = product.run_to_rest(product.json("ls")["beads"][0]["id"])
    assert document["proved"], document["reasons"]
    assert product.git("rev-parse", "HEAD~1") == before, "the agent's commit went to the person's branch"
    assert product.git("log", "-1", "--format=%s", document["bead"]["git_branch"]) == "Own"
    seen = product.at("exec", document["bead"]["id"], "--", "git", "log", "-1", "--format=%s")
    assert seen.stdout.strip() == "Own"


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
