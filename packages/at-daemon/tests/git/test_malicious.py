"""Nothing that an agent plants in its clone, or in what it commits, runs or reaches out of its folder."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git import errors
from at_daemon.git.testing import BEAD, BRANCH, REF, Repo

pytestmark = pytest.mark.anyio

_HOOKS = (
    "pre-commit post-commit prepare-commit-msg commit-msg post-checkout post-merge pre-push post-rewrite "
    "reference-transaction pre-receive update post-receive post-update post-index-change fsmonitor-watchman "
    "pre-auto-gc pre-applypatch push-to-checkout proc-receive"
).split()


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    """The program that must not run leaves this file."""
    return tmp_path / "ran"


@pytest.fixture
def program(tmp_path: Path, evidence: Path) -> Path:
    path = tmp_path / "evil.sh"
    path.write_text(f'#!/bin/sh\necho "$0 $*" >> {evidence}\ncat\n')
    path.chmod(0o755)
    return path


def _plant(agent: Repo, program: Path) -> None:
    hooks = agent.top / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    for name in _HOOKS:
        (hooks / name).write_bytes(program.read_bytes())
        (hooks / name).chmod(0o755)
    settings = {
        "core.fsmonitor": program,
        "core.hooksPath": hooks,
        "core.alternateRefsCommand": program,
        "core.sshCommand": program,
        "core.gitProxy": program,
        "core.pager": program,
        "core.editor": program,
        "core.askPass": program,
        "core.worktree": "/",
        "core.attributesFile": agent.top / "attributes",
        "core.excludesFile": agent.top / "excludes",
        "diff.external": program,
        "diff.evil.textconv": program,
        "diff.evil.command": program,
        "merge.evil.driver": f"{program} %A",
        "filter.evil.clean": program,
        "filter.evil.smudge": program,
        "filter.evil.process": program,
        "filter.evil.required": "true",
        "filter.lfs.clean": program,
        "filter.lfs.process": program,
        "gpg.program": program,
        "commit.gpgsign": "true",
        "uploadpack.packObjectsHook": program,
        "credential.helper": f"!{program}",
        "interactive.diffFilter": program,
        "submodule.x.update": f"!{program}",
        "protocol.ext.allow": "always",
        "remote.origin.url": f"ext::{program}",
        "remote.origin.promisor": "true",
        "extensions.partialClone": "origin",
        "include.path": agent.top / "included",
        "alias.diff-tree": f"!{program}",
    }
    lines = []
    for key, value in settings.items():
        section, _, name = key.rpartition(".")
        first, _, rest = section.partition(".")
        title = f'{first} "{rest}"' if rest else first
        lines.append(f'[{title}]\n\t{name} = "{value}"\n')
    with (agent.top / ".git/config").open("a") as file:
        file.write("".join(lines))
    agent.write("included", f"[core]\n\tfsmonitor = {program}\n")
    attributes = "* filter=evil diff=evil merge=evil\n"
    for path in (".gitattributes", "d/.gitattributes", ".git/info/attributes", "attributes"):
        agent.write(path, attributes)


async def test_nothing_planted_runs(
    rig: Repo, folder: Path, program: Path, evidence: Path, tmp_path: Path
) -> None:
    base = rig.sha()
    await git.prepare(rig.top, folder, BRANCH, "main")
    agent = Repo(folder)
    agent.commit("work", **{"a.txt": "work\n"})
    _plant(agent, program)
    agent.write("gone.txt", "changed\n")
    nested = Repo(folder / "nested")
    nested.top.mkdir()
    nested.git("init", "-q")
    nested.commit("x", f="x")
    _plant(nested, program)
    evidence.unlink(missing_ok=True)

    collected = await git.collect(rig.top, folder, BRANCH, REF, base, "m")
    assert {"a.txt", "gone.txt", ".gitattributes"} <= set(collected.changed_paths)
    for color in (False, True):
        assert b"work" in await git.diff(rig.top, base, collected.head, color=color)
    forecast = await git.update_branch(rig.top, folder, base)
    forecast = await git.try_merge(rig.top, collected.head, "main")
    merge = await git.make_merge(rig.top, collected.head, base, forecast.tree, "m")
    await git.checkout_tree(rig.top, tmp_path / "gate", merge)
    await git.keep(rig.top, folder, BEAD, "test")
    assert isinstance(await git.land(rig.top, merge, "main", base), git.Landed)
    assert not evidence.exists()
    assert rig.status() == ""
    agent.git("status", ok=False)
    assert evidence.exists(), "the trap itself is dead"


async def test_a_relative_filter_of_the_person_is_not_run_in_the_agents_folder(
    rig: Repo, folder: Path, program: Path, evidence: Path
) -> None:
    rig.write("tools/clean", "#!/bin/sh\ncat\n").chmod(0o755)
    base = rig.commit("tools", **{".gitattributes": "*.txt filter=tidy\n"})
    rig.git("config", "filter.tidy.clean", "./tools/clean")
    rig.git("config", "filter.tidy.required", "true")
    await git.prepare(rig.top, folder, BRANCH, "main")
    (folder / "tools/clean").write_bytes(program.read_bytes())
    (folder / "a.txt").write_text("changed")
    collected = await git.collect(rig.top, folder, BRANCH, REF, base, "m")
    await git.keep(rig.top, folder, BEAD, "test")
    assert collected.changed_paths == ("a.txt", "tools/clean")
    assert not evidence.exists()


async def test_hooks_of_the_person_do_not_run_by_themselves(
    rig: Repo, folder: Path, program: Path, evidence: Path
) -> None:
    for name in _HOOKS:
        rig.write(f".git/hooks/{name}", program.read_bytes()).chmod(0o755)
    base = rig.sha()
    await git.prepare(rig.top, folder, BRANCH, "main")
    (folder / "a.txt").write_text("changed")
    collected = await git.collect(rig.top, folder, BRANCH, REF, base, "m")
    merge = await git.make_merge(rig.top, collected.head, base, collected.tree, "m")
    await git.land(rig.top, merge, "main", base)
    assert rig.sha("main") == merge
    assert not evidence.exists()


def _tree_with(agent: Repo, name: bytes, mode: bytes = b"100644") -> str:
    blob = agent.git("hash-object", "-w", "--stdin", stdin=b"evil")
    raw = mode + b" " + name + b"\0" + bytes.fromhex(blob)
    tree = agent.git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", stdin=raw)
    return agent.git("commit-tree", tree, "-p", "HEAD", "-m", "evil")


@pytest.mark.parametrize("name", [b"..", b".git", b".GIT", b".", b"", b"a/b", b"git~1", b".g\xe2\x80\x8cit"])
async def test_trees_that_leave_the_folder_are_refused(rig: Repo, folder: Path, name: bytes) -> None:
    base = rig.sha()
    await git.prepare(rig.top, folder, BRANCH, "main")
    agent = Repo(folder)
    agent.git("update-ref", f"refs/heads/{BRANCH}", _tree_with(agent, name))
    with pytest.raises(errors.BadObjects):
        await git.collect(rig.top, folder, BRANCH, REF, base, "m")
    assert rig.git("for-each-ref", "refs/at/beads", "refs/heads/at") == ""
    with pytest.raises(errors.HistoryUnkept):
        await git.keep(rig.top, folder, BEAD, "refused")
    assert rig.git("for-each-ref", "refs/at/attic") == ""


async def test_an_object_that_lies_about_its_name_is_refused(rig: Repo, folder: Path) -> None:
    base = rig.sha()
    await git.prepare(rig.top, folder, BRANCH, "main")
    agent = Repo(folder)
    agent.commit("work", **{"a.txt": "honest"})
    honest, lie = agent.sha("HEAD:a.txt"), agent.git("hash-object", "-w", "--stdin", stdin=b"lie!!!")
    objects = folder / ".git/objects"
    target = objects / honest[:2] / honest[2:]
    target.chmod(0o644)
    target.write_bytes((objects / lie[:2] / lie[2:]).read_bytes())
    with pytest.raises(errors.BadObjects):
        await git.collect(rig.top, folder, BRANCH, REF, base, "m")


async def test_a_forged_commit_graph_convinces_nobody(rig: Repo, folder: Path) -> None:
    base = rig.sha()
    await git.prepare(rig.top, folder, BRANCH, "main")
    agent = Repo(folder)
    shas = [agent.commit(str(n), **{"a.txt": str(n)}) for n in range(3)]
    agent.git("commit-graph", "write", "--reachable")
    graph = agent.top / ".git/objects/info/commit-graph"
    graph.chmod(0o644)
    data = bytearray(graph.read_bytes())
    # Parents lie in the commit data chunk; 0x70000000 says that there is none.
    trees = [bytes.fromhex(agent.sha(f"{sha}^{{tree}}")) for sha in shas]
    for tree in trees:
        place = data.find(tree) + len(tree)
        data[place : place + 4] = b"\x70\x00\x00\x00"
    graph.write_bytes(data)
    collected = await git.collect(rig.top, folder, BRANCH, REF, base, "m")
    assert list(collected.commits) == shas


async def test_links_in_the_clone_are_not_followed(rig: Repo, folder: Path, tmp_path: Path) -> None:
    base = rig.sha()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    await git.prepare(rig.top, folder, BRANCH, "main")
    agent = Repo(folder)
    (folder / ".git/refs/at").symlink_to(outside)
    assert not (await git.update_branch(rig.top, folder, base)).clean
    agent.git("pack-refs", "--all")
    for path in ("refs/heads/at", "refs/heads"):
        if (folder / ".git" / path).exists():
            (folder / ".git" / path).rmdir()
    (folder / ".git/refs/heads").symlink_to(outside)
    agent.write("a.txt", "changed")
    collected = await git.collect(rig.top, folder, BRANCH, REF, base, "m")
    assert collected.changed_paths == ("a.txt",)
    assert [path.name for path in outside.iterdir()] == ["precious"]
    (folder / "escape").symlink_to(outside)
    await git.set_aside_folder(folder, folder.parent)
    await git.remove_set_aside(folder.parent)
    assert not folder.exists() and (outside / "precious").exists()


async def test_nothing_is_read_through_a_link_in_place_of_the_folder(
    rig: Repo, folder: Path, tmp_path: Path
) -> None:
    await git.prepare(rig.top, folder, BRANCH, "main")
    shutil.rmtree(folder)
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "secret.txt").write_text("mine")
    hashed = rig.git("hash-object", str(secrets / "secret.txt"))
    folder.symlink_to(secrets)
    with pytest.raises(errors.FolderReplaced, match="put the folder back"):
        await git.collect(rig.top, folder, BRANCH, REF, rig.sha("main"), "work")
    with pytest.raises(errors.FolderReplaced):
        await git.keep(rig.top, folder, BEAD, "removed")
    assert rig.git("for-each-ref", "refs/at/attic", "refs/at/beads") == ""
    assert "missing" in rig.git("cat-file", "--batch-check", stdin=hashed.encode())


@pytest.mark.parametrize(
    "path",
    [
        "{root}",
        "{root}/..",
        "{root}/../home",
        "/etc",
        "relative",
        "{root}/link/x",
        "{root}/link",
        "{root}/a/../../home",
    ],
)
async def test_only_folders_inside_are_removed(tmp_path: Path, home: Path, path: str) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (tmp_path / "other/x").mkdir(parents=True)
    (root / "link").symlink_to(tmp_path / "other")
    with pytest.raises(errors.FolderOutside):
        await git.set_aside_folder(Path(path.format(root=root)), root)
    assert (tmp_path / "other/x").is_dir() and home.is_dir() and (root / "a").is_dir()


async def test_folders_without_permissions_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "root/x"
    (folder / "deep/er").mkdir(parents=True)
    (folder / "deep/er").chmod(0)
    (folder / "deep").chmod(stat.S_IRUSR)
    for _ in range(2):
        await git.set_aside_folder(folder, folder.parent)
        await git.remove_set_aside(folder.parent)
    assert os.listdir(tmp_path / "root") == []


async def test_a_submodule_name_cannot_leave(rig: Repo, folder: Path) -> None:
    rig.write(".gitmodules", '[submodule "../../../outside"]\n\tpath = sub\n\turl = x\n')
    rig.git("add", ".gitmodules")
    rig.git("update-index", "--add", "--cacheinfo", f"160000,{rig.sha()},sub")
    rig.git("commit", "-q", "-m", "sub")
    prepared = await git.prepare(rig.top, folder, BRANCH, "main")
    assert any("'sub'" in note for note in prepared.notes)


async def test_a_folder_deeper_than_any_path_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "root/x"
    folder.mkdir(parents=True)
    current = os.open(folder, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("node_modules", dir_fd=current)
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=current))
        below = os.open("node_modules", os.O_RDONLY, dir_fd=current)
        os.close(current)
        current = below
    os.close(current)
    await git.set_aside_folder(folder, folder.parent)
    assert await git.remove_set_aside(folder.parent) == []
    assert os.listdir(tmp_path / "root") == []


async def test_what_cannot_be_removed_keeps_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = os.unlink

    def refuse(path: str, *, dir_fd: int | None = None) -> None:
        if path == "held":
            raise PermissionError(errno.EPERM, "Operation not permitted", path)
        unlink(path, dir_fd=dir_fd)

    root = tmp_path / "root"
    for name, file in (("a", "held"), ("b", "free"), ("c", "free")):
        (root / name / "d").mkdir(parents=True)
        (root / name / "d" / file).write_text("x")
        (root / name / "d" / "other").write_text("x")
        await git.set_aside_folder(root / name, root)
    monkeypatch.setattr(os, "unlink", refuse)
    (trouble,) = await git.remove_set_aside(root)
    (left,) = os.listdir(root)
    assert left.startswith(".a.removed-") and trouble.filename == str(root / left)
    assert [str(path.relative_to(root / left)) for path in (root / left).rglob("*")] == ["d", "d/held"]
