"""What goes out to customers by a channel: each line once, in order, for as long as it takes.

A talk that is read elsewhere has an outbox: an instance that is told of each line and sends it. It
waits while the channel does, so that the talk does not.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select

from adjourn import Context, RetryPolicy, Task, TaskFailedError
from support_agent.app import app
from support_agent.channels.open import CHANNELS
from support_agent.channels.port import Address, ChannelTrouble, MessageRef, Text, TryAgain
from support_agent.clock import now
from support_agent.shop import reaching
from support_agent.shop.reaching import Sent
from support_agent.shop.records import TalkLine
from support_agent.workflow import PATIENTLY, records

_log = logging.getLogger(__name__)

LINES_OF_ONE_EXECUTION = 50
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 1800.0
ATTEMPTS = 150
"""About three days of them."""

SOON = RetryPolicy(
    max_number_of_attempts=3,
    first_retry_interval=timedelta(seconds=1),
    backoff_coefficient=2.0,
)
"""For what is no trouble of the channel: our own records were busy."""


def outbox_of(talk_id: str) -> str:
    """The id of a talk's outbox."""
    return f"{talk_id}:outbox"


@dataclass(frozen=True, slots=True)
class Word:
    """Something to say to somebody who has no talk."""

    address: Address
    text: str


@app.orchestrator
async def outbox(ctx: Context, talk_id: str) -> None:
    """Send the lines of a talk, one after the other."""
    for _ in range(LINES_OF_ONE_EXECUTION):
        number = await ctx.wait_for_external_event("Line", int)
        await _deliver(ctx, talk_id, number)
    ctx.continue_as_new(talk_id)


async def _deliver(ctx: Context, talk_id: str, number: int) -> None:
    await until_settled(ctx, lambda attempt: ctx.call_activity(send_line, talk_id, number, attempt))


@dataclass(frozen=True, slots=True)
class Again:
    """A line that has failed, as it was seen by whoever wants it sent again."""

    talk_id: str
    number: int
    failed: Sent


@app.orchestrator
async def send_line_again(ctx: Context, again: Again) -> None:
    """Send it. The outbox has gone on to later lines, and does not come back."""
    if await ctx.call_activity(revive, again.failed):
        await _deliver(ctx, again.talk_id, again.number)


@app.activity(retry=PATIENTLY)
def revive(failed: Sent) -> bool:
    """It waits again; False where it is not as it was seen. A repeated call may say so too, and
    then it waits already."""
    with records() as session:
        if reaching.revive(session, failed, now()):
            return True
        sent = reaching.sent_by(session, failed.key)
        return sent is not None and sent.state == "waiting"


@app.orchestrator
async def say_once(ctx: Context, word: Word) -> None:
    """Send it. Its instance's id is what makes it once."""
    await until_settled(
        ctx, lambda attempt: ctx.call_activity(send_word, ctx.instance_id, word, attempt)
    )


async def until_settled(ctx: Context, send: Callable[[int], Task[float | None]]) -> None:
    """Try to send, with longer and longer pauses, until there is nothing left to try."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            pause = await send(attempt)
        except TaskFailedError as error:  # our own trouble: the records could not be written
            ctx.logger.error("it was not sent: %s", error)
            pause = pause_after(attempt, None)
        if pause is None:
            return
        await ctx.create_timer(timedelta(seconds=pause))


@app.activity(retry=SOON, timeout=timedelta(minutes=1))
async def send_line(talk_id: str, number: int, attempt: int) -> float | None:
    """Send the line, unless it went out or has failed for good. None when that is settled, else
    after how many seconds to try again."""
    key = f"{outbox_of(talk_id)}/{number}"
    prepared = await asyncio.to_thread(_prepare_line, key, talk_id, number)
    if prepared is None:
        return None
    address, text = prepared
    return await attempt_to_send(key, address, text, attempt)


@app.activity(retry=SOON, timeout=timedelta(minutes=1))
async def send_word(key: str, word: Word, attempt: int) -> float | None:
    """As `send_line`."""
    channel = CHANNELS.get(word.address.channel)
    if channel is None:
        return pause_after(attempt, None)
    try:
        await channel.send(word.address, Text(word.text, "system"), key=key)
    except ChannelTrouble as trouble:
        return pause_after(attempt, trouble)
    return None


async def attempt_to_send(key: str, address: Address, text: Text, attempt: int) -> float | None:
    """Send what `key` stands for, and write down what came of it. Returns as `send_line`."""
    channel = CHANNELS.get(address.channel)
    if channel is None:
        trouble: ChannelTrouble = TryAgain(f"The channel {address.channel} is not open here.")
    else:
        try:
            ref = await channel.send(address, text, key=key)
        except ChannelTrouble as error:
            trouble = error
        except Exception as error:  # a channel that breaks is in trouble too, and that is shown
            trouble = broken(address, error)
        else:
            await asyncio.to_thread(keep_sent, key, ref)
            return None
    return await asyncio.to_thread(keep_trouble, key, trouble, attempt)


def broken(address: Address, error: Exception) -> TryAgain:
    """What stands for an error that the port does not know. Its own text may hold anything."""
    _log.error("the channel %s broke: %s", address.channel, type(error).__name__)
    return TryAgain(f"The channel {address.channel} broke: {type(error).__name__}.")


def keep_sent(key: str, ref: MessageRef, shows: str = "") -> None:
    """It went out."""
    with records() as session:
        reaching.went_out(session, key, message_id=ref.id, shows=shows, now=now())


def keep_trouble(key: str, trouble: ChannelTrouble, attempt: int) -> float | None:
    """It did not go out; after how many seconds to try again, or None: never."""
    pause = pause_after(attempt, trouble)
    with records() as session:
        state = "failed" if pause is None else "waiting"
        reaching.had_trouble(session, key, state, str(trouble), now())
    return pause


def pause_after(attempt: int, trouble: ChannelTrouble | None) -> float | None:
    """Longer after each attempt, and as long as the channel asks for; None when it is over."""
    if attempt >= ATTEMPTS or not (trouble is None or isinstance(trouble, TryAgain)):
        return None
    pause = min(FIRST_PAUSE_SECONDS * 2 ** min(attempt - 1, 20), LONGEST_PAUSE_SECONDS)
    return max(pause, trouble.after or 0.0) if isinstance(trouble, TryAgain) else pause


def _prepare_line(key: str, talk_id: str, number: int) -> tuple[Address, Text] | None:
    """Where it goes and what it says; None when there is nothing to send any more."""
    with records() as session:
        address = reaching.address_of_talk(session, talk_id)
        line = session.scalar(
            select(TalkLine).where(TalkLine.talk_id == talk_id, TalkLine.number == number)
        )
        if address is None or line is None or line.author == "customer":
            reaching.let_go(session, key, now())
            return None
        moment = now()
        sent = reaching.prepare(session, key, about=talk_id, reader="", address=address, now=moment)
        if sent.state != "waiting":
            return None
        return address, Text(line.text, line.author, line.name)
