"""What happens in a talk at this moment: for pages that are open now, and for nobody later.

All of it is lost when the process ends, and nothing depends on it: what was said stands in the
records, and a page that reconnects reads it there.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

QUEUE_LIMIT = 1_000  # pieces that one slow page may lag behind


@dataclass(frozen=True, slots=True)
class Typing:
    """The agent works on an answer, or has stopped."""

    on: bool


@dataclass(frozen=True, slots=True)
class Delta:
    """The answer grows by `text`. `answer` names the attempt: another one begins anew."""

    text: str
    answer: str


@dataclass(frozen=True, slots=True)
class Changed:
    """Lines or cases are new: read them again."""


Piece = Typing | Delta | Changed


class Hub:
    """Takes pieces from any thread and hands them to the pages of one event loop each."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[_Listener]] = {}

    @asynccontextmanager
    async def listening(self, talk_id: str) -> AsyncGenerator[AsyncIterator[Piece]]:
        """What is published of the talk from now on. A page that lags too far is let go."""
        listener = _Listener(asyncio.get_running_loop())
        self._listeners.setdefault(talk_id, set()).add(listener)
        try:
            yield listener.pieces()
        finally:
            listeners = self._listeners[talk_id]
            listeners.discard(listener)
            if not listeners:
                del self._listeners[talk_id]

    def publish(self, talk_id: str, piece: Piece) -> None:
        """Tell everybody who listens now. Never blocks, never raises."""
        for listener in tuple(self._listeners.get(talk_id, ())):
            listener.tell(piece)


class _Listener:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: asyncio.Queue[Piece] = asyncio.Queue(QUEUE_LIMIT)
        self._lags = False

    def tell(self, piece: Piece) -> None:
        with suppress(RuntimeError):  # the loop is closed, and with it the page
            self._loop.call_soon_threadsafe(self._put, piece)

    def _put(self, piece: Piece) -> None:
        self._lags = self._lags or self._queue.full()
        if not self._lags:
            self._queue.put_nowait(piece)

    async def pieces(self) -> AsyncIterator[Piece]:
        while not self._lags:
            yield await self._queue.get()


HUB = Hub()
"""The one of this process: activities publish, pages listen."""
