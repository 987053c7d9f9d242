"""How a case is told to its customer."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import get_args

import pytest

from support_agent.shop.lookup import CaseView
from support_agent.shop.records import CaseKind, CaseStatus
from support_agent.web.cards import card_of

NOW = datetime(2026, 11, 23, 15, 4, tzinfo=UTC)
REFUND = CaseView(
    id="R-1001",
    kind="refund",
    status="pending_approval",
    priority="normal",
    order_number="A-1201",
    amount=Decimal("64.50"),
    refunded_amount=None,
    currency="EUR",
    reason="Two of the cups are broken.",
    outcome="",
    opened_at=NOW,
    changed_at=NOW,
)
ESCALATION = replace(
    REFUND, id="E-1001", kind="escalation", order_number=None, amount=None, currency=""
)


def told(**facts: object) -> tuple[str, str, str]:
    card = card_of(replace(REFUND, **facts))  # pyright: ignore[reportArgumentType]  any field
    return card.status, card.amount, card.words


def test_what_waits_says_that_nothing_was_refunded_yet() -> None:
    status, amount, words = told()

    assert (status, amount) == ("Waiting for a person", "\u20ac64.50 asked for")
    assert "Nothing has been refunded yet" in words


def test_an_edited_refund_tells_both_amounts_and_the_words_that_the_customer_got() -> None:
    card = told(status="refunded", refunded_amount=Decimal("49.00"), outcome="One cup is fine.")

    assert card == ("Refunded", "\u20ac49.00 of \u20ac64.50 asked for", "One cup is fine.")
    assert told(status="refunded", refunded_amount=Decimal("64.50"))[1] == "\u20ac64.50"


def test_nobody_decided_is_never_told_as_no() -> None:
    expired, rejected = told(status="expired"), told(status="rejected", outcome="Too late.")

    assert expired[0] == "Expired" and "no refusal" in expired[2]
    assert rejected[0] == "Declined" and rejected[2] == "Too late."


@pytest.mark.parametrize("kind", get_args(CaseKind))
@pytest.mark.parametrize("status", get_args(CaseStatus))
def test_each_status_of_each_kind_has_a_card(kind: CaseKind, status: CaseStatus) -> None:
    case = replace(REFUND if kind == "refund" else ESCALATION, status=status)

    card = card_of(case)

    assert card.status and len(card.steps) == 3 and card.is_open == case.is_open
    assert (card.tone == "ok") == (status == "refunded")
    money_was_sent = kind == "refund" and card.steps[2].reached == "done"
    assert money_was_sent == (status == "refunded" and kind == "refund")


def test_a_mark_changes_with_what_is_shown_and_with_nothing_else() -> None:
    same = card_of(replace(REFUND, changed_at=NOW.replace(hour=16)))

    assert same.mark == card_of(REFUND).mark
    assert card_of(replace(REFUND, status="approved")).mark != same.mark
    assert card_of(replace(REFUND, outcome="Told.")).mark != same.mark


def test_what_hides_itself_is_shown_on_a_card() -> None:
    card = card_of(replace(ESCALATION, reason="a\u202eb", outcome="c\u200bd"))

    assert (card.about, card.words) == ("a\u27e8U+202E\u27e9b", "c\u27e8U+200B\u27e9d")
