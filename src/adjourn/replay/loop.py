"""A deterministic event loop: a queue of ready callbacks, and deadlines that are durable timers.

asyncio's primitives run on it unchanged. It never waits: when nothing is ready, the turn is over.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import events as asyncio_events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context as Variables
from contextvars import copy_context
from typing import Any, TypeVar
from weakref import WeakSet

from adjourn.errors import DeterminismError
from adjourn.replay.guards import LESSONS, refuse

T = TypeVar("T")

# asyncio has no public way to run a loop of one's own making.
set_running_loop: Callable[[Any], None] = asyncio_events._set_running_loop  # pyright: ignore

CALLBACK_BUDGET = 200_000  # callbacks in one turn; more means a loop that never waits


class Runaway(BaseException):
    """The turn does not end. Not an Exception: user code must not catch it."""


class Handle:
    """A scheduled callback. asyncio keeps it only to cancel it."""

    __slots__ = ("args", "callback", "cancelled_", "context")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Variables | None
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.cancelled_ = False

    def cancel(self) -> None:
        self.cancelled_ = True

    def cancelled(self) -> bool:
        return self.cancelled_


class TimerHandle(Handle):
    """A callback with a deadline, held by a durable timer."""

    __slots__ = ("on_cancel", "when_")

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Variables | None,
        on_cancel: Callable[[], None],
    ) -> None:
        super().__init__(callback, args, context)
        self.when_ = when
        self.on_cancel = on_cancel

    def when(self) -> float:
        return self.when_

    def cancel(self) -> None:
        if not self.cancelled_:
            self.cancelled_ = True
            self.on_cancel()


class OrderedFuture(asyncio.Future[Any]):
    """A future hashed by the order of creation, so that sets of them iterate alike."""

    def __init__(self, ordinal: int, *, loop: Any) -> None:
        super().__init__(loop=loop)
        self._ordinal = ordinal

    def __hash__(self) -> int:
        return self._ordinal


class OrderedTask(asyncio.Task[T]):
    """An asyncio task hashed by the order of creation."""

    ordinal = 0

    def __hash__(self) -> int:
        return self.ordinal


class DeterministicLoop:
    """What asyncio needs of a loop, and nothing that could differ on replay."""

    __slots__ = (
        "__weakref__",
        "_ordinal",
        "_ready",
        "_seconds",
        "_set_timer",
        "_tasks",
        "owner",
        "running",
        "stopped",
    )

    def __init__(
        self,
        seconds: Callable[[], float],
        set_timer: Callable[[float, Callable[[], None]], Callable[[], None]],
    ) -> None:
        """`seconds` tells the logical time; `set_timer(when, callback)` asks for a durable timer
        and returns what cancels it."""
        self._seconds = seconds
        self._set_timer = set_timer
        self._ready: deque[Handle] = deque()
        self._ordinal = 0
        self.stopped = False
        """Whether the execution has ended: what is ready does not run any more."""
        self.running = False
        """Whether its orchestrator's code runs now."""
        self._tasks: WeakSet[asyncio.Task[Any]] | None = None
        self.owner: Any = None
        """The execution whose loop it is."""

    def cancel_tasks(self) -> bool:
        """Cancel what still runs; returns whether there was anything."""
        left = [task for task in self._tasks or () if not task.done()]
        for task in left:
            task.cancel()
        return bool(left)

    def let_go(self) -> None:
        """Forget whose loop it was."""
        self._ready.clear()
        self.owner = None
        self._seconds = _never
        self._set_timer = _nothing

    def next_ordinal(self) -> int:
        self._ordinal += 1
        return self._ordinal

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Variables | None = None
    ) -> Handle:
        handle = Handle(callback, args, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Variables | None = None,
    ) -> Handle:
        if delay <= 0:
            return self.call_soon(callback, *args, context=context)
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Variables | None = None,
    ) -> Handle:
        variables = context or copy_context()

        def fire() -> None:
            if not handle.cancelled_:
                self.call_soon(callback, *args, context=variables)

        handle = TimerHandle(when, callback, args, variables, self._set_timer(when, fire))
        return handle

    def time(self) -> float:
        return self._seconds()

    def create_future(self) -> asyncio.Future[Any]:
        return OrderedFuture(self.next_ordinal(), loop=self)

    def create_task(
        self,
        coroutine: Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Variables | None = None,
        **_: Any,
    ) -> asyncio.Task[T]:
        ordinal = self.next_ordinal()
        if _called_from_as_completed(sys._getframe(1)):  # pyright: ignore[reportPrivateUsage]  # no public way to see the caller
            coroutine.close()
            raise DeterminismError(
                "asyncio.as_completed puts coroutines into a set, whose order differs on replay. "
                "Use `await ctx.when_any(...)` over tasks, or asyncio.TaskGroup."
            )
        task = OrderedTask(coroutine, loop=self, name=name or f"task-{ordinal}", context=context)  # pyright: ignore[reportArgumentType]  # a duck-typed loop is enough for asyncio.Task
        task.ordinal = ordinal
        if self._tasks is None:
            self._tasks = WeakSet()
        self._tasks.add(task)
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return self.running

    def is_closed(self) -> bool:
        return False

    def get_task_factory(self) -> None:
        return None

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Nothing: what asyncio reports here depends on garbage collection, not on history."""

    call_exception_handler = default_exception_handler

    def __getattr__(self, name: str) -> Any:
        if name in LESSONS:
            refuse(LESSONS[name])
        raise AttributeError(name)

    def run_until_idle(self) -> None:
        """Run what is ready, and what that makes ready, until nothing is. Not to be called where
        another loop runs: this thread has none afterwards.

        Raises: Runaway when it does not end; whatever BaseException (SystemExit, say) a callback
        let through.
        """
        ready = self._ready
        set_running_loop(self)
        self.running = True
        budget = CALLBACK_BUDGET
        handle: Handle | None = None
        try:
            while ready and not self.stopped:
                handle = ready.popleft()
                if handle.cancelled_:
                    continue
                budget -= 1
                if budget < 0:
                    raise Runaway(f"one turn ran {CALLBACK_BUDGET:,} steps and never waited")
                if handle.context is None:
                    handle.callback(*handle.args)
                else:
                    handle.context.run(handle.callback, *handle.args)
        finally:
            self.running = False
            handle = None  # a traceback through this frame would keep it, and what it calls, alive
            set_running_loop(None)


def _never() -> float:
    return 0.0


def _nothing(_when: float, _callback: Callable[[], None]) -> Callable[[], None]:
    return lambda: None


def _called_from_as_completed(frame: Any) -> bool:
    for _ in range(4):
        if frame is None or frame.f_code.co_filename != asyncio.tasks.__file__:
            return False
        if frame.f_code.co_name == "as_completed" or "AsCompleted" in _qualified(frame.f_code):
            return True
        frame = frame.f_back
    return False


def _qualified(code: Any) -> str:
    return str(code.co_qualname)


def running_loop() -> DeterministicLoop | None:
    """The loop of the orchestrator code that is running in this thread."""
    loop: Any = asyncio_events._get_running_loop()  # pyright: ignore[reportPrivateUsage]  # unlike get_running_loop it does not raise
    return loop if isinstance(loop, DeterministicLoop) else None


def in_turn() -> bool:
    """Whether orchestrator code is running in this thread."""
    return running_loop() is not None
