"""`at uninstall` beside a person's own things: what bears exactly a name of ours goes, what looks like one stays."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4, uuid5

import pytest

from at_cli.leftovers import entries, remove
from at_cli.testing import At
from at_daemon import environments
from at_daemon.acts.commands import FOLDER_PREFIX, GATE_PREFIX
from at_daemon.git.scratch import scratch_folder
from at_daemon.sessions import session_id_for

AGENT = UUID("3f2a9c1e-0000-4000-8000-000000000001")
GATE = f"{GATE_PREFIX}0123456789abcdef"
SET_UP = f"{FOLDER_PREFIX}0123456789abcdef"

OURS = (
    "run/at.sock",
    "run/start.lock",
    "run/h/3f2a9c1e0000-1.sock",
    "run/h/3f2a9c1e0000-12.launch",
    f"run/h/{GATE}.sock",
    f"run/h/{SET_UP}.sock",
    "run/h/holder-cpython-311-6ec462f5.pyc",
    "run/h/holder-cpython-311-6ec462f5.4711",
    "journal/3f2a9c1e0000-1/",
    f"journal/{GATE}/",
    f"journal/{SET_UP}/",
    "worktrees/3f2a9c1e0000/",
    "worktrees/.3f2a9c1e0000.at-k3_x9abz/",
    "worktrees/.3f2a9c1e0000.removed-4711-1234567/",
    "warm/3f2a9c1e0000-0/",
    "warm/.3f2a9c1e0000-7.at-k3_x9abz/",
    "warm/.3f2a9c1e0000-0.removed-4711-1234567/",
    f"gates/{GATE}/",
    f"gates/.{GATE}.index",
    f"gates/.{GATE}.index.lock",
    f"private/{AGENT}/",
    f"environments/{AGENT}.json",
    f"environments/{AGENT}.new",
    "logs/at.jsonl",
    "logs/at-daemon.jsonl.5",
    "logs/daemon.out",
    "logs/daemon.out.1",
    "logs/gates/0123456789abcdef.log",
    "logs/worktrees/3f2a9c1e0000-setup-1.log",
    "config.toml",
    ".config.toml.k3_x9abz",
)
LOOK_ALIKES = (
    "run/20260101",
    "run/at.sock.notes",
    "run/h/20261122-notes.md",
    "run/h/mine/",
    "run/h/3f2a9c1e0000-1.sock.txt",
    "journal/20260101/",
    "journal/20261122-notes.md",
    "journal/3f2a9c1e0000-1",
    "journal/3f2a9c1e0000/",
    "journal/202601011230-notes/",
    "journal/202601011230-1/",
    "worktrees/20260101/",
    "worktrees/202611222359/",
    "worktrees/20261122-notes.md",
    "worktrees/3f2a9c1e0000.txt",
    "worktrees/.3f2a9c1e0000.mine/",
    "warm/3f2a9c1e0000/",
    "warm/202601011230-1/",
    "warm/3f2a9c1e0000-9/",
    "gates/20260101/",
    "gates/gate-20261122.md",
    "gates/gate-20261122/",
    "private/20260101/",
    "private/20261122-notes.md",
    "private/3f2a9c1e/",
    "environments/20260101",
    "environments/20261122-notes.json",
    "logs/20260101",
    "logs/at.jsonl.gz",
    "logs/at-daemon.jsonl-notes",
    "logs/daemon.out.txt",
    "logs/gates/20261122-notes.log",
    "logs/gates/20260101/",
    "logs/worktrees/3f2a9c1e0000-notes-1.log",
    "config.toml.bak",
    "config.toml.new",
    "cache.db.old",
    "cache.db.bak",
    "cache.db/",
    "config.toml.d/",
    ".config.toml.k3_x9abz/",
)


def make(root: Path, name: str) -> Path:
    """A file, or a folder with one where the name ends in a slash; the path of what is to stay or to go."""
    path = root / name.removesuffix("/")
    file = path / "diary.txt" if name.endswith("/") else path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("#" * 100)
    return path


def strangers(at: At) -> set[str]:
    """What is listed as not made by the tool."""
    return {entry["path"] for entry in at("uninstall", "--json").document["entries"] if not entry["ours"]}


@pytest.mark.parametrize("name", OURS)
def test_what_bears_a_name_of_ours_goes(at: At, name: str) -> None:
    at.home.make()
    make(at.home.root, name)
    assert strangers(at) == set()
    assert remove(at.home, entries(at.home, at.environ)) == []
    assert not at.home.root.exists()


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_what_looks_like_a_name_of_ours_stays_and_is_listed(at: At, name: str) -> None:
    at.home.make()
    path = make(at.home.root, name)
    assert strangers(at) == {str(path)}
    outcome = at("uninstall", "--yes")
    assert outcome.code == 0 and f"  {path}" in outcome.out
    kept = [each for each in at.home.root.rglob("*") if each.is_file()]
    assert kept == [path / "diary.txt" if name.endswith("/") else path]
    assert set(at.home.root.rglob("*")) <= {path, *path.parents, *kept}


def test_all_at_once(at: At) -> None:
    at.home.make()
    ours = [make(at.home.root, name) for name in OURS]
    theirs = [make(at.home.root, name) for name in LOOK_ALIKES if at.home.root / name not in ours]
    assert strangers(at) == {str(path) for path in theirs}
    sizes = {entry["path"]: entry["bytes"] for entry in at("uninstall", "--json").document["entries"]}
    assert sizes[str(at.home.run)] == 100 * sum(name.startswith("run/") for name in OURS)
    assert remove(at.home, entries(at.home, at.environ)) == []
    assert all(path.exists() for path in theirs) and not any(path.exists() for path in ours)


@pytest.mark.parametrize("name", ["journal/3f2a9c1e0000-1", "logs/at.jsonl", "run/h"])
def test_a_link_in_a_folder_of_ours_is_a_person_s(at: At, tmp_path: Path, name: str) -> None:
    at.home.make()
    (tmp_path / "elsewhere").mkdir()
    link = at.home.root / name
    if link.is_dir():
        link.rmdir()
    link.symlink_to(tmp_path / "elsewhere")
    assert at("uninstall", "--yes").code == 0
    assert link.is_symlink() and (tmp_path / "elsewhere").is_dir()


def test_the_names_are_those_that_the_product_makes(at: At) -> None:
    at.home.make()
    for agent in (uuid4(), uuid5(AGENT, "another")):
        environments.save(at.home, agent, {"A": "b"})
        (at.home.journal / session_id_for(agent, 1)).mkdir()
        (at.home.private / str(agent)).mkdir()
        scratch_folder(at.home.worktrees / agent.hex[:12])
        scratch_folder(at.home.warm / f"{agent.hex[:12]}-0")
    scratch_folder(at.home.gates / GATE)
    scratch_folder(at.home.scratch / "overlap")
    assert strangers(at) == set()


@pytest.mark.parametrize("text", ["", "mine\n"])
def test_a_lock_that_no_daemon_wrote_is_no_sign(at: At, text: str) -> None:
    at.home.run.mkdir(parents=True)
    at.home.lock_file.write_text(text)
    diary = make(at.home.root, "journal/3f2a9c1e0000-1/")
    outcome = at("uninstall", "--yes", "--json")
    assert (outcome.code, outcome.error["code"]) == (1, "refused")
    assert (diary / "diary.txt").exists() and at.home.lock_file.exists()
