"""Alembic's entry: runs the versions on the connection it is handed."""

from __future__ import annotations

from alembic import context

from at_core.store.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"], target_metadata=METADATA, transactional_ddl=True
)
with context.begin_transaction():
    context.run_migrations()
