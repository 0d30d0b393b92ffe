"""A person is told of a need once, outside of any face, and it is taken back when the need is over."""

from __future__ import annotations

import json
import os
import select
from pathlib import Path

import pytest
from acceptance.product import Product

NOTIFIER = """\
#!/bin/sh
printf '%s\\n' "$0 $*" >> {log}
echo 41
"""
OWN = """\
#!/bin/sh
cat >> {log}.json
"""


@pytest.fixture
def log(product: Product, tmp_path: Path) -> Path:
    """What the stand-ins for notify-send and gdbus were called with; a pipe, so that reading waits for it."""
    programs = tmp_path / "programs"
    programs.mkdir()
    log = tmp_path / "calls"
    os.mkfifo(log)
    for name, text in (("notify-send", NOTIFIER), ("gdbus", NOTIFIER), ("own", OWN)):
        (programs / name).write_text(text.format(log=log))
        (programs / name).chmod(0o755)
    product.env["PATH"] = f"{programs}:{product.env['PATH']}"
    return log


def calls(log: Path) -> list[str]:
    """The next calls, once there are any."""
    with log.open(encoding="utf-8") as pipe:
        return [line.rpartition("/programs/")[2].strip() for line in pipe]


def test_a_notice_is_shown_once_and_taken_back_when_it_is_answered(product: Product, log: Path) -> None:
    product.at("config", "ui.notify", "desktop")
    bead = product.start("shell echo <b>\x1b[31m > one", "--title", "Paint & go")
    (shown,) = calls(log)
    agent = product.json("show", bead)["agent"]["name"]
    begin = f"notify-send --app-name=auto-tundra --print-id -- {agent} asks for approval Paint &amp; go: "
    assert shown.startswith(begin) and "&lt;b&gt;\\x1b[31m" in shown and "\x1b" not in shown
    product.kill_daemon()
    product.json("deny", product.json("next")["needs"][0]["ask"])
    (withdrawn,) = calls(log)
    assert withdrawn.startswith("gdbus call --session --dest org.freedesktop.Notifications ")
    assert withdrawn.endswith("CloseNotification 41")


def test_a_daemon_that_is_killed_while_it_shows_a_notice_shows_it_no_second_time(
    product: Product, log: Path
) -> None:
    product.at("config", "ui.notify", "desktop")
    assert product.at("up", AT_FAILPOINT="notify.after-show").code == 0
    daemon = os.pidfd_open(product.daemon_pid())
    product.start("shell echo one > one", "--title", "Only once")
    (shown,) = calls(log)
    assert "asks for approval" in shown
    assert select.select([daemon], [], [], 30)[0] == [daemon], "it was not killed"
    os.close(daemon)
    product.approve_all()
    (later,) = calls(log)
    assert "is proved" in later, "the approval was not shown again"


def test_a_command_of_ones_own_gets_each_need_as_it_begins_and_ends(
    product: Product, log: Path, tmp_path: Path
) -> None:
    own = str(tmp_path / "programs" / "own")
    product.at("config", "ui.notify", "terminal")
    product.at("config", "ui.notify_command", json.dumps([own]))
    os.mkfifo(f"{log}.json")
    product.start("shell echo one > one", "--title", "First")
    opened = json.loads(Path(f"{log}.json").read_text())
    assert (opened["event"], opened["interruption"]["kind"]) == ("opened", "approval")
    assert opened["notice"]["title"].endswith("asks for approval")
    product.approve_all()
    closed = json.loads(Path(f"{log}.json").read_text().splitlines()[0])
    assert (closed["event"], closed["interruption"]["id"]) == ("closed", opened["interruption"]["id"])
    assert closed["interruption"]["outcome"] == "decided"


def test_nobody_is_told_when_it_is_off(product: Product, log: Path) -> None:
    product.at("config", "ui.notify", "off")
    bead = product.start("shell echo one > one")
    product.wait(bead, "interruption.opened")
    product.at("config", "ui.notify", "desktop")
    product.approve_all()
    assert len(calls(log)) == 1, "the review, and not the approval"
