"""A patch on a terminal, with what was said about its lines."""

from __future__ import annotations

from typing import Any

import pytest

from at_cli.style import Look
from at_cli.views.patch import patch_lines

PATCH = b"""diff --git a/a.py b/a.py
--- a/a.py
+++ b/a.py
@@ -1,2 +1,3 @@ def f():
 one
-+++ b/fake.py
+two
+three
@@ -9 +10 @@
-nine
+ten
\\ No newline at end of file
"""


def comment(file: str, line: int, text: str = "why?") -> dict[str, Any]:
    """An open comment, number 7."""
    found = {"number": 7, "file": file, "now_line": line, "text": text, "author": None, "quote": "x"}
    return found | {"place": f"{file}:{line}", "state": "open"}


@pytest.mark.parametrize(("line", "below"), [(1, " one"), (2, "+two"), (3, "+three"), (10, "+ten")])
def test_a_comment_stands_below_its_line(line: int, below: str) -> None:
    shown = patch_lines(PATCH, Look(), [comment("a.py", line)])
    at = shown.index("  # comment 7: why?")
    assert shown[at - 1] == below
    assert len(shown) == len(PATCH.splitlines()) + 1


@pytest.mark.parametrize(("file", "line"), [("a.py", 5), ("fake.py", 1), ("b.py", 1)])
def test_a_comment_on_a_line_that_is_not_shown_comes_at_the_end(file: str, line: int) -> None:
    shown = patch_lines(PATCH, Look(), [comment(file, line, "one\ntwo \x1b[2J")])
    assert shown[-5:] == [
        "Comments on lines that are not shown here:",
        f"  7  {file}:{line}",
        "     | x",
        "     one",
        "     two \\x1b[2J",
    ]
