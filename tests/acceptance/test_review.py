"""Looking at a change: in the person's pager or difftool, since the last look; comments on its lines, sent once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from acceptance.product import Product, product_in
from acceptance.terminal import on_terminal

FIRST = "write a.txt one"


@pytest.fixture(scope="module")
def commented(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Product, str]]:
    """A product with one bead in review, which nobody changes."""
    with product_in(tmp_path_factory.mktemp("commented")) as made:
        yield made, str(made.run(FIRST)["bead"]["id"])


def send_back(product: Product, bead: str, prompt: str) -> None:
    """Have the agent go on, until its work was proved again."""
    after = product.json("show", bead)["seq"]
    product.json("send-back", bead, "-m", prompt)
    product.wait(bead, "bead.proved", after=after)


def program(folder: Path, name: str, script: str) -> Path:
    """An executable shell script of the person's."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize("where", ["GIT_PAGER", "core.pager", "PAGER"])
def test_on_a_terminal_the_persons_pager_shows_the_change(
    product: Product, tmp_path: Path, where: str
) -> None:
    bead = product.run(FIRST)["bead"]["id"]
    pager = program(tmp_path, "pager", "sed 's/^/paged: /'")
    env = {"PAGER": "false"} | ({where: str(pager)} if where != "core.pager" else {})
    if where == "core.pager":
        product.git("config", "core.pager", str(pager))
    code, shown = on_terminal(product, "diff", bead, env=env)
    assert code == 0 and "paged: +one\n" in shown, shown
    code, shown = on_terminal(product, "diff", bead, "--no-pager", env=env)
    assert code == 0 and "paged" not in shown and "\n+one\n" in shown
    product.env.update(env)
    assert product.at("diff", bead).stdout.startswith("diff --git a/a.txt b/a.txt\n")


def test_a_pager_that_is_not_there_shows_the_change_all_the_same(product: Product) -> None:
    bead = product.run(FIRST)["bead"]["id"]
    code, shown = on_terminal(product, "diff", bead, env={"GIT_PAGER": "no-such-program"})
    assert code == 0 and "\n+one\n" in shown


def test_only_what_was_shown_counts_as_seen(product: Product) -> None:
    bead = product.run(FIRST)["bead"]["id"]
    assert "a.txt" in product.at("diff", bead, "--stat").stdout
    assert product.json("diff", bead, "--since-seen")["since"]["how"] == "never"
    assert product.at("diff", bead).code == 0
    assert product.at("diff", bead, "--since-seen").stdout == ""


def test_since_seen_is_what_was_added(product: Product) -> None:
    bead = product.run(FIRST)["bead"]["id"]
    product.at("diff", bead)
    send_back(product, bead, "write b.txt two")
    document = product.json("diff", bead, "--since-seen")
    assert document["since"]["how"] == "grown"
    assert "b.txt" in document["patch"] and "a.txt" not in document["patch"]


def test_since_seen_after_an_amend_is_what_differs_in_the_files(product: Product) -> None:
    bead = product.run("shell echo one > a.txt && git add a.txt && git commit -qm A", "--allow", "all")
    name = bead["bead"]["id"]
    product.at("diff", name)
    send_back(product, name, "shell echo two >> a.txt && git commit -qam B --amend")
    document = product.json("diff", name, "--since-seen")
    assert document["since"]["how"] == "rewritten"
    assert "+two" in document["patch"] and "+one" not in document["patch"]


def test_the_persons_difftool_is_opened_and_counts_as_a_look(product: Product, tmp_path: Path) -> None:
    bead = product.run(FIRST)["bead"]["id"]
    tool = program(tmp_path, "tool", 'echo "tool: $(cat "$2")"')
    product.git("config", "diff.tool", "mine")
    product.git("config", "difftool.mine.cmd", f'{tool} "$LOCAL" "$REMOTE"')
    product.git("config", "difftool.prompt", "false")
    code, shown = on_terminal(product, "diff", bead, "--tool")
    assert code == 0 and "tool: one" in shown, shown
    assert product.at("diff", bead, "--since-seen").stdout == ""
    refused = product.at("diff", bead, "--tool", "--json")
    assert (refused.code, refused.error["code"]) == (2, "usage")
    assert "terminal" in refused.error["message"]


def test_a_difftool_that_fails_is_no_look(product: Product) -> None:
    bead = product.run(FIRST)["bead"]["id"]
    product.git("config", "diff.tool", "mine")
    product.git("config", "difftool.mine.cmd", "false")
    product.git("config", "difftool.trustExitCode", "true")
    product.git("config", "difftool.prompt", "false")
    code, shown = on_terminal(product, "diff", bead, "--tool")
    assert code == 1 and "git difftool" in shown
    assert product.json("diff", bead, "--since-seen")["since"]["how"] == "never"


def test_comments_on_lines_are_sent_together_and_once(product: Product) -> None:
    bead = product.run("shell printf 'one\\ntwo\\n' > a.txt", "--allow", "all")["bead"]["id"]
    made = product.json("comment", bead, "a.txt:2", "-m", "write it out")["comment"]
    assert (made["number"], made["quote"], made["now_line"]) == (1, "two", 2)
    product.json("comment", bead, "./a.txt:1", "-m", "never mind")
    product.json("comment", bead, "a.txt:1", "-m", "and\nthis")
    assert product.json("comment", bead, "--remove", "2")["removed"] == 2
    assert [each["number"] for each in product.json("show", bead)["comments"]] == [1, 3]
    assert "a.txt:2" in product.at("show", bead).stdout
    code, shown = on_terminal(product, "diff", bead, "--no-pager")
    assert code == 0 and "\n+two\n  # comment 1: write it out\n" in shown, shown
    assert "comment" not in product.at("diff", bead).stdout
    after = product.json("send-back", bead)["seq"]
    product.wait(bead, "bead.proved", after=after)
    document = product.json("show", bead)
    told = document["messages"][-1]["body"]
    assert (
        "1. a.txt:2\n   The line: two\n   write it out\n\n2. a.txt:1\n   The line: one\n   and\n   this"
        in told
    )
    assert {each["state"] for each in document["comments"]} == {"sent"}
    refused = product.at("send-back", bead, "--json")
    assert (refused.code, refused.error["code"]) == (2, "usage")
    assert "nothing to send" in refused.error["message"]


def test_a_comment_goes_along_with_its_line_and_says_when_that_is_gone(product: Product) -> None:
    lines = "shell printf 'one\\ntwo\\nthree\\n' > a.txt"
    bead = product.run(lines, "--allow", "all")["bead"]["id"]
    product.json("comment", bead, "a.txt:2", "-m", "this one moves")
    product.json("comment", bead, "a.txt:3", "-m", "this one goes")
    product.json("done", bead, "--fail")
    after = product.json("show", bead)["seq"]
    product.json("retry", bead, "-m", "shell printf 'zero\\none\\ntwo\\n' > a.txt")
    product.wait(bead, "bead.proved", after=after)
    comments = product.json("show", bead)["comments"]
    assert [(each["now_line"], each["line_gone"]) for each in comments] == [(3, False), (None, True)]
    listed = product.at("comment", bead, "--list").stdout
    assert "a.txt:3 (was a.txt:2)" in listed and "a.txt:3 (that line is gone)" in listed


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("a.txt:9", "-m", "x"), 2, "ends with line 1"),
        (("b.txt:1", "-m", "x"), 2, "no text file 'b.txt'"),
        (("../a.txt:1", "-m", "x"), 2, "no text file '../a.txt'"),
        (("a.txt:0", "-m", "x"), 2, "no FILE:LINE"),
        (("a.txt", "-m", "x"), 2, "no FILE:LINE"),
        (("a.txt:1",), 2, "-m TEXT is missing"),
        (("a.txt:1", "-m", " "), 2, "empty"),
        (("--remove", "7"), 4, "no comment is called '7'"),
    ],
)
def test_a_comment_that_is_on_nothing_is_refused_in_one_line(
    commented: tuple[Product, str], words: tuple[str, ...], code: int, says: str
) -> None:
    product, bead = commented
    ran = product.at("comment", bead, *words)
    assert (ran.code, ran.stdout) == (code, "")
    assert says in ran.stderr and ran.stderr.count("\n") == 1 and "(next: " in ran.stderr


def test_all_proved_land_but_what_nobody_has_read(product: Product) -> None:
    names = {
        name: product.run(f"write {name}.txt x", "--title", name)["bead"]["id"] for name in ("read", "new")
    }
    last = product.run("write last.txt x", "--title", "last", "-l", "critical")["bead"]["id"]
    for bead in (names["read"], last):
        assert product.at("diff", bead).code == 0
    ran = product.at("land", "--proved")
    assert ran.code == 3, ran
    order = [line.split()[1] for line in ran.stderr.splitlines() if line.startswith("  ")]
    assert order == ["last:", "read:"]
    assert f"{names['new'][:8]} left: new (you have not looked at it)" in ran.stdout
    assert product.git("ls-tree", "--name-only", "main").split() == ["README.md", "last.txt", "read.txt"]
    landing = product.json("land", "--proved", "--unread")["landings"][0]
    assert (landing["bead"], landing["result"], landing["exit_code"]) == (names["new"], "landed", 0)
    assert product.git("rev-parse", "main") == landing["merge"]
    assert product.at("land", "--proved").stdout == "Nothing waits to land.\n"


def test_work_that_changed_since_it_was_read_is_left(product: Product) -> None:
    bead = product.run(FIRST)["bead"]["id"]
    product.at("diff", bead)
    send_back(product, bead, "write b.txt two")
    landing = product.json("land", "--proved", code=3)["landings"][0]
    assert (landing["result"], landing["reason"]) == ("left", "it changed since you looked at it")


def test_settings_that_nobody_read_land_by_no_blanket_word(product: Product) -> None:
    product.run("write .auto-tundra.toml [gates]")
    landing = product.json("land", "--proved", "--unread", code=3)["landings"][0]
    assert landing["result"] == "left" and ".auto-tundra.toml" in landing["reason"]


def test_work_with_comments_that_were_not_sent_lands_only_by_its_name(product: Product) -> None:
    bead = product.run(FIRST)["bead"]["id"]
    product.at("diff", bead)
    product.json("comment", bead, "a.txt:1", "-m", "not yet")
    landing = product.json("land", "--proved", "--unread", code=3)["landings"][0]
    assert (landing["result"], landing["reason"]) == ("left", "it has comments of yours that were not sent")
    assert product.json("land", bead)["bead"]["status"] == "done"


def test_several_that_are_named_land_and_each_says_how_it_went(product: Product) -> None:
    good = product.run("write a.txt one")["bead"]["id"]
    clash = product.run("write a.txt two")["bead"]["id"]
    landings = product.json("land", good, clash, "nosuch", code=1)["landings"]
    assert [(each["result"], each["exit_code"]) for each in landings] == [
        ("landed", 0),
        ("back", 1),
        ("refused", 4),
    ]
    assert "conflicts with main in a.txt" in landings[1]["reason"]


@pytest.mark.parametrize("words", [(), ("x", "--proved"), ("x", "--unread")])
def test_what_to_land_is_said_in_one_way(product: Product, words: tuple[str, ...]) -> None:
    ran = product.at("land", *words)
    assert (ran.code, ran.stdout) == (2, "") and "--proved" in ran.stderr


def test_the_story_has_prompts_commands_decisions_gates_and_costs(product: Product) -> None:
    product.settings('[gates]\ncheck = "test ! -e broken"\n')
    bead = product.start("usage 100 20\nask Which colour?\nshell echo hi > a.txt\nwrite broken yes")
    product.wait(bead, "ask.opened")
    question = product.json("approvals")["approvals"][0]
    after = product.json("show", bead)["seq"]
    product.json("answer", question["id"], "blue")
    product.wait(bead, "ask.opened", after=after)
    product.approve_all()
    product.wait(bead, "bead.sent_back")
    whole = product.json("show", bead, "--story")["story"]
    turn = next(each for each in whole if each["kind"] == "turn")
    assert turn["prompts"][0]["text"].startswith("usage 100 20")
    asked = next(step for step in turn["steps"] if step["kind"] == "ask")
    assert (asked["text"], asked["answer"], asked["decided_by"]) == ("Which colour?", "blue", "person")
    command = next(step for step in turn["steps"] if step["text"] == "echo hi > a.txt")
    assert (command["kind"], command["ok"], command["approved"]) == ("tool", True, True)
    assert (turn["spent"]["input_tokens"], turn["spent"]["output_tokens"]) == (100, 20)
    kinds = [each["kind"] for each in whole]
    assert kinds[:6] == ["added", "turn", "handed in", "collected", "gate", "sent back"]
    brief = next(each for each in product.json("show", bead)["story"] if each["kind"] == "turn")
    assert "steps" not in brief and brief["counts"]["asked"] == 2
    shown = product.at("show", bead).stdout
    assert (
        "  story\n" in shown
        and "failed: check on tree" in shown
        and "Which colour?" not in shown.split("  story")[1]
    )
    shown = product.at("show", bead, "--story").stdout
    assert "Which colour?" in shown and "given by person: blue" in shown and "echo hi > a.txt" in shown
