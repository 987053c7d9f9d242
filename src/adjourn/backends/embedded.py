"""The embedded engine: one file, one engine thread, activities on the application's loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec

from adjourn.authoring.registry import Registry
from adjourn.backends.protocol import Action, EventAnswer, SettledAs
from adjourn.engine import views
from adjourn.engine.activities import LoopRunner
from adjourn.engine.clock import Clock, SystemClock
from adjourn.engine.crash_points import Reached, nothing
from adjourn.engine.engine import CACHE_SIZE, Engine
from adjourn.engine.messages import (
    ActivityFinished,
    AwaitResult,
    Control,
    Message,
    OnConflict,
    Outcome,
    RaiseEvent,
    Read,
    SendUpdate,
    SettleActivity,
    StartInstance,
)
from adjourn.engine.thread import EngineThread
from adjourn.errors import EngineStoppedError, ForkedEngineError, InstanceNotFoundError
from adjourn.model.actor import Actor
from adjourn.model.inbox import Counts, InboxPage, InboxQuery, InboxRow
from adjourn.model.state import Ending, HistoryEntry, InstanceState, Page
from adjourn.store.forks import forks
from adjourn.store.protocol import Query
from adjourn.store.sealing import sealer_from
from adjourn.store.sqlite import SQLiteStore

GRACE_SECONDS = 5.0
"""How long closing waits for running activities. What is left runs again at the next start."""


class LoopMailbox:
    """Settles futures of one event loop, a batch a wake-up."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def deliver(self, outcomes: Sequence[Outcome]) -> None:
        try:
            self._loop.call_soon_threadsafe(_settle, outcomes)
        except RuntimeError:
            pass  # the loop is closed, and with it everybody who waited

    def wants(self, ticket: asyncio.Future[Any]) -> bool:
        return not ticket.done()


def _settle(outcomes: Sequence[Outcome]) -> None:
    for future, value, error in outcomes:
        if future.done():
            continue  # its caller was cancelled; the effect holds all the same
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)


class EmbeddedBackend:
    """`Backend` over an engine in this process."""

    def __init__(
        self,
        registry: Registry,
        path: str | os.PathLike[str],
        *,
        clock: Clock | None = None,
        cache_size: int = CACHE_SIZE,
        grace_seconds: float = GRACE_SECONDS,
        reached: Reached = nothing,
    ) -> None:
        self._registry = registry
        self._path = path
        self._clock = clock or SystemClock()
        self._cache_size = cache_size
        self._grace_seconds = grace_seconds
        self._reached = reached
        self._forks = forks()
        self._thread: EngineThread | None = None
        self._engine: Engine | None = None
        self._runner: LoopRunner | None = None
        self._mailbox: LoopMailbox | None = None

    async def open(self) -> None:
        """Raises: FileLockedError, FileRefusedError, StorageError, EncryptionKeysError."""
        loop = asyncio.get_running_loop()
        opening = loop.run_in_executor(None, self._store)
        try:
            store = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_orphan)
            raise
        runner = LoopRunner(
            loop, self._report, hide=self._registry.redactor.text, beat=self._clock.now
        )
        store.let_thread_go()
        engine = Engine(
            self._registry, store, runner, cache_size=self._cache_size, reached=self._reached
        )
        self._engine, self._runner = engine, runner
        self._mailbox = LoopMailbox(loop)
        self._thread = EngineThread(engine, store, self._clock)
        self._thread.start()

    def _store(self) -> SQLiteStore:
        sealer = sealer_from(self._registry.privacy.encryption_keys_env)
        return SQLiteStore(self._path, sealer=sealer)

    def _report(self, finished: ActivityFinished) -> None:
        if self._engine is not None:
            self._engine.submit(finished)

    async def close(self) -> None:
        """Take nothing more, give running activities some time, close the file. Idempotent."""
        thread, runner = self._thread, self._runner
        if thread is None or runner is None:
            return
        self._thread = None
        try:
            await runner.close(self._grace_seconds)
        finally:  # also when the caller is cancelled: the file must not stay locked
            stopping = asyncio.get_running_loop().run_in_executor(None, thread.stop)
            await asyncio.shield(stopping)

    def _ask(self, make: Callable[[Any], Message]) -> asyncio.Future[Any]:
        if forks() != self._forks:
            raise ForkedEngineError
        if self._engine is None or self._thread is None or self._mailbox is None:
            raise EngineStoppedError("it is not open: use `async with app.open(...) as client`")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._engine.submit(make((self._mailbox, future)))
        return future

    async def start(
        self,
        name: str,
        input: msgspec.Raw,
        id: str,
        *,
        on_conflict: OnConflict,
        start_at: datetime | None,
        tags: dict[str, str],
    ) -> bool:
        _, created = await self._ask(
            lambda reply: StartInstance(
                name=name,
                id=id,
                input=input,
                on_conflict=on_conflict,
                start_at=start_at,
                tags=tags,
                reply=reply,
            )
        )
        return created

    async def raise_event(
        self,
        id: str,
        name: str,
        data: msgspec.Raw,
        event_id: str,
        *,
        wait: int = 0,
        by: Actor | None = None,
    ) -> EventAnswer:
        return await self._ask(
            lambda reply: RaiseEvent(
                id=id, name=name, data=data, event_id=event_id, wait=wait, by=by, reply=reply
            )
        )

    async def update(
        self,
        id: str,
        name: str,
        data: msgspec.Raw,
        update_id: str,
        *,
        by: Actor | None = None,
    ) -> msgspec.Raw:
        return await self._ask(
            lambda reply: SendUpdate(
                id=id, name=name, data=data, update_id=update_id, by=by, reply=reply
            )
        )

    async def control(self, id: str, action: Action, reason: str, *, recursive: bool) -> None:
        await self._ask(
            lambda reply: Control(
                id=id, action=action, reason=reason, recursive=recursive, reply=reply
            )
        )

    async def settle(
        self,
        id: str,
        sequence: int,
        outcome: SettledAs,
        *,
        by: str,
        result: msgspec.Raw,
        reason: str,
    ) -> None:
        await self._ask(
            lambda reply: SettleActivity(
                id=id,
                sequence=sequence,
                outcome=outcome,
                by=by,
                result=result,
                reason=reason,
                reply=reply,
            )
        )

    async def result(self, id: str) -> Ending:
        return await self._ask(lambda reply: AwaitResult(id=id, reply=reply))

    async def _read(self, query: Callable[[Engine], Any]) -> Any:
        engine = self._engine
        return await self._ask(
            lambda reply: Read(query=lambda: query(engine), reply=reply)  # pyright: ignore[reportArgumentType]  # _ask has refused an engine that is None
        )

    async def get(self, id: str) -> InstanceState:
        return await self._read(lambda engine: state_by_id(engine, id))

    async def list(self, query: Query) -> Page:
        return await self._read(lambda engine: views.page_of(engine.store, query))

    async def inbox(self, query: InboxQuery) -> InboxPage:
        return await self._read(lambda engine: engine.store.inbox(query))

    async def inbox_counts(self, query: InboxQuery) -> Counts:
        return await self._read(lambda engine: engine.store.inbox_counts(query))

    async def inbox_row(self, id: str) -> InboxRow | None:
        return await self._read(lambda engine: views.inbox_row_of(engine.store, id))

    async def watch_inbox(self, tenant: str | None = None) -> AsyncIterator[list[str]]:
        if self._engine is None:
            raise EngineStoppedError("it is not open: use `async with app.open(...) as client`")
        engine, loop = self._engine, asyncio.get_running_loop()
        changed: set[str] = set()
        woken = asyncio.Event()

        def note(ids: list[str]) -> None:
            changed.update(ids)
            woken.set()

        def tell(listed: Mapping[str, str]) -> None:
            ids = [id for id, its in listed.items() if tenant is None or its == tenant]
            if ids:
                with suppress(RuntimeError):  # the loop is closed, and with it whoever watched
                    loop.call_soon_threadsafe(note, ids)

        engine.watchers.append(tell)
        try:
            while True:
                await woken.wait()
                woken.clear()
                batch = sorted(changed)
                changed.clear()
                yield batch
        finally:
            engine.watchers.remove(tell)

    async def history(self, id: str, execution: int | None) -> list[HistoryEntry]:
        return await self._read(lambda engine: views.history_of(engine.store, id, execution))


def _close_orphan(opening: asyncio.Future[SQLiteStore]) -> None:
    """The caller was cancelled while the file was being opened: nobody else would let it go."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def state_by_id(engine: Engine, id: str) -> InstanceState:
    """Raises: InstanceNotFoundError."""
    row = engine.store.find(id)
    if row is None:
        raise InstanceNotFoundError(id)
    return views.state_of(engine.store, row)
