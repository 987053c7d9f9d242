"""Talks under attack: by crashes, by bad moments, by long and strange words."""

from collections.abc import AsyncIterable, AsyncIterator, Iterator

import pytest
from pydantic_ai import RunContext
from pydantic_ai.messages import AgentStreamEvent, ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel
from sqlalchemy import Engine, text

from adjourn.agents import Durable
from adjourn.testing import Sandbox
from adjourn.testing.clock import START
from apps.support_agent.tests.test_conversation import EMAIL, LENA, Customers, open_case
from support_agent.agent.build import build_agent
from support_agent.agent.deps import Deps
from support_agent.app import app
from support_agent.shop.shipped import import_shipped

LONGEST = "\N{OK HAND SIGN}" * 4_000


@pytest.fixture
def shop(database: Engine) -> Engine:
    import_shipped(database, START)
    return database


@pytest.fixture
def customers(shop: Engine) -> Iterator[Customers]:
    with Sandbox(app) as box:
        yield Customers(box, shop)


def test_long_messages_and_long_replies_do_not_end_a_talk(customers: Customers) -> None:
    customers.begin("talk-1", EMAIL)
    customers.say("talk-1", "I want to speak to a human, this is about a broken vase")
    customers.say("talk-1", "yes please")
    customers.box.inbox("support").one().approve(by=LENA)

    for number in range(30):
        customers.say("talk-1", LONGEST)
        reply = {"text": LONGEST}
        customers.box.update("talk-1", "Reply", reply, update_id=f"reply-{number}", by=LENA)
        customers.box.advance(minutes=5)
    customers.box.update("talk-1", "HandBack", update_id="back", by=LENA)

    assert customers.box.get("talk-1").status == "Running"
    assert customers.say("talk-1", "I was charged twice for order A-1201")
    assert "R-1001" in customers.say("talk-1", "yes please")
    assert customers.box.get("R-1001").status == "Running"
    assert len(customers.box.inbox()) == 1


def test_records_that_are_away_for_an_hour_end_no_talk_and_no_case(customers: Customers) -> None:
    open_case(customers)
    _rename(customers.records, "talk_lines", "away")
    _rename(customers.records, "messages", "gone")

    customers.box.update("talk-1", "Say", {"text": "Hello"}, update_id="m-9")
    customers.box.inbox("support").one().reject(by=LENA, reason="It is another order.")
    customers.box.advance(hours=1)
    _rename(customers.records, "away", "talk_lines")
    _rename(customers.records, "gone", "messages")
    customers.box.advance(hours=1)

    said = [(line.author, line.text) for line in customers.lines("talk-1")][-3:]
    assert said[0] == ("customer", "Hello") and said[1][0] == "agent"
    assert "It is another order." in said[2][1]
    assert customers.box.result("R-1001") == "rejected"


def _rename(records: Engine, old: str, new: str) -> None:
    with records.begin() as connection:
        connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))


def saying(words: str) -> FunctionModel:
    async def stream(_: list[ModelMessage], __: AgentInfo) -> AsyncIterator[str]:
        yield words

    return FunctionModel(stream_function=stream)


def test_a_model_that_writes_what_no_text_may_hold_ends_no_talk(
    customers: Customers, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = build_agent(
        saying("All\0 is well."), capabilities=[Durable(app, event_stream_handler=_deaf)]
    )
    monkeypatch.setattr("support_agent.conversation.AGENT", agent)
    customers.begin("talk-1", EMAIL)

    assert customers.say("talk-1", "How are you?") == "All is well."


async def _deaf(_: RunContext[Deps], events: AsyncIterable[AgentStreamEvent]) -> None:
    async for _event in events:
        pass
