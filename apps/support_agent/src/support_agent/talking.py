"""What the pages and the channels do with talks: begin one, write into it, take part in it.

All of it is durable before it returns: a message that was taken is answered, whatever happens to
the process.
"""

import asyncio
from datetime import datetime, timedelta

from adjourn import Actor, Client, UpdateRefusedError
from support_agent import tenant
from support_agent.agent.budget import CUSTOMER_RATES, rate_refusal
from support_agent.clock import now
from support_agent.conversation import Message, Reply, Talk, conversation
from support_agent.shop import lookup, talks
from support_agent.shop.address import WEB, Address
from support_agent.shop.database import reading, shop_database, writing
from support_agent.shop.errors import UnknownCustomer, UnknownTalk

COUNTED = timedelta(days=1)


class Refused(Exception):
    """A message that was not taken, in words for its author."""

    def __init__(self, code: str, words: str, again_in_seconds: int | None = None) -> None:
        super().__init__(words)
        self.code = code
        self.words = words
        self.again_in_seconds = again_in_seconds


async def begin(client: Client, customer_id: int, talk_id: str, address: Address = WEB) -> None:
    """A talk of this customer, who reads it at this address and on our pages. Beginning it again
    changes the address and nothing else.

    Raises: UnknownCustomer; UnknownTalk when the id is somebody else's.
    """
    name = await asyncio.to_thread(_begin, customer_id, talk_id, address)
    state = Talk(customer_id, name, elsewhere=address.channel != WEB.channel)
    await client.start(
        conversation, state, id=talk_id, on_conflict="return_existing", tags=tenant.tags()
    )


def _begin(customer_id: int, talk_id: str, address: Address) -> str:
    with writing(shop_database()) as session:
        customer = lookup.customer_of(session, customer_id)
        if customer is None:
            raise UnknownCustomer(customer_id)
        talks.begin_talk(session, talk_id, customer_id=customer_id, now=now(), address=address)
        return customer.name


async def say(client: Client, talk_id: str, customer_id: int, text: str, message_id: str) -> None:
    """Write as the customer, once for a message id. Returns when the message is on disk.

    Raises: UnknownTalk when it is not this customer's; Refused.
    """
    came = await asyncio.to_thread(_arrivals, talk_id, customer_id)
    message = Message(text, rate_refusal(CUSTOMER_RATES, came, now()))
    try:
        await client.update(talk_id, "Say", message, update_id=message_id)
    except UpdateRefusedError as error:
        details = error.details if isinstance(error.details, dict) else {}
        code, again = details.get("code"), details.get("again_in_seconds")
        raise Refused(str(code or "refused"), error.reason, again) from error


def _arrivals(talk_id: str, customer_id: int) -> list[datetime]:
    """When the customer wrote of late, in any talk. Raises: UnknownTalk."""
    with reading(shop_database()) as session:
        talk = talks.talk_of(session, talk_id)
        if talk is None or talk.customer_id != customer_id:
            raise UnknownTalk(talk_id)
        return talks.arrivals_of(session, customer_id, since=now() - COUNTED)


async def answer_as_person(
    client: Client, talk_id: str, text: str, message_id: str, by: Actor
) -> None:
    """Write to the customer, once for a message id.

    Raises: UpdateForbiddenError, UpdateConflictError, UpdateInvalidError.
    """
    await client.update(talk_id, "Reply", Reply(text), update_id=message_id, by=by)


async def hand_back(client: Client, talk_id: str, by: Actor, update_id: str) -> None:
    """The assistant answers again. Raises: as `answer_as_person`."""
    await client.update(talk_id, "HandBack", update_id=update_id, by=by)
