"""Which command shows a notice on which machine, and what of agents' text reaches it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from uuid import UUID

import pytest

from at_core.config import UiConfig
from at_core.interruption import Interruption
from at_core.need_words import WORDS
from at_core.vocabulary import EventType
from at_daemon.interruptions import touch_ended
from at_daemon.ledger import Change
from at_daemon.notifier import Notice, notice_of, show_command, wants_notices, withdraw_command
from at_daemon.testing import Desk

NOTICE = Notice("wren asks for approval", "Work: rm -rf <b>&")
KEY = "k"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder of programs."""
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def programs(machine: Path, *names: str, **environ: str) -> dict[str, str]:
    for name in names:
        (machine / name).write_text("")
        (machine / name).chmod(0o755)
    return {"PATH": str(machine), **environ}


def need(
    kind: str = "approval", agent: str = "wren", title: str = "Work", reason: str = "ls"
) -> Interruption:
    return Interruption(
        id=UUID(int=1),
        bead_id=UUID(int=2),
        kind=kind,
        agent=agent,
        title=title,
        reason=reason,
        opened_at=datetime(2026, 11, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("names", "shown", "withdrawn"),
    [
        (
            ["notify-send", "gdbus"],
            "notify-send --app-name=auto-tundra --print-id -- wren asks for approval Work: rm -rf &lt;b&gt;&amp;",
            "gdbus call",
        ),
        (["notify-send"], "notify-send --app-name", "notify-send --app-name=auto-tundra --replace-id=7"),
        (
            ["terminal-notifier", "osascript"],
            "terminal-notifier -title wren asks",
            "terminal-notifier -remove k",
        ),
        (["osascript"], "osascript -e on run argv", None),
        ([], None, None),
    ],
)
def test_the_first_notifier_that_is_there(
    machine: Path, names: list[str], shown: str | None, withdrawn: str | None
) -> None:
    environ = programs(machine, *names)
    for command, begin in (
        (show_command(UiConfig(notify="desktop"), NOTICE, KEY, environ), shown),
        (withdraw_command(7, KEY, environ), withdrawn),
    ):
        words = " ".join(command or ()).removeprefix(f"{machine}/")
        assert words.startswith(begin) if begin else command is None


@pytest.mark.parametrize(
    ("notify", "bus", "own", "told", "shown"),
    [
        ("auto", True, False, True, True),
        ("auto", False, False, True, False),
        ("desktop", False, False, True, True),
        ("terminal", True, False, False, False),
        ("terminal", True, True, True, False),
        ("off", True, True, False, False),
    ],
)
def test_who_is_told_by_the_settings(
    machine: Path,
    notify: Literal["auto", "desktop", "terminal", "off"],
    bus: bool,
    own: bool,
    told: bool,
    shown: bool,
) -> None:
    settings = UiConfig(notify=notify, notify_command=("mine",) if own else ())
    environ = programs(machine, "notify-send", **({"DBUS_SESSION_BUS_ADDRESS": "x"} if bus else {}))
    assert wants_notices(settings) is told
    assert (show_command(settings, NOTICE, KEY, environ) is not None) is shown


def test_text_of_agents_is_one_harmless_line() -> None:
    told = notice_of(need(title="a\nb", reason="\x1b]9;gotcha\x07" + "x" * 500, agent="w\x1b"))
    assert told.title == "w\\x1b asks for approval"
    assert told.body.startswith("a b: \\x1b]9;gotcha\\x07xxx") and len(told.body) <= 200
    assert all(notice_of(need(kind=kind)).title.endswith(word) for kind, word in WORDS.items())


@pytest.mark.parametrize("own", [False, True])
def test_a_notice_is_meant_once_and_taken_back_only_if_it_was_meant(desk: Desk, own: bool) -> None:
    desk.ledger.notices = lambda: True
    bead = desk.bead(desk.agent("wren"))

    def fail(change: Change) -> None:
        change.tell(EventType.BEAD_FAILED, bead, actor="person" if own else "daemon")
        change.tx.move_bead(bead.id, bead.status.FAILED, change.now)
        change.touch(bead.id)

    def remove(change: Change) -> None:
        change.tx.remove_bead(bead.id)
        change.touch(bead.id)

    def kinds() -> list[str]:
        open_ = desk.do(lambda change: change.tx.open_intents())
        return [each.kind for each in open_ if each.kind in ("notify", "withdraw")]

    desk.do(fail)
    desk.do(touch_ended)
    assert kinds() == ([] if own else ["notify"])
    desk.do(remove)
    assert kinds() == ([] if own else ["notify", "withdraw"])
