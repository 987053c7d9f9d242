"""Open streams to browsers: one watch over the inbox, told to all who listen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from adjourn.client.client import Client
from adjourn.errors import AdjournError

STREAMS_LIMIT = 200  # open streams of all people together
PERSON_LIMIT = 20  # of one person: so many pages that are in sight at once
BEAT_SECONDS = 15.0  # a stream that has nothing to tell says so after this time


class TooManyStreamsError(AdjournError):
    """There are as many open streams as we keep."""

    def __init__(self) -> None:
        super().__init__("Too many pages listen for changes. This one works without: reload it.")


class Streams:
    """All streams of one dashboard. Belongs to its event loop."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._watch: asyncio.Task[None] | None = None
        self._listeners: dict[asyncio.Event, str] = {}
        self._ended = False
        self._number = 0

    def end(self) -> None:
        """Let all streams finish: the server is stopping."""
        self._ended = True
        self._wake()

    def full_for(self, person: str) -> bool:
        """Whether there is no room for one more of theirs."""
        theirs = sum(each == person for each in self._listeners.values())
        return theirs >= PERSON_LIMIT or len(self._listeners) >= STREAMS_LIMIT

    async def listen(
        self, person: str, beat_seconds: float = BEAT_SECONDS
    ) -> AsyncIterator[tuple[str, int]]:
        """At once, and after whatever changes: ("changed", the number of the change). While nothing
        changes: ("beat", the number) now and then. Ends when the server stops or the watch breaks;
        whoever comes again learns at once that something may have changed.
        """
        woken = asyncio.Event()
        self._listeners[woken] = person
        watch = self._watching()
        try:
            yield "changed", self._number
            while not self._ended and not watch.done():
                with suppress(TimeoutError):
                    async with asyncio.timeout(beat_seconds):
                        await woken.wait()
                word = "changed" if woken.is_set() else "beat"
                woken.clear()
                if not self._ended and not watch.done():
                    yield word, self._number
        finally:
            del self._listeners[woken]
            if not self._listeners:
                watch.cancel()
                self._watch = None

    def _watching(self) -> asyncio.Task[None]:
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._follow())
            self._watch.add_done_callback(lambda _: self._wake())
        return self._watch

    async def _follow(self) -> None:
        with suppress(AdjournError):  # the engine has stopped: what asks for it next says why
            async for _ in self._client.approvals.changes():
                self._number += 1
                self._wake()

    def _wake(self) -> None:
        for listener in self._listeners:
            listener.set()
