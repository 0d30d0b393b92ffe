"""How a store's file comes to the present tables, version by version (alembic)."""
