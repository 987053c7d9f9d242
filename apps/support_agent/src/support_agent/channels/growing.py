"""An answer that grows where it is read beside our pages."""

import asyncio
from dataclasses import dataclass, field
from typing import Self

from support_agent.channels.open import CHANNELS
from support_agent.channels.port import Address, Channel
from support_agent.shop import reaching
from support_agent.shop.database import reading, shop_database


@dataclass(slots=True)
class Growing:
    """Shows an answer while it grows, and never holds it up: what comes while the channel is busy
    is shown with what comes after it."""

    channel: Channel
    address: Address
    answer: str
    text: str = ""
    _showing: asyncio.Future[None] | None = field(default=None, repr=False)

    @classmethod
    async def of(cls, talk_id: str, answer: str) -> Self | None:
        """None where the talk is read on our pages alone."""
        address = await asyncio.to_thread(_address, talk_id) if CHANNELS else None
        channel = CHANNELS.get(address.channel) if address is not None else None
        return None if address is None or channel is None else cls(channel, address, answer)

    def add(self, text: str) -> None:
        self.text += text
        if self._showing is None or self._showing.done():
            growing = self.channel.grow(self.address, self.answer, self.text)
            self._showing = asyncio.ensure_future(growing)


def _address(talk_id: str) -> Address | None:
    with reading(shop_database()) as session:
        return reaching.address_of_talk(session, talk_id)
