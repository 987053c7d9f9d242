"""Reaching people by channels: whose an account is, where supervisors read, what went out.

A message that goes out has a key and stands here before it is sent; what became of it is written
down beside it, so that nothing is sent twice knowingly and nothing that failed is hidden.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from support_agent.shop.address import Address, address_of, same_place, text_of
from support_agent.shop.records import (
    Account,
    Dispatch,
    DispatchState,
    LinkCode,
    Place,
    Talk,
)

CODE_LIFE = timedelta(minutes=30)
OFFERS_AT_ONCE = 5
LONGEST_NAME = 200
LONGEST_TROUBLE = 500

# Customers.


def customer_of_account(session: Session, channel: str, account: str) -> int | None:
    """The customer whose account of this channel it is."""
    found = session.get(Account, (channel, account))
    return None if found is None else found.customer_id


def offer_link(
    session: Session, code: str, *, account: str, name: str, address: Address, now: datetime
) -> bool:
    """From now on, and for CODE_LIFE, whoever has the code and is signed in may say whose this
    account is. `code` is a secret of at least 128 random bits. False where the account has
    OFFERS_AT_ONCE already: those stand in its chat, and whoever goes on writing fills no table."""
    session.execute(delete(LinkCode).where(LinkCode.expires_at <= now))
    mine = select(func.count()).where(
        LinkCode.channel == address.channel, LinkCode.account == account
    )
    if (session.scalar(mine) or 0) >= OFFERS_AT_ONCE:
        return False
    session.add(
        LinkCode(
            digest=digest_of(code),
            channel=address.channel,
            account=account,
            name=name[:LONGEST_NAME],
            address=text_of(address),
            expires_at=now + CODE_LIFE,
        )
    )
    return True


@dataclass(frozen=True, slots=True)
class Offer:
    """An account that waits to be linked."""

    account: str
    name: str
    address: Address


def offered(session: Session, code: str, now: datetime) -> Offer | None:
    """What the code may link; None for one that is unknown, used, or too old."""
    found = session.get(LinkCode, digest_of(code))
    if found is None or found.used_at is not None or found.expires_at <= now:
        return None
    return Offer(found.account, found.name, address_of(found.channel, found.address))


def link(session: Session, code: str, customer_id: int, now: datetime) -> Offer | None:
    """The account is this customer's from now on, and its codes are spent: all of them, or one
    that lies about would give it to somebody else. None as `offered`.

    Atomic with: the transaction of `session`.
    """
    spent = session.execute(
        update(LinkCode)
        .where(
            LinkCode.digest == digest_of(code),
            LinkCode.used_at.is_(None),
            LinkCode.expires_at > now,
        )
        .values(used_at=now)
        .returning(LinkCode.channel, LinkCode.account, LinkCode.name, LinkCode.address)
    ).one_or_none()
    if spent is None:
        return None
    channel, account, name, address = spent
    session.execute(
        update(LinkCode)
        .where(LinkCode.channel == channel, LinkCode.account == account)
        .values(used_at=now)
    )
    session.merge(
        Account(channel=channel, account=account, customer_id=customer_id, name=name, linked_at=now)
    )
    return Offer(account, name, address_of(channel, address))


def link_account(
    session: Session, channel: str, account: str, customer_id: int, now: datetime
) -> None:
    """The account is this customer's from now on. Only for who may say so for the customer."""
    session.merge(
        Account(
            channel=channel, account=account, customer_id=customer_id, name=account, linked_at=now
        )
    )


def talk_id_of(channel: str, conversation: str, account: str, customer_id: int) -> str:
    """The talk of this account in this conversation, as long as it is this customer's: in a group
    each has their own."""
    key = "\0".join((channel, conversation, account, str(customer_id)))
    return f"{channel}-{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def address_of_talk(session: Session, talk_id: str) -> Address | None:
    """Where the customer of this talk reads it beside our pages; None where only there, as in a
    talk with an account that is another customer's by now, or nobody's."""
    talk = session.get(Talk, talk_id)
    if talk is None or talk.channel == "web":
        return None
    address = address_of(talk.channel, talk.address)
    accounts = session.scalars(
        select(Account.account).where(
            Account.channel == talk.channel, Account.customer_id == talk.customer_id
        )
    )
    conversation = address.data.get("conversation", "")
    ids = (talk_id_of(talk.channel, conversation, each, talk.customer_id) for each in accounts)
    return address if talk_id in ids else None


# Supervisors.


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads in a place: one account, or everybody in a conversation."""

    channel: str
    id: str
    """The account, or the conversation's id."""
    personal: bool
    name: str
    address: Address


def read_here(session: Session, reader: Reader, now: datetime) -> bool:
    """Questions are shown to this reader at this address from now on. Whether that is new to
    them."""
    key = (reader.channel, reader.id)
    known = session.get(Place, key)
    session.merge(
        Place(
            channel=reader.channel,
            reader=reader.id,
            personal=reader.personal,
            name=reader.name[:LONGEST_NAME],
            address=text_of(reader.address),
            seen_at=now,
        )
    )
    return known is None


def read_no_more(session: Session, address: Address) -> None:
    """Nobody reads in this conversation any more, whoever it was that said so."""
    for place in session.scalars(select(Place).where(Place.channel == address.channel)):
        if same_place(address_of(place.channel, place.address), address):
            session.delete(place)


def readers(session: Session) -> list[Reader]:
    """Everybody who is shown questions, in a stable order."""
    rows = session.scalars(select(Place).order_by(Place.channel, Place.reader))
    return [_reader(row) for row in rows]


def reader_of(session: Session, channel: str, id: str) -> Reader | None:
    """The reader, while they have a place."""
    found = session.get(Place, (channel, id))
    return None if found is None else _reader(found)


def _reader(row: Place) -> Reader:
    address = address_of(row.channel, row.address)
    return Reader(row.channel, row.reader, row.personal, row.name, address)


# What goes out.


@dataclass(frozen=True, slots=True)
class Sent:
    """What is known of a message that goes out. `shows` is a digest of what it shows."""

    key: str
    about: str
    reader: str
    address: Address
    state: DispatchState
    message_id: str
    shows: str
    trouble: str
    changed_at: datetime


def prepare(
    session: Session, key: str, *, about: str, reader: str, address: Address, now: datetime
) -> Sent:
    """The message of this key: it is to go out, unless it stands here already. What stands in
    another conversation than this reader's is out of our hands, and goes out anew."""
    row = session.get(Dispatch, key)
    if row is not None and not same_place(address_of(row.channel, row.address), address):
        session.delete(row)
        session.flush()
        row = None
    if row is None:
        row = Dispatch(
            key=key,
            about=about,
            channel=address.channel,
            reader=reader,
            address=text_of(address),
            state="waiting",
            message_id="",
            shows="",
            trouble="",
            changed_at=now,
        )
        session.add(row)
    return _sent(row)


def went_out(session: Session, key: str, *, message_id: str, shows: str, now: datetime) -> None:
    """The channel has taken it."""
    row = session.get_one(Dispatch, key)
    row.state, row.message_id, row.shows = "sent", message_id, shows
    row.trouble, row.changed_at = "", now


def had_trouble(
    session: Session, key: str, state: DispatchState, trouble: str, now: datetime
) -> None:
    """It did not go out, yet ("waiting") or ever ("failed")."""
    row = session.get_one(Dispatch, key)
    row.state, row.trouble, row.changed_at = state, trouble[:LONGEST_TROUBLE], now


def let_go(session: Session, key: str, now: datetime) -> None:
    """There is nothing to send for this key now, so nothing about it is in trouble."""
    row = session.get(Dispatch, key)
    if row is None or not row.message_id:
        session.execute(delete(Dispatch).where(Dispatch.key == key))
    elif row.state != "sent":
        row.state, row.trouble, row.changed_at = "sent", "", now


def sent_by(session: Session, key: str) -> Sent | None:
    """What is known of the message of this key."""
    row = session.get(Dispatch, key)
    return None if row is None else _sent(row)


def revive(session: Session, failed: Sent, now: datetime) -> bool:
    """What has failed waits again; False where it is not as it was when it was looked at."""
    row = session.get(Dispatch, failed.key)
    if row is None or _sent(row) != failed or failed.state != "failed":
        return False
    row.state, row.changed_at = "waiting", now
    return True


def sent_about(session: Session, about: str) -> list[Sent]:
    """All messages about a talk or an approval."""
    rows = session.scalars(select(Dispatch).where(Dispatch.about == about).order_by(Dispatch.key))
    return [_sent(row) for row in rows]


def in_trouble(session: Session, limit: int = 100) -> list[Sent]:
    """What has failed, or waits after a first failure; the latest first."""
    rows = session.scalars(
        select(Dispatch)
        .where(Dispatch.state != "sent", Dispatch.trouble != "")
        .order_by(Dispatch.changed_at.desc(), Dispatch.key)
        .limit(limit)
    )
    return [_sent(row) for row in rows]


def lines_in_trouble(session: Session, talk_id: str) -> dict[int, Sent]:
    """Of a talk's lines, by number, those that did not go out."""
    return {
        int(sent.key.rpartition("/")[2]): sent
        for sent in sent_about(session, talk_id)
        if sent.state != "sent" and sent.trouble
    }


def _sent(row: Dispatch) -> Sent:
    return Sent(
        key=row.key,
        about=row.about,
        reader=row.reader,
        address=address_of(row.channel, row.address),
        state=row.state,
        message_id=row.message_id,
        shows=row.shows,
        trouble=row.trouble,
        changed_at=row.changed_at,
    )


def digest_of(code: str) -> str:
    """What is kept of a code: it tells nobody the code."""
    return hashlib.sha256(code.encode()).hexdigest()
