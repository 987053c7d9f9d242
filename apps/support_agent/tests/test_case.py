"""The supervisors' desk: what people decide is what the ledger and the customer see, once."""

import signal
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import msgspec
import pytest
from msgspec.structs import replace
from sqlalchemy import Engine

from adjourn import Actor, UpdateForbiddenError
from adjourn.model.events import InstanceStarted
from adjourn.testing import Sandbox
from support_agent import case
from support_agent.app import app
from support_agent.case import NOBODY_DECIDED, Request, Said, contact_request, refund_case
from support_agent.desk_queue import GRACE, LENA, OMAR, fill_desk
from support_agent.engine_process import free_port
from support_agent.shop.cases import status_of
from support_agent.shop.database import reading
from support_agent.shop.ledger import entries
from support_agent.shop.messages import messages_of
from support_agent.shop.orders import import_orders
from support_agent.shop.records import Customer

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def asked(amount: str = "64.50") -> Request:
    said = [Said("Amina", "customer", "It is broken.")]
    return Request("C-1", "A-1042", Decimal(amount), "Broken.", said, proposal="I propose it.")


def outcome(shop: Engine) -> tuple[str, list[Decimal], list[str]]:
    with reading(shop) as session:
        paid = [entry.receipt.amount for entry in entries(session, "C-1")]
        told = [message.text for message in messages_of(session, "C-1")]
        return status_of(session, "C-1"), paid, told


@pytest.mark.slow
def test_an_approved_refund_is_paid_once_and_the_customer_is_told(shop: Engine) -> None:
    with Sandbox(app) as box:
        box.start(refund_case, asked(), id="C-1")
        box.inbox("support").one().approve(by=LENA)
        box.crash()
        box.advance(seconds=10)
        assert box.result("C-1") == "refunded"
    told = "You get 64.50 EUR back, to the payment that you made."
    assert outcome(shop) == ("refunded", [Decimal("64.50")], [told])


@pytest.mark.slow
def test_a_lowered_amount_is_paid_and_explained(shop: Engine) -> None:
    with Sandbox(app) as box:
        box.start(refund_case, asked(), id="C-1")
        box.inbox("support").one().approve(by=LENA, amount="30.00", reason="The lid only.")
        box.advance(seconds=10)
    status, paid, told = outcome(shop)
    assert (status, paid) == ("refunded", [Decimal("30.00")])
    assert told == [
        "You get 30.00 EUR back, to the payment that you made. "
        "You asked for 64.50 EUR: The lid only."
    ]


def test_a_rejection_and_an_expiry_read_differently(shop: Engine) -> None:
    with Sandbox(app) as box:
        box.start(refund_case, asked(), id="C-1")
        box.inbox("support").one().reject(by=LENA, reason="It was used.")
        box.advance(seconds=10)
    assert outcome(shop) == ("rejected", [], ["We cannot refund it: It was used."])


def test_nobody_decides_for_seven_days(shop: Engine) -> None:
    with Sandbox(app) as box:
        box.start(refund_case, asked(), id="C-1")
        box.advance(days=7)
        assert box.result("C-1") == "expired"
    status, paid, told = outcome(shop)
    assert (status, paid) == ("expired", [])
    assert told == [NOBODY_DECIDED]


def test_a_large_one_is_for_finance(shop: Engine) -> None:
    """The fixture's order paid 124.10 EUR, so finance can lower what it was asked for."""
    with Sandbox(app) as box:
        box.start(refund_case, asked("124.10"), id="C-1")
        row = box.inbox().one().row
    assert (row.to, row.need, row.risk) == (["group:support"], 1, "medium")


@pytest.mark.parametrize(("amount", "seconds"), [("124.09", None), ("124.10", 300.0)])
def test_who_approves_a_very_large_one_has_signed_in_lately(
    shop: Engine, monkeypatch: pytest.MonkeyPatch, amount: str, seconds: float | None
) -> None:
    assert (case.SIGNED_IN_LATELY, case.LATELY) == (500, "5m")
    monkeypatch.setattr(case, "SIGNED_IN_LATELY", Decimal("124.10"))  # what the order has paid
    with Sandbox(app) as box:
        box.start(refund_case, asked(amount), id="C-1")
        asking = box.inbox("support").one()
        opened = box.history(asking.id)[0].event
        assert isinstance(opened, InstanceStarted)
        assert msgspec.json.decode(opened.input).get("fresh_sign_in") == seconds
        if seconds is not None:
            with pytest.raises(UpdateForbiddenError, match="sign in again"):
                asking.approve(by=LENA)
        asking.approve(by=replace(LENA, signed_in_at=box.now))


@pytest.mark.slow
def test_a_case_that_opened_before_anybody_was_asked_for_it_goes_on_as_it_began(
    shop: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its history says on which terms people were asked, and code that asks otherwise would not
    fit it."""
    with Sandbox(app) as box:
        box.start(refund_case, asked(), id="C-1")
        monkeypatch.setattr(case, "SIGNED_IN_LATELY", Decimal(0))  # from now on all are asked
        box.crash()
        box.inbox("support").one().approve(by=LENA)
        box.advance(seconds=10)
        assert (box.get("C-1").problem, box.result("C-1")) == (None, "refunded")


@pytest.mark.slow
def test_another_refund_of_the_order_meanwhile_supersedes_the_decision(shop: Engine) -> None:
    with Sandbox(app) as box:
        box.start(refund_case, asked(), id="C-1")
        other = Request("C-2", "A-1042", Decimal("20.00"), "Chipped.")
        box.start(refund_case, other, id="C-2")
        first, second = box.inbox("support")
        second.approve(by=LENA)
        box.advance(seconds=10)
        first.approve(by=OMAR)
        box.advance(seconds=10)
        assert (box.result("C-2"), box.result("C-1")) == ("refunded", "rejected")
    status, paid, told = outcome(shop)
    assert (status, paid) == ("rejected", [])
    assert told == ["Your order has changed meanwhile. Please ask us again."]


def test_an_address_changes_only_when_a_person_says_so(shop: Engine) -> None:
    change = Request("C-3", "A-1042", Decimal(1), "new@example.org")
    with Sandbox(app) as box:
        box.start(contact_request, change, id="C-3")
        assert _emails(shop) == ["amina@example.org"]
        box.inbox("support").one().approve(by=LENA)
        box.advance(seconds=10)
        assert box.result("C-3") == "changed"
    assert _emails(shop) == ["new@example.org"]


def _emails(shop: Engine) -> list[str]:
    with reading(shop) as session:
        return [customer.email for customer in session.query(Customer)]


@pytest.mark.slow
def test_the_shipped_day_leaves_a_desk_with_something_of_everything(
    database: Engine, tmp_path: Path
) -> None:
    import_orders(database)
    file = tmp_path / "desk.db"

    assert fill_desk(file, str(database.url), NOW) == 14

    with Sandbox(app, str(file), start=NOW) as box:
        rows = [approval.row for approval in box.inbox()]
        assert len(rows) >= 12
        assert {row.status for row in rows} == {"open", "claimed", "info_requested"}
        assert {row.risk for row in rows} == {"low", "medium", "high"}
        assert any(row.due_at is not None and row.due_at < NOW for row in rows)
        assert any(row.voted for row in rows) and any(row.need == 2 for row in rows)
        large = next(row for row in rows if row.case == "C-2004")
        assert large.to == ["group:finance"]
        helper = Actor(id="lena", groups=["support"], roles=["approver"])
        approval = next(each for each in box.inbox() if each.row.case == "C-2001")
        assert approval.approve(by=helper).status == "approved"
        assert GRACE.roles == ["approver", "lead"]


@pytest.mark.slow
def test_the_desk_serves_its_dashboard_until_it_is_stopped(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "support_agent.serve", "--port", str(port)]
    with subprocess.Popen(
        [*command, "--keep", str(tmp_path / "desk")], stdout=subprocess.PIPE, text=True
    ) as desk:
        assert desk.stdout is not None
        assert next(line for line in desk.stdout if "No sign-in" in line)
        line = next(line for line in desk.stdout if "dashboard" in line)
        assert f"http://127.0.0.1:{port}/" in line
        page = build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{port}/people", timeout=10)
        assert "Lena Fischer" in page.read().decode()
        desk.send_signal(signal.SIGTERM)
        desk.stdout.read()
        assert desk.wait(20) == 128 + signal.SIGTERM
