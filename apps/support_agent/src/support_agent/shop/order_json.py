"""Reading an order file in JSON: customers, each with orders, each with its items and payments.

    {"customers": [{"name": "Amina Diallo", "email": "amina@example.org", "orders": [
        {"number": "A-1042", "ordered_at": "2026-07-28T07:44:28Z", "currency": "EUR",
         "items": [{"sku": "KIT-0101", "product": "Teapot", "quantity": 1, "unit_price": "64.50"}],
         "payments": [{"reference": "PAY-1", "method": "card", "amount": "64.50"}]}]}]}

What an order may have besides: `note`, `dispatched_at`, `delivered_at`; a payment: `paid_at`. Other
than in CSV, an order may have several payments, and an order that was charged twice does.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, TypeVar, cast

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
    read_moment_if_known,
    read_note,
    read_text,
)
from support_agent.shop.money import CURRENCY
from support_agent.shop.order_file import (
    BadRow,
    FiledOrder,
    FiledPayment,
    OrderFile,
    OrderHead,
    OrderLine,
    check_across_orders,
)

Part = TypeVar("Part", OrderLine, FiledPayment)
AS_IT_IS = timedelta(0)
LONGEST_NAME = 40
"""Of a field, as a refusal shows it."""


def read_order_json(text: str, later: timedelta = AS_IT_IS) -> OrderFile:
    """Read and check every order, the good and the bad ones; never stops at the first bad one.

    `later` moves every moment, so that an example stays as fresh as it was written.
    """
    file = OrderFile()
    try:
        # Numbers stay text: 64.50 is an amount and 64.5 is not, and no float comes near either.
        found = json.loads(
            text,
            parse_float=str,
            parse_int=str,
            parse_constant=str,
            object_pairs_hook=_each_field_once,
        )
    except json.JSONDecodeError as broken:
        file.break_off(BadRow(broken.lineno, f"not JSON: {broken.msg}"))
        return file
    except _FieldTwice as wrong:
        file.break_off(BadRow(1, str(wrong)))
        return file
    except RecursionError:
        file.break_off(BadRow(1, "not orders: nested too deeply"))
        return file
    line = 0
    for place, customer, order in _orders(found, file):
        line += 1
        try:
            file.orders.append(_order(line, place, customer, order, later))
        except ValueError as wrong:
            number = order.get("number") if isinstance(order, dict) else None
            file.leave_out(number if isinstance(number, str) else "", _bad(line, place, wrong))
    _check_numbers(file)
    return check_across_orders(file)


class _FieldTwice(ValueError):
    """An object with two fields of one name: whichever is meant, the other would go unsaid."""


def _each_field_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _FieldTwice(f"{twice[:LONGEST_NAME]!r} stands twice in one object")
    return fields


def _orders(found: object, file: OrderFile) -> Iterator[tuple[str, object, object]]:
    """Each order with where it stands and whose it is."""
    for at, customer in enumerate(_list_or_bad(found, "customers", "", file)):
        place = f"customers[{at}]"
        for number, order in enumerate(_list_or_bad(customer, "orders", f"{place}.", file)):
            yield f"{place}.orders[{number}]", customer, order


def _list_or_bad(found: object, name: str, place: str, file: OrderFile) -> list[object]:
    try:
        return _list(found, name, place)
    except ValueError as wrong:
        file.bad_rows.append(BadRow(1, str(wrong)))
        return []


def _order(line: int, place: str, customer: object, order: object, later: timedelta) -> FiledOrder:
    """The order as values. Raises ValueError with the field and what is wrong there."""
    who, cells = _cells(customer), _cells(order)
    if cells["currency"] != CURRENCY:
        raise ValueError(f"currency: {cells['currency']!r} is not {CURRENCY}")
    dispatched, delivered = (
        read_moment_if_known(cells, field) for field in ("dispatched_at", "delivered_at")
    )
    head = OrderHead(
        number=read_matching(cells, "number", ORDER_NUMBER, "an order number like A-1042"),
        ordered_at=read_moment(cells, "ordered_at") + later,
        customer_name=read_text(who, "name"),
        customer_email=read_email(who, "email"),
        note=read_note(cells, "note"),
        dispatched_at=dispatched and dispatched + later,
        delivered_at=delivered and delivered + later,
    )
    filed = FiledOrder(
        line,
        head,
        _parts(order, "items", _item),
        _parts(order, "payments", lambda cells: _payment(cells, later)),
        place,
    )
    _check(filed)
    return filed


def _item(cells: Mapping[str, str]) -> OrderLine:
    return OrderLine(
        sku=read_matching(cells, "sku", SKU, "an article number like KIT-0101"),
        product=read_text(cells, "product"),
        quantity=int(read_matching(cells, "quantity", QUANTITY, "a whole number from 1 to 9999")),
        unit_price=read_amount(cells, "unit_price"),
    )


def _payment(cells: Mapping[str, str], later: timedelta) -> FiledPayment:
    paid_at = read_moment_if_known(cells, "paid_at")
    payment = FiledPayment(
        reference=read_matching(
            cells, "reference", PAYMENT_REFERENCE, "a reference like PAY-34630B2E or ch_3PqR"
        ),
        method=read_text(cells, "method", LONGEST_METHOD),
        amount=read_amount(cells, "amount"),
        paid_at=paid_at and paid_at + later,
    )
    if not payment.reference or payment.amount == 0:
        raise ValueError("reference: a payment has one, and an amount above zero")
    return payment


def _check(order: FiledOrder) -> None:
    """Refuse what no shop sells: nothing, one article twice, a payment above the whole price."""
    skus = [line.sku for line in order.lines]
    if not skus:
        raise ValueError("items: an order has at least one")
    for at, sku in enumerate(skus):
        if sku in skus[:at]:
            raise ValueError(f"items[{at}].sku: {sku} stands twice")
    references = [payment.reference for payment in order.payments]
    for at, payment in enumerate(order.payments):
        if payment.reference in references[:at]:
            raise ValueError(f"payments[{at}].reference: {payment.reference} stands twice")
        if payment.amount > order.total:
            raise ValueError(
                f"payments[{at}].amount: {payment.amount} is more than the order's total of"
                f" {order.total}"
            )


def _check_numbers(file: OrderFile) -> None:
    seen: dict[str, str] = {}
    for order in file.orders:
        first = seen.setdefault(order.head.number, order.place)
        if first != order.place:
            reason = f"number: {order.head.number} stands at {first} already"
            file.leave_out(order.head.number, order.bad(reason))


def _parts(order: object, name: str, read: Callable[[Mapping[str, str]], Part]) -> tuple[Part, ...]:
    """Every part in the list, or ValueError with the place of the first that is wrong."""
    parts: list[Part] = []
    for at, part in enumerate(_list(order, name)):
        try:
            parts.append(read(_cells(part)))
        except ValueError as wrong:
            raise ValueError(f"{name}[{at}].{wrong}") from None
    return tuple(parts)


def _list(found: object, name: str, place: str = "") -> list[object]:
    inside = cast(dict[str, Any], found).get(name) if isinstance(found, dict) else None
    if not isinstance(inside, list):
        raise ValueError(f"{place}{name}: there is no such list")
    return cast(list[object], inside)


class _Cells(dict[str, str]):
    """The fields of an object that are text or numbers."""

    def __missing__(self, field: str) -> str:
        raise ValueError(f"{field}: there is no such text or number")


def _cells(found: object) -> _Cells:
    if not isinstance(found, dict):
        raise ValueError("not an object with fields")
    fields = cast(dict[str, object], found)
    return _Cells({name: value for name, value in fields.items() if isinstance(value, str)})


def _bad(line: int, place: str, wrong: ValueError) -> BadRow:
    return BadRow(line, str(wrong), place)
