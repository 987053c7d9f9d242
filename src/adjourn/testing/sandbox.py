"""The sandbox: the real engine and a real store on a virtual clock, in one thread of its own.

Nothing happens behind a test's back: each call hands its message over, runs turns and activities
until nothing is left to do, and returns.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import datetime, timedelta
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

import msgspec

from adjourn.authoring.current import activity_context
from adjourn.authoring.functions import Orchestrator
from adjourn.authoring.registry import Registry, awaitable_function
from adjourn.backends.embedded import state_by_id
from adjourn.backends.protocol import EventAnswer, SettledAs
from adjourn.client.approvals import Approvals
from adjourn.client.client import Client, decode_result
from adjourn.engine import views
from adjourn.engine.activities import context_of, failure_of
from adjourn.engine.crash_points import CrashPoint
from adjourn.engine.engine import CACHE_SIZE, Engine
from adjourn.engine.messages import (
    ActivityCall,
    ActivityFinished,
    Control,
    Message,
    OnConflict,
    Outcome,
    RaiseEvent,
    SendUpdate,
    SettleActivity,
    StartInstance,
)
from adjourn.errors import AdjournError
from adjourn.model import codec
from adjourn.model.actor import Actor
from adjourn.model.ids import check_instance_id, check_name
from adjourn.model.inbox import Counts, InboxPage, InboxQuery, InboxRow
from adjourn.model.state import HistoryEntry, InstanceState, Page, from_microseconds
from adjourn.store.protocol import Query
from adjourn.store.sealing import sealer_from
from adjourn.store.sqlite import SQLiteStore
from adjourn.testing.clock import START, VirtualClock
from adjourn.testing.inbox import SandboxInbox
from adjourn.testing.reading import ReadingBackend

P = ParamSpec("P")
R = TypeVar("R")
I = TypeVar("I")  # noqa: E741  input, as in authoring.functions
O = TypeVar("O")  # noqa: E741  output

STEP_LIMIT = 100_000  # steps in one call; more means that it never becomes idle


class SimulatedCrash(BaseException):
    """Ends a step as kill -9 would end the process."""


class _Answer:
    """A ticket: what one message was answered."""

    arrived = False
    value: Any = None
    error: Exception | None = None


class _Answers:
    def deliver(self, outcomes: Sequence[Outcome]) -> None:
        for ticket, value, error in outcomes:
            ticket.arrived, ticket.value, ticket.error = True, value, error

    def wants(self, ticket: _Answer) -> bool:
        return not ticket.arrived


class _Queue:
    """`Runner` that keeps attempts until the sandbox runs them, in order."""

    def __init__(self) -> None:
        self.calls: deque[ActivityCall] = deque()

    def start(self, calls: Sequence[ActivityCall]) -> None:
        self.calls.extend(calls)

    def cancel(self, calls: Sequence[ActivityCall]) -> None:
        for call in calls:
            if call in self.calls:
                self.calls.remove(call)


class SandboxHandle(Generic[O]):
    """One instance in a sandbox."""

    def __init__(self, box: Sandbox, id: str) -> None:
        self._box = box
        self.id = id

    @property
    def status(self) -> str:
        return self._box.get(self.id).status

    @property
    def result(self) -> O:
        """Raises what `Sandbox.result` raises."""
        return self._box.result(self.id)

    @property
    def kinds(self) -> list[str]:
        """The kinds of its events, in order."""
        return [type(entry.event).__name__ for entry in self._box.history(self.id)]


class Sandbox:
    """Run workflows to their end in milliseconds, over any span of time.

    ```python
    with Sandbox(app) as box:
        box.start(support_case, case, id="C-1")
        box.advance(days=7)
        assert box.result("C-1") == "expired"
    ```

    Activities run at once, one after the other; with `run_activities=False` they wait for
    `run_next_activity()`. May be used from async tests too: it works on a thread of its own.
    """

    def __init__(
        self,
        app: Registry,
        where: str = ":memory:",
        *,
        start: datetime = START,
        run_activities: bool = True,
        cache_size: int = CACHE_SIZE,
    ) -> None:
        self.app = app
        self.clock = VirtualClock(start)
        self.run_activities = run_activities
        self.crashes = 0
        """How often an armed crash point was reached."""
        self._where = where
        self._cache_size = cache_size
        self._numbers = itertools.count(1)
        self._armed: tuple[CrashPoint, int] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="adjourn-sandbox")
        self._own: threading.Thread | None = None
        self._queue = _Queue()
        self._runner: asyncio.Runner | None = None
        self._answers = _Answers()
        self._store: SQLiteStore
        self._engine: Engine

    def __enter__(self) -> Self:
        self._here(self._open)
        return self

    def __exit__(self, *_: object) -> None:
        self._here(self._close)
        self._thread.shutdown()

    def _here(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it on the sandbox's own thread: a turn must not run inside another task's step. An
        activity that looks at its own engine is there already."""
        if threading.current_thread() is self._own:
            return function(*args, **kwargs)
        return self._thread.submit(function, *args, **kwargs).result()

    # Messages.

    @overload
    def start(
        self,
        orchestrator: Orchestrator[I, O],
        input: I = ...,
        /,
        *,
        id: str,
        on_conflict: OnConflict = "error",
        start_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> SandboxHandle[O]: ...
    @overload
    def start(
        self,
        orchestrator: str,
        input: Any = ...,
        /,
        *,
        id: str,
        on_conflict: OnConflict = "error",
        start_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> SandboxHandle[Any]: ...
    def start(
        self,
        orchestrator: Any,
        input: Any = None,
        /,
        *,
        id: str,
        on_conflict: OnConflict = "error",
        start_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> SandboxHandle[Any]:
        """As `Client.start`, then runs until nothing is left to do."""
        name = orchestrator.name if isinstance(orchestrator, Orchestrator) else str(orchestrator)
        text = codec.encode(input, f"The input of orchestrator {name!r}")
        self._send(
            lambda reply: StartInstance(
                name=name,
                id=check_instance_id(id),
                input=text,
                on_conflict=on_conflict,
                start_at=start_at,
                tags=dict(tags or {}),
                reply=reply,
            )
        )
        return SandboxHandle(self, id)

    def raise_event(
        self, id: str, name: str, data: Any = None, /, *, event_id: str = ""
    ) -> EventAnswer:
        """As `Client.raise_event`, then runs until nothing is left to do."""
        check_name("an event name", name)
        text = codec.encode(data, f"The data of event {name!r}")
        return self._send(
            lambda reply: RaiseEvent(id=id, name=name, data=text, event_id=event_id, reply=reply)
        )

    def update(
        self,
        id: str,
        name: str,
        data: Any = None,
        /,
        *,
        update_id: str,
        by: Actor | None = None,
    ) -> Any:
        """As `Client.update`. Raises also: AdjournError when nothing has answered it yet; the
        same `update_id` asks again."""
        text = codec.encode(data, f"The data of update {name!r}")
        answer = self._send(
            lambda reply: SendUpdate(
                id=id, name=name, data=text, update_id=update_id, by=by, reply=reply
            )
        )
        return msgspec.json.decode(answer)

    def suspend(self, id: str, reason: str = "", /) -> None:
        self._send(lambda reply: Control(id=id, action="suspend", reason=reason, reply=reply))

    def resume(self, id: str, reason: str = "", /) -> None:
        self._send(lambda reply: Control(id=id, action="resume", reason=reason, reply=reply))

    def terminate(self, id: str, reason: str = "", /, *, recursive: bool = True) -> None:
        self._send(
            lambda reply: Control(
                id=id, action="terminate", reason=reason, recursive=recursive, reply=reply
            )
        )

    def settle(
        self, id: str, sequence: int, outcome: SettledAs, /, *, by: str, result: Any = None
    ) -> None:
        """As `Client.settle`."""
        text = codec.encode(result, "The result")
        self._send(
            lambda reply: SettleActivity(
                id=id, sequence=sequence, outcome=outcome, by=by, result=text, reply=reply
            )
        )

    # Looking.

    def get(self, id: str, /) -> InstanceState:
        """As `Client.get`."""
        return self._here(lambda: state_by_id(self._engine, id))

    def result(self, id: str, /) -> Any:
        """The result of a finished instance. Raises: as `Client.result`, and AdjournError when it
        has not finished."""
        state = self.get(id)
        if not state.status.finished:
            raise AdjournError(
                f"{id!r} is {state.status} and waits for {state.waiting_for or 'a timer'}: send "
                "what it waits for, or advance the clock."
            )
        return decode_result(state, self.app.orchestrators.get(state.name))

    def list(self, query: Query | None = None) -> Page:
        """One page of instances."""
        return self._here(lambda: views.page_of(self._store, query or Query()))

    def history(self, id: str, /, *, execution: int | None = None) -> list[HistoryEntry]:
        """As `Client.history`."""
        return self._here(lambda: views.history_of(self._store, id, execution))

    def inbox(self, group: str = "") -> SandboxInbox:
        """The open questions, oldest first; with `group`, those addressed to that group."""
        query = InboxQuery(
            person="",
            recipients=[],
            now=self.clock.now(),
            view="all",
            group=f"group:{group}" if group else "",
            order="oldest",
            limit=1_000,
        )
        rows = self._here(lambda: self._store.inbox(query)).rows
        return SandboxInbox(self, rows, group)

    def inbox_page(self, query: InboxQuery) -> InboxPage:
        """As `client.approvals.inbox`."""
        return self._here(lambda: self._store.inbox(query))

    def inbox_counts(self, query: InboxQuery) -> Counts:
        """As `client.approvals.counts`."""
        return self._here(lambda: self._store.inbox_counts(query))

    @property
    def client(self) -> Client:
        """For activities that look at the engine they run in; it only reads."""
        client = Client(self.app, ReadingBackend(self))
        client.approvals = Approvals(client.backend, self.clock)
        return client

    @property
    def now(self) -> datetime:
        """The moment on the virtual clock."""
        return self.clock.now()

    def next_number(self) -> int:
        """1, 2, 3, ...: of what is sent without an id of its own."""
        return next(self._numbers)

    def inbox_row(self, id: str) -> InboxRow | None:
        """What the inbox shows of an instance, ended or not."""
        return self._here(lambda: views.inbox_row_of(self._store, id))

    # Time, activities, crashes.

    def advance(self, by: timedelta | None = None, /, **span: float) -> None:
        """Move the clock, stopping at every timer on the way: `advance(days=7)`."""
        self._here(self._advance, by if by is not None else timedelta(**span))

    @property
    def waiting_activities(self) -> Sequence[ActivityCall]:
        """Attempts that have been started and not run, with `run_activities=False`."""
        return tuple(self._queue.calls)

    def run_next_activity(self) -> str:
        """Run the oldest waiting attempt; returns its name."""
        return self._here(self._run_next)

    def crash(self) -> None:
        """What kill -9 leaves: only what was committed. Then starts again on the same store."""
        self._here(self._crash)

    def crash_at(self, point: CrashPoint, nth: int = 1) -> None:
        """Crash and start again when the engine reaches `point` for the `nth` time from now.

        The call in progress then returns as if nobody had answered it.
        """
        self._armed = (point, nth)

    # Inside.

    def _open(self) -> None:
        self._own = threading.current_thread()
        self._store = self._open_store()
        self._begin()

    def _open_store(self) -> SQLiteStore:
        return SQLiteStore(self._where, sealer=sealer_from(self.app.privacy.encryption_keys_env))

    def _begin(self) -> None:
        self._queue = _Queue()
        self._engine = Engine(
            self.app, self._store, self._queue, cache_size=self._cache_size, reached=self._reached
        )
        try:
            self._engine.recover(self.clock.now())
        except SimulatedCrash:
            self.crashes += 1
            self._crash()
            return
        self._run()

    def _close(self) -> None:
        self._engine.memory.trim(0)
        self._store.close()
        if self._runner is not None:
            self._runner.close()

    def _loop(self) -> asyncio.Runner:
        """One event loop for all async activities: a client that one opens, the next may use."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner

    def _reached(self, point: CrashPoint) -> None:
        if self._armed is None or self._armed[0] != point:
            return
        if self._armed[1] > 1:
            self._armed = (point, self._armed[1] - 1)
            return
        self._armed = None
        raise SimulatedCrash

    def _crash(self) -> None:
        self._engine.memory.trim(0)
        if not self._store.memory:
            self._store.abandon()
            self._store = self._open_store()
        self._begin()

    def _send(self, make: Callable[[Any], Message]) -> Any:
        ticket = _Answer()
        message = make((self._answers, ticket))
        self._here(self._hand_over, message)
        if ticket.error is not None:
            raise ticket.error
        if not ticket.arrived:
            raise AdjournError("Nobody has answered this yet.")
        return ticket.value

    def _hand_over(self, message: Message) -> None:
        self._engine.submit(message)
        self._run()

    def _run(self) -> None:
        """Turns and activities until nothing is left to do now."""
        for _ in range(STEP_LIMIT):
            try:
                more = self._engine.step(self.clock.now())
            except SimulatedCrash:
                self.crashes += 1
                self._crash()
                return
            if self._engine.disk_full:
                return
            if more or not self._engine.inbox.empty():
                continue
            if self.run_activities and self._queue.calls:
                self._run_activity(self._queue.calls.popleft())
                continue
            earliest = self._engine.earliest_timer()
            if earliest is None or from_microseconds(earliest) > self.clock.now():
                return
        raise AdjournError("The sandbox does not become idle: does a workflow loop for ever?")

    def _run_next(self) -> str:
        if not self._queue.calls:
            raise AdjournError("No activity waits to be run.")
        call = self._queue.calls.popleft()
        self._run_activity(call)
        self._run()
        return call.activity.name

    def _run_activity(self, call: ActivityCall) -> None:
        activity = call.activity
        try:
            arguments = activity.decode_arguments(call.input)
            with activity_context(context_of(call, self.clock.now)):
                value = (
                    self._loop().run(_awaited(activity.function, arguments), context=copy_context())
                    if activity.is_async
                    else activity.function(**arguments)
                )
            finished = ActivityFinished(call=call, result=activity.encode_result(value))
        except BaseException as error:  # recorded, as everywhere: an activity ends no process
            finished = ActivityFinished(
                call=call, failure=failure_of(error, self.app.redactor.text)
            )
        self._engine.submit(finished)

    def _advance(self, by: timedelta) -> None:
        target = self.clock.now() + by
        for _ in range(STEP_LIMIT):
            self._run()
            earliest = self._engine.earliest_timer()
            full = self._engine.disk_full
            if full or earliest is None or from_microseconds(earliest) > target:
                break
            self.clock.move_to(from_microseconds(earliest))
        self.clock.move_to(target)
        self._run()


async def _awaited(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    return await awaitable_function(function)(**arguments)
