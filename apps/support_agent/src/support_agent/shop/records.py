"""The shop's own records, in the order of a case's life.

A customer places an order of items and pays for it. Later the customer asks for money back: a case
is opened. Each change of a case is written down under an idempotency key, so is each message to the
customer and each refund: a repeated key is the same fact told twice, never a second fact. Refunds
are never updated or deleted; each call that asked for one is a row of its own.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Literal, get_args

from sqlalchemy import CheckConstraint, Enum, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from support_agent.clock import Moment
from support_agent.shop.money import Money

CaseStatus = Literal["opened", "pending_approval", "approved", "rejected", "expired"]


class Record(DeclarativeBase):
    """Base of every table."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        Decimal: Money,
        datetime: Moment,
        CaseStatus: Enum(
            *get_args(CaseStatus), name="case_status", native_enum=False, create_constraint=True
        ),
    }


class Customer(Record):
    """A person who buys. Known by e-mail address, kept in lower case."""

    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(200))


class Order(Record):
    """What a customer bought at one moment."""

    __tablename__ = "orders"

    number: Mapped[str] = mapped_column(String(20), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), index=True)
    ordered_at: Mapped[datetime]
    currency: Mapped[str] = mapped_column(String(3))

    customer: Mapped[Customer] = relationship()
    items: Mapped[list["OrderItem"]] = relationship(order_by="OrderItem.sku")
    payments: Mapped[list["Payment"]] = relationship(order_by="Payment.reference")


class OrderItem(Record):
    """One article of an order."""

    __tablename__ = "order_items"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="an_item_is_at_least_one"),
        CheckConstraint("unit_price >= 0", name="a_price_is_not_negative"),
    )

    order_number: Mapped[str] = mapped_column(ForeignKey("orders.number"), primary_key=True)
    sku: Mapped[str] = mapped_column(String(40), primary_key=True)
    product: Mapped[str] = mapped_column(String(200))
    quantity: Mapped[int]
    unit_price: Mapped[Decimal]


class Payment(Record):
    """Money that came in for an order. What was never paid is never refunded."""

    __tablename__ = "payments"
    __table_args__ = (CheckConstraint("amount > 0", name="a_payment_is_more_than_nothing"),)

    reference: Mapped[str] = mapped_column(String(40), primary_key=True)
    order_number: Mapped[str] = mapped_column(ForeignKey("orders.number"), index=True)
    method: Mapped[str] = mapped_column(String(40))
    amount: Mapped[Decimal]


class CaseRecord(Record):
    """A customer's request for money back, and how far it got."""

    __tablename__ = "cases"
    __table_args__ = (CheckConstraint("amount > 0", name="a_case_asks_for_more_than_nothing"),)

    id: Mapped[str] = mapped_column(String(200), primary_key=True)
    order_number: Mapped[str] = mapped_column(ForeignKey("orders.number"), index=True)
    amount: Mapped[Decimal]
    reason: Mapped[str]
    status: Mapped[CaseStatus] = mapped_column(default="opened", index=True)
    opened_at: Mapped[datetime]


class CaseChange(Record):
    """One move of a case. The key makes a repeated call the same move."""

    __tablename__ = "case_changes"

    id: Mapped[int] = mapped_column(primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(String(400), unique=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"), index=True)
    status: Mapped[CaseStatus]
    reason: Mapped[str]
    changed_at: Mapped[datetime]


class Refund(Record):
    """Money that went back. One for a key, and one for a case."""

    __tablename__ = "refunds"
    __table_args__ = (
        UniqueConstraint("case_id", name="a_case_is_refunded_once"),
        CheckConstraint("amount > 0", name="a_refund_is_more_than_nothing"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(String(400), unique=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"))
    order_number: Mapped[str] = mapped_column(ForeignKey("orders.number"), index=True)
    amount: Mapped[Decimal]
    issued_at: Mapped[datetime]


class RefundCall(Record):
    """One call that asked for a refund. Many calls, one refund."""

    __tablename__ = "refund_calls"

    id: Mapped[int] = mapped_column(primary_key=True)
    refund_id: Mapped[int] = mapped_column(ForeignKey("refunds.id"), index=True)
    called_at: Mapped[datetime]


class Message(Record):
    """What the customer was told. One for a key."""

    __tablename__ = "messages"

    id: Mapped[int] = mapped_column(primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(String(400), unique=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"), index=True)
    recipient: Mapped[str] = mapped_column(String(254))
    text: Mapped[str]
    written_at: Mapped[datetime]
