"""What a gateway is asked for is one fact, whatever changes between two attempts."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from sqlalchemy import Engine, select

from support_agent.shop.cases import Case, move_case, open_case, status_of
from support_agent.shop.database import reading, writing
from support_agent.shop.errors import (
    AskedElsewhere,
    CaseNotApproved,
    KeyReused,
    RefundTooLarge,
    SupportError,
    UnknownCase,
)
from support_agent.shop.ledger import entries, refund
from support_agent.shop.payouts import Payout, write_declined, write_paid, write_payout
from support_agent.shop.records import Order, Payment, PayoutRecord

PAID = Decimal("124.10")


def approved(engine: Engine, case_id: str, amount: Decimal = PAID) -> None:
    with writing(engine) as session:
        open_case(session, Case(case_id, "A-1042", amount, "Broken."))
        move_case(session, case_id, "pending_approval", key=f"{case_id}:ask")
        move_case(session, case_id, "approved", key=f"{case_id}:answer")


def ask(
    engine: Engine, case_id: str = "C-1", amount: Decimal = PAID, gateway: str = "stripe"
) -> Payout:
    with writing(engine) as session:
        return write_payout(session, case_id=case_id, amount=amount, key=case_id, gateway=gateway)


def charge_again(engine: Engine, reference: str = "PAY-2") -> None:
    """The second half of a double charge comes in."""
    with writing(engine) as session:
        order = session.get_one(Order, "A-1042")
        order.payments.append(Payment(reference=reference, method="card", amount=PAID))


def test_a_payout_is_on_record_before_anybody_is_asked(shop: Engine) -> None:
    approved(shop, "C-1")

    payout = ask(shop)

    assert payout == Payout("C-1", "C-1", "A-1042", "PAY-1", PAID, "EUR", "stripe", "asked", "", "")


def test_a_repeated_call_gets_what_was_written_whatever_came_in_since(shop: Engine) -> None:
    approved(shop, "C-1")
    first = ask(shop)
    charge_again(shop)

    assert ask(shop) == first


def test_a_key_stands_for_one_amount(shop: Engine) -> None:
    approved(shop, "C-1")
    ask(shop)

    with pytest.raises(KeyReused):
        ask(shop, amount=Decimal("1.00"))


def test_another_gateway_is_not_asked_while_the_first_may_have_paid(shop: Engine) -> None:
    approved(shop, "C-1")
    ask(shop)

    with pytest.raises(AskedElsewhere, match="Set up stripe again"):
        ask(shop, gateway="ledger")
    with writing(shop) as session:
        write_paid(session, "C-1", "re_1")

    assert ask(shop, gateway="ledger").reference == "re_1"


def test_what_was_paid_stands_in_the_payout_the_ledger_and_the_case(shop: Engine) -> None:
    approved(shop, "C-1")
    ask(shop)

    for reference in ("re_1", "re_2"):  # a late repeat changes nothing
        with writing(shop) as session:
            paid = write_paid(session, "C-1", reference)
            assert (paid.status, paid.reference) == ("paid", "re_1")

    with reading(shop) as session:
        (entry,) = entries(session, "C-1")
        assert (entry.receipt.amount, entry.idempotency_key) == (PAID, "C-1")
        assert status_of(session, "C-1") == "refunded"


def test_a_no_stays_a_no(shop: Engine) -> None:
    approved(shop, "C-1")
    ask(shop)

    for words in ("The card is closed.", "The card is still closed."):
        with writing(shop) as session:
            declined = write_declined(session, "C-1", words)
            assert (declined.status, declined.words) == ("declined", "The card is closed.")

    assert ask(shop) == declined
    with reading(shop) as session:
        assert status_of(session, "C-1") == "failed"


def test_a_no_after_the_payment_is_no_answer(shop: Engine) -> None:
    approved(shop, "C-1")
    ask(shop)
    with writing(shop) as session:
        write_paid(session, "C-1", "re_1")

    with writing(shop) as session:
        assert write_declined(session, "C-1", "Already refunded.").status == "paid"


def test_a_double_charge_goes_back_half_by_half(shop: Engine) -> None:
    charge_again(shop)
    approved(shop, "C-1")
    approved(shop, "C-2")

    assert {ask(shop).payment_reference, ask(shop, "C-2").payment_reference} == {"PAY-1", "PAY-2"}


def test_what_was_declined_is_still_there(shop: Engine) -> None:
    approved(shop, "C-1")
    approved(shop, "C-2")
    ask(shop)
    with writing(shop) as session:
        write_declined(session, "C-1", "No.")

    assert ask(shop, "C-2").amount == PAID


def test_what_may_be_paid_in_one_case_is_not_left_for_another(shop: Engine) -> None:
    approved(shop, "C-1", Decimal("100.00"))
    approved(shop, "C-2", Decimal("100.00"))
    ask(shop, amount=Decimal("100.00"))

    with pytest.raises(RefundTooLarge, match=r"100\.00 is more than 24\.10"):
        ask(shop, "C-2", Decimal("100.00"))
    with pytest.raises(RefundTooLarge), writing(shop) as session:
        refund(session, case_id="C-2", amount=Decimal("100.00"), key="past it")


def test_a_refused_payout_leaves_no_trace(shop: Engine) -> None:
    with writing(shop) as session:
        open_case(session, Case("C-1", "A-1042", PAID, "Broken."))

    with pytest.raises(CaseNotApproved):
        ask(shop)
    with pytest.raises(UnknownCase):
        ask(shop, "C-404")

    with reading(shop) as session:
        assert session.scalars(select(PayoutRecord)).all() == []


def test_eight_cases_decided_at_once_are_promised_no_more_than_was_paid(shop: Engine) -> None:
    for number in range(8):
        approved(shop, f"C-{number}", Decimal("50.00"))

    def attempt(number: int) -> bool:
        try:
            ask(shop, f"C-{number}", Decimal("50.00"))
        except SupportError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        asked = list(pool.map(attempt, range(8)))

    assert sum(asked) == 2  # 124.10 holds 50.00 twice


def test_eight_attempts_at_once_ask_for_one_payout(shop: Engine) -> None:
    approved(shop, "C-1")

    with ThreadPoolExecutor(8) as pool:
        payouts = set(pool.map(lambda _: ask(shop), range(8)))

    assert len(payouts) == 1
