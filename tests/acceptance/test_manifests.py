"""A CLI that a manifest declares, through the whole product: the example of `docs/manifests.md`, exactly as printed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from acceptance.product import AT, Product

from at_session.manifest import load

PAGE = (Path(__file__).parents[2] / "docs" / "manifests.md").read_text(encoding="utf-8")
EXAMPLE, MODES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
NAME = "demo-acp"


@pytest.fixture
def declared(product: Product) -> Product:
    """The product with the page's manifest in its home, and our programs on PATH as an installation has them."""
    product.env["PATH"] = f"{Path(AT).parent}:{product.env['PATH']}"
    manifest(product, NAME, EXAMPLE)
    return product


def manifest(product: Product, name: str, text: str) -> Path:
    path = product.home / "clis" / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.parent.chmod(0o700)
    path.write_text(text, encoding="utf-8")
    return path


def start(product: Product, prompt: str, *options: str) -> str:
    return str(product.json("run", prompt, "--cli", NAME, *options)["bead"]["id"])


def events(product: Product, bead: str) -> list[dict[str, Any]]:
    return [event for event in product.json_lines("events") if event["bead_id"] == bead]


def lines_said(product: Product, bead: str) -> list[str]:
    said = [each["payload"]["text"] for each in events(product, bead) if each["type"] == "text.spoken"]
    return [text for text in said if text.startswith("line ")]


def test_the_example_of_the_page_lands_what_was_approved(declared: Product) -> None:
    (prompt,) = re.findall(r'^at run "(.*)" --cli demo-acp --wait$', PAGE, re.MULTILINE)
    bead = start(declared, prompt)
    declared.wait(bead, "ask.opened")
    (ask,) = declared.json("approvals")["approvals"]
    assert (ask["kind"], ask["what"]) == ("command", prompt.removeprefix("shell "))
    declared.json("approve", ask["id"])
    declared.wait(bead, "bead.proved")
    document = declared.json("show", bead)
    assert (document["proved"], document["agent"]["cli"]) == (True, NAME)
    assert f"{NAME} does not report: cost, requests" in document["usage"]["source"]
    assert document["usage"]["input_tokens"] > 50 and document["usage"]["cost_usd"] is None

    session = document["agent"]["session_id"]
    declared.json("send-back", bead, "-m", "write more.txt more")
    declared.wait(bead, "bead.proved", after=document["seq"])
    again = declared.json("show", bead)
    assert (again["turns"], again["agent"]["session_id"]) == (2, session), "the same session goes on"

    assert declared.json("land", bead)["bead"]["status"] == "done"
    assert (declared.repo / "made.txt").exists() and (declared.repo / "more.txt").read_text() == "more\n"
    (row,) = declared.json("costs", "--by", "cli")["rows"]
    assert (row["key"], row["turns"]) == (NAME, 2)
    assert [each["cli"] for each in declared.json("agents")["agents"]] == [NAME]
    assert NAME in declared.at("agents").stdout


@pytest.mark.parametrize(
    ("allow", "asks"), [("ask", ["edit", "command"]), ("edits", ["command"]), ("all", [])]
)
def test_each_permission_mode_asks_what_it_must(declared: Product, allow: str, asks: list[str]) -> None:
    bead = start(declared, "write a.txt one\nshell touch b.txt", "--allow", allow, "--land")
    for kind in asks:
        after = declared.json("show", bead)["seq"] if kind == "command" and len(asks) == 2 else 0
        if not declared.json("approvals")["approvals"]:
            declared.wait(bead, "ask.opened", after=after)
        (ask,) = declared.json("approvals")["approvals"]
        assert ask["kind"] == kind
        declared.json("approve", ask["id"])
    declared.wait(bead, "bead.landed")
    opened = [each for each in events(declared, bead) if each["type"] == "ask.opened"]
    assert (len(opened), (declared.repo / "b.txt").exists()) == (len(asks), True)


def test_a_stopped_agent_goes_on_in_its_session(declared: Product) -> None:
    bead = start(declared, "write a.txt one; stream 2; write b.txt two", "--land")
    declared.wait(bead, "text.spoken")
    session = declared.json("show", bead)["agent"]["session_id"]
    assert declared.at("down").code == 0
    declared.json("resume", "--all")
    declared.wait(bead, "bead.landed")
    assert declared.json("show", bead)["agent"]["session_id"] == session
    assert (declared.repo / "b.txt").read_text() == "two\n"
    said = lines_said(declared, bead)
    assert said == sorted(set(said), key=lambda line: int(line.split()[1])), "no line came twice"


def test_a_daemon_that_is_killed_while_it_streams_loses_and_doubles_nothing(declared: Product) -> None:
    bead = start(declared, "stream 3; write a.txt one", "--land")
    declared.wait(bead, "text.spoken")
    for _ in range(2):
        declared.kill_daemon()
        assert declared.at("up").code == 0
    declared.wait(bead, "bead.landed")
    assert lines_said(declared, bead) == [f"line {number}" for number in range(1, 16)]
    told = [each["type"] for each in events(declared, bead)]
    assert [told.count(each) for each in ("message.accepted", "turn.ended", "agent.started")] == [1, 1, 1]


def test_a_session_waits_for_its_manifest(declared: Product) -> None:
    bead = start(declared, "stream 1; write a.txt one", "--land")
    declared.wait(bead, "text.spoken")
    declared.json("down", "--keep-agents")
    kept = manifest(declared, NAME, EXAMPLE).rename(declared.home / "kept.toml")
    declared.json("up")
    agent = declared.json("show", bead)["agent"]
    assert (agent["label"], agent["cli"]) == ("unknown", NAME)
    assert f"no driver for {NAME!r}" in agent["reasons"][0]
    assert declared.run("write other.txt x")["proved"], "other CLIs are not touched by it"
    kept.rename(declared.home / "clis" / f"{NAME}.toml")
    declared.wait(bead, "bead.landed")
    assert lines_said(declared, bead) == [f"line {number}" for number in range(1, 6)]


def test_a_manifest_that_changes_counts_at_the_next_call(declared: Product) -> None:
    declared.json("up")
    unknown = declared.at("run", "x", "--cli", "later", "--json")
    assert (unknown.code, unknown.error["code"]) == (2, "usage")
    assert unknown.error["message"].endswith(
        "'later' is not one of 'claude', 'codex', 'gemini', 'opencode', 'demo', 'demo-acp'."
    )
    manifest(declared, "later", EXAMPLE.replace('all = "all"\n', ""))
    refused = declared.at("run", "x", "--cli", "later", "--allow", "all", "--json")
    assert refused.code == 2
    wanted = "later: its manifest names no permission mode 'all' (allowed: ask, edits)"
    assert refused.error["message"] == wanted
    agent = declared.json("hook", "write a.txt one", "wren", "--cli", "later")["agent"]
    assert (agent["name"], agent["cli"]) == ("wren", "later")
    other = declared.at("hook", "more", "wren", "--cli", NAME, "--json")
    assert (other.code, other.error["message"]) == (2, "wren is a later agent")
    missing = EXAMPLE.replace('"auto-tundra"', '"no-such-program"')
    manifest(declared, "later", missing)
    absent = declared.at("run", "x", "--cli", "later", "--json")
    assert absent.error["message"] == "later: there is no program 'no-such-program' on your PATH"


def test_a_budget_of_a_manifest_parks_its_beads(declared: Product) -> None:
    manifest(declared, NAME, f"budget_day_tokens = 10\n{EXAMPLE}")
    first = start(declared, "write a.txt one; usage 100 20")
    declared.wait(first, "bead.proved")
    second = start(declared, "write b.txt two")
    declared.wait(second, "budget.reached")
    parked = declared.json("show", second)
    assert parked["agent"]["label"] == "budget reached"
    assert NAME in parked["reasons"][0]


def test_a_limit_parks_with_the_time_in_its_words(declared: Product) -> None:
    bead = start(declared, "limit 3600; write a.txt one")
    declared.wait(bead, "limit.reached")
    (attention,) = declared.json("status")["attention"]
    assert (attention["kind"], attention["reset_at"] is not None) == ("limit", True)


BROKEN = {
    "no-toml": ("binary = \n", 1, "is not TOML: Invalid value"),
    "typo": (f"bin = 'x'\n{EXAMPLE}", 1, "bin: there is no such key; allowed: name, binary, arguments"),
    "lsp": (EXAMPLE.replace('"acp"', '"lsp"'), 3, "protocol: 'lsp' is not allowed; allowed: \"acp\" | "),
    "codex": (EXAMPLE, 0, "name: 'codex' is a name of ours"),
    "modeless": (EXAMPLE.partition("[permission")[0], 0, "permission_modes: no permission mode is named"),
}


def test_broken_manifests_are_told_and_keep_nothing_from_working(declared: Product) -> None:
    paths = {name: manifest(declared, name, text) for name, (text, _, _) in BROKEN.items()}
    doctor = json.loads(declared.at("doctor", "--json").stdout)
    checks = [check for check in doctor["checks"] if "clis/" in check["says"]]
    told = {check["name"]: check for check in checks}
    for name, (_, line, problem) in BROKEN.items():
        place = f"{paths[name]}:{line}" if line else str(paths[name])
        found = next(each for each in checks if each["name"] == name and each["says"].startswith(place))
        assert (found["verdict"], found["says"][: len(place) + 2 + len(problem)]) == (
            "warn",
            f"{place}: {problem}",
        )
        if name != "codex":
            ran = declared.at("run", "x", "--cli", name, "--json")
            assert (ran.code, ran.error["code"], ran.stdout) == (2, "config", "")
            assert ran.error["message"].startswith(f"{place}: {problem}")
    assert told[NAME]["verdict"] == "ok"
    assert "draws on nothing: no model is called" in told[NAME]["says"]
    listed = declared.json("config")["manifests"]
    assert {each["name"]: each["trouble"] is None for each in listed} == {
        NAME: True,
        **dict.fromkeys(BROKEN, False),
    }
    bead = start(declared, "write a.txt one", "--land")
    declared.wait(bead, "bead.landed")


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    folder = tmp_path / "alone"
    folder.mkdir()
    (folder / "declared.py").write_text(re.findall(r"```python\n(# declared\.py.*?)```", PAGE, re.DOTALL)[0])
    (folder / f"{NAME}.toml").write_text(EXAMPLE)
    return folder


def test_at_session_alone_runs_the_example(alone: Path, product: Product) -> None:
    (shown,) = re.findall(r"```text\n\$ python declared\.py .*?\n(.*?)```", PAGE, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "declared.py", f"{NAME}.toml"],
        cwd=alone,
        env={**product.env, "PATH": f"{Path(AT).parent}:{product.env['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stderr, done.stdout) == ("", shown)
    assert (alone / "hello.txt").read_text() == "hello\n"


def test_the_other_blocks_of_the_page_are_allowed(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'binary = "x"\nprotocol = "acp"\n{MODES}')
    assert load(path).permission_modes.keys() == {"ask", "all"}


def test_the_page_has_every_key(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("x = 1\n")
    listed = set(re.findall(r"`\[?(\w+)\]?`", PAGE))
    from at_session.manifest_checks import DIALECT, KEYS

    assert {*KEYS, *DIALECT, "protocol"} - listed == set()
