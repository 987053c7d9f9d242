"""Cases: a customer's request for money back, from opening to its one end."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from support_agent.clock import now
from support_agent.shop import ledger
from support_agent.shop.database import WRITER
from support_agent.shop.errors import (
    CaseCannotMove,
    CaseDiffers,
    KeyReused,
    RefundTooLarge,
    UnknownCase,
)
from support_agent.shop.money import positive
from support_agent.shop.records import CaseChange, CaseKind, CaseRecord, CaseStatus, Order
from support_agent.shop.words import storable

MOVES: Mapping[CaseKind, Mapping[CaseStatus, frozenset[CaseStatus]]] = {
    "refund": {
        "opened": frozenset({"pending_approval"}),
        "pending_approval": frozenset({"approved", "rejected", "expired"}),
        "approved": frozenset({"refunded", "failed"}),
        "refunded": frozenset(),
        "failed": frozenset(),
        "rejected": frozenset(),
        "expired": frozenset(),
    },
    "escalation": {
        "opened": frozenset({"with_person", "closed", "expired"}),
        "with_person": frozenset({"closed", "expired"}),
        "closed": frozenset(),
        "expired": frozenset(),
    },
}
"""Where each status leads. Only the ledger makes a case refunded, together with the money."""


@dataclass(frozen=True, slots=True)
class Case:
    """What a customer asks for; the input of the workflow."""

    id: str
    order_number: str
    amount: Decimal
    reason: str


def open_case(session: Session, case: Case) -> None:
    """Write the case down. Opening the same case again changes nothing.

    Raises UnknownOrder, RefundTooLarge when the order has less money left to refund, InvalidAmount,
    and CaseDiffers when the id stands for another request.
    """
    amount, reason = positive(case.amount), storable(case.reason)
    refundable = ledger.refundable(session, case.order_number)
    existing = session.get(CaseRecord, case.id)
    if existing is not None:
        if (existing.order_number, existing.amount, existing.reason) != (
            case.order_number,
            amount,
            reason,
        ):
            raise CaseDiffers(case.id)
        return
    if amount > refundable:
        raise RefundTooLarge(amount, refundable, f"what order {case.order_number} has left")
    session.add(
        CaseRecord(
            id=case.id,
            kind="refund",
            customer_id=session.get_one(Order, case.order_number).customer_id,
            order_number=case.order_number,
            amount=amount,
            reason=reason,
            status="opened",
            opened_at=now(),
        )
    )


def move_case(
    session: Session, case_id: str, status: CaseStatus, *, reason: str = "", key: str
) -> None:
    """Move the case, once for a key: a late repeat of an old call cannot turn the case back.

    Raises UnknownCase, CaseCannotMove, and KeyReused when the key stands for another move.
    """
    reason = storable(reason)
    case = session.get(CaseRecord, case_id, with_for_update=WRITER)
    if case is None:
        raise UnknownCase(case_id)
    earlier = session.scalar(select(CaseChange).where(CaseChange.idempotency_key == key))
    if earlier is not None:
        if (earlier.case_id, earlier.status, earlier.reason) != (case_id, status, reason):
            raise KeyReused(key, f"{earlier.case_id} {earlier.status}", f"{case_id} {status}")
        return
    if status not in MOVES[case.kind][case.status]:
        raise CaseCannotMove(case_id, case.status, status)
    if status == "refunded":
        raise CaseCannotMove(case_id, case.status, status, "Write its refund into the ledger.")
    case.status = status
    session.add(
        CaseChange(
            idempotency_key=key, case_id=case_id, status=status, reason=reason, changed_at=now()
        )
    )


def status_of(session: Session, case_id: str) -> CaseStatus:
    """How far the case got. Raises UnknownCase."""
    case = session.get(CaseRecord, case_id)
    if case is None:
        raise UnknownCase(case_id)
    return case.status
