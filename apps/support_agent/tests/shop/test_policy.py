from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from support_agent.shop.policy import Account, Proposal, RefusedRequest, review, topic_of

ORDERED = datetime(2026, 7, 28, 7, 44, tzinfo=UTC)


def account(
    paid: str = "124.10", returned: str = "0.00", ordered_at: datetime = ORDERED
) -> Account:
    return Account("A-1042", ordered_at, "EUR", Decimal("124.10"), Decimal(paid), Decimal(returned))


def ask(
    order: Account, amount: str | None = None, reason: str = "Broken.", days: float = 1
) -> Proposal | RefusedRequest:
    asked = None if amount is None else Decimal(amount)
    return review(order, reason=reason, amount=asked, now=order.ordered_at + timedelta(days=days))


def refused(answer: Proposal | RefusedRequest) -> str:
    assert isinstance(answer, RefusedRequest)
    return answer.code


def test_without_an_amount_all_that_is_left_is_asked_for() -> None:
    assert ask(account(returned="24.10")) == Proposal(Decimal("100.00"), "broken-items")


def test_a_double_charge_without_an_amount_asks_for_what_was_paid_too_much() -> None:
    answer = ask(account(paid="248.20"), reason="I was charged twice!")

    assert answer == Proposal(Decimal("124.10"), "double-charges")


def test_what_was_paid_too_much_is_gone_once_it_went_back() -> None:
    assert account(paid="248.20").overpaid == Decimal("124.10")
    assert account(paid="248.20", returned="124.10").overpaid == 0
    assert account(returned="24.10").overpaid == 0


def test_a_claimed_double_charge_is_no_double_charge_on_record() -> None:
    answer = ask(account(), reason="I was charged twice")

    assert answer == Proposal(Decimal("124.10"), "double-charges")


def test_the_last_cent_may_be_asked_for_and_not_one_more() -> None:
    assert isinstance(ask(account(returned="24.10"), "100.00"), Proposal)
    assert refused(ask(account(returned="24.10"), "100.01")) == "amount_too_large"


@pytest.mark.parametrize("amount", ["0", "-1", "0.001", "NaN", "1E+30"])
def test_what_is_no_amount_is_refused(amount: str) -> None:
    assert refused(ask(account(), amount)) == "invalid_amount"


def test_an_order_that_was_never_paid_has_nothing_to_refund() -> None:
    assert refused(ask(account(paid="0.00"))) == "nothing_paid"


def test_an_order_that_went_back_whole_is_refunded_already() -> None:
    assert refused(ask(account(returned="124.10"), "1.00")) == "already_refunded"


@pytest.mark.parametrize(
    ("days", "reason", "article"),
    [
        (1, "I do not like the colour", "returns"),
        (29, "I do not like the colour", "returns"),
        (31, "I do not like the colour", "warranty"),
        (29, "The teapot arrived in four pieces", "broken-items"),
        (31, "The lamp stopped working", "warranty"),
        (700, "The lamp stopped working", "warranty"),
        (700, "You took the money twice", "double-charges"),
    ],
)
def test_the_article_that_applies_is_named(days: int, reason: str, article: str) -> None:
    answer = ask(account(), reason=reason, days=days)

    assert isinstance(answer, Proposal)
    assert answer.policy == article


def test_after_both_windows_nothing_is_asked_of_anybody() -> None:
    last_day = datetime(2028, 7, 28, 23, 59, tzinfo=UTC) - ORDERED

    assert isinstance(ask(account(), days=last_day / timedelta(days=1)), Proposal)
    answer = ask(account(), days=last_day / timedelta(days=1) + 1)
    assert refused(answer) == "outside_window"
    assert isinstance(answer, RefusedRequest)
    assert "28 July 2026" in answer.words
    assert "28 July 2028" in answer.words


def test_no_window_closes_on_what_was_paid_too_much() -> None:
    order = account(paid="248.20")

    assert isinstance(ask(order, "124.10", "Charged twice", days=2000), Proposal)
    assert refused(ask(order, "124.11", "Charged twice", days=2000)) == "outside_window"


def test_a_warranty_from_the_29th_of_february_ends_on_the_first_of_march() -> None:
    leap = account(ordered_at=datetime(2028, 2, 29, tzinfo=UTC))

    assert f"{leap.warranty_until:%Y-%m-%d}" == "2030-03-01"


@pytest.mark.parametrize(
    ("reason", "topic"),
    [
        ("I was charged twice for A-1042", "double_charge"),
        ("there are two payments... you took the money two times", "double_charge"),
        ("double charge!!", "double_charge"),
        ("You charged my card.\nTwice!", "double_charge"),
        ("DUPLICATE PAYMENT", "double_charge"),
        ("The double bed sheet is torn", "fault"),
        ("it doesn't work", "fault"),
        ("you sent the wrong colour", "fault"),
        ("I looked at it twice and do not like it", "other"),
        ("", "other"),
    ],
)
def test_the_words_only_name_a_topic(reason: str, topic: str) -> None:
    assert topic_of(reason) == topic
