"""The tables. A record's columns bear the names of its fields; `number` is the order in which rows were added.

Ids are TEXT, times RFC 3339 UTC TEXT (they sort), nested values JSON TEXT, truth values 0 and 1. The migrations say
the same a second time; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Computed,
    Float,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable, SchemaItem

FORMAT = "0006"
"""The migration that brings a file to these tables. A file that says anything unknown is refused."""

VERSION_TABLE = "alembic_version"
"""Where a file says its format; alembic's own name for it."""

METADATA = MetaData()

BEAD_ORDER = "-(priority * 4 + CASE lane WHEN 'critical' THEN 2 WHEN 'standard' THEN 1 ELSE 0 END)"
"""Sorts ascending as priority descending, then lane descending: one number, so that one index serves a page."""


def _table(name: str, *items: SchemaItem) -> Table:
    return Table(name, METADATA, Column("number", Integer, primary_key=True), *items)


def _text(name: str, *, required: bool = False) -> Column[str]:
    return Column(name, Text, nullable=not required)


def _integer(name: str, *, required: bool = True) -> Column[int]:
    return Column(name, Integer, nullable=not required)


def _added_text(name: str) -> Column[str]:
    """A required column that later came to a table: rows of before have the empty text."""
    return Column(name, Text, nullable=False, server_default=text("''"))


def _added_integer(name: str) -> Column[int]:
    """The same for numbers; rows of before have 0."""
    return Column(name, Integer, nullable=False, server_default=text("0"))


beads = _table(
    "beads",
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
    Column("rank", Integer, Computed(BEAD_ORDER, persisted=False)),
    UniqueConstraint("id"),
)
Index("beads_by_status", beads.c.status, beads.c.rank, beads.c.created_at)
Index("beads_by_rig", beads.c.rig, beads.c.status, beads.c.rank, beads.c.created_at)
Index("beads_by_title", beads.c.title)

agents = _table(
    "agents",
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
    UniqueConstraint("id"),
    UniqueConstraint("name"),
)

convoys = _table(
    "convoys",
    _text("id", required=True),
    _text("name", required=True),
    _text("description"),
    _text("lane", required=True),
    _text("status", required=True),
    Column("progress", Float, nullable=False),
    _text("created_at", required=True),
    _text("started_at"),
    _text("completed_at"),
    _text("metadata"),
    UniqueConstraint("id"),
)

mail = _table(
    "mail",
    _text("id", required=True),
    _text("from_agent", required=True),
    _text("to_agent", required=True),
    _text("subject"),
    _text("body", required=True),
    _text("read_at"),
    _text("created_at", required=True),
    _text("metadata"),
    UniqueConstraint("id"),
)
Index("mail_by_receiver", mail.c.to_agent, mail.c.read_at)

# The newest row is never removed, so a sequence number is never given twice although it is a plain row number.
events = Table(
    "events",
    METADATA,
    Column("seq", Integer, primary_key=True),
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
Index("events_by_bead", events.c.bead_id, sqlite_where=events.c.bead_id.is_not(None))
Index("events_by_agent", events.c.agent_id, sqlite_where=events.c.agent_id.is_not(None))

facts = Table(
    "facts",
    METADATA,
    _text("subject", required=True),
    _text("name", required=True),
    _text("value", required=True),
    _text("source", required=True),
    _text("at", required=True),
    PrimaryKeyConstraint("subject", "name"),
    sqlite_with_rowid=False,
)

intents = _table(
    "intents",
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
    UniqueConstraint("key"),
)
Index("intents_open", intents.c.number, sqlite_where=intents.c.state == "open")

leases = Table(
    "leases",
    METADATA,
    _text("name", required=True),
    _text("owner", required=True),
    _text("boot_id", required=True),
    _integer("fence"),
    Column("expires", Float, nullable=False),
    PrimaryKeyConstraint("name"),
    sqlite_with_rowid=False,
)

messages = _table(
    "messages",
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
    UniqueConstraint("id"),
)
Index("messages_by_agent", messages.c.agent_id)
Index("messages_by_bead", messages.c.bead_id)

asks = _table(
    "asks",
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
    UniqueConstraint("id"),
    UniqueConstraint("session", "request_id"),
)
Index("asks_by_agent", asks.c.agent_id)
Index("asks_by_bead", asks.c.bead_id)
Index("asks_open", asks.c.number, sqlite_where=asks.c.decided_at.is_(None) & asks.c.closed_at.is_(None))

sessions = _table(
    "sessions",
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
    UniqueConstraint("id"),
)
Index("sessions_by_agent", sessions.c.agent_id)
Index("sessions_by_bead", sessions.c.bead_id)
Index("sessions_live", sessions.c.number, sqlite_where=sessions.c.ended_at.is_(None))

usage = _table(
    "usage",
    _text("id", required=True),
    _text("agent_id"),
    _text("bead_id"),
    _text("model", required=True),
    _integer("input_tokens"),
    _integer("cached_tokens"),
    _integer("output_tokens"),
    Column("cost_usd", Float, nullable=True),
    _integer("requests", required=False),
    _integer("duration_ms"),
    _text("source", required=True),
    _text("created_at", required=True),
    _added_text("cli"),
    _added_integer("turn"),
    _added_text("session"),
    _added_integer("estimated"),
    UniqueConstraint("id"),
)
# With all that a day's sums are made of: they are asked for before each turn where a day has a budget.
Index(
    "usage_by_time",
    *(
        usage.c[name]
        for name in ("created_at", "cli", "cost_usd", "input_tokens", "output_tokens", "estimated")
    ),
)
Index("usage_by_bead", usage.c.bead_id)
Index("usage_by_agent", usage.c.agent_id)
Index("usage_by_cli", usage.c.cli)
Index("usage_without_cost", usage.c.cli, usage.c.model, sqlite_where=usage.c.cost_usd.is_(None))

prices = _table(
    "prices",
    _text("model", required=True),
    Column("input_usd", Float, nullable=True),
    Column("cached_usd", Float, nullable=True),
    Column("output_usd", Float, nullable=True),
    _text("source", required=True),
    _text("at", required=True),
    _integer("context_tokens", required=False),
    UniqueConstraint("model"),
)

rigs = _table(
    "rigs",
    _text("id", required=True),
    _text("name", required=True),
    _text("path", required=True),
    _text("target", required=True),
    _text("trusted"),
    _text("created_at", required=True),
    UniqueConstraint("id"),
    UniqueConstraint("name"),
    UniqueConstraint("path"),
)

gate_results = _table(
    "gate_results",
    _text("name", required=True),
    _text("command", required=True),
    _text("tree", required=True),
    _integer("ok"),
    _integer("exit_code", required=False),
    Column("seconds", Float, nullable=False),
    _text("log", required=True),
    _text("output", required=True),
    _text("rig", required=True),
    _text("at", required=True),
    UniqueConstraint("rig", "tree", "name", "command"),
)

slots = _table(
    "slots",
    _text("owner", required=True),
    _integer("slot"),
    UniqueConstraint("owner"),
    UniqueConstraint("slot"),
)

destructive_acts = _table(
    "destructive_acts",
    _text("id", required=True),
    _text("kind", required=True),
    _text("bead_id", required=True),
    _text("title", required=True),
    _text("rig"),
    _text("record", required=True),
    _text("attic"),
    _text("asked_at", required=True),
    _text("done_at"),
    _text("undone_at"),
    UniqueConstraint("id"),
)
Index("destructive_acts_by_bead", destructive_acts.c.bead_id)

rules = _table(
    "rules",
    _text("id", required=True),
    _text("rig", required=True),
    _text("kind", required=True),
    _text("tool"),
    _text("argv", required=True),
    _text("created_at", required=True),
    _text("created_by", required=True),
    UniqueConstraint("id"),
)
Index("rules_by_rig", rules.c.rig)

interruptions = _table(
    "interruptions",
    _text("id", required=True),
    _text("bead_id", required=True),
    _text("kind", required=True),
    _text("ask_id"),
    _text("rig"),
    _text("agent"),
    _text("title", required=True),
    _text("reason", required=True),
    _integer("own"),
    _text("opened_at", required=True),
    _text("closed_at"),
    _text("outcome"),
    _text("act"),
    UniqueConstraint("id"),
)
Index("interruptions_by_bead", interruptions.c.bead_id)
Index("interruptions_by_time", interruptions.c.opened_at)
Index("interruptions_open", interruptions.c.number, sqlite_where=interruptions.c.closed_at.is_(None))

kpi = _table(
    "kpi",
    _text("id", required=True),
    _integer("beads_active"),
    _integer("beads_completed"),
    _integer("beads_failed"),
    _integer("agents_active"),
    _integer("convoys_active"),
    Column("total_cost_today", Float, nullable=False),
    _integer("total_tokens_today"),
    _text("created_at", required=True),
    _added_integer("cost_estimated"),
    UniqueConstraint("id"),
)


def creation() -> list[str]:
    """The statements that make all tables and indexes in an empty file."""
    dialect = sqlite.dialect()
    statements: list[str] = []
    for table in METADATA.tables.values():
        statements.append(str(CreateTable(table).compile(dialect=dialect)))
        statements += [
            str(CreateIndex(index).compile(dialect=dialect)) for index in sorted(table.indexes, key=str)
        ]
    return statements
