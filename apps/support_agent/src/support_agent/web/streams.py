"""What happens in a talk, as server-sent events to the pages that are open."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import assert_never

from starlette.exceptions import HTTPException

from support_agent.live import Changed, Delta, Hub, Piece, Typing

STREAMS_LIMIT = 200  # open streams of all pages together
STREAMS_OF_ONE = 10  # of one customer or person: browsers keep six connections to a server
BEAT_SECONDS = 15.0  # a stream that has nothing to tell says so after this time


@dataclass(frozen=True, slots=True)
class Reader:
    """Who listens. `session`: what they are signed in by; empty for who does not sign in."""

    id: str
    session: str
    still: Callable[[], Awaitable[bool]]
    """Whether they may listen now, as they might when they came. An answer to a request that is
    refused (HTTPException) is no, too."""


@dataclass(frozen=True, slots=True)
class _Open:
    loop: asyncio.AbstractEventLoop
    reader: Reader


class Streams:
    """All open streams of one application. Belongs to the event loop that serves it."""

    def __init__(self, hub: Hub, beat_seconds: float = BEAT_SECONDS) -> None:
        self._hub = hub
        self._ended = False
        self._open: dict[asyncio.Event, _Open] = {}
        self.beat_seconds = beat_seconds

    def has_room(self, reader: Reader) -> bool:
        """Whether one more may listen."""
        own = sum(each.reader.id == reader.id for each in self._open.values())
        return len(self._open) < STREAMS_LIMIT and own < STREAMS_OF_ONE

    def end(self) -> None:
        """Let all streams finish, for the server stops. From any thread, or a signal handler."""
        self._ended = True
        for ending, each in tuple(self._open.items()):
            each.loop.call_soon_threadsafe(ending.set)

    def end_those_of(self, session: str) -> None:
        """Let the streams finish that came with this session, which has ended."""
        for ending, each in tuple(self._open.items()):
            if session and each.reader.session == session:
                each.loop.call_soon_threadsafe(ending.set)

    async def events(self, talk_id: str, reader: Reader) -> AsyncGenerator[str, None]:
        """`changed` at once, for whoever connects may have missed something, and then whatever is
        published; `beat` while nothing is. Ends with the server, with what lets the reader listen
        (asked again at least once a beat, before anything more is told), or for a page that lags
        too far: browsers come again by themselves."""
        if not self.has_room(reader):  # many may have come between that question and this start
            return
        ending = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._open[ending] = _Open(loop, reader)
        stop = asyncio.ensure_future(ending.wait())
        following: asyncio.Future[Piece | None] | None = None
        try:
            async with self._hub.listening(talk_id) as pieces:
                yield "retry: 1000\n\n" + told(Changed())
                asked = loop.time()
                while not self._ended:
                    following = following or asyncio.ensure_future(_next(pieces))
                    await asyncio.wait(
                        {following, stop}, timeout=self.beat_seconds, return_when="FIRST_COMPLETED"
                    )
                    if ending.is_set():
                        return
                    if loop.time() - asked >= self.beat_seconds or not following.done():
                        if not await _may(reader):
                            return
                        asked = loop.time()
                    if not following.done():
                        yield "event: beat\ndata: 1\n\n"
                        continue
                    piece, following = following.result(), None
                    if piece is None:
                        return
                    yield told(piece)
        finally:
            del self._open[ending]
            for task in (stop, following):
                if task is not None:
                    task.cancel()


async def _may(reader: Reader) -> bool:
    try:
        return await reader.still()
    except HTTPException:
        return False


async def _next(pieces: AsyncIterator[Piece]) -> Piece | None:
    return await anext(pieces, None)


def told(piece: Piece) -> str:
    """One piece as an event. Browsers drop an event without data, so each has some."""
    match piece:
        case Typing(on=on):
            return f"event: typing\ndata: {'on' if on else 'off'}\n\n"
        case Delta(text=text, answer=answer):
            return f"event: delta\ndata: {json.dumps({'answer': answer, 'text': text})}\n\n"
        case Changed():
            return "event: changed\ndata: 1\n\n"
        case _:
            assert_never(piece)
