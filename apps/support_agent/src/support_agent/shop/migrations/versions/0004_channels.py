"""Where customers and supervisors are reached beside the web, and what went out to them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

STATES = "state IN ('waiting', 'sent', 'failed')"


def upgrade() -> None:
    with op.batch_alter_table("talks") as talks:
        talks.add_column(sa.Column("channel", sa.String(20), nullable=False, server_default="web"))
        talks.add_column(sa.Column("address", sa.String, nullable=False, server_default="{}"))
    op.create_table(
        "accounts",
        sa.Column("channel", sa.String(20), primary_key=True),
        sa.Column("account", sa.String(200), primary_key=True),
        sa.Column("customer_id", sa.Integer, sa.ForeignKey("customers.id"), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_accounts_customer_id", "accounts", ["customer_id"])
    op.create_table(
        "link_codes",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("channel", sa.String(20), nullable=False),
        sa.Column("account", sa.String(200), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("address", sa.String, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_table(
        "places",
        sa.Column("channel", sa.String(20), primary_key=True),
        sa.Column("reader", sa.String(300), primary_key=True),
        sa.Column("personal", sa.Boolean, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("address", sa.String, nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "dispatches",
        sa.Column("key", sa.String(400), primary_key=True),
        sa.Column("about", sa.String(200), nullable=False),
        sa.Column("channel", sa.String(20), nullable=False),
        sa.Column("reader", sa.String(300), nullable=False),
        sa.Column("address", sa.String, nullable=False),
        sa.Column("state", sa.String(7), nullable=False),
        sa.Column("message_id", sa.String(300), nullable=False),
        sa.Column("shows", sa.String(64), nullable=False),
        sa.Column("trouble", sa.String(500), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(STATES, name="dispatch_state"),
    )
    op.create_index("ix_dispatches_about", "dispatches", ["about"])
    op.create_index("ix_dispatches_state", "dispatches", ["state"])
