"""Waits that many requests share, each for a bounded time.

The engine keeps a waiter until it is answered. A request that gives up after half a minute and asks
again must not leave one behind each time, so there is one waiter for all who wait for the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")

LONGEST_WAIT = 30.0  # seconds that one request may wait; then it is asked again


class Waits:
    """All waits of one application. Belongs to its event loop."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[Any]] = {}
        self._ended = asyncio.Event()

    async def for_answer(
        self, key: Hashable, ask: Callable[[], Awaitable[T]], seconds: float
    ) -> T | None:
        """The answer, or None when it has not come in time or the server is stopping.

        Raises: whatever the answer raises.
        """
        task = self._tasks.get(key)
        if task is None:
            task = asyncio.create_task(_awaited(ask))
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        ending = asyncio.create_task(self._ended.wait())
        try:
            await asyncio.wait((task, ending), timeout=seconds, return_when="FIRST_COMPLETED")
        finally:
            ending.cancel()
        return task.result() if task.done() else None

    def end(self) -> None:
        """Let all who wait go: the server is stopping."""
        self._ended.set()

    def _forget(self, key: Hashable, done: asyncio.Task[Any]) -> None:
        del self._tasks[key]
        if not done.cancelled():
            done.exception()  # seen: perhaps nobody waits any more


async def _awaited(ask: Callable[[], Awaitable[T]]) -> T:
    return await ask()
