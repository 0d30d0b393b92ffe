"""`at top` on a terminal of its own: what it shows, what its keys do, and that the terminal is always given back."""

from __future__ import annotations

import re
import signal

import pytest
from acceptance.live import live
from acceptance.product import AT, Product

LEFT = b"\x1b[?1049l"
"""The alternate screen was left."""


def test_what_needs_me_is_first_and_is_answered_after_it_was_shown(product: Product) -> None:
    ask = "shell echo one > one\nwrite two.txt x"
    bead = product.start(ask, "--title", "Ask first")
    product.wait(bead, "interruption.opened")
    with live(product, AT, "top") as top:
        before = top.modes()
        shown = top.until("asks for approval")
        assert "1 need you" in shown and "Ask first" in shown and "echo one > one" in shown
        top.press("y")
        assert "echo one > one" in top.until("Allow exactly this")
        top.press("n")
        top.until("nothing was done")
        assert len(product.json("approvals")["approvals"]) == 1
        top.press("y")
        top.until("Allow exactly this")
        top.press("y")
        top.until("is proved")
        top.press("d")
        top.until("+++ b/")
        assert product.json("diff", bead, "--since-seen")["since"]["how"] == "grown", "it counts as a look"
        top.press("q")
        top.until("is proved")
        top.press("\r")
        top.until("at send-back ")
        top.press("G")
        top.until("why  ")
        top.press("\x1b")
        top.until("q quit")
        top.press("l")
        top.until("Merge it onto its target?")
        top.press("y")
        top.until("0 need you")
        top.press("q")
        assert top.end() == 0
        assert top.raw.endswith(LEFT) and before[3] == top.modes()[3]
    assert product.run_to_rest(bead)["bead"]["status"] == "done"


def test_it_goes_on_over_a_restart_of_the_daemon_and_at_another_size(product: Product) -> None:
    product.run("write one.txt x", "--title", "Before")
    with live(product, AT, "top") as top:
        top.until("Before")
        product.kill_daemon()
        product.run("write two.txt x", "--title", "After the restart")
        top.until("After the restart")
        top.resize(120, 40)
        top.until(lambda text: "last" in text.splitlines()[1])
        top.press("/", *"before", "\r")
        assert "After the restart" not in top.until("/before")
        top.press("q")
        assert top.end() == 0


def test_the_window_is_named_after_what_is_in_it(product: Product) -> None:
    bead = product.run("write one.txt x", "--title", "Name the \x1b]2;window")["bead"]["id"]
    name = product.json("show", bead)["agent"]["name"]
    shown = f"{name}: Name the \\x1b]2;window ({bead[:8]})"
    with live(product, AT, "top") as top:
        top.until("Name the")
        top.until(lambda _: top.screen.title == "(1) at top: repo")
        top.press("\r")
        top.until(lambda _: top.screen.title == f"at top: {shown}")
        top.press("q")
        top.until(lambda _: top.screen.title == "(1) at top: repo")
        top.press("?")
        assert "draw anew" in top.until("q back") and top.screen.title == "(1) at top: repo"
        top.press("q")
        top.until("q quit")
        top.press("q")
        assert top.end() == 0
        assert top.raw.startswith(b"\x1b[22;0t") and top.raw.endswith(b"\x1b[23;0t\x1b[0m\x1b[?25h" + LEFT)
    for verb in (("logs", name, "-f"), ("logs", bead, "-f"), ("attach", name)):
        with live(product, AT, *verb) as followed:
            followed.until("wrote one.txt")
            assert followed.screen.title == shown
            followed.press("\x03")
            followed.until_written(b"\x1b[23;0t")
    with live(product, AT, "logs", name, "-f", TERM="linux") as followed:
        followed.until("wrote one.txt")
        assert b"\x1b]2;" not in followed.raw and b"\x1b[22;0t" not in followed.raw


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_gives_the_terminal_back(product: Product, number: signal.Signals) -> None:
    with live(product, AT, "top", NO_COLOR="1") as top:
        top.until("No agent has work")
        modes = top.modes()
        top.process.send_signal(number)
        assert top.end() == 128 + number
        assert top.raw.endswith(LEFT) and top.modes()[3] != modes[3]
        assert re.search(rb"\x1b\[[1-9][0-9;]*m", top.raw) is None, "no colour was wanted"


def test_it_is_suspended_and_taken_up_again_by_a_shell(product: Product) -> None:
    product.run("write one.txt x", "--title", "Some work")
    script = f"{AT} top; echo it stopped; fg"
    with live(product, "/bin/sh", "-mc", script) as top:
        top.until("Some work")
        top.press("\x1a")
        top.until_written(b"it stopped")
        assert LEFT in top.raw
        top.until("Some work")
        top.press("q")
        assert top.end() == 0
        assert top.raw.count(LEFT) == 2


@pytest.mark.parametrize("words", [["top"], ["top", "--json"]])
def test_off_a_terminal_it_names_what_to_use(product: Product, words: list[str]) -> None:
    ran = product.at(*words)
    assert (ran.code, ran.stdout) == (2, "")
    assert "at next --json" in ran.stderr
