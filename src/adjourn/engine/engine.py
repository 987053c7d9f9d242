"""The engine: take what arrived, decide each touched instance's turn, commit all of it at once,
and only then publish.

`step(now)` is an ordinary function. The engine thread calls it, and so does the sandbox, with a
virtual clock.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import assert_never

from adjourn.authoring.registry import Registry
from adjourn.engine import guards, handlers, post, recovery, turns
from adjourn.engine.batch import Batch
from adjourn.engine.crash_points import Reached, nothing
from adjourn.engine.memory import Memory
from adjourn.engine.messages import (
    ActivityFinished,
    AwaitResult,
    Control,
    Message,
    RaiseEvent,
    Read,
    Reply,
    Runner,
    SendUpdate,
    SettleActivity,
    StartInstance,
)
from adjourn.engine.views import ending_of
from adjourn.errors import (
    AdjournError,
    EngineStoppedError,
    HistoryDamagedError,
    InstanceNotFoundError,
    SealedError,
    StorageError,
    StorageFullError,
)
from adjourn.store.protocol import Store

_log = logging.getLogger("adjourn.engine")

BATCH_LIMIT = 2_000  # messages in one commit
MANY_WAITERS = 16  # waiting for one result; then those who gave up are let go
TIMER_LIMIT = 1_000  # timers fired in one commit
EVENT_LIMIT = 2_000  # events that instances send each other in one commit; more are put off
CACHE_SIZE = 1_000  # live executions kept in memory


class Engine:
    """One store, one loop. All methods but `submit` belong to the engine thread."""

    def __init__(
        self,
        registry: Registry,
        store: Store,
        runner: Runner,
        *,
        cache_size: int = CACHE_SIZE,
        reached: Reached = nothing,
    ) -> None:
        guards.install()
        self.store = store
        self.runner = runner
        self.cache_size = cache_size
        self.reached = reached
        self.inbox: SimpleQueue[Message | None] = SimpleQueue()
        self.stopped: AdjournError | None = None
        self.memory = Memory(registry, store)
        self.put_off: list[ActivityFinished] = []
        """Results that met a full disk."""
        self.first: Message | None = None
        """A message that the thread took from the inbox while it slept."""
        self.watchers: list[Callable[[Mapping[str, str]], None]] = []
        """Told, after each commit, the ids of which the inbox shows something new, with their
        tenants. Called on the engine thread: they must not block or raise."""
        self.unclean = False
        self.disk_full = False
        """Whether the last step found no room; what it could not write is tried again."""
        self._earliest = store.earliest_timer()

    def submit(self, message: Message | None) -> None:
        """Hand over a message, from any thread. None only wakes the engine; a stopped
        engine answers that it is stopped.
        """
        self.inbox.put(message)
        if self.stopped is not None:  # it stopped before or meanwhile: nobody would answer
            self.stop(self.stopped)

    # The four verbs.

    def step(self, now: datetime) -> bool:
        """Take, decide, commit, publish. Returns whether there is more to do at once.

        Raises: EngineStoppedError after a storage error other than a full disk: what was not
        answered has an unknown outcome, and the file must be opened again.
        """
        if self.stopped is not None:
            raise self.stopped
        batch = Batch(self.memory, now)
        messages: list[Message] = []
        try:
            messages = self._take(batch)
            self.reached("taken")
            self._decide(batch, messages)
            self.reached("decided")
            self._commit(batch)
        except StorageFullError as error:
            self._undo(batch, messages, error)
            return False
        except Exception as error:
            self._halt(messages, error)
            raise
        self.disk_full = False
        self.reached("committed")
        try:
            self._publish(batch)
        except Exception as error:
            self._halt(messages, error)
            raise
        self.reached("published")
        return bool(self.memory.runnable) or len(messages) >= BATCH_LIMIT or batch.more_timers

    def _take(self, batch: Batch) -> list[Message]:
        # Timers first: should the file fail here, no message has been taken that nobody answers.
        if self._earliest is not None and self._earliest <= batch.now_us:
            batch.due = self.store.due_timers(batch.now_us, TIMER_LIMIT)
            batch.more_timers = len(batch.due) >= TIMER_LIMIT
        # What was put off goes first: while some of it is left on disk, nothing may overtake it.
        batch.room_for_events = 0 if batch.more_timers else EVENT_LIMIT
        taken: list[Message] = [*self.put_off]
        self.put_off.clear()
        if self.first is not None:
            taken.append(self.first)
            self.first = None
        return taken + self._drain(BATCH_LIMIT - len(taken))

    def _drain(self, limit: int) -> list[Message]:
        """At most `limit` messages from the inbox. Any thread may drain it once it has stopped."""
        taken: list[Message] = []
        try:
            while len(taken) < limit:
                message = self.inbox.get_nowait()
                if message is not None:
                    taken.append(message)
        except Empty:
            pass
        return taken

    def _decide(self, batch: Batch, messages: list[Message]) -> None:
        for _ in range(min(len(self.memory.runnable), BATCH_LIMIT)):
            batch.started.append(self.memory.runnable.popleft())
        for timer in batch.due:  # before the starts, for they begin with what was put off
            turns.fire(batch, timer)
            post.deliver(batch)
        for key in batch.started:
            turns.run_pending(batch, key)
            post.deliver(batch)
        for message in messages:
            self._handle(batch, message)
            post.deliver(batch)

    def _handle(self, batch: Batch, message: Message) -> None:
        try:
            match message:
                case StartInstance():
                    handlers.start(batch, message)
                case RaiseEvent():
                    handlers.raise_event(batch, message)
                case SendUpdate():
                    handlers.send_update(batch, message)
                case Control():
                    handlers.control(batch, message)
                case SettleActivity():
                    handlers.settle(batch, message)
                case ActivityFinished():
                    handlers.activity_finished(batch, message)
                case AwaitResult():
                    batch.awaiting.append(message)
                case Read():
                    batch.reads.append(message)
                case _:
                    assert_never(message)
        except HistoryDamagedError as error:  # this instance's trouble, not the file's
            batch.answer(message.reply, error=error)
        except StorageError:
            raise
        except AdjournError as error:
            batch.answer(message.reply, error=error)

    def _commit(self, batch: Batch) -> None:
        changes = batch.changes()
        if changes:
            self.store.commit(changes, written=self._written)

    def _written(self) -> None:
        self.reached("written")

    def _publish(self, batch: Batch) -> None:
        batch.settle()
        self._note_timers(batch)
        if batch.cancelled:
            self.runner.cancel(batch.cancelled)
        if batch.calls:
            self.runner.start(batch.calls)
        for message in batch.awaiting:
            self._await_result(batch, message)
        for key in batch.finished:
            for reply in self.memory.result_waiters.pop(key, ()):
                self._answer_result(batch, reply, key)
        for message in batch.reads:
            self._read(batch, message)
        batch.deliver()
        if batch.listed:
            for watcher in tuple(self.watchers):
                watcher(batch.listed)
        self.memory.trim(self.cache_size)
        self.store.checkpoint_if_due(idle=False)

    # When the disk does not do what we ask.

    def _undo(self, batch: Batch, messages: list[Message], error: StorageFullError) -> None:
        """Nothing was written: forget what was decided, keep what nobody else will send again."""
        self.disk_full = True
        batch.forget()
        self.memory.runnable.extendleft(reversed(batch.started))
        for message in messages:
            match message:
                case ActivityFinished():
                    self.put_off.append(message)
                case Read():
                    self._read(batch, message)  # reading needs no room
                case AwaitResult():
                    self._await_result(batch, message)
                case SendUpdate():
                    self._stop_waiting(message)
                    batch.answer(message.reply, error=error)
                case _:
                    batch.answer(message.reply, error=error)
        batch.deliver()
        _log.error("%s", error)

    def _stop_waiting(self, message: SendUpdate) -> None:
        for replies in self.memory.update_waiters.values():
            if message.reply in replies:
                replies.remove(message.reply)

    def _halt(self, messages: list[Message], error: Exception) -> None:
        """The outcome is unknown: never acknowledge, never report failure, stop."""
        self.unclean = True
        stopped = error if isinstance(error, AdjournError) else EngineStoppedError(repr(error))
        self.stop(stopped, [message.reply for message in messages])

    def stop(self, error: AdjournError, replies: Iterable[Reply | None] = ()) -> None:
        """Take nothing more, and tell all who wait. Idempotent."""
        if self.stopped is None:
            self.stopped = error
        batch = Batch(self.memory, datetime.max.replace(tzinfo=UTC))
        waiters = (self.memory.result_waiters, self.memory.update_waiters)
        waiting = [reply for table in waiters for group in table.values() for reply in group]
        for table in waiters:
            table.clear()
        left: list[Message] = [] if self.first is None else [self.first]
        self.first = None
        left += self._drain(sys.maxsize)
        for reply in (*replies, *waiting, *(message.reply for message in left)):
            batch.answer(reply, error=self.stopped)
        batch.deliver()

    # Timers.

    def _note_timers(self, batch: Batch) -> None:
        for fire_at, *_ in batch.timers_added:
            if self._earliest is None or fire_at < self._earliest:
                self._earliest = fire_at
        if self._earliest is not None and self._earliest <= batch.now_us:
            self._earliest = self.store.earliest_timer()

    def earliest_timer(self) -> int | None:
        """Microseconds since 1970, or None. It may be one that was cancelled meanwhile."""
        return self._earliest

    # Answers that read committed state.

    def _await_result(self, batch: Batch, message: AwaitResult) -> None:
        if message.reply is None:
            return
        try:
            row = self.memory.find(message.id).row
        except (InstanceNotFoundError, HistoryDamagedError) as error:
            batch.answer(message.reply, error=error)
            return
        if row.status.finished:
            self._answer_result(batch, message.reply, row.key)
        else:
            waiting = self.memory.result_waiters.setdefault(row.key, [])
            if len(waiting) >= MANY_WAITERS:  # some may have given up
                waiting[:] = [reply for reply in waiting if reply[0].wants(reply[1])]
            waiting.append(message.reply)

    def _answer_result(self, batch: Batch, reply: Reply, key: int) -> None:
        instance = self.memory.by_key(key)
        if instance is None or not instance.row.status.finished:  # replaced in this very step
            self.memory.result_waiters.setdefault(key, []).append(reply)
            return
        try:
            batch.answer(reply, batch.finished.get(key) or ending_of(self.store, instance.row))
        except SealedError as error:
            batch.answer(reply, error=error)

    def _read(self, batch: Batch, message: Read) -> None:
        try:
            batch.answer(message.reply, message.query())
        except Exception as error:  # a look changes nothing, so it must not stop the engine
            batch.answer(message.reply, error=error)

    # Starting.

    def recover(self, now: datetime) -> None:
        """Take up what was in flight when the file was last closed, however that happened.

        Instances that merely wait are not read. Raises: StorageFullError; call it again.
        """
        rows = self.store.unfinished_business()
        for first in range(0, len(rows), BATCH_LIMIT):
            batch = Batch(self.memory, now)
            for row in rows[first : first + BATCH_LIMIT]:
                # Looked up again: an instance recovered before may have changed this one.
                instance = self.memory.by_key(row.key)
                if instance is not None and not instance.row.status.finished:
                    recovery.recover(batch, instance)
                post.deliver(batch)
            try:
                self._commit(batch)
            except StorageFullError:
                batch.forget()
                raise
            self._publish(batch)
