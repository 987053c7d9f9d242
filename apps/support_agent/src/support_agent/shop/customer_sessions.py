"""Who of the customers is signed in, and which tickets are spent.

A session is an opaque id in a browser's cookie and a row here: deleting the row ends it at once. Of
the id, as of a ticket's, only the SHA-256 is kept, so that whoever reads the table is nobody.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from support_agent.shop.errors import TicketSpent
from support_agent.shop.records import Customer, CustomerSession, SpentTicket

ID_BYTES = 32
IDLE = timedelta(hours=2)
"""A session that nobody has used for this long has ended."""
LONGEST = timedelta(hours=12)
"""And any session, after this."""
SEEN_EVERY = timedelta(minutes=1)
"""How exactly it is known when a session was used last."""
SESSIONS_AT_ONCE = 10
"""Of one customer; who comes in once more ends the oldest."""
SPENT_KEPT = timedelta(hours=1)
"""A spent ticket is known for this long after its end, should a clock be set back."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A customer who is signed in. `session` is the digest of the session's id; empty for who was
    chosen by the switch of the local mode."""

    customer_id: int
    session: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A session that counts. `stale`: that it is used now has to be written down."""

    who: SignedIn
    stale: bool


def spend(session: Session, ticket_id: str, ends_at: datetime, now: datetime) -> None:
    """The ticket of this id has been used from now on, and was not before.

    Atomic with: the transaction of `session`, which cannot go on after the refusal.
    Raises: TicketSpent, to all who come with one ticket but one.
    """
    session.execute(delete(SpentTicket).where(SpentTicket.kept_until <= now))
    session.add(SpentTicket(digest=digest_of(ticket_id), kept_until=ends_at + SPENT_KEPT))
    try:
        session.flush()
    except IntegrityError:
        raise TicketSpent from None


def is_spent(session: Session, ticket_id: str) -> bool:
    """Whether somebody has come in with it."""
    return session.get(SpentTicket, digest_of(ticket_id)) is not None


def begin(session: Session, customer_id: int, now: datetime, *, replaces: str = "") -> str:
    """A new session of this customer; its id, which is for their browser alone. The session that
    the browser had before (`replaces`, an id) ends.

    Atomic with: the transaction of `session`.
    """
    table = CustomerSession
    session.execute(delete(table).where((table.ends_at <= now) | (table.seen_at <= now - IDLE)))
    end(session, replaces)
    oldest = (
        select(table.digest)
        .where(table.customer_id == customer_id)
        .order_by(table.began_at.desc(), table.digest)
        .offset(SESSIONS_AT_ONCE - 1)
    )
    session.execute(delete(table).where(table.digest.in_(session.scalars(oldest).all())))
    id = secrets.token_urlsafe(ID_BYTES)
    session.add(
        table(
            digest=digest_of(id),
            customer_id=customer_id,
            began_at=now,
            seen_at=now,
            ends_at=now + LONGEST,
        )
    )
    return id


def find(session: Session, id: str, now: datetime) -> Found | None:
    """Whose session this is, while it counts and its customer is on record."""
    row = session.scalar(
        select(CustomerSession)
        .join(Customer, Customer.id == CustomerSession.customer_id)
        .where(CustomerSession.digest == digest_of(id))
    )
    if row is None or row.ends_at <= now or row.seen_at <= now - IDLE:
        return None
    return Found(SignedIn(row.customer_id, row.digest), row.seen_at <= now - SEEN_EVERY)


def mark_seen(session: Session, who: SignedIn, now: datetime) -> None:
    """It is used now."""
    session.execute(
        update(CustomerSession)
        .where(CustomerSession.digest == who.session, CustomerSession.seen_at < now)
        .values(seen_at=now)
    )


def end(session: Session, id: str) -> None:
    """Sign out of the session with this id."""
    session.execute(delete(CustomerSession).where(CustomerSession.digest == digest_of(id)))


def end_all(session: Session, customer_id: int | None = None) -> int:
    """Sign this customer out everywhere, or all of them; how many sessions ended."""
    gone = delete(CustomerSession)
    if customer_id is not None:
        gone = gone.where(CustomerSession.customer_id == customer_id)
    return cast("CursorResult[Any]", session.execute(gone)).rowcount


def digest_of(id: str) -> str:
    """What is kept of an id."""
    return hashlib.sha256(id.encode("utf-8", "surrogatepass")).hexdigest()
