"""Conflicts between works that nobody handed in yet: foreseen exactly as git itself would meet them."""

from __future__ import annotations

import random
from pathlib import Path

import anyio
import pytest

from at_daemon.git.clone import prepare
from at_daemon.git.overlap import Tip, overlaps, read_tips
from at_daemon.git.testing import Repo

PAIRS = 30
LINES = 12
FILES = ("a.txt", "b.txt", "deep/c.txt", "notes.log")


def text(words: list[str]) -> str:
    return "".join(f"{word}\n" for word in words)


@pytest.fixture
def rig(tmp_path: Path) -> Repo:
    """A repository with files of some lines, one of which merges by union."""
    (tmp_path / "rig").mkdir()
    repo = Repo(tmp_path / "rig")
    repo.git("init", "-q", "-b", "main")
    repo.git("config", "user.name", "Ada Example")
    repo.git("config", "user.email", "ada@example.com")
    repo.commit("Begin", **{name: text([f"line {n}" for n in range(LINES)]) for name in FILES})
    repo.commit("Attributes", **{".gitattributes": "*.log merge=union\n"})
    return repo


def change(repo: Repo, dice: random.Random, tag: str) -> None:
    """Some edits: lines changed, a file removed, added, renamed or made executable."""
    for name in dice.sample(FILES, dice.randint(1, 2)):
        file = repo.top / name
        match dice.choice(["edit", "edit", "edit", "remove", "rename", "mode"]):
            case "edit":
                lines = [f"line {n}" for n in range(LINES)]
                lines[dice.randrange(LINES)] = f"changed by {dice.choice(['both', tag])}"
                file.write_text(text(lines))
            case "remove":
                file.unlink()
            case "rename":
                file.rename(file.with_name(f"moved-{dice.choice(['both', tag])}.txt"))
            case "mode":
                file.chmod(0o755)
    if dice.random() < 0.3:
        repo.write("new.txt", f"new from {dice.choice(['both', tag])}\n")
    repo.commit(f"Work of {tag}")


def as_git_says(rig: Repo, one: Repo, two: Repo, folder: Path) -> set[str]:
    """The files that a real merge of the two in a checkout leaves in conflict."""
    rig.git("worktree", "add", "-q", "--detach", str(folder), "main")
    there = Repo(folder)
    there.git("fetch", "-q", str(one.top), "HEAD")
    there.git("reset", "-q", "--hard", "FETCH_HEAD")
    there.git("fetch", "-q", str(two.top), "HEAD")
    there.git("merge", "-q", "--no-edit", "FETCH_HEAD", ok=False)
    return set(there.git("ls-files", "-u", "--format=%(path)").splitlines())


def test_thirty_pairs_are_foreseen_as_git_merges_them(rig: Repo, tmp_path: Path) -> None:
    conflicts = 0
    for number in range(PAIRS):
        dice = random.Random(number)
        works: list[Repo] = []
        for tag in ("one", "two"):
            folder = tmp_path / f"{number}-{tag}"
            anyio.run(prepare, rig.top, folder, f"at/{number}-{tag}", "main")
            works.append(Repo(folder))
            change(works[-1], dice, tag)
        one, two = works
        tips = [Tip(work.sha(), work.top) for work in works]
        (found,) = anyio.run(
            overlaps, rig.top, tips[0], tips[1:], "refs/heads/main", tmp_path / "scratch" / "overlap"
        )
        expected = as_git_says(rig, one, two, tmp_path / f"{number}-real")
        assert found is not None and set(found) == expected, number
        conflicts += bool(expected)
    assert 5 < conflicts < PAIRS - 5


def test_nothing_is_touched_and_what_cannot_be_known_says_so(rig: Repo, tmp_path: Path) -> None:
    folder = tmp_path / "clone"
    anyio.run(prepare, rig.top, folder, "at/work", "main")
    clone = Repo(folder)
    clone.commit("Work", **{"a.txt": "mine\n"})
    other = rig.commit("Other", **{"a.txt": "theirs\n"})
    lone = rig.git("commit-tree", "-m", "unrelated", rig.git("rev-parse", "HEAD^{tree}"))
    before = [sorted(path for path in each.top.rglob("*") if path.is_file()) for each in (rig, clone)]
    tips = [Tip("0" * 40), Tip(other), Tip(lone), Tip(rig.sha("HEAD~1"))]
    found = anyio.run(
        overlaps, rig.top, Tip(clone.sha(), folder), tips, "refs/heads/main", tmp_path / "scratch" / "overlap"
    )
    assert found == [None, ("a.txt",), None, ()]
    assert before == [sorted(path for path in each.top.rglob("*") if path.is_file()) for each in (rig, clone)]
    assert anyio.run(read_tips, [folder, tmp_path / "nowhere"]) == [clone.sha(), None]


@pytest.mark.parametrize("name", ["^{tree}", ":a.txt"])
def test_a_work_that_lacks_an_object_is_not_known_and_the_others_are(
    rig: Repo, tmp_path: Path, name: str
) -> None:
    works: list[Repo] = []
    for title in ("one", "two", "three"):
        anyio.run(prepare, rig.top, tmp_path / title, f"at/{title}", "main")
        works.append(Repo(tmp_path / title))
        works[-1].commit("Work", **{"a.txt": f"{title}\n"})
    tip, *others = (Tip(work.sha(), work.top) for work in works)
    sha = works[1].git("rev-parse", f"HEAD{name}")
    (works[1].top / ".git/objects" / sha[:2] / sha[2:]).unlink()
    met = [*others, Tip(rig.sha())]
    found = anyio.run(overlaps, rig.top, tip, met, "refs/heads/main", tmp_path / "scratch" / "overlap")
    assert found == [None, ("a.txt",), ()]
