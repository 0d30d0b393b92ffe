"""What a person's rules for line endings and encodings do not fit is taken over and kept all the same, as it lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from at_daemon import git
from at_daemon.git.testing import BEAD, BRANCH, REF, Repo

pytestmark = pytest.mark.anyio
ENCODED = "*.ps1 working-tree-encoding=UTF-16\n"


@pytest.fixture
async def agent(rig: Repo, folder: Path) -> Repo:
    """A file that is encoded as the attributes say, and three that are not."""
    await git.prepare(rig.top, folder, BRANCH, "main")
    agent = Repo(folder)
    agent.write(".gitattributes", ENCODED)
    agent.write("right.ps1", "hällo\n".encode("utf-16"))
    agent.write("wrong.ps1", "hällo\n")
    agent.write("odd name\n.ps1", b"\xff\x00\xfe")
    agent.write("run.ps1", "run\n").chmod(0o755)
    agent.write("a.txt", "changed\n")
    return agent


async def test_what_is_not_encoded_as_its_attributes_say_is_kept_as_it_lies(
    rig: Repo, agent: Repo, tmp_path: Path
) -> None:
    entry = await git.keep(rig.top, agent.top, BEAD, "removed")
    rows = rig.git("ls-tree", "-z", entry.tree).split("\0")
    found = {name: head.split(" ") for head, _, name in (row.partition("\t") for row in rows if row)}
    kept = {name: found[name][2] for name in ("wrong.ps1", "odd name\n.ps1", "run.ps1", "right.ps1")}
    expected = {
        "wrong.ps1": "hällo\n".encode(),
        "odd name\n.ps1": b"\xff\x00\xfe",
        "run.ps1": b"run\n",
        "right.ps1": "hällo\n".encode(),
    }
    assert kept == {
        name: rig.git("hash-object", "--stdin", "--no-filters", stdin=content)
        for name, content in expected.items()
    }
    assert (found["run.ps1"][0], found["wrong.ps1"][0]) == ("100755", "100644")
    assert len(entry.incomplete) == 3 and all("is not encoded" in note for note in entry.incomplete)
    assert await git.keep(rig.top, agent.top, BEAD, "removed") == entry
    restored = await git.restore(rig.top, entry.ref, tmp_path / "back")
    assert set(entry.incomplete) <= set(restored.notes)
    assert (tmp_path / "back/right.ps1").read_bytes().decode("utf-16") == "hällo\n"
    assert (tmp_path / "back/a.txt").read_text() == "changed\n"


async def test_it_is_collected_with_a_note_once(rig: Repo, agent: Repo) -> None:
    found = await git.collect(rig.top, agent.top, BRANCH, REF, rig.sha(), "work")
    assert set(found.changed_paths) > {"wrong.ps1", "odd name\n.ps1", "right.ps1", "a.txt"}
    assert rig.git("show", f"{found.head}:wrong.ps1") == "hällo"
    (note,) = found.notes
    assert "'wrong.ps1'" in note and "not encoded" in note
    again = await git.collect(rig.top, agent.top, BRANCH, REF, rig.sha(), "work")
    assert (again.head, again.notes) == (found.head, ())


async def test_a_person_who_forbids_mixed_line_endings_loses_no_work(rig: Repo, folder: Path) -> None:
    rig.git("config", "core.autocrlf", "true")
    rig.git("config", "core.safecrlf", "true")
    await git.prepare(rig.top, folder, BRANCH, "main")
    assert Repo(folder).git("config", "core.safecrlf") == "true"
    Repo(folder).write("unix.txt", "one\ntwo\n")
    Repo(folder).write("mixed.txt", "one\r\ntwo\n")
    entry = await git.keep(rig.top, folder, BEAD, "removed")
    assert rig.git("show", f"{entry.tree}:mixed.txt") == rig.git("show", f"{entry.tree}:unix.txt")
    found = await git.collect(rig.top, folder, BRANCH, REF, rig.sha(), "work")
    assert set(found.changed_paths) == {"unix.txt", "mixed.txt"}
