"""Our own pages as a channel: a line in the records, and a word to the pages that are open.

Nothing is out of reach here, and nothing is lost where no page is open. All that can go wrong are
the records themselves.
"""

import asyncio
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from support_agent.channels.port import (
    Address,
    ApprovalCard,
    ChannelName,
    Message,
    MessageRef,
    Text,
    TryAgain,
    Unreachable,
)
from support_agent.clock import now
from support_agent.live import Changed, Delta, Hub, Typing
from support_agent.shop import talks
from support_agent.shop.address import WEB
from support_agent.shop.database import shop_database, writing
from support_agent.shop.errors import SupportError
from support_agent.shop.talks import Author

LONGEST_NAME = 200  # characters of an author's name that the records keep


def keep(
    hub: Hub,
    records: AbstractContextManager[Session],
    talk_id: str,
    *,
    author: Author,
    name: str,
    text: str,
    key: str,
    at: datetime,
    case_id: str = "",
    typing: bool = False,
) -> int:
    """Write the line down in a transaction of `records`, once for a key, and show it; its number.
    `typing` says that an answer to it is on its way."""
    with records as session:
        number = talks.write_line(
            session,
            talk_id,
            author=author,
            name=name,
            text=text,
            key=key,
            said_at=at,
            case_id=case_id,
        )
    hub.publish(talk_id, Typing(typing))
    hub.publish(talk_id, Changed())
    return number


@dataclass(frozen=True, slots=True)
class WebChannel:
    """Implements `port.Channel`. An address names a talk; the id of a message is its line's number.

    A page that is open shows a new line at once, and one that was replaced when it is loaded again.
    """

    hub: Hub

    @property
    def name(self) -> ChannelName:
        return WEB.channel

    async def send(self, to: Address, message: Message, *, key: str) -> MessageRef:
        number = await asyncio.to_thread(self._send, _talk_of(to), message, key)
        return MessageRef(to, str(number))

    async def update(self, ref: MessageRef, message: Message) -> None:
        await asyncio.to_thread(_replace, _talk_of(ref.address), ref.id, message)
        self.hub.publish(_talk_of(ref.address), Changed())

    async def typing(self, to: Address) -> None:
        if to.channel == self.name:
            self.hub.publish(to.data.get("talk", ""), Typing(True))

    async def grow(self, to: Address, answer: str, text: str) -> None:
        if to.channel == self.name:  # a page begins anew for another name, and so shows all of it
            self.hub.publish(to.data.get("talk", ""), Delta(text, f"{answer}/{len(text)}"))

    def _send(self, talk_id: str, message: Message, key: str) -> int:
        key = f"{WEB.channel}/{talk_id}/{key}"
        with _records() as session:
            sent = talks.number_of_line(session, talk_id, key)
        if sent is not None:  # what stands there now may be another text, put in its place
            return sent
        line = _words(message)
        return keep(
            self.hub,
            _records(),
            talk_id,
            author=line.author,
            name=line.name[:LONGEST_NAME],
            text=line.text,
            key=key,
            at=now(),
        )


def _talk_of(address: Address) -> str:
    talk_id = address.data.get("talk", "")
    if address.channel != WEB.channel or not talk_id:
        raise Unreachable("This is no address of a conversation on our pages.")
    return talk_id


def _replace(talk_id: str, id: str, message: Message) -> None:
    line = _words(message)
    with _records() as session:
        number = int(id) if id.isascii() and id.isdigit() else 0
        if not talks.replace_line(session, talk_id, number, text=line.text):
            raise Unreachable("This conversation has no such line.")


@contextmanager
def _records() -> Generator[Session]:
    """One transaction. Its troubles are those of the channel, without what was to be written."""
    try:
        with writing(shop_database()) as session:
            yield session
    except SupportError:
        raise Unreachable("The records know no such conversation, or another line.") from None
    except DBAPIError as error:
        raise TryAgain(f"The records could not be written: {type(error).__name__}.") from None


def _words(message: Message) -> Text:
    """A line can only be read, so a question is put in words; our own page for it has buttons."""
    match message:
        case Text():
            return message
        case ApprovalCard():
            shown = [(each.label, each.shown) for each in message.fields]
            told = [f"{label}: {text}" for label, text in (*shown, *message.facts)]
            lines = [message.title, message.status, *told, message.trouble, message.link]
            return Text("\n".join(filter(None, lines)), "system")
