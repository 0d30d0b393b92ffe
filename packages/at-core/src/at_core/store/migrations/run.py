"""Runs the migrations on an open connection, in one transaction."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

_HERE = Path(__file__).parent


def configuration() -> Config:
    """Alembic's own, without a file of settings."""
    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def known_formats() -> set[str]:
    """Every version this program can read or bring up to date."""
    return {script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions()}


def upgrade(connection: sqlite3.Connection, target: str) -> None:
    """Bring the file to `target`, wholly or not at all."""
    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    config = configuration()
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Nobody but us commits: alembic's own transactions are savepoints of nothing in this mode.
        with engine.connect() as lent:
            config.attributes["connection"] = lent
            command.upgrade(config, target)
            lent.commit()
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
