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
    with engine.connect() as lent:
        config.attributes["connection"] = lent
        # Begun only now: SQLAlchemy's first look at a connection ends whatever transaction it finds.
        connection.execute("BEGIN IMMEDIATE")
        try:
            command.upgrade(config, target)
            if connection.in_transaction:
                connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
