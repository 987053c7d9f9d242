"""What channels bring in: the port `Inbound`, once for all of them."""

import asyncio
import hashlib
import secrets
from collections.abc import Coroutine
from typing import Any

from adjourn import (
    AdjournError,
    Approve,
    InboxQuery,
    InstanceFinishedError,
    InstanceNotFoundError,
    Notice,
    Person,
    Reject,
    UpdateConflictError,
    UpdateForbiddenError,
    UpdateInvalidError,
    UpdateRefusedError,
    addresses_of,
    watcher_id,
)
from support_agent import talking
from support_agent.channels.delivery import Word, say_once
from support_agent.channels.desk import Desk
from support_agent.channels.open import CHANNELS
from support_agent.channels.port import (
    Address,
    ApprovalCard,
    ChannelName,
    DecisionReply,
    IncomingDecision,
    IncomingMessage,
    TryAgain,
)
from support_agent.channels.questions import card_of, fits, why_dashboard
from support_agent.clock import now
from support_agent.shop import lookup, reaching
from support_agent.shop.database import reading, shop_database, writing
from support_agent.shop.reaching import Reader

CODE_BYTES = 24
LONGEST_ID = 200
OPEN_SHOWN = 50  # questions that somebody new to a place gets at once
CARDS_HERE = "cards here"

LINK = (
    "Hello. I answer questions about orders and refunds. I do not know yet which customer you are: "
    "open {link} within half an hour, sign in, and say that this account is yours."
)
NO_LINK = (
    "Hello. I answer questions about orders and refunds, but I do not know which customer you are, "
    "and there is no page here where you could say it. Please ask the shop to link your account."
)
NOT_AMONG_OTHERS = (
    "Hello. I answer questions about orders and refunds, but I do not know yet which customer you "
    "are. Write to me alone, where nobody else reads, and I send you the link to say so."
)
GREETING = "Hello {name}. Ask me about your orders and refunds. I am an assistant, not a person."
DESK_GREETING = (
    "Hello {name}. What you may decide comes here as a card, and the card says when somebody else "
    "was faster. In a channel, a lead gets the cards there by writing to me: cards here."
)
CARDS_COME = "What waits for a decision is shown here from now on."
ONLY_LEADS = "Only a lead has the cards shown in a channel."
IN_THE_DASHBOARD = "Approve it in the dashboard: {why}. Nothing changed."
STRANGER = (
    "I do not know you as somebody who decides here. Whoever runs this adds your account to the "
    "people file: {account}"
)


class Reception:
    """Takes what channels bring. Everything is on disk before it returns."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._background: set[asyncio.Task[None]] = set()

    # Messages.

    async def on_message(self, channel: ChannelName, message: IncomingMessage) -> None:
        person = self._desk.people.find_account(channel, message.sender.account)
        try:
            if person is not None:
                await self._from_supervisor(channel, message, person)
                return
            customer = await asyncio.to_thread(_customer, channel, message.sender.account)
            if customer is None:
                await self._from_stranger(message)
            else:
                await self._from_customer(channel, message, *customer)
        except AdjournError as error:
            raise TryAgain(f"It could not be taken: {error}") from error

    async def _from_customer(
        self, channel: ChannelName, message: IncomingMessage, customer_id: int, name: str
    ) -> None:
        if not message.text.strip():
            await self._say(message, GREETING.format(name=name))
            return
        client = self._desk.client
        account = message.sender.account
        talk_id = reaching.talk_id_of(channel, message.conversation, account, customer_id)
        await talking.begin(client, customer_id, talk_id, message.address)
        try:
            await talking.say(client, talk_id, customer_id, message.text, _short(message.id))
        except talking.Refused as refused:
            await self._say(message, refused.words)
            return
        if channel in CHANNELS:
            self._later(CHANNELS[channel].typing(message.address))

    async def _from_stranger(self, message: IncomingMessage) -> None:
        if not self._desk.public_url:
            await self._say(message, NO_LINK)
            return
        if not message.personal:  # whoever reads the link can make the account their own customer's
            await self._say(message, NOT_AMONG_OTHERS)
            return
        code = secrets.token_urlsafe(CODE_BYTES)
        if await asyncio.to_thread(_offer, code, message):
            await self._say(message, LINK.format(link=f"{self._desk.public_url}/chat/link/{code}"))

    async def _from_supervisor(
        self, channel: ChannelName, message: IncomingMessage, person: Person
    ) -> None:
        said = " ".join(message.text.lower().split())
        if message.personal:
            reader = Reader(channel, message.sender.account, True, person.id, message.address)
            words = DESK_GREETING.format(name=person.name)
        elif said != CARDS_HERE:
            return  # colleagues talk to each other there
        elif "lead" not in person.roles:
            await self._say(message, ONLY_LEADS)
            return
        else:
            reader = Reader(channel, message.conversation, False, person.id, message.address)
            words = CARDS_COME
        is_new = await asyncio.to_thread(_read_here, reader)
        if is_new or said:
            await self._say(message, words)
        # Not only where it is new: a process may have ended between that and this.
        await self._show_what_is_open(channel, person)

    async def _show_what_is_open(self, channel: ChannelName, person: Person) -> None:
        """Have the cards of what waits already brought to them."""
        client, actor = self._desk.client, self._desk.people.acting(person, channel)
        query = InboxQuery(person=person.id, recipients=addresses_of(actor), now=now())
        for row in (await client.seen_by(actor).approvals.inbox(query)).rows[:OPEN_SHOWN]:
            notice = Notice(id=row.id, version=row.version, what=[])
            try:
                await client.raise_event(watcher_id(row.id), "Notice", notice)
            except (InstanceNotFoundError, InstanceFinishedError):
                continue  # asked before anybody watched

    async def _say(self, message: IncomingMessage, text: str) -> None:
        """Once for this message, however often it comes. Whoever joins is told so once, too:
        channels say it in several messages."""
        id = message.id if message.text.strip() else "joined"
        key = f"{message.address.channel}\0{message.conversation}\0{id}"
        id = f"word:{hashlib.sha256(key.encode()).hexdigest()[:40]}"
        word = Word(message.address, text)
        await self._desk.client.start(say_once, word, id=id, on_conflict="return_existing")

    def _later(self, doing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(doing)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def on_removed(self, channel: ChannelName, address: Address) -> None:
        await asyncio.to_thread(_read_no_more, address)

    # Decisions.

    async def on_decision(self, channel: ChannelName, decision: IncomingDecision) -> DecisionReply:
        person = self._desk.people.find_account(channel, decision.sender.account)
        if person is None:
            return DecisionReply(403, STRANGER.format(account=decision.sender.account))
        try:
            return await self._decide(channel, decision, person)
        except AdjournError as error:
            raise TryAgain(f"It could not be decided: {error}") from error

    async def _decide(
        self, channel: ChannelName, decision: IncomingDecision, person: Person
    ) -> DecisionReply:
        view = await self._desk.view_of(decision.approval, person, channel)
        if view is None:
            return DecisionReply(404, "There is no such question, or you may not see it.")
        if decision.action == "refresh":
            return DecisionReply(200, "", await self._card(channel, decision, person))
        if not fits(view, decision.action):
            words = IN_THE_DASHBOARD.format(why=why_dashboard(view))
            return DecisionReply(422, words, await self._card(channel, decision, person))
        changes, errors = view.changes(decision.typed)
        if errors and decision.action == "approve":
            return await self._invalid(channel, decision, person, errors)
        action = (
            Approve(
                version=decision.version,
                changes=changes,
                comment=decision.comment,
                digest=decision.digest,
            )
            if decision.action == "approve"
            else Reject(version=decision.version, reason=decision.comment)
        )
        actor = self._desk.people.acting(person, channel)
        approvals = self._desk.client.approvals
        try:
            await approvals.act(decision.approval, action, by=actor, action_id=_short(decision.id))
        except UpdateForbiddenError as refused:
            card = await self._card(channel, decision, person)
            return DecisionReply(403, refused.reason, card)
        except UpdateInvalidError as refused:
            details = refused.details if isinstance(refused.details, dict) else {}
            fields = details.get("fields")
            found = {str(k): str(v) for k, v in fields.items()} if isinstance(fields, dict) else {}
            return await self._invalid(channel, decision, person, found, refused.reason)
        except (UpdateConflictError, UpdateRefusedError) as refused:
            if await self._has_done_so(channel, decision, person):
                return DecisionReply(200, "", await self._card(channel, decision, person))
            card = await self._card(channel, decision, person, trouble=refused.reason)
            return DecisionReply(409, refused.reason, card)
        return DecisionReply(200, "", await self._card(channel, decision, person))

    async def _has_done_so(
        self, channel: ChannelName, decision: IncomingDecision, person: Person
    ) -> bool:
        """Whether it is a click of theirs that was taken before: channels deliver one twice. What
        it changed then is compared with another value now, so it is another action to the rules."""
        view = await self._desk.view_of(decision.approval, person, channel)
        words = ("rejected",) if decision.action == "reject" else ("approved", "voted")
        return view is not None and any(
            change.version == decision.version + 1
            and change.by == person.id
            and change.what in words
            for change in view.state.changes
        )

    async def _invalid(
        self,
        channel: ChannelName,
        decision: IncomingDecision,
        person: Person,
        errors: dict[str, str],
        words: str = "Something in it cannot be taken; nothing changed.",
    ) -> DecisionReply:
        view = await self._desk.view_of(decision.approval, person, channel)
        card = view and card_of(
            view,
            self._desk.name_of,
            link=self._desk.link_to(decision.approval),
            typed=decision.typed,
            errors=errors,
            trouble=words,
        )
        return DecisionReply(422, words, card)

    async def _card(
        self,
        channel: ChannelName,
        decision: IncomingDecision,
        person: Person,
        trouble: str = "",
    ) -> ApprovalCard | None:
        """Their own view of it, as it is now."""
        view = await self._desk.view_of(decision.approval, person, channel)
        if view is None:
            return None
        link = self._desk.link_to(decision.approval)
        return card_of(view, self._desk.name_of, link=link, trouble=trouble)


def _short(id: str) -> str:
    """The id, or what stands for one that is longer than the engine takes."""
    return id if len(id) <= LONGEST_ID else hashlib.sha256(id.encode()).hexdigest()


def _customer(channel: ChannelName, account: str) -> tuple[int, str] | None:
    with reading(shop_database()) as session:
        found = reaching.customer_of_account(session, channel, account)
        customer = None if found is None else lookup.customer_of(session, found)
        return None if customer is None else (customer.id, customer.name)


def _offer(code: str, message: IncomingMessage) -> bool:
    with writing(shop_database()) as session:
        return reaching.offer_link(
            session,
            code,
            account=message.sender.account,
            name=message.sender.name,
            address=message.address,
            now=now(),
        )


def _read_here(reader: Reader) -> bool:
    with writing(shop_database()) as session:
        return reaching.read_here(session, reader, now())


def _read_no_more(address: Address) -> None:
    with writing(shop_database()) as session:
        reaching.read_no_more(session, address)
