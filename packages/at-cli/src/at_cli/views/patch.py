"""A patch on a terminal: our own colours, and nothing in it that acts on the terminal."""

from __future__ import annotations

from at_cli.style import Look

_COLOURS = (
    ("diff ", "bold"),
    ("index ", "dim"),
    ("--- ", "bold"),
    ("+++ ", "bold"),
    ("@@", "cyan"),
    ("+", "green"),
    ("-", "red"),
)


def patch_lines(patch: bytes, style: Look) -> list[str]:
    """The lines of `patch`, coloured by what they begin with; bytes that are no UTF-8 become U+FFFD."""
    lines = patch.decode("utf-8", "replace").removesuffix("\n").split("\n")
    return [_coloured(style.plain(line.replace("\t", "    ")), style) for line in lines]


def _coloured(line: str, style: Look) -> str:
    for beginning, colour in _COLOURS:
        if line.startswith(beginning):
            return style.paint(colour, line)
    return line
