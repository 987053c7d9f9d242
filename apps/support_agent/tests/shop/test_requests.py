from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, func, select

from support_agent.shop.cases import move_case
from support_agent.shop.database import reading, writing
from support_agent.shop.errors import KeyReused, UnknownCustomer, UnknownPriority
from support_agent.shop.ledger import refund
from support_agent.shop.records import (
    CaseKind,
    CasePriority,
    CaseRecord,
    CaseRequest,
    CaseStatus,
    Customer,
    Order,
)
from support_agent.shop.requests import OpenedCase, RefusedRequest, request_human, request_refund

NOW = datetime(2026, 8, 1, 9, 0, tzinfo=UTC)
BROKEN = "The teapot arrived in four pieces."
LIFE: dict[CaseKind, list[CaseStatus]] = {
    "refund": ["pending_approval", "approved"],
    "escalation": ["with_person", "closed"],
}


@dataclass(frozen=True)
class Desk:
    """Asks in the name of the customer of A-1042, or of somebody else."""

    engine: Engine
    customer: int = 0

    def refund(
        self,
        key: str = "chat-1/call-1",
        order: str = "A-1042",
        reason: str = BROKEN,
        amount: str | None = "64.50",
        now: datetime = NOW,
    ) -> OpenedCase | RefusedRequest:
        with writing(self.engine) as session:
            return request_refund(
                session,
                key=key,
                customer_id=self.customer,
                order_number=order,
                reason=reason,
                amount=None if amount is None else Decimal(amount),
                conversation_id="chat-1",
                now=now,
            )

    def opened(self, key: str = "chat-1/call-1", amount: str | None = "64.50") -> OpenedCase:
        answer = self.refund(key=key, amount=amount)
        assert isinstance(answer, OpenedCase), answer
        return answer

    def human(
        self,
        key: str = "chat-1/call-2",
        priority: CasePriority = "normal",
        conversation: str = "chat-1",
    ) -> OpenedCase:
        with writing(self.engine) as session:
            return request_human(
                session,
                key=key,
                customer_id=self.customer,
                reason="I want a person.",
                priority=priority,
                conversation_id=conversation,
                now=NOW,
            )

    def decide(self, case: OpenedCase, pay: str | None = None) -> None:
        """Take the case to its end."""
        with writing(self.engine) as session:
            for status in LIFE[case.kind]:
                move_case(session, case.case_id, status, key=f"{case.case_id}:{status}")
            if pay is not None:
                refund(session, case_id=case.case_id, amount=Decimal(pay), key=case.case_id)

    def cases(self) -> int:
        with reading(self.engine) as session:
            return session.scalar(select(func.count()).select_from(CaseRecord)) or 0


@pytest.fixture
def desk(shop: Engine) -> Desk:
    with reading(shop) as session:
        return Desk(shop, session.scalars(select(Customer.id)).one())


@pytest.fixture
def stranger(desk: Desk) -> Desk:
    with writing(desk.engine) as session:
        customer = Customer(name="Wei Zhang", email="wei@example.org")
        session.add(customer)
        session.flush()
        return replace(desk, customer=customer.id)


def test_a_request_becomes_a_case_that_waits_for_a_person(desk: Desk) -> None:
    case = desk.opened()

    assert case == OpenedCase(
        "R-1001", "refund", "A-1042", Decimal("64.50"), "EUR", BROKEN, False, "broken-items"
    )
    with reading(desk.engine) as session:
        record = session.get_one(CaseRecord, "R-1001")
        assert (record.status, record.customer_id) == ("opened", desk.customer)
        assert (record.conversation_id, record.opened_at) == ("chat-1", NOW)


def test_the_same_key_gives_the_same_case_however_far_it_got(desk: Desk) -> None:
    first = desk.opened()
    desk.decide(first, pay="64.50")

    assert desk.opened() == first
    assert desk.cases() == 1


def test_asking_again_while_a_case_is_open_joins_it(desk: Desk) -> None:
    first = desk.opened()

    again = desk.opened(key="chat-1/call-9", amount="100.00")

    assert again == replace(first, already_open=True)
    assert desk.cases() == 1
    with reading(desk.engine) as session:
        asked = session.scalars(select(CaseRequest).order_by(CaseRequest.id)).all()
        assert [(one.case_id, one.opened_the_case) for one in asked] == [
            ("R-1001", True),
            ("R-1001", False),
        ]


def test_a_key_that_joined_a_case_stays_with_it_after_its_end(desk: Desk) -> None:
    first = desk.opened()
    joined = desk.opened(key="chat-1/call-9")
    desk.decide(first, pay="10.00")

    assert desk.opened(key="chat-1/call-9") == joined
    assert desk.opened(key="chat-1/call-10", amount="10.00").case_id == "R-1002"


def test_a_key_does_not_stand_for_two_orders(desk: Desk) -> None:
    desk.opened()
    with writing(desk.engine) as session:
        session.add(Order(number="A-2", customer_id=desk.customer, ordered_at=NOW, currency="EUR"))

    with pytest.raises(KeyReused):
        desk.refund(order="A-2")


@pytest.mark.parametrize("written", ["a-1042", " A 1042 ", "#A-1042", "A1042", "1042", "A–1042"])  # noqa: RUF001  (a dash that people type)
def test_an_order_is_found_however_its_number_is_written(desk: Desk, written: str) -> None:
    answer = desk.refund(order=written)

    assert isinstance(answer, OpenedCase)
    assert answer.order_number == "A-1042"


def test_an_order_of_somebody_else_is_told_as_one_that_does_not_exist(
    desk: Desk, stranger: Desk
) -> None:
    others = stranger.refund(order="A-1042")
    nobodys = stranger.refund(order="A-9999")

    assert isinstance(others, RefusedRequest)
    assert isinstance(nobodys, RefusedRequest)
    assert replace(others, words=others.words.replace("A-1042", "A-9999")) == nobodys
    assert others.code == "unknown_order"
    assert desk.cases() == 0


@pytest.mark.parametrize("order", ["", "%", "A-%", "_", "A-1042' OR 1=1", "A-1042\0", "٤٢"])
def test_what_is_no_number_is_an_unknown_order(desk: Desk, order: str) -> None:
    answer = desk.refund(order=order)

    assert isinstance(answer, RefusedRequest)
    assert answer.code == "unknown_order"


def test_more_than_was_paid_opens_no_case(desk: Desk) -> None:
    answer = desk.refund(amount="124.11")

    assert isinstance(answer, RefusedRequest)
    assert (answer.code, answer.policy) == ("amount_too_large", "refunds")
    assert "124.10 EUR" in answer.words
    assert desk.cases() == 0


def test_what_went_back_is_not_left(desk: Desk) -> None:
    desk.decide(desk.opened(amount="124.10"), pay="124.10")

    answer = desk.refund(key="another", amount="0.01")

    assert isinstance(answer, RefusedRequest)
    assert answer.code == "already_refunded"


def test_an_order_outside_every_window_opens_no_case(desk: Desk) -> None:
    answer = desk.refund(now=NOW + timedelta(days=800))

    assert isinstance(answer, RefusedRequest)
    assert (answer.code, answer.policy) == ("outside_window", "warranty")


def test_a_reason_that_no_database_takes_is_kept_without_what_nobody_types(desk: Desk) -> None:
    answer = desk.refund(reason=" Broken\0.\n\ud800Really.\x1b[31m" + "!" * 3000)

    assert isinstance(answer, OpenedCase)
    assert answer.reason.startswith("Broken.\nReally.[31m!!!")
    assert len(answer.reason) == 2000


def test_asking_for_a_person_opens_a_case_without_money(desk: Desk) -> None:
    case = desk.human(priority="high")

    assert case == OpenedCase(
        "E-1001", "escalation", None, None, "", "I want a person.", False, "speak-to-a-person"
    )
    assert desk.human(priority="high") == case


def test_a_conversation_waits_for_one_person_at_a_time(desk: Desk) -> None:
    first = desk.human()

    again = desk.human(key="2", priority="urgent")
    calmer = desk.human(key="3", priority="low")
    elsewhere = desk.human(key="4", conversation="chat-2")

    assert again == calmer == replace(first, already_open=True)
    assert elsewhere.case_id == "E-1002"
    with reading(desk.engine) as session:
        assert session.get_one(CaseRecord, first.case_id).priority == "urgent"


def test_after_the_person_is_done_a_new_case_is_opened(desk: Desk) -> None:
    desk.decide(desk.human())

    assert desk.human(key="2").case_id == "E-1002"


def test_a_key_of_a_refund_does_not_ask_for_a_person_too(desk: Desk, stranger: Desk) -> None:
    desk.opened("key")
    desk.human("person")

    with pytest.raises(KeyReused):
        desk.human("key")
    with pytest.raises(KeyReused):
        desk.refund("person")
    with pytest.raises(KeyReused):
        stranger.human("person")


def test_nobody_asks_in_the_name_of_nobody(desk: Desk) -> None:
    with pytest.raises(UnknownCustomer):
        replace(desk, customer=404).human()
    with pytest.raises(UnknownPriority, match="low, normal, high, urgent"):
        desk.human(priority="at once")  # pyright: ignore[reportArgumentType]  what a model may say


@pytest.mark.slow
def test_eight_threads_that_ask_for_one_order_open_one_case(desk: Desk) -> None:
    with ThreadPoolExecutor(8) as pool:
        cases = list(pool.map(lambda number: desk.opened(key=f"call-{number}"), range(8)))

    assert {case.case_id for case in cases} == {"R-1001"}
    assert sum(not case.already_open for case in cases) == 1


@pytest.mark.slow
def test_eight_threads_with_one_key_open_one_case(desk: Desk) -> None:
    with ThreadPoolExecutor(8) as pool:
        cases = set(pool.map(lambda _: desk.opened(), range(8)))
        people = set(pool.map(lambda _: desk.human(), range(8)))

    assert (len(cases), len(people), desk.cases()) == (1, 1, 2)


@pytest.mark.slow
def test_requests_for_money_for_people_and_payments_do_not_wait_for_each_other(desk: Desk) -> None:
    def life(number: int) -> None:
        desk.human(key=f"person-{number}", conversation=f"chat-{number}")
        case = desk.opened(key=f"call-{number}", amount="1.00")
        if not case.already_open:
            desk.decide(case, pay="1.00")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(life, range(24)))

    with reading(desk.engine) as session:
        ids = session.scalars(select(CaseRecord.id).where(CaseRecord.kind == "escalation")).all()
        numbers = sorted(int(case_id.removeprefix("E-")) for case_id in ids)
    assert numbers == list(range(1001, 1025))
