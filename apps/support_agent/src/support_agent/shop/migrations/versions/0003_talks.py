"""Talks with customers, and their lines."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

MODES = "mode IN ('agent', 'waiting', 'person')"
AUTHORS = "author IN ('customer', 'agent', 'person', 'system')"


def upgrade() -> None:
    op.create_table(
        "talks",
        sa.Column("id", sa.String(100), primary_key=True),
        sa.Column("customer_id", sa.Integer, sa.ForeignKey("customers.id"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("mode", sa.String(7), nullable=False),
        sa.Column("holder", sa.String(200), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.CheckConstraint(MODES, name="talk_mode"),
    )
    op.create_index("ix_talks_customer_id", "talks", ["customer_id"])
    op.create_index("ix_talks_mode", "talks", ["mode"])
    op.create_table(
        "talk_lines",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("idempotency_key", sa.String(400), nullable=False, unique=True),
        sa.Column("talk_id", sa.String(100), sa.ForeignKey("talks.id"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("author", sa.String(8), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("text", sa.String, nullable=False),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("case_id", sa.String(200), nullable=False),
        sa.CheckConstraint(AUTHORS, name="line_author"),
        sa.UniqueConstraint("talk_id", "number", name="a_line_has_its_number"),
    )
