"""Names that reach git come from an allow-list."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from at_daemon.git import names
from at_daemon.git.errors import BadName
from at_daemon.git.run import c_quoted

_ID = "0123abcd-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("title", "branch"),
    [
        ("Fix the login", "at/0123abcd-fix-the-login"),
        ("  --force  ", "at/0123abcd-force"),
        ("Ünïcödé Straße", "at/0123abcd-unicode-strae"),
        ("日本語", "at/0123abcd"),
        ("", "at/0123abcd"),
        ("a\n\x1b[31mb", "at/0123abcd-a-31mb"),
        ("../../etc/passwd", "at/0123abcd-etc-passwd"),
        ("x" * 200, "at/0123abcd-" + "x" * 40),
        ("refs.lock", "at/0123abcd-refs-lock"),
    ],
)
def test_a_branch_is_named_after_its_bead(title: str, branch: str) -> None:
    assert names.branch_name(_ID, title) == branch


@given(st.text(max_size=80))
@settings(max_examples=200)
def test_every_title_gives_a_branch_git_accepts(title: str) -> None:
    branch = names.branch_name(_ID, title)
    assert set(branch) <= set("abcdefghijklmnopqrstuvwxyz0123456789-/")
    assert names.checked_branch(branch) == branch


@given(st.text(alphabet="ab./-@{}~^:?*[\\ \x01lock", max_size=12))
@settings(max_examples=30, deadline=None)
def test_a_ref_is_accepted_only_where_git_does(name: str) -> None:
    ref = f"refs/heads/{name}"
    if names.is_ref(ref):
        done = subprocess.run(["git", "check-ref-format", ref], check=False)
        assert done.returncode == 0


@pytest.mark.parametrize(
    "ref",
    ["main", "refs/heads/", "refs/heads/-x", "refs/../x", "refs/heads/a b", "refs/heads/x.lock", "refs/x"],
)
def test_other_refs_are_refused(ref: str) -> None:
    with pytest.raises(BadName):
        names.checked_ref(ref)


@pytest.mark.parametrize("text", ["", "-x", "--upload-pack=x", "a\nb", "a\0b"])
def test_a_revision_is_no_option(text: str) -> None:
    with pytest.raises(BadName):
        names.checked_revision(text)


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../x", "a//b", "a/.git/config", ".GIT/x", "a/..", "./a", "GIT~1/x"]
)
def test_a_path_stays_inside(path: str) -> None:
    assert not names.is_inside(path)


@pytest.mark.parametrize("path", ["a", "-x", "a b/c\nd", ".gitignore", "ünï/日本"])
def test_odd_paths_are_fine(path: str) -> None:
    assert names.checked_path(path) == path


def test_trailers_are_one_line_each() -> None:
    message = names.with_trailers(
        "Subject\n\nBody  \n", {"Bead": _ID, "Agent": "evil\nSigned-off-by: you\x1b"}
    )
    assert message == f"Subject\n\nBody\n\nBead: {_ID}\nAgent: evil Signed-off-by: you\n"


@pytest.mark.parametrize(
    ("path", "quoted"), [("/a b", "/a b"), ("/a:b", '"/a:b"'), ('/a"\\\n', '"/a\\"\\\\\\n"')]
)
def test_object_folders_are_quoted_for_git(path: str, quoted: str) -> None:
    assert c_quoted(path) == quoted
