"""What drivers do where something else stands in the place of a file that is not theirs."""

from __future__ import annotations

import json
import os
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from at_session import foreign_files
from at_session.drivers import (
    codex_record,
    gemini_record,
    opencode_permission,
    opencode_record,
)
from at_session.drivers.claude import ClaudeDriver
from at_session.drivers.codex import CodexDriver
from at_session.drivers.gemini import GeminiDriver
from at_session.errors import LaunchRefused, NotRegularFile, TooLargeFile
from at_session.vocabulary import Allow, DriverState, Launch, LaunchRequest, Unparsed

# A read that waits or has no end fails, and takes neither the machine's time nor its memory with it.
pytestmark = [pytest.mark.timeout(10), pytest.mark.usefixtures("little_memory")]

SESSION = "01a204f6-598b-7891-9706-f72151225fbf"
HUGE = foreign_files.RECORD_LIMIT + 1


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, HUGE)


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def tied(path: Path) -> None:
    target = path.with_name(f"{path.name}.target")
    os.mkfifo(target)
    path.symlink_to(target.name)


Make = Callable[[Path], Any]
ODD: dict[str, Make] = {
    "pipe": os.mkfifo,
    "link-to-pipe": tied,
    "endless": endless,
    "folder": Path.mkdir,
    "large": huge,
    "loop": loop,
}
EACH_ODD = pytest.mark.parametrize("make", ODD.values(), ids=ODD.keys())


@pytest.fixture
def little_memory() -> Iterator[None]:
    """A limit of 1 GiB beyond what the process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 30), hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (before, hard))


def placed(make: Make, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)
    return path


def request(home: Path, **changes: Any) -> LaunchRequest:
    plain: dict[str, Any] = {
        "agent_id": "a1",
        "binary": "cli",
        "args": (),
        "cwd": str(home / "repo"),
        "env": {"HOME": str(home), "TMPDIR": "/nowhere"},
        "private_dir": str(home / "private"),
    }
    return LaunchRequest(**{**plain, **changes})


# --- the reader -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [lambda path: foreign_files.read_bytes(path, 1 << 20), foreign_files.lines])
@EACH_ODD
def test_nothing_but_a_small_enough_regular_file_is_read(
    tmp_path: Path, make: Make, read: Callable[[Path], Any]
) -> None:
    with pytest.raises(OSError):
        list(read(placed(make, tmp_path / "odd")))


@pytest.mark.parametrize(
    ("make", "error"),
    [(os.mkfifo, NotRegularFile), (Path.mkdir, NotRegularFile), (huge, TooLargeFile), (loop, OSError)],
)
def test_an_error_names_the_file(tmp_path: Path, make: Make, error: type[OSError]) -> None:
    path = placed(make, tmp_path / "odd")
    with pytest.raises(error) as caught:
        foreign_files.read_bytes(path, 10)
    assert str(caught.value.filename) == str(path)
    assert caught.value.errno and caught.value.strerror


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    path = placed(os.mkfifo, tmp_path / "odd")
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        with pytest.raises(NotRegularFile):
            foreign_files.read_bytes(path, 10)
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize(("size", "fits"), [(0, True), (9, True), (10, True), (11, False)])
def test_the_bound_is_the_last_size_that_is_read(tmp_path: Path, size: int, fits: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    if fits:
        assert foreign_files.read_bytes(path, 10) == b"".join(foreign_files.lines(path, 10)) == b"x" * size
        return
    for read in (foreign_files.read_bytes, lambda path, limit: list(foreign_files.lines(path, limit))):
        with pytest.raises(TooLargeFile, match="has 11 bytes; at most 10 are read"):
            read(path, 10)


def test_a_file_without_a_size_is_read_up_to_the_bound() -> None:
    status = Path("/proc/self/status")
    assert status.stat().st_size == 0
    assert foreign_files.read_bytes(status, 1 << 16).startswith(b"Name:")
    with pytest.raises(TooLargeFile):
        foreign_files.read_bytes(status, 10)
    with pytest.raises(TooLargeFile):
        list(foreign_files.lines(status, 10))


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"one\ntwo")
    (tmp_path / "link").symlink_to("real")
    assert list(foreign_files.lines(tmp_path / "link")) == [b"one\n", b"two"]
    assert list(foreign_files.lines(tmp_path / "link", offset=4)) == [b"two"]
    assert list(foreign_files.lines(tmp_path / "link", offset=40)) == []


def test_a_line_without_end_is_not_taken_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "record"
    path.touch()
    os.truncate(path, foreign_files.LINE_LIMIT + 1)
    with pytest.raises(TooLargeFile):
        list(foreign_files.lines(path))


# --- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["", "repo"])
@EACH_ODD
def test_gemini_starts_as_without_settings(tmp_path: Path, make: Make, folder: str) -> None:
    def launched(home: Path) -> Launch:
        env = {"HOME": str(home), "GEMINI_API_KEY": "k"}
        return GeminiDriver().launch(
            request(home, env=env, instructions="Brief.", session_id=SESSION, resume=True)
        )

    bare = launched(tmp_path / "bare")
    placed(make, tmp_path / "odd" / folder / ".gemini" / "settings.json")
    odd = launched(tmp_path / "odd")
    assert odd.argv[-1] == bare.argv[-1].replace("/bare/", "/odd/")
    assert {**odd.env, "HOME": ""} == {**bare.env, "HOME": ""}
    assert [path.name for path in (tmp_path / "odd" / "private" / "instructions").iterdir()] == ["GEMINI.md"]


@EACH_ODD
def test_codex_opens_nothing_more(tmp_path: Path, make: Make) -> None:
    bare = CodexDriver().launch(request(tmp_path)).argv
    placed(make, tmp_path / ".codex" / "config.toml")
    assert CodexDriver().launch(request(tmp_path)).argv == bare


def test_codex_opens_nothing_more_for_settings_that_are_nested_without_end(tmp_path: Path) -> None:
    bare = CodexDriver().launch(request(tmp_path)).argv
    (tmp_path / ".codex").mkdir()
    (tmp_path / ".codex" / "config.toml").write_text("x = " + "[" * 100_000)
    assert CodexDriver().launch(request(tmp_path)).argv == bare


OPENCODE = [".config/opencode/opencode.json", "repo/opencode.jsonc", "repo/.opencode/config.json"]


@pytest.mark.parametrize("name", OPENCODE)
@pytest.mark.parametrize("kind", ["pipe", "link-to-pipe", "endless", "large"])
def test_opencode_is_not_started_with_settings_that_only_it_would_read(
    tmp_path: Path, kind: str, name: str
) -> None:
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    path = placed(ODD[kind], tmp_path / name)
    with pytest.raises(LaunchRefused) as caught:
        opencode_permission.permission(Allow.EDITS, {"HOME": str(tmp_path)}, str(tmp_path / "repo"))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", OPENCODE)
@pytest.mark.parametrize("kind", ["folder", "loop"])
def test_opencode_asks_where_there_are_no_settings(tmp_path: Path, kind: str, name: str) -> None:
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    placed(ODD[kind], tmp_path / name)
    given = opencode_permission.permission(Allow.ASK, {"HOME": str(tmp_path)}, str(tmp_path / "repo"))
    assert json.loads(given or "") == {"bash": {"*": "ask"}, "edit": {"*": "ask"}}


@pytest.mark.parametrize(
    "piece",
    ["/*", '"\\', '"\\"', "//", ",", "["],
    ids=["comments", "texts", "quotes", "lines", "commas", "nested"],
)
def test_opencode_settings_are_gone_through_once(tmp_path: Path, piece: str) -> None:
    (tmp_path / "opencode.json").write_text((piece * (1 << 20))[: 1 << 20])
    given = opencode_permission.permission(Allow.EDITS, {"HOME": "/nonexistent"}, str(tmp_path))
    assert json.loads(given or "") == {"bash": {"*": "ask"}}


@pytest.mark.parametrize("name", ["*" * 50_000 + "x", "*a" * 20_000, "*?" * 20_000, "?" * 50_000])
def test_a_tools_name_of_many_stars_takes_no_time(name: str) -> None:
    env = {"HOME": "/nonexistent", "OPENCODE_CONFIG_CONTENT": json.dumps({"permission": {name: "allow"}})}
    given = opencode_permission.permission(Allow.EDITS, env, "/nonexistent")
    assert json.loads(given or "") == {"bash": {"*": "ask"}}


@pytest.mark.parametrize(
    ("names", "last"), [(["bash"], "bas?"), (["bash", "bas?"], "ba?h"), (["bas?", "ba?h"], "bash")]
)
def test_our_rule_counts_last_whatever_names_the_settings_have(names: list[str], last: str) -> None:
    settings = {"permission": {**dict.fromkeys(names, "allow"), "*": "allow"}}
    env = {"HOME": "/nonexistent", "OPENCODE_CONFIG_CONTENT": json.dumps(settings)}
    given = opencode_permission.permission(Allow.EDITS, env, "/nonexistent")
    assert json.loads(given or "") == {last: {"*": "ask"}}


def test_opencode_is_not_started_where_no_rule_of_ours_would_count_last() -> None:
    names = ("bash", "bas?", "ba?h", "b?sh", "?ash", "*")
    content = json.dumps({"permission": dict.fromkeys(names, "allow")})
    with pytest.raises(LaunchRefused, match="in every way"):
        opencode_permission.permission(
            Allow.EDITS, {"HOME": "/nonexistent", "OPENCODE_CONFIG_CONTENT": content}, "/nonexistent"
        )


# --- names of context files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["..", ".", "", "/", "a/b", "a\0b", "x" * 300, "\N{ROCKET}" * 64, "\ud800", "GEMINI.md", 7, ["A.md"]],
)
def test_a_name_that_cannot_be_one_is_passed_over(tmp_path: Path, name: object) -> None:
    (tmp_path / ".gemini").mkdir()
    text = json.dumps({"context": {"fileName": [name, "B.md"]}})
    (tmp_path / ".gemini" / "settings.json").write_text(text)
    GeminiDriver().launch(request(tmp_path, instructions="Brief."))
    found = {path.name: path.read_text() for path in (tmp_path / "private" / "instructions").iterdir()}
    assert found == {"B.md": "Brief.", "GEMINI.md": "Brief."}


def test_the_number_of_names_is_bounded(tmp_path: Path) -> None:
    (tmp_path / ".gemini").mkdir()
    text = json.dumps({"context": {"fileName": [f"{number}.md" for number in range(20_000)]}})
    (tmp_path / ".gemini" / "settings.json").write_text(text)
    GeminiDriver().launch(request(tmp_path, instructions="Brief."))
    assert len(list((tmp_path / "private" / "instructions").iterdir())) == 64


def tree(path: Path) -> None:
    (path / "below" / "more").mkdir(parents=True)
    (path / "below" / "old.md").write_text("old")
    (path / "link").symlink_to("/")
    (path / "below").chmod(0o500)


def linked(path: Path) -> None:
    kept = path.with_name("kept")
    kept.mkdir()
    (kept / "old.md").write_text("old")
    path.symlink_to(kept)


@pytest.mark.parametrize("make", [tree, linked, Path.touch, os.mkfifo, loop])
def test_the_folder_of_instructions_is_made_anew(tmp_path: Path, make: Make) -> None:
    folder = placed(make, tmp_path / "private" / "instructions")
    for _ in range(2):
        GeminiDriver().launch(request(tmp_path, instructions="Brief."))
        assert not folder.is_symlink()
        assert {path.name: path.read_text() for path in folder.iterdir()} == {"GEMINI.md": "Brief."}
    kept = folder.with_name("kept")
    assert not kept.exists() or (kept / "old.md").read_text() == "old"


# --- records --------------------------------------------------------------------------------------------------------


@EACH_ODD
def test_a_record_of_codex_that_cannot_be_read_is_told(tmp_path: Path, make: Make) -> None:
    name = f"sessions/2026/01/01/rollout-2026-01-01T00-00-00-{SESSION}.jsonl"
    path = placed(make, tmp_path / ".codex" / name)
    with pytest.raises(OSError):
        codex_record.read(path)
    resumed = CodexDriver(DriverState({"thread": SESSION, "spoken": True}))
    resumed.launch(request(tmp_path, session_id=SESSION, resume=True))
    assert resumed.state.values["resume"] == SESSION
    killed = CodexDriver(
        DriverState({"thread": SESSION, "turn": {"id": "t", "message": "m1"}, "known": ["m1"]})
    )
    (event,) = killed.reconcile({"HOME": str(tmp_path)}, "/nowhere")
    assert isinstance(event, Unparsed) and SESSION in event.excerpt


@pytest.mark.parametrize("kind", ["pipe", "link-to-pipe", "endless", "folder", "large"])
def test_a_transcript_of_claude_that_cannot_be_read_is_told(tmp_path: Path, kind: str) -> None:
    placed(ODD[kind], tmp_path / ".claude" / "projects" / "-repo" / f"{SESSION}.jsonl")
    env = {"HOME": str(tmp_path)}
    launch = ClaudeDriver().launch(request(tmp_path, env=env, session_id=SESSION, resume=True))
    assert launch.argv[launch.argv.index("--resume") + 1] == SESSION  # it is there: no other can have its id
    (event,) = ClaudeDriver(DriverState({"current": "u1", "session": [SESSION, "m"]})).reconcile(
        env, "/nowhere"
    )
    assert isinstance(event, Unparsed) and SESSION in event.excerpt


@pytest.mark.parametrize("name", [f"session-now-{SESSION[:8]}.jsonl", f"{SESSION}/inner.jsonl"])
@EACH_ODD
def test_a_record_of_gemini_that_cannot_be_read_is_told(tmp_path: Path, make: Make, name: str) -> None:
    placed(make, tmp_path / ".gemini" / "tmp" / "repo" / "chats" / name)
    with pytest.raises(OSError):
        gemini_record.read({"HOME": str(tmp_path)}, SESSION, {})
    driver = GeminiDriver(DriverState({"session": SESSION}))
    (event,) = driver.reconcile({"HOME": str(tmp_path)}, "/nowhere")
    assert isinstance(event, Unparsed) and SESSION in event.excerpt


@pytest.mark.parametrize("kind", ["pipe", "link-to-pipe", "endless", "folder", "loop"])
@pytest.mark.parametrize("end", ["", "-wal", "-shm", "-journal"])
def test_a_database_of_opencode_that_is_no_file_gives_a_reason(tmp_path: Path, kind: str, end: str) -> None:
    path = tmp_path / "opencode.db"
    if end:
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE session (id, parent_id)")
    placed(ODD[kind], tmp_path / f"opencode.db{end}")
    reason = opencode_record.messages(path, "s", 10)
    assert isinstance(reason, str) and "opencode.db" in reason
