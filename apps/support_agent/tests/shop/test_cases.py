from dataclasses import replace
from decimal import Decimal
from itertools import count
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from support_agent.shop.cases import MOVES, Case, move_case, open_case, status_of
from support_agent.shop.database import reading, writing
from support_agent.shop.errors import (
    CaseCannotMove,
    CaseDiffers,
    InvalidAmount,
    KeyReused,
    RefundTooLarge,
    SupportError,
    UnknownCase,
    UnknownOrder,
)
from support_agent.shop.records import CaseChange, CaseStatus

CASE = Case("C-1", "A-1042", Decimal("64.50"), "The teapot arrived broken.")


def opened(engine: Engine, case: Case = CASE) -> None:
    with writing(engine) as session:
        open_case(session, case)


def move(engine: Engine, status: CaseStatus, key: str, reason: str = "") -> None:
    with writing(engine) as session:
        move_case(session, CASE.id, status, reason=reason, key=key)


def status(engine: Engine) -> CaseStatus:
    with reading(engine) as session:
        return status_of(session, CASE.id)


def test_a_case_is_opened_once_however_often_it_is_asked_for(shop: Engine) -> None:
    opened(shop)
    opened(shop)

    assert status(shop) == "opened"


def test_a_case_opened_again_later_stays_where_it_is(shop: Engine) -> None:
    opened(shop)
    move(shop, "pending_approval", "ask")
    opened(shop)

    assert status(shop) == "pending_approval"


def test_a_case_id_does_not_stand_for_two_requests(shop: Engine) -> None:
    opened(shop)

    with pytest.raises(CaseDiffers, match="as a new case"):
        opened(shop, replace(CASE, amount=Decimal("10.00")))


def test_a_case_for_more_than_was_paid_is_not_opened(shop: Engine) -> None:
    with pytest.raises(RefundTooLarge, match=r"124\.11 is more than 124\.10"):
        opened(shop, replace(CASE, amount=Decimal("124.11")))


def test_a_case_for_an_unknown_order_is_not_opened(shop: Engine) -> None:
    with pytest.raises(UnknownOrder):
        opened(shop, replace(CASE, order_number="A-404"))


def test_a_case_for_no_money_is_not_opened(shop: Engine) -> None:
    with pytest.raises(InvalidAmount):
        opened(shop, replace(CASE, amount=Decimal("0.00")))


def test_a_late_repeat_of_an_old_call_does_not_turn_the_case_back(shop: Engine) -> None:
    opened(shop)
    move(shop, "pending_approval", "ask")
    move(shop, "approved", "answer")

    move(shop, "pending_approval", "ask")

    assert status(shop) == "approved"


def test_an_answer_stays_the_answer(shop: Engine) -> None:
    opened(shop)
    move(shop, "pending_approval", "ask")
    move(shop, "rejected", "answer", "Used for a year.")

    with pytest.raises(CaseCannotMove, match="is rejected and cannot become approved"):
        move(shop, "approved", "another answer")


def test_the_reason_of_an_answer_is_on_record(shop: Engine) -> None:
    opened(shop)
    move(shop, "pending_approval", "ask")
    move(shop, "rejected", "answer", "Used for a year.")

    with reading(shop) as session:
        changes = session.scalars(select(CaseChange).order_by(CaseChange.id)).all()
        said = [(change.status, change.reason) for change in changes]
    assert said == [("pending_approval", ""), ("rejected", "Used for a year.")]


def test_one_key_does_not_stand_for_two_moves(shop: Engine) -> None:
    opened(shop)
    move(shop, "pending_approval", "key")

    with pytest.raises(KeyReused):
        move(shop, "approved", "key")


def test_an_unknown_case_does_not_move(shop: Engine) -> None:
    with pytest.raises(UnknownCase, match="Open it before"):
        move(shop, "approved", "key")
    with pytest.raises(UnknownCase):
        status(shop)


def test_every_status_of_a_kind_says_where_it_leads() -> None:
    everywhere = {status for moves in MOVES.values() for status in moves}
    assert everywhere == set(get_args(CaseStatus))
    for moves in MOVES.values():
        assert {"opened"}.union(*moves.values()) == set(moves)


def test_only_the_ledger_makes_a_case_refunded(shop: Engine) -> None:
    opened(shop)
    move(shop, "pending_approval", "ask")
    move(shop, "approved", "answer")

    with pytest.raises(CaseCannotMove, match="into the ledger"):
        move(shop, "refunded", "paid")

    assert status(shop) == "approved"


moves = st.tuples(st.sampled_from(get_args(CaseStatus)), st.sampled_from("abcdef"))
# One shop serves all examples: each opens a case of its own in it.
one_shop = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


numbers = count(1)


@pytest.mark.slow
@one_shop
@given(asked=st.lists(moves, max_size=12))
def test_no_order_of_calls_gives_a_case_two_answers(
    shop: Engine, asked: list[tuple[CaseStatus, str]]
) -> None:
    case_id = f"C-{next(numbers)}"
    opened(shop, replace(CASE, id=case_id))
    seen: list[CaseStatus] = ["opened"]

    for wanted, key in asked:
        with reading(shop) as session:
            before = status_of(session, case_id)
        try:
            with writing(shop) as session:
                move_case(session, case_id, wanted, key=f"{case_id}:{key}")
        except SupportError:
            pass
        with reading(shop) as session:
            after = status_of(session, case_id)
        if after != before:
            seen.append(after)

    assert seen in [
        ["opened"],
        ["opened", "pending_approval"],
        ["opened", "pending_approval", seen[-1]],
        ["opened", "pending_approval", "approved", "failed"],
    ]
    assert len(seen) == len(set(seen))
