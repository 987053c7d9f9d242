"""Customers and supervisors on a channel for tests, with the real engine and real records."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import select

from adjourn import Person
from adjourn.approvals.people import LocalPeople
from support_agent.app import app
from support_agent.channels import desk as desks
from support_agent.channels.desk import Desk, keep_cards
from support_agent.channels.open import CHANNELS
from support_agent.channels.port import (
    Address,
    ApprovalCard,
    DecisionReply,
    IncomingDecision,
    IncomingMessage,
    MessageRef,
    Sender,
    Text,
)
from support_agent.channels.reception import Reception
from support_agent.channels.testing import FakeChannel
from support_agent.clock import now, stopwatch_seconds
from support_agent.shop import reaching
from support_agent.shop.database import shop_database, writing
from support_agent.shop.records import Customer
from support_agent.shop.shipped import import_shipped

FAKE = "fake"
PATIENCE_SECONDS = 20.0
AMINA, JONAS = "Amina Diallo", "Jonas Weber"
DOUBLE = "I was charged twice for order A-1201"
T = TypeVar("T")

PEOPLE = [
    Person(
        id="lena",
        name="Lena Fischer",
        groups=["support"],
        roles=["approver"],
        accounts={FAKE: "t/lena"},
    ),
    Person(
        id="omar",
        name="Omar Haddad",
        groups=["support"],
        roles=["approver"],
        accounts={FAKE: "t/omar"},
    ),
    Person(
        id="grace",
        name="Grace Okafor",
        groups=["finance", "support"],
        roles=["approver", "lead"],
        accounts={FAKE: "t/grace"},
    ),
    Person(id="ivo", name="Ivo Novak", roles=["auditor"], accounts={FAKE: "t/ivo"}),
]


class Scene:
    """Everything that one process has, until it is left."""

    def __init__(self, desk: Desk, channel: FakeChannel) -> None:
        self.desk = desk
        self.client = desk.client
        self.channel = channel
        self.reception = Reception(desk)
        self._messages = 0

    def address(self, account: str, conversation: str = "") -> Address:
        conversation = conversation or f"with {account}"
        return Address(FAKE, {"conversation": conversation, "user": f"29:{account}"})

    def link(self, name: str, account: str) -> None:
        """As the page does, once the customer has said that the account is theirs."""
        code = f"code of {name} for {account}, which nobody guesses"
        with writing(shop_database()) as session:
            customer = session.scalars(select(Customer).where(Customer.name == name)).one()
            address = self.address(account)
            reaching.offer_link(
                session, code, account=account, name=name, address=address, now=now()
            )
            assert reaching.link(session, code, customer.id, now()) is not None

    def message(
        self, account: str, text: str, *, id: str = "", conversation: str = ""
    ) -> IncomingMessage:
        self._messages += 1
        return IncomingMessage(
            id=id or f"activity-{self._messages}",
            sender=Sender(account, account),
            address=self.address(account, conversation),
            conversation=conversation or f"with {account}",
            text=text,
            personal=not conversation,
        )

    async def write(self, account: str, text: str, **more: str) -> None:
        await self.reception.on_message(FAKE, self.message(account, text, **more))

    async def decide(self, account: str, card: ApprovalCard, **more: object) -> DecisionReply:
        told: dict[str, object] = {
            "id": "click-1",
            "sender": Sender(account, account),
            "action": "approve",
            "approval": card.id,
            "version": card.version,
            "digest": card.digest,
            **more,
        }
        decision = IncomingDecision(**told)  # pyright: ignore[reportArgumentType]  # a test's shorthand
        while True:  # a card may be there a moment before its facts are
            reply = await self.reception.on_decision(FAKE, decision)
            if "still looked up" not in reply.words:
                return reply

    def texts(self, account: str, conversation: str = "") -> list[str]:
        """What is read there now."""
        found = self.channel.messages(self.address(account, conversation))
        return [each.text for each in found if isinstance(each, Text)]

    def cards(self, account: str, conversation: str = "") -> list[ApprovalCard]:
        found = self.channel.messages(self.address(account, conversation))
        return [each for each in found if isinstance(each, ApprovalCard)]

    async def until(self, look: Callable[[], T]) -> T:
        """What `look` finds, once it finds something."""
        end = stopwatch_seconds() + PATIENCE_SECONDS
        while True:
            if found := look():
                return found
            assert stopwatch_seconds() < end, f"It did not happen. {self.channel.sent}"
            await asyncio.sleep(0.02)

    async def told(self, account: str, *words: str, conversation: str = "") -> str:
        """The first text with all these words, once it is there."""
        return await self.until(
            lambda: next(
                (
                    text
                    for text in self.texts(account, conversation)
                    if all(word in text for word in words)
                ),
                "",
            )
        )

    async def open_case(self, name: str = AMINA, account: str = "t/amina") -> None:
        """The customer asks for money back, and a case waits."""
        self.link(name, account)
        await self.write(account, DOUBLE)
        await self.told(account, "129.70 EUR")
        await self.write(account, "yes please")
        await self.told(account, "R-1001")


@asynccontextmanager
async def playing(folder: Path, channel: FakeChannel | None = None) -> AsyncGenerator[Scene]:
    """A process; entered again on the same folder it is started again. The channel lives on."""
    import_shipped(shop_database(), now())
    channel = channel or FakeChannel(FAKE)
    client = app.open(folder / "engine.db")
    desk = Desk(client, LocalPeople(PEOPLE), "http://127.0.0.1:7071")
    before = dict(app.watchers)
    app.watch_approvals(keep_cards)
    CHANNELS[FAKE] = channel
    desks.DESKS.append(desk)
    try:
        async with client:
            yield Scene(desk, channel)
    finally:
        desks.DESKS.remove(desk)
        del CHANNELS[FAKE]
        app.watchers = before


def ref_of(channel: FakeChannel, card: ApprovalCard) -> MessageRef:
    """The message that shows this card."""
    return next(sent.ref for sent in channel.sent if sent.message == card)
