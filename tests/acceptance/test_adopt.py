"""`at adopt`: a session that a person began goes on in a clone of their checkout, which itself is only read."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from acceptance.product import Product

from at_core.client import Client
from at_core.paths import Home
from at_daemon.failpoints import NAMES_OF_ADOPTION
from at_session.drivers.demo import PROGRAM

SESSION = "mine-1"
SCENARIO = "write a.txt one\nend-turn\nwrite b.txt two"


@contextmanager
def own_agent(product: Product, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """A process of the demo agent that the person runs by themselves."""
    state = Path(product.env["HOME"]) / ".at-demo"
    words = [sys.executable, "-I", "-S", str(PROGRAM), "--session", SESSION, "--state-dir", str(state)]
    agent = subprocess.Popen(
        words, cwd=cwd, env=product.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert agent.stdin is not None and agent.stdout is not None
    try:
        yield agent
    finally:
        agent.stdin.close()
        agent.stdout.close()
        agent.wait()


def begin(product: Product, prompt: str = SCENARIO, cwd: Path | None = None) -> None:
    """The person has a turn with it, and ends it."""
    with own_agent(product, cwd or product.repo) as agent:
        assert agent.stdin is not None and agent.stdout is not None
        agent.stdin.write(json.dumps({"type": "prompt", "id": "p1", "text": prompt}) + "\n")
        agent.stdin.flush()
        for line in agent.stdout:
            if json.loads(line)["type"] == "turn_ended":
                return
    raise AssertionError("its turn did not end")


def state_of(product: Product) -> tuple[str, ...]:
    """All that a person sees of their checkout."""
    asked = (("status", "--porcelain=v2", "--branch"), ("stash", "list"), ("diff", "--cached"), ("reflog",))
    return tuple(product.git(*words) for words in asked)


def test_it_goes_on_in_the_same_session_and_the_checkout_stays_as_it_is(product: Product) -> None:
    begin(product)
    product.write("README.md", "staged\n")
    product.git("add", "README.md")
    product.write("README.md", "changed\n")
    before = state_of(product)
    document = product.json("adopt", SESSION, "--cli", "demo", "--wait", "--timeout", "50", "--title", "Mine")
    bead = document["bead"]["id"]
    assert (document["bead"]["status"], document["proved"], document["bead"]["title"]) == (
        "review",
        True,
        "Mine",
    )
    assert document["agent"]["session_id"] == SESSION
    assert document["evidence"]["diff"]["files"] == 3
    assert any(str(product.repo) in note for note in document["notes"])
    assert state_of(product) == before
    assert sorted(path.name for path in product.repo.iterdir()) == [".git", "README.md", "a.txt"]
    patch = product.at("diff", bead).stdout
    assert "+changed" in patch and "+one" in patch and "+two" in patch
    (entry,) = product.json("attic")["entries"]
    assert entry["reason"] == f"adopted from {product.repo}"
    assert product.at("land", bead).code == 3
    assert product.run_to_rest(bead)["attention"][0]["kind"] == "checkout"
    product.git("stash", "-u")
    product.json("land", bead)
    assert product.run_to_rest(bead)["bead"]["status"] == "done"
    assert (product.repo / "b.txt").read_text() == "two\n"


def test_what_the_person_says_is_told_to_it_and_it_can_be_sent_back_and_had_back(product: Product) -> None:
    begin(product, "write a.txt one")
    asked = ("adopt", SESSION, "-m", "write c.txt three", "--wait", "--timeout", "50")
    bead = product.json(*asked)["bead"]["id"]
    folder = Path(product.json("open", bead)["path"])
    assert [(folder / name).read_text() for name in ("a.txt", "c.txt")] == ["one\n", "three\n"]
    product.json("rm", bead)
    assert (product.repo / "a.txt").exists() and not folder.exists()
    product.json("undo")
    before = product.run_to_rest(bead)
    product.json("send-back", bead, "-m", "write d.txt four")
    product.wait(bead, "message.answered", after=before["seq"])
    after = product.run_to_rest(bead)
    assert (after["proved"], after["agent"]["session_id"], after["evidence"]["diff"]["files"]) == (
        True,
        SESSION,
        3,
    )


def test_a_linked_worktree_on_another_branch_is_adopted_as_it_is(product: Product, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    product.git("worktree", "add", "-q", "-b", "feature", str(tree))
    for name in ("f1", "f2"):
        (tree / name).write_text("before\n")
        product.git("-C", str(tree), "add", "-A")
        product.git("-C", str(tree), "commit", "-q", "-m", name)
    begin(product, "write a.txt one", tree)
    bead = product.json("adopt", SESSION, "--folder", str(tree), "-m", "write b.txt two", "--wait")["bead"][
        "id"
    ]
    document = product.json("show", bead)
    assert (document["repository"], document["proved"]) == (str(product.repo), True)
    assert "HEAD was 2 commits ahead of main: they count as its work, and land with it" in document["notes"]
    assert (document["evidence"]["diff"]["files"], document["base"]["ref"]) == (4, "main")
    assert "f1" in product.at("diff", bead).stdout
    product.json("land", bead)
    assert product.run_to_rest(bead)["bead"]["status"] == "done"
    assert sorted(path.name for path in tree.iterdir()) == [".git", "README.md", "a.txt", "f1", "f2"]
    landed = sorted(path.name for path in product.repo.iterdir())
    assert landed == [".git", "README.md", "a.txt", "b.txt", "f1", "f2"]


def test_a_request_whose_answer_was_lost_is_asked_again(product: Product) -> None:
    begin(product)
    assert product.at("up").code == 0
    client = Client(Home(product.home))
    body = {"id": str(uuid4()), "path": str(product.repo), "session": SESSION, "order": {"env": product.env}}
    first, second = (client.call("adopt", body=body)["bead"] for _ in range(2))
    assert first["id"] == second["id"] == body["id"]
    assert len(product.json("ls")["beads"]) == 1


def test_what_is_refused_leaves_nothing(product: Product) -> None:
    begin(product)
    product.write("README.md", "mine\n")
    product.git("stash", "-q")
    product.write("README.md", "theirs\n")
    product.commit("Theirs")
    assert subprocess.run(["git", "stash", "pop", "-q"], cwd=product.repo, capture_output=True).returncode
    refused = product.at("adopt", SESSION, "--json")
    assert (refused.code, refused.error["code"]) == (1, "refused")
    assert "conflicts that nobody has resolved: 'README.md'" in refused.error["message"]
    assert list((product.home / "environments").iterdir()) == []
    assert (product.git("for-each-ref", "refs/at"), product.json("ls")["beads"]) == ("", [])


def own_record(product: Product, cli: str, session: str, folder: Path) -> None:
    """What that CLI keeps of a session that was begun in a folder, and went elsewhere later."""
    home, elsewhere = Path(product.env["HOME"]), str(product.home)
    if cli == "claude":
        record = home / f".claude/projects/{re.sub('[^A-Za-z0-9]', '-', str(folder))}/{session}.jsonl"
        entries: list[Any] = [{"type": "user", "cwd": str(folder)}, {"type": "user", "cwd": elsewhere}]
    else:
        record = home / f".codex/sessions/2026/11/20/rollout-2026-11-20T10-00-00-{session}.jsonl"
        meta = {"id": session, "cwd": str(folder), "roots": [str(product.repo), str(folder)]}
        entries = [
            {"type": "session_meta", "payload": meta},
            {"type": "turn_context", "payload": {"cwd": elsewhere}},
        ]
    record.parent.mkdir(parents=True)
    record.write_text("".join(json.dumps(entry, separators=(",", ":")) + "\n" for entry in entries))


@pytest.mark.parametrize("cli", ["claude", "codex"])
def test_a_session_of_a_subfolder_is_of_its_checkout_and_says_where_it_goes_on(
    product: Product, cli: str
) -> None:
    product.write("web/page.txt", "page\n")
    product.commit("A folder")
    session, below = str(uuid4()), product.repo / "web"
    own_record(product, cli, session, below)
    assert product.at("config", f"agents.{cli}.binary", "/bin/false").code == 0
    bead = product.json("adopt", session)["bead"]["id"]
    product.wait(bead, "folder.prepared")
    document, clone = product.json("show", bead), product.json("open", bead)["path"]
    assert document["repository"] == str(product.repo)
    said = f"its session was begun in {below}; it goes on at the top of its clone"
    assert said in document["notes"]
    if cli == "codex":
        copies = Path(product.env["HOME"]).rglob(f"rollout-*-{document['agent']['session_id']}.jsonl")
        meta, turn = [json.loads(line)["payload"] for line in next(copies).read_text().splitlines()]
        assert (meta["cwd"], turn["cwd"], meta["roots"]) == (clone, clone, [clone, f"{clone}/web"])


def test_the_copy_of_an_agent_is_not_adopted(product: Product) -> None:
    session = str(uuid4())
    own_record(product, "claude", session, product.home / "worktrees/0123456789ab")
    refused = product.at("adopt", session, "--folder", str(product.repo), "--json")
    assert (refused.code, refused.error["code"]) == (1, "refused")
    assert f"{session} is only the session of an agent" in refused.error["message"]


def test_what_cannot_be_adopted_is_refused_in_one_line(product: Product, tmp_path: Path) -> None:
    unknown = product.at("adopt", "nobody-1", "--json")
    assert (unknown.code, unknown.error["code"]) == (4, "not_found")
    assert "claude" in unknown.error["message"] and "codex" in unknown.error["message"]
    assert product.at("adopt", "../x", "--cli", "demo").code == 4
    begin(product, "write a.txt one")
    outside = product.at("adopt", SESSION, "--folder", str(tmp_path), "--json")
    assert (outside.code, outside.error["code"]) == (1, "no_repository")
    missing = product.at("adopt", SESSION, "--folder", "nowhere", "--json")
    assert (missing.code, missing.error["code"]) == (4, "not_found")
    bound = product.at("adopt", SESSION, "--cli", "gemini", "--json")
    assert (bound.code, bound.error["code"]) == (1, "refused")
    assert "gemini keeps a session to its folder" in bound.error["message"]
    with own_agent(product, product.repo) as agent:
        busy = product.at("adopt", SESSION, "--json")
        assert (busy.code, busy.error["code"]) == (1, "refused")
        assert f"process {agent.pid} is still in the session" in busy.error["message"]
    assert product.json("ls")["beads"] == [] and product.json("agents")["agents"] == []
    bead = product.json("adopt", SESSION, "--wait")["bead"]["id"]
    twice = product.at("adopt", SESSION, "--json")
    assert (twice.code, twice.error["hint"]) == (1, f"at show {bead[:8]}")
    inside = product.json("open", bead)["path"]
    nested = product.at("adopt", SESSION, "--folder", inside)
    assert nested.code == 1 and nested.stderr.count("\n") == 1


@pytest.mark.parametrize("place", NAMES_OF_ADOPTION)
def test_killed_on_the_way_it_ends_as_if_nothing_had_happened(product: Product, place: str) -> None:
    begin(product)
    assert product.at("up", AT_FAILPOINT=place).code == 0
    first = product.daemon_pid()
    document = product.json("adopt", SESSION, "--wait", "--timeout", "50")
    assert product.daemon_pid() != first, f"the daemon never passed {place}"
    assert (document["proved"], document["evidence"]["diff"]["files"]) == (True, 2)
    assert len(product.json("ls")["beads"]) == 1
