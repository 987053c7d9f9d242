"""What is approved is paid once and never forgotten, whatever happens between two attempts."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from adjourn import ActivityContext, NonRetryableError, activity_context
from adjourn.model.events import EventSent
from adjourn.testing import CRASH_POINTS, CrashPoint, Sandbox
from apps.support_agent.tests.gateways.fake_stripe import (
    API_KEY,
    POST_FAULTS,
    FakeStripe,
    GetFault,
    Payment,
    PostFault,
)
from support_agent.app import app
from support_agent.case import (
    PAYMENT_FAILED,
    Outcome,
    Refund,
    Request,
    pay_back,
    refund_case,
)
from support_agent.desk_queue import LENA, OMAR
from support_agent.gateways.choose import choose_gateway
from support_agent.gateways.port import OutcomeUnknown, RefundOrder, TryLater
from support_agent.shop.cases import Case, move_case, open_case, status_of
from support_agent.shop.database import reading, writing
from support_agent.shop.errors import AskedElsewhere, SupportError
from support_agent.shop.import_data import import_file
from support_agent.shop.ledger import entries
from support_agent.shop.messages import messages_of
from support_agent.shop.records import CaseRecord, PayoutRecord

PRICE = "64.50"
KEY = "decision-1"


@pytest.fixture
def stripe(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeStripe]:
    """Two payments of 64.50 EUR, at the Stripe that the settings name."""
    account = FakeStripe(Payment("ch_first", 6450), Payment("ch_second", 6450))
    with account.serving() as address:
        monkeypatch.setenv("STRIPE_API_KEY", API_KEY)
        monkeypatch.setenv("STRIPE_BASE_URL", address)
        yield account


class Shop:
    """Order A-1 and its payments; case C-1 asks for money back."""

    def __init__(self, database: Engine, folder: Path) -> None:
        self.database = database
        self._file = folder / "orders.json"

    def bring(self, *payments: str, total: str = PRICE) -> None:
        """The order as the file tells it now: with these payments."""
        order = {
            "number": "A-1",
            "ordered_at": "2026-11-17T18:22:09Z",
            "currency": "EUR",
            "items": [{"sku": "S-1", "product": "Teapot", "quantity": 1, "unit_price": total}],
            "payments": [
                {"reference": name, "method": "card", "amount": PRICE} for name in payments
            ],
        }
        customer = {"name": "Amina Diallo", "email": "amina@example.org", "orders": [order]}
        self._file.write_text(json.dumps({"customers": [customer]}))
        import_file(self.database, self._file)

    def wait_for_decision(self, amount: str = PRICE) -> None:
        with writing(self.database) as session:
            open_case(session, Case("C-1", "A-1", Decimal(amount), "Broken."))
            move_case(session, "C-1", "pending_approval", key="ask")

    def status(self, case_id: str = "C-1") -> str:
        with reading(self.database) as session:
            return status_of(session, case_id)

    def paid(self, case_id: str = "C-1") -> list[str]:
        with reading(self.database) as session:
            return [str(entry.receipt.amount) for entry in entries(session, case_id)]

    def why(self) -> str:
        """What the case's own record says of its last move."""
        with reading(self.database) as session:
            return session.get_one(CaseRecord, "C-1").changes[-1].reason

    def told(self) -> list[str]:
        with reading(self.database) as session:
            return [message.text for message in messages_of(session, "C-1")]


@pytest.fixture
def shop(database: Engine, tmp_path: Path) -> Shop:
    return Shop(database, tmp_path)


def attempt(number: int, amount: str = PRICE) -> Outcome:
    """One attempt of the payment, as the engine starts it: also the one after a crash."""
    context = ActivityContext(
        instance_id="C-1",
        execution=1,
        sequence=5,
        name="pay_back",
        attempt=number,
        approval=KEY,
    )
    with activity_context(context):
        return pay_back(Refund("C-1", "A-1", "Amina Diallo", Decimal(amount), "Broken."))


def asked(case_id: str = "C-1", amount: str = PRICE) -> Request:
    return Request(case_id, "A-1", Decimal(amount), "Broken.", proposal="I propose it.")


@pytest.mark.slow
def test_a_payment_that_comes_in_between_two_attempts_is_not_refunded_too(
    shop: Shop, stripe: FakeStripe
) -> None:
    shop.bring("ch_first")
    shop.wait_for_decision()
    stripe.plan("drop_after")
    stripe.plan_listing("unavailable")
    with pytest.raises(OutcomeUnknown):
        attempt(1)

    shop.bring("ch_first", "ch_second")  # the second charge of a double charge is reported now
    stripe.pass_hours(25)  # Stripe has forgotten the key
    outcome = attempt(2)

    assert [(refund["charge"], refund["amount"]) for refund in stripe.refunds] == [
        ("ch_first", 6450)
    ]
    assert (outcome.paid, outcome.reference) == (True, "re_0001")


def test_a_payment_that_comes_in_between_two_attempts_hides_no_refund(
    shop: Shop, stripe: FakeStripe
) -> None:
    shop.bring("ch_first")
    shop.wait_for_decision()
    stripe.plan("drop_after")
    stripe.plan_listing("unavailable")
    with pytest.raises(OutcomeUnknown):
        attempt(1)

    shop.bring("ch_first", "ch_second")
    outcome = attempt(2)

    assert (outcome.paid, outcome.reference) == (True, "re_0001")
    assert (shop.status(), shop.paid()) == ("refunded", [PRICE])


def test_what_the_ledger_has_paid_is_not_paid_through_stripe_too(
    shop: Shop, stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.bring("ch_first")
    shop.wait_for_decision()
    with monkeypatch.context() as before:
        before.delenv("STRIPE_API_KEY")
        attempt(1)  # and the process is killed before the engine hears of it

    outcome = attempt(2)  # started again, with Stripe set up meanwhile

    assert stripe.refunds == []
    assert (outcome.paid, shop.paid()) == (True, [PRICE])


def test_what_was_asked_of_stripe_is_not_paid_by_the_ledger(
    shop: Shop, stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.bring("ch_first")
    shop.wait_for_decision()
    stripe.plan("drop_after")
    stripe.plan_listing("unavailable")
    with pytest.raises(OutcomeUnknown):
        attempt(1)

    monkeypatch.delenv("STRIPE_API_KEY")
    with pytest.raises(AskedElsewhere, match="was asked of stripe"):
        attempt(2)
    assert shop.paid() == []

    monkeypatch.setenv("STRIPE_API_KEY", API_KEY)
    assert attempt(3).reference == "re_0001"


def test_a_declined_refund_stays_declined_when_its_answer_was_lost(
    shop: Shop, stripe: FakeStripe
) -> None:
    shop.bring("ch_first")
    shop.wait_for_decision()
    stripe.plan("card_declined")
    declined = attempt(1)  # and the process is killed before the engine hears of it

    stripe.pass_hours(25)  # the machine stood still for a day; the card is good again
    again = attempt(2)

    assert stripe.refunds == []
    assert again == declined
    assert (shop.status(), shop.paid()) == ("failed", [])


@pytest.mark.slow
def test_the_second_half_of_a_double_charge_comes_from_the_other_payment(
    shop: Shop, stripe: FakeStripe
) -> None:
    shop.bring("ch_first", "ch_second")
    with Sandbox(app) as box:
        for case_id in ("C-1", "C-2"):  # the double charge, then the broken teapot itself
            box.start(refund_case, asked(case_id), id=case_id)
            box.inbox("support").one().approve(by=LENA)
            box.advance(seconds=10)
        results = [box.result("C-1"), box.result("C-2")]

    assert results == ["refunded", "refunded"]
    assert {refund["charge"] for refund in stripe.refunds} == {"ch_first", "ch_second"}


@pytest.mark.slow
def test_an_order_paid_in_two_parts_goes_back_whole(shop: Shop, stripe: FakeStripe) -> None:
    shop.bring("ch_first", "ch_second", total="129.00")
    with Sandbox(app) as box:
        box.start(refund_case, asked(amount="129.00"), id="C-1")
        box.inbox("support").one().approve(by=LENA)
        box.advance(seconds=10)
        result = box.result("C-1")

    assert result == "refunded"
    assert sum(refund["amount"] for refund in stripe.refunds) == 12900
    assert shop.paid() == ["129.00"]


@pytest.fixture
def in_two_parts(shop: Shop, stripe: FakeStripe) -> Shop:
    """A double charge, and a case that asks for all of it."""
    shop.bring("ch_first", "ch_second", total="129.00")
    shop.wait_for_decision("129.00")
    return shop


def refunds(stripe: FakeStripe) -> list[tuple[str, int]]:
    """What Stripe gave back, and of which charge."""
    return sorted((refund["charge"], refund["amount"]) for refund in stripe.refunds)


BOTH = [("ch_first", 6450), ("ch_second", 6450)]


@pytest.mark.slow
@pytest.mark.parametrize("part", [1, 2])
@pytest.mark.parametrize("hours", [0, 25])
def test_a_part_whose_answer_got_lost_is_looked_up_and_the_other_is_not_asked_again(
    in_two_parts: Shop, stripe: FakeStripe, part: int, hours: int
) -> None:
    stripe.plan(*([None] * (part - 1)), "drop_after")
    stripe.plan_listing("unavailable")
    with pytest.raises(OutcomeUnknown):
        attempt(1, "129.00")
    assert in_two_parts.paid() == []

    stripe.pass_hours(hours)  # after a day, Stripe has forgotten the key
    outcome = attempt(2, "129.00")

    assert refunds(stripe) == BOTH
    assert [seen.method for seen in stripe.seen].count("POST") == 2
    assert (outcome.paid, outcome.amount, outcome.words) == (True, Decimal("129.00"), "")
    assert outcome.reference == "re_0001, re_0002"
    assert (in_two_parts.status(), in_two_parts.paid()) == ("refunded", ["129.00"])


def test_a_part_that_nobody_is_sure_of_does_not_hold_up_the_other(
    in_two_parts: Shop, stripe: FakeStripe
) -> None:
    stripe.plan("error_before")  # kept for the key, for a day
    with pytest.raises(OutcomeUnknown):
        attempt(1, "129.00")

    assert refunds(stripe) == BOTH[:1]
    assert in_two_parts.status() == "approved"


def test_what_is_final_ends_no_search_for_the_other_part(
    in_two_parts: Shop, stripe: FakeStripe
) -> None:
    another = RefundOrder(KEY, "C-9", "A-9", "ch_second", Decimal("1.00"), "EUR")
    choose_gateway(os.environ).refund(another)  # somebody else used our key
    stripe.plan(None, "drop_after")
    stripe.plan_listing("unavailable")
    with pytest.raises(OutcomeUnknown):
        attempt(1, "129.00")
    with pytest.raises(NonRetryableError, match="Use a new key"):
        attempt(2, "129.00")

    with reading(in_two_parts.database) as session:
        answers = session.scalars(select(PayoutRecord.status).order_by(PayoutRecord.part)).all()
    assert answers == ["asked", "paid"]
    assert refunds(stripe) == [("ch_first", 6450), ("ch_second", 100)]


@pytest.mark.slow
@pytest.mark.parametrize("part", [1, 2])
@pytest.mark.parametrize("fault", [one for one in POST_FAULTS if not one.startswith("silence")])
def test_whatever_happens_to_a_part_the_ledger_says_what_stripe_has_paid(
    in_two_parts: Shop, stripe: FakeStripe, part: int, fault: PostFault
) -> None:
    stripe.plan(*([None] * (part - 1)), fault)

    outcome = None
    for number in range(1, 6):
        try:
            outcome = attempt(number, "129.00")
        except (OutcomeUnknown, TryLater, SupportError, NonRetryableError):
            stripe.pass_hours(25)
        else:
            break

    assert outcome is not None
    given = [refund for refund in stripe.refunds if refund["status"] != "failed"]
    total = Decimal(sum(refund["amount"] for refund in given)) / 100
    assert len({refund["charge"] for refund in given}) == len(given)
    assert outcome.amount == total == Decimal(in_two_parts.paid()[0])
    assert total == Decimal("64.50" if fault in ("card_declined", "failed") else "129.00")


@pytest.mark.slow
@pytest.mark.parametrize("plan", [("card_declined",), (None, "card_declined")])
def test_what_one_payment_declines_is_told_plainly(
    shop: Shop, stripe: FakeStripe, plan: tuple[PostFault | None, ...]
) -> None:
    shop.bring("ch_first", "ch_second", total="129.00")
    stripe.plan(*plan)
    with Sandbox(app) as box:
        box.start(refund_case, replace(asked(amount="129.00"), talk_id="talk-1"), id="C-1")
        box.inbox("support").one().approve(by=LENA)
        box.advance(seconds=10)
        assert box.result("C-1") == "refunded"
        history = [entry.event for entry in box.history("C-1")]

    (given,) = refunds(stripe)
    refusing = "ch_second" if given[0] == "ch_first" else "ch_first"
    assert (shop.status(), shop.paid()) == ("refunded", ["64.50"])
    (news,) = [bytes(event.data).decode() for event in history if isinstance(event, EventSent)]
    assert shop.told()[0] in news and "129.00 EUR approved" in news
    assert shop.told() == [
        "You get 64.50 EUR back, to the payment that you made. The other 64.50 EUR did not go "
        "through. A person looks after it, and you need not do anything."
    ]
    assert shop.why() == (
        f"64.50 of 129.00 EUR went back. Payment {refusing}: 64.50 EUR declined (The card was "
        "declined). A person must look into it."
    )


@pytest.mark.slow
def test_a_case_whose_every_part_is_declined_has_failed(shop: Shop, stripe: FakeStripe) -> None:
    shop.bring("ch_first", "ch_second", total="129.00")
    stripe.plan("card_declined", "card_declined")
    with Sandbox(app) as box:
        box.start(refund_case, asked(amount="129.00"), id="C-1")
        box.inbox("support").one().approve(by=LENA)
        box.advance(seconds=10)
        assert box.result("C-1") == "failed"

    assert (stripe.refunds, shop.paid(), shop.told()) == ([], [], [PAYMENT_FAILED])


@pytest.mark.slow
@pytest.mark.parametrize("point", CRASH_POINTS)
@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_a_crash_around_the_payment_repeats_no_part(
    shop: Shop, stripe: FakeStripe, point: CrashPoint, nth: int
) -> None:
    shop.bring("ch_first", "ch_second", total="129.00")
    with Sandbox(app) as box:
        box.start(refund_case, asked(amount="129.00"), id="C-1")
        approval = box.inbox("support").one()
        approval.approve(by=LENA)
        box.crash_at(point, nth)
        box.advance(minutes=10)
        assert box.result("C-1") == "refunded"
        assert box.crashes == 1

    assert refunds(stripe) == BOTH
    assert shop.paid() == ["129.00"]


def test_the_ledger_gives_an_order_back_whole(
    shop: Shop, stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STRIPE_API_KEY")
    shop.bring("ch_first", "ch_second", total="129.00")
    shop.wait_for_decision("129.00")

    assert [attempt(number, "129.00").amount for number in (1, 2)] == [Decimal("129.00")] * 2
    assert shop.paid() == ["129.00"]


@pytest.mark.slow
def test_two_cases_decided_at_once_give_back_no_more_than_was_paid(
    shop: Shop, stripe: FakeStripe
) -> None:
    """The recheck of each was asked before the other had paid."""
    shop.bring("ch_first", total="100.00")
    with Sandbox(app) as box:
        for case_id in ("C-1", "C-2"):
            box.start(refund_case, asked(case_id, "40.00"), id=case_id)
        first, second = box.inbox("support")
        first.approve(by=LENA)
        second.approve(by=OMAR)
        box.advance(seconds=10)

    assert sum(refund["amount"] for refund in stripe.refunds) <= 6450
    assert shop.paid("C-1") + shop.paid("C-2") == ["40.00"]
    assert "approved" not in (shop.status("C-1"), shop.status("C-2"))


@pytest.mark.slow
def test_a_key_that_is_wrong_for_an_hour_loses_no_refund(
    shop: Shop, stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.bring("ch_first")
    with Sandbox(app) as box:
        box.start(refund_case, asked(), id="C-1")
        monkeypatch.setenv("STRIPE_API_KEY", "sk_test_of-last-year")
        box.inbox("support").one().approve(by=LENA)
        box.advance(seconds=10)
        monkeypatch.setenv("STRIPE_API_KEY", API_KEY)
        box.advance(hours=1)
        assert box.result("C-1") == "refunded"


@pytest.mark.slow
def test_an_outcome_that_nobody_finds_out_is_told(shop: Shop, stripe: FakeStripe) -> None:
    """The case stays approved: its money may be gone, and nothing else may be paid meanwhile."""
    shop.bring("ch_first")
    stripe.plan("drop_after")
    always: list[GetFault] = ["unavailable"] * 200
    stripe.plan_listing(*always)
    with Sandbox(app) as box:
        box.start(refund_case, asked(), id="C-1")
        box.inbox("support").one().approve(by=LENA)
        box.advance(days=3)
        status = box.get("C-1").status

    assert shop.told(), f"the workflow is {status}, and the customer waits for ever"
