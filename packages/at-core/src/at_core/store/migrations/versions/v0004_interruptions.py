"""What persons were wanted for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """From 0003. What is wanted when the file is opened is written down as soon as its bead is looked at."""
    op.create_table(
        "interruptions",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("bead_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("ask_id", sa.Text),
        sa.Column("rig", sa.Text),
        sa.Column("agent", sa.Text),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("own", sa.Integer, nullable=False),
        sa.Column("opened_at", sa.Text, nullable=False),
        sa.Column("closed_at", sa.Text),
        sa.Column("outcome", sa.Text),
        sa.Column("act", sa.Text),
        sa.UniqueConstraint("id"),
    )
    op.create_index("interruptions_by_bead", "interruptions", ["bead_id"])
    op.create_index("interruptions_by_time", "interruptions", ["opened_at"])
    op.create_index(
        "interruptions_open", "interruptions", ["number"], sqlite_where=sa.text("closed_at IS NULL")
    )
