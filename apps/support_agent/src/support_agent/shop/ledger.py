"""The refund ledger: money goes back once, and never more than came in."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from support_agent.clock import now
from support_agent.shop.database import WRITER
from support_agent.shop.errors import (
    CaseAlreadyRefunded,
    CaseNotApproved,
    KeyReused,
    NotARefund,
    RefundTooLarge,
    UnknownCase,
    UnknownOrder,
)
from support_agent.shop.money import positive
from support_agent.shop.records import (
    CaseChange,
    CaseRecord,
    Order,
    Payment,
    PayoutRecord,
    Refund,
    RefundCall,
)

NOTHING = Decimal("0.00")


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of one refund. Every call with its key gets this same receipt."""

    number: str
    case_id: str
    order_number: str
    amount: Decimal
    currency: str
    issued_at: datetime

    @property
    def money(self) -> str:
        """What went back, for people: 64.50 EUR."""
        return f"{self.amount} {self.currency}"


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One refund as the ledger shows it: paid once, asked for `calls` times."""

    receipt: Receipt
    idempotency_key: str
    calls: int


def refund(
    session: Session, *, case_id: str, amount: Decimal, key: str, remark: str = ""
) -> Receipt:
    """Give `amount` back for an approved case, once for a key, and give its receipt. The `remark`,
    where people must know more, stands beside the case's move.

    Guarantees: calls with one key move money once and all get the first receipt; one case is
    refunded once; an order never gives back more than was paid for it; a case is refunded exactly
    when its refund stands here. Whether a case is approved and what was paid are read from the
    records, not taken from the caller.
    Atomic with: the transaction of `session`. Idempotent by: `key`.
    Raises: InvalidAmount, UnknownCase, NotARefund, KeyReused when the key stands for another case
    or amount, CaseAlreadyRefunded, CaseNotApproved, RefundTooLarge. A refused call leaves no trace.
    """
    amount = positive(amount)
    case, order = locked_case(session, case_id)
    entry = session.scalar(select(Refund).where(Refund.idempotency_key == key))
    if entry is None:
        check(session, case, amount)
        entry = Refund(
            idempotency_key=key,
            case_id=case_id,
            order_number=order.number,
            amount=amount,
            issued_at=now(),
        )
        session.add(entry)
        _close(session, case, entry, remark)
        session.flush()
    elif (entry.case_id, entry.amount) != (case_id, amount):
        raise KeyReused(key, f"{entry.amount} for {entry.case_id}", f"{amount} for {case_id}")
    session.add(RefundCall(refund_id=entry.id, called_at=now()))
    session.flush()
    return _receipt(entry, order.currency)


def locked_case(session: Session, case_id: str) -> tuple[CaseRecord, Order]:
    """A case about money and its order, held until the transaction ends.

    Raises UnknownCase, NotARefund.
    """
    # Always the case before its order, so that two refunds never wait for each other.
    case = session.get(CaseRecord, case_id, with_for_update=WRITER)
    if case is None:
        raise UnknownCase(case_id)
    if case.order_number is None:
        raise NotARefund(case_id)
    return case, session.get_one(Order, case.order_number, with_for_update=WRITER)


def check(session: Session, case: CaseRecord, amount: Decimal) -> None:
    """Refuse a first refund that the records do not allow.

    What another case was paid, or asked for and may be paid, counts as gone before its refund
    stands here.
    Raises CaseAlreadyRefunded, CaseNotApproved, RefundTooLarge.
    """
    assert case.order_number is not None and case.amount is not None
    earlier = session.scalar(select(Refund).where(Refund.case_id == case.id))
    if earlier is not None:
        raise CaseAlreadyRefunded(case.id, _number(earlier))
    if case.status != "approved":
        raise CaseNotApproved(case.id, case.status)
    if amount > case.amount:
        raise RefundTooLarge(amount, case.amount, f"what case {case.id} asks for")
    asked = session.scalar(
        select(func.sum(PayoutRecord.amount))
        .join(CaseRecord, CaseRecord.id == PayoutRecord.case_id)
        .where(
            CaseRecord.order_number == case.order_number,
            CaseRecord.id != case.id,
            CaseRecord.status != "refunded",
            PayoutRecord.status != "declined",
        )
    )
    left = refundable(session, case.order_number) - (asked or NOTHING)
    if amount > left:
        raise RefundTooLarge(amount, left, f"what order {case.order_number} has left")


def _close(session: Session, case: CaseRecord, entry: Refund, remark: str) -> None:
    """Say in the case what the ledger says, in the same transaction."""
    case.status = "refunded"
    case.refunded_amount = entry.amount
    session.add(
        CaseChange(
            idempotency_key=f"{entry.idempotency_key}/refunded",
            case_id=case.id,
            status="refunded",
            reason=remark,
            changed_at=entry.issued_at,
        )
    )


def refundable(session: Session, order_number: str) -> Decimal:
    """What was paid for the order and has not gone back. Raises UnknownOrder."""
    if session.get(Order, order_number) is None:
        raise UnknownOrder(order_number)
    paid = select(func.sum(Payment.amount)).where(Payment.order_number == order_number)
    returned = select(func.sum(Refund.amount)).where(Refund.order_number == order_number)
    return (session.scalar(paid) or NOTHING) - (session.scalar(returned) or NOTHING)


def entries(session: Session, case_id: str) -> list[LedgerEntry]:
    """What the ledger holds for a case, oldest first, with the calls of each key."""
    rows = session.execute(
        select(Refund, Order.currency, func.count(RefundCall.id))
        .join(Order, Order.number == Refund.order_number)
        .join(RefundCall, RefundCall.refund_id == Refund.id)
        .where(Refund.case_id == case_id)
        .group_by(Refund.id, Order.currency)
        .order_by(Refund.id)
    )
    return [
        LedgerEntry(_receipt(entry, currency), entry.idempotency_key, calls)
        for entry, currency, calls in rows
    ]


def _receipt(entry: Refund, currency: str) -> Receipt:
    return Receipt(
        number=_number(entry),
        case_id=entry.case_id,
        order_number=entry.order_number,
        amount=entry.amount,
        currency=currency,
        issued_at=entry.issued_at,
    )


def _number(entry: Refund) -> str:
    return f"RF-{entry.id:06d}"
