"""Lines of files in commits, and where git says that they went."""

from __future__ import annotations

import pytest

from at_daemon import git
from at_daemon.git.testing import Repo

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("content", "lines"),
    [("", []), ("a", ["a"]), ("a\nb\n", ["a", "b"]), ("a\n\n", ["a", ""]), ("a\0b\n", None)],
)
async def test_the_lines_of_a_file(rig: Repo, content: str, lines: list[str] | None) -> None:
    head = rig.commit("more", **{"new file": content})
    assert await git.lines_of(rig.top, head, "new file") == lines
    assert await git.lines_of(rig.top, head, "other") is None


@pytest.mark.parametrize("name", ["a.txt", ":(glob)*", "-p", 'sp ace\n"x'])
async def test_a_line_is_followed_in_a_file_of_any_name(rig: Repo, name: str) -> None:
    before = rig.commit("before", **{name: "a\nb\nc\n", "z": "1\n"})
    after = rig.commit("after", **{name: "new\na\nB\nc\n", "z": "0\n0\n0\n1\n"})
    found = [await git.line_now(rig.top, before, after, name, line) for line in (1, 2, 3)]
    assert found == [2, None, 4]


async def test_a_line_of_a_file_that_is_gone_is_gone(rig: Repo) -> None:
    before = rig.sha()
    rig.git("rm", "-q", "gone.txt")
    assert await git.line_now(rig.top, before, rig.commit("without"), "gone.txt", 1) is None
