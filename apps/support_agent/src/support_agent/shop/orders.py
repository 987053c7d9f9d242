"""Importing an order file into the shop's records.

`python -m support_agent.shop.orders FILE` imports a file into the database of SUPPORT_DATABASE.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import StringIO
from pathlib import Path
from typing import Literal

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, selectinload

from support_agent.shop.database import shop_database, writing
from support_agent.shop.errors import OrderFileRefused
from support_agent.shop.money import CURRENCY
from support_agent.shop.order_file import BadRow, FiledOrder, OrderFile, read_order_file
from support_agent.shop.records import Customer, Order, OrderItem, Payment

SHIPPED_FILE: Traversable = files("support_agent") / "data" / "orders.csv"


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did. `left_out` names the orders that bad rows spoiled."""

    imported: int
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

    One bad row refuses the whole file with OrderFileRefused, which lists each bad row. With
    `bad_rows="skip"` the sound orders are imported, and an order with a bad row is left out whole.
    An order on record never changes through a file: one that reads differently is a bad row.
    """
    try:
        text = source.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as wrong:
        line = wrong.object.count(b"\n", 0, wrong.start) + 1
        raise OrderFileRefused([BadRow(line, "not UTF-8; save the file as UTF-8")]) from None
    file = read_order_file(StringIO(text, newline=""))
    with writing(engine) as session:
        new, unchanged = _compare_with_records(session, file)
        if file.bad_rows and bad_rows == "refuse":
            raise OrderFileRefused(sorted(file.bad_rows))
        customers = _customers(session, new)
        session.add_all(_order(order, customers[order.head.customer_email]) for order in new)
    return ImportReport(
        imported=len(new),
        unchanged=unchanged,
        bad_rows=tuple(sorted(file.bad_rows)),
        left_out=tuple(sorted(file.left_out)),
    )


def _compare_with_records(session: Session, file: OrderFile) -> tuple[list[FiledOrder], int]:
    """The orders that are new, and how many are on record as they are; the others become bad."""
    new: list[FiledOrder] = []
    unchanged = 0
    for order in file.orders:
        recorded = session.get(Order, order.head.number, options=[selectinload(Order.items)])
        if recorded is not None and _reads_like(recorded, order):
            unchanged += 1
        elif reason := _conflict(session, order, recorded):
            file.leave_out(order.head.number, BadRow(order.line, reason))
        else:
            new.append(order)
    return new, unchanged


def _reads_like(recorded: Order, filed: FiledOrder) -> bool:
    """Whether the file says about the order what the records say."""
    head = filed.head
    paid = {(head.payment_reference, head.payment_method, head.amount_paid)}
    return (
        recorded.ordered_at == head.ordered_at
        and (recorded.customer.email, recorded.customer.name)
        == (head.customer_email, head.customer_name)
        and {(i.sku, i.product, i.quantity, i.unit_price) for i in recorded.items}
        == {(i.sku, i.product, i.quantity, i.unit_price) for i in filed.lines}
        and {(p.reference, p.method, p.amount) for p in recorded.payments}
        == (paid if head.amount_paid else set())
    )


def _conflict(session: Session, filed: FiledOrder, recorded: Order | None) -> str | None:
    """Why the records do not let this order in, if they do not."""
    head = filed.head
    if recorded is not None:
        return f"order {head.number} is on record and reads differently there"
    payment = session.get(Payment, head.payment_reference)
    if payment is not None:
        return f"payment_reference: {payment.reference} paid order {payment.order_number} already"
    name = session.scalar(select(Customer.name).where(Customer.email == head.customer_email))
    if name not in (None, head.customer_name):
        return f"customer_name: {head.customer_email} is {name!r} on record"
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
    order = Order(
        number=head.number, customer=customer, ordered_at=head.ordered_at, currency=CURRENCY
    )
    order.items = [
        OrderItem(
            sku=line.sku, product=line.product, quantity=line.quantity, unit_price=line.unit_price
        )
        for line in filed.lines
    ]
    if head.amount_paid:
        order.payments = [
            Payment(
                reference=head.payment_reference,
                method=head.payment_method,
                amount=head.amount_paid,
            )
        ]
    return order


def main(arguments: Sequence[str] | None = None) -> int:
    """Import a file from the command line: 0 when it was imported, 1 when it was refused."""
    parser = argparse.ArgumentParser(
        prog="python -m support_agent.shop.orders", description=__doc__
    )
    parser.add_argument("file", type=Path, nargs="?", help="a CSV file; the shipped one without it")
    parser.add_argument("--skip-bad", action="store_true", help="leave orders with bad rows out")
    asked = parser.parse_args(arguments)
    source: Path | Traversable = asked.file or SHIPPED_FILE
    try:
        report = import_orders(
            shop_database(), source, bad_rows="skip" if asked.skip_bad else "refuse"
        )
    except (OrderFileRefused, OSError) as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    for row in report.bad_rows:
        sys.stderr.write(f"{row}\n")
    left_out = f", {len(report.left_out)} left out" if report.left_out else ""
    sys.stdout.write(
        f"{report.imported} orders imported, {report.unchanged} unchanged{left_out}.\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
