from collections.abc import Iterator
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from adjourn import AdjournError
from adjourn.testing import Sandbox
from support_agent.shop import cases
from support_agent.shop.cases import Case, open_case, status_of
from support_agent.shop.database import reading, writing
from support_agent.shop.ledger import LedgerEntry, entries
from support_agent.shop.messages import messages_of
from support_agent.shop.records import CaseStatus
from support_agent.workflow import app, support_case

CASE = Case("C-1", "A-1042", Decimal("64.50"), "The teapot arrived broken.")
YES = {"approved": True}
NO = {"approved": False, "reason": "It was used for a year."}


@pytest.fixture
def records(shop: Engine) -> Engine:
    """The shop's records, with the case opened."""
    with writing(shop) as session:
        open_case(session, CASE)
    return shop


@pytest.fixture
def box(records: Engine) -> Iterator[Sandbox]:
    with Sandbox(app) as box:
        yield box


def case_status(records: Engine) -> CaseStatus:
    with reading(records) as session:
        return status_of(session, CASE.id)


def ledger(records: Engine) -> list[LedgerEntry]:
    with reading(records) as session:
        return entries(session, CASE.id)


def told(records: Engine) -> list[str]:
    with reading(records) as session:
        return [message.text for message in messages_of(session, CASE.id)]


def test_nothing_moves_before_somebody_decides(box: Sandbox, records: Engine) -> None:
    box.start(support_case, CASE, id="C-1")
    box.advance(days=6)

    assert box.get("C-1").status == "Running"
    assert case_status(records) == "pending_approval"
    assert (ledger(records), told(records)) == ([], [])


def test_an_approved_case_is_refunded_and_the_customer_is_told(
    box: Sandbox, records: Engine
) -> None:
    box.start(support_case, CASE, id="C-1")
    box.raise_event("C-1", "Approval", YES)

    assert box.result("C-1") == "approved"
    assert case_status(records) == "refunded"
    (entry,) = ledger(records)
    assert (entry.receipt.amount, entry.calls) == (Decimal("64.50"), 1)
    assert told(records) == ["You get 64.50 EUR back."]


def test_a_rejected_case_moves_no_money_and_the_customer_is_told_why(
    box: Sandbox, records: Engine
) -> None:
    box.start(support_case, CASE, id="C-1")
    box.raise_event("C-1", "Approval", NO)

    assert box.result("C-1") == "rejected"
    assert case_status(records) == "rejected"
    assert ledger(records) == []
    assert told(records) == ["We cannot refund it: It was used for a year."]


def test_after_seven_days_nobody_decided_and_that_is_no_refusal(
    box: Sandbox, records: Engine
) -> None:
    box.start(support_case, CASE, id="C-1")
    box.advance(days=7)

    assert box.result("C-1") == "expired"
    assert case_status(records) == "expired"
    assert ledger(records) == []
    (text,) = told(records)
    assert "not an answer" in text
    assert not any(word in text for word in ("denied", "rejected", "declined", "cannot"))


def test_a_decision_in_the_last_hour_still_counts(box: Sandbox, records: Engine) -> None:
    box.start(support_case, CASE, id="C-1")
    box.advance(days=6, hours=23)
    box.raise_event("C-1", "Approval", YES)
    box.advance(days=1)

    assert box.result("C-1") == "approved"
    assert len(ledger(records)) == 1


def test_an_approval_before_the_wait_is_kept_for_it(
    box: Sandbox, records: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object, **__: object) -> None:
        raise TimeoutError("the records are busy")

    with monkeypatch.context() as records_are_busy:
        records_are_busy.setattr(cases, "move_case", busy)
        box.start(support_case, CASE, id="C-1")
        box.raise_event("C-1", "Approval", YES)
    assert case_status(records) == "opened"

    box.advance(seconds=5)

    assert box.result("C-1") == "approved"
    assert len(ledger(records)) == 1


def test_a_refund_whose_receipt_got_lost_is_asked_for_again_and_paid_once(
    box: Sandbox, records: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.start(support_case, CASE, id="C-1")
    # The pause is read after the money has moved: one that is no number loses the receipt.
    with monkeypatch.context() as receipt_gets_lost:
        receipt_gets_lost.setenv("SUPPORT_REFUND_PAUSE", "no number")
        box.raise_event("C-1", "Approval", YES)
    assert len(ledger(records)) == 1

    box.advance(seconds=5)

    assert box.result("C-1") == "approved"
    (entry,) = ledger(records)
    assert entry.calls == 2
    assert len(told(records)) == 1


def test_a_double_click_pays_once(box: Sandbox, records: Engine) -> None:
    box.start(support_case, CASE, id="C-1")
    box.raise_event("C-1", "Approval", YES, event_id="click-81")
    box.raise_event("C-1", "Approval", YES, event_id="click-81")

    assert box.result("C-1") == "approved"
    assert len(ledger(records)) == 1
    assert len(told(records)) == 1


def test_the_first_of_two_decisions_counts(box: Sandbox, records: Engine) -> None:
    box.start(support_case, CASE, id="C-1")
    box.raise_event("C-1", "Approval", NO, event_id="from-lena")
    with pytest.raises(AdjournError, match="finished"):
        box.raise_event("C-1", "Approval", YES, event_id="from-omar")

    assert box.result("C-1") == "rejected"
    assert ledger(records) == []


def test_a_refund_that_the_records_refuse_fails_the_workflow_visibly(
    box: Sandbox, records: Engine
) -> None:
    greedy = Case(CASE.id, CASE.order_number, Decimal("999.00"), CASE.reason)
    box.start(support_case, greedy, id="C-1")
    box.raise_event("C-1", "Approval", YES)

    assert box.get("C-1").status == "Failed"
    assert (ledger(records), told(records)) == ([], [])


def test_a_case_that_was_never_opened_fails_at_once(box: Sandbox) -> None:
    stranger = Case("C-404", CASE.order_number, CASE.amount, CASE.reason)
    box.start(support_case, stranger, id="C-404")

    assert box.get("C-404").status == "Failed"
