"""`Task[T]`: something an orchestrator asked for and may await.

It is awaitable by asyncio's own protocol, so `gather`, `wait`, `wait_for`, `timeout` and `shield`
take it as they take a future; but it is not `asyncio.Future`, because a wait that lost a race can
become live again, which a future cannot.
"""

from __future__ import annotations

from asyncio import CancelledError, InvalidStateError
from collections.abc import Callable, Generator
from contextvars import Context as Variables
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")

Callback = Callable[[Any], object]


class Scheduler(Protocol):
    """What a task needs of its event loop."""

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Variables | None = None
    ) -> object: ...

    def next_ordinal(self) -> int: ...


PENDING, RELEASED, CANCELLED, DONE = "pending", "released", "cancelled", "done"


class Task(Generic[T]):
    """A result that history will bring. Scheduled when it is created, awaited when you like.

    Hashed by the order of creation, so that even sets of tasks iterate alike on every replay.
    """

    __slots__ = (
        "__weakref__",
        "_asyncio_future_blocking",
        "_callbacks",
        "_error",
        "_loop",
        "_observers",
        "_ordinal",
        "_state",
        "_value",
        "told",
    )

    def __init__(self, loop: Scheduler) -> None:
        self._loop = loop
        self._ordinal = loop.next_ordinal()
        self._state = PENDING
        self._value: T | None = None
        self._error: BaseException | None = None
        self._callbacks: list[tuple[Callback, Variables | None]] = []
        self._observers = 0
        self._asyncio_future_blocking = False
        self.told = 0
        """How often the code has learned that this is done; an outcome never told is not lost."""

    def __hash__(self) -> int:
        return self._ordinal

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._state}>"

    def done(self) -> bool:
        """True once there is a result, a failure or a cancellation."""
        if self._state is DONE:
            self.told += 1
            return True
        return self._state is CANCELLED

    def cancelled(self) -> bool:
        return self._state is CANCELLED

    def result(self) -> T:
        """The result. Raises what the work raised, CancelledError, or InvalidStateError if
        it is not done."""
        if self._state is DONE:
            self.told += 1
            if self._error is not None:
                raise self._error
            return self._value  # type: ignore[return-value]  # DONE without error has a value
        if self._state is CANCELLED:
            raise CancelledError
        raise InvalidStateError("This task has no result yet: await it first.")

    def exception(self) -> BaseException | None:
        """The failure, or None. Raises as `result` does when cancelled or not done."""
        if self._state is DONE:
            return self._error  # asyncio.shield reads it and tells nobody
        if self._state is CANCELLED:
            raise CancelledError
        raise InvalidStateError("This task has no outcome yet: await it first.")

    def cancel(self, msg: object = None) -> bool:
        """Ask no more for it. A running activity is told; its result will be dropped.

        Returns False when it was done already. A wait for an external event or a timer that was
        cancelled becomes live again when it is awaited again.
        """
        if self._state is DONE or self._state is CANCELLED:
            return False
        was_live = self._state is PENDING
        self._state = CANCELLED
        if was_live:
            self._abandoned()
        self._run_callbacks()
        return True

    def release(self) -> None:
        """Stop being live without being done: what happens to the loser of a race."""

    @property
    def value(self) -> Any:
        """The result of a task that is done; reading it here tells nobody. For backends."""
        return self._value

    def get_loop(self) -> Scheduler:
        return self._loop

    def add_done_callback(self, callback: Callback, *, context: Variables | None = None) -> None:
        self.revive()
        if self._state is DONE or self._state is CANCELLED:
            self._observers += 1
            self._loop.call_soon(callback, self, context=context)
        else:
            self._callbacks.append((callback, context))

    def remove_done_callback(self, callback: Callback) -> int:
        kept = [entry for entry in self._callbacks if entry[0] != callback]
        removed = len(self._callbacks) - len(kept)
        self._callbacks[:] = kept
        return removed

    def __await__(self) -> Generator[Any, None, T]:
        self.revive()
        if self._state is not DONE:
            self._asyncio_future_blocking = True
            try:
                yield self
            except CancelledError:
                if self._state is DONE:
                    # asyncio reads result() on wake-up even when it then throws the cancellation
                    # in: this code has been told nothing.
                    self.told -= 1
                    self.nobody_told()
                raise
        return self.result()

    __iter__ = __await__

    def nobody_told(self) -> None:
        """Whoever would have learned of the outcome is gone: undo it, unless somebody else knows
        of it or is about to."""
        if self._state is DONE and not self.told and self._observers <= 1:
            self._not_told()

    def complete(self, value: T) -> None:
        """Give the result. For backends."""
        self._value = value
        self._settle()

    def fail(self, error: BaseException) -> None:
        """Give the failure. For backends."""
        self._error = error
        self._settle()

    def _settle(self) -> None:
        self._state = DONE
        self._run_callbacks()

    def _run_callbacks(self) -> None:
        callbacks, self._callbacks = self._callbacks, []
        self._observers = len(callbacks)
        for callback, context in callbacks:
            self._loop.call_soon(callback, self, context=context)

    def revive(self) -> None:
        """Become live again, where that is possible."""

    def _abandoned(self) -> None:
        """It was live and is cancelled: take back what was asked."""

    def _not_told(self) -> None:
        """Undo an outcome of which the code has learned nothing."""
