"""A case knows its customer, its kind and its outcome; the knowledge base joins the records."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

STATUSES = (
    "status IN ('opened', 'pending_approval', 'approved', 'refunded', 'rejected', 'expired',"
    " 'failed', 'with_person', 'closed')"
)
KINDS = "kind IN ('refund', 'escalation')"
FIRST_NUMBER = 1000


def upgrade() -> None:
    orders()
    case_columns()
    what_old_cases_are()
    case_rules()
    requests()
    articles()


def orders() -> None:
    op.add_column("payments", sa.Column("paid_at", sa.DateTime(timezone=True)))
    op.add_column("orders", sa.Column("note", sa.String))
    op.add_column("orders", sa.Column("dispatched_at", sa.DateTime(timezone=True)))
    op.add_column("orders", sa.Column("delivered_at", sa.DateTime(timezone=True)))
    op.execute("UPDATE orders SET note = ''")
    with op.batch_alter_table("orders") as table:
        table.alter_column("note", existing_type=sa.String(), nullable=False)


def case_columns() -> None:
    """The new columns, still empty, in tables that take the new words."""
    for name in ("cases", "case_changes"):
        with op.batch_alter_table(name) as table:
            table.drop_constraint("case_status", type_="check")
            table.create_check_constraint("case_status", sa.text(STATUSES))
    for column in (
        sa.Column("kind", sa.String(10)),
        sa.Column("customer_id", sa.Integer),
        sa.Column("conversation_id", sa.String(200)),
        sa.Column("priority", sa.String(6)),
        sa.Column("policy", sa.String(100)),
        sa.Column("refunded_amount", sa.BigInteger),
        sa.Column("outcome", sa.String),
    ):
        op.add_column("cases", column)


def what_old_cases_are() -> None:
    """All were refunds; who asked, what was paid and what was told stand in other tables."""
    op.execute(
        "UPDATE cases SET kind = 'refund', conversation_id = '', priority = 'normal', policy = '',"
        " customer_id = (SELECT customer_id FROM orders WHERE number = cases.order_number),"
        " outcome = COALESCE((SELECT text FROM messages WHERE case_id = cases.id"
        " ORDER BY id DESC LIMIT 1), '')"
    )
    op.execute(
        "UPDATE cases SET status = 'refunded', refunded_amount ="
        " (SELECT amount FROM refunds WHERE case_id = cases.id)"
        " WHERE id IN (SELECT case_id FROM refunds)"
    )
    op.execute(
        "INSERT INTO case_changes (idempotency_key, case_id, status, reason, changed_at)"
        " SELECT idempotency_key || '/refunded', case_id, 'refunded', '', issued_at FROM refunds"
    )


def case_rules() -> None:
    with op.batch_alter_table("cases") as table:
        for name, kind in (
            ("kind", sa.String(10)),
            ("customer_id", sa.Integer()),
            ("conversation_id", sa.String(200)),
            ("priority", sa.String(6)),
            ("policy", sa.String(100)),
            ("outcome", sa.String()),
        ):
            table.alter_column(name, existing_type=kind, nullable=False)
        table.alter_column("order_number", existing_type=sa.String(20), nullable=True)
        table.alter_column("amount", existing_type=sa.BigInteger(), nullable=True)
        table.create_foreign_key("cases_customer_id_fkey", "customers", ["customer_id"], ["id"])
        table.create_check_constraint("case_kind", sa.text(KINDS))
        table.create_check_constraint(
            "case_priority", sa.text("priority IN ('low', 'normal', 'high', 'urgent')")
        )
        table.create_check_constraint(
            "a_refund_has_an_order_and_an_amount",
            sa.text(
                "(kind = 'refund' AND order_number IS NOT NULL AND amount IS NOT NULL)"
                " OR (kind = 'escalation' AND order_number IS NULL AND amount IS NULL)"
            ),
        )
        table.create_check_constraint(
            "a_refunded_case_says_how_much",
            sa.text("(status = 'refunded') = (refunded_amount IS NOT NULL)"),
        )
        table.create_index("ix_cases_customer_id", ["customer_id"])
        table.create_index("ix_cases_conversation_id", ["conversation_id"])


def requests() -> None:
    counters = op.create_table(
        "case_counters",
        sa.Column("kind", sa.String(10), primary_key=True),
        sa.Column("last", sa.Integer, nullable=False),
        sa.CheckConstraint(KINDS, name="case_kind"),
    )
    op.bulk_insert(
        counters, [{"kind": kind, "last": FIRST_NUMBER} for kind in ("refund", "escalation")]
    )
    op.create_table(
        "case_requests",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("idempotency_key", sa.String(400), nullable=False, unique=True),
        sa.Column("case_id", sa.String(200), sa.ForeignKey("cases.id"), nullable=False, index=True),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("opened_the_case", sa.Boolean, nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
    )


def articles() -> None:
    op.create_table(
        "article_versions",
        sa.Column("article_id", sa.String(100), primary_key=True),
        sa.Column("version", sa.String(12), primary_key=True),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("body", sa.String, nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "articles",
        sa.Column("id", sa.String(100), primary_key=True),
        sa.Column("version", sa.String(12), nullable=False),
        sa.ForeignKeyConstraint(
            ["id", "version"], ["article_versions.article_id", "article_versions.version"]
        ),
    )
