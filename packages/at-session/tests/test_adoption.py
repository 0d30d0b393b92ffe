"""Sessions that a person began: found by their id, and made known to the CLI in another folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from at_session.adoption import Adoption, OwnSession, is_session_id
from at_session.drivers import claude_record, driver_for, known_clis
from at_session.errors import CannotCarry

SESSION = "6b0e1c1e-9c55-4c0e-8a53-2f8f6f2f1f1a"
CAN = ("claude", "codex", "demo")
CLONE = "/state/worktrees/0123456789ab"


def adoption_of(cli: str) -> Adoption:
    found = driver_for(cli).capabilities.adoption
    assert found is not None
    return found


def lines(*entries: object) -> str:
    return "".join(json.dumps(entry, separators=(",", ":")) + "\n" for entry in entries)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def own(cli: str, home: Path) -> Path:
    """A record as that CLI writes it."""
    match cli:
        case "claude":
            said = {"type": "user", "uuid": "u1", "cwd": "/home/ada/shop", "message": {"role": "user"}}
            return write(
                home / f".claude/projects/-home-ada-shop/{SESSION}.jsonl", lines({"type": "mode"}, said)
            )
        case "codex":
            meta = {"type": "session_meta", "payload": {"id": SESSION, "cwd": "/home/ada/shop"}}
            roots = ["/home/ada/shop", "/home/ada/shop/.git", "/home/ada/shopping"]
            turn = {
                "type": "turn_context",
                "payload": {"cwd": "/home/ada/shop/web", "policy": {"roots": roots}},
            }
            settings = {"cwd": "/home/ada/lib", "entries": [{"path": {"path": "/home/ada/shop/.git"}}]}
            applied = {"type": "thread_settings_applied", "thread_id": SESSION, "settings": settings}
            said = {"type": "response_item", "payload": {"text": "/home/ada/shop", "role": "user"}}
            record = home / f".codex/sessions/2026/11/20/rollout-2026-11-20T10-00-00-{SESSION}.jsonl"
            return write(record, lines(meta, turn, {"type": "event_msg", "payload": applied}, said))
        case _:
            return write(home / f".at-demo/demo-{SESSION}.json", "{}")


def test_the_others_say_that_they_cannot() -> None:
    assert {cli for cli in known_clis() if driver_for(cli).capabilities.adoption is not None} == set(CAN)


@pytest.mark.parametrize("cli", CAN)
def test_a_session_is_found_by_its_id_with_the_folder_that_it_was_begun_in(cli: str, tmp_path: Path) -> None:
    record = own(cli, tmp_path)
    folder = None if cli == "demo" else "/home/ada/shop"
    env = {"HOME": str(tmp_path)}
    assert adoption_of(cli).find(SESSION, env) == OwnSession(SESSION, record, folder)
    assert adoption_of(cli).find("another", env) is None


@pytest.mark.parametrize("cli", CAN)
@pytest.mark.parametrize("word", ["../x", "*", "", "-x", "a/b", "a\n", "x" * 200])
def test_what_is_no_id_is_not_looked_for(cli: str, word: str, tmp_path: Path) -> None:
    own(cli, tmp_path)
    assert not is_session_id(word)
    assert adoption_of(cli).find(word, {"HOME": str(tmp_path)}) is None


@pytest.mark.parametrize("cli", CAN)
def test_it_is_carried_once_and_the_persons_own_record_stays(cli: str, tmp_path: Path) -> None:
    record, env, private = own(cli, tmp_path), {"HOME": str(tmp_path)}, tmp_path / "private"
    before = record.read_bytes()
    found = adoption_of(cli).find(SESSION, env)
    assert found is not None
    session = adoption_of(cli).carry(found, CLONE, str(private), env)
    assert (session == SESSION) is (cli != "codex")
    copy = {
        "claude": record.parent.parent / "-state-worktrees-0123456789ab" / record.name,
        "codex": record.with_name(record.name.replace(SESSION, session)),
        "demo": private / record.name,
    }[cli]
    assert copy.stat().st_mode & 0o777 == 0o600
    assert (copy.read_bytes() == before) is (cli != "codex")
    copy.write_text("what came since")
    assert adoption_of(cli).carry(found, CLONE, str(private), env) == session
    assert copy.read_text() == "what came since"
    assert record.read_bytes() == before
    assert not list(tmp_path.rglob(".*.at-*"))


def test_the_copy_of_a_codex_thread_names_the_other_folder_where_it_works_and_nowhere_else(
    tmp_path: Path,
) -> None:
    own("codex", tmp_path)
    env = {"HOME": str(tmp_path)}
    found = adoption_of("codex").find(SESSION, env)
    assert found is not None
    session = adoption_of("codex").carry(found, CLONE, "", env)
    copied = adoption_of("codex").find(session, env)
    assert copied is not None and copied.folder == CLONE
    meta, turn, applied, said = map(json.loads, copied.record.read_text().splitlines())
    assert meta["payload"] == {"id": session, "cwd": CLONE}
    assert turn["payload"] == {
        "cwd": CLONE,
        "policy": {"roots": [CLONE, f"{CLONE}/.git", "/home/ada/shopping"]},
    }
    assert applied["payload"]["thread_id"] == session
    assert applied["payload"]["settings"] == {"cwd": CLONE, "entries": [{"path": {"path": f"{CLONE}/.git"}}]}
    assert said["payload"]["text"] == "/home/ada/shop"


def transcript(home: Path, folder: str, *cwds: str, at: int = 0) -> Path:
    """A transcript of Claude's that lies below a folder's name, with a prompt said in each of these."""
    name = folder.replace("/", "-")
    said = [{"type": "user", "cwd": cwd} for cwd in cwds]
    made = write(home / f".claude/projects/{name}/{SESSION}.jsonl", lines(*said))
    os.utime(made, (at, at))
    return made


@pytest.mark.parametrize(
    ("cwds", "begun"),
    [
        (("/home/ada/shop", "/home/ada/lib"), "/home/ada/shop"),
        (("/home/ada/lib", "/home/ada/shop", "/home/ada"), "/home/ada/shop"),
        (("/home/ada/one", "/home/ada/two"), "/home/ada/one"),
    ],
)
def test_a_claude_session_is_of_the_folder_that_it_was_begun_in(
    tmp_path: Path, cwds: tuple[str, ...], begun: str
) -> None:
    transcript(tmp_path, "/home/ada/shop", *cwds)
    found = adoption_of("claude").find(SESSION, {"HOME": str(tmp_path)})
    assert found is not None and found.folder == begun


@pytest.mark.parametrize("more", [(), ("/state/worktrees/0123456789ab",)], ids=["untouched", "used"])
def test_a_copy_that_we_made_is_no_session_of_a_persons(tmp_path: Path, more: tuple[str, ...]) -> None:
    record, env = transcript(tmp_path, "/home/ada/shop", "/home/ada/shop"), {"HOME": str(tmp_path)}
    copy = transcript(tmp_path, CLONE, "/home/ada/shop", *more, at=9)
    newest = adoption_of("claude").find(SESSION, env)
    assert newest is not None and newest.record == copy
    own = adoption_of("claude").find(SESSION, env, "/state/worktrees")
    assert own == OwnSession(SESSION, record, "/home/ada/shop")
    record.unlink()
    assert adoption_of("claude").find(SESSION, env, "/state/worktrees") is None


@pytest.mark.parametrize("folder", ["/home/ada/shop", "/state/worktrees-of-ada"])
def test_a_folder_beside_ours_is_a_persons_and_so_is_a_session_that_looked_into_ours(
    tmp_path: Path, folder: str
) -> None:
    transcript(tmp_path, folder, folder, f"{CLONE}/src")
    found = adoption_of("claude").find(SESSION, {"HOME": str(tmp_path)}, "/state/worktrees")
    assert found is not None and found.folder == folder


def test_a_transcript_without_a_word_is_no_session(tmp_path: Path) -> None:
    own("claude", tmp_path).write_text(lines({"type": "mode", "cwd": "/home/ada"}))
    assert adoption_of("claude").find(SESSION, {"HOME": str(tmp_path)}) is None


def test_a_folder_whose_name_claude_would_cut_is_refused(tmp_path: Path) -> None:
    own("claude", tmp_path)
    env = {"HOME": str(tmp_path)}
    found = adoption_of("claude").find(SESSION, env)
    assert found is not None
    with pytest.raises(CannotCarry, match="longer than it keeps"):
        adoption_of("claude").carry(found, "/" + "x" * 250, "", env)


def test_a_turn_is_looked_for_in_all_transcripts_of_a_session(tmp_path: Path) -> None:
    own("claude", tmp_path)
    ours = {"type": "user", "uuid": "u2", "message": {"role": "user"}}
    write(tmp_path / f".claude/projects/-state-w/{SESSION}.jsonl", lines(ours))
    env = {"HOME": str(tmp_path)}
    assert [claude_record.cut_turn(env, SESSION, uuid).known for uuid in ("u1", "u2", "u3")] == [
        True,
        True,
        False,
    ]
