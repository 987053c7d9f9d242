"""What a gateway is asked for is one fact, whatever changes between two attempts."""

from concurrent.futures import ThreadPoolExecutor, wait
from decimal import Decimal

import pytest
from sqlalchemy import Engine, select

from support_agent.shop.cases import Case, move_case, open_case, status_of
from support_agent.shop.database import reading, writing
from support_agent.shop.errors import (
    AskedAlready,
    AskedElsewhere,
    CaseNotApproved,
    KeyReused,
    RefundTooLarge,
    SupportError,
    UnknownCase,
)
from support_agent.shop.ledger import entries, refund, refundable
from support_agent.shop.payouts import Payout, remark, write_declined, write_paid, write_payouts
from support_agent.shop.records import CaseChange, Order, Payment, PayoutRecord

PAID = Decimal("124.10")
A_MOMENT = 0.5  # seconds that another thread has to come as far as it can


def approved(engine: Engine, case_id: str, amount: Decimal = PAID) -> None:
    with writing(engine) as session:
        open_case(session, Case(case_id, "A-1042", amount, "Broken."))
        move_case(session, case_id, "pending_approval", key=f"{case_id}:ask")
        move_case(session, case_id, "approved", key=f"{case_id}:answer")


def ask_all(
    engine: Engine,
    case_id: str = "C-1",
    amount: Decimal = PAID,
    gateway: str = "stripe",
    *,
    key: str = "",
) -> list[Payout]:
    with writing(engine) as session:
        return write_payouts(
            session,
            case_id=case_id,
            amount=amount,
            key=key or case_id,
            gateway=gateway,
            by_payment=gateway != "ledger",
        )


def ask(
    engine: Engine, case_id: str = "C-1", amount: Decimal = PAID, gateway: str = "stripe"
) -> Payout:
    (payout,) = ask_all(engine, case_id, amount, gateway)
    return payout


def paid(engine: Engine, key: str) -> Payout:
    with writing(engine) as session:
        return write_paid(session, key, f"re_{key}")


def declined(engine: Engine, key: str) -> Payout:
    with writing(engine) as session:
        return write_declined(session, key, "The card is closed.")


def changes(engine: Engine, case_id: str = "C-1") -> list[tuple[str, str]]:
    """What the case became, and why, as a supervisor reads it."""
    with reading(engine) as session:
        query = select(CaseChange).where(CaseChange.case_id == case_id).order_by(CaseChange.id)
        return [(change.status, change.reason) for change in session.scalars(query)]


def in_ledger(engine: Engine, case_id: str = "C-1") -> list[tuple[Decimal, str]]:
    with reading(engine) as session:
        return [
            (entry.receipt.amount, entry.idempotency_key) for entry in entries(session, case_id)
        ]


def charge_again(engine: Engine, reference: str = "PAY-2", amount: Decimal = PAID) -> None:
    """The second half of a double charge comes in."""
    with writing(engine) as session:
        order = session.get_one(Order, "A-1042")
        order.payments.append(Payment(reference=reference, method="card", amount=amount))


def test_a_payout_is_on_record_before_anybody_is_asked(shop: Engine) -> None:
    approved(shop, "C-1")

    payout = ask(shop)

    assert payout == Payout("C-1", "C-1", "A-1042", "PAY-1", PAID, "EUR", "stripe", "asked", "", "")


def test_a_repeated_call_gets_what_was_written_whatever_came_in_since(shop: Engine) -> None:
    approved(shop, "C-1")
    first = ask(shop)
    charge_again(shop)

    assert ask(shop) == first


def test_a_key_stands_for_one_amount(shop: Engine) -> None:
    approved(shop, "C-1")
    ask(shop)

    with pytest.raises(KeyReused):
        ask(shop, amount=Decimal("1.00"))


def test_another_gateway_is_not_asked_while_the_first_may_have_paid(shop: Engine) -> None:
    approved(shop, "C-1")
    ask(shop)

    with pytest.raises(AskedElsewhere, match="Set up stripe again"):
        ask(shop, gateway="ledger")
    with writing(shop) as session:
        write_paid(session, "C-1", "re_1")

    assert ask(shop, gateway="ledger").reference == "re_1"


def test_what_was_paid_stands_in_the_payout_the_ledger_and_the_case(shop: Engine) -> None:
    approved(shop, "C-1")
    ask(shop)

    for reference in ("re_1", "re_2"):  # a late repeat changes nothing
        with writing(shop) as session:
            answer = write_paid(session, "C-1", reference)
            assert (answer.status, answer.reference) == ("paid", "re_1")

    with reading(shop) as session:
        (entry,) = entries(session, "C-1")
        assert (entry.receipt.amount, entry.idempotency_key) == (PAID, "C-1")
        assert status_of(session, "C-1") == "refunded"


def test_a_no_stays_a_no(shop: Engine) -> None:
    approved(shop, "C-1")
    ask(shop)

    for words in ("The card is closed.", "The card is still closed."):
        with writing(shop) as session:
            answer = write_declined(session, "C-1", words)
            assert (answer.status, answer.words) == ("declined", "The card is closed.")

    assert ask(shop) == answer
    with pytest.raises(KeyReused), writing(shop) as session:
        write_paid(session, "C-1", "re_1")
    with reading(shop) as session:
        assert status_of(session, "C-1") == "failed"


def test_a_no_after_the_payment_is_no_answer(shop: Engine) -> None:
    approved(shop, "C-1")
    ask(shop)
    with writing(shop) as session:
        write_paid(session, "C-1", "re_1")

    with writing(shop) as session:
        assert write_declined(session, "C-1", "Already refunded.").status == "paid"


def test_a_double_charge_goes_back_half_by_half(shop: Engine) -> None:
    charge_again(shop)
    approved(shop, "C-1")
    approved(shop, "C-2")

    assert {ask(shop).payment_reference, ask(shop, "C-2").payment_reference} == {"PAY-1", "PAY-2"}


def test_what_was_declined_is_still_there(shop: Engine) -> None:
    approved(shop, "C-1")
    approved(shop, "C-2")
    ask(shop)
    with writing(shop) as session:
        write_declined(session, "C-1", "No.")

    assert ask(shop, "C-2").amount == PAID


def test_what_may_be_paid_in_one_case_is_not_left_for_another(shop: Engine) -> None:
    approved(shop, "C-1", Decimal("100.00"))
    approved(shop, "C-2", Decimal("100.00"))
    ask(shop, amount=Decimal("100.00"))

    with pytest.raises(RefundTooLarge, match=r"100\.00 is more than 24\.10"):
        ask(shop, "C-2", Decimal("100.00"))
    with pytest.raises(RefundTooLarge), writing(shop) as session:
        refund(session, case_id="C-2", amount=Decimal("100.00"), key="past it")


def test_a_refused_payout_leaves_no_trace(shop: Engine) -> None:
    with writing(shop) as session:
        open_case(session, Case("C-1", "A-1042", PAID, "Broken."))

    with pytest.raises(CaseNotApproved):
        ask(shop)
    with pytest.raises(UnknownCase):
        ask(shop, "C-404")

    with reading(shop) as session:
        assert session.scalars(select(PayoutRecord)).all() == []


@pytest.mark.slow
def test_eight_cases_decided_at_once_are_promised_no_more_than_was_paid(shop: Engine) -> None:
    for number in range(8):
        approved(shop, f"C-{number}", Decimal("50.00"))

    def attempt(number: int) -> bool:
        try:
            ask(shop, f"C-{number}", Decimal("50.00"))
        except SupportError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        asked = list(pool.map(attempt, range(8)))

    assert sum(asked) == 2  # 124.10 holds 50.00 twice


@pytest.mark.slow
def test_eight_attempts_at_once_ask_for_one_payout(shop: Engine) -> None:
    approved(shop, "C-1")

    with ThreadPoolExecutor(8) as pool:
        payouts = set(pool.map(lambda _: ask(shop), range(8)))

    assert len(payouts) == 1


def test_an_amount_is_split_over_the_payments_the_largest_first(shop: Engine) -> None:
    charge_again(shop, "PAY-2", Decimal("200.00"))
    charge_again(shop, "PAY-3", Decimal("64.50"))
    approved(shop, "C-1", Decimal("340.00"))

    parts = ask_all(shop, amount=Decimal("340.00"))

    assert [(part.key, part.payment_reference, str(part.amount)) for part in parts] == [
        ("C-1", "PAY-2", "200.00"),
        ("C-1/part-2", "PAY-1", "124.10"),
        ("C-1/part-3", "PAY-3", "15.90"),
    ]
    assert ask_all(shop, amount=Decimal("340.00")) == parts


def test_what_one_payment_holds_is_one_payout(shop: Engine) -> None:
    charge_again(shop, amount=Decimal("200.00"))
    approved(shop, "C-1")

    assert ask(shop).payment_reference == "PAY-2"


def test_the_shops_own_ledger_gives_back_for_the_order_in_one(shop: Engine) -> None:
    charge_again(shop)
    approved(shop, "C-1", 2 * PAID)

    assert ask(shop, amount=2 * PAID, gateway="ledger").amount == 2 * PAID


@pytest.fixture
def in_two_parts(shop: Engine) -> Engine:
    """Case C-1 asks for both halves of a double charge, C-1 and C-1/part-2."""
    charge_again(shop)
    approved(shop, "C-1", 2 * PAID)
    assert [part.key for part in ask_all(shop, amount=2 * PAID)] == ["C-1", "C-1/part-2"]
    return shop


@pytest.mark.slow
@pytest.mark.parametrize("keys", [("C-1", "C-1/part-2"), ("C-1/part-2", "C-1")])
def test_the_ledger_speaks_once_all_parts_have_an_answer(
    in_two_parts: Engine, keys: tuple[str, str]
) -> None:
    first, second = keys
    paid(in_two_parts, first)
    assert in_ledger(in_two_parts) == []
    assert changes(in_two_parts)[-1] == ("approved", "")

    paid(in_two_parts, second)

    assert in_ledger(in_two_parts) == [(2 * PAID, "C-1")]
    assert changes(in_two_parts)[-1] == ("refunded", "")


@pytest.mark.parametrize("keys", [("C-1", "C-1/part-2"), ("C-1/part-2", "C-1")])
@pytest.mark.parametrize("paid_first", [True, False])
def test_what_one_payment_declined_is_not_in_the_ledger(
    in_two_parts: Engine, keys: tuple[str, str], paid_first: bool
) -> None:
    answers = [(paid, keys[0]), (declined, keys[1])]
    for answer, key in answers if paid_first else reversed(answers):
        answer(in_two_parts, key)

    assert in_ledger(in_two_parts) == [(PAID, "C-1")]
    status, reason = changes(in_two_parts)[-1]
    assert status == "refunded"
    closed = next(p for p in ask_all(in_two_parts, amount=2 * PAID) if p.status == "declined")
    assert reason == (
        f"124.10 of 248.20 EUR went back. Payment {closed.payment_reference}: 124.10 EUR declined "
        "(The card is closed). A person must look into it."
    )
    assert remark(ask_all(in_two_parts, amount=2 * PAID)) == reason
    with reading(in_two_parts) as session:
        assert refundable(session, "A-1042") == PAID


def test_a_case_has_failed_when_every_part_was_declined(in_two_parts: Engine) -> None:
    declined(in_two_parts, "C-1")
    assert changes(in_two_parts)[-1] == ("approved", "")
    declined(in_two_parts, "C-1/part-2")

    assert in_ledger(in_two_parts) == []
    status, reason = changes(in_two_parts)[-1]
    assert status == "failed"
    assert reason.startswith("0.00 of 248.20 EUR went back.")


@pytest.mark.slow
def test_a_part_that_is_paid_counts_before_the_ledger_says_so(in_two_parts: Engine) -> None:
    paid(in_two_parts, "C-1")
    approved(in_two_parts, "C-2")

    with pytest.raises(RefundTooLarge, match=r"124\.10 is more than 0\.00"):
        ask_all(in_two_parts, "C-2")
    with pytest.raises(RefundTooLarge), writing(in_two_parts) as session:
        refund(session, case_id="C-2", amount=PAID, key="past it")

    declined(in_two_parts, "C-1/part-2")
    assert ask(in_two_parts, "C-2").amount == PAID


@pytest.mark.slow
def test_a_part_that_was_asked_for_is_not_asked_of_another_gateway(in_two_parts: Engine) -> None:
    paid(in_two_parts, "C-1")

    with pytest.raises(AskedElsewhere, match="C-1/part-2"):
        ask_all(in_two_parts, amount=2 * PAID, gateway="ledger")
    paid(in_two_parts, "C-1/part-2")

    assert len(ask_all(in_two_parts, amount=2 * PAID, gateway="ledger")) == 2


@pytest.mark.parametrize(
    ("case_id", "amount", "key", "refusal"),
    [
        ("C-1", PAID, "C-1", KeyReused),  # what its first part holds, not what was decided
        ("C-1", 2 * PAID, "C-1/part-2", KeyReused),
        ("C-2", PAID, "C-1/part-2", KeyReused),
        ("C-1", 2 * PAID, "another decision", AskedAlready),
    ],
)
def test_a_decision_is_paid_under_its_own_key(
    in_two_parts: Engine, case_id: str, amount: Decimal, key: str, refusal: type[SupportError]
) -> None:
    approved(in_two_parts, "C-2")

    with pytest.raises(refusal):
        ask_all(in_two_parts, case_id, amount, key=key)


def test_a_refused_split_writes_no_part(shop: Engine) -> None:
    charge_again(shop)
    approved(shop, "C-1", 2 * PAID)
    approved(shop, "C-2", Decimal("1.00"))
    ask(shop, "C-2", Decimal("1.00"))

    with pytest.raises(RefundTooLarge):
        ask_all(shop, amount=2 * PAID)

    with reading(shop) as session:
        assert [payout.case_id for payout in session.scalars(select(PayoutRecord))] == ["C-2"]


def test_a_payment_that_was_used_in_part_gives_what_it_has_left(shop: Engine) -> None:
    charge_again(shop)
    approved(shop, "C-1", Decimal("24.10"))
    taken = ask(shop, amount=Decimal("24.10")).payment_reference
    approved(shop, "C-2", Decimal("224.10"))

    parts = ask_all(shop, "C-2", Decimal("224.10"))

    assert [str(part.amount) for part in parts] == ["124.10", "100.00"]
    assert parts[1].payment_reference == taken


@pytest.mark.slow
def test_two_parts_answered_at_once_are_one_refund(in_two_parts: Engine) -> None:
    with ThreadPoolExecutor(1) as pool:
        with writing(in_two_parts) as session:
            write_paid(session, "C-1", "re_1")
            second = pool.submit(paid, in_two_parts, "C-1/part-2")
            wait([second], A_MOMENT)  # without a lock, it would have seen that one has no answer
        second.result()

    assert in_ledger(in_two_parts) == [(2 * PAID, "C-1")]
    assert [status for status, _ in changes(in_two_parts)].count("refunded") == 1


@pytest.mark.slow
def test_of_two_answers_at_once_to_one_part_the_first_stays(in_two_parts: Engine) -> None:
    with ThreadPoolExecutor(1) as pool:
        with writing(in_two_parts) as session:
            write_paid(session, "C-1", "re_1")
            second = pool.submit(declined, in_two_parts, "C-1")
            wait([second], A_MOMENT)
        assert second.result().status == "paid"
