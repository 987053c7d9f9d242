"""Payouts: what is asked of a gateway is on record before it is asked, and so is its answer after.

Between two attempts of one refund anything may change: a payment comes in, a setting names another
gateway, the card is good again. What the first attempt asked for is what every attempt asks for.

An order may have been paid in parts, and a gateway gives back of one payment at a time: what was
decided is then several payouts. Each is asked, looked up and answered by itself; the ledger and the
case speak of them together, once the last has its answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from support_agent.clock import now
from support_agent.shop import cases, ledger
from support_agent.shop.errors import AskedAlready, AskedElsewhere, KeyReused
from support_agent.shop.ledger import NOTHING
from support_agent.shop.money import positive
from support_agent.shop.records import CaseRecord, Order, PayoutRecord, PayoutStatus
from support_agent.shop.words import storable


@dataclass(frozen=True, slots=True)
class Payout:
    """A refund, or a part of it, as a gateway is asked for it. `reference` and `words` are its
    answer."""

    key: str
    case_id: str
    order_number: str
    payment_reference: str
    amount: Decimal
    currency: str
    gateway: str
    status: PayoutStatus
    reference: str
    words: str


def write_payouts(
    session: Session, *, case_id: str, amount: Decimal, key: str, gateway: str, by_payment: bool
) -> list[Payout]:
    """Write down what `gateway` will be asked for; a repeated call gets what was written then.

    `by_payment`: the gateway gives back of one payment at a time, so there is one payout for each
    payment that it takes, the one with most left first. The first has the decision's `key`.
    Guarantees: every attempt of a key asks one gateway for the same amounts of the same payments;
    what is paid and what may be paid for an order is never more than came in for it.
    Atomic with: the transaction of `session`. Idempotent by: `key`.
    Raises: InvalidAmount, UnknownCase, NotARefund, KeyReused, AskedAlready, AskedElsewhere,
    CaseNotApproved, RefundTooLarge. A refused call leaves no trace.
    """
    amount = positive(amount)
    case, order = ledger.locked_case(session, case_id)
    earlier = session.get(PayoutRecord, key)
    parts = _parts(session, case_id)
    if earlier is not None:
        if parts[:1] != [earlier] or sum(each.amount for each in parts) != amount:
            stands_for = f"{earlier.amount} for {earlier.case_id}"
            raise KeyReused(key, stands_for, f"{amount} for {case_id}")
    elif parts:
        raise AskedAlready(case_id, parts[0].idempotency_key, key)
    else:
        ledger.check(session, case, amount)
        left = _most_left_first(session, order)
        shares = _split(left, amount) if by_payment else [(left[0][1], amount)]
        parts = [
            PayoutRecord(
                idempotency_key=key if part == 1 else f"{key}/part-{part}",
                case=case,
                part=part,
                payment_reference=payment,
                gateway=gateway,
                amount=share,
                asked_at=now(),
            )
            for part, (payment, share) in enumerate(shares, 1)
        ]
        session.add_all(parts)
        session.flush()
    for each in parts:
        if each.status == "asked" and each.gateway != gateway:
            raise AskedElsewhere(each.idempotency_key, each.gateway, gateway)
    return [_view(each) for each in parts]


def write_paid(session: Session, key: str, reference: str) -> Payout:
    """The gateway has paid this part. With the last answer, the ledger and the case say the sum.

    Atomic with: the transaction of `session`. Idempotent by: `key`.
    Raises: KeyReused when the answer was a no, and what `ledger.refund` does.
    """
    payout, parts = _held(session, key)
    if payout.status == "declined":
        raise KeyReused(key, "a refund that was declined", f"{reference}, which was paid")
    if payout.status == "asked":
        payout.status, payout.reference = "paid", reference
        _close_when_answered(session, payout.case, parts)
    return _view(payout)


def write_declined(session: Session, key: str, words: str) -> Payout:
    """The gateway said no to this part; the case has failed when it said no to all of them.

    Atomic with: the transaction of `session`. Idempotent by: `key`; the first answer of a key stays
    its answer. Raises what `ledger.refund` does.
    """
    words = storable(words)
    payout, parts = _held(session, key)
    if payout.status == "asked":
        payout.status, payout.words = "declined", words
        _close_when_answered(session, payout.case, parts)
    return _view(payout)


def remark(parts: Sequence[Payout]) -> str:
    """What people must know of the answers: nothing when all was paid, and the gateway's own words
    when all was one payout."""
    declined = [each for each in parts if each.status == "declined"]
    if not declined or len(parts) == 1:
        return "".join(each.words for each in declined)
    gone = sum((each.amount for each in parts if each.status == "paid"), NOTHING)
    total = sum((each.amount for each in parts), NOTHING)
    refusals = " ".join(
        f"Payment {each.payment_reference}: {each.amount} {each.currency} declined"
        f" ({each.words.rstrip('.')})."
        for each in declined
    )
    return (
        f"{gone} of {total} {parts[0].currency} went back. {refusals} A person must look into it."
    )


def _held(session: Session, key: str) -> tuple[PayoutRecord, list[PayoutRecord]]:
    """The payout and all parts of its refund, as they are once the case is held: of two answers at
    once, one is the last."""
    payout = session.get_one(PayoutRecord, key)
    ledger.locked_case(session, payout.case_id)
    return payout, _parts(session, payout.case_id)


def _parts(session: Session, case_id: str) -> list[PayoutRecord]:
    query = select(PayoutRecord).where(PayoutRecord.case_id == case_id).order_by(PayoutRecord.part)
    return list(session.scalars(query, execution_options={"populate_existing": True}))


def _close_when_answered(session: Session, case: CaseRecord, parts: list[PayoutRecord]) -> None:
    """Say in the ledger and in the case what really went back, all of it or none."""
    if any(each.status == "asked" for each in parts):
        return
    key = parts[0].idempotency_key
    paid = sum((each.amount for each in parts if each.status == "paid"), NOTHING)
    words = remark([_view(each) for each in parts])
    if paid:
        ledger.refund(session, case_id=case.id, amount=paid, key=key, remark=words)
    else:
        cases.move_case(session, case.id, "failed", reason=words, key=f"{key}/failed")


def _most_left_first(session: Session, order: Order) -> list[tuple[Decimal, str]]:
    """What each payment of the order has left: after one half of a double charge went back, the
    other comes first."""
    rows = session.execute(
        select(PayoutRecord.payment_reference, func.sum(PayoutRecord.amount))
        .where(
            PayoutRecord.payment_reference.in_([one.reference for one in order.payments]),
            PayoutRecord.status != "declined",
        )
        .group_by(PayoutRecord.payment_reference)
    )
    gone = {reference: amount for reference, amount in rows}
    left = (
        (one.amount - gone.get(one.reference, NOTHING), one.reference) for one in order.payments
    )
    return sorted(left, reverse=True)


def _split(left: list[tuple[Decimal, str]], amount: Decimal) -> list[tuple[str, Decimal]]:
    """Payments, and what each of them gives."""
    shares: list[tuple[str, Decimal]] = []
    for most, payment in left:
        share = min(most, amount)
        if share > 0:
            shares.append((payment, share))
            amount -= share
    # `ledger.check` found so much left of the order, and its payments have never less.
    assert not amount, f"{amount} of {left} cannot be found"
    return shares


def _view(payout: PayoutRecord) -> Payout:
    order = payout.case.order
    assert order is not None
    return Payout(
        key=payout.idempotency_key,
        case_id=payout.case_id,
        order_number=order.number,
        payment_reference=payout.payment_reference,
        amount=payout.amount,
        currency=order.currency,
        gateway=payout.gateway,
        status=payout.status,
        reference=payout.reference,
        words=payout.words,
    )
