"""A folder made of a warm one is the same, file by file, as one made from nothing; and a warm one is used once or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from at_daemon import git
from at_daemon.git.clone import Prepared
from at_daemon.git.testing import BRANCH, Repo

pytestmark = pytest.mark.anyio
BOOT = "this boot"


@pytest.fixture(name="pool")
def made_pool(tmp_path: Path) -> Path:
    """Where the warm folders are."""
    (tmp_path / "state/warm").mkdir(parents=True)
    return tmp_path / "state/warm"


async def warmed(rig: Repo, pool: Path, number: int = 0, boot: str = BOOT) -> Path:
    """A warm folder at the tip of `main`."""
    folder = pool / f"0123456789ab-{number}"
    await git.warm_up(folder, await git.aim(rig.top, "main", boot))
    return folder


def there(pool: Path) -> git.Warm:
    """What is offered to a bead."""
    return git.Warm([path for path in sorted(pool.iterdir()) if not path.name.startswith(".")], BOOT)


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file, link and folder with its mode and content; of the index, which has times in it, what git reads there."""
    found: dict[str, tuple[int, bytes]] = {".": (folder.stat().st_mode, b"")}
    for path in sorted(folder.rglob("*")):
        mode, name = path.lstat().st_mode, str(path.relative_to(folder))
        content = (
            os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        )
        found[name] = (mode, b"" if path.name == "index" else content)
    return found


def seen(folder: Path, prepared: Prepared) -> dict[str, object]:
    """All that an agent or we could see of a folder."""
    repo = Repo(folder)
    asked = {
        "index": ("ls-files", "--stage", "-v", "-f", "--eol"),
        "status": ("status", "--porcelain=v2", "--branch", "--ignored", "--untracked-files=all"),
        "config": ("config", "--local", "--list"),
        "refs": ("for-each-ref",),
        "head": ("rev-parse", "--symbolic-full-name", "HEAD"),
        "submodules": ("submodule", "status", "--recursive"),
        "changed": ("diff-files",),
    }
    words: dict[str, object] = {name: repo.git(*words) for name, words in asked.items()}
    facts = (prepared.base_sha, prepared.base_ref, prepared.branch, prepared.reused, prepared.notes)
    return {**words, "files": files(folder), "prepared": facts}


async def same(rig: Repo, folder: Path, pool: Path, *, taken: bool = True, base: str = "main") -> Repo:
    """Make the folder of what the pool has, and another one from nothing, and find no difference."""
    other = folder.with_name("two")
    plain = await git.prepare(rig.top, other, BRANCH, base)
    prepared = await git.prepare(rig.top, folder, BRANCH, base, there(pool))
    assert (prepared.warm, plain.warm) == (taken, False)
    assert seen(folder, prepared) == seen(other, plain)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["one", "two"]
    return Repo(folder)


def nothing(rig: Repo) -> None:
    """The repository as it is."""


def with_all_kinds(rig: Repo) -> None:
    """Modes, links, odd names, attributes, an exclude file, tags and branches."""
    rig.write("run.sh", "#!/bin/sh\n").chmod(0o755)
    (rig.top / "link").symlink_to("d/inner.txt")
    rig.commit(
        "kinds", **{".gitattributes": "*.crlf eol=crlf\n", "x.crlf": "a\nb\n", "sp ace/new\nline": "1"}
    )
    rig.write(".git/info/exclude", "secret.txt\n")
    rig.git("tag", "-a", "v1", "-m", "one")
    rig.git("branch", "feature")
    rig.git("config", "core.autocrlf", "input")


def with_included(rig: Repo) -> None:
    """A file that git ignores and a folder needs."""
    rig.commit("include", **{".gitignore": ".env\n", ".worktreeinclude": ".env\n"})
    rig.write(".env", "KEY=1\n")


def with_cone(rig: Repo) -> None:
    """A sparse checkout by folders."""
    rig.commit("more", **{"out/far.txt": "far\n"})
    rig.git("sparse-checkout", "set", "d")


def with_patterns(rig: Repo) -> None:
    """A sparse checkout by patterns."""
    rig.commit("more", **{"out/far.txt": "far\n"})
    rig.git("sparse-checkout", "set", "--no-cone", "/d/*", "/a.txt")


def with_submodule(rig: Repo) -> None:
    """A submodule that the person has initialised."""
    inner = rig.top.with_name("inner")
    rig.git("clone", "-q", "--no-local", str(rig.top), str(inner))
    rig.git("submodule", "--quiet", "add", str(inner), "vendor/inner")
    rig.commit("a submodule")


def with_filter(rig: Repo) -> None:
    """A filter that is not run, which is said."""
    rig.git("config", "filter.secret.smudge", "tr a-z A-Z")
    rig.git("config", "filter.secret.clean", "tr A-Z a-z")
    rig.commit("secret", **{".gitattributes": "*.key filter=secret\n", "a.key": "stored\n"})


KINDS = [nothing, with_all_kinds, with_included, with_cone, with_patterns, with_submodule, with_filter]
by_kind = pytest.mark.parametrize("shape", KINDS, ids=lambda shape: shape.__name__)


@by_kind
async def test_it_is_the_same_at_the_tip(
    rig: Repo, folder: Path, pool: Path, shape: Callable[[Repo], None]
) -> None:
    shape(rig)
    await warmed(rig, pool)
    agent = await same(rig, folder, pool)
    assert list(pool.iterdir()) == [] and agent.git("fsck", "--connectivity-only") == ""


def _moved(rig: Repo) -> None:
    """The target has other files: changed, new, gone, a folder where a file was, and a file where a folder was."""
    (rig.top / "gone.txt").unlink()
    (rig.top / "d/inner.txt").unlink()
    (rig.top / "d").rmdir()
    rig.commit(
        "moved", **{"a.txt": "other\n", "gone.txt/now": "a folder\n", "d": "a file\n", "e/f/g": "new\n"}
    )


@by_kind
@pytest.mark.parametrize("renewed", [False, True], ids=["taken", "renewed"])
async def test_it_is_the_same_where_the_target_has_moved(
    rig: Repo, folder: Path, pool: Path, shape: Callable[[Repo], None], renewed: bool
) -> None:
    before = await warmed(rig, pool)
    number = before.stat().st_ino
    _moved(rig) if shape is nothing else shape(rig)
    if renewed:
        await warmed(rig, pool)
        assert (before.stat().st_ino == number) == (shape in (nothing, with_included))
    fits = renewed or shape in (nothing, with_included)
    await same(rig, folder, pool, taken=fits)


async def test_settings_that_files_depend_on_are_heeded(rig: Repo, folder: Path, pool: Path) -> None:
    await warmed(rig, pool)
    rig.git("config", "core.eol", "crlf")
    rig.git("config", "core.autocrlf", "true")
    agent = await same(rig, folder, pool, taken=False)
    assert (agent.top / "a.txt").read_bytes() == b"a\r\nb\r\nc\r\n"


@pytest.mark.parametrize(
    "commit", ["--output={}", "main", ["main"], None], ids=["option", "ref", "list", "none"]
)
async def test_a_mark_that_names_no_commit_is_none(
    rig: Repo, folder: Path, pool: Path, tmp_path: Path, commit: object
) -> None:
    warm, written = await warmed(rig, pool), tmp_path / "written"
    mark = json.loads((warm / ".git/warm.json").read_text())
    named = commit.format(written) if isinstance(commit, str) else commit
    (warm / ".git/warm.json").write_text(json.dumps({**mark, "commit": named}))
    prepared = await git.prepare(rig.top, folder, BRANCH, "main", there(pool))
    assert not prepared.warm and not written.exists()
    await warmed(rig, pool)
    assert not written.exists() and (await git.prepare(rig.top, folder, BRANCH, "main")).reused
    assert git.is_at(warm, await git.aim(rig.top, "main", BOOT))


async def test_a_mark_that_cannot_be_read_is_none(rig: Repo, folder: Path, pool: Path) -> None:
    warm = await warmed(rig, pool)
    (warm / ".git/warm.json").write_text("[" * 4096)
    assert not (await git.prepare(rig.top, folder, BRANCH, "main", there(pool))).warm


@pytest.mark.parametrize("where", ["rig/.git/info/attributes", "home/.config/git/attributes"])
async def test_attributes_outside_of_commits_are_heeded(
    rig: Repo, folder: Path, pool: Path, tmp_path: Path, where: str
) -> None:
    await warmed(rig, pool)
    (tmp_path / where).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / where).write_text("*.txt eol=crlf\n")
    agent = await same(rig, folder, pool, taken=False)
    assert (agent.top / "a.txt").read_bytes() == b"a\r\nb\r\nc\r\n"


async def test_the_person_s_name_and_new_branches_cost_no_warm_folder(
    rig: Repo, folder: Path, pool: Path
) -> None:
    await warmed(rig, pool)
    rig.git("config", "user.name", "Grace")
    rig.git("branch", "later")
    agent = await same(rig, folder, pool)
    assert agent.git("config", "user.name") == "Grace" and agent.sha("later") == rig.sha()


async def test_a_base_of_its_own_is_one_read_tree_away_if_it_is_near(
    rig: Repo, folder: Path, pool: Path
) -> None:
    base = rig.sha()
    rig.commit("later", **{"later.txt": "x"})
    await warmed(rig, pool)
    assert not ((await same(rig, folder, pool, base=base)).top / "later.txt").exists()


async def test_one_that_is_far_is_left_for_others(
    rig: Repo, folder: Path, pool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from at_daemon.git import warm

    base = rig.sha()
    rig.commit("later", **{f"later-{number}.txt": "x" for number in range(9)})
    await warmed(rig, pool)
    monkeypatch.setattr(warm, "MOST_CHANGED", 5)
    await same(rig, folder, pool, base=base, taken=False)
    assert len(list(pool.iterdir())) == 1


async def test_one_whose_commit_is_gone_is_not_used(rig: Repo, folder: Path, pool: Path) -> None:
    rig.commit("soon gone", **{"a.txt": "x"})
    await warmed(rig, pool)
    rig.git("reset", "-q", "--hard", "HEAD~1")
    rig.git("reflog", "expire", "--expire=now", "--all")
    rig.git("gc", "-q", "--prune=now")
    await same(rig, folder, pool, taken=False)
    await warmed(rig, pool)
    assert git.is_at(pool / "0123456789ab-0", await git.aim(rig.top, "main", BOOT))


async def test_one_from_before_the_machine_s_start_is_not_used(rig: Repo, folder: Path, pool: Path) -> None:
    await warmed(rig, pool, boot="before")
    await same(rig, folder, pool, taken=False)


async def test_one_that_somebody_changed_is_made_anew(rig: Repo, folder: Path, pool: Path) -> None:
    warm = await warmed(rig, pool)
    (warm / "a.txt").write_text("spoilt\n")
    rig.commit("moved", **{"a.txt": "other\n"})
    await same(rig, folder, pool, taken=False)
    assert list(pool.iterdir()) == []


async def test_of_two_beads_each_has_its_own(rig: Repo, folder: Path, pool: Path) -> None:
    await warmed(rig, pool)
    found: dict[str, Prepared] = {}

    async def make(name: str, offered: git.Warm) -> None:
        found[name] = await git.prepare(
            rig.top, folder.with_name(name), f"at/0123abcd-{name}", "main", offered
        )

    async with anyio.create_task_group() as group:
        for name in ("one", "two", "three"):
            group.start_soon(make, name, there(pool))
    assert sorted(prepared.warm for prepared in found.values()) == [False, False, True]
    for name in found:
        agent = Repo(folder.with_name(name))
        assert (agent.status(), agent.git("branch", "--show-current")) == ("", f"at/0123abcd-{name}")


async def test_what_git_lfs_has_by_now_is_filled_in(
    rig: Repo, folder: Path, pool: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    programs = tmp_path / "bin"
    programs.mkdir()
    script = f"#!/bin/sh\ncase $1 in\nsmudge) if [ -e {store} ]; then cat {store}; else cat; fi ;;\n*) cat ;;\nesac\n"
    (programs / "git-lfs").write_text(script)
    (programs / "git-lfs").chmod(0o755)
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    rig.commit("lfs", **{".gitattributes": "*.bin filter=lfs -text\n", "x.bin": pointer})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        rig.git("config", "filter.lfs.smudge", "git-lfs smudge -- %f")
        rig.git("config", "filter.lfs.clean", "git-lfs clean -- %f")
        warm = await warmed(rig, pool)
        assert (warm / "x.bin").read_text() == pointer
        store.write_text("a large file\n")
        prepared = await git.prepare(rig.top, folder, BRANCH, "main", there(pool))
    assert (prepared.warm, prepared.notes) == (True, ())
    assert (folder / "x.bin").read_text() == "a large file\n"


async def test_what_a_killed_process_left_is_used_by_nobody(rig: Repo, folder: Path, pool: Path) -> None:
    half = await warmed(rig, pool)
    half.rename(pool / ".0123456789ab-0.at-killed")
    await same(rig, folder, pool, taken=False)
    await warmed(rig, pool)
    assert await git.remove_set_aside(pool) == []
    assert [path.name for path in pool.iterdir()] == ["0123456789ab-0"]
