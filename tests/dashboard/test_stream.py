"""The stream that tells pages to look again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import pytest

from adjourn import Adjourn
from adjourn.dashboard.streams import PERSON_LIMIT, STREAMS_LIMIT, Streams
from tests.dashboard.pages import Browser
from tests.dashboard.site import Site

At = Callable[[str], Browser]


def events(lines: list[str]) -> list[str]:
    return [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]


def test_a_page_is_told_at_once_and_whenever_something_changes(site: Site, at: At) -> None:
    lena = at("lena")
    with lena.http.stream("GET", "/stream") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = answer.iter_lines()
        first = [next(told) for _ in range(6)]
        site.ask()
        later = [next(told) for _ in range(3)]

    assert events(first) == ["changed"] and "retry: 2000" in first
    assert events(later) == ["changed"]
    assert [line for line in later if line.startswith("id: ")] != ["id: 0"]


def test_it_says_nothing_about_what_changed(site: Site, at: At) -> None:
    with at("nobody").http.stream("GET", "/stream") as answer:
        told = answer.iter_lines()
        [next(told) for _ in range(6)]
        id = site.ask(title="Secret refund")
        later = " ".join(next(told) for _ in range(3))

    assert id not in later and "Secret" not in later


def test_nobody_listens_who_is_not_signed_in(at: At) -> None:
    assert at("").http.get("/stream").status_code == 303


def test_beats_ends_and_limits() -> None:
    async def listen() -> None:
        async with Adjourn().open(":memory:") as client:
            streams = Streams(client)
            async with aclosing(streams.listen("lena", beat_seconds=0.001)) as heard:
                assert [await anext(heard) for _ in range(3)] == [
                    ("changed", 0),
                    ("beat", 0),
                    ("beat", 0),
                ]
                many = [streams.listen(f"p{number}") for number in range(STREAMS_LIMIT - 1)]
                for each in many:
                    await anext(each)
                assert streams.full_for("p0") and streams.full_for("somebody else")
                streams.end()
                assert [each async for each in heard] == []
                await asyncio.gather(*[finish(each) for each in many])
            assert not streams.full_for("lena")

    async def finish(stream: AsyncIterator[tuple[str, int]]) -> None:
        async for _ in stream:
            raise AssertionError("it told something after the end")

    asyncio.run(listen())


@pytest.mark.slow
def test_one_person_takes_not_all_streams() -> None:
    async def listen() -> None:
        async with Adjourn().open(":memory:") as client:
            streams = Streams(client)
            many = [streams.listen("lena") for _ in range(PERSON_LIMIT)]
            for each in many:
                await anext(each)
            assert streams.full_for("lena") and not streams.full_for("omar")
            streams.end()
            for each in many:
                assert [word async for word in each] == []

    asyncio.run(listen())


@pytest.mark.slow
def test_a_watch_that_breaks_ends_its_streams() -> None:
    async def listen() -> None:
        client = Adjourn().open(":memory:")  # never opened: there is nothing to watch
        streams = Streams(client)

        assert [each async for each in streams.listen("lena")] == [("changed", 0)]

    asyncio.run(listen())
