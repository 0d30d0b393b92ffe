"""The commands that show a desktop notification and take it away, as lists of words; no I/O but a look at PATH.

Linux: `notify-send`, and `gdbus` to close what it showed (org.freedesktop.Notifications, Desktop Notifications
Specification 1.2; the body may have markup, so text is escaped). macOS: `terminal-notifier`, else `osascript`, which
cannot take anything back.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from at_core.config import UiConfig
from at_core.interruption import Interruption
from at_core.need_words import WORDS
from at_core.text import one_line

BODY_COLUMNS = 200
_BUS = ("call", "--session", "--dest", "org.freedesktop.Notifications")
_CLOSE = ("--object-path", "/org/freedesktop/Notifications", "--method")
_SCRIPT = "on run argv\ndisplay notification (item 2 of argv) with title (item 1 of argv)\nend run"


@dataclass(frozen=True, slots=True)
class Notice:
    """What is shown for one need: who wants what, and of it one line. Nothing in it acts on a terminal."""

    title: str
    body: str


def notice_of(need: Interruption) -> Notice:
    """The notice of one need."""
    who = need.agent or str(need.bead_id)[:8]
    title = f"{one_line(who, 40)} {WORDS.get(need.kind, need.kind)}"
    return Notice(
        title, one_line(f"{need.title}: {need.reason}" if need.reason else need.title, BODY_COLUMNS)
    )


def wants_notices(settings: UiConfig) -> bool:
    """Whether the daemon has anybody to tell of a need."""
    return settings.notify != "off" and (bool(settings.notify_command) or settings.notify != "terminal")


def show_command(
    settings: UiConfig, notice: Notice, key: str, environ: Mapping[str, str]
) -> list[str] | None:
    """The command that shows it; it may print the number by which it is taken away. None: there is no desktop."""
    if not _wants_desktop(settings, environ):
        return None
    if program := _found("notify-send", environ):
        text = [notice.title, _escaped(notice.body)]
        return [program, "--app-name=auto-tundra", "--print-id", "--", *text]
    if program := _found("terminal-notifier", environ):
        return [program, "-title", notice.title, "-message", notice.body, "-group", key]
    if program := _found("osascript", environ):
        return [program, "-e", _SCRIPT, notice.title, notice.body]
    return None


def withdraw_command(number: int | None, key: str, environ: Mapping[str, str]) -> list[str] | None:
    """The command that takes away what was shown; None where that cannot be done."""
    if number is not None and (program := _found("gdbus", environ)):
        return [program, *_BUS, *_CLOSE, "org.freedesktop.Notifications.CloseNotification", str(number)]
    if number is not None and (program := _found("notify-send", environ)):
        options = [f"--replace-id={number}", "--expire-time=1", "--urgency=low"]
        return [program, "--app-name=auto-tundra", *options, "--", "answered"]
    if program := _found("terminal-notifier", environ):
        return [program, "-remove", key]
    return None


def _wants_desktop(settings: UiConfig, environ: Mapping[str, str]) -> bool:
    if settings.notify != "auto":
        return settings.notify == "desktop"
    bus = os.path.join(environ.get("XDG_RUNTIME_DIR") or "/nonexistent", "bus")
    return (
        bool(environ.get("DBUS_SESSION_BUS_ADDRESS")) or os.path.exists(bus) or os.uname().sysname == "Darwin"
    )


def _found(program: str, environ: Mapping[str, str]) -> str | None:
    return shutil.which(program, path=environ.get("PATH") or os.defpath)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
