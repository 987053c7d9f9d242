import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from support_agent.shop.database import reading
from support_agent.shop.errors import FileRefused
from support_agent.shop.order_json import read_order_json
from support_agent.shop.orders import ImportReport, import_orders
from support_agent.shop.records import Order

Tree = dict[str, Any]


def tree() -> Tree:
    """A file that is as it should be: an order that was charged twice."""
    paid = {"method": "card", "amount": "129.00"}
    return {
        "customers": [
            {
                "name": "Siobhán Murphy",
                "email": "Siobhan@example.org",
                "orders": [
                    {
                        "number": "A-1",
                        "ordered_at": "2026-07-28T07:44:28Z",
                        "currency": "EUR",
                        "note": "Please knock.\nTwice.",
                        "items": [
                            {
                                "sku": "KIT-0101",
                                "product": "Teapot",
                                "quantity": 2,
                                "unit_price": "64.50",
                            }
                        ],
                        "payments": [
                            {"reference": "PAY-1", "paid_at": "2026-07-28T07:45:00Z", **paid},
                            {"reference": "PAY-2", **paid},
                        ],
                    }
                ],
            }
        ]
    }


def order_in(file: Tree) -> Tree:
    return file["customers"][0]["orders"][0]


@pytest.fixture
def bring(database: Engine, tmp_path: Path) -> Callable[[Tree | str], ImportReport]:
    """Writes the file and imports it."""

    def bring(file: Tree | str) -> ImportReport:
        path = tmp_path / "orders.json"
        path.write_text(file if isinstance(file, str) else json.dumps(file), encoding="utf-8")
        return import_orders(database, path)

    return bring


Bring = Callable[[Tree | str], ImportReport]


def refused(bring: Bring, file: Tree | str) -> list[str]:
    with pytest.raises(FileRefused) as refusal:
        bring(file)
    return [str(bad) for bad in refusal.value.bad_rows]


def test_an_order_that_was_charged_twice_is_imported_with_both_payments(
    database: Engine, bring: Bring
) -> None:
    report = bring(tree())

    assert (report.imported, report.bad_rows) == (1, ())
    with reading(database) as session:
        order = session.get_one(Order, "A-1")
        assert order.customer.email == "siobhan@example.org"
        assert order.note == "Please knock.\nTwice."
        assert [(one.product, one.quantity, one.unit_price) for one in order.items] == [
            ("Teapot", 2, Decimal("64.50"))
        ]
        assert [(one.reference, one.amount, one.paid_at) for one in order.payments] == [
            ("PAY-1", Decimal("129.00"), datetime(2026, 7, 28, 7, 45, tzinfo=UTC)),
            ("PAY-2", Decimal("129.00"), None),
        ]


def test_importing_it_again_changes_nothing(bring: Bring) -> None:
    bring(tree())

    report = bring(tree())

    assert (report.imported, report.grown, report.unchanged) == (0, 0, 1)


def test_an_order_on_record_learns_that_it_was_delivered(database: Engine, bring: Bring) -> None:
    bring(tree())
    file = tree()
    order_in(file)["dispatched_at"] = "2026-07-29T10:00:00Z"
    order_in(file)["delivered_at"] = "2026-07-31T10:00:00Z"

    assert bring(file).grown == 1
    assert bring(file).unchanged == 1

    with reading(database) as session:
        delivered = session.get_one(Order, "A-1").delivered_at
    assert delivered == datetime(2026, 7, 31, 10, tzinfo=UTC)
    order_in(file)["delivered_at"] = "2026-08-01T10:00:00Z"
    (said,) = refused(bring, file)
    assert said == "customers[0].orders[0]: order A-1 is on record and reads differently there"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("number", "1", "number: '1' is not an order number like A-1042"),
        ("number", None, "number: there is no such text or number"),
        ("ordered_at", "yesterday", "ordered_at: 'yesterday' is not a moment"),
        ("currency", "USD", "currency: 'USD' is not EUR"),
        ("note", "beep\x07", "note: holds control characters"),
        ("note", "x" * 2001, "note: holds control characters, or more than 2000"),
        ("delivered_at", "soon", "delivered_at: 'soon' is not a moment"),
        ("items", None, "items: there is no such list"),
        ("items", [], "items: an order has at least one"),
        ("items", ["teapot"], "items[0].not an object with fields"),
        ("items.0.quantity", 0, "items[0].quantity: '0' is not a whole number"),
        ("items.0.quantity", True, "items[0].quantity: there is no such text or number"),
        ("items.0.unit_price", 64.5, "items[0].unit_price: '64.5' is not an amount"),
        ("payments", None, "payments: there is no such list"),
        ("payments.1.amount", "129.01", "payments[1].amount: 129.01 is more than the order's"),
        ("payments.1.amount", "0.00", "payments[1].reference: a payment has one, and an amount"),
        ("payments.1.reference", "PAY-1", "payments[1].reference: PAY-1 stands twice"),
        ("payments.1.method", "", "payments[1].method: '' is empty"),
        ("payments.1.paid_at", "2026-07-28", "payments[1].paid_at: '2026-07-28' has no time zone"),
    ],
)
def test_a_bad_field_is_named_with_its_place(
    database: Engine, bring: Bring, path: str, value: object, said: str
) -> None:
    file = tree()
    *steps, last = path.split(".")
    part: Any = order_in(file)
    for step in steps:
        part = part[int(step) if step.isdigit() else step]
    part[last] = value

    (reason,) = refused(bring, file)

    assert reason.startswith(f"customers[0].orders[0]: {said}")
    with reading(database) as session:
        assert session.get(Order, "A-1") is None


def test_an_article_stands_once_in_an_order(bring: Bring) -> None:
    file = tree()
    order_in(file)["items"] *= 2

    assert refused(bring, file) == ["customers[0].orders[0]: items[1].sku: KIT-0101 stands twice"]


def test_a_number_stands_once_in_a_file(bring: Bring) -> None:
    file = tree()
    file["customers"][0]["orders"] *= 2

    assert refused(bring, file) == [
        "customers[0].orders[1]: number: A-1 stands at customers[0].orders[0] already"
    ]


def test_one_payment_does_not_pay_two_orders(bring: Bring) -> None:
    file = tree()
    file["customers"][0]["orders"].append({**order_in(file), "number": "A-2"})

    assert refused(bring, file) == [
        f"customers[0].orders[1]: payment_reference: {reference} paid order A-1 already"
        for reference in ("PAY-1", "PAY-2")
    ]


def test_a_bad_customer_is_named_at_their_order(bring: Bring) -> None:
    file = tree()
    file["customers"][0]["email"] = "siobhan"

    (said,) = refused(bring, file)

    assert said.startswith("customers[0].orders[0]: email: 'siobhan' is not an e-mail address")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "line 1: not JSON: "),
        ('{"customers":\n[1,]}', "line 2: not JSON: "),
        ("[]", "line 1: customers: there is no such list"),
        ('{"customers": [1]}', "line 1: customers[0].orders: there is no such list"),
        ("[" * 100_000, "line 1: not orders: nested too deeply"),
    ],
)
def test_what_is_no_order_file_is_refused(bring: Bring, text: str, said: str) -> None:
    (reason,) = refused(bring, text)

    assert reason.startswith(said)


def test_a_customer_without_orders_hides_nobody_further_down(bring: Bring) -> None:
    good = tree()["customers"][0]
    bad = {**good, "orders": [{**good["orders"][0], "currency": "USD"}]}

    said = refused(bring, {"customers": [{"name": "A B", "email": "a@example.org"}, 7, bad]})

    assert said == [
        "customers[2].orders[0]: currency: 'USD' is not EUR",
        "line 1: customers[0].orders: there is no such list",
        "line 1: customers[1].orders: there is no such list",
    ]


def test_a_field_that_stands_twice_is_not_read_as_either(bring: Bring) -> None:
    text = json.dumps(tree()).replace('"unit_price":', '"unit_price": "1.00", "unit_price":')

    assert refused(bring, text) == ["line 1: 'unit_price' stands twice in one object"]


def test_a_file_that_is_no_json_is_refused_even_where_bad_rows_are_skipped(
    database: Engine, tmp_path: Path
) -> None:
    path = tmp_path / "orders.json"
    path.write_text(json.dumps(tree())[:-1], encoding="utf-8")

    with pytest.raises(FileRefused, match="not JSON"):
        import_orders(database, path, bad_rows="skip")


def test_a_number_is_read_to_the_cent_and_never_as_a_float(bring: Bring) -> None:
    text = json.dumps(tree()).replace('"64.50"', "64.50").replace('"129.00"', "129.00")

    assert bring(text).imported == 1


def test_every_moment_can_be_moved_to_a_later_day() -> None:
    file = read_order_json(json.dumps(tree()), later=timedelta(days=10))

    (order,) = file.orders
    assert order.head.ordered_at == datetime(2026, 8, 7, 7, 44, 28, tzinfo=UTC)
    assert order.payments[0].paid_at == datetime(2026, 8, 7, 7, 45, tzinfo=UTC)
    assert order.payments[1].paid_at is None


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["customers", "orders", "items", "payments", "number", "name", "email"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.slow
@given(values)
def test_no_json_breaks_the_reader(value: object) -> None:
    file = read_order_json(json.dumps({"customers": value}))

    assert file.orders == []
