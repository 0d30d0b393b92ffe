"""Figures by CLI, turn and session; prices; marks of estimates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default=sa.text("''"))


def _integer(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, server_default=sa.text("0"))


def upgrade() -> None:
    """From 0001. Until then each row was one turn, so its own number is as good as the turn's."""
    for column in (_text("cli"), _integer("turn"), _text("session"), _integer("estimated")):
        op.add_column("usage", column)
    op.execute(
        "UPDATE usage SET turn = number, cli = coalesce((SELECT replace(cli_type, 'open_code', 'opencode')"
        " FROM agents WHERE agents.id = coalesce(usage.agent_id,"
        " (SELECT agent_id FROM beads WHERE beads.id = usage.bead_id))), '')"
    )
    op.drop_index("usage_by_time", "usage")
    of_day = ["created_at", "cli", "cost_usd", "input_tokens", "output_tokens", "estimated"]
    op.create_index("usage_by_time", "usage", of_day)
    op.create_index("usage_by_cli", "usage", ["cli"])
    op.create_index("usage_without_cost", "usage", ["cli", "model"], sqlite_where=sa.text("cost_usd IS NULL"))
    op.create_table(
        "prices",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("input_usd", sa.Float, nullable=True),
        sa.Column("cached_usd", sa.Float, nullable=True),
        sa.Column("output_usd", sa.Float, nullable=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.UniqueConstraint("model"),
    )
    op.add_column("kpi", _integer("cost_estimated"))
