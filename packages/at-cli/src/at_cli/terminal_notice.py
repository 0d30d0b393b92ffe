"""A notification by the terminal that a face runs in: OSC 9 (iTerm2, kitty, WezTerm, Ghostty, Windows Terminal) or
OSC 777 (foot, rxvt, VTE). Terminals that know neither ignore both.

What is said has no control character left, so nothing of it can end the sequence or begin another.
"""

from __future__ import annotations

from collections.abc import Mapping

from at_core.need_words import WORDS
from at_core.text import one_line

COLUMNS = 160
_TAKES_777 = ("foot", "rxvt", "vte")


def sequence(title: str, body: str, environ: Mapping[str, str]) -> str:
    """The bytes, as text, that show `title` and `body` once; in tmux they are passed on to the terminal around it."""
    title, body = one_line(title, COLUMNS), one_line(body, COLUMNS)
    if environ.get("TERM", "").startswith(_TAKES_777) or environ.get("VTE_VERSION"):
        made = f"\x1b]777;notify;{title.replace(';', ',')};{body}\x1b\\"
    else:
        # A digit and a semicolon at the beginning are other commands of OSC 9 (ConEmu's progress).
        made = f"\x1b]9;{title.lstrip('0123456789;') or 'auto-tundra'}: {body}\x1b\\"
    return f"\x1bPtmux;{made.replace(chr(27), chr(27) * 2)}\x1b\\" if environ.get("TMUX") else made


def of_need(need: Mapping[str, object], environ: Mapping[str, str]) -> str:
    """The sequence for one entry of the queue."""
    who = str(need.get("agent") or str(need["bead"])[:8])
    title = f"{who} {WORDS.get(str(need['kind']), str(need['kind']))}"
    return sequence(title, f"{need['title']}: {need['reason']}", environ)
