"""Streams end with what let their reader listen, and nobody opens too many."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack

import pytest
from starlette.exceptions import HTTPException

from apps.support_agent.tests.door.house import STAFF, House
from apps.support_agent.tests.web.place import AMINA, JONAS, Browser
from support_agent.clock import now
from support_agent.live import Changed, Delta, Hub
from support_agent.shop import talks
from support_agent.shop.customer_sessions import IDLE
from support_agent.shop.customer_sessions import end_all as end_all_sessions
from support_agent.shop.database import writing
from support_agent.web.forms import new_id
from support_agent.web.streams import STREAMS_LIMIT, STREAMS_OF_ONE, Reader, Streams

pytestmark = pytest.mark.slow

SOON = 0.02
PATIENCE_SECONDS = 20


@pytest.fixture(autouse=True, scope="module")
def _quick(house: House) -> Iterator[None]:
    for mount in ("/chat", "/talks"):
        house._pages[mount].state.streams.beat_seconds = SOON  # pyright: ignore[reportPrivateUsage]  # a rig of this house
    yield


class Listening:
    """A stream that is open, read line by line."""

    def __init__(self, browser: Browser, path: str, stack: ExitStack) -> None:
        self.answer = stack.enter_context(
            browser.http.stream("GET", path, timeout=PATIENCE_SECONDS, follow_redirects=False)
        )
        assert self.answer.status_code == 200
        self._lines = self.answer.iter_lines()
        self.until("beat")

    def until(self, word: str) -> None:
        """Raises: StopIteration when it ends before."""
        while word not in next(self._lines):
            pass

    def ends(self) -> bool:
        """Whether it ends, and tells nothing but what it had told already. A beat may be on its
        way; more than a few are no way."""
        return len(list(zip(range(200), self._lines, strict=False))) < 200


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def customers(house: House, session: str, stack: ExitStack) -> Listening:
    talk_id = house.begin_silent(AMINA)
    return Listening(house.browser(session=session), f"/chat/talks/{talk_id}/stream", stack)


def test_it_ends_when_the_customer_signs_out(house: House, stack: ExitStack) -> None:
    session = house.enter(house.email(AMINA))
    listening = customers(house, session, stack)

    house.browser(session=session).send("/chat/sign-out", part=False, x="")

    assert listening.ends()


def test_at_once_without_waiting_for_a_beat(house: House, stack: ExitStack) -> None:
    session = house.enter(house.email(AMINA))
    listening = customers(house, session, stack)
    streams = house._pages["/chat"].state.streams  # pyright: ignore[reportPrivateUsage]  # a rig of this house
    streams.beat_seconds = 3_600
    try:
        listening.until("beat")  # the next pause is an hour
        house.browser(session=session).send("/chat/sign-out", part=False, x="")
        assert listening.ends()
    finally:
        streams.beat_seconds = SOON


def test_it_ends_when_sessions_are_ended_from_outside(house: House, stack: ExitStack) -> None:
    listening = customers(house, house.enter(house.email(AMINA)), stack)

    with writing(house.records) as session:
        end_all_sessions(session, house.customer_id(AMINA))

    assert listening.ends()


def test_it_ends_when_the_session_is_idle_too_long(house: House, stack: ExitStack) -> None:
    listening = customers(house, house.enter(house.email(AMINA)), stack)

    house.clock.advance(seconds=IDLE.total_seconds())

    assert listening.ends()


def test_it_ends_when_the_customer_is_removed(house: House, stack: ExitStack) -> None:
    email = house.newcomer("Listens")
    browser = house.browser(session=house.enter(email))
    listening = Listening(browser, f"/chat/talks/{new_id()}/stream", stack)

    house.remove(email)

    assert listening.ends()


def test_it_ends_when_the_talk_turns_out_to_be_somebody_elses(
    house: House, stack: ExitStack
) -> None:
    """One may listen to a talk that is yet to begin, for its own page knows its id alone."""
    talk_id = house.begin_silent(JONAS)
    jonas = house.customer(JONAS)
    assert jonas.http.get(f"/chat/talks/{talk_id[:-1]}x/stream").status_code == 404
    new = new_id()
    listening = Listening(house.customer(AMINA), f"/chat/talks/{new}/stream", stack)

    with writing(house.records) as session:
        talks.begin_talk(session, new, customer_id=house.customer_id(JONAS), now=now())

    assert listening.ends()


@pytest.mark.parametrize("how", ["signed out", "disabled", "another tenant", "no role"])
def test_the_staffs_ends_too(house: House, stack: ExitStack, how: str) -> None:
    people = {each.id: each for each in STAFF}
    talk_id = house.begin_silent(AMINA)
    session = house.staff_session("lena")
    listening = Listening(house.browser(staff=session), f"/talks/{talk_id}/stream", stack)
    try:
        if how == "signed out":
            house.run(house.people.sessions.end(session))
        else:
            gone = {
                "disabled": people["gone"],
                "another tenant": people["other"],
                "no role": people["sam"],
            }
            house.write_staff(lena=gone[how])
        assert listening.ends()
    finally:
        house.write_staff()


def test_it_ends_though_news_never_pauses(house: House) -> None:
    """There is no beat then, and it is asked all the same."""

    async def listen() -> int:
        hub, allowed = Hub(), [True, True, False]

        async def still() -> bool:
            return allowed.pop(0)

        events = Streams(hub, SOON).events("t", Reader("one", "s", still))
        await anext(events)
        told = 0
        async with asyncio.timeout(PATIENCE_SECONDS):
            hub.publish("t", Changed())
            async for _ in events:
                told += 1
                hub.publish("t", Delta("x", "a/1"))
                await asyncio.sleep(SOON / 4)
        return told

    assert asyncio.run(listen()) > 1


def test_a_refusal_ends_it(house: House) -> None:
    async def listen() -> int:
        async def still() -> bool:
            raise HTTPException(401)

        events = Streams(Hub(), SOON).events("t", Reader("one", "s", still))
        async with asyncio.timeout(PATIENCE_SECONDS):
            return len([event async for event in events])

    assert asyncio.run(listen()) == 1


def test_one_customer_opens_so_many_and_others_go_on(house: House, stack: ExitStack) -> None:
    amina = [house.customer(AMINA) for _ in range(3)]
    talk_id = house.begin_silent(AMINA)
    path = f"/chat/talks/{talk_id}/stream"
    kept = [Listening(amina[number % 3], path, stack) for number in range(STREAMS_OF_ONE)]

    refused = amina[0].http.get(path)
    jonas = Listening(house.customer(JONAS), f"/chat/talks/{new_id()}/stream", stack)

    assert len(kept) == STREAMS_OF_ONE and refused.status_code == 429
    assert jonas.answer.status_code == 200


@pytest.mark.parametrize(("most", "owners"), [(STREAMS_OF_ONE, 1), (STREAMS_LIMIT, 1_000)])
def test_as_many_at_once_are_no_more(most: int, owners: int) -> None:
    """All of them have asked whether there is room before the first has begun."""

    async def still() -> bool:
        return True

    async def listen() -> int:
        streams = Streams(Hub(), 3_600)
        readers = [Reader(f"customer {number % owners}", "", still) for number in range(1_000)]
        assert all(streams.has_room(each) for each in readers)
        opened: list[AsyncGenerator[str, None]] = [streams.events("t", each) for each in readers]
        heard = await asyncio.gather(*(anext(each, None) for each in opened))
        count = sum(each is not None for each in heard)
        for each in opened:
            await each.aclose()
        assert streams.has_room(readers[0])
        return count

    assert asyncio.run(listen()) == most


def test_a_stream_says_that_nobody_may_keep_it_back(house: House, stack: ExitStack) -> None:
    listening = customers(house, house.enter(house.email(AMINA)), stack)

    assert listening.answer.headers["x-accel-buffering"] == "no"
    assert listening.answer.headers["cache-control"] == "no-store"
