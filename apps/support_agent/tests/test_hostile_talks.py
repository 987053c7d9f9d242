"""Talks under attack: by crashes, by bad moments, by long and strange words."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic_ai import RunContext
from pydantic_ai.messages import AgentStreamEvent, ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel
from sqlalchemy import Engine, select, text

from adjourn import UpdateInvalidError
from adjourn.agents import Durable
from adjourn.testing import Sandbox
from adjourn.testing.clock import START
from apps.support_agent.tests.test_conversation import EMAIL, LENA, Customers, open_case
from support_agent import talking
from support_agent.agent.build import build_agent
from support_agent.agent.deps import Deps
from support_agent.app import app
from support_agent.shop import talks
from support_agent.shop.database import reading
from support_agent.shop.records import Customer
from support_agent.shop.shipped import import_shipped

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 60
SOON_SECONDS = 0.02
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


# Who has the talk.


@pytest.fixture
def slow(shop: Engine) -> Iterator[Customers]:
    """Nothing is done until it is told to be."""
    with Sandbox(app, run_activities=False) as box:
        yield Customers(box, shop)


def run(customers: Customers, name: str = "") -> None:
    """Do what waits to be done, up to and with the first of this name."""
    while customers.box.waiting_activities:
        done = customers.box.run_next_activity()
        if name and name in done:
            return


def ask_for_a_person(customers: Customers, number: int) -> None:
    words = {"text": "I want to speak to a human, this is about a broken vase"}
    customers.box.update("talk-1", "Say", words, update_id=f"m-{number}")


def test_a_person_who_comes_while_the_agent_asks_for_one_has_the_talk(slow: Customers) -> None:
    slow.begin("talk-1", EMAIL)
    ask_for_a_person(slow, 1)
    run(slow)
    ask_for_a_person(slow, 2)
    run(slow, "keep_line")  # the model is asked now
    slow.box.inbox("support").one().approve(by=LENA)
    run(slow)

    slow.box.update("talk-1", "Reply", {"text": "I am Lena."}, update_id="r-1", by=LENA)
    slow.box.update("talk-1", "HandBack", update_id="b-1", by=LENA)
    run(slow)

    assert slow.box.result("E-1001") == "handed back"


def test_whoever_is_promised_a_person_while_one_hands_back_gets_one(slow: Customers) -> None:
    slow.begin("talk-1", EMAIL)
    ask_for_a_person(slow, 1)
    run(slow)
    slow.box.inbox("support").one().approve(by=LENA)
    run(slow)
    slow.box.update("talk-1", "Say", {"text": "Hello Lena"}, update_id="m-2")
    ask_for_a_person(slow, 3)  # it waits behind the one before
    slow.box.update("talk-1", "HandBack", update_id="b-1", by=LENA)
    run(slow)

    promised = [line for line in slow.lines("talk-1")[3:] if "A person will answer" in line.text]
    assert len(slow.box.inbox()) == len(promised)


def test_whoever_asks_for_a_person_right_after_one_handed_back_gets_another(
    customers: Customers,
) -> None:
    customers.begin("talk-1", EMAIL)
    customers.say("talk-1", "I want to speak to a human, this is about a broken vase")
    customers.box.inbox("support").one().approve(by=LENA)
    _rename(customers.records, "case_changes", "away")  # so that E-1001 closes a moment later

    customers.box.update("talk-1", "HandBack", update_id="b-1", by=LENA)
    answer = customers.say("talk-1", "I want to speak to a human again, about a broken lamp")
    _rename(customers.records, "away", "case_changes")
    customers.box.advance(hours=1)

    assert "A person will answer" in answer
    assert customers.box.result("E-1001") == "handed back"
    assert len(customers.box.inbox()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("pace", [3, 5])
def test_messages_around_the_beginning_of_an_execution_are_answered_once_and_in_order(
    shop: Engine, pace: int
) -> None:
    with Sandbox(app, run_activities=False, cache_size=0) as box:
        customers = Customers(box, shop)
        customers.begin("talk-1", EMAIL)
        for number in range(30):
            box.advance(seconds=70)
            box.update("talk-1", "Say", {"text": f"Hello {number}"}, update_id=f"m-{number}")
            for _ in range(pace):
                if box.waiting_activities:
                    box.run_next_activity()
            if number % 7 == 0:
                box.crash()
        run(customers)

        asked = [line.text for line in customers.lines("talk-1") if line.author == "customer"]
        answered = [line for line in customers.lines("talk-1") if line.author == "agent"]
        assert asked == [f"Hello {number}" for number in range(30)]
        assert len(answered) == 30
        assert box.get("talk-1").execution == 2


# What a case tells.


def test_an_amount_that_cannot_be_paid_is_refused_before_it_is_approved(
    customers: Customers,
) -> None:
    open_case(customers)
    try:
        customers.box.inbox("support").one().approve(by=LENA, amount="100.005")
    except UpdateInvalidError:
        return
    customers.box.advance(days=2)

    assert "payment did not go through" in customers.lines("talk-1")[-1].text


def test_a_payment_that_fails_for_good_is_told(
    customers: Customers, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_case(customers)
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_0")
    monkeypatch.setenv("STRIPE_BASE_URL", "http://no-loopback.example")  # refused, never asked
    customers.box.inbox("support").one().approve(by=LENA)
    customers.box.advance(days=3)  # somebody may mend a setting until then

    told = customers.lines("talk-1")[-1]
    assert told.case_id == "R-1001" and told.author == "agent"
    assert "could not find out whether the payment went through" in told.text
    assert customers.box.get("R-1001").status == "Failed", "operators see it"
    asked = customers.box.inbox("support").one()
    assert asked.row.title.startswith("Settle 129.70 EUR of case R-1001 by hand")
    asked.approve(by=LENA)
    customers.box.advance(seconds=11)
    assert customers.box.result("R-1001-aftercare") == "settled"


def test_who_withdraws_a_question_is_not_told_as_a_change_of_the_order(
    customers: Customers,
) -> None:
    open_case(customers)
    customers.box.terminate("R-1001:1:2", "opened by mistake")

    assert "order has changed" not in customers.lines("talk-1")[-1].text


@pytest.mark.parametrize("amount", ["100", "99.5", "1e2"])
def test_an_amount_is_told_with_its_cents(customers: Customers, amount: str) -> None:
    open_case(customers)
    customers.box.inbox("support").one().approve(by=LENA, amount=amount)
    customers.box.advance(seconds=15)

    assert ("99.50 EUR" if "." in amount else "100.00 EUR") in customers.lines("talk-1")[-1].text


def test_a_message_that_was_taken_is_taken_again_whatever_the_rate(
    shop: Engine, tmp_path: Path
) -> None:
    """The channel did not hear that it was: refused now, it would be sent under another id."""
    with reading(shop) as session:
        amina = session.scalars(select(Customer).where(Customer.email == EMAIL)).one().id

    async def write() -> None:
        async with app.open(tmp_path / "engine.db") as client:
            for talk in ("talk-1", "talk-2", "talk-3", "talk-4"):
                await talking.begin(client, amina, talk)
                for number in range(5):
                    await talking.say(client, talk, amina, "Hello", f"{talk}-{number}")
            async with asyncio.timeout(PATIENCE_SECONDS):
                while _written(shop, amina) < 20:  # noqa: ASYNC110  (the records tell nobody)
                    await asyncio.sleep(SOON_SECONDS)

            await talking.say(client, "talk-1", amina, "Hello", "talk-1-0")

    asyncio.run(write())


def _written(records: Engine, customer_id: int) -> int:
    with reading(records) as session:
        return len(talks.arrivals_of(session, customer_id, since=START))
