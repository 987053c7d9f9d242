"""What people and models write is kept, whatever is in it."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import Engine, select

from support_agent.shop import cases, knowledge, lookup, messages, talks
from support_agent.shop.database import reading, writing
from support_agent.shop.records import CaseChange, CaseRecord, Customer

NOW = datetime(2026, 8, 1, tzinfo=UTC)
UNKEPT = "It is \0broken\ud800.\n👩‍🍳"
KEPT = "It is broken.\n👩‍🍳"


def test_a_line_is_kept_once_whatever_is_in_it(shop: Engine) -> None:
    with writing(shop) as session:
        customer = session.scalars(select(Customer.id)).one()
        talks.begin_talk(session, "talk-1", customer_id=customer, now=NOW)
    for _ in range(2):
        with writing(shop) as session:
            talks.write_line(
                session,
                "talk-1",
                author="customer",
                name="Amina",
                text=UNKEPT,
                key="line-1",
                said_at=NOW,
            )

    with reading(shop) as session:
        assert [line.text for line in talks.lines_of(session, "talk-1")] == [KEPT]


def test_the_words_of_a_decision_reach_the_case_and_the_customer(shop: Engine) -> None:
    for _ in range(2):
        with writing(shop) as session:
            cases.open_case(session, cases.Case("C-1", "A-1042", Decimal(1), UNKEPT))
            cases.move_case(session, "C-1", "pending_approval", key="ask")
            cases.move_case(session, "C-1", "rejected", reason=UNKEPT, key="answer")
            messages.write_message(session, case_id="C-1", text=UNKEPT, key="told", outcome=True)

    with reading(shop) as session:
        case = session.get_one(CaseRecord, "C-1")
        assert (case.reason, case.outcome) == (KEPT, KEPT)
        assert session.scalars(select(CaseChange.reason)).all() == ["", KEPT]
        assert [one.text for one in messages.messages_of(session, "C-1")] == [KEPT]


@pytest.mark.parametrize("asked", ["R-1001\0", "\ud800", "x" * 1000, "R-1001\n"])
def test_what_no_record_can_be_called_is_not_there(shop: Engine, asked: str) -> None:
    with reading(shop) as session:
        customer = session.scalars(select(Customer.id)).one()
        assert lookup.case_of(session, customer, asked) is None
        assert lookup.order_of(session, customer, asked) is None
        assert talks.talk_of(session, asked) is None
        assert knowledge.article(session, asked) is None
        assert knowledge.article(session, "refunds", asked) is None
