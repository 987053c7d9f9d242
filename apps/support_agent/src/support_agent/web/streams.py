"""What happens in a talk, as server-sent events to the pages that are open."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import assert_never

from support_agent.live import Changed, Delta, Hub, Piece, Typing

STREAMS_LIMIT = 200  # open streams of all pages together
BEAT_SECONDS = 15.0  # a stream that has nothing to tell says so after this time


class Streams:
    """All open streams of one application. Belongs to the event loop that serves it."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._ended = False
        self._open: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    @property
    def full(self) -> bool:
        return len(self._open) >= STREAMS_LIMIT

    def end(self) -> None:
        """Let all streams finish, for the server stops. From any thread, or a signal handler."""
        self._ended = True
        for ending, loop in tuple(self._open.items()):
            loop.call_soon_threadsafe(ending.set)

    async def events(
        self, talk_id: str, beat_seconds: float = BEAT_SECONDS
    ) -> AsyncGenerator[str, None]:
        """`changed` at once, for whoever connects may have missed something, and then whatever is
        published; `beat` while nothing is. Ends with the server, or for a page that lags too far:
        browsers come again by themselves."""
        ending = asyncio.Event()
        self._open[ending] = asyncio.get_running_loop()
        stop = asyncio.ensure_future(ending.wait())
        following: asyncio.Future[Piece | None] | None = None
        try:
            async with self._hub.listening(talk_id) as pieces:
                yield "retry: 1000\n\n" + told(Changed())
                while not self._ended:
                    following = following or asyncio.ensure_future(_next(pieces))
                    await asyncio.wait(
                        {following, stop}, timeout=beat_seconds, return_when="FIRST_COMPLETED"
                    )
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
