"""Destructive acts, so that they can be taken back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """From 0004. What was removed before is in the attic alone."""
    op.create_table(
        "destructive_acts",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("bead_id", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("rig", sa.Text),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("attic", sa.Text),
        sa.Column("asked_at", sa.Text, nullable=False),
        sa.Column("done_at", sa.Text),
        sa.Column("undone_at", sa.Text),
        sa.UniqueConstraint("id"),
    )
    op.create_index("destructive_acts_by_bead", "destructive_acts", ["bead_id"])
