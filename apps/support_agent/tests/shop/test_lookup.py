from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, select

from support_agent.shop.cases import move_case
from support_agent.shop.database import reading, writing
from support_agent.shop.ledger import refund
from support_agent.shop.lookup import (
    CaseView,
    OrderView,
    case_of,
    cases_of,
    customer_of,
    order_of,
    orders_of,
)
from support_agent.shop.messages import write_message
from support_agent.shop.records import Customer, Order, OrderItem, Payment
from support_agent.shop.requests import OpenedCase, request_human, request_refund

NOW = datetime(2026, 8, 1, 9, 0, tzinfo=UTC)


@pytest.fixture
def amina(shop: Engine) -> int:
    with reading(shop) as session:
        return session.scalars(select(Customer.id)).one()


@pytest.fixture
def wei(shop: Engine) -> int:
    with writing(shop) as session:
        customer = Customer(name="Wei Zhang", email="wei@example.org")
        session.add(customer)
        session.flush()
        return customer.id


def order(shop: Engine, customer: int, number: str = "A-1042") -> OrderView | None:
    with reading(shop) as session:
        return order_of(session, customer, number)


def seen(shop: Engine, customer: int, number: str = "A-1042") -> OrderView:
    found = order(shop, customer, number)
    assert found is not None
    return found


def refunded(shop: Engine, customer: int, amount: str) -> str:
    """A case that was approved, paid, and told."""
    with writing(shop) as session:
        case = request_refund(
            session,
            key="key",
            customer_id=customer,
            order_number="A-1042",
            reason="Broken.",
            amount=Decimal("64.50"),
            now=NOW,
        )
        assert isinstance(case, OpenedCase)
        for status in ("pending_approval", "approved"):
            move_case(session, case.case_id, status, key=status)
        refund(session, case_id=case.case_id, amount=Decimal(amount), key="pay")
        told = {"case_id": case.case_id, "text": "You get it back.", "key": "told"}
        write_message(session, **told, outcome=True)
    return case.case_id


@pytest.mark.slow
def test_an_order_shows_its_articles_its_payments_and_its_windows(shop: Engine, amina: int) -> None:
    found = seen(shop, amina)

    assert [(item.product, item.quantity) for item in found.items] == [
        ("Teapot", 1),
        ("Mug, moss", 4),
    ]
    assert [(paid.reference, paid.method, paid.amount) for paid in found.payments] == [
        ("PAY-1", "card", Decimal("124.10"))
    ]
    assert (found.total, found.paid, found.refunded, found.refundable, found.overpaid) == (
        Decimal("124.10"),
        Decimal("124.10"),
        0,
        Decimal("124.10"),
        0,
    )
    assert (found.return_until, found.warranty_until) == (date(2026, 8, 27), date(2028, 7, 28))
    assert not found.charged_twice


def test_an_order_that_was_charged_twice_says_so(shop: Engine, amina: int) -> None:
    with writing(shop) as session:
        session.add(
            Payment(
                reference="PAY-2",
                order_number="A-1042",
                method="card",
                amount=Decimal("124.10"),
                paid_at=NOW,
            )
        )

    found = seen(shop, amina)

    assert found.charged_twice
    assert (found.overpaid, found.refundable) == (Decimal("124.10"), Decimal("248.20"))
    assert found.payments[1].paid_at == NOW


def test_an_order_paid_in_two_parts_was_not_charged_twice(shop: Engine, amina: int) -> None:
    with writing(shop) as session:
        session.get_one(Payment, "PAY-1").amount = Decimal("100.00")
        session.add(
            Payment(
                reference="PAY-2",
                order_number="A-1042",
                method="gift card",
                amount=Decimal("24.10"),
            )
        )

    assert not seen(shop, amina).charged_twice


def test_what_went_back_is_shown_with_its_case(shop: Engine, amina: int) -> None:
    case_id = refunded(shop, amina, "60.00")

    found = seen(shop, amina)

    assert (found.refunded, found.refundable) == (Decimal("60.00"), Decimal("64.10"))
    assert found.cases == (case_id,)


def test_nobody_sees_the_order_of_somebody_else(shop: Engine, wei: int) -> None:
    assert order(shop, wei) is None
    with reading(shop) as session:
        assert orders_of(session, wei) == []


def test_digits_alone_name_an_order_only_where_one_fits(shop: Engine, amina: int) -> None:
    with writing(shop) as session:
        for number in ("B-7", "C-7", "A-91042"):
            session.add(Order(number=number, customer_id=amina, ordered_at=NOW, currency="EUR"))

    assert seen(shop, amina, "1042").number == "A-1042"
    assert order(shop, amina, "7") is None


def test_the_newest_orders_come_first(shop: Engine, amina: int) -> None:
    with writing(shop) as session:
        for day in range(1, 13):
            number = f"B-{day}"
            placed = NOW + timedelta(days=day)
            session.add(Order(number=number, customer_id=amina, ordered_at=placed, currency="EUR"))
            session.flush()
            session.add(
                OrderItem(
                    order_number=number, sku="K", product="Pot", quantity=2, unit_price=Decimal(3)
                )
            )

    with reading(shop) as session:
        found = orders_of(session, amina)

    assert [one.number for one in found] == [f"B-{day}" for day in range(12, 2, -1)]
    assert {one.total for one in found} == {Decimal("6.00")}


def test_a_customer_sees_who_they_are(shop: Engine, amina: int) -> None:
    with reading(shop) as session:
        customer = customer_of(session, amina)
        nobody = customer_of(session, 404)

    assert customer is not None
    assert (customer.name, customer.email) == ("Amina Diallo", "amina@example.org")
    assert nobody is None


def test_a_case_shows_what_was_asked_what_was_paid_and_what_was_told(
    shop: Engine, amina: int
) -> None:
    case_id = refunded(shop, amina, "60.00")

    with reading(shop) as session:
        case = case_of(session, amina, f" #{case_id.lower()} ")

    assert isinstance(case, CaseView)
    assert (case.status, case.is_open) == ("refunded", False)
    assert (case.amount, case.refunded_amount) == (Decimal("64.50"), Decimal("60.00"))
    assert (case.outcome, case.currency) == ("You get it back.", "EUR")
    assert case.opened_at == NOW
    assert case.changed_at != NOW


def test_nobody_sees_the_case_of_somebody_else(shop: Engine, amina: int, wei: int) -> None:
    case_id = refunded(shop, amina, "60.00")

    with reading(shop) as session:
        assert case_of(session, wei, case_id) is None
        assert case_of(session, wei, "R-404") is None
        assert cases_of(session, wei) == []


def test_all_cases_of_a_customer_come_newest_first(shop: Engine, amina: int) -> None:
    refunded(shop, amina, "60.00")
    with writing(shop) as session:
        request_human(
            session,
            key="person",
            customer_id=amina,
            reason="A person, please.",
            priority="high",
            now=NOW + timedelta(hours=1),
        )

    with reading(shop) as session:
        found = cases_of(session, amina)

    assert [(case.id, case.kind, case.is_open) for case in found] == [
        ("E-1001", "escalation", True),
        ("R-1001", "refund", False),
    ]
    assert (found[0].order_number, found[0].amount, found[0].priority) == (None, None, "high")
