"""Files of every format come to the present tables; anything else is refused in words."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from uuid import UUID

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from at_core.errors import StoreError
from at_core.store import Store
from at_core.store.migrations.run import configuration, known_formats, upgrade
from at_core.store.schema import FORMAT, METADATA
from at_core.types import Bead

FIRST = Path(__file__).parent / "first_format.sql"


def at_format(path: Path, target: str) -> None:
    """Make a file in that format with the migrations alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    upgrade(connection, target)
    connection.close()


def shape(path: Path) -> set[tuple[str, str, str]]:
    """Every table and index with its columns, in one form however the SQL was written."""
    connection = sqlite3.connect(path)
    found = set()
    for kind, name in connection.execute("SELECT type, name FROM sqlite_master").fetchall():
        pragma = "table_xinfo" if kind == "table" else "index_xinfo"
        name_of = name.rstrip("0123456789")  # SQLite numbers its own indexes in the order of the constraints
        found.add((kind, name_of, str(connection.execute(f"PRAGMA {pragma}('{name}')").fetchall())))
    connection.close()
    return found


def test_the_format_is_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(configuration()).get_current_head() == FORMAT


def test_the_migrations_come_to_the_tables_of_the_schema(tmp_path: Path) -> None:
    at_format(tmp_path / "migrated.db", FORMAT)
    connection = sqlite3.connect(tmp_path / "migrated.db")
    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    with engine.connect() as lent:
        assert compare_metadata(MigrationContext.configure(lent), METADATA) == []
    connection.close()


def test_a_new_file_is_what_the_migrations_make(tmp_path: Path) -> None:
    at_format(tmp_path / "migrated.db", FORMAT)
    Store.open(tmp_path / "new.db").close()
    assert shape(tmp_path / "new.db") == shape(tmp_path / "migrated.db")


@pytest.mark.parametrize("old", sorted(known_formats()))
def test_a_file_of_every_format_opens(tmp_path: Path, old: str) -> None:
    at_format(tmp_path / "old.db", old)
    with Store.open(tmp_path / "old.db") as store:
        store.write_now(lambda tx: tx.add_bead(Bead.new("x")))
    Store.open(tmp_path / "new.db").close()
    assert shape(tmp_path / "old.db") == shape(tmp_path / "new.db")


def test_a_file_of_the_first_format_keeps_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "first.db"
    connection = sqlite3.connect(path)
    connection.executescript(FIRST.read_text(encoding="utf-8"))
    connection.close()
    with Store.open(path) as store:
        bead = store.read_now(lambda tx: tx.beads())[0]
        assert (bead.title, bead.status, bead.revision) == ("An old bead", "hooked", 3)
        assert [event.event_type for event in store.read_now(lambda tx: tx.events())] == ["bead.added"]
        agent = store.read_now(lambda tx: tx.agent_by_name("rust"))
        assert agent is not None
        assert agent.metadata == {"a": [1]}


@pytest.mark.parametrize("whose", ["agent", "bead"])
@pytest.mark.parametrize(("kind", "cli"), [("open_code", "opencode"), ("claude", "claude")])
def test_figures_of_the_first_format_get_their_cli_and_a_turn_each(
    tmp_path: Path, kind: str, cli: str, whose: str
) -> None:
    path = tmp_path / "first.db"
    at_format(path, "0001")
    connection = sqlite3.connect(path)
    when = "'2026-01-01T00:00:00.000000Z'"
    connection.execute(
        "INSERT INTO agents (id, name, role, cli_type, status, created_at, revision) VALUES"
        f" ('{UUID(int=1)}', 'wren', 'crew', ?, 'idle', {when}, 0)",
        (kind,),
    )
    connection.execute(
        "INSERT INTO beads (id, title, status, lane, priority, agent_id, created_at, updated_at, revision) VALUES"
        f" ('{UUID(int=9)}', 'x', 'done', 'standard', 0, '{UUID(int=1)}', {when}, {when}, 0)"
    )
    agent = str(UUID(int=1)) if whose == "agent" else None
    for number in (1, 2):
        connection.execute(
            "INSERT INTO usage (id, agent_id, bead_id, model, input_tokens, cached_tokens, output_tokens,"
            f" duration_ms, source, created_at) VALUES ('{UUID(int=number)}', ?, '{UUID(int=9)}',"
            f" 'm', 1, 0, 1, 1, 's', {when})",
            (agent,),
        )
    connection.commit()
    connection.close()
    with Store.open(path) as store:
        figures = store.read_now(lambda tx: tx.usage())
        assert [(each.cli, each.turn, each.session, each.estimated) for each in figures] == [
            (cli, 1, "", False),
            (cli, 2, "", False),
        ]
        assert store.read_now(lambda tx: tx.usage_totals(UUID(int=9))).turns == 2


def test_prices_without_a_size_count_and_are_looked_up_anew(tmp_path: Path) -> None:
    path = tmp_path / "prices.db"
    at_format(path, "0005")
    connection = sqlite3.connect(path)
    for model, source in (("a/known", "price list x 1 (estimate)"), ("a/asked", "no answer")):
        connection.execute(
            "INSERT INTO prices (model, input_usd, output_usd, source, at) VALUES"
            f" ('{model}', 1.0, 2.0, '{source}', '2026-01-01T00:00:00.000000Z')"
        )
    connection.commit()
    connection.close()
    with Store.open(path) as store:
        known, asked = store.read_now(lambda tx: (tx.price("a/known"), tx.price("a/asked")))
    assert known is not None and asked is not None
    assert (known.source, known.input_usd, known.context_tokens) == (
        "an older price list x 1 (estimate)",
        1.0,
        None,
    )
    assert asked.source == "no answer"


def refused(path: Path) -> StoreError:
    """What opening says."""
    with pytest.raises(StoreError) as told:
        Store.open(path)
    assert "\n" not in told.value.message
    assert told.value.hint
    return told.value


def test_a_newer_format_is_refused_and_left_alone(path: Path) -> None:
    Store.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    told = refused(path)
    assert "newer auto-tundra" in told.message
    assert "9999" in told.message
    assert "install" in told.hint
    assert path.read_bytes() == before


def test_another_program_s_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    assert "another program" in refused(path).message
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database at all, " * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "junk.db"
    path.write_bytes(content)
    assert str(path) in refused(path).message
    assert path.read_bytes() == content


def test_a_failed_migration_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "half.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE rules (theirs)")
    with pytest.raises(Exception, match="rules"):
        upgrade(connection, FORMAT)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("rules",)]
    connection.close()


def test_migrations_are_shipped_beside_the_code() -> None:
    assert known_formats() >= {"0001", "0002", "0003", "0004"}
