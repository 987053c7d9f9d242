"""Bringing orders of a file into the shop's records: what is new is added, nothing is overwritten.

An order on record may grow, by a payment that came in later or by the day of its delivery. What it
says already stays: a file that reads differently there is refused.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import StringIO
from pathlib import Path
from typing import Literal

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, joinedload, selectinload

from support_agent.shop.database import take_turn, writing
from support_agent.shop.errors import FileRefused
from support_agent.shop.money import CURRENCY
from support_agent.shop.order_file import (
    BadRow,
    FiledOrder,
    FiledPayment,
    OrderFile,
    OrderHead,
    OrderLine,
    read_order_file,
    read_utf8,
)
from support_agent.shop.order_json import read_order_json
from support_agent.shop.records import Customer, Order, OrderItem, Payment

SHIPPED_FILE: Traversable = files("support_agent") / "data" / "orders.csv"
ASKED_AT_ONCE = 500
"""Values in one question to the records; SQLite takes 32,766."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did. `left_out` names the orders that bad rows spoiled."""

    imported: int
    grown: int
    unchanged: int
    bad_rows: tuple[BadRow, ...]
    left_out: tuple[str, ...]


def import_orders(
    engine: Engine,
    source: Path | Traversable = SHIPPED_FILE,
    *,
    bad_rows: Literal["refuse", "skip"] = "refuse",
) -> ImportReport:
    """Import every order of the file in one transaction; importing it again changes nothing.

    A name that ends in .json is read as JSON, any other as CSV. One bad row refuses the whole file
    with FileRefused, which lists each bad row. With `bad_rows="skip"` the sound orders are
    imported, and an order with a bad row is left out whole; a file that breaks off is refused.
    """
    return import_order_file(engine, read_orders(source), bad_rows=bad_rows)


def import_order_file(
    engine: Engine, file: OrderFile, *, bad_rows: Literal["refuse", "skip"] = "refuse"
) -> ImportReport:
    """Import what was read of a file, as `import_orders` does."""
    with writing(engine) as session:
        take_turn(session.connection())  # two files at once could bring the same customer
        known = _OnRecord.of(session, file.orders)
        found = _compare(known, file)
        if file.broken or (file.bad_rows and bad_rows == "refuse"):
            raise FileRefused(sorted(file.bad_rows))
        for order in found.new:
            session.add(_order(order, _customer(known, order.head)))
        for recorded, filed in found.grown:
            _grow(recorded, filed)
    return ImportReport(
        imported=len(found.new),
        grown=len(found.grown),
        unchanged=found.unchanged,
        bad_rows=tuple(sorted(file.bad_rows)),
        left_out=tuple(sorted(file.left_out)),
    )


def read_orders(source: Path | Traversable) -> OrderFile:
    """What the file says. Raises FileRefused when it is no text."""
    text = read_utf8(source)
    if source.name.lower().endswith(".json"):
        return read_order_json(text)
    return read_order_file(StringIO(text, newline=""))


@dataclass(slots=True)
class _Compared:
    """The orders of a file beside the records; those that do not fit became bad rows."""

    new: list[FiledOrder] = field(default_factory=list[FiledOrder])
    grown: list[tuple[Order, FiledOrder]] = field(default_factory=list[tuple[Order, FiledOrder]])
    unchanged: int = 0


@dataclass(slots=True)
class _OnRecord:
    """What the records know of a file: all of it in a few questions, for writers wait meanwhile."""

    orders: dict[str, Order] = field(default_factory=dict[str, Order])
    payers: dict[str, str] = field(default_factory=dict[str, str])
    customers: dict[str, Customer] = field(default_factory=dict[str, Customer])

    @classmethod
    def of(cls, session: Session, orders: Sequence[FiledOrder]) -> "_OnRecord":
        known = cls()
        whole = (
            selectinload(Order.items),
            selectinload(Order.payments),
            joinedload(Order.customer),
        )
        for part in _parts([order.head.number for order in orders]):
            asked = select(Order).where(Order.number.in_(part)).options(*whole)
            known.orders.update((order.number, order) for order in session.scalars(asked))
        for part in _parts([one.reference for order in orders for one in order.payments]):
            asked = select(Payment).where(Payment.reference.in_(part))
            known.payers.update((one.reference, one.order_number) for one in session.scalars(asked))
        for part in _parts({order.head.customer_email for order in orders}):
            asked = select(Customer).where(Customer.email.in_(part))
            known.customers.update((one.email, one) for one in session.scalars(asked))
        return known


def _parts(values: Collection[str]) -> Iterator[list[str]]:
    listed = sorted(values)
    for at in range(0, len(listed), ASKED_AT_ONCE):
        yield listed[at : at + ASKED_AT_ONCE]


def _compare(known: _OnRecord, file: OrderFile) -> _Compared:
    found = _Compared()
    for order in file.orders:
        recorded = known.orders.get(order.head.number)
        reason = _conflict(known, order, recorded)
        if reason is not None:
            file.leave_out(order.head.number, order.bad(reason))
        elif recorded is None:
            found.new.append(order)
        elif _payments(recorded) == set(order.payments) and _delivery(recorded) == (
            _delivery(order.head)
        ):
            found.unchanged += 1
        else:
            found.grown.append((recorded, order))
    return found


def _fits(recorded: Order, filed: FiledOrder) -> bool:
    """Whether all that the records say of the order stands in the file as well."""
    head = filed.head
    return (
        (recorded.ordered_at, recorded.note) == (head.ordered_at, head.note)
        and (recorded.customer.email, recorded.customer.name)
        == (head.customer_email, head.customer_name)
        and {OrderLine(i.sku, i.product, i.quantity, i.unit_price) for i in recorded.items}
        == set(filed.lines)
        and _payments(recorded) <= set(filed.payments)
        and all(
            known in (None, told)
            for known, told in zip(_delivery(recorded), _delivery(head), strict=True)
        )
    )


def _payments(recorded: Order) -> set[FiledPayment]:
    return {FiledPayment(p.reference, p.method, p.amount, p.paid_at) for p in recorded.payments}


def _delivery(order: Order | OrderHead) -> tuple[datetime | None, datetime | None]:
    return order.dispatched_at, order.delivered_at


def _grow(recorded: Order, filed: FiledOrder) -> None:
    """Add to the order on record what came since."""
    recorded.dispatched_at, recorded.delivered_at = _delivery(filed.head)
    known = _payments(recorded)
    recorded.payments += [_payment(one) for one in filed.payments if one not in known]


def _conflict(known: _OnRecord, filed: FiledOrder, recorded: Order | None) -> str | None:
    """Why the records do not let this order in, if they do not."""
    head = filed.head
    if recorded is not None and not _fits(recorded, filed):
        return f"order {head.number} is on record and reads differently there"
    for one in filed.payments:  # one payment pays one order
        payer = known.payers.get(one.reference, head.number)
        if payer != head.number:
            return f"payment_reference: {one.reference} paid order {payer} already"
    customer = known.customers.get(head.customer_email)
    if customer is not None and customer.name != head.customer_name:
        return f"customer_name: {head.customer_email} is {customer.name!r} on record"
    return None


def _customer(known: _OnRecord, head: OrderHead) -> Customer:
    """The customer of the order: on record, further up in this file, or new."""
    new = Customer(email=head.customer_email, name=head.customer_name)
    return known.customers.setdefault(head.customer_email, new)


def _order(filed: FiledOrder, customer: Customer) -> Order:
    head = filed.head
    return Order(
        number=head.number,
        customer=customer,
        ordered_at=head.ordered_at,
        currency=CURRENCY,
        note=head.note,
        dispatched_at=head.dispatched_at,
        delivered_at=head.delivered_at,
        items=[
            OrderItem(
                sku=line.sku,
                product=line.product,
                quantity=line.quantity,
                unit_price=line.unit_price,
            )
            for line in filed.lines
        ],
        payments=[_payment(one) for one in filed.payments],
    )


def _payment(one: FiledPayment) -> Payment:
    return Payment(
        reference=one.reference, method=one.method, amount=one.amount, paid_at=one.paid_at
    )
