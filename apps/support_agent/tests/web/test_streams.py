"""The stream of a talk, without a network."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from support_agent.live import QUEUE_LIMIT, Changed, Delta, Hub, Typing
from support_agent.web.streams import Reader, Streams, told

PATIENCE_SECONDS = 10
SOON = 0.01


async def _always() -> bool:
    return True


ANYBODY = Reader("customer 1", "", _always)


async def take(events: AsyncGenerator[str, None], count: int) -> list[str]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return [await anext(events) for _ in range(count)]


def test_whoever_connects_looks_at_once_and_then_hears_each_piece_in_order() -> None:
    async def listen() -> list[str]:
        hub = Hub()
        events = Streams(hub).events("t", ANYBODY)
        first = await take(events, 1)
        for piece in (Typing(True), Delta("Hel\nlo", "a/1"), Changed(), Typing(False)):
            hub.publish("t", piece)
            hub.publish("another", Delta("secret", "b/1"))
        heard = first + await take(events, 4)
        await events.aclose()
        return heard

    heard = asyncio.run(listen())

    assert heard[0] == "retry: 1000\n\nevent: changed\ndata: 1\n\n"
    assert heard[1:] == [
        "event: typing\ndata: on\n\n",
        'event: delta\ndata: {"answer": "a/1", "text": "Hel\\nlo"}\n\n',
        "event: changed\ndata: 1\n\n",
        "event: typing\ndata: off\n\n",
    ]


def test_a_piece_that_comes_between_two_beats_is_not_lost() -> None:
    async def listen() -> list[str]:
        hub = Hub()
        events = Streams(hub, SOON).events("t", ANYBODY)
        heard = await take(events, 3)
        hub.publish("t", Typing(True))
        while "typing" not in heard[-1]:
            heard += await take(events, 1)
        await events.aclose()
        return heard

    heard = asyncio.run(listen())

    assert heard[1:3] == ["event: beat\ndata: 1\n\n"] * 2


def test_a_server_that_stops_ends_streams_that_are_open_and_those_that_come_later() -> None:
    async def listen() -> tuple[list[str], list[str], bool]:
        streams = Streams(Hub())
        events = streams.events("t", ANYBODY)
        first = await take(events, 1)
        await asyncio.to_thread(streams.end)
        async with asyncio.timeout(PATIENCE_SECONDS):
            rest = [event async for event in events]
            later = [event async for event in streams.events("t", ANYBODY)]
        return first + rest, later, streams.has_room(ANYBODY)

    heard, later, room = asyncio.run(listen())

    assert len(heard) == len(later) == 1 and room


def test_a_page_that_lags_too_far_is_let_go_and_may_come_again() -> None:
    async def listen() -> int:
        hub = Hub()
        events = Streams(hub).events("t", ANYBODY)
        await take(events, 1)
        for number in range(QUEUE_LIMIT + 1):
            hub.publish("t", Delta(str(number), "a/1"))
        await asyncio.sleep(SOON)
        async with asyncio.timeout(PATIENCE_SECONDS):
            return len([event async for event in events])

    assert asyncio.run(listen()) <= QUEUE_LIMIT


@pytest.mark.parametrize("text", ["\n\nevent: changed\ndata: 1\n\n", "\r\r", "\u2028", '"}'])
def test_no_text_can_end_its_event_or_begin_another(text: str) -> None:
    event = told(Delta(text, "a/1"))

    assert event.count("\n") == 3 and event.endswith("\n\n") and "\r" not in event
