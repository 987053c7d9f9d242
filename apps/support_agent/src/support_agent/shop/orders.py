"""Bringing orders of a file into the shop's records: what is new is added, nothing is overwritten.

An order on record may grow, by a payment that came in later or by the day of its delivery. What it
says already stays: a file that reads differently there is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import StringIO
from pathlib import Path
from typing import Literal

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, selectinload

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
    imported, and an order with a bad row is left out whole.
    """
    return import_order_file(engine, _read(source), bad_rows=bad_rows)


def import_order_file(
    engine: Engine, file: OrderFile, *, bad_rows: Literal["refuse", "skip"] = "refuse"
) -> ImportReport:
    """Import what was read of a file, as `import_orders` does."""
    with writing(engine) as session:
        take_turn(session.connection())  # two files at once could bring the same customer
        found = _compare_with_records(session, file)
        if file.bad_rows and bad_rows == "refuse":
            raise FileRefused(sorted(file.bad_rows))
        customers = _customers(session, found.new)
        for order in found.new:
            session.add(_order(order, customers[order.head.customer_email]))
        for recorded, filed in found.grown:
            _grow(recorded, filed)
    return ImportReport(
        imported=len(found.new),
        grown=len(found.grown),
        unchanged=found.unchanged,
        bad_rows=tuple(sorted(file.bad_rows)),
        left_out=tuple(sorted(file.left_out)),
    )


def _read(source: Path | Traversable) -> OrderFile:
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


def _compare_with_records(session: Session, file: OrderFile) -> _Compared:
    found = _Compared()
    for order in file.orders:
        recorded = session.get(Order, order.head.number, options=[selectinload(Order.items)])
        if recorded is not None and _fits(recorded, order):
            if _payments(recorded) == set(order.payments) and _delivery(recorded) == (
                _delivery(order.head)
            ):
                found.unchanged += 1
                continue
            reason = _payment_elsewhere(session, order)
            if reason is None:
                found.grown.append((recorded, order))
        else:
            reason = _conflict(session, order, recorded)
            if reason is None:
                found.new.append(order)
        if reason is not None:
            file.leave_out(order.head.number, order.bad(reason))
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


def _conflict(session: Session, filed: FiledOrder, recorded: Order | None) -> str | None:
    """Why the records do not let this order in, if they do not."""
    head = filed.head
    if recorded is not None:
        return f"order {head.number} is on record and reads differently there"
    if reason := _payment_elsewhere(session, filed):
        return reason
    name = session.scalar(select(Customer.name).where(Customer.email == head.customer_email))
    if name not in (None, head.customer_name):
        return f"customer_name: {head.customer_email} is {name!r} on record"
    return None


def _payment_elsewhere(session: Session, filed: FiledOrder) -> str | None:
    """One payment pays one order."""
    for one in filed.payments:
        payment = session.get(Payment, one.reference)
        if payment is not None and payment.order_number != filed.head.number:
            return f"payment_reference: {one.reference} paid order {payment.order_number} already"
    return None


def _customers(session: Session, orders: Sequence[FiledOrder]) -> dict[str, Customer]:
    """The customers of these orders by e-mail address, those on record and the new ones."""
    emails = {order.head.customer_email for order in orders}
    recorded = session.scalars(select(Customer).where(Customer.email.in_(emails)))
    customers = {customer.email: customer for customer in recorded}
    for order in orders:
        email, name = order.head.customer_email, order.head.customer_name
        customers.setdefault(email, Customer(email=email, name=name))
    return customers


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
