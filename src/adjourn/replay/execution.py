"""An execution: one orchestrator at one point of its history.

`apply(event)` hands it one event and runs it until it waits again; `take_commands()` is what it
asked for meanwhile. A live execution and one rebuilt from history are the same thing
(tests/properties/test_replay.py).
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, assert_never

import msgspec

from adjourn.authoring.context import Attribute
from adjourn.authoring.functions import Activity, Orchestrator
from adjourn.authoring.registry import Registry
from adjourn.errors import (
    ActivityFailedError,
    AdjournError,
    DeterminismError,
    InvalidPayloadError,
    Refusal,
    SubOrchestrationFailedError,
)
from adjourn.model import codec, commands, events
from adjourn.model.codec import Reader
from adjourn.model.commands import Command
from adjourn.model.events import Arrived, ExternalEventReceived, UpdateReceived
from adjourn.model.failure import describe
from adjourn.replay.code import drive, line_that_asked, taught
from adjourn.replay.loop import DeterministicLoop, Runaway
from adjourn.replay.messages import Key, Message, Request, key_of, validate
from adjourn.replay.tasks import ActivityTask, ChildTask, TimerTask, WaitTask, complete

_undying: list[asyncio.Task[Any]] = []
"""Coroutines that swallow every cancellation. Freeing one would throw GeneratorExit into it, and
its endless `except BaseException` would hang the engine: better a leak that somebody can find."""

COMMAND_BUDGET = 20_000  # commands in one turn
CANCEL_ROUNDS = 10  # how often a parked coroutine may refuse to be cancelled

_BEFORE_TIME = datetime.min.replace(tzinfo=UTC)


class GivesUp(BaseException):
    """Ends the orchestrator where it must not go on. As ContinuesAsNew."""


class ContinuesAsNew(BaseException):
    """Ends the orchestrator at continue_as_new. Not an Exception: user code must not catch it."""


class Execution:
    """One execution of one instance, in memory."""

    __slots__ = (
        "_arrivals",
        "_broken",
        "_buffer",
        "_closing",
        "_commands",
        "_deferred",
        "_delivered",
        "_loop",
        "_main",
        "_on_fire",
        "_runaway",
        "_waits",
        "activities",
        "attributes",
        "attributes_changed",
        "children",
        "custom_status",
        "decisions",
        "finished",
        "input",
        "instance_id",
        "next_input",
        "now",
        "number",
        "orchestrator",
        "registry",
        "replaying",
        "sequence",
        "set_aside",
        "started_at",
        "suspended",
        "timers",
        "trace",
        "unanswered",
    )

    def __init__(
        self,
        registry: Registry,
        orchestrator: Orchestrator[Any, Any],
        instance_id: str,
        number: int,
    ) -> None:
        self.registry = registry
        self.orchestrator = orchestrator
        self.instance_id = instance_id
        self.number = number
        self.replaying = False
        self.set_aside: dict[str, events.UpdateRefused] = {}
        """Updates that history shows as set aside, by id: for a replay."""
        self.now = _BEFORE_TIME
        self.started_at = _BEFORE_TIME
        self.input: Any = None
        self.sequence = 0
        self.suspended = False
        self.finished = False
        self.custom_status: msgspec.Raw | None = None
        self.attributes: dict[str, Attribute] = {}
        self.attributes_changed = False
        self.activities: dict[int, ActivityTask] = {}
        """Those without a result, by sequence."""
        self.children: dict[int, ChildTask] = {}
        """Those without a result, by sequence."""
        self.decisions: dict[str, msgspec.Raw] = {}
        """Approved values as they were decided, by the approval's id."""
        self.timers: dict[int, datetime] = {}
        """Running timers: sequence to fire time."""
        self.unanswered: set[str] = set()
        """Ids of updates without an answer."""
        self._on_fire: dict[int, Callable[[], None]] = {}
        self._waits: dict[Key, list[WaitTask]] = {}
        self._buffer: dict[Key, deque[tuple[int, Message]]] = {}
        self._delivered: dict[WaitTask, tuple[int, Message]] = {}
        self._arrivals = 0
        self._deferred: list[Arrived] = []
        self._commands: list[Command] = []
        self.trace: list[str] | None = None
        """The line that asked for each command, where somebody wants to know."""
        self._closing = False
        self._runaway = ""
        self._broken = ""
        self.next_input: msgspec.Raw | None = None
        self._loop = DeterministicLoop(self._seconds, self._set_loop_timer)
        self._loop.owner = self
        self._main: asyncio.Task[Any] | None = None

    # What the caller does.

    def apply(self, event: Arrived) -> None:
        """Hand over one event and run until nothing is ready.

        Raises: DeterminismError when the turn does not end; nothing else, whatever the code does.
        """
        if self.finished:
            self._deferred.append(event)  # it came in the turn of the end: `unconsumed` tells
            return
        if self.suspended and not isinstance(
            event, events.InstanceResumed | events.InstanceTerminated
        ):
            self._deferred.append(event)
            return
        self.now = max(self.now, event.at)
        self._deliver(event)
        if isinstance(event, events.InstanceResumed):
            while self._deferred and not self.finished:  # the rest is carried over, or reported
                self._deliver(self._deferred.pop(0))
                self._run()
        else:
            self._run()

    def take_commands(self) -> list[Command]:
        """What was asked since the last call, in order."""
        taken, self._commands = self._commands, []
        return taken

    def waiting_for(self) -> list[str]:
        """Names of the events and updates with a live wait, as written in the code."""
        if not self._waits:
            return []
        return [wait.name for waits in self._waits.values() for wait in waits]

    def event_wait(self, name: str) -> WaitTask | None:
        """The wait that gets the next external event of this name, in any letter case."""
        waits = self._waits.get(("event", name.casefold()))
        return waits[0] if waits else None

    def check_message(self, message: Message) -> None:
        """Refuse at the door what the live wait that would get it cannot read, or its validator
        does not want.

        Raises: InvalidPayloadError, Refusal.
        """
        waits = self._waits.get(key_of(message))
        if waits and not self.suspended:
            value = codec.read(waits[0].decode, message.data, f"The data of {message.name!r}")
            validate(waits[0], message, value)

    @property
    def buffered(self) -> int:
        """How many messages wait for somebody to consume them."""
        if not self._buffer:
            return len(self._deferred)
        return sum(map(len, self._buffer.values())) + len(self._deferred)

    def unconsumed(self) -> list[Message]:
        """Messages that the code was never told of, in order of arrival."""
        kept = [entry for queue in self._buffer.values() for entry in queue]
        kept += [entry for wait, entry in self._delivered.items() if not wait.told]
        messages = [message for _, message in sorted(kept, key=lambda entry: entry[0])]
        messages += [
            event
            for event in self._deferred
            if isinstance(event, ExternalEventReceived | UpdateReceived)
        ]
        return messages

    def close(self) -> None:
        """Let go of a parked execution: its coroutines are cancelled, what they ask is dropped.

        Dropping it instead would leak (tests/replay/test_execution.py).
        """
        self._cancel_coroutines()
        self._break_cycles()

    def _cancel_coroutines(self) -> None:
        self._closing = True
        self._loop.stopped = False
        main = self._main
        for _ in range(CANCEL_ROUNDS):
            tasks_left = self._loop.cancel_tasks()
            if main is not None and not main.done():
                main.cancel()
            elif not tasks_left:
                break
            try:
                self._loop.run_until_idle()
            except BaseException:  # a parked finally block may raise anything; nobody waits for it
                break
        if main is not None and not main.done():
            _undying.append(main)
        # `main` too: the traceback of its cancellation holds this frame, and so would hold it.
        self._main = main = None

    def _break_cycles(self) -> None:
        """So that it is freed at once: left to the collector, evictions cost a third of all time
        (benchmarks/approval.py)."""
        self._commands = []
        self._loop.let_go()
        self.activities.clear()
        self.children.clear()
        for table in (self._on_fire, self._waits, self._buffer, self._delivered):
            table.clear()

    # Events in.

    def _deliver(self, event: Arrived) -> None:
        match event:
            case events.InstanceStarted():
                self._start(event)
            case events.ActivityCompleted(sequence=sequence, result=result):
                complete(self.activities.pop(sequence, None), result)
            case events.SubOrchestrationCompleted(sequence=sequence, result=result):
                complete(self.children.pop(sequence, None), result)
            case events.ActivityFailed(sequence=sequence, failure=failure):
                task = self.activities.pop(sequence, None)
                if task is not None:
                    task.fail(ActivityFailedError(task.name, failure))
            case events.SubOrchestrationFailed(sequence=sequence, failure=failure):
                task = self.children.pop(sequence, None)
                if task is not None:
                    task.fail(SubOrchestrationFailedError(task.name, failure))
            case events.TimerFired(sequence=sequence):
                self.timers.pop(sequence, None)
                fire = self._on_fire.pop(sequence, None)
                if fire is not None:
                    fire()
            case events.ExternalEventReceived() | events.UpdateReceived():
                self._receive(event)
            case events.InstanceSuspended():
                self.suspended = True
            case events.InstanceResumed():
                self.suspended = False
            case events.InstanceTerminated():
                self.finished = True
            case (
                events.ActivityRetryScheduled()
                | events.ActivityRecovered()
                | events.ActivityInDoubt()
            ):
                pass  # the engine's business; the orchestrator sees outcomes only
            case _:
                assert_never(event)

    def _start(self, event: events.InstanceStarted) -> None:
        from adjourn.replay.context import ReplayContext

        self.started_at = event.at
        context = ReplayContext(self)
        try:
            self.input = self.orchestrator.decode_input(event.input)
            arguments = (context, self.input) if self.orchestrator.takes_input else (context,)
            made = self.orchestrator.function(*arguments)
        except Exception as error:
            self._end(self._failed(error))
            return
        coroutine = drive(made) if self.orchestrator.is_generator else made
        self._main = asyncio.Task(coroutine, loop=self._loop, name=self.instance_id)  # pyright: ignore  # a duck-typed loop is enough for asyncio.Task

    def _receive(self, message: Message) -> None:
        self._arrivals += 1
        if isinstance(message, UpdateReceived):
            self.unanswered.add(message.update_id)
        key = key_of(message)
        self._buffer.setdefault(key, deque()).append((self._arrivals, message))
        self._serve(key)

    def _serve(self, key: Key) -> None:
        """Match the oldest messages with the oldest live waits."""
        queue, waits = self._buffer.get(key), self._waits.get(key)
        while queue and waits:
            arrival, message = queue.popleft()
            wait = waits[0]
            try:
                value = self._taken(wait, message)
            except Refusal as refusal:
                self._set_aside(message, refusal)
                continue
            waits.pop(0)
            if isinstance(message, UpdateReceived):
                value = Request(self.answer, message, value)
            self._delivered[wait] = (arrival, message)
            wait.delivered = message
            wait.complete(value)
        if not waits:
            self._waits.pop(key, None)
        if not queue:
            self._buffer.pop(key, None)

    def _taken(self, wait: WaitTask, message: Message) -> Any:
        """The value for this wait. What was taken or set aside once stays so on replay: validators
        and the schemas that they ask may have changed since.

        Raises: Refusal.
        """
        recorded = self.set_aside.get(getattr(message, "update_id", ""))
        if recorded is not None:
            details = msgspec.json.decode(recorded.details)
            raise Refusal(recorded.reason, recorded.refusal, details)
        try:
            value = codec.read(wait.decode, message.data, f"The data of {message.name!r}")
        except InvalidPayloadError as error:
            raise Refusal(str(error)) from error
        if not self.replaying:
            validate(wait, message, value)
        return value

    def _set_aside(self, message: Message, refusal: Refusal) -> None:
        reason = refusal.reason
        match message:
            case UpdateReceived(update_id=update_id):
                details = codec.encode(refusal.details or None, "The details of a refusal")
                self.answer(
                    commands.RefuseUpdate(
                        update_id=update_id,
                        reason=reason,
                        refusal=refusal.kind,
                        details=details,
                        unheard=True,
                    )
                )
            case ExternalEventReceived(name=name, event_id=event_id):
                self.ask(commands.SetEventAside(name=name, event_id=event_id, reason=reason))
            case _:
                assert_never(message)

    # Running.

    def _run(self) -> None:
        try:
            self._loop.run_until_idle()
        except Runaway as error:
            raise self._does_not_end(str(error)) from None
        except BaseException as error:  # SystemExit and KeyboardInterrupt pass through tasks
            self._end(self._failed(error))
            return
        if self._runaway:
            raise self._does_not_end(self._runaway)
        if self._broken:
            self.close()
            raise DeterminismError(self._broken)
        if self._delivered:
            self._forget_told()
        if self.next_input is not None:
            self._end(commands.ContinueAsNew(input=self.next_input))
        elif self.finished:
            return
        elif self._main is not None and self._main.done():
            self._end(self._outcome(self._main))
        elif not (self._waits or self.timers or self.activities or self.children):
            raise self._can_never_go_on()

    def _can_never_go_on(self) -> DeterminismError:
        self.close()
        return DeterminismError(
            f"The orchestrator {self.orchestrator.name!r} waits for something that history can "
            "never bring: a future from outside, or another coroutine that waits as well. Wait for "
            "activities, timers, events and updates of the context."
        )

    def _forget_told(self) -> None:
        for wait in [wait for wait in self._delivered if wait.told]:
            del self._delivered[wait]
            wait.delivered = None

    def _does_not_end(self, how: str) -> DeterminismError:
        self.close()
        return DeterminismError(
            f"The orchestrator {self.orchestrator.name!r} does not stop: {how}. Let each round "
            "wait for an activity, an event or a timer, and use continue_as_new for endless work."
        )

    def _outcome(self, main: asyncio.Task[Any]) -> Command:
        if main.cancelled():
            return self._failed(CancelledError("it cancelled itself"))
        error = main.exception()
        if error is None:
            try:
                return commands.CompleteInstance(
                    result=self.orchestrator.encode_result(main.result())
                )
            except AdjournError as unfit:
                error = unfit
        return self._failed(taught(error))

    def _failed(self, error: BaseException) -> commands.FailInstance:
        failure = describe(error, hide=self.registry.redactor.text)
        return commands.FailInstance(failure=failure)

    def _end(self, command: Command) -> None:
        self.finished = True
        self.ask(command)
        self._cancel_coroutines()

    # What the code asks.

    def ask(self, command: Command) -> None:
        """Record a command, unless the execution is being let go."""
        if self._closing:
            return
        if len(self._commands) >= COMMAND_BUDGET:
            self._runaway = f"one turn asked for more than {COMMAND_BUDGET:,} things"
            raise Runaway(self._runaway)
        self._commands.append(command)
        if self.trace is not None:
            self.trace.append(line_that_asked())

    def give_up(self, explanation: str) -> NoReturn:
        """Stop here, so that the instance is quarantined: going on would do harm."""
        self._broken = explanation
        self._loop.stopped = True
        raise GivesUp

    def next_sequence(self) -> int:
        self.sequence += 1
        return self.sequence

    def require_turn(self) -> None:
        """Raises: DeterminismError when the context is used outside its orchestrator."""
        if not self._loop.running:
            raise DeterminismError(
                "The context works only inside its orchestrator. Activities and callbacks get "
                "values as arguments instead."
            )

    def open_activity(
        self,
        name: str,
        input: msgspec.Raw,
        decode: Reader,
        approval: str = "",
        body: Activity[..., Any] | None = None,
    ) -> ActivityTask:
        """`body` is what a registry cannot know: see replay/hosted.py."""
        sequence = self.next_sequence()
        task = ActivityTask(self._loop, self, sequence, name, decode, approval)
        task.body = body
        self.activities[sequence] = task
        self.ask(
            commands.ScheduleActivity(
                sequence=sequence,
                name=name,
                input=input,
                approval=approval,
                hosted=body is not None,
            )
        )
        return task

    def open_child(
        self,
        command: commands.StartSubOrchestration,
        decode: Reader,
        kind: type[ChildTask] = ChildTask,
    ) -> ChildTask:
        task = kind(self._loop, self, command.sequence, command.name, decode)
        task.instance_id = command.instance_id
        self.children[command.sequence] = task
        self.ask(command)
        return task

    def open_timer(self, fire_at: datetime) -> TimerTask:
        return TimerTask(self._loop, self, fire_at)

    def open_wait(self, kind: str, name: str, decode: Reader, validator: Any = None) -> WaitTask:
        key = (kind, name.casefold())
        sequence = self.next_sequence()
        wait = WaitTask(self._loop, self, sequence, name, key, decode, validator, self.now)
        self.listen(wait)
        return wait

    @property
    def loop(self) -> DeterministicLoop:
        return self._loop

    def answer(self, command: commands.AcceptUpdate | commands.RefuseUpdate) -> None:
        if command.update_id not in self.unanswered:
            raise AdjournError(f"Update {command.update_id!r} has been answered already.")
        self.unanswered.discard(command.update_id)
        self.ask(command)

    # What tasks ask (replay.tasks.Asks).

    def cancel_activity(self, sequence: int) -> None:
        if not self._closing and self.activities.pop(sequence, None) is not None:
            self.ask(commands.CancelActivity(sequence=sequence))

    def cancel_child(self, sequence: int) -> None:
        if self._closing:
            return
        child = self.children.pop(sequence, None)
        if child is not None:
            self.ask(
                commands.CancelSubOrchestration(sequence=sequence, instance_id=child.instance_id)
            )

    def start_timer(self, fire_at: datetime, task: TimerTask) -> int:
        return self._set_timer(fire_at, lambda: task.complete(None))

    def cancel_timer(self, sequence: int) -> None:
        if self._closing:
            return  # what is still open at the end is the engine's to clear
        fire_at = self.timers.pop(sequence, None)
        if fire_at is not None:
            self._on_fire.pop(sequence, None)
            self.ask(commands.CancelTimer(sequence=sequence, fire_at=fire_at))

    def listen(self, wait: WaitTask) -> None:
        self._waits.setdefault(wait.key, []).append(wait)
        if wait.key in self._buffer:
            self._serve(wait.key)

    def unlisten(self, wait: WaitTask) -> None:
        waits = self._waits.get(wait.key)
        if waits and wait in waits:
            waits.remove(wait)
            if not waits:
                del self._waits[wait.key]

    def give_back(self, wait: WaitTask) -> None:
        """The code was never told of this message: put it back where it stood."""
        if self._closing or wait not in self._delivered:
            return
        entry = self._delivered.pop(wait)
        wait.take_back()
        queue = self._buffer.setdefault(wait.key, deque())
        queue.append(entry)
        self._buffer[wait.key] = deque(sorted(queue, key=lambda kept: kept[0]))
        self._serve(wait.key)

    # Time.

    def _set_timer(self, fire_at: datetime, fire: Callable[[], None]) -> int:
        sequence = self.next_sequence()
        self.timers[sequence] = fire_at
        self._on_fire[sequence] = fire
        self.ask(commands.CreateTimer(sequence=sequence, fire_at=fire_at))
        return sequence

    def _seconds(self) -> float:
        return (self.now - self.started_at).total_seconds()

    def _set_loop_timer(self, when: float, fire: Callable[[], None]) -> Callable[[], None]:
        sequence = self._set_timer(self.started_at + timedelta(seconds=when), fire)
        return lambda: self.cancel_timer(sequence)
