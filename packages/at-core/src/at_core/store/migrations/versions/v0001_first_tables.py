"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_BEAD_RANK = "-(priority * 4 + CASE lane WHEN 'critical' THEN 2 WHEN 'standard' THEN 1 ELSE 0 END)"


def _text(name: str, *, required: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=not required)


def _integer(name: str, *, required: bool = True) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=not required)


def upgrade() -> None:
    """From nothing."""
    op.create_table(
        "beads",
        sa.Column("number", sa.Integer, primary_key=True),
        _text("id", required=True),
        _text("title", required=True),
        _text("description"),
        _text("status", required=True),
        _text("lane", required=True),
        _integer("priority"),
        _text("agent_id"),
        _text("convoy_id"),
        _text("rig"),
        _text("created_at", required=True),
        _text("updated_at", required=True),
        _text("hooked_at"),
        _text("slung_at"),
        _text("done_at"),
        _text("git_branch"),
        _text("metadata"),
        _integer("revision"),
        sa.Column("rank", sa.Integer, sa.Computed(_BEAD_RANK, persisted=False)),
        sa.UniqueConstraint("id"),
    )
    op.create_index("beads_by_rig", "beads", ["rig", "status", "rank", "created_at"])
    op.create_index("beads_by_status", "beads", ["status", "rank", "created_at"])
    op.create_index("beads_by_title", "beads", ["title"])
    op.create_table(
        "agents",
        sa.Column("number", sa.Integer, primary_key=True),
        _text("id", required=True),
        _text("name", required=True),
        _text("role", required=True),
        _text("cli_type", required=True),
        _text("model"),
        _text("status", required=True),
        _text("rig"),
        _integer("pid", required=False),
        _text("session_id"),
        _text("created_at", required=True),
        _text("last_seen"),
        _text("metadata"),
        _integer("revision"),
        sa.UniqueConstraint("name"),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "convoys",
        sa.Column("number", sa.Integer, primary_key=True),
        _text("id", required=True),
        _text("name", required=True),
        _text("description"),
        _text("lane", required=True),
        _text("status", required=True),
        sa.Column("progress", sa.Float, nullable=False),
        _text("created_at", required=True),
        _text("started_at"),
        _text("completed_at"),
        _text("metadata"),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "mail",
        sa.Column("number", sa.Integer, primary_key=True),
        _text("id", required=True),
        _text("from_agent", required=True),
        _text("to_agent", required=True),
        _text("subject"),
        _text("body", required=True),
        _text("read_at"),
        _text("created_at", required=True),
        _text("metadata"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("mail_by_receiver", "mail", ["to_agent", "read_at"])
    op.create_table(
        "events",
        sa.Column("seq", sa.Integer, primary_key=True),
        _text("id", required=True),
        _text("event_type", required=True),
        _text("actor"),
        _text("bead_id"),
        _text("agent_id"),
        _text("rig"),
        _text("lane"),
        _text("payload"),
        _text("created_at", required=True),
    )
    op.create_index("events_by_agent", "events", ["agent_id"], sqlite_where=sa.text("agent_id IS NOT NULL"))
    op.create_index("events_by_bead", "events", ["bead_id"], sqlite_where=sa.text("bead_id IS NOT NULL"))
    op.create_table(
        "facts",
        _text("subject", required=True),
        _text("name", required=True),
        _text("value", required=True),
        _text("source", required=True),
        _text("at", required=True),
        sa.PrimaryKeyConstraint("subject", "name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "intents",
        sa.Column("number", sa.Integer, primary_key=True),
        _text("key", required=True),
        _text("kind", required=True),
        _text("bead_id"),
        _text("agent_id"),
        _text("payload", required=True),
        _text("state", required=True),
        _integer("attempts"),
        _text("not_before"),
        _text("error"),
        _text("created_at", required=True),
        _text("finished_at"),
        sa.UniqueConstraint("key"),
    )
    op.create_index("intents_open", "intents", ["number"], sqlite_where=sa.text("state = 'open'"))
    op.create_table(
        "leases",
        _text("name", required=True),
        _text("owner", required=True),
        _text("boot_id", required=True),
        _integer("fence"),
        sa.Column("expires", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "messages",
        sa.Column("number", sa.Integer, primary_key=True),
        _text("id", required=True),
        _text("agent_id", required=True),
        _text("bead_id"),
        _text("kind", required=True),
        _text("body", required=True),
        _text("created_at", required=True),
        _text("sent_at"),
        _text("accepted_at"),
        _text("started_at"),
        _text("answered_at"),
        _text("failed"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("messages_by_agent", "messages", ["agent_id"])
    op.create_index("messages_by_bead", "messages", ["bead_id"])
    op.create_table(
        "asks",
        sa.Column("number", sa.Integer, primary_key=True),
        _text("id", required=True),
        _text("agent_id", required=True),
        _text("bead_id"),
        _text("session", required=True),
        _text("request_id", required=True),
        _text("kind", required=True),
        _text("what", required=True),
        _text("tool"),
        _text("argv"),
        _text("asked_at", required=True),
        _integer("approve", required=False),
        _text("answer", required=True),
        _text("decided_by"),
        _text("decided_at"),
        _text("closed_at"),
        _integer("withdrawn"),
        sa.UniqueConstraint("session", "request_id"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("asks_by_agent", "asks", ["agent_id"])
    op.create_index("asks_by_bead", "asks", ["bead_id"])
    op.create_index(
        "asks_open", "asks", ["number"], sqlite_where=sa.text("decided_at IS NULL AND closed_at IS NULL")
    )
    op.create_table(
        "sessions",
        sa.Column("number", sa.Integer, primary_key=True),
        _text("id", required=True),
        _text("agent_id", required=True),
        _text("bead_id"),
        _text("cli", required=True),
        _integer("attempt"),
        _text("launch", required=True),
        _integer("offset"),
        _text("driver_state", required=True),
        _text("started_at", required=True),
        _text("ended_at"),
        _integer("exit_code", required=False),
        _integer("exit_signal", required=False),
        sa.UniqueConstraint("id"),
    )
    op.create_index("sessions_by_agent", "sessions", ["agent_id"])
    op.create_index("sessions_by_bead", "sessions", ["bead_id"])
    op.create_index("sessions_live", "sessions", ["number"], sqlite_where=sa.text("ended_at IS NULL"))
    op.create_table(
        "usage",
        sa.Column("number", sa.Integer, primary_key=True),
        _text("id", required=True),
        _text("agent_id"),
        _text("bead_id"),
        _text("model", required=True),
        _integer("input_tokens"),
        _integer("cached_tokens"),
        _integer("output_tokens"),
        sa.Column("cost_usd", sa.Float, nullable=True),
        _integer("requests", required=False),
        _integer("duration_ms"),
        _text("source", required=True),
        _text("created_at", required=True),
        sa.UniqueConstraint("id"),
    )
    op.create_index("usage_by_agent", "usage", ["agent_id"])
    op.create_index("usage_by_bead", "usage", ["bead_id"])
    op.create_index("usage_by_time", "usage", ["created_at"])
    op.create_table(
        "rigs",
        sa.Column("number", sa.Integer, primary_key=True),
        _text("id", required=True),
        _text("name", required=True),
        _text("path", required=True),
        _text("target", required=True),
        _text("trusted"),
        _text("created_at", required=True),
        sa.UniqueConstraint("name"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("path"),
    )
    op.create_table(
        "gate_results",
        sa.Column("number", sa.Integer, primary_key=True),
        _text("name", required=True),
        _text("command", required=True),
        _text("tree", required=True),
        _integer("ok"),
        _integer("exit_code", required=False),
        sa.Column("seconds", sa.Float, nullable=False),
        _text("log", required=True),
        _text("output", required=True),
        _text("rig", required=True),
        _text("at", required=True),
        sa.UniqueConstraint("rig", "tree", "name", "command"),
    )
    op.create_table(
        "rules",
        sa.Column("number", sa.Integer, primary_key=True),
        _text("id", required=True),
        _text("rig", required=True),
        _text("kind", required=True),
        _text("tool"),
        _text("argv", required=True),
        _text("created_at", required=True),
        _text("created_by", required=True),
        sa.UniqueConstraint("id"),
    )
    op.create_index("rules_by_rig", "rules", ["rig"])
    op.create_table(
        "kpi",
        sa.Column("number", sa.Integer, primary_key=True),
        _text("id", required=True),
        _integer("beads_active"),
        _integer("beads_completed"),
        _integer("beads_failed"),
        _integer("agents_active"),
        _integer("convoys_active"),
        sa.Column("total_cost_today", sa.Float, nullable=False),
        _integer("total_tokens_today"),
        _text("created_at", required=True),
        sa.UniqueConstraint("id"),
    )
