"""What was asked of a gateway, and of which payments."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "payouts",
        sa.Column("idempotency_key", sa.String(400), primary_key=True),
        sa.Column("case_id", sa.String(200), sa.ForeignKey("cases.id"), nullable=False),
        sa.Column("part", sa.Integer, nullable=False),
        sa.Column(
            "payment_reference",
            sa.String(40),
            sa.ForeignKey("payments.reference"),
            nullable=False,
            index=True,
        ),
        sa.Column("gateway", sa.String(20), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("status", sa.String(8), nullable=False),
        sa.Column("reference", sa.String(255), nullable=False),
        sa.Column("words", sa.String, nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("case_id", "part", name="a_case_is_paid_out_once"),
        sa.UniqueConstraint("case_id", "payment_reference", name="a_payment_gives_once_for_a_case"),
        sa.CheckConstraint("amount > 0", name="a_payout_is_more_than_nothing"),
        sa.CheckConstraint("status IN ('asked', 'paid', 'declined')", name="payout_status"),
    )
    what_was_paid_before()


def what_was_paid_before() -> None:
    """It came from the order's largest payment. Through whom, nobody wrote down."""
    op.execute(
        "INSERT INTO payouts (idempotency_key, case_id, part, payment_reference, gateway, amount,"
        " status, reference, words, asked_at)"
        " SELECT refunds.idempotency_key, refunds.case_id, 1, payments.reference, '',"
        " refunds.amount, 'paid', '', '', refunds.issued_at"
        " FROM refunds JOIN payments ON payments.reference ="
        " (SELECT reference FROM payments WHERE order_number = refunds.order_number"
        " ORDER BY amount DESC, reference DESC LIMIT 1)"
    )
