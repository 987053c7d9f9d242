"""Supervisors' cards: one message for each reader and question, true as long as it stands there.

Each approval has a watcher (`Adjourn.watch_approvals`), which brings the cards up to date whenever
something has changed. No decision waits for it.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from msgspec import structs

from adjourn import (
    ApprovalView,
    Authenticator,
    Client,
    Context,
    InstanceNotFoundError,
    Notice,
    Person,
    TaskFailedError,
)
from support_agent.app import app
from support_agent.channels.delivery import (
    ATTEMPTS,
    SOON,
    attempt_to_send,
    broken,
    keep_sent,
    keep_trouble,
    pause_after,
    until_settled,
)
from support_agent.channels.open import CHANNELS
from support_agent.channels.port import (
    ApprovalCard,
    ChannelTrouble,
    Message,
    MessageRef,
    Text,
    TryAgain,
)
from support_agent.channels.questions import card_of
from support_agent.clock import now
from support_agent.shop import reaching
from support_agent.shop.address import same_place
from support_agent.shop.reaching import Reader, Sent
from support_agent.workflow import PATIENTLY, records

NOTICES_OF_ONE_EXECUTION = 50
REFRESHED_LIMIT = 60  # readers of one message that Teams lets see a view of their own
NOT_FOR_YOU = "This question is not for you any more."


@dataclass(frozen=True, slots=True)
class Desk:
    """What cards are drawn from: where this process serves."""

    client: Client
    people: Authenticator
    public_url: str
    """Where others reach the dashboard, without a slash at its end; empty where they do not."""

    def name_of(self, person_id: str) -> str:
        found = self.people.find(person_id)
        return found.name if found is not None else person_id

    def link_to(self, approval_id: str) -> str:
        return f"{self.public_url}/approvals/{approval_id}" if self.public_url else ""

    def person_of(self, reader: Reader) -> Person | None:
        """Whose view a reader gets: their own, or that of whoever has called the cards there. Who
        is disabled sees nothing, and has nothing shown to others."""
        if reader.personal:
            found = self.people.find_account(reader.channel, reader.id)
        else:
            found = self.people.find(reader.name)
        return None if found is None or found.disabled else found

    async def view_of(self, approval_id: str, person: Person, channel: str) -> ApprovalView | None:
        """None where they may not see it, or it is none."""
        try:
            by = self.people.acting(person, channel)
            return await self.client.approvals.get(approval_id, by=by)
        except InstanceNotFoundError:
            return None


DESKS: list[Desk] = []
"""The desk of this process, once it is known where it serves."""


def desk() -> Desk:
    """Raises: RuntimeError in a process that serves nothing, where no card can be drawn."""
    if not DESKS:
        raise RuntimeError("Cards are drawn by the process that serves support_agent.site.")
    return DESKS[-1]


@dataclass(slots=True)
class _Behind:
    """A card that is not as it should be."""

    attempts: int
    due: datetime
    """When to try next: no sooner than its channel has asked for, whatever others do."""
    asked: bool = False
    """Whether the channel has; our own pause ends when there is news."""


@app.orchestrator
async def keep_cards(ctx: Context, notice: Notice) -> None:
    """Bring the cards of an approval up to date until it has ended and all of them say so."""
    behind: dict[tuple[str, str], _Behind] = {}
    final = notice.final
    for _ in range(NOTICES_OF_ONE_EXECUTION):
        for channel, reader in await ctx.call_activity(readers_of, notice.id):
            key = (channel, reader)
            if key not in behind or not behind[key].asked:
                behind[key] = _Behind(0, ctx.current_utc_datetime)
        if "reminded" in notice.what:
            await _remind(ctx, notice)
        await _show_all(ctx, notice.id, behind)
        heard = ctx.wait_for_external_event("Notice", Notice)
        while behind and not heard.done():
            await ctx.when_any(heard, ctx.create_timer(min(each.due for each in behind.values())))
            if not heard.done():
                await _show_all(ctx, notice.id, behind)
        if final and not behind:
            return
        notice = await heard
        final = final or notice.final  # whoever comes later asks for the cards after the end too
    ctx.continue_as_new(structs.replace(notice, final=final))


async def _remind(ctx: Context, notice: Notice) -> None:
    try:
        await ctx.call_activity(remind, notice.id, notice.version)
    except TaskFailedError as error:
        ctx.logger.error("nobody was reminded of %s: %s", notice.id, error)


@dataclass(frozen=True, slots=True)
class Card:
    """Whose card of what."""

    approval_id: str
    channel: str
    reader: str


@app.orchestrator
async def show_again(ctx: Context, card: Card) -> None:
    """Bring one card up to date whose approval nobody watches any more."""
    await until_settled(
        ctx,
        lambda attempt: ctx.call_activity(
            show, card.approval_id, card.channel, card.reader, attempt
        ),
    )


async def _show_all(ctx: Context, approval_id: str, behind: dict[tuple[str, str], _Behind]) -> None:
    """Try each that is due; what is settled is behind no more."""
    keys = [key for key, each in behind.items() if each.due <= ctx.current_utc_datetime]
    shown = [
        ctx.call_activity(show, approval_id, channel, reader, behind[channel, reader].attempts + 1)
        for channel, reader in keys
    ]
    for key, task in zip(keys, shown, strict=True):
        behind[key].attempts += 1
        try:
            pause = await task
        except TaskFailedError as error:
            ctx.logger.error("a card of %s was not shown: %s", approval_id, error)
            pause = pause_after(behind[key].attempts, None)
        if pause is None:
            del behind[key]
        else:
            behind[key].due = ctx.current_utc_datetime + timedelta(seconds=pause)
            behind[key].asked = pause > (pause_after(behind[key].attempts, None) or 0.0)


@app.activity(retry=PATIENTLY, timeout=timedelta(minutes=1))
async def readers_of(approval_id: str) -> list[tuple[str, str]]:
    """Who has a card of it, and who may decide it and has a place: channel and reader."""
    has, places = await asyncio.to_thread(_has_and_places, approval_id)
    found = dict.fromkeys(has)
    for reader in places:
        person = desk().person_of(reader)
        if person is None or (reader.channel, reader.id) in found:
            continue
        view = await desk().view_of(approval_id, person, reader.channel)
        if view is not None and "approve" in view.allowed:
            found[reader.channel, reader.id] = None
    return list(found)


@app.activity(retry=SOON, timeout=timedelta(minutes=1))
async def show(approval_id: str, channel: str, reader_id: str, attempt: int) -> float | None:
    """Send the reader's card of this approval, or bring the one they have up to date. None when
    that is settled, else after how many seconds to try again."""
    key = key_of("card", approval_id, channel, reader_id)
    reader, sent = await asyncio.to_thread(_known, key, channel, reader_id)
    message = reader and await _message_for(approval_id, reader, sent)
    shows = hashlib.sha256(repr(message).encode()).hexdigest()
    if reader is None or message is None or (sent is not None and sent.shows == shows):
        await asyncio.to_thread(_let_go, key)
        return None
    sent = await asyncio.to_thread(_prepare, key, approval_id, reader)
    try:
        ref = await _put(sent, reader, message)
    except ChannelTrouble as trouble:
        return await asyncio.to_thread(keep_trouble, key, trouble, attempt)
    except Exception as error:
        trouble = broken(reader.address, error)
        return await asyncio.to_thread(keep_trouble, key, trouble, attempt)
    await asyncio.to_thread(keep_sent, key, ref, shows)
    return None


async def _message_for(approval_id: str, reader: Reader, sent: Sent | None) -> Message | None:
    """What the reader is to see of it now; None for somebody who has seen nothing and need not."""
    person = desk().person_of(reader)
    view = person and await desk().view_of(approval_id, person, reader.channel)
    has_one = sent is not None and sent.message_id
    if view is None:
        return Text(NOT_FOR_YOU, "system") if has_one else None
    card = await draw(view, reader)
    return card if card.open or has_one else None


async def _put(sent: Sent, reader: Reader, message: Message) -> MessageRef:
    channel = CHANNELS.get(reader.channel)
    if channel is None:
        raise TryAgain(f"The channel {reader.channel} is not open here.")
    if not sent.message_id:
        return await channel.send(reader.address, message, key=sent.key)
    ref = MessageRef(reader.address, sent.message_id)
    await channel.update(ref, message)
    return ref


async def draw(view: ApprovalView, reader: Reader) -> ApprovalCard:
    """The reader's card. What several people read has no buttons: each asks for a view of their
    own, where the channel can give them one."""
    card = card_of(view, desk().name_of, link=desk().link_to(view.state.id))
    if reader.personal:
        return card
    return replace(card, allowed=(), refresh_by=await asyncio.to_thread(_deciders, reader.channel))


@app.activity(retry=SOON, timeout=timedelta(minutes=1))
async def remind(approval_id: str, version: int) -> None:
    """Say to each who may decide it that it still waits; a word that does not go out is lost, for
    the card and the desk say the same."""
    has, places = await asyncio.to_thread(_has_and_places, approval_id)
    for reader in places:
        person = desk().person_of(reader)
        if person is None or not reader.personal or (reader.channel, reader.id) not in has:
            continue
        view = await desk().view_of(approval_id, person, reader.channel)
        if view is None or "approve" not in view.allowed:
            continue
        count = view.state.reminded
        key = key_of(f"reminder/{count}", approval_id, reader.channel, reader.id)
        word = Text(f"This still waits for a decision: {view.request.title}", "system")
        if await asyncio.to_thread(_is_new, key, approval_id, reader):
            await attempt_to_send(key, reader.address, word, attempt=ATTEMPTS)


def key_of(kind: str, approval_id: str, channel: str, reader: str) -> str:
    """The key of a message to this reader about this approval."""
    text = "\0".join((approval_id, channel, reader))
    return f"{kind}/{hashlib.sha256(text.encode()).hexdigest()[:40]}"


def _has_and_places(approval_id: str) -> tuple[list[tuple[str, str]], Sequence[Reader]]:
    with records() as session:
        has = [
            (sent.address.channel, sent.reader)
            for sent in reaching.sent_about(session, approval_id)
            if sent.key.startswith("card/")
        ]
        return has, reaching.readers(session)


def _known(key: str, channel: str, reader_id: str) -> tuple[Reader | None, Sent | None]:
    """The reader, and their card where they read now."""
    with records() as session:
        reader, sent = (
            reaching.reader_of(session, channel, reader_id),
            reaching.sent_by(session, key),
        )
    if reader is not None and sent is not None and not same_place(sent.address, reader.address):
        sent = None
    return reader, sent


def _let_go(key: str) -> None:
    with records() as session:
        reaching.let_go(session, key, now())


def _prepare(key: str, approval_id: str, reader: Reader) -> Sent:
    with records() as session:
        return reaching.prepare(
            session, key, about=approval_id, reader=reader.id, address=reader.address, now=now()
        )


def _is_new(key: str, approval_id: str, reader: Reader) -> bool:
    sent = _prepare(key, approval_id, reader)
    return sent.state == "waiting" and not sent.trouble


def _deciders(channel: str) -> tuple[str, ...]:
    with records() as session:
        found = [
            reader.address.data.get("user", "")
            for reader in reaching.readers(session)
            if reader.personal and reader.channel == channel
        ]
    return tuple(filter(None, found))[:REFRESHED_LIMIT]
