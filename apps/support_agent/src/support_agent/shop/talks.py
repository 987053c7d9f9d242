"""Talks: what was said between a customer, the agent and the people who took over.

The workflow of a talk decides what is said; here it is kept for the pages that show it. A line has
a key: the same line written twice is one line.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from support_agent.shop.address import WEB, Address, text_of
from support_agent.shop.errors import KeyReused, UnknownCustomer, UnknownTalk
from support_agent.shop.records import Author, Customer, Talk, TalkLine, TalkMode
from support_agent.shop.words import can_be_id, storable

__all__ = ["Author", "LineView", "TalkMode", "TalkView"]

AUTHORS: tuple[Author, ...] = get_args(Author)
LONGEST_TITLE = 80


@dataclass(frozen=True, slots=True)
class LineView:
    """One line. `case_id` names the case that it is about, or is empty."""

    number: int
    author: Author
    name: str
    text: str
    said_at: datetime
    case_id: str


@dataclass(frozen=True, slots=True)
class TalkView:
    """A talk, without its lines. `holder` is the id of the person who answers, or empty."""

    id: str
    customer_id: int
    customer_name: str
    started_at: datetime
    last_at: datetime
    mode: TalkMode
    holder: str
    title: str
    channel: str = "web"


def begin_talk(
    session: Session, talk_id: str, *, customer_id: int, now: datetime, address: Address = WEB
) -> None:
    """A talk without lines; beginning it again changes nothing but where it is read.

    Raises: UnknownCustomer, and UnknownTalk when it is somebody else's.
    """
    talk = session.get(Talk, talk_id)
    if talk is not None:
        if talk.customer_id != customer_id:
            raise UnknownTalk(talk_id)
        talk.channel, talk.address = address.channel, text_of(address)
        return
    if session.get(Customer, customer_id) is None:
        raise UnknownCustomer(customer_id)
    session.add(
        Talk(
            id=talk_id,
            customer_id=customer_id,
            started_at=now,
            last_at=now,
            channel=address.channel,
            address=text_of(address),
        )
    )


def write_line(
    session: Session,
    talk_id: str,
    *,
    author: Author,
    name: str,
    text: str,
    key: str,
    said_at: datetime,
    case_id: str = "",
) -> int:
    """Add a line to the end, once for a key; its number, from 1.

    Atomic with: the transaction of `session`. Idempotent by: `key`.
    Raises: UnknownTalk, and KeyReused when the key stands for another line.
    """
    text = storable(text)
    # The lock is for databases where writers run side by side; SQLite has one writer already.
    talk = session.get(Talk, talk_id, with_for_update=True)
    if talk is None:
        raise UnknownTalk(talk_id)
    earlier = session.scalar(select(TalkLine).where(TalkLine.idempotency_key == key))
    if earlier is not None:
        if (earlier.talk_id, earlier.text) != (talk_id, text):
            raise KeyReused(key, f"a line of {earlier.talk_id}", f"another line of {talk_id}")
        return earlier.number
    last = select(func.max(TalkLine.number)).where(TalkLine.talk_id == talk_id)
    number = (session.scalar(last) or 0) + 1
    session.add(
        TalkLine(
            idempotency_key=key,
            talk_id=talk_id,
            number=number,
            author=author,
            name=name,
            text=text,
            said_at=said_at,
            case_id=case_id,
        )
    )
    talk.last_at = said_at
    if author == "customer" and not talk.title:
        talk.title = " ".join(text.split())[:LONGEST_TITLE]
    return number


def number_of_line(session: Session, talk_id: str, key: str) -> int | None:
    """Which line of this talk was written with the key; None where none was."""
    return session.scalar(
        select(TalkLine.number).where(TalkLine.talk_id == talk_id, TalkLine.idempotency_key == key)
    )


def replace_line(session: Session, talk_id: str, number: int, *, text: str) -> bool:
    """Put another text in the place of one. False where there is no such line."""
    line = session.scalar(
        select(TalkLine).where(TalkLine.talk_id == talk_id, TalkLine.number == number)
    )
    if line is not None:
        line.text = storable(text)
    return line is not None


def set_mode(session: Session, talk_id: str, mode: TalkMode, holder: str) -> None:
    """Who answers from now on. Raises: UnknownTalk."""
    talk = session.get(Talk, talk_id, with_for_update=True)
    if talk is None:
        raise UnknownTalk(talk_id)
    talk.mode, talk.holder = mode, holder


def talk_of(session: Session, talk_id: str) -> TalkView | None:
    """The talk, whoever's it is: who may see it is for the caller to check."""
    talk = session.get(Talk, talk_id) if can_be_id(talk_id) else None
    return None if talk is None else _view(talk)


def talks_of(session: Session, customer_id: int) -> list[TalkView]:
    """The customer's talks, the latest first."""
    rows = session.scalars(
        select(Talk)
        .where(Talk.customer_id == customer_id)
        .order_by(Talk.last_at.desc(), Talk.id.desc())
    )
    return [_view(talk) for talk in rows]


def waiting_for_person(session: Session) -> list[TalkView]:
    """Talks that a person answers, or that wait for one; the latest first."""
    rows = session.scalars(
        select(Talk).where(Talk.mode != "agent").order_by(Talk.last_at.desc(), Talk.id.desc())
    )
    return [_view(talk) for talk in rows]


def arrivals_of(session: Session, customer_id: int, *, since: datetime) -> list[datetime]:
    """When the customer wrote, in any of their talks."""
    rows = session.scalars(
        select(TalkLine.said_at)
        .join(Talk, Talk.id == TalkLine.talk_id)
        .where(
            Talk.customer_id == customer_id,
            TalkLine.author == "customer",
            TalkLine.said_at > since,
        )
    )
    return list(rows)


def lines_of(session: Session, talk_id: str, after: int = 0) -> list[LineView]:
    """Its lines behind number `after`, oldest first."""
    rows = session.scalars(
        select(TalkLine)
        .where(TalkLine.talk_id == talk_id, TalkLine.number > after)
        .order_by(TalkLine.number)
    )
    return [
        LineView(row.number, row.author, row.name, row.text, row.said_at, row.case_id)
        for row in rows
    ]


def _view(talk: Talk) -> TalkView:
    return TalkView(
        id=talk.id,
        customer_id=talk.customer_id,
        customer_name=talk.customer.name,
        started_at=talk.started_at,
        last_at=talk.last_at,
        mode=talk.mode,
        holder=talk.holder,
        title=talk.title,
        channel=talk.channel,
    )
