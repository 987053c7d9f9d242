"""Payouts: what is asked of a gateway is on record before it is asked, and so is its answer after.

Between two attempts of one refund anything may change: a payment comes in, a setting names another
gateway, the card is good again. What the first attempt asked for is what every attempt asks for.
"""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from support_agent.clock import now
from support_agent.shop import cases, ledger
from support_agent.shop.database import WRITER
from support_agent.shop.errors import AskedElsewhere, KeyReused
from support_agent.shop.ledger import NOTHING
from support_agent.shop.money import positive
from support_agent.shop.records import Order, Payment, PayoutRecord, PayoutStatus
from support_agent.shop.words import storable


@dataclass(frozen=True, slots=True)
class Payout:
    """One refund as a gateway is asked for it. `reference` and `words` are the gateway's answer."""

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


def write_payout(
    session: Session, *, case_id: str, amount: Decimal, key: str, gateway: str
) -> Payout:
    """Write down what `gateway` will be asked for; a repeated call gets what was written then.

    Guarantees: every attempt of a key asks one gateway for one amount of one payment; what is paid
    and what may be paid for an order is never more than came in for it.
    Atomic with: the transaction of `session`. Idempotent by: `key`.
    Raises: InvalidAmount, UnknownCase, NotARefund, KeyReused, AskedElsewhere, CaseNotApproved,
    RefundTooLarge. A refused call leaves no trace.
    """
    amount = positive(amount)
    case, order = ledger.locked_case(session, case_id)
    payout = session.get(PayoutRecord, key)
    if payout is None:
        ledger.check(session, case, amount)
        payout = PayoutRecord(
            idempotency_key=key,
            case=case,
            payment_reference=_payment_for(session, order),
            gateway=gateway,
            amount=amount,
            asked_at=now(),
        )
        session.add(payout)
        session.flush()
    elif (payout.case_id, payout.amount) != (case_id, amount):
        raise KeyReused(key, f"{payout.amount} for {payout.case_id}", f"{amount} for {case_id}")
    elif payout.status == "asked" and payout.gateway != gateway:
        raise AskedElsewhere(key, payout.gateway, gateway)
    return _view(payout)


def write_paid(session: Session, key: str, reference: str) -> Payout:
    """The gateway has paid: so say the ledger, the case and the payout, in one transaction.

    Idempotent by: `key`. Raises what `ledger.refund` does.
    """
    payout = session.get_one(PayoutRecord, key, with_for_update=WRITER)
    ledger.refund(session, case_id=payout.case_id, amount=payout.amount, key=key)
    if payout.status == "asked":
        payout.status, payout.reference = "paid", reference
    return _view(payout)


def write_declined(session: Session, key: str, words: str) -> Payout:
    """The gateway said no, and the case has failed. The first answer of a key stays its answer."""
    words = storable(words)
    payout = session.get_one(PayoutRecord, key, with_for_update=WRITER)
    if payout.status == "asked":
        cases.move_case(session, payout.case_id, "failed", reason=words, key=f"{key}/failed")
        payout.status, payout.words = "declined", words
    return _view(payout)


def _payment_for(session: Session, order: Order) -> str:
    """The payment of the order that has most left: after one half of a double charge went back, the
    other."""
    rows = session.execute(
        select(PayoutRecord.payment_reference, func.sum(PayoutRecord.amount))
        .where(
            PayoutRecord.payment_reference.in_([one.reference for one in order.payments]),
            PayoutRecord.status != "declined",
        )
        .group_by(PayoutRecord.payment_reference)
    )
    gone = {reference: amount for reference, amount in rows}

    def left(payment: Payment) -> tuple[Decimal, str]:
        return payment.amount - gone.get(payment.reference, NOTHING), payment.reference

    return max(order.payments, key=left).reference


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
