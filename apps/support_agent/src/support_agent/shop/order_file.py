"""Reading an order file: text in, checked orders and bad rows out. Touches no database.

What a file says is the same whatever it is written in; `order_json` reads the other kind. This one
is CSV in UTF-8 with a header. Each row is one article; what belongs to the whole order
(its moment, customer and payment) is repeated on each of its rows and must be the same there.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from importlib.resources.abc import Traversable
from itertools import groupby
from pathlib import Path

from support_agent.shop.errors import FileRefused
from support_agent.shop.fields import (
    LONGEST_METHOD,
    ORDER_NUMBER,
    PAYMENT_REFERENCE,
    QUANTITY,
    SKU,
    read_amount,
    read_email,
    read_matching,
    read_moment,
    read_text,
)
from support_agent.shop.money import CURRENCY

COLUMNS = (
    "order_number",
    "ordered_at",
    "customer_name",
    "customer_email",
    "sku",
    "product",
    "quantity",
    "unit_price",
    "currency",
    "payment_reference",
    "payment_method",
    "amount_paid",
)


@dataclass(frozen=True, slots=True, order=True)
class BadRow:
    """A row that cannot be imported, and why. What has no lines names its `place` instead."""

    line: int
    reason: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.place or f'line {self.line}'}: {self.reason}"


@dataclass(frozen=True, slots=True)
class OrderHead:
    """What belongs to the whole order."""

    number: str
    ordered_at: datetime
    customer_name: str
    customer_email: str
    note: str = ""
    dispatched_at: datetime | None = None
    delivered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One article of an order."""

    sku: str
    product: str
    quantity: int
    unit_price: Decimal


@dataclass(frozen=True, slots=True)
class FiledPayment:
    """One payment for an order."""

    reference: str
    method: str
    amount: Decimal
    paid_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FiledOrder:
    """One order of the file, complete and checked. `line` is its first row; what has no lines
    counts its orders and names the `place` of each."""

    line: int
    head: OrderHead
    lines: tuple[OrderLine, ...]
    payments: tuple[FiledPayment, ...]
    place: str = ""

    @property
    def total(self) -> Decimal:
        return sum((one.quantity * one.unit_price for one in self.lines), Decimal(0))

    def bad(self, reason: str) -> BadRow:
        return BadRow(self.line, reason, self.place)


@dataclass(slots=True)
class OrderFile:
    """A file as it was read: the sound orders, the bad rows, and the orders they spoil. Where it is
    `broken` nobody knows what else stood in it, nor whether an order that was read is whole."""

    orders: list[FiledOrder] = field(default_factory=list[FiledOrder])
    bad_rows: list[BadRow] = field(default_factory=list[BadRow])
    left_out: set[str] = field(default_factory=set[str])
    broken: bool = False

    def leave_out(self, order_number: str, bad_row: BadRow) -> None:
        """Note a bad row. Its order is left out whole: half an order has a wrong total."""
        self.bad_rows.append(bad_row)
        if order_number:
            self.left_out.add(order_number)

    def break_off(self, bad_row: BadRow) -> None:
        """Note that nothing further can be read."""
        self.broken = True
        self.bad_rows.append(bad_row)


FileRow = tuple[int, OrderHead, FiledPayment | None, OrderLine]


def read_order_file(text: Iterable[str]) -> OrderFile:
    """Read and check every row, the good and the bad ones; never stops at the first bad one."""
    file = OrderFile()
    rows = sorted(_rows(text, file), key=lambda row: (row[1].number, row[0]))
    for _, group in groupby(rows, key=lambda row: row[1].number):
        _gather_order(list(group), file)
    return check_across_orders(file)


def _rows(text: Iterable[str], file: OrderFile) -> Iterator[FileRow]:
    """Each good row with the line where it begins; the bad ones are noted in `file`."""
    reader = csv.reader(text, strict=True)
    line = 1
    try:
        header = next(reader, list[str]())
        missing = [name for name in COLUMNS if header.count(name) != 1]
        if missing:
            file.break_off(BadRow(line, f"the header needs once each: {', '.join(missing)}"))
            return
        line = reader.line_num + 1
        for values in reader:
            try:
                if values:
                    yield line, *_parse(header, values)
            except ValueError as wrong:
                order_number = dict(zip(header, values, strict=False)).get("order_number", "")
                file.leave_out(order_number, BadRow(line, str(wrong)))
            line = reader.line_num + 1
    except csv.Error as broken:
        # After a broken quote nothing says where the next row begins: the rest is not read.
        file.break_off(BadRow(line, f"not CSV from here on: {broken}"))


def _parse(
    header: Sequence[str], values: Sequence[str]
) -> tuple[OrderHead, FiledPayment | None, OrderLine]:
    """The row as values. Raises ValueError with the column and what is wrong there."""
    if len(values) != len(header):
        raise ValueError(f"{len(values)} values for {len(header)} columns")
    cells = dict(zip(header, values, strict=True))
    if cells["currency"] != CURRENCY:
        raise ValueError(f"currency: {cells['currency']!r} is not {CURRENCY}")
    head = OrderHead(
        number=read_matching(cells, "order_number", ORDER_NUMBER, "an order number like A-1042"),
        ordered_at=read_moment(cells, "ordered_at"),
        customer_name=read_text(cells, "customer_name"),
        customer_email=read_email(cells, "customer_email"),
    )
    line = OrderLine(
        sku=read_matching(cells, "sku", SKU, "an article number like KIT-0101"),
        product=read_text(cells, "product"),
        quantity=int(read_matching(cells, "quantity", QUANTITY, "a whole number from 1 to 9999")),
        unit_price=read_amount(cells, "unit_price"),
    )
    return head, _payment(cells), line


def _payment(cells: Mapping[str, str]) -> FiledPayment | None:
    payment = FiledPayment(
        reference=read_matching(
            cells,
            "payment_reference",
            PAYMENT_REFERENCE,
            "a reference like PAY-34630B2E or ch_3PqR",
        ),
        method=cells["payment_method"] and read_text(cells, "payment_method", LONGEST_METHOD),
        amount=read_amount(cells, "amount_paid"),
    )
    paid = payment.amount > 0
    if paid != bool(payment.reference) or paid != bool(payment.method):
        raise ValueError(
            "amount_paid: a paid order has a reference and a method, an unpaid one neither"
        )
    return payment if paid else None


def _gather_order(rows: list[FileRow], file: OrderFile) -> None:
    """Make one order of its rows, or note which of them do not fit together."""
    first_line, head, payment, _ = rows[0]
    bought: dict[str, OrderLine] = {}
    for line, *other, article in rows:
        if other != [head, payment]:
            reason = f"order {head.number} reads differently on line {first_line}"
            file.leave_out(head.number, BadRow(line, reason))
        elif article.sku in bought:
            reason = f"sku: {article.sku} stands twice in order {head.number}"
            file.leave_out(head.number, BadRow(line, reason))
        bought.setdefault(article.sku, article)
    if head.number in file.left_out:
        return
    paid = () if payment is None else (payment,)
    order = FiledOrder(first_line, head, tuple(bought.values()), paid)
    if payment is not None and payment.amount > order.total:
        reason = f"amount_paid: {payment.amount} is more than the order's total of {order.total}"
        file.leave_out(head.number, BadRow(first_line, reason))
    file.orders.append(order)


def check_across_orders(file: OrderFile) -> OrderFile:
    """One payment pays one order, and one e-mail address is one person; then the file is read."""
    payer: dict[str, str] = {}
    person: dict[str, str] = {}
    for order in sorted(file.orders, key=lambda order: order.line):
        head = order.head
        for payment in order.payments:
            other = payer.setdefault(payment.reference, head.number)
            if other != head.number:
                reason = f"payment_reference: {payment.reference} paid order {other} already"
                file.leave_out(head.number, order.bad(reason))
        name = person.setdefault(head.customer_email, head.customer_name)
        if name != head.customer_name:
            reason = f"customer_name: {head.customer_email} is {name!r} further up"
            file.leave_out(head.number, order.bad(reason))
    file.orders = [order for order in file.orders if order.head.number not in file.left_out]
    file.orders.sort(key=lambda order: order.line)
    file.bad_rows.sort()
    return file


def read_utf8(source: Path | Traversable) -> str:
    """The text of the file. Raises FileRefused with the first line that is no UTF-8."""
    content = source.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        line = content.count(b"\n", 0, wrong.start) + 1
        raise FileRefused([BadRow(line, "not UTF-8; save the file as UTF-8")]) from None
