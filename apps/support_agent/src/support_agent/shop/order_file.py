"""Reading an order file: text in, checked orders and bad rows out. Touches no database.

The file is CSV in UTF-8 with a header. Each row is one article; what belongs to the whole order
(its moment, customer and payment) is repeated on each of its rows and must be the same there.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby

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

ORDER_NUMBER = re.compile(r"[A-Z]{1,3}-[0-9]{1,10}")
SKU = re.compile(r"[A-Z0-9][A-Z0-9-]{0,39}")
EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")
QUANTITY = re.compile(r"[1-9][0-9]{0,3}")
AMOUNT = re.compile(r"[0-9]{1,7}\.[0-9]{2}")
PAYMENT_REFERENCE = re.compile(r"[A-Z0-9][A-Z0-9-]{0,39}|")
LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True, order=True)
class BadRow:
    """A row that cannot be imported, and why."""

    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class OrderHead:
    """What every row of an order repeats."""

    number: str
    ordered_at: datetime
    customer_name: str
    customer_email: str
    payment_reference: str
    payment_method: str
    amount_paid: Decimal


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One article of an order."""

    sku: str
    product: str
    quantity: int
    unit_price: Decimal


@dataclass(frozen=True, slots=True)
class FiledOrder:
    """One order of the file, complete and checked. `line` is its first row."""

    line: int
    head: OrderHead
    lines: tuple[OrderLine, ...]


@dataclass(slots=True)
class OrderFile:
    """A file as it was read: the sound orders, the bad rows, and the orders they spoil."""

    orders: list[FiledOrder] = field(default_factory=list[FiledOrder])
    bad_rows: list[BadRow] = field(default_factory=list[BadRow])
    left_out: set[str] = field(default_factory=set[str])

    def leave_out(self, order_number: str, bad_row: BadRow) -> None:
        """Note a bad row. Its order is left out whole: half an order has a wrong total."""
        self.bad_rows.append(bad_row)
        if order_number:
            self.left_out.add(order_number)


FileRow = tuple[int, OrderHead, OrderLine]


def read_order_file(text: Iterable[str]) -> OrderFile:
    """Read and check every row, the good and the bad ones; never stops at the first bad one."""
    file = OrderFile()
    rows = sorted(_rows(text, file), key=lambda row: (row[1].number, row[0]))
    for _, group in groupby(rows, key=lambda row: row[1].number):
        _gather_order(list(group), file)
    _check_across_orders(file)
    file.orders = [order for order in file.orders if order.head.number not in file.left_out]
    file.orders.sort(key=lambda order: order.line)
    file.bad_rows.sort()
    return file


def _rows(text: Iterable[str], file: OrderFile) -> Iterator[FileRow]:
    """Each good row with the line where it begins; the bad ones are noted in `file`."""
    reader = csv.reader(text, strict=True)
    line = 1
    try:
        header = next(reader, list[str]())
        missing = [name for name in COLUMNS if header.count(name) != 1]
        if missing:
            file.bad_rows.append(BadRow(line, f"the header needs once each: {', '.join(missing)}"))
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
        file.bad_rows.append(BadRow(line, f"not CSV from here on: {broken}"))


def _parse(header: Sequence[str], values: Sequence[str]) -> tuple[OrderHead, OrderLine]:
    """The row as values. Raises ValueError with the column and what is wrong there."""
    if len(values) != len(header):
        raise ValueError(f"{len(values)} values for {len(header)} columns")
    cells = dict(zip(header, values, strict=True))
    if cells["currency"] != CURRENCY:
        raise ValueError(f"currency: {cells['currency']!r} is not {CURRENCY}")
    head = OrderHead(
        number=_matching(cells, "order_number", ORDER_NUMBER, "an order number like A-1042"),
        ordered_at=_moment(cells, "ordered_at"),
        customer_name=_text(cells, "customer_name"),
        customer_email=_matching(cells, "customer_email", EMAIL, "an e-mail address").lower(),
        payment_reference=_matching(
            cells, "payment_reference", PAYMENT_REFERENCE, "a reference like PAY-34630B2E"
        ),
        payment_method=cells["payment_method"] and _text(cells, "payment_method"),
        amount_paid=_amount(cells, "amount_paid"),
    )
    paid = head.amount_paid > 0
    if paid != bool(head.payment_reference) or paid != bool(head.payment_method):
        raise ValueError(
            "amount_paid: a paid order has a reference and a method, an unpaid one neither"
        )
    line = OrderLine(
        sku=_matching(cells, "sku", SKU, "an article number like KIT-0101"),
        product=_text(cells, "product"),
        quantity=int(_matching(cells, "quantity", QUANTITY, "a whole number from 1 to 9999")),
        unit_price=_amount(cells, "unit_price"),
    )
    return head, line


def _gather_order(rows: list[FileRow], file: OrderFile) -> None:
    """Make one order of its rows, or note which of them do not fit together."""
    first_line, head, _ = rows[0]
    bought: dict[str, OrderLine] = {}
    for line, other, article in rows:
        if other != head:
            reason = f"order {head.number} reads differently on line {first_line}"
            file.leave_out(head.number, BadRow(line, reason))
        elif article.sku in bought:
            reason = f"sku: {article.sku} stands twice in order {head.number}"
            file.leave_out(head.number, BadRow(line, reason))
        bought.setdefault(article.sku, article)
    if head.number in file.left_out:
        return
    total = sum((article.quantity * article.unit_price for article in bought.values()), Decimal(0))
    if head.amount_paid > total:
        reason = f"amount_paid: {head.amount_paid} is more than the order's total of {total}"
        file.leave_out(head.number, BadRow(first_line, reason))
    file.orders.append(FiledOrder(first_line, head, tuple(bought.values())))


def _check_across_orders(file: OrderFile) -> None:
    """One payment pays one order, and one e-mail address is one person."""
    payer: dict[str, str] = {}
    person: dict[str, str] = {}
    for order in sorted(file.orders, key=lambda order: order.line):
        head = order.head
        if head.payment_reference and payer.setdefault(head.payment_reference, head.number) != (
            head.number
        ):
            other = payer[head.payment_reference]
            reason = f"payment_reference: {head.payment_reference} paid order {other} already"
            file.leave_out(head.number, BadRow(order.line, reason))
        name = person.setdefault(head.customer_email, head.customer_name)
        if name != head.customer_name:
            reason = f"customer_name: {head.customer_email} is {name!r} further up"
            file.leave_out(head.number, BadRow(order.line, reason))


def _matching(cells: Mapping[str, str], column: str, pattern: re.Pattern[str], what: str) -> str:
    value = cells[column]
    if not pattern.fullmatch(value):
        raise ValueError(f"{column}: {value!r} is not {what}")
    return value


def _text(cells: Mapping[str, str], column: str) -> str:
    value = cells[column]
    if not value.strip() or value != value.strip() or not value.isprintable():
        raise ValueError(f"{column}: {value!r} is empty, padded, or holds control characters")
    if len(value) > LONGEST_TEXT:
        raise ValueError(f"{column}: longer than {LONGEST_TEXT} characters")
    return value


def _amount(cells: Mapping[str, str], column: str) -> Decimal:
    return Decimal(_matching(cells, column, AMOUNT, "an amount like 64.50"))


def _moment(cells: Mapping[str, str], column: str) -> datetime:
    value = cells[column]
    try:
        moment = datetime.fromisoformat(value)
        in_utc = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{column}: {value!r} is not a moment like 2026-07-28T07:44:28Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"{column}: {value!r} has no time zone; add Z or an offset")
    return in_utc
