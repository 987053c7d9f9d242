from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from support_agent.shop.cases import Case, move_case, open_case
from support_agent.shop.database import reading, writing
from support_agent.shop.errors import (
    CaseAlreadyRefunded,
    CaseNotApproved,
    InvalidAmount,
    KeyReused,
    NotARefund,
    RefundTooLarge,
    SupportError,
    UnknownCase,
    UnknownOrder,
)
from support_agent.shop.ledger import Receipt, entries, refund, refundable
from support_agent.shop.records import (
    CaseRecord,
    CaseStatus,
    Customer,
    Order,
    Payment,
    Refund,
    RefundCall,
)
from support_agent.shop.requests import request_human

NOW = datetime(2026, 8, 1, tzinfo=UTC)
PAID = Decimal("124.10")
TEAPOT = Decimal("64.50")


def case(
    engine: Engine,
    case_id: str,
    amount: Decimal = TEAPOT,
    status: CaseStatus = "approved",
    order_number: str = "A-1042",
) -> None:
    """A case on an order that got as far as `status`."""
    with writing(engine) as session:
        open_case(session, Case(case_id, order_number, amount, "Broken."))
        if status != "opened":
            move_case(session, case_id, "pending_approval", key=f"{case_id}:ask")
        if status not in ("opened", "pending_approval"):
            move_case(session, case_id, status, key=f"{case_id}:answer")


def pay_back(engine: Engine, case_id: str, key: str, amount: Decimal = TEAPOT) -> Receipt:
    with writing(engine) as session:
        return refund(session, case_id=case_id, amount=amount, key=key)


def test_a_repeated_key_gets_the_first_receipt_and_pays_nothing_more(shop: Engine) -> None:
    case(shop, "C-1")

    first = pay_back(shop, "C-1", "key")
    again = pay_back(shop, "C-1", "key")

    assert again == first
    assert (first.amount, first.currency, first.order_number) == (TEAPOT, "EUR", "A-1042")
    with reading(shop) as session:
        (entry,) = entries(session, "C-1")
        assert (entry.receipt, entry.idempotency_key, entry.calls) == (first, "key", 2)
        assert refundable(session, "A-1042") == PAID - TEAPOT


def test_the_same_key_for_another_amount_is_refused(shop: Engine) -> None:
    case(shop, "C-1")
    pay_back(shop, "C-1", "key")

    with pytest.raises(KeyReused, match="Use a new key"):
        pay_back(shop, "C-1", "key", Decimal("10.00"))


def test_the_same_key_for_another_case_is_refused(shop: Engine) -> None:
    case(shop, "C-1", Decimal("10.00"))
    case(shop, "C-2", Decimal("10.00"))
    pay_back(shop, "C-1", "key", Decimal("10.00"))

    with pytest.raises(KeyReused):
        pay_back(shop, "C-2", "key", Decimal("10.00"))


def test_a_case_is_not_refunded_again_under_a_new_key(shop: Engine) -> None:
    case(shop, "C-1", Decimal("10.00"))
    first = pay_back(shop, "C-1", "key", Decimal("10.00"))

    with pytest.raises(CaseAlreadyRefunded, match=first.number):
        pay_back(shop, "C-1", "another key", Decimal("10.00"))


def test_two_cases_never_give_back_more_than_was_paid_for_their_order(shop: Engine) -> None:
    case(shop, "C-1", Decimal("100.00"))
    case(shop, "C-2", Decimal("100.00"))
    pay_back(shop, "C-1", "one", Decimal("100.00"))

    with pytest.raises(RefundTooLarge, match=r"100\.00 is more than 24\.10"):
        pay_back(shop, "C-2", "two", Decimal("100.00"))


def test_the_last_cent_can_be_given_back_and_not_one_more(shop: Engine) -> None:
    case(shop, "C-1", PAID)
    pay_back(shop, "C-1", "key", PAID)

    with reading(shop) as session:
        assert refundable(session, "A-1042") == 0
    with pytest.raises(RefundTooLarge):
        case(shop, "C-2", Decimal("0.01"))


def test_more_than_the_case_asks_for_is_refused(shop: Engine) -> None:
    case(shop, "C-1", Decimal("10.00"))

    with pytest.raises(RefundTooLarge, match="what case C-1 asks for"):
        pay_back(shop, "C-1", "key", Decimal("10.01"))


@pytest.mark.parametrize("status", ["opened", "pending_approval", "rejected", "expired"])
def test_no_money_moves_for_a_case_that_is_not_approved(shop: Engine, status: CaseStatus) -> None:
    case(shop, "C-1", status=status)

    with pytest.raises(CaseNotApproved, match=status):
        pay_back(shop, "C-1", "key")


def test_a_case_that_is_not_on_record_is_refused(shop: Engine) -> None:
    with pytest.raises(UnknownCase):
        pay_back(shop, "C-404", "key")


def test_an_order_that_is_not_on_record_has_nothing_to_refund(shop: Engine) -> None:
    with reading(shop) as session, pytest.raises(UnknownOrder):
        refundable(session, "A-404")


@pytest.mark.parametrize("amount", ["0", "-64.50", "64.505", "NaN"])
def test_an_amount_that_cannot_be_paid_is_refused(shop: Engine, amount: str) -> None:
    case(shop, "C-1")

    with pytest.raises(InvalidAmount):
        pay_back(shop, "C-1", "key", Decimal(amount))


def test_a_refused_refund_leaves_no_trace(shop: Engine) -> None:
    case(shop, "C-1", status="rejected")

    with pytest.raises(SupportError):
        pay_back(shop, "C-1", "key")

    with reading(shop) as session:
        assert session.scalars(select(Refund)).all() == []
        assert session.scalars(select(RefundCall)).all() == []


@pytest.mark.slow
def test_eight_threads_with_one_key_get_one_receipt(shop: Engine) -> None:
    case(shop, "C-1")

    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(lambda _: pay_back(shop, "C-1", "key"), range(8)))

    assert len(set(receipts)) == 1
    with reading(shop) as session:
        (entry,) = entries(session, "C-1")
    assert entry.calls == 8


def test_a_paid_case_is_refunded_and_says_how_much(shop: Engine) -> None:
    case(shop, "C-1")
    receipt = pay_back(shop, "C-1", "key", Decimal("60.00"))

    with reading(shop) as session:
        record = session.get_one(CaseRecord, "C-1")
        last = record.changes[-1]
        assert (record.status, record.refunded_amount) == ("refunded", Decimal("60.00"))
        assert (last.status, last.changed_at) == ("refunded", receipt.issued_at)


def test_no_money_moves_for_a_case_that_asks_for_a_person(shop: Engine) -> None:
    with writing(shop) as session:
        customer = session.scalars(select(Customer.id)).one()
        case = request_human(
            session, key="k", customer_id=customer, reason="Help", priority="low", now=NOW
        )

    with pytest.raises(NotARefund, match="asks for a person"):
        pay_back(shop, case.case_id, "key")


@pytest.mark.slow
def test_eight_threads_cannot_empty_one_order_twice(shop: Engine) -> None:
    for number in range(8):
        case(shop, f"C-{number}", Decimal("50.00"))

    def attempt(number: int) -> bool:
        try:
            pay_back(shop, f"C-{number}", f"key-{number}", Decimal("50.00"))
        except RefundTooLarge:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        paid = list(pool.map(attempt, range(8)))

    assert sum(paid) == 2  # 124.10 holds 50.00 twice
    with reading(shop) as session:
        assert refundable(session, "A-1042") == Decimal("24.10")


CASES = {"C-1": 7000, "C-2": 6000, "C-3": 5000}  # what each asks for, in cents; all on one order
calls = st.tuples(
    st.sampled_from(["key-a", "key-b", "key-c", "key-d"]),
    st.sampled_from(sorted(CASES)),
    st.sampled_from([1000, 5000, 6000, 7000, 9000]),
)


orders = count(1)
# One shop serves all examples: each gets an order of its own in it.
one_shop = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.slow
@one_shop
@given(asked=st.lists(calls, max_size=15))
def test_no_order_of_calls_pays_a_key_twice_or_more_than_was_paid(
    shop: Engine, asked: list[tuple[str, str, int]]
) -> None:
    answers: dict[str, list[Receipt]] = {}
    named = order_with_cases(shop, next(orders))

    for word, name, cents in asked:
        case_id = named[name]
        key = f"{named['C-1']}/{word}"
        try:
            receipt = pay_back(shop, case_id, key, Decimal(cents) / 100)
        except SupportError:
            continue
        answers.setdefault(key, []).append(receipt)
        assert receipt.case_id == case_id
        assert receipt.amount == Decimal(cents) / 100

    with reading(shop) as session:
        ledger = [entry for case_id in named.values() for entry in entries(session, case_id)]
    receipts = {entry.idempotency_key: entry.receipt for entry in ledger}
    assert len(receipts) == len(ledger)
    assert answers == {
        entry.idempotency_key: [receipts[entry.idempotency_key]] * entry.calls for entry in ledger
    }
    assert len({entry.receipt.case_id for entry in ledger}) == len(ledger)
    assert sum(entry.receipt.amount for entry in ledger) <= PAID


def order_with_cases(engine: Engine, number: int) -> dict[str, str]:
    """A fresh order with three approved cases that it cannot pay all; their ids by short name."""
    with writing(engine) as session:
        order = Order(
            number=f"B-{number}", ordered_at=datetime(2026, 7, 28, tzinfo=UTC), currency="EUR"
        )
        order.customer = session.scalars(select(Customer)).one()
        order.payments = [Payment(reference=f"PAY-B-{number}", method="card", amount=PAID)]
        session.add(order)
    for name, cents in CASES.items():
        case(engine, f"B-{number}/{name}", Decimal(cents) / 100, order_number=f"B-{number}")
    return {name: f"B-{number}/{name}" for name in CASES}
