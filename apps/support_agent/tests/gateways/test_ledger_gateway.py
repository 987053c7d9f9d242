"""The embedded ledger as a gateway, where it differs from any other."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

from support_agent.gateways.ledger import LedgerGateway
from support_agent.gateways.paying import pay
from support_agent.gateways.port import Declined, OutcomeUnknown, Paid, RefundOrder, TryLater
from support_agent.shop.cases import Case, move_case, open_case
from support_agent.shop.database import DATABASE_VARIABLE, reading, writing
from support_agent.shop.errors import KeyReused
from support_agent.shop.ledger import entries, refundable

ORDER = RefundOrder("C-1/1/5", "C-1", "A-1042", "PAY-1", Decimal("64.50"), "EUR")
PAID = Decimal("124.10")


@pytest.fixture
def approved(shop: Engine) -> Engine:
    """Case C-1 on order A-1042, approved."""
    with writing(shop) as session:
        open_case(session, Case("C-1", "A-1042", ORDER.amount, "Broken."))
        move_case(session, "C-1", "pending_approval", key="ask")
        move_case(session, "C-1", "approved", key="answer")
    return shop


def test_it_writes_into_the_shops_own_ledger(approved: Engine) -> None:
    paid = LedgerGateway().refund(ORDER)

    with reading(approved) as session:
        (entry,) = entries(session, "C-1")
        assert refundable(session, "A-1042") == PAID - ORDER.amount
    assert paid == Paid(entry.receipt.number, ORDER.amount, "EUR")
    assert entry.idempotency_key == ORDER.key


def test_a_case_that_nobody_approved_is_declined(shop: Engine) -> None:
    with writing(shop) as session:
        open_case(session, Case("C-1", "A-1042", ORDER.amount, "Broken."))

    answer = LedgerGateway().refund(ORDER)

    assert isinstance(answer, Declined)
    assert answer.code == "case_not_approved"


@pytest.mark.slow
def test_a_case_is_not_refunded_under_a_second_key(approved: Engine) -> None:
    gateway = LedgerGateway()
    gateway.refund(ORDER)
    second = replace(ORDER, key="another")

    answer = gateway.refund(second)

    assert isinstance(answer, Declined)
    assert answer.code == "case_already_refunded"
    assert gateway.find(second) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"order_number": "A-1043"},
        {"currency": "USD"},
        {"payment_reference": "PAY-404"},
    ],
)
def test_an_order_that_does_not_fit_its_case_is_declined_and_leaves_no_trace(
    approved: Engine, wrong: dict[str, str]
) -> None:
    order = replace(ORDER, **wrong)
    gateway = LedgerGateway()

    answer = gateway.refund(order)

    assert isinstance(answer, Declined)
    assert answer.code == "order_differs"
    assert gateway.find(order) is None
    with reading(approved) as session:
        assert refundable(session, "A-1042") == PAID


def test_a_paid_key_is_never_declined_for_other_words(approved: Engine) -> None:
    gateway = LedgerGateway()
    gateway.refund(ORDER)

    with pytest.raises(KeyReused):
        gateway.refund(replace(ORDER, currency="USD"))


def test_records_out_of_reach_are_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATABASE_VARIABLE, f"sqlite:///{tmp_path / 'no folder' / 'shop.db'}")

    with pytest.raises(TryLater):
        LedgerGateway().refund(ORDER)
    with pytest.raises(OutcomeUnknown):
        LedgerGateway().find(ORDER)


def test_a_commit_that_was_not_confirmed_is_looked_up(approved: Engine) -> None:
    with failing_commit(approved, reaches_the_disk=True):
        with pytest.raises(OutcomeUnknown):
            LedgerGateway().refund(ORDER)

    paid = LedgerGateway().find(ORDER)
    assert isinstance(paid, Paid)
    assert pay(LedgerGateway(), ORDER, first=False) == paid


def test_a_commit_that_failed_is_paid_by_the_next_attempt(approved: Engine) -> None:
    with failing_commit(approved, reaches_the_disk=False):
        with pytest.raises(OutcomeUnknown):
            pay(LedgerGateway(), ORDER, first=True)

    assert LedgerGateway().find(ORDER) is None
    assert isinstance(pay(LedgerGateway(), ORDER, first=False), Paid)


class failing_commit:
    """`with failing_commit(engine, ...):` commits answer with an error, too late or at once."""

    def __init__(self, engine: Engine, *, reaches_the_disk: bool) -> None:
        self._engine = engine
        self._listener = _commit_and_fail if reaches_the_disk else _fail

    def __enter__(self) -> None:
        event.listen(self._engine, "commit", self._listener)

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "commit", self._listener)


def _commit_and_fail(connection: Connection) -> None:
    connection.exec_driver_sql("COMMIT")
    _fail(connection)


def _fail(connection: Connection) -> None:
    raise OperationalError("COMMIT", None, OSError("the disk did not answer"))
