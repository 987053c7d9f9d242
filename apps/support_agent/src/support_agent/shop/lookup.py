"""What may be shown to one customer: their own orders and cases, and nobody else's.

Every question is asked for a customer, whose id comes from who is signed in. What belongs to
somebody else is not there, exactly as if it did not exist.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from support_agent.shop.policy import NOTHING, Account
from support_agent.shop.records import (
    CaseKind,
    CasePriority,
    CaseRecord,
    CaseStatus,
    Customer,
    Order,
    Refund,
)
from support_agent.shop.words import can_be_id

OPEN: frozenset[CaseStatus] = frozenset({"opened", "pending_approval", "approved", "with_person"})
"""Where a case still waits for somebody."""

_SAID_NUMBER = re.compile(r"#?\s*([a-z]{0,3})[\s._#–-]*([0-9]{1,10})", re.IGNORECASE | re.ASCII)  # noqa: RUF001  (people type that dash)


@dataclass(frozen=True, slots=True)
class CustomerView:
    """Who the customer is."""

    id: int
    email: str
    name: str


@dataclass(frozen=True, slots=True)
class ItemView:
    """One article of an order."""

    sku: str
    product: str
    quantity: int
    unit_price: Decimal


@dataclass(frozen=True, slots=True)
class PaymentView:
    """Money that came in."""

    reference: str
    method: str
    amount: Decimal
    paid_at: datetime | None


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order as its customer may see it. The note is what the customer wrote: data, no order."""

    number: str
    ordered_at: datetime
    currency: str
    note: str
    dispatched_at: datetime | None
    delivered_at: datetime | None
    items: tuple[ItemView, ...]
    payments: tuple[PaymentView, ...]
    total: Decimal
    paid: Decimal
    refunded: Decimal
    refundable: Decimal
    overpaid: Decimal
    return_until: date
    warranty_until: date
    cases: tuple[str, ...]

    @property
    def charged_twice(self) -> bool:
        """Whether more payments came in than the order costs; they may have gone back since."""
        return len(self.payments) > 1 and self.paid > self.total


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case as its customer may see it; `outcome` is what they were told came of it."""

    id: str
    kind: CaseKind
    status: CaseStatus
    priority: CasePriority
    order_number: str | None
    amount: Decimal | None
    refunded_amount: Decimal | None
    currency: str
    reason: str
    outcome: str
    opened_at: datetime
    changed_at: datetime

    @property
    def is_open(self) -> bool:
        """Whether it still waits for somebody."""
        return self.status in OPEN


def order_of(session: Session, customer_id: int, order_number: str) -> OrderView | None:
    """The customer's order of this number, however it is written: a-1042, A 1042, #A-1042, 1042."""
    order = find_order(session, customer_id, order_number)
    return None if order is None else _order_views(session, [order])[0]


def orders_of(session: Session, customer_id: int, limit: int = 10) -> list[OrderView]:
    """The customer's orders, the newest first."""
    orders = session.scalars(
        select(Order)
        .where(Order.customer_id == customer_id)
        .order_by(Order.ordered_at.desc(), Order.number.desc())
        .limit(limit)
        .options(selectinload(Order.items), selectinload(Order.payments))
    ).all()
    return _order_views(session, orders)


def customer_of(session: Session, customer_id: int) -> CustomerView | None:
    """The customer with this id."""
    customer = session.get(Customer, customer_id)
    return customer and CustomerView(customer.id, customer.email, customer.name)


def case_of(session: Session, customer_id: int, case_id: str) -> CaseView | None:
    """The customer's case of this id, however it is written."""
    wanted = number_in(case_id) or case_id.strip()
    case = session.get(CaseRecord, wanted) if can_be_id(wanted) else None
    return case_view(case) if case is not None and case.customer_id == customer_id else None


def cases_of(session: Session, customer_id: int) -> list[CaseView]:
    """The customer's cases, the newest first."""
    cases = session.scalars(
        select(CaseRecord)
        .where(CaseRecord.customer_id == customer_id)
        .order_by(CaseRecord.opened_at.desc(), CaseRecord.id.desc())
        .options(selectinload(CaseRecord.changes), selectinload(CaseRecord.order))
    )
    return [case_view(case) for case in cases]


def number_in(said: str) -> str:
    """The number that a person wrote, as the records write it; empty when it is none."""
    match = _SAID_NUMBER.fullmatch(said.strip())
    if match is None:
        return ""
    letters, digits = match.groups()
    return f"{letters.upper()}-{digits}" if letters else digits


def find_order(
    session: Session, customer_id: int, order_number: str, *, lock: bool = False
) -> Order | None:
    """The customer's order on record. `lock` holds off other writers until the transaction ends.

    Digits alone name an order where the customer has only one that they fit.
    """
    number = number_in(order_number)
    if not number:
        return None
    fits = Order.number == number if "-" in number else Order.number.endswith(f"-{number}")
    query = select(Order).where(Order.customer_id == customer_id, fits)
    # The same lock as WRITER.
    found = session.scalars(query.with_for_update(key_share=True) if lock else query).all()
    return found[0] if len(found) == 1 else None


def account_of(session: Session, order: Order) -> Account:
    """The money of the order, as it is on record now."""
    return _account(order, _returned(session, [order]).get(order.number, NOTHING))


def case_view(case: CaseRecord) -> CaseView:
    return CaseView(
        id=case.id,
        kind=case.kind,
        status=case.status,
        priority=case.priority,
        order_number=case.order_number,
        amount=case.amount,
        refunded_amount=case.refunded_amount,
        currency=case.order.currency if case.order is not None else "",
        reason=case.reason,
        outcome=case.outcome,
        opened_at=case.opened_at,
        changed_at=case.changes[-1].changed_at if case.changes else case.opened_at,
    )


def _order_views(session: Session, orders: Sequence[Order]) -> list[OrderView]:
    returned = _returned(session, orders)
    cases = session.execute(
        select(CaseRecord.order_number, CaseRecord.id)
        .where(CaseRecord.order_number.in_(_numbers(orders)))
        .order_by(CaseRecord.opened_at, CaseRecord.id)
    ).all()
    return [
        _order_view(
            order,
            _account(order, returned.get(order.number, NOTHING)),
            tuple(case_id for number, case_id in cases if number == order.number),
        )
        for order in orders
    ]


def _order_view(order: Order, account: Account, cases: tuple[str, ...]) -> OrderView:
    return OrderView(
        number=order.number,
        ordered_at=order.ordered_at,
        currency=order.currency,
        note=order.note,
        dispatched_at=order.dispatched_at,
        delivered_at=order.delivered_at,
        items=tuple(
            ItemView(item.sku, item.product, item.quantity, item.unit_price) for item in order.items
        ),
        payments=tuple(
            PaymentView(payment.reference, payment.method, payment.amount, payment.paid_at)
            for payment in order.payments
        ),
        total=account.total,
        paid=account.paid,
        refunded=account.returned,
        refundable=account.left,
        overpaid=account.overpaid,
        return_until=account.return_until,
        warranty_until=account.warranty_until,
        cases=cases,
    )


def _returned(session: Session, orders: Sequence[Order]) -> dict[str, Decimal]:
    """What went back, by order."""
    rows = session.execute(
        select(Refund.order_number, func.sum(Refund.amount))
        .where(Refund.order_number.in_(_numbers(orders)))
        .group_by(Refund.order_number)
    )
    return {number: returned for number, returned in rows}


def _numbers(orders: Iterable[Order]) -> list[str]:
    return [order.number for order in orders]


def _account(order: Order, returned: Decimal) -> Account:
    return Account(
        order_number=order.number,
        ordered_at=order.ordered_at,
        currency=order.currency,
        total=sum((item.quantity * item.unit_price for item in order.items), NOTHING),
        paid=sum((payment.amount for payment in order.payments), NOTHING),
        returned=returned,
    )
