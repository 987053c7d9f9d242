"""Runs activities outside the engine thread: async ones on an event loop, sync ones in a pool."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from adjourn.authoring.current import ActivityContext, activity_context
from adjourn.engine.messages import ActivityCall, ActivityFinished
from adjourn.errors import ActivityTimeoutError, InvalidPayloadError
from adjourn.model.failure import FailureDetails, Hide, describe

_log = logging.getLogger("adjourn.activities")

POOL_SIZE = 32  # threads for sync activities

Report = Callable[[ActivityFinished], None]


def context_of(call: ActivityCall, beat: Callable[[], datetime] | None = None) -> ActivityContext:
    return ActivityContext(
        instance_id=call.instance_id,
        execution=call.execution,
        sequence=call.sequence,
        name=call.activity.name,
        attempt=call.attempt,
        approval=call.approval,
        _beat=beat,
    )


def failure_of(error: BaseException, hide: Hide) -> FailureDetails:
    """The record of a failed attempt; what cannot get better is not retried."""
    failure = describe(error, hide=hide)
    if isinstance(error, InvalidPayloadError):
        return FailureDetails(
            type=failure.type,
            message=failure.message,
            stack_trace=failure.stack_trace,
            inner=failure.inner,
            non_retriable=True,
        )
    return failure


@dataclass(eq=False, slots=True)
class _Run:
    """An attempt that runs here."""

    call: ActivityCall
    context: ActivityContext
    task: asyncio.Task[None] | None = None
    deadline: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class _Lane:
    """The attempts of one activity that has a concurrency limit."""

    limit: int
    running: int = 0
    waiting: deque[ActivityCall] = field(default_factory=deque[ActivityCall])


class LoopRunner:
    """`Runner` over an event loop and a thread pool."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        report: Report,
        *,
        hide: Hide,
        pool: Executor | None = None,
        beat: Callable[[], datetime] | None = None,
    ) -> None:
        self._loop = loop
        self._report = report
        self._hide = hide
        self._pool = pool or ThreadPoolExecutor(POOL_SIZE, thread_name_prefix="adjourn-activity")
        self._owns_pool = pool is None
        self._beat = beat
        self._runs: dict[ActivityCall, _Run] = {}
        self._lanes: dict[str, _Lane] = {}
        self._closing = False
        self._empty: asyncio.Event | None = None

    # From the engine thread.

    def start(self, calls: Sequence[ActivityCall]) -> None:
        self._on_loop(self._start_all, calls)

    def cancel(self, calls: Sequence[ActivityCall]) -> None:
        self._on_loop(self._cancel_all, calls)

    def _on_loop(
        self, function: Callable[[Sequence[ActivityCall]], None], calls: Sequence[ActivityCall]
    ) -> None:
        try:
            self._loop.call_soon_threadsafe(function, calls)
        except RuntimeError:  # the loop is closed: the next start takes these up again
            _log.info("%d activities wait for the next start", len(calls))

    # On the loop.

    def _start_all(self, calls: Sequence[ActivityCall]) -> None:
        for call in calls:
            if call.activity.concurrency is None:
                self._start(call)
            else:
                self._queue(call, call.activity.concurrency)

    def _queue(self, call: ActivityCall, limit: int) -> None:
        lane = self._lanes.setdefault(call.activity.name, _Lane(limit))
        if lane.running < lane.limit:
            lane.running += 1
            self._start(call)
        else:
            lane.waiting.append(call)

    def _leave_lane(self, call: ActivityCall) -> None:
        lane = self._lanes.get(call.activity.name)
        if lane is None:
            return
        if lane.waiting and not self._closing:
            self._start(lane.waiting.popleft())
        else:
            lane.running -= 1

    def _start(self, call: ActivityCall) -> None:
        if self._closing:
            return
        run = self._runs[call] = _Run(call, context_of(call, self._beat))
        if call.activity.is_async:
            run.task = self._loop.create_task(self._run_async(run), name=run.context.name)
            # A task that is cancelled before its first step never comes to its own end.
            run.task.add_done_callback(lambda _: self._ended(run, None))
        else:
            self._pool.submit(self._run_sync, run)

    async def _run_async(self, run: _Run) -> None:
        call, activity = run.call, run.call.activity
        if activity.timeout is not None:
            self._arm(run)
        try:
            arguments = activity.decode_arguments(call.input)
            with activity_context(run.context):
                value = await activity.function(**arguments)
            finished = ActivityFinished(call=call, result=activity.encode_result(value))
        except BaseException as error:  # SystemExit too: an activity must not end the process
            finished = ActivityFinished(call=call, failure=failure_of(error, self._hide))
        self._ended(run, finished)

    def _run_sync(self, run: _Run) -> None:
        call, activity = run.call, run.call.activity
        if run.context.cancelled:
            self._loop_soon(self._ended, run, None)
            return
        if activity.timeout is not None:
            self._loop_soon(self._arm, run)
        try:
            arguments = activity.decode_arguments(call.input)
            with activity_context(run.context):
                value = activity.function(**arguments)
            finished = ActivityFinished(call=call, result=activity.encode_result(value))
        except BaseException as error:  # a pool thread must survive whatever an activity raises
            finished = ActivityFinished(call=call, failure=failure_of(error, self._hide))
        if activity.timeout is None and activity.concurrency is None and self._empty is None:
            self._runs.pop(call, None)
            self._report_wanted(run, finished)
            if self._empty is not None:  # it closes since a moment ago
                self._loop_soon(self._note_empty)
        else:
            self._loop_soon(self._ended, run, finished)

    def _loop_soon(self, function: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:  # the loop is closed: the next start runs it again with the same key
            _log.info("an activity outlived its event loop")

    def _ended(self, run: _Run, finished: ActivityFinished | None) -> None:
        if self._runs.pop(run.call, None) is None:
            return  # timed out before
        if run.deadline is not None:
            run.deadline.cancel()
        if run.call.activity.concurrency is not None:
            self._leave_lane(run.call)
        if finished is not None:
            self._report_wanted(run, finished)
        self._note_empty()

    def _note_empty(self) -> None:
        if self._empty is not None and not self._runs:
            self._empty.set()

    def _report_wanted(self, run: _Run, finished: ActivityFinished) -> None:
        """A failure of an attempt that was told to stop is no outcome: when it was the close that
        told it, the next start runs it again."""
        stopped = run.context.cancelled and not finished.timed_out
        if finished.failure is None or not stopped:
            self._report(finished)

    def _arm(self, run: _Run) -> None:
        timeout = run.call.activity.timeout
        if timeout is not None and run.call in self._runs:
            run.deadline = self._loop.call_later(timeout.total_seconds(), self._time_out, run)

    def _time_out(self, run: _Run) -> None:
        """A task is cancelled; a thread cannot be: it is told, and its result will be dropped."""
        timeout = run.call.activity.timeout
        seconds = timeout.total_seconds() if timeout is not None else 0.0
        error = ActivityTimeoutError(run.call.activity.name, seconds)
        run.context.cancelled = True
        self._ended(run, ActivityFinished(call=run.call, failure=describe(error), timed_out=True))
        if run.task is not None:
            run.task.cancel()

    def _cancel_all(self, calls: Sequence[ActivityCall]) -> None:
        for call in calls:
            run = self._runs.get(call)
            if run is None:
                lane = self._lanes.get(call.activity.name)
                if lane is not None and call in lane.waiting:
                    lane.waiting.remove(call)
                continue
            run.context.cancelled = True
            if run.task is not None:
                run.task.cancel()

    async def close(self, grace_seconds: float) -> None:
        """Let running attempts finish, then cancel what is left: the next start repeats it."""
        if self._runs:
            self._empty = asyncio.Event()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), grace_seconds)
        self._closing = True
        left = list(self._runs.values())  # at once: pool threads take theirs off meanwhile
        for run in left:
            run.context.cancelled = True
            if run.task is not None:
                run.task.cancel()
        tasks = [run.task for run in left if run.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=grace_seconds)
        if self._owns_pool:
            self._pool.shutdown(wait=False, cancel_futures=True)
