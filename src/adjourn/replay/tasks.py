"""The tasks of an execution: what each kind does when cancelled, released or awaited again."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Generator, Iterable
from datetime import datetime
from typing import Any, Protocol, TypeVar

import msgspec

from adjourn.authoring.functions import Activity
from adjourn.authoring.task import DONE, PENDING, RELEASED, Scheduler, Task
from adjourn.errors import InstanceTerminatedError, InvalidPayloadError, SubOrchestrationFailedError
from adjourn.model.approval import Cancelled
from adjourn.model.codec import Reader
from adjourn.model.failure import describe

T = TypeVar("T")

_TERMINATED = describe(InstanceTerminatedError("", "")).type


class Asks(Protocol):
    """What tasks ask of their execution."""

    now: datetime

    def cancel_activity(self, sequence: int) -> None: ...
    def cancel_child(self, sequence: int) -> None: ...
    def start_timer(self, fire_at: datetime, task: TimerTask) -> int: ...
    def cancel_timer(self, sequence: int) -> None: ...
    def listen(self, wait: WaitTask) -> None: ...
    def unlisten(self, wait: WaitTask) -> None: ...
    def give_back(self, wait: WaitTask) -> None: ...


class ActivityTask(Task[Any]):
    """A scheduled activity."""

    __slots__ = ("approval", "asks", "body", "decode", "name", "sequence")

    def __init__(
        self,
        loop: Scheduler,
        asks: Asks,
        sequence: int,
        name: str,
        decode: Reader,
        approval: str = "",
    ) -> None:
        super().__init__(loop)
        self.approval = approval
        self.asks = asks
        self.sequence = sequence
        self.name = name
        self.decode = decode
        self.body: Activity[..., Any] | None = None
        """The closure to run, where the orchestrator hosts it."""

    def _abandoned(self) -> None:
        self.asks.cancel_activity(self.sequence)


class ChildTask(ActivityTask):
    """A started sub-orchestration."""

    __slots__ = ("instance_id",)

    instance_id: str

    def _abandoned(self) -> None:
        self.asks.cancel_child(self.sequence)


class ApprovalTask(ChildTask):
    """An approval. One that somebody terminated is no failure of the workflow: it is cancelled."""

    __slots__ = ()

    def fail(self, error: BaseException) -> None:
        if isinstance(error, SubOrchestrationFailedError) and error.failure.type == _TERMINATED:
            reason = error.failure.message
            self.complete(Cancelled(id=self.instance_id, at=self.asks.now, reason=reason))
        else:
            super().fail(error)


class TimerTask(Task[None]):
    """A durable deadline. Released or cancelled, it can be awaited again, with its old deadline."""

    __slots__ = ("asks", "fire_at", "sequence")

    def __init__(self, loop: Scheduler, asks: Asks, fire_at: datetime) -> None:
        super().__init__(loop)
        self.asks = asks
        self.fire_at = fire_at
        self.sequence = asks.start_timer(fire_at, self)

    def release(self) -> None:
        if self._state is PENDING:
            self._state = RELEASED
            self.asks.cancel_timer(self.sequence)

    def revive(self) -> None:
        if self._state is not PENDING and self._state is not DONE:
            self._state = PENDING
            self.sequence = self.asks.start_timer(self.fire_at, self)

    def _abandoned(self) -> None:
        self.asks.cancel_timer(self.sequence)


def complete(task: ActivityTask | None, result: msgspec.Raw) -> None:
    """With a result as it was recorded; nothing happens to a task that was cancelled."""
    if task is None:
        return
    try:
        value = task.decode(result)
    except InvalidPayloadError as error:
        task.fail(error)
    else:
        task.complete(value)


class WaitTask(Task[Any]):
    """A wait for an external event or update. Live from its creation until it completes, is
    cancelled, or loses a race; live again, behind the others, when it is awaited again."""

    __slots__ = ("asks", "decode", "delivered", "key", "name", "opened_at", "sequence", "validator")

    def __init__(
        self,
        loop: Scheduler,
        asks: Asks,
        sequence: int,
        name: str,
        key: tuple[str, str],
        decode: Reader,
        validator: Any,
        opened_at: datetime,
    ) -> None:
        super().__init__(loop)
        self.asks = asks
        self.sequence = sequence
        self.name = name
        self.opened_at = opened_at
        self.key = key
        """("event" or "update", casefolded name)."""
        self.decode = decode
        self.validator = validator
        self.delivered: Any = None
        """The message that completed it, until the code has been told."""

    def release(self) -> None:
        if self._state is PENDING:
            self._state = RELEASED
            self.asks.unlisten(self)

    def revive(self) -> None:
        if self._state is not PENDING and self._state is not DONE:
            self._state = PENDING
            self.asks.listen(self)

    def take_back(self) -> None:
        """Undo the completion: the code was never told."""
        self._value = None
        self._state = RELEASED

    def _abandoned(self) -> None:
        self.asks.unlisten(self)

    def _not_told(self) -> None:
        if self.delivered is not None:
            self.asks.give_back(self)


class GroupTask(Task[T]):
    """Several tasks awaited as one."""

    __slots__ = ("members",)

    def __init__(self, loop: Scheduler, members: Iterable[Task[Any]]) -> None:
        super().__init__(loop)
        self.members = list(members)
        for member in self.members:
            member.add_done_callback(self._on_done)

    def _on_done(self, member: Task[Any]) -> None:
        """A member is done."""
        raise NotImplementedError

    def release(self) -> None:
        for member in self.members:
            member.release()

    def revive(self) -> None:
        if self._state is PENDING:
            for member in self.members:
                member.revive()

    def _abandoned(self) -> None:
        for member in self.members:
            member.remove_done_callback(self._on_done)
            member.nobody_told()


class AnyTask(GroupTask[Task[Any]]):
    """The first of several. Completes with the winner and releases the losers."""

    __slots__ = ("keep",)

    def __init__(self, loop: Scheduler, members: Iterable[Task[Any]], keep: bool) -> None:
        self.keep = keep
        super().__init__(loop, members)

    def _on_done(self, member: Task[Any]) -> None:
        if self._state is not PENDING:
            return
        self.complete(member)
        for other in self.members:
            if other is not member:
                other.remove_done_callback(self._on_done)
                if not self.keep:
                    other.release()

    def __await__(self) -> Generator[Any, None, Task[Any]]:
        winner = yield from super().__await__()
        winner.told += 1
        return winner

    __iter__ = __await__

    def _abandoned(self) -> None:
        super()._abandoned()
        if not self.keep:
            self.release()

    def _not_told(self) -> None:
        if self._value is not None:
            self._value.nobody_told()


class AllTask(GroupTask[list[Any]]):
    """All of several: waits for every one, then gives the results or raises the first failure."""

    __slots__ = ("left",)

    def __init__(self, loop: Scheduler, members: Iterable[Task[Any]]) -> None:
        super().__init__(loop, members)
        self.left = len(self.members)
        if not self.members:
            self.complete([])

    def _on_done(self, member: Task[Any]) -> None:
        self.left -= 1
        if self.left or self._state is not PENDING:
            return
        failed = next((error for error in map(outcome_error, self.members) if error), None)
        if failed is not None:
            self.fail(failed)
        else:
            self.complete([each.value for each in self.members])

    def __await__(self) -> Generator[Any, None, list[Any]]:
        results = yield from super().__await__()
        for member in self.members:
            member.told += 1
        return results

    __iter__ = __await__

    def _abandoned(self) -> None:
        super()._abandoned()
        for member in self.members:
            member.cancel()

    def _not_told(self) -> None:
        for member in self.members:
            member.nobody_told()


def outcome_error(task: Task[Any]) -> BaseException | None:
    """What a finished task failed with; reading it tells nobody."""
    return CancelledError() if task.cancelled() else task.exception()
