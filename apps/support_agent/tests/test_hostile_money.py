"""What is approved is paid once and never forgotten, whatever happens between two attempts."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine

from adjourn import ActivityContext, activity_context
from adjourn.testing import Sandbox
from apps.support_agent.tests.gateways.fake_stripe import API_KEY, FakeStripe, GetFault, Payment
from support_agent.app import app
from support_agent.case import Outcome, Refund, Request, pay_back, refund_case
from support_agent.desk_queue import LENA, OMAR
from support_agent.gateways.port import OutcomeUnknown
from support_agent.shop.cases import Case, move_case, open_case, status_of
from support_agent.shop.database import reading, writing
from support_agent.shop.errors import AskedElsewhere
from support_agent.shop.import_data import import_file
from support_agent.shop.ledger import entries
from support_agent.shop.messages import messages_of

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
