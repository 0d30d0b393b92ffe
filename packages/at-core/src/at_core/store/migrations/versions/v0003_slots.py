"""Slots of beads and gates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """From 0002. Beads whose folders are older get a slot when their agents start again."""
    op.create_table(
        "slots",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("slot", sa.Integer, nullable=False),
        sa.UniqueConstraint("owner"),
        sa.UniqueConstraint("slot"),
    )
