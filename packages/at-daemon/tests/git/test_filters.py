"""Content filters: git-lfs fills in what lies in the person's store, any other is not run, and either is said."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git.testing import BRANCH, REF, Repo

pytestmark = pytest.mark.anyio

GIT_LFS = """\
#!/bin/sh
# A stand-in with the store and the pointers of git-lfs: `clean` puts contents there and passes pointers on, `smudge`
# takes them from there.
store=$(git rev-parse --git-common-dir)/lfs/objects
stored() { echo "$store/$(echo "$1" | cut -c1-2)/$(echo "$1" | cut -c3-4)/$1"; }
case $1 in
clean)
    content=$(mktemp); cat > "$content"
    case $(head -c 24 "$content") in "version https://git-lfs."*) cat "$content"; exit ;; esac
    oid=$(sha256sum < "$content" | cut -d' ' -f1)
    mkdir -p "$(dirname "$(stored "$oid")")"; cp "$content" "$(stored "$oid")"; size=$(wc -c < "$content")
    printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%s\\nsize %s\\n' "$oid" "$size" ;;
smudge)
    pointer=$(cat); oid=$(printf '%s\\n' "$pointer" | sed -n 's/^oid sha256://p')
    if [ -e "$(stored "$oid")" ]; then cat "$(stored "$oid")"; else printf '%s\\n' "$pointer"; fi ;;
esac
"""


@pytest.fixture(name="lfs")
def made_lfs(rig: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    """A repository with a file of git-lfs, whose content is in its store."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "git-lfs").write_text(GIT_LFS)
    (programs / "git-lfs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    for key in ("clean", "smudge"):
        rig.git("config", "--global", f"filter.lfs.{key}", f"git-lfs {key} -- %f")
    rig.git("config", "--global", "filter.lfs.required", "true")
    rig.commit("lfs", **{"art/.gitattributes": "*.bin filter=lfs -text\n", "art/x.bin": "a large file\n"})
    assert rig.git("show", "HEAD:art/x.bin").startswith("version https://git-lfs")
    return rig


async def test_lfs_contents_come_from_the_persons_store_and_go_there(lfs: Repo, folder: Path) -> None:
    prepared = await git.prepare(lfs.top, folder, BRANCH, "main")
    assert (folder / "art/x.bin").read_text() == "a large file\n" and prepared.notes == ()
    (folder / "art/x.bin").write_text("a larger file\n")
    found = await git.collect(lfs.top, folder, BRANCH, REF, lfs.sha("main"), "work")
    assert found.changed_paths == ("art/x.bin",)
    assert lfs.git("show", f"{found.head}:art/x.bin").startswith("version https://git-lfs")
    lfs.git("merge", "-q", "--ff-only", found.head)
    assert (lfs.top / "art/x.bin").read_text() == "a larger file\n"


def committed_by_agent(folder: Path, text: str) -> Path:
    """A file of git-lfs that the agent put into its own store and committed; its content there."""
    (folder / "art/new.bin").write_text(text)
    os.utime(folder / "art/new.bin", (1e9, 1e9))  # so that git's index need not look into it again
    for words in (("add", "-A"), ("-c", "user.name=a", "-c", "user.email=a@x", "commit", "-qm", "new")):
        subprocess.run(["git", *words], cwd=folder, check=True)
    oid = hashlib.sha256(text.encode()).hexdigest()
    stored = folder / ".git/lfs/objects" / oid[:2] / oid[2:4] / oid
    assert stored.read_text() == text
    return stored


async def test_what_the_agent_stored_itself_is_brought_over(lfs: Repo, folder: Path) -> None:
    await git.prepare(lfs.top, folder, BRANCH, "main")
    committed_by_agent(folder, "made by the agent\n")
    found = await git.collect(lfs.top, folder, BRANCH, REF, lfs.sha("main"), "work")
    assert found.notes == ()
    shutil.rmtree(folder)
    lfs.git("merge", "-q", "--ff-only", found.head)
    assert (lfs.top / "art/new.bin").read_text() == "made by the agent\n"


async def test_what_the_agent_stored_itself_comes_back_from_the_attic(lfs: Repo, folder: Path) -> None:
    await git.prepare(lfs.top, folder, BRANCH, "main")
    stored = committed_by_agent(folder, "made by the agent\n")
    wrong = stored.parent.parent.parent / "00/00" / ("0" * 64)
    wrong.parent.mkdir(parents=True)
    wrong.write_text("not what its name says")
    entry = await git.keep(lfs.top, folder, REF.rpartition("/")[2], "removed")
    assert [note for note in entry.notes if "git-lfs" in note] == [
        f"contents of git-lfs are damaged and left out: 00/00/{wrong.name}"
    ]
    shutil.rmtree(folder)
    await git.restore(lfs.top, entry.ref, folder)
    assert (folder / "art/new.bin").read_text() == "made by the agent\n"


async def test_a_copy_that_finds_no_room_leaves_nothing(
    lfs: Repo, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await git.prepare(lfs.top, folder, BRANCH, "main")
    committed_by_agent(folder, "made by the agent\n")
    store = lfs.top / ".git/lfs/objects"
    before = sorted(path for path in store.rglob("*") if path.is_file())

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        await git.collect(lfs.top, folder, BRANCH, REF, lfs.sha("main"), "work")
    assert sorted(path for path in store.rglob("*") if path.is_file()) == before


async def test_what_the_store_lacks_stays_a_pointer_and_is_said(lfs: Repo, folder: Path) -> None:
    shutil.rmtree(lfs.top / ".git/lfs/objects")
    prepared = await git.prepare(lfs.top, folder, BRANCH, "main")
    assert (folder / "art/x.bin").read_text().startswith("version https://git-lfs")
    assert prepared.notes == (
        "files of git-lfs are left as pointers ('art/x.bin'): your own copy lacks them (git lfs fetch)",
    )
    found = await git.collect(lfs.top, folder, BRANCH, REF, lfs.sha("main"), "work")
    assert found.changed_paths == ()


async def test_a_filter_of_the_persons_is_not_run_and_that_is_said(rig: Repo, folder: Path) -> None:
    rig.git("config", "filter.secret.smudge", "touch ran; tr a-z A-Z")
    rig.git("config", "filter.secret.clean", "tr A-Z a-z")
    names = {f"{name}.key": "stored\n" for name in "abcd"}
    rig.commit(
        "secret", **{".gitattributes": "*.key filter=secret\n*.md filter=nobody\n", "r.md": "r", **names}
    )
    prepared = await git.prepare(rig.top, folder, BRANCH, "main")
    assert (folder / "a.key").read_text() == "stored\n" and not (folder / "ran").exists()
    assert prepared.notes == (
        "the filter 'secret' is not run here: 'a.key', 'b.key', 'c.key' and 1 more as git stores it",
    )
