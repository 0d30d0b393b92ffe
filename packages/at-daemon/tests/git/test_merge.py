"""Merges made aside, and reading what is in a commit."""

from __future__ import annotations

from pathlib import Path

import pytest

from at_core.text import is_cut
from at_daemon import git
from at_daemon.git import errors
from at_daemon.git.testing import BRANCH, Repo

pytestmark = pytest.mark.anyio


def _side(rig: Repo, **files: str) -> str:
    rig.git("checkout", "-q", "-b", "side")
    head = rig.commit("side", **files)
    rig.git("checkout", "-q", "main")
    return head


async def test_a_conflict_names_the_paths(rig: Repo) -> None:
    rig.commit("odd", **{"sp ace\nx": "1\n"})
    head = _side(rig, **{"a.txt": "theirs\n", "sp ace\nx": "2\n", "fine": "x"})
    target = rig.commit("ours", **{"a.txt": "ours\n", "sp ace\nx": "3\n"})
    forecast = await git.try_merge(rig.top, head, "main")
    assert (forecast.clean, forecast.target_sha) == (False, target)
    assert forecast.conflicts == ("a.txt", "sp ace\nx")
    assert rig.status() == ""


@pytest.mark.parametrize("name", ["main", "refs/heads/main", "HEAD"])
async def test_a_clean_merge(rig: Repo, name: str) -> None:
    head = _side(rig, new="x")
    target = rig.commit("ours", **{"a.txt": "ours\n"})
    forecast = await git.try_merge(rig.top, head, name)
    assert forecast.clean and not forecast.contained
    merge = await git.make_merge(rig.top, head, target, forecast.tree, "M", date=1_700_000_000)
    assert rig.tree(merge) == {"a.txt": "ours", "d/inner.txt": "inner", "gone.txt": "bye", "new": "x"}
    assert await git.make_merge(rig.top, head, target, forecast.tree, "M", date=1_700_000_000) == merge
    assert rig.git("log", "-1", "--format=%an %ce", merge) == "Ada ada@example.org"


async def test_what_is_merged_already(rig: Repo) -> None:
    head = rig.sha()
    rig.commit("later", z="z")
    forecast = await git.try_merge(rig.top, head, "main")
    assert forecast.clean and forecast.contained


async def test_unrelated_histories(rig: Repo) -> None:
    head = rig.git("commit-tree", "HEAD^{tree}", "-m", "root")
    forecast = await git.try_merge(rig.top, head, "main")
    assert not forecast.clean and forecast.unrelated


async def test_attributes_come_from_the_trees_not_the_checkout(rig: Repo) -> None:
    rig.commit("attributes", **{".gitattributes": "CHANGES merge=union\n", "CHANGES": "1\n"})
    head = _side(rig, CHANGES="1\n2a\n")
    rig.commit("ours", CHANGES="1\n2b\n")
    (rig.top / ".gitattributes").unlink()
    forecast = await git.try_merge(rig.top, head, "main")
    assert forecast.clean
    assert rig.git("show", f"{forecast.tree}:CHANGES") == "1\n2b\n2a"


@pytest.mark.parametrize("ref", ["nosuch", "-x", "refs/heads/nosuch", "HEAD:a.txt"])
async def test_no_such_target(rig: Repo, ref: str) -> None:
    with pytest.raises((errors.RevisionMissing, errors.BadName)):
        await git.try_merge(rig.top, rig.sha(), ref)


def _ssh_signing(rig: Repo, home: Path) -> None:
    import subprocess

    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / "key"], check=True)
    public = (home / "key.pub").read_text()
    (home / "signers").write_text(f"ada@example.org {public}")
    rig.git("config", "--global", "gpg.format", "ssh")
    rig.git("config", "--global", "user.signingkey", str(home / "key"))
    rig.git("config", "--global", "gpg.ssh.allowedSignersFile", str(home / "signers"))


async def test_the_person_signs(rig: Repo, home: Path) -> None:
    _ssh_signing(rig, home)
    head = _side(rig, new="x")
    tree = rig.sha("side^{tree}")
    plain = await git.make_merge(rig.top, head, rig.sha(), tree, "M")
    assert rig.git("log", "-1", "--format=%G?", plain) == "N"
    rig.git("config", "--global", "commit.gpgsign", "true")
    signed = await git.make_merge(rig.top, head, rig.sha(), tree, "M")
    assert rig.git("log", "-1", "--format=%G?", signed) == "G"


async def test_signing_that_fails_is_said(rig: Repo, home: Path) -> None:
    _ssh_signing(rig, home)
    rig.git("config", "--global", "commit.gpgsign", "true")
    (home / "key").unlink()
    (home / "key.pub").unlink()
    with pytest.raises(errors.SigningFailed):
        await git.make_merge(rig.top, rig.sha(), rig.sha(), rig.sha("HEAD^{tree}"), "M")


async def test_the_fallback_identity_merges(rig: Repo, home: Path) -> None:
    (home / ".gitconfig").write_text("")
    merge = await git.make_merge(rig.top, rig.sha(), rig.sha(), rig.sha("HEAD^{tree}"), "M")
    assert rig.git("log", "-1", "--format=%ae", merge) == "auto-tundra@localhost"


async def test_the_agent_is_given_the_target(rig: Repo, folder: Path) -> None:
    await git.prepare(rig.top, folder, BRANCH, "main")
    target = rig.commit("ours", **{"b.txt": "b"})
    assert (await git.update_branch(rig.top, folder, target)).clean
    agent = Repo(folder)
    agent.git("merge", "-q", "refs/at/target")
    assert agent.sha() == target
    later = rig.commit("ours", **{"b.txt": "c"})
    await git.update_branch(rig.top, folder, later)
    assert agent.sha("refs/at/target") == later


async def test_reading_files_of_a_commit(rig: Repo) -> None:
    rig.commit("odd", **{".auto-tundra.toml": "[gates]\n", "new\nline": "x\n", "empty": ""})
    (rig.top / ".auto-tundra.toml").write_text("changed, not committed")
    assert await git.read_file_at(rig.top, "main", ".auto-tundra.toml") == b"[gates]\n"
    assert await git.read_file_at(rig.top, "refs/heads/main", "new\nline") == b"x\n"
    assert await git.read_file_at(rig.top, "main", "empty") == b""
    for missing in ("nosuch", "d", "a.txt/x"):
        assert await git.read_file_at(rig.top, "main", missing) is None
    with pytest.raises(errors.RevisionMissing):
        await git.read_file_at(rig.top, "nosuch", "a.txt")
    with pytest.raises(errors.BadName):
        await git.read_file_at(rig.top, "main", "../x")


async def test_differences(rig: Repo) -> None:
    base = rig.sha()
    rig.git("mv", "gone.txt", "moved.txt")
    head = rig.commit("x", **{"a.txt": "a\nB\nc\n", "bin": "\0\1\2", "sp ace": "1\n", "-x": "2\n"})
    stat = await git.diffstat(rig.top, base, head)
    assert (stat.insertions, stat.deletions, stat.files) == (4, 2, 6)
    assert await git.changed_between(rig.top, base, head) == sorted(stat.paths)
    plain = await git.diff(rig.top, base, head)
    assert b"rename from gone.txt" in plain and b"\x1b[" not in plain
    assert b"\x1b[" in await git.diff(rig.top, base, head, color=True)
    assert b"5 files changed" in await git.diff(rig.top, base, head, stat=True)
    cut = await git.diff(rig.top, base, head, most=60)
    assert cut.startswith(plain[:40]) and is_cut(cut) and not is_cut(plain)
    assert await git.diff(rig.top, base, base) == b""


@pytest.mark.parametrize("sha", ["main", "-x", "abc", "--output=/tmp/x"])
async def test_only_whole_names_of_objects(rig: Repo, sha: str) -> None:
    with pytest.raises(errors.BadName):
        await git.diff(rig.top, sha, rig.sha())
