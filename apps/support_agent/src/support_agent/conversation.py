"""A talk with a customer: one instance for as long as they write.

What comes in is taken and acknowledged at once, and worked off one by one: a message that comes
while the agent still answers waits its turn. An answer is made of activities, one for each request
to the model and each tool call, so that a crash repeats none that has finished.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NoReturn, assert_never

from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter

from adjourn import Actor, Context, Offer, Refusal, UpdateRequest
from support_agent.agent import history as histories
from support_agent.agent.answering import Answer, answer
from support_agent.agent.budget import (
    CONVERSATION_RATES,
    Spent,
    TooMuch,
    content_refusal,
    rate_refusal,
    still_counting,
)
from support_agent.agent.deps import Deps
from support_agent.app import app
from support_agent.case import News, Passage, Said, refund_case, settle
from support_agent.channels.delivery import outbox, outbox_of
from support_agent.handover import Arrived, Handover, handover
from support_agent.shop.talks import TalkMode
from support_agent.speaking import AGENT, Line, change_mode, keep_line, read_request

ASSISTANT = "Assistant"
MESSAGES_OF_ONE_EXECUTION = 25
EXCHANGES_REMEMBERED = 20
WRITERS = frozenset({"approver", "lead"})
"""The roles of people who may answer customers."""


@dataclass(slots=True)
class Talk:
    """All that a talk must know to go on: the input of each of its executions."""

    customer_id: int
    customer_name: str
    messages: list[Any] = field(default_factory=list[Any])
    """What the model is shown, as JSON: as it stood when the execution began."""
    requests: int = 0
    tokens: int = 0
    arrivals: list[datetime] = field(default_factory=list[datetime])
    mode: TalkMode = "agent"
    holder: str = ""
    holder_name: str = ""
    case_id: str = ""
    """Of the person who was asked for, or has taken over."""
    elsewhere: bool = False
    """Whether it is read beside our pages, in a channel that its lines are sent to."""


@dataclass(frozen=True, slots=True)
class Message:
    """What the customer writes: the data of the update "Say". Its update id is the message's, and
    one that was taken is taken again, whatever else would be refused."""

    text: str
    too_much: TooMuch | None = None
    """Why this customer, in all their talks, may write nothing new now."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a person writes to the customer: the data of the update "Reply"."""

    text: str


@dataclass(frozen=True, slots=True)
class _FromCustomer:
    id: str
    text: str
    at: datetime
    to_person: bool
    """Whether a person had the talk when it came, who will answer it."""


@dataclass(frozen=True, slots=True)
class _FromPerson:
    text: str
    at: datetime
    by: Actor


@dataclass(frozen=True, slots=True)
class _HandedBack:
    at: datetime
    by: Actor


_Taken = _FromCustomer | _FromPerson | _HandedBack | News | Arrived


@app.orchestrator
async def conversation(ctx: Context, talk: Talk) -> None:
    """Take what comes, answer it, and begin anew before the history grows long."""
    taken: asyncio.Queue[_Taken] = asyncio.Queue()
    listener = asyncio.create_task(_listen(ctx, talk, taken))
    history = ModelMessagesTypeAdapter.validate_python(talk.messages)
    if talk.elsewhere:
        ctx.start(outbox, ctx.instance_id, id=outbox_of(ctx.instance_id))
    done = 0
    while done < MESSAGES_OF_ONE_EXECUTION or not taken.empty():
        await _work_off(ctx, talk, history, await taken.get())
        done += 1
    listener.cancel()
    talk.messages = ModelMessagesTypeAdapter.dump_python(history, mode="json")
    ctx.continue_as_new(talk)


async def _listen(ctx: Context, talk: Talk, taken: "asyncio.Queue[_Taken]") -> NoReturn:
    """Acknowledge each thing as it comes: from then on it survives."""
    while True:
        said = ctx.wait_for_update("Say", Message, validator=_may_say(talk))
        reply = ctx.wait_for_update("Reply", Reply, validator=_may_reply(talk))
        back = ctx.wait_for_update("HandBack", type(None), validator=_may_hand_back(talk))
        news = ctx.wait_for_external_event("News", News)
        arrived = ctx.wait_for_external_event("Arrived", Arrived)
        await ctx.when_any(said, reply, back, news, arrived)
        if said.done():
            taken.put_nowait(_take_message(talk, said.result()))
        elif reply.done():
            written = reply.result()
            taken.put_nowait(_FromPerson(written.value.text, written.at, _by(written)))
            written.accept()
        elif back.done():
            handed = back.result()
            talk.mode, talk.holder = "agent", ""
            taken.put_nowait(_HandedBack(handed.at, _by(handed)))
            handed.accept()
        elif news.done():
            taken.put_nowait(news.result())
        else:
            coming = arrived.result()
            talk.mode, talk.case_id = "person", coming.case_id
            talk.holder, talk.holder_name = coming.person, coming.name
            taken.put_nowait(coming)


def _take_message(talk: Talk, update: UpdateRequest[Message]) -> _FromCustomer:
    talk.arrivals = [*still_counting(CONVERSATION_RATES, talk.arrivals, update.at), update.at]
    update.accept()
    return _FromCustomer(update.update_id, update.value.text, update.at, talk.mode == "person")


def _by(update: UpdateRequest[Any]) -> Actor:
    """Who the server says it was; the validators let nobody else pass."""
    assert update.by is not None
    return update.by


# What is refused at the door.


def _may_say(talk: Talk) -> Callable[[Offer[Message]], None]:
    def check(offer: Offer[Message]) -> None:
        refused = (
            content_refusal(offer.value.text)
            or offer.value.too_much
            or rate_refusal(CONVERSATION_RATES, talk.arrivals, offer.at)
        )
        if refused is not None:
            raise refusal_of(refused)

    return check


def refusal_of(refused: TooMuch) -> Refusal:
    """Its words, and when the same message would be taken."""
    details = {"code": refused.code, "again_in_seconds": refused.again_in_seconds}
    return Refusal(refused.words, "invalid", details)


def _may_reply(talk: Talk) -> Callable[[Offer[Reply]], None]:
    def check(offer: Offer[Reply]) -> None:
        _check_person(talk, offer.by)
        refused = content_refusal(offer.value.text)
        if refused is not None:
            raise refusal_of(refused)

    return check


def _may_hand_back(talk: Talk) -> Callable[[Offer[None]], None]:
    def check(offer: Offer[None]) -> None:
        _check_person(talk, offer.by)

    return check


def _check_person(talk: Talk, by: Actor | None) -> None:
    """Raises: Refusal, for whoever does not hold this talk and leads nobody."""
    if by is None or by.agent or WRITERS.isdisjoint(by.roles):
        raise Refusal("Only people with the role approver or lead write to customers.", "forbidden")
    if talk.mode != "person":
        raise Refusal("Nobody has taken this conversation over; nothing changed.", "conflict")
    if by.id != talk.holder and "lead" not in by.roles:
        name = talk.holder_name or talk.holder
        raise Refusal(f"{name} has taken this conversation over.", "conflict")


# What is done about each.


async def _work_off(ctx: Context, talk: Talk, history: list[ModelMessage], item: _Taken) -> None:
    match item:
        case _FromCustomer():
            typing = not item.to_person
            await _keep(
                ctx, talk, Line("customer", talk.customer_name, item.text, item.at, typing=typing)
            )
            if typing:
                await _answer(ctx, talk, history, item)
            else:
                _remember(history, histories.asked(item.text, item.at))
        case _FromPerson():
            await _keep(ctx, talk, Line("person", item.by.name or item.by.id, item.text, item.at))
            words = f"A person of the shop wrote to the customer: {item.text}"
            _remember(history, histories.note(words, item.at))
        case News():
            now = ctx.current_utc_datetime
            await _keep(ctx, talk, Line("agent", ASSISTANT, item.text, now, item.case_id))
            _remember(history, histories.note(item.note, now))
            if item.case_id == talk.case_id:  # nobody came
                talk.mode, talk.case_id = "agent", ""
                await ctx.call_activity(change_mode, ctx.instance_id, "agent", "")
        case Arrived():
            await ctx.call_activity(change_mode, ctx.instance_id, "person", item.person)
            who = f"{item.name} of our team" if item.name else "Somebody of our team"
            words = f"{who} reads this conversation now and answers you."
            now = ctx.current_utc_datetime
            await _keep(ctx, talk, Line("system", "", words, now, item.case_id))
        case _HandedBack():
            await ctx.call_activity(change_mode, ctx.instance_id, "agent", "")
            words = "You are talking with the assistant again."
            await _keep(ctx, talk, Line("system", "", words, item.at))
            words = "A person took over and has handed back."
            _remember(history, histories.note(words, item.at))
            ctx.raise_event(talk.case_id, "HandedBack", item.by.id)
            talk.case_id = ""
        case _:
            assert_never(item)


def _remember(history: list[ModelMessage], *new: ModelMessage) -> None:
    history[:] = histories.recent([*history, *new], EXCHANGES_REMEMBERED)


async def _keep(ctx: Context, talk: Talk, line: Line) -> None:
    """Write it down; where it is read elsewhere too, send it there."""
    number = await ctx.call_activity(keep_line, ctx.instance_id, line)
    if talk.elsewhere and line.author != "customer":
        ctx.raise_event(outbox_of(ctx.instance_id), "Line", number)


async def _answer(
    ctx: Context, talk: Talk, history: list[ModelMessage], message: _FromCustomer
) -> None:
    """Have the agent answer, and start the workflows of the cases that it opened."""
    deps = Deps(ctx.instance_id, talk.customer_id, talk.customer_name, message.at, message.id)
    spent = Spent(talk.requests, talk.tokens)
    answered = await answer(AGENT, message.text, deps, history, spent=spent)
    if answered.trouble is not None:
        ctx.logger.warning("answered with %s: %s", answered.trouble, answered.detail)
    talk.requests += answered.cost.requests
    talk.tokens += answered.cost.tokens
    _remember(history, *answered.messages)
    case_id = str(answered.opened[0]["case_id"]) if answered.opened else ""
    now = ctx.current_utc_datetime
    for case in answered.opened:
        await _start(ctx, talk, history, case, answered)
    await _keep(ctx, talk, Line("agent", ASSISTANT, answered.text, now, case_id))


async def _start(
    ctx: Context,
    talk: Talk,
    history: list[ModelMessage],
    case: Mapping[str, Any],
    answered: Answer,
) -> None:
    """Its workflow, under the case's own id: one that runs already goes on."""
    case_id = str(case["case_id"])
    lines = [
        Said(talk.customer_name if line.who == "customer" else ASSISTANT, line.who, line.text)
        for line in histories.lines_of(history)
    ]
    if case["kind"] == "escalation":
        if case_id == talk.case_id:
            return
        if talk.mode == "person":  # somebody came while the agent asked for them
            await ctx.call_activity(settle, case_id, "closed", "")
            return
        reason = str(case["reason"])
        asked = Handover(case_id, ctx.instance_id, talk.customer_name, reason, lines)
        ctx.start(handover, asked, id=case_id)
        talk.mode, talk.case_id = "waiting", case_id
        await ctx.call_activity(change_mode, ctx.instance_id, "waiting", "")
        return
    passages = [
        Passage(each["article"], each["version"], each["title"], each["text"])
        for found in histories.results_of(answered.messages, "passages")
        for each in found["passages"][:1]
    ]
    asked = await ctx.call_activity(read_request, case_id)
    request = replace(asked, conversation=lines, passages=passages, talk_id=ctx.instance_id)
    ctx.start(refund_case, request, id=case_id)
