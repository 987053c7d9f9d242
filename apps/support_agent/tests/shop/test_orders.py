from dataclasses import dataclass
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, event, func, select

from support_agent.shop.database import reading
from support_agent.shop.errors import FileRefused
from support_agent.shop.order_file import COLUMNS, read_order_file
from support_agent.shop.orders import SHIPPED_FILE, import_orders
from support_agent.shop.records import Customer, Order, OrderItem, Payment

GOOD = {
    "order_number": "A-1",
    "ordered_at": "2026-07-28T07:44:28Z",
    "customer_name": "Nguyễn Thị Hương",
    "customer_email": "huong@example.com",
    "sku": "KIT-0101",
    "product": "Teapot",
    "quantity": "1",
    "unit_price": "64.50",
    "currency": "EUR",
    "payment_reference": "PAY-1",
    "payment_method": "card",
    "amount_paid": "64.50",
}


def row(**changes: str) -> str:
    return ",".join(f'"{value}"' for value in {**GOOD, **changes}.values())


def csv_text(*rows: str) -> str:
    return "\n".join([",".join(COLUMNS), *rows, ""])


@dataclass(frozen=True)
class OrderDesk:
    """Writes rows to a file and imports it."""

    engine: Engine
    path: Path

    def bring(self, *rows: str) -> "OrderDesk":
        self.path.write_text(csv_text(*rows), encoding="utf-8")
        return self

    def refused(self) -> list[str]:
        """Why the file is refused, line by line."""
        with pytest.raises(FileRefused) as refusal:
            import_orders(self.engine, self.path)
        return [str(bad) for bad in refusal.value.bad_rows]

    def count(self, table: type[Customer | Order | OrderItem | Payment]) -> int:
        with reading(self.engine) as session:
            return session.scalar(select(func.count()).select_from(table)) or 0


@pytest.fixture
def desk(database: Engine, tmp_path: Path) -> OrderDesk:
    return OrderDesk(database, tmp_path / "orders.csv")


@pytest.mark.slow
def test_the_shipped_file_is_imported_whole(database: Engine, desk: OrderDesk) -> None:
    report = import_orders(database)

    assert (report.imported, report.unchanged, report.bad_rows) == (190, 0, ())
    rows = len(SHIPPED_FILE.read_text(encoding="utf-8").splitlines()) - 1
    assert (desk.count(Order), desk.count(OrderItem)) == (190, rows)
    assert rows > 300


@pytest.mark.slow
def test_importing_the_same_file_again_changes_nothing(database: Engine, desk: OrderDesk) -> None:
    import_orders(database)
    before = [desk.count(table) for table in (Customer, Order, OrderItem, Payment)]

    report = import_orders(database)

    assert (report.imported, report.unchanged) == (0, 190)
    assert [desk.count(table) for table in (Customer, Order, OrderItem, Payment)] == before


def test_an_order_keeps_its_articles_and_its_payment(shop: Engine) -> None:
    with reading(shop) as session:
        order = session.get_one(Order, "A-1042")
        articles = [(item.product, item.quantity, item.unit_price) for item in order.items]
        payments = [(payment.reference, payment.amount) for payment in order.payments]

    assert articles == [("Teapot", 1, Decimal("64.50")), ("Mug, moss", 4, Decimal("14.90"))]
    assert payments == [("PAY-1", Decimal("124.10"))]


def test_an_unpaid_order_has_no_payment(desk: OrderDesk) -> None:
    desk.bring(row(payment_reference="", payment_method="", amount_paid="0.00"))

    import_orders(desk.engine, desk.path)

    assert (desk.count(Order), desk.count(Payment)) == (1, 0)


def test_two_orders_of_one_person_are_of_one_customer(desk: OrderDesk) -> None:
    desk.bring(
        row(),
        row(order_number="A-2", payment_reference="PAY-2", customer_email="Huong@Example.com"),
    )

    import_orders(desk.engine, desk.path)

    assert (desk.count(Order), desk.count(Customer)) == (2, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("order_number", "1042", "not an order number like A-1042"),
        ("order_number", "", "not an order number"),
        ("ordered_at", "yesterday", "not a moment"),
        ("ordered_at", "2026-07-28T07:44:28", "no time zone"),
        ("ordered_at", "0001-01-01T00:00:00+23:00", "not a moment"),
        ("customer_name", "  ", "empty"),
        ("customer_name", "Amina\tDiallo", "control characters"),
        ("customer_name", "A" * 201, "longer than 200"),
        ("customer_email", "amina", "not an e-mail address"),
        ("customer_email", f"a@{'x' * 60}.{'y' * 60}.{'z' * 60}.{'w' * 63}.{'v' * 10}", "longer"),
        ("payment_method", "x" * 41, "longer than 40"),
        ("customer_email", "ámina@example.org", "not an e-mail address"),
        ("sku", "kit 1", "not an article number"),
        ("product", " Teapot", "padded"),
        ("quantity", "0", "not a whole number"),
        ("quantity", "1.5", "not a whole number"),
        ("quantity", "٣", "not a whole number"),
        ("unit_price", "64.5", "not an amount"),
        ("unit_price", "-64.50", "not an amount"),
        ("unit_price", "NaN", "not an amount"),
        ("unit_price", "1e3", "not an amount"),
        ("currency", "USD", "is not EUR"),
        ("payment_reference", "pay 1", "not a reference"),
        ("payment_reference", "", "a paid order has a reference"),
        ("payment_method", "", "a paid order has a reference"),
        ("amount_paid", "0.00", "an unpaid one neither"),
        ("amount_paid", "64.51", "more than the order's total of 64.50"),
    ],
)
def test_a_bad_value_is_refused_with_its_line(
    desk: OrderDesk, column: str, value: str, reason: str
) -> None:
    good = row(order_number="A-9", payment_reference="PAY-9")

    (said,) = desk.bring(good, row(**{column: value})).refused()

    assert said.startswith("line 3: ")
    assert reason in said
    assert desk.count(Order) == 0


def test_every_bad_row_is_reported_not_only_the_first(desk: OrderDesk) -> None:
    rows = [row(quantity="0"), row(), row(order_number="A-2", unit_price="x")]

    said = desk.bring(*rows).refused()

    assert [line.split(":")[0] for line in said] == ["line 2", "line 4"]


def test_bad_rows_can_be_skipped_and_take_their_whole_order_along(desk: OrderDesk) -> None:
    desk.bring(
        row(sku="KIT-1"),
        row(sku="KIT-2", quantity="none"),
        row(order_number="A-2", payment_reference="PAY-2"),
    )

    report = import_orders(desk.engine, desk.path, bad_rows="skip")

    assert (report.imported, report.left_out) == (1, ("A-1",))
    assert [bad.line for bad in report.bad_rows] == [3]
    assert desk.count(OrderItem) == 1


def test_rows_of_one_order_must_agree(desk: OrderDesk) -> None:
    (said,) = desk.bring(row(), row(sku="KIT-2", customer_name="Somebody Else")).refused()

    assert said == "line 3: order A-1 reads differently on line 2"


def test_an_article_stands_once_in_an_order(desk: OrderDesk) -> None:
    (said,) = desk.bring(row(), row()).refused()

    assert said == "line 3: sku: KIT-0101 stands twice in order A-1"


def test_one_payment_does_not_pay_two_orders(desk: OrderDesk) -> None:
    (said,) = desk.bring(row(), row(order_number="A-2")).refused()

    assert said == "line 3: payment_reference: PAY-1 paid order A-1 already"


def test_one_payment_does_not_pay_an_order_of_an_earlier_file_too(desk: OrderDesk) -> None:
    import_orders(desk.engine, desk.bring(row()).path)

    (said,) = desk.bring(row(order_number="A-2")).refused()

    assert said == "line 2: payment_reference: PAY-1 paid order A-1 already"


@pytest.mark.parametrize("earlier", [False, True])
def test_one_address_is_not_two_people(desk: OrderDesk, earlier: bool) -> None:
    other = row(order_number="A-2", payment_reference="PAY-2", customer_name="Somebody Else")
    if earlier:
        import_orders(desk.engine, desk.bring(row()).path)
        (said,) = desk.bring(other).refused()
    else:
        (said,) = desk.bring(row(), other).refused()

    assert "huong@example.com is 'Nguyễn Thị Hương'" in said


@pytest.mark.parametrize(
    "changes",
    [{"quantity": "2"}, {"product": "Kettle"}, {"amount_paid": "64.49"}, {"payment_method": "x"}],
)
def test_an_order_on_record_never_changes_through_a_file(
    desk: OrderDesk, changes: dict[str, str]
) -> None:
    import_orders(desk.engine, desk.bring(row()).path)

    (said,) = desk.bring(row(**changes)).refused()

    assert said == "line 2: order A-1 is on record and reads differently there"


def test_a_payment_that_comes_in_later_is_added_to_its_order(desk: OrderDesk) -> None:
    import_orders(
        desk.engine,
        desk.bring(row(payment_reference="", payment_method="", amount_paid="0.00")).path,
    )

    report = import_orders(desk.engine, desk.bring(row()).path)

    assert (report.imported, report.grown, report.unchanged) == (0, 1, 0)
    assert import_orders(desk.engine, desk.path).unchanged == 1
    assert desk.count(Payment) == 1


def test_a_payment_does_not_go_away_through_a_file(desk: OrderDesk) -> None:
    import_orders(desk.engine, desk.bring(row()).path)

    unpaid = row(payment_reference="", payment_method="", amount_paid="0.00")
    (said,) = desk.bring(unpaid).refused()

    assert said == "line 2: order A-1 is on record and reads differently there"


def test_a_later_payment_of_another_order_is_refused(desk: OrderDesk) -> None:
    unpaid = {"payment_reference": "", "payment_method": "", "amount_paid": "0.00"}
    import_orders(desk.engine, desk.bring(row(), row(order_number="A-2", **unpaid)).path)

    (said,) = desk.bring(row(order_number="A-2")).refused()

    assert said == "line 2: payment_reference: PAY-1 paid order A-1 already"


def test_lines_are_counted_as_an_editor_counts_them(desk: OrderDesk) -> None:
    two_lines = row(order_number="A-2", payment_reference="PAY-2", product="Tea\npot")

    said = desk.bring(row(), "", two_lines, row(order_number="A-3", quantity="0")).refused()

    assert [line.split(":")[0] for line in said] == ["line 4", "line 6"]


def test_a_row_with_too_few_or_too_many_values_is_bad(desk: OrderDesk) -> None:
    said = desk.bring(row() + ",more", "A-2,2026-07-28").refused()

    assert said == ["line 2: 13 values for 12 columns", "line 3: 2 values for 12 columns"]


def test_a_missing_column_is_named(desk: OrderDesk) -> None:
    desk.path.write_text("order_number,ordered_at\nA-1,2026-07-28T07:44:28Z\n", encoding="utf-8")

    (said,) = desk.refused()

    assert said.startswith("line 1: the header needs once each: customer_name, ")


def test_an_empty_file_is_refused(desk: OrderDesk) -> None:
    desk.path.write_text("", encoding="utf-8")

    assert len(desk.refused()) == 1


def test_columns_may_stand_in_any_order_and_more_are_ignored(desk: OrderDesk) -> None:
    names = ["remark", *reversed(COLUMNS)]
    values = ["fragile", *reversed(GOOD.values())]
    desk.path.write_text(f"{','.join(names)}\n{','.join(values)}\n", encoding="utf-8")

    assert import_orders(desk.engine, desk.path).imported == 1


def test_a_file_from_a_spreadsheet_with_a_byte_order_mark_is_read(desk: OrderDesk) -> None:
    desk.path.write_text(csv_text(row()).replace("\n", "\r\n"), encoding="utf-8-sig", newline="")

    assert import_orders(desk.engine, desk.path).imported == 1


def test_a_file_in_another_encoding_is_refused_with_its_line(desk: OrderDesk) -> None:
    desk.path.write_bytes(csv_text(row(customer_name="Zoë Müller")).encode("latin-1"))

    assert desk.refused() == ["line 2: not UTF-8; save the file as UTF-8"]


def test_a_quote_that_never_closes_is_refused(desk: OrderDesk) -> None:
    (said,) = desk.bring(row(), 'A-2,"never closed').refused()

    assert said.startswith("line 3: not CSV from here on")


def test_a_file_that_breaks_off_is_refused_even_where_bad_rows_are_skipped(
    desk: OrderDesk,
) -> None:
    """What comes after the quote may be the other half of an order."""
    unpaid = {"payment_reference": "", "payment_method": "", "amount_paid": "0.00"}
    desk.bring(row(**unpaid), row(sku="KIT-2", **unpaid).removesuffix('"'))

    with pytest.raises(FileRefused, match="not CSV from here on"):
        import_orders(desk.engine, desk.path, bad_rows="skip")

    assert desk.count(Order) == 0


def test_a_moment_that_no_calendar_can_count_from_is_refused(desk: OrderDesk) -> None:
    (said,) = desk.bring(row(ordered_at="9999-12-30T00:00:00Z")).refused()

    assert said.startswith("line 2: ordered_at: '9999-12-30T00:00:00Z' is in no year from 1970")


@pytest.mark.slow
def test_a_long_file_is_compared_in_a_few_questions(desk: OrderDesk) -> None:
    """Whoever else writes waits until it is done."""
    rows = [row(order_number=f"B-{n}", payment_reference=f"P-{n}") for n in range(400)]
    import_orders(desk.engine, desk.bring(*rows).path)
    asked: list[str] = []

    def listen(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(desk.engine, "before_cursor_execute", listen)
    assert import_orders(desk.engine, desk.path).unchanged == 400

    assert len(asked) < 20


cells = st.one_of(st.sampled_from(sorted(GOOD.values())), st.text(max_size=12))


@pytest.mark.slow
@given(st.lists(st.lists(cells, max_size=14), max_size=6))
def test_no_text_breaks_the_reader(table: list[list[str]]) -> None:
    text = csv_text(*(",".join(values) for values in table))

    file = read_order_file(StringIO(text, newline=""))

    assert not file.left_out & {order.head.number for order in file.orders}
    for order in file.orders:
        total = sum(line.quantity * line.unit_price for line in order.lines)
        assert 0 <= sum(payment.amount for payment in order.payments) <= total
