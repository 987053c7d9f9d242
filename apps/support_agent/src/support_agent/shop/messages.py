"""Messages to customers: an outbox that tells each thing once."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from support_agent.clock import now
from support_agent.shop.database import WRITER
from support_agent.shop.errors import KeyReused, UnknownCase
from support_agent.shop.records import CaseRecord, Message
from support_agent.shop.words import storable


@dataclass(frozen=True, slots=True)
class WrittenMessage:
    """A message as the customer gets it."""

    recipient: str
    text: str
    written_at: datetime


def write_message(
    session: Session, *, case_id: str, text: str, key: str, outcome: bool = False
) -> None:
    """Write to the customer of the case, once for a key; as its `outcome`, it stays with the case.

    Raises UnknownCase, and KeyReused when the key stands for another message.
    """
    text = storable(text)
    case = session.get(CaseRecord, case_id, with_for_update=WRITER)
    if case is None:
        raise UnknownCase(case_id)
    earlier = session.scalar(select(Message).where(Message.idempotency_key == key))
    if earlier is not None:
        if (earlier.case_id, earlier.text) != (case_id, text):
            raise KeyReused(key, f"{earlier.text!r} to {earlier.case_id}", f"{text!r} to {case_id}")
        return
    session.add(
        Message(
            idempotency_key=key,
            case_id=case_id,
            recipient=case.customer.email,
            text=text,
            written_at=now(),
        )
    )
    if outcome:
        case.outcome = text


def messages_of(session: Session, case_id: str) -> list[WrittenMessage]:
    """What the customer was told about the case, oldest first."""
    rows = session.scalars(select(Message).where(Message.case_id == case_id).order_by(Message.id))
    return [WrittenMessage(row.recipient, row.text, row.written_at) for row in rows]
