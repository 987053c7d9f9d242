"""Open streams to browsers: one watch over each tenant's inbox, told to all who listen to it."""

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
        self._watches: dict[str | None, _Watch] = {}
        self._listeners: dict[asyncio.Event, str] = {}
        self._ended = False

    def end(self) -> None:
        """Let all streams finish: the server is stopping."""
        self._ended = True
        for listener in self._listeners:
            listener.set()

    def full_for(self, person: str) -> bool:
        """Whether there is no room for one more of theirs."""
        theirs = sum(each == person for each in self._listeners.values())
        return theirs >= PERSON_LIMIT or len(self._listeners) >= STREAMS_LIMIT

    async def listen(
        self, person: str, beat_seconds: float = BEAT_SECONDS, *, tenant: str | None = None
    ) -> AsyncIterator[tuple[str, int]]:
        """At once, and after whatever changes: ("changed", the number of the change). While nothing
        changes: ("beat", the number) now and then. Ends when the server stops or the watch breaks;
        whoever comes again learns at once that something may have changed.

        Only what changes in this tenant counts, or with None in any: neither a beat nor a number
        tells of another tenant's.
        """
        woken = asyncio.Event()
        self._listeners[woken] = person
        watch = self._watches.setdefault(tenant, _Watch(self._client, tenant))
        task = watch.join(woken)
        try:
            yield "changed", watch.number
            while not self._ended and not task.done():
                with suppress(TimeoutError):
                    async with asyncio.timeout(beat_seconds):
                        await woken.wait()
                word = "changed" if woken.is_set() else "beat"
                woken.clear()
                if not self._ended and not task.done():
                    yield word, watch.number
        finally:
            del self._listeners[woken]
            watch.leave(woken)


class _Watch:
    """One tenant's inbox, watched while somebody listens. The number goes on for the next ones."""

    def __init__(self, client: Client, tenant: str | None) -> None:
        self._client = client
        self._tenant = tenant
        self._task: asyncio.Task[None] | None = None
        self._listeners: set[asyncio.Event] = set()
        self.number = 0

    def join(self, listener: asyncio.Event) -> asyncio.Task[None]:
        """The watch that wakes this listener; it is done when it has broken."""
        self._listeners.add(listener)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow())
            self._task.add_done_callback(lambda _: self._wake())
        return self._task

    def leave(self, listener: asyncio.Event) -> None:
        self._listeners.discard(listener)
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _follow(self) -> None:
        with suppress(AdjournError):  # the engine has stopped: what asks for it next says why
            async for _ in self._client.approvals.changes(self._tenant):
                self.number += 1
                self._wake()

    def _wake(self) -> None:
        for listener in self._listeners:
            listener.set()
