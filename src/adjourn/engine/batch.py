"""One step in the making: what is touched, what will be written, what is told after the commit."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from hashlib import sha256
from typing import Any

from adjourn.engine.instance import Instance
from adjourn.engine.listing import listing_of
from adjourn.engine.memory import Memory
from adjourn.engine.messages import (
    ActivityCall,
    AwaitResult,
    Mailbox,
    Outcome,
    RaiseEvent,
    Read,
    Reply,
)
from adjourn.model.events import Arrived, Event
from adjourn.model.inbox import ExecutionState
from adjourn.model.state import Ending, to_microseconds
from adjourn.store.protocol import Attribute, Changes, ReceiptRow, Timer


class Batch:
    """Filled while deciding, written by commit, told by publish; forgotten on a full disk."""

    def __init__(self, memory: Memory, now: datetime) -> None:
        self.memory = memory
        self.now = now
        self.now_us = to_microseconds(now)
        self.touched: dict[int, Instance] = {}
        self.due: list[Timer] = []
        self.more_timers = False
        self.started: list[int] = []
        self.internal: deque[tuple[int, int, Arrived] | RaiseEvent] = deque()
        """From one instance to another: an outcome (key, execution, event), or an event sent."""
        self.room_for_events = 0
        """How many more events instances may send each other in this step."""
        self.timers_added: dict[Timer, None] = {}
        self.timers_removed: dict[Timer, None] = {}
        self.receipts: list[ReceiptRow] = []
        self.receipts_cleared: list[int] = []
        self.attributes: list[tuple[int, str, Attribute]] = []
        self.executions: list[tuple[int, ExecutionState]] = []
        """What became of approved effects: the approval's key, and its state now."""
        self.listed: dict[str, str] = {}
        """Ids of which the inbox shows something new, and whose they are."""
        self.calls: list[ActivityCall] = []
        self.cancelled: list[ActivityCall] = []
        self.taken_off: list[ActivityCall] = []
        """Calls that this step ended: they are in flight again if it is undone."""
        self.runnable: list[int] = []
        self.finished: dict[int, Ending] = {}
        self.replies: list[tuple[Reply | None, Any, Exception | None]] = []
        self.update_answers: list[tuple[int, str, Any, Exception | None]] = []
        self.awaiting: list[AwaitResult] = []
        self.reads: list[Read] = []

    # Deciding.

    def append(self, instance: Instance, event: Event) -> None:
        """Chain one more row to the history of this execution."""
        row = instance.row
        body = self.memory.store.rows.write(row.id, row.execution, row.length + 1, event)
        row.length += 1
        row.head = sha256(row.head + body).digest()  # chain.link, without the call
        row.updated_at = self.now_us
        instance.fresh.append((row.key, row.execution, row.length, body, row.head))
        self.touched[row.key] = instance

    def touch(self, instance: Instance) -> None:
        instance.row.updated_at = self.now_us
        self.touched[instance.row.key] = instance

    def add_timer(self, timer: Timer) -> None:
        self.timers_added[timer] = None

    def remove_timer(self, timer: Timer) -> None:
        """Remove a timer, whether it is on disk or was added in this very step."""
        if timer in self.timers_added:
            del self.timers_added[timer]
        else:
            self.timers_removed[timer] = None

    def take_off(self, key: int, execution: int, sequence: int) -> ActivityCall | None:
        """This attempt is over, or nobody waits for it: it is not in flight any more."""
        call = self.memory.in_flight.pop((key, execution, sequence), None)
        if call is not None:
            self.taken_off.append(call)
        return call

    def prevents(self, call: ActivityCall | None) -> bool:
        """Whether it was asked for in this very step, and so has not begun."""
        return any(each is call for each in self.calls)

    def answer(
        self, reply: Reply | None, value: Any = None, *, error: Exception | None = None
    ) -> None:
        self.replies.append((reply, value, error))

    # Committing.

    def changes(self) -> Changes:
        changes = Changes(
            timers_added=list(self.timers_added),
            timers_removed=list(self.timers_removed),
            receipts=self.receipts,
            receipts_cleared=self.receipts_cleared,
            attributes=self.attributes,
            inbox_executions=self.executions,
        )
        for instance in self.touched.values():
            if not instance.stored:
                changes.inserted.append(instance.row)
            elif instance.written == (seldom := instance.seldom_changed):
                changes.advanced.append(instance.row)
            else:
                changes.updated.append(instance.row)
                instance.written = seldom  # if the commit fails, the instance is dropped
            changes.history += instance.fresh
            self._list(changes, instance)
        return changes

    def _list(self, changes: Changes, instance: Instance) -> None:
        """The inbox follows, in the same commit."""
        shown = listing_of(instance, self.memory.store)
        if shown is None and not instance.listed:
            return
        changes.inbox.append((instance.row.key, shown))
        instance.listed = shown is not None  # if the commit fails, the instance is dropped
        self.listed[instance.row.id] = instance.row.tenant

    # Publishing.

    def settle(self) -> None:
        """The commit holds: what was fresh is stored, calls are in flight."""
        memory = self.memory
        for instance in self.touched.values():
            instance.stored = True
            instance.fresh = []
            memory.note(instance)
        for key in self.finished:
            instance = memory.cache.get(key)
            if instance is not None:
                instance.let_go()
        ended = {id(call) for call in self.cancelled}
        self.calls = [call for call in self.calls if id(call) not in ended]
        memory.runnable.extend(self.runnable)
        for key, update_id, value, error in self.update_answers:
            for reply in memory.update_waiters.pop((key, update_id), ()):
                self.answer(reply, value, error=error)

    def forget(self) -> None:
        """Nothing was written: throw away everything in memory that says otherwise."""
        memory = self.memory
        for instance in self.touched.values():
            memory.drop(instance)
        for call in self.calls:
            memory.in_flight.pop((call.key, call.execution, call.sequence), None)
        new = {id(call) for call in self.calls}
        for call in self.taken_off:
            if id(call) not in new:
                memory.in_flight[(call.key, call.execution, call.sequence)] = call
        self.replies.clear()
        self.update_answers.clear()

    def deliver(self) -> None:
        """Hand the answers over, one batch a mailbox: a thread hop costs more than an answer."""
        boxes: dict[Mailbox, list[Outcome]] = {}
        for reply, value, error in self.replies:
            if reply is not None:
                boxes.setdefault(reply[0], []).append((reply[1], value, error))
        self.replies.clear()
        for mailbox, outcomes in boxes.items():
            mailbox.deliver(outcomes)
