"""The lines of a talk, with the clock and the crashes in our hand."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from adjourn.engine.crash_points import CRASH_POINTS, CrashPoint
from adjourn.errors import AdjournError
from adjourn.testing import Sandbox
from support_agent.app import app
from support_agent.channels.delivery import (
    ATTEMPTS,
    LINES_OF_ONE_EXECUTION,
    LONGEST_PAUSE_SECONDS,
    outbox,
    outbox_of,
)
from support_agent.channels.open import CHANNELS
from support_agent.channels.port import Address, Text, TryAgain
from support_agent.channels.testing import FakeChannel
from support_agent.clock import now
from support_agent.shop import reaching, talks
from support_agent.shop.database import reading, writing
from support_agent.shop.records import Account, Customer

ACCOUNT = "t/amina"
ADDRESS = Address("fake", {"conversation": "c1", "service": "one"})


@pytest.fixture
def channel() -> Iterator[FakeChannel]:
    CHANNELS["fake"] = made = FakeChannel("fake")
    yield made
    del CHANNELS["fake"]


@pytest.fixture
def talk(shop: Engine) -> str:
    """A talk that is read on the channel."""
    with writing(shop) as session:
        customer = session.scalars(select(Customer.id)).one()
        id = reaching.talk_id_of("fake", "c1", ACCOUNT, customer)
        talks.begin_talk(session, id, customer_id=customer, now=now(), address=ADDRESS)
        session.add(
            Account(
                channel="fake", account=ACCOUNT, customer_id=customer, name="A", linked_at=now()
            )
        )
    return id


def write(shop: Engine, talk: str, *texts: str) -> list[int]:
    with writing(shop) as session:
        return [
            talks.write_line(
                session,
                talk,
                author="agent",
                name="",
                text=text,
                key=f"{talk}/{text}",
                said_at=now(),
            )
            for text in texts
        ]


def read(channel: FakeChannel, address: Address = ADDRESS) -> list[str]:
    return [each.text for each in channel.messages(address) if isinstance(each, Text)]


@pytest.mark.slow
def test_lines_go_on_over_the_ends_of_executions_and_once(
    shop: Engine, talk: str, channel: FakeChannel
) -> None:
    texts = [f"Line {number}" for number in range(1, 2 * LINES_OF_ONE_EXECUTION + 21)]
    numbers = write(shop, talk, *texts)
    with Sandbox(app) as box:
        box.start(outbox, talk, id=outbox_of(talk))
        for number in numbers:
            box.raise_event(outbox_of(talk), "Line", number)
        for number in numbers[::7]:
            box.raise_event(outbox_of(talk), "Line", number)
        box.advance(seconds=1)
    assert read(channel) == texts


@pytest.mark.slow
@pytest.mark.parametrize("point", CRASH_POINTS)
@pytest.mark.parametrize("nth", [1, 2, 3, 5])
def test_a_crash_at_any_edge_loses_no_line_and_doubles_none(
    shop: Engine, talk: str, channel: FakeChannel, tmp_path: Path, point: CrashPoint, nth: int
) -> None:
    numbers = write(shop, talk, "One.", "Two.", "Three.")
    channel.fail_next(TryAgain("busy"))
    with Sandbox(app, str(tmp_path / "engine.db")) as box:
        box.start(outbox, talk, id=outbox_of(talk))
        box.crash_at(point, nth)
        for number in numbers:
            for _ in range(2):  # whoever got no answer sends it again
                with suppress(AdjournError):
                    box.raise_event(outbox_of(talk), "Line", number, event_id=f"line-{number}")
        box.advance(minutes=5)
        assert box.crashes == 1
    assert read(channel) == ["One.", "Two.", "Three."]


def test_lines_that_wait_go_where_the_talk_is_read_by_then(
    shop: Engine, talk: str, channel: FakeChannel
) -> None:
    [number] = write(shop, talk, "One.")
    channel.fail_next(TryAgain("busy", after=60.0))
    moved = Address("fake", {"conversation": "c1", "service": "two"})
    with Sandbox(app) as box:
        box.start(outbox, talk, id=outbox_of(talk))
        box.raise_event(outbox_of(talk), "Line", number)
        with writing(shop) as session:
            customer = session.scalars(select(Customer.id)).one()
            talks.begin_talk(session, talk, customer_id=customer, now=now(), address=moved)
        box.advance(minutes=2)
    assert (read(channel), read(channel, moved)) == ([], ["One."])


@pytest.mark.slow
def test_a_channel_that_is_away_for_long_is_waited_for_and_then_shown(
    shop: Engine, talk: str, channel: FakeChannel
) -> None:
    first, second = write(shop, talk, "One.", "Two.")
    channel.fail_next(*[TryAgain("503")] * ATTEMPTS)
    with Sandbox(app) as box:
        box.start(outbox, talk, id=outbox_of(talk))
        box.raise_event(outbox_of(talk), "Line", first)
        box.raise_event(outbox_of(talk), "Line", second)
        box.advance(days=2)
        assert [sent.state for sent in trouble(shop)] == ["waiting"]
        box.advance(timedelta(seconds=ATTEMPTS * LONGEST_PAUSE_SECONDS))
    assert [(sent.key, sent.state) for sent in trouble(shop)] == [
        (f"{outbox_of(talk)}/{first}", "failed")
    ]
    assert read(channel) == ["Two."]


def trouble(shop: Engine) -> list[reaching.Sent]:
    with reading(shop) as session:
        return reaching.in_trouble(session)


def test_a_line_of_an_account_that_is_nobodys_now_is_not_sent_and_in_no_trouble(
    shop: Engine, talk: str, channel: FakeChannel
) -> None:
    [number] = write(shop, talk, "One.")
    channel.fail_next(TryAgain("busy"))
    with Sandbox(app) as box:
        box.start(outbox, talk, id=outbox_of(talk))
        box.raise_event(outbox_of(talk), "Line", number)
        assert len(trouble(shop)) == 1
        with writing(shop) as session:
            session.delete(session.get_one(Account, ("fake", ACCOUNT)))
        box.advance(minutes=1)
    assert (read(channel), trouble(shop)) == ([], [])


@pytest.mark.slow
def test_a_channel_that_is_not_open_here_is_waited_for(shop: Engine, talk: str) -> None:
    [number] = write(shop, talk, "One.")
    with Sandbox(app) as box:
        box.start(outbox, talk, id=outbox_of(talk))
        box.raise_event(outbox_of(talk), "Line", number)
        [waits] = trouble(shop)
        assert waits.state == "waiting" and "not open here" in waits.trouble
        CHANNELS["fake"] = channel = FakeChannel("fake")
        try:
            box.advance(minutes=1)
        finally:
            del CHANNELS["fake"]
    assert read(channel) == ["One."]
    assert trouble(shop) == []
