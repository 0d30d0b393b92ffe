"""Any order of destructive acts, killed anywhere: every byte that was committed or lay in a folder can be had back."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from at_daemon.failpoints import NAMES_OF_RECOVERY
from at_daemon.git.testing import Repo

SHORT = 4
LONG = int(os.environ.get("AT_UNDO_SEQUENCES", "200"))
PLACES = (
    *NAMES_OF_RECOVERY,
    "intent.before-act",
    "intent.after-act",
    "intent.after-act:2",
    "store.before-commit",
    "store.before-commit:2",
    "store.after-commit:2",
    "store.before-commit:3",
)
CONFIG = "[user]\nname = Ada\nemail = ada@example.org\n[init]\ndefaultBranch = main\n[core]\nfsync = none\n"

Files = dict[str, bytes]
paths = st.sampled_from(["a.txt", "a.txt/in", "d", "d/inner.txt", "new file", "tiefe/größe.txt", "run.sh"])
contents = st.sampled_from(
    [b"one\n", b"two\r\nlines\r\n", b"\x00\xff\x00", b"", b"no end", b"a\nb\nc\n"]
) | st.binary(max_size=40)
places = st.just("") | st.sampled_from(PLACES)
picks = st.integers(0, 5)  # what is drawn never depends on how far a killed daemon came


class Daemons:
    """The process that forks daemons, and one template of a home and a repository."""

    def __init__(self, top: Path) -> None:
        self.template = top / "template"
        home = top / "person"
        home.mkdir()
        (home / ".gitconfig").write_text(CONFIG)
        self.env = {**{k: v for k, v in os.environ.items() if not k.startswith("GIT_")}, "HOME": str(home)}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("daemons.py"))],
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        repo = self.template / "repo"
        repo.mkdir(parents=True)
        for name, text in {"a.txt": "a\nb\nc\n", "d/inner.txt": "inner\n", ".gitignore": "*.log\n"}.items():
            (repo / name).parent.mkdir(exist_ok=True)
            (repo / name).write_text(text)
        for words in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "first")):
            subprocess.run(["git", *words], cwd=repo, env=self.env, check=True)

    def ask(self, **request: Any) -> dict[str, Any]:
        """One request to a daemon of its own."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        said: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert "broken" not in said
        return said

    def end(self) -> None:
        """No more requests."""
        self._process.communicate()


def blob(content: bytes) -> str:
    """The name that git gives these bytes."""
    return hashlib.sha1(b"blob %d\0%s" % (len(content), content), usedforsecurity=False).hexdigest()


def tree_of(repo: Repo, revision: str) -> dict[str, str]:
    """Path to the name of its content."""
    rows = (row.partition("\t") for row in repo.git("ls-tree", "-r", "-z", revision).split("\0") if row)
    return {path: head.split(" ")[2] for head, _, path in rows}


def files_in(folder: Path) -> Files:
    """What lies there and is not ignored."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(folder).parts and path.suffix != ".log"
    }


def make_way(path: Path) -> None:
    """Have neither a folder be there, nor a file where a folder is to be."""
    if path.is_dir():
        shutil.rmtree(path)
    elif path.parent.is_file():
        path.parent.unlink()


class Recovery(RuleBasedStateMachine):
    """Beads worked on by hand, removed, brought back and restored, with daemons that die on the way."""

    daemons: ClassVar[Daemons]

    @initialize()
    def begin(self) -> None:
        self.top = Path(tempfile.mkdtemp(dir=self.daemons.template.parent))
        shutil.copytree(self.daemons.template, self.top / "t")
        self.repo, self.home = self.top / "t/repo", self.top / "at"
        self.home.mkdir(mode=0o700)
        self.committed: set[str] = set()
        self.removed: list[tuple[str, Files]] = []
        self.restored = 0
        self.run()

    def teardown(self) -> None:
        if hasattr(self, "top"):
            shutil.rmtree(self.top)

    def ask(self, route: str, place: str = "", bead: str = "", **body: Any) -> dict[str, Any]:
        """A request; where it was killed, what the next daemon made of it is waited for."""
        request = {
            "home": str(self.home),
            "path": {"bead": bead},
            "route": route,
            "place": place,
            "body": body,
        }
        said = self.daemons.ask(**request)
        if "killed" in said:
            assert self.daemons.ask(**{**request, "route": "", "place": ""}) == {}
        return said

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Read the store as it lies on disk."""
        connection = sqlite3.connect(self.home / "cache.db")
        found = connection.execute(query).fetchall() if (self.home / "cache.db").stat().st_size else []
        connection.close()
        return found

    def beads(self) -> dict[str, str]:
        return dict(self.rows("SELECT id, status FROM beads ORDER BY number"))

    def folder(self, bead: str) -> Path:
        return self.home / "worktrees" / bead.replace("-", "")[:12]

    def live(self) -> list[str]:
        return (
            [bead for bead in self.beads() if self.folder(bead).exists()]
            if (self.home / "cache.db").exists()
            else []
        )

    def attic(self) -> list[tuple[str, dict[str, str]]]:
        """Bead and files (as git names their content) of each entry."""
        rig = Repo(self.repo)
        found = []
        for ref in filter(None, rig.git("for-each-ref", "--format=%(refname)", "refs/at/attic/").split("\n")):
            found.append((ref.split("/")[3], tree_of(rig, ref)))
        return found

    def assert_kept(self) -> None:
        """All that was removed is in the attic as it lay there; all that was committed is reachable."""
        attic = self.attic()
        for bead, files in self.removed:
            assert (bead, {path: blob(content) for path, content in files.items()}) in attic
        listed = ("rev-list", "--objects", "--no-object-names", "--all")
        reachable = set(Repo(self.repo).git(*listed).split("\n"))
        for bead in self.live():
            reachable |= set(Repo(self.folder(bead)).git(*listed, "--reflog", "HEAD").split("\n"))
        assert self.committed <= reachable

    @rule()
    def run(self) -> None:
        if (self.home / "cache.db").exists() and len(self.beads()) > 2:
            return
        order = {"cli": "demo", "env": {"PATH": os.environ["PATH"]}}
        assert "result" in self.ask("run", path=str(self.repo), prompt="work", order=order)

    @rule(
        pick=picks,
        path=paths,
        content=contents,
        how=st.sampled_from(["lies", "staged", "committed", "amended", "stashed"]),
    )
    def write(self, pick: int, path: str, content: bytes, how: str) -> None:
        if not (live := self.live()):
            return
        agent = Repo(self.folder(live[pick % len(live)]))
        make_way(agent.top / path)
        agent.write(path, content)
        agent.write("noise.log", "ignored")
        if how == "lies":
            return
        agent.git("add", "-A")
        if how in ("committed", "amended"):
            there = set(agent.git("ls-files", "--format=%(objectname)").split("\n"))
            agent.git(
                "commit", "-q", "--allow-empty", "-m", "more", *(["--amend"] if how == "amended" else [])
            )
            self.committed |= there
        elif how == "stashed" and agent.git("diff", "--cached", "--name-only"):
            self.committed |= set(agent.git("ls-files", "--format=%(objectname)").split("\n"))
            agent.git("stash", "-q")

    @rule(pick=picks, place=places)
    def rm(self, pick: int, place: str) -> None:
        if not (live := self.live()):
            return
        bead = live[pick % len(live)]
        files = files_in(self.folder(bead))
        self.ask("remove", place, bead)
        if bead not in self.beads():
            assert not self.folder(bead).exists()
            self.removed.append((bead, files))
        else:
            assert place and files_in(self.folder(bead)) == files
        self.assert_kept()

    @rule(pick=picks, place=places, named=st.booleans())
    def undo(self, pick: int, place: str, named: bool) -> None:
        before, gone = set(self.beads()), {bead for bead, _ in self.removed}
        if not gone:
            return
        word = sorted(gone)[pick % len(gone)] if named else None
        said = self.ask("undo", place, path=str(self.repo), act=word)
        if "killed" in said and place == "restore.after-folder":
            assert set(self.beads()) > before
        for bead in set(self.beads()) - before:
            newest = [files for removed, files in self.removed if removed == bead][-1]
            assert files_in(self.folder(bead)) == newest
        acts = self.rows(
            "SELECT bead_id, count(*) FROM destructive_acts WHERE kind = 'rm' AND done_at IS NOT NULL AND undone_at IS NULL GROUP BY bead_id"
        )
        assert dict(acts) == dict.fromkeys(gone - set(self.beads()), 1)
        self.assert_kept()

    @rule(pick=picks, place=places, route=st.sampled_from(["fail", "hand in", "retry", "fresh"]))
    def decide(self, pick: int, place: str, route: str) -> None:
        if not (live := self.live()):
            return
        bead = live[pick % len(live)]
        files = files_in(self.folder(bead))
        if route in ("fail", "hand in"):
            self.ask("done", place, bead, fail=route == "fail")
        else:
            self.ask("retry", place, bead, fresh=route == "fresh")
        assert files_in(self.folder(bead)) == files
        self.assert_kept()

    @rule(pick=picks, on_branch=st.booleans())
    def restore(self, pick: int, on_branch: bool) -> None:
        if not self.removed:
            return
        bead, files = self.removed[pick % len(self.removed)]
        wanted = (bead, {path: blob(content) for path, content in files.items()})
        number = 1 + [entry for entry in self.attic() if entry[0] == bead].index(wanted)
        self.restored += 1
        where = (
            {"branch": f"back-{self.restored}"}
            if on_branch
            else {"to": str(self.top / f"back-{self.restored}")}
        )
        assert "result" in self.ask("attic_restore", entry=f"{bead}/{number}", **where)
        if on_branch:
            assert tree_of(Repo(self.repo), where["branch"]) == wanted[1]
        else:
            assert files_in(Path(where["to"])) == files


@contextmanager
def daemons(top: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Daemons for every machine of one test; git of the test sees their person's settings."""
    made = Daemons(top)
    monkeypatch.setenv("HOME", made.env["HOME"])
    Recovery.daemons = made
    try:
        yield
    finally:
        made.end()


def run_sequences(count: int) -> None:
    """Let hypothesis make so many."""
    run_state_machine_as_test(
        Recovery,
        settings=settings(
            max_examples=count, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with daemons(tmp_path, monkeypatch):
        run_sequences(SHORT)


@pytest.mark.crash
@pytest.mark.timeout(3600)
def test_nothing_is_lost_in_many_sequences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with daemons(tmp_path, monkeypatch):
        run_sequences(LONG)
