"""What a customer may ask for: money back for an order of their own, or a person to talk to.

Whoever asks in the customer's name, a model for one, only proposes. The order, the amount, the
window and what went back already are read from the records here, whatever was said.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import get_args

from sqlalchemy import select
from sqlalchemy.orm import Session

from support_agent.shop.database import WRITER
from support_agent.shop.errors import KeyReused, UnknownCustomer, UnknownPriority
from support_agent.shop.lookup import OPEN, account_of, find_order
from support_agent.shop.policy import RefusedRequest, review
from support_agent.shop.records import (
    CaseCounter,
    CaseKind,
    CasePriority,
    CaseRecord,
    CaseRequest,
    Customer,
    Order,
)

__all__ = ["OpenedCase", "RefusedRequest", "request_human", "request_refund"]

PRIORITIES: tuple[CasePriority, ...] = get_args(CasePriority)
LONGEST_REASON = 2_000
LONGEST_ECHO = 40
LETTER: dict[CaseKind, str] = {"refund": "R", "escalation": "E"}


@dataclass(frozen=True, slots=True)
class OpenedCase:
    """A case that waits for a person; `policy` is the id of the article that applies."""

    case_id: str
    kind: CaseKind
    order_number: str | None
    amount: Decimal | None
    currency: str
    reason: str
    already_open: bool
    policy: str


def request_refund(
    session: Session,
    *,
    key: str,
    customer_id: int,
    order_number: str,
    reason: str,
    amount: Decimal | None = None,
    conversation_id: str = "",
    now: datetime,
) -> OpenedCase | RefusedRequest:
    """Open a case that asks a person for this refund, or say why no person need be asked.

    Guarantees: nothing is paid; the case is for an order of this customer and for no more than is
    left of it; an order has one open case at most, and asking again gives that one.
    Atomic with: the transaction of `session`. Idempotent by: `key`.
    Raises: KeyReused when the key stands for a request about something else.
    """
    order = find_order(session, customer_id, order_number, lock=True)
    if order is None:
        return _unknown_order(order_number)
    earlier = _earlier(session, key)
    if earlier is not None:
        if earlier.case.order_number != order.number:
            raise KeyReused(key, f"case {earlier.case_id}", f"a refund of order {order.number}")
        return _opened(earlier)
    reason = _plain(reason)
    case = _open_case_of(session, order)
    if case is None:
        asked = review(account_of(session, order), reason=reason, amount=amount, now=now)
        if isinstance(asked, RefusedRequest):
            return asked
        case = CaseRecord(
            id=_next_id(session, "refund"),
            kind="refund",
            customer_id=customer_id,
            conversation_id=conversation_id,
            order_number=order.number,
            amount=asked.amount,
            reason=reason,
            policy=asked.policy,
            opened_at=now,
        )
    return _opened(_note(session, case, key, reason, now))


def request_human(
    session: Session,
    *,
    key: str,
    customer_id: int,
    reason: str,
    priority: CasePriority,
    conversation_id: str = "",
    now: datetime,
) -> OpenedCase:
    """Open a case that asks a person to take the conversation over.

    Guarantees: a conversation waits for one person at most; asking again gives that case, and may
    only make it more urgent.
    Atomic with: the transaction of `session`. Idempotent by: `key`.
    Raises: UnknownPriority, UnknownCustomer, and KeyReused when the key stands for something else.
    """
    if priority not in PRIORITIES:
        raise UnknownPriority(priority, PRIORITIES)
    if session.get(Customer, customer_id, with_for_update=WRITER) is None:
        raise UnknownCustomer(customer_id)
    earlier = _earlier(session, key)
    if earlier is not None:
        if (earlier.case.customer_id, earlier.case.kind) != (customer_id, "escalation"):
            raise KeyReused(key, f"case {earlier.case_id}", f"a person for customer {customer_id}")
        return _opened(earlier)
    reason = _plain(reason)
    case = _open_talk_of(session, customer_id, conversation_id)
    if case is None:
        case = CaseRecord(
            id=_next_id(session, "escalation"),
            kind="escalation",
            customer_id=customer_id,
            conversation_id=conversation_id,
            priority=priority,
            reason=reason,
            policy="speak-to-a-person",
            opened_at=now,
        )
    elif PRIORITIES.index(priority) > PRIORITIES.index(case.priority):
        case.priority = priority
    return _opened(_note(session, case, key, reason, now))


def _unknown_order(said: str) -> RefusedRequest:
    """The same words for an order of somebody else and for one that does not exist."""
    echo = _plain(said)[:LONGEST_ECHO]
    return RefusedRequest(
        "unknown_order", f"There is no order {echo!r} in your account. Please check its number.", ""
    )


def _earlier(session: Session, key: str) -> CaseRequest | None:
    return session.scalar(select(CaseRequest).where(CaseRequest.idempotency_key == key))


def _open_case_of(session: Session, order: Order) -> CaseRecord | None:
    return session.scalars(
        select(CaseRecord)
        .where(CaseRecord.order_number == order.number, CaseRecord.status.in_(OPEN))
        .order_by(CaseRecord.opened_at, CaseRecord.id)
    ).first()


def _open_talk_of(session: Session, customer_id: int, conversation_id: str) -> CaseRecord | None:
    return session.scalars(
        select(CaseRecord).where(
            CaseRecord.kind == "escalation",
            CaseRecord.customer_id == customer_id,
            CaseRecord.conversation_id == conversation_id,
            # Not one whose person has come: they may be handing back at this moment.
            CaseRecord.status == "opened",
        )
    ).first()


def _next_id(session: Session, kind: CaseKind) -> str:
    counter = session.get_one(CaseCounter, kind, with_for_update=WRITER)
    counter.last += 1
    return f"{LETTER[kind]}-{counter.last}"


def _note(session: Session, case: CaseRecord, key: str, reason: str, now: datetime) -> CaseRequest:
    """Write the request down under its key, with the case that it opened or joined."""
    opens = case not in session
    request = CaseRequest(
        idempotency_key=key, case=case, reason=reason, opened_the_case=opens, asked_at=now
    )
    session.add(request)
    session.flush()
    return request


def _opened(request: CaseRequest) -> OpenedCase:
    case = request.case
    return OpenedCase(
        case_id=case.id,
        kind=case.kind,
        order_number=case.order_number,
        amount=case.amount,
        currency=case.order.currency if case.order is not None else "",
        reason=case.reason,
        already_open=not request.opened_the_case,
        policy=case.policy,
    )


def _plain(text: str) -> str:
    """The words without what no person types; some of it no database takes."""
    kept = "".join(sign for sign in text if sign.isprintable() or sign == "\n").strip()
    return kept if len(kept) <= LONGEST_REASON else f"{kept[: LONGEST_REASON - 1]}…"
