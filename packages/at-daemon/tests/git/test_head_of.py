"""The commit that an agent's clone has checked out, told from its files as git tells it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from at_daemon.git.clone import prepare
from at_daemon.git.private import all_refs, head_of, read_clone
from at_daemon.git.testing import BRANCH, Repo

OTHERS = 50


@pytest.fixture
def clone(rig: Repo, folder: Path) -> Repo:
    """A clone with many refs, whose names begin or end like that of its branch."""
    first = rig.sha()
    rig.commit("second", **{"b.txt": "b\n"})
    anyio.run(prepare, rig.top, folder, BRANCH, "main")
    clone = Repo(folder)
    names = (f"refs/heads/{name}" for n in range(OTHERS) for name in (f"{BRANCH}-{n}", f"x-{n}/{BRANCH}"))
    clone.git("update-ref", "--stdin", stdin="".join(f"create {name} {first}\n" for name in names).encode())
    return clone


def packed(clone: Repo) -> None:
    clone.git("pack-refs", "--all")


def newer_than_packed(clone: Repo) -> None:
    packed(clone)
    clone.commit("work", **{"a.txt": "work\n"})


def detached(clone: Repo) -> None:
    clone.git("checkout", "-q", "--detach", "HEAD~1")


def through_another_ref(clone: Repo) -> None:
    packed(clone)
    clone.git("symbolic-ref", "refs/heads/alias", f"refs/heads/{BRANCH}")
    clone.git("symbolic-ref", "HEAD", "refs/heads/alias")


def last_line_not_ended(clone: Repo) -> None:
    lines = f"# pack-refs with: sorted \n{clone.sha()} refs/heads/{BRANCH}"
    clone.git("update-ref", "-d", f"refs/heads/{BRANCH}")
    clone.write(".git/packed-refs", lines)


@pytest.mark.parametrize(
    "state", [packed, newer_than_packed, detached, through_another_ref, last_line_not_ended]
)
def test_it_is_what_git_says(clone: Repo, state: Callable[[Repo], None]) -> None:
    state(clone)
    assert head_of(clone.top) == read_clone(clone.top).head
    if state is not last_line_not_ended:  # which git refuses to read
        assert head_of(clone.top) == clone.sha()


@pytest.mark.parametrize("end", ["\u2028", "\x85", "\u3000"])
@pytest.mark.parametrize("are_packed", [True, False])
def test_a_name_may_have_what_ends_a_line_or_a_word_elsewhere(
    clone: Repo, are_packed: bool, end: str
) -> None:
    second = clone.commit("third", **{"a.txt": "third\n"})
    clone.git("branch", f"side{end}x", "HEAD~1")
    clone.git("branch", f"side{end}", "HEAD~1")
    clone.git("branch", "side", second)
    clone.git("checkout", "-q", f"side{end}")
    if are_packed:
        packed(clone)
    rows = clone.git("for-each-ref", "--format=%(objectname) %(refname)").split("\n")
    assert all_refs(clone.top) == {name: sha for sha, _, name in (row.partition(" ") for row in rows)}
    assert head_of(clone.top) == clone.sha()
    assert read_clone(clone.top).head_ref == f"refs/heads/side{end}"


@pytest.mark.parametrize(
    "content", ["ref: refs/heads/none\n", "ref: ../../etc/passwd\n", "", "ref: refs/heads/loop\n"]
)
def test_a_head_that_names_nothing_is_none(clone: Repo, content: str) -> None:
    clone.write(".git/HEAD", content)
    clone.write(".git/refs/heads/loop", "ref: refs/heads/loop\n")
    assert head_of(clone.top) is None


def test_what_is_no_clone_has_none(tmp_path: Path) -> None:
    assert head_of(tmp_path) is None
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").write_text(f"{'0' * 39}1\n")
    assert head_of(tmp_path) is None
