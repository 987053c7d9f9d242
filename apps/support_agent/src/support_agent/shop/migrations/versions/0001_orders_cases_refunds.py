"""Orders, cases and refunds: what the first databases were created with, before versions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

STATUSES = "status IN ('opened', 'pending_approval', 'approved', 'rejected', 'expired')"


def upgrade() -> None:
    customers_and_orders()
    cases()
    refunds_and_messages()


def customers_and_orders() -> None:
    op.create_table(
        "customers",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("email", sa.String(254), nullable=False, unique=True),
        sa.Column("name", sa.String(200), nullable=False),
    )
    op.create_table(
        "orders",
        sa.Column("number", sa.String(20), primary_key=True),
        sa.Column(
            "customer_id", sa.Integer, sa.ForeignKey("customers.id"), nullable=False, index=True
        ),
        moment("ordered_at"),
        sa.Column("currency", sa.String(3), nullable=False),
    )
    op.create_table(
        "order_items",
        sa.Column("order_number", sa.String(20), sa.ForeignKey("orders.number"), primary_key=True),
        sa.Column("sku", sa.String(40), primary_key=True),
        sa.Column("product", sa.String(200), nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("unit_price", sa.BigInteger, nullable=False),
        sa.CheckConstraint("quantity > 0", name="an_item_is_at_least_one"),
        sa.CheckConstraint("unit_price >= 0", name="a_price_is_not_negative"),
    )
    op.create_table(
        "payments",
        sa.Column("reference", sa.String(40), primary_key=True),
        sa.Column(
            "order_number",
            sa.String(20),
            sa.ForeignKey("orders.number"),
            nullable=False,
            index=True,
        ),
        sa.Column("method", sa.String(40), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.CheckConstraint("amount > 0", name="a_payment_is_more_than_nothing"),
    )


def cases() -> None:
    op.create_table(
        "cases",
        sa.Column("id", sa.String(200), primary_key=True),
        sa.Column(
            "order_number",
            sa.String(20),
            sa.ForeignKey("orders.number"),
            nullable=False,
            index=True,
        ),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("status", sa.String(16), nullable=False, index=True),
        moment("opened_at"),
        sa.CheckConstraint("amount > 0", name="a_case_asks_for_more_than_nothing"),
        sa.CheckConstraint(STATUSES, name="case_status"),
    )
    op.create_table(
        "case_changes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("idempotency_key", sa.String(400), nullable=False, unique=True),
        sa.Column("case_id", sa.String(200), sa.ForeignKey("cases.id"), nullable=False, index=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        moment("changed_at"),
        sa.CheckConstraint(STATUSES, name="case_status"),
    )


def refunds_and_messages() -> None:
    op.create_table(
        "refunds",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("idempotency_key", sa.String(400), nullable=False, unique=True),
        sa.Column("case_id", sa.String(200), sa.ForeignKey("cases.id"), nullable=False),
        sa.Column(
            "order_number",
            sa.String(20),
            sa.ForeignKey("orders.number"),
            nullable=False,
            index=True,
        ),
        sa.Column("amount", sa.BigInteger, nullable=False),
        moment("issued_at"),
        sa.UniqueConstraint("case_id", name="a_case_is_refunded_once"),
        sa.CheckConstraint("amount > 0", name="a_refund_is_more_than_nothing"),
    )
    op.create_table(
        "refund_calls",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("refund_id", sa.Integer, sa.ForeignKey("refunds.id"), nullable=False, index=True),
        moment("called_at"),
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("idempotency_key", sa.String(400), nullable=False, unique=True),
        sa.Column("case_id", sa.String(200), sa.ForeignKey("cases.id"), nullable=False, index=True),
        sa.Column("recipient", sa.String(254), nullable=False),
        sa.Column("text", sa.String, nullable=False),
        moment("written_at"),
    )


def moment(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)
