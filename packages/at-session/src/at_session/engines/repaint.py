"""Draws a screen as a terminal stream: from cells and flags only, so nothing an agent wrote gets through as a command."""

from __future__ import annotations

from collections.abc import Iterator

from at_session.engines.screen import PLAIN, Color, Cursor, Modes, RenderableContent, Row, Style

RESET = "\x1b[0m"
SHAPES = {"block": 2, "underline": 4, "bar": 6}
MOUSE = {"press": 9, "buttons": 1000, "drag": 1002, "motion": 1003}


def repaint(content: RenderableContent) -> bytes:
    """A stream that shows `content` on a fresh terminal of the same size. Scrollback is not in it."""
    parts = [
        "\x1b[!p",
        "\x1b[?1049h" if content.modes.alternate_screen else "",
        f"{RESET}\x1b[2J",
        *(_row(number, row) for number, row in enumerate(content.rows, start=1)),
        RESET,
        f"\x1b]2;{content.title}\x1b\\" if content.title else "",
        *_modes(content.modes),
        _cursor(content.cursor),
    ]
    return "".join(parts).encode()


def _row(number: int, row: Row) -> str:
    parts = []
    for run in row.runs():
        if run.style == PLAIN and run.text.isspace():
            continue
        # Terminals differ on the width of emoji, so every run is placed, not only the row's start.
        parts.append(f"\x1b[{number};{run.col + 1}H{sgr(run.style)}{run.text}")
    return "".join(parts)


def sgr(style: Style) -> str:
    """The SGR sequence that sets exactly `style`, whatever was set before."""
    flags = (
        (style.bold, "1"),
        (style.dim, "2"),
        (style.italic, "3"),
        (style.underline, "4"),
        (style.blink, "5"),
        (style.inverse, "7"),
        (style.hidden, "8"),
        (style.strike, "9"),
    )
    codes = ["0", *(code for on, code in flags if on), *_color(style.fg, 38), *_color(style.bg, 48)]
    return f"\x1b[{';'.join(codes)}m"


def _color(color: Color, code: int) -> Iterator[str]:
    match color:
        case int(index) if index < 8:
            yield str(code - 8 + index)
        case int(index) if index < 16:
            yield str(code + 44 + index)
        case int(index):
            yield f"{code};5;{index}"
        case (red, green, blue):
            yield f"{code};2;{red};{green};{blue}"


def _modes(modes: Modes) -> Iterator[str]:
    flags = (
        (modes.application_cursor, 1),
        (modes.bracketed_paste, 2004),
        (modes.focus_events, 1004),
        (modes.mouse_sgr, 1006),
    )
    yield from (f"\x1b[?{number}h" for on, number in flags if on)
    if modes.application_keypad:
        yield "\x1b="
    if modes.mouse != "off":
        yield f"\x1b[?{MOUSE[modes.mouse]}h"
    if modes.kitty_keyboard:
        yield f"\x1b[={modes.kitty_keyboard}u"


def _cursor(cursor: Cursor) -> str:
    visible = "h" if cursor.visible else "l"
    return f"\x1b[{SHAPES[cursor.shape]} q\x1b[?25{visible}\x1b[{cursor.row + 1};{cursor.col + 1}H"
