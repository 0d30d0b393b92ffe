"""Sizes of models' contexts, beside their prices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """From 0005. What was looked up before had no size, so it is looked up anew when it is used."""
    op.add_column("prices", sa.Column("context_tokens", sa.Integer))
    op.execute("UPDATE prices SET source = 'an older ' || source WHERE source LIKE 'price list %'")
