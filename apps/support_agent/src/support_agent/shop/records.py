"""The shop's own records, in the order of a case's life.

A customer places an order of items and pays for it. Later the customer asks for money back, or for
a person: a case is opened. Each change of a case is written down under an idempotency key, so is
each message to the customer and each refund: a repeated key is the same fact told twice, never a
second fact. Refunds are never updated or deleted; each call that asked for one is a row of its own.

Beside them stand the articles of the knowledge base. A changed text is a new version, and the old
ones stay, so that what an answer cited can still be read.

A change here needs a version of the schema: see the folder `migrations`.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Literal, get_args

from sqlalchemy import (
    CheckConstraint,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from support_agent.clock import Moment
from support_agent.shop.money import Money

CaseKind = Literal["refund", "escalation"]
CasePriority = Literal["low", "normal", "high", "urgent"]
CaseStatus = Literal[
    "opened",
    "pending_approval",
    "approved",
    "refunded",
    "rejected",
    "expired",
    "failed",
    "with_person",
    "closed",
]

Author = Literal["customer", "agent", "person", "system"]
TalkMode = Literal["agent", "waiting", "person"]
DispatchState = Literal["waiting", "sent", "failed"]
PayoutStatus = Literal["asked", "paid", "declined"]


def _one_of(words: Any, name: str) -> Enum:
    """A column that holds one of a Literal's words, and a table that refuses any other."""
    return Enum(*get_args(words), name=name, native_enum=False, create_constraint=True)


class Record(DeclarativeBase):
    """Base of every table."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        Decimal: Money,
        datetime: Moment,
        CaseKind: _one_of(CaseKind, "case_kind"),
        CasePriority: _one_of(CasePriority, "case_priority"),
        CaseStatus: _one_of(CaseStatus, "case_status"),
        Author: _one_of(Author, "line_author"),
        TalkMode: _one_of(TalkMode, "talk_mode"),
        DispatchState: _one_of(DispatchState, "dispatch_state"),
        PayoutStatus: _one_of(PayoutStatus, "payout_status"),
    }


class Customer(Record):
    """A person who buys. Known by e-mail address, kept in lower case."""

    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(200))


class Order(Record):
    """What a customer bought at one moment. The note is the customer's own words, or empty."""

    __tablename__ = "orders"

    number: Mapped[str] = mapped_column(String(20), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), index=True)
    ordered_at: Mapped[datetime]
    currency: Mapped[str] = mapped_column(String(3))
    note: Mapped[str] = mapped_column(default="")
    dispatched_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]

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
    """Money that came in for an order, twice if it was charged twice. What was never paid is never
    refunded."""

    __tablename__ = "payments"
    __table_args__ = (CheckConstraint("amount > 0", name="a_payment_is_more_than_nothing"),)

    reference: Mapped[str] = mapped_column(String(40), primary_key=True)
    order_number: Mapped[str] = mapped_column(ForeignKey("orders.number"), index=True)
    method: Mapped[str] = mapped_column(String(40))
    amount: Mapped[Decimal]
    paid_at: Mapped[datetime | None]


class CaseCounter(Record):
    """The last number given to a case of this kind. Its row is the lock of those who want one."""

    __tablename__ = "case_counters"

    kind: Mapped[CaseKind] = mapped_column(primary_key=True)
    last: Mapped[int]


class CaseRecord(Record):
    """A customer's request, and how far it got: money back for an order, or a person to talk to."""

    __tablename__ = "cases"
    __table_args__ = (
        CheckConstraint("amount > 0", name="a_case_asks_for_more_than_nothing"),
        CheckConstraint(
            "(kind = 'refund' AND order_number IS NOT NULL AND amount IS NOT NULL)"
            " OR (kind = 'escalation' AND order_number IS NULL AND amount IS NULL)",
            name="a_refund_has_an_order_and_an_amount",
        ),
        CheckConstraint(
            "(status = 'refunded') = (refunded_amount IS NOT NULL)",
            name="a_refunded_case_says_how_much",
        ),
    )

    id: Mapped[str] = mapped_column(String(200), primary_key=True)
    kind: Mapped[CaseKind] = mapped_column(default="refund")
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), index=True)
    conversation_id: Mapped[str] = mapped_column(String(200), default="", index=True)
    priority: Mapped[CasePriority] = mapped_column(default="normal")
    order_number: Mapped[str | None] = mapped_column(ForeignKey("orders.number"), index=True)
    amount: Mapped[Decimal | None]
    reason: Mapped[str]
    policy: Mapped[str] = mapped_column(String(100), default="")
    status: Mapped[CaseStatus] = mapped_column(default="opened", index=True)
    refunded_amount: Mapped[Decimal | None]
    outcome: Mapped[str] = mapped_column(default="")
    opened_at: Mapped[datetime]

    customer: Mapped[Customer] = relationship()
    order: Mapped[Order | None] = relationship()
    changes: Mapped[list["CaseChange"]] = relationship(order_by="CaseChange.id")


class CaseRequest(Record):
    """One time that the customer asked, in the customer's words. Many requests, one open case."""

    __tablename__ = "case_requests"

    id: Mapped[int] = mapped_column(primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(String(400), unique=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"), index=True)
    reason: Mapped[str]
    opened_the_case: Mapped[bool]
    asked_at: Mapped[datetime]

    case: Mapped[CaseRecord] = relationship()


class CaseChange(Record):
    """One move of a case. The key makes a repeated call the same move."""

    __tablename__ = "case_changes"

    id: Mapped[int] = mapped_column(primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(String(400), unique=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"), index=True)
    status: Mapped[CaseStatus]
    reason: Mapped[str]
    changed_at: Mapped[datetime]


class PayoutRecord(Record):
    """What is asked of a gateway, written down before it is asked, and then the gateway's answer.
    One for a key; a case has one for each payment that it takes from, counted from 1."""

    __tablename__ = "payouts"
    __table_args__ = (
        UniqueConstraint("case_id", "part", name="a_case_is_paid_out_once"),
        UniqueConstraint("case_id", "payment_reference", name="a_payment_gives_once_for_a_case"),
        CheckConstraint("amount > 0", name="a_payout_is_more_than_nothing"),
    )

    idempotency_key: Mapped[str] = mapped_column(String(400), primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"))
    part: Mapped[int]
    payment_reference: Mapped[str] = mapped_column(ForeignKey("payments.reference"), index=True)
    gateway: Mapped[str] = mapped_column(String(20))
    amount: Mapped[Decimal]
    status: Mapped[PayoutStatus] = mapped_column(default="asked")
    reference: Mapped[str] = mapped_column(String(255), default="")
    words: Mapped[str] = mapped_column(default="")
    asked_at: Mapped[datetime]

    case: Mapped[CaseRecord] = relationship()


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


class ArticleVersion(Record):
    """One text that an article of the knowledge base had, named by its digest. Never changed."""

    __tablename__ = "article_versions"

    article_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    version: Mapped[str] = mapped_column(String(12), primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    body: Mapped[str]
    imported_at: Mapped[datetime]


class ArticleRecord(Record):
    """An article of the knowledge base: which of its versions is read now."""

    __tablename__ = "articles"
    __table_args__ = (
        ForeignKeyConstraint(
            ["id", "version"], ["article_versions.article_id", "article_versions.version"]
        ),
    )

    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    version: Mapped[str] = mapped_column(String(12))

    text: Mapped[ArticleVersion] = relationship()


class Talk(Record):
    """One conversation with a customer. `waiting`: a person was asked for and has not come yet."""

    __tablename__ = "talks"

    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), index=True)
    started_at: Mapped[datetime]
    last_at: Mapped[datetime]
    mode: Mapped[TalkMode] = mapped_column(default="agent", index=True)
    holder: Mapped[str] = mapped_column(String(200), default="")
    title: Mapped[str] = mapped_column(String(200), default="")
    channel: Mapped[str] = mapped_column(String(20), default="web", server_default="web")
    address: Mapped[str] = mapped_column(default="{}", server_default="{}")

    customer: Mapped[Customer] = relationship()


class TalkLine(Record):
    """What was said, in order. One for a key."""

    __tablename__ = "talk_lines"
    __table_args__ = (UniqueConstraint("talk_id", "number", name="a_line_has_its_number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(String(400), unique=True)
    talk_id: Mapped[str] = mapped_column(ForeignKey("talks.id"))
    number: Mapped[int]
    author: Mapped[Author]
    name: Mapped[str] = mapped_column(String(200))
    text: Mapped[str]
    said_at: Mapped[datetime]
    case_id: Mapped[str] = mapped_column(String(200), default="")


class Account(Record):
    """Whose an account of a channel is. In Teams it is a tenant and an object id."""

    __tablename__ = "accounts"

    channel: Mapped[str] = mapped_column(String(20), primary_key=True)
    account: Mapped[str] = mapped_column(String(200), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    linked_at: Mapped[datetime]

    customer: Mapped[Customer] = relationship()


class LinkCode(Record):
    """A code by which an account may be linked, once and soon. Only its digest is kept."""

    __tablename__ = "link_codes"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    channel: Mapped[str] = mapped_column(String(20))
    account: Mapped[str] = mapped_column(String(200))
    name: Mapped[str] = mapped_column(String(200))
    address: Mapped[str]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class CustomerSession(Record):
    """A customer who is signed in at a browser. Of what the browser holds only the digest is kept;
    signing out deletes the row, and so does the end of the customer."""

    __tablename__ = "customer_sessions"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    customer_id: Mapped[int] = mapped_column(
        ForeignKey("customers.id", ondelete="CASCADE"), index=True
    )
    began_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    ends_at: Mapped[datetime]


class SpentTicket(Record):
    """A ticket of the shop's that somebody has come in with. Only the digest of its id is kept, and
    only for as long as it could come again."""

    __tablename__ = "spent_tickets"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    kept_until: Mapped[datetime]


class Place(Record):
    """Where questions are shown to supervisors: to one of them, or to all in a conversation."""

    __tablename__ = "places"

    channel: Mapped[str] = mapped_column(String(20), primary_key=True)
    reader: Mapped[str] = mapped_column(String(300), primary_key=True)
    personal: Mapped[bool]
    name: Mapped[str] = mapped_column(String(200))
    address: Mapped[str]
    seen_at: Mapped[datetime]


class Dispatch(Record):
    """A message that goes out by a channel: the newest it shows, and what became of it."""

    __tablename__ = "dispatches"

    key: Mapped[str] = mapped_column(String(400), primary_key=True)
    about: Mapped[str] = mapped_column(String(200), index=True)
    channel: Mapped[str] = mapped_column(String(20))
    reader: Mapped[str] = mapped_column(String(300))
    address: Mapped[str]
    state: Mapped[DispatchState] = mapped_column(default="waiting", index=True)
    message_id: Mapped[str] = mapped_column(String(300), default="")
    shows: Mapped[str] = mapped_column(String(64), default="")
    trouble: Mapped[str] = mapped_column(String(500), default="")
    changed_at: Mapped[datetime]
