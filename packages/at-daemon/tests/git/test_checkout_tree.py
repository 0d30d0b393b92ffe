"""A gate's folder is exact, whatever the gate before it did there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git.testing import Repo

pytestmark = pytest.mark.anyio


def _files(top: Path) -> dict[str, bytes]:
    return {
        os.path.relpath(os.path.join(where, name), top): Path(where, name).read_bytes()
        for where, _, names in os.walk(top)
        for name in names
        if not os.path.relpath(where, top).startswith(".git")
    }


def _nothing(gate: Path) -> None:
    assert gate.is_dir()


def _build_products(gate: Path) -> None:
    (gate / "build/deep").mkdir(parents=True)
    (gate / "build/deep/x.log").write_text("x")
    (gate / "a.txt").write_text("changed")
    (gate / "gone.txt").unlink()


def _forged_times(gate: Path) -> None:
    before = os.stat(gate / "a.txt")
    (gate / "a.txt").write_text("X\nY\nZ\n")
    os.utime(gate / "a.txt", ns=(before.st_atime_ns, before.st_mtime_ns))
    shutil.copy(gate / ".git/index", gate.parent / "stolen")


def _swapped_kinds(gate: Path) -> None:
    shutil.rmtree(gate / "d")
    (gate / "d").symlink_to("/etc")
    (gate / "a.txt").unlink()
    (gate / "a.txt").mkdir()
    (gate / "a.txt/x").write_text("x")


def _planted_repositories(gate: Path) -> None:
    for place in ("d/.git", "other/.git"):
        (gate / place).mkdir(parents=True, exist_ok=True)
        (gate / place / "config").write_text("[core]\n\tfsmonitor = evil\n")
    (gate / ".git/hooks").mkdir(exist_ok=True)
    (gate / ".git/hooks/pre-commit").write_text("evil")
    (gate / ".git/config").write_text("[core]\n\tfsmonitor = evil\n")


def _no_permissions(gate: Path) -> None:
    (gate / "locked/in").mkdir(parents=True)
    (gate / "locked").chmod(0)


def _no_dot_git(gate: Path) -> None:
    shutil.rmtree(gate / ".git")


@pytest.mark.parametrize(
    "disturb",
    [
        _nothing,
        _build_products,
        _forged_times,
        _swapped_kinds,
        _planted_repositories,
        _no_permissions,
        _no_dot_git,
    ],
)
async def test_the_checkout_is_exact_every_time(
    rig: Repo, tmp_path: Path, disturb: Callable[[Path], None]
) -> None:
    first, gate = rig.sha(), tmp_path / "gates" / "slot 1"
    second = rig.commit("second", **{".gitignore": "*.log\n", "a.txt": "second\n", "new": "n\n"})
    await git.checkout_tree(rig.top, gate, first)
    assert _files(gate) == {"a.txt": b"a\nb\nc\n", "gone.txt": b"bye\n", "d/inner.txt": b"inner\n"}
    for sha in (first, second, first):
        disturb(gate)
        await git.checkout_tree(rig.top, gate, sha)
        assert {name: text.rstrip(b"\n").decode() for name, text in _files(gate).items()} == rig.tree(sha)
        assert Repo(gate).status() == "" and Repo(gate).sha() == sha
        assert not (gate / "d").is_symlink() and not (gate / ".git/hooks").exists()
        assert Repo(gate).git("config", "--get", "core.fsmonitor", ok=False) == ""


async def test_tools_find_tags_and_branches(rig: Repo, tmp_path: Path) -> None:
    rig.git("tag", "v1.2")
    await git.checkout_tree(rig.top, tmp_path / "gate", rig.sha())
    assert Repo(tmp_path / "gate").git("describe", "--tags") == "v1.2"


async def test_submodules_are_there(rig: Repo, make_repo: Callable[[str], Repo], tmp_path: Path) -> None:
    rig.git("submodule", "--quiet", "add", str(make_repo("other").top), "sub")
    sha = rig.commit("add")
    for _ in range(2):
        await git.checkout_tree(rig.top, tmp_path / "gate", sha)
        assert (tmp_path / "gate/sub/a.txt").read_text() == "a\nb\nc\n"
        assert Repo(tmp_path / "gate").status() == ""
