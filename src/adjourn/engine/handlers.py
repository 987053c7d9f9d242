"""What each message does. A handler raises an AdjournError before it has changed anything, or not
at all."""

from __future__ import annotations

import logging
from typing import Any, assert_never

import msgspec

from adjourn.engine import approved, bookkeeping, endings, recovery, turns
from adjourn.engine.batch import Batch
from adjourn.engine.instance import Instance
from adjourn.engine.listing import number_of
from adjourn.engine.messages import (
    ActivityCall,
    ActivityFinished,
    Control,
    EventAnswer,
    RaiseEvent,
    SendUpdate,
    SettleActivity,
    StartInstance,
)
from adjourn.engine.senders import check_sender
from adjourn.errors import (
    InstanceExistsError,
    InstanceFinishedError,
    InstanceNotFoundError,
    Refusal,
    TooManyEventsError,
    UnknownOrchestratorError,
    UpdateConflictError,
    WrongStateError,
)
from adjourn.model import codec, events
from adjourn.model.actor import TENANT
from adjourn.model.codec import NULL
from adjourn.model.failure import FailureDetails
from adjourn.model.ids import check_instance_id, check_name, check_tenant
from adjourn.model.state import to_microseconds
from adjourn.model.status import Status

_log = logging.getLogger("adjourn.engine")

EVENT_BUFFER_LIMIT = 10_000  # unconsumed messages of one instance


# Starts.


def start(batch: Batch, message: StartInstance) -> None:
    """Answers whether a new instance (or execution) was started: (id, True or False).

    Raises: InstanceExistsError, which says nothing of an instance of another tenant.
    """
    check_instance_id(message.id)
    check_name("an orchestrator name", message.name)
    for name, value in message.tags.items():
        codec.check_text("A tag", name)
        codec.check_text(f"Tag {name!r}", value)
    tenant = check_tenant(message.tags[TENANT]) if TENANT in message.tags else ""
    registry = batch.memory.registry
    if message.name in registry.built_in:  # only ctx.approval may ask, and only as it asks
        raise UnknownOrchestratorError(message.name, registry.orchestrators)
    registry.find_orchestrator(message.name).check_input(message.input)
    found = batch.memory.look_up(message.id)
    if found is None:
        instance = bookkeeping.new_instance(
            batch,
            message.name,
            message.id,
            message.input,
            tags=message.tags,
            trace_context=message.trace_context,
            begins_at=message.start_at,
        )
    elif found.row.tenant != tenant:
        raise InstanceExistsError(message.id)
    elif _same_start(batch, found, message):
        batch.answer(message.reply, (message.id, False))
        return
    else:
        instance = _replace(batch, found, message)
    rows = batch.memory.store.rows
    instance.row.start_digest = rows.start_digest(message.id, message.name, message.input)
    _first_turn(batch, instance, message)
    batch.answer(message.reply, (message.id, True))


def _same_start(batch: Batch, found: Instance, message: StartInstance) -> bool:
    """Whether the instance that is there is the answer. Raises: InstanceExistsError."""
    row = found.row
    match message.on_conflict:
        case "return_existing":
            return True
        case "error":
            known = batch.memory.store.rows.same_start
            if known(row.start_digest, row.id, message.name, message.input):
                return True
            raise InstanceExistsError(row.id, row.status, "was started with another input")
        case "replace_finished":
            if not row.status.finished:
                raise InstanceExistsError(row.id, row.status, "has not finished")
            return False
        case "terminate_and_replace":
            return False
        case _:
            assert_never(message.on_conflict)


def _replace(batch: Batch, found: Instance, message: StartInstance) -> Instance:
    """A new life under the same id; earlier executions keep their history."""
    row = found.row
    if not row.status.finished:
        endings.terminate(batch, found, "replaced by a new start", recursive=True)
    orchestrator = batch.memory.registry.find_orchestrator(message.name)
    batch.touch(found)
    found.begin_execution(row.execution + 1)
    row.name, row.version = message.name, orchestrator.version
    row.status = Status.PENDING
    row.finished_at, row.custom_status = None, None
    row.created_at = batch.now_us
    row.parent = row.parent_execution = row.parent_sequence = None
    batch.receipts_cleared.append(row.key)
    batch.receipts = [receipt for receipt in batch.receipts if receipt[0] != row.key]
    row.tags = msgspec.json.encode(message.tags).decode()
    batch.attributes = [attribute for attribute in batch.attributes if attribute[0] != row.key]
    for name in batch.memory.store.attributes(row.key):
        batch.attributes.append((row.key, name, None))
    bookkeeping.begin(
        batch,
        found,
        message.input,
        at=message.start_at,
        tags=message.tags,
        trace_context=message.trace_context,
    )
    return found


def _first_turn(batch: Batch, instance: Instance, message: StartInstance) -> None:
    row = instance.row
    if message.start_at is not None and message.start_at > batch.now:
        row.visible_at = to_microseconds(message.start_at)
        batch.add_timer(bookkeeping.timer_row(row, row.visible_at, 0, "start"))
    else:
        turns.run_pending(batch, row.key)


# Events and updates.


def raise_event(batch: Batch, message: RaiseEvent) -> None:
    """Answers "accepted" or "duplicate"."""
    batch.answer(message.reply, take_event(batch, message))


def take_event(batch: Batch, message: RaiseEvent) -> EventAnswer:
    """Raises: InstanceNotFoundError, InstanceFinishedError, TooManyEventsError, and, unless
    another instance sent it, InvalidPayloadError: such a one is set aside by its receiver;
    UpdateForbiddenError."""
    check_name("an event name", message.name)
    if message.event_id:
        check_name("an event id", message.event_id)
    instance = batch.memory.find(message.id)
    row = instance.row
    if message.sender and message.tenant != row.tenant:  # to its code that id is mere data
        raise InstanceNotFoundError(message.id)
    check_sender(row, message)
    if message.event_id and _seen(batch, row.key, "event", message.event_id):
        return "duplicate"
    event = events.ExternalEventReceived(
        at=batch.now,
        name=message.name,
        data=message.data,
        event_id=message.event_id,
        by=message.by,
    )
    _require_room(instance)
    if message.wait:
        _require_wait(batch, instance, message)
    if not message.sender:
        _require_fit(batch, instance, event)
    if message.event_id:
        batch.receipts.append((row.key, "event", message.event_id, '"accepted"'))
    turns.turn(batch, instance, event)
    return "accepted"


def _require_wait(batch: Batch, instance: Instance, message: RaiseEvent) -> None:
    """Raises: UpdateConflictError, WrongStateError, InstanceFinishedError."""
    row = instance.row
    if row.status.finished:
        raise InstanceFinishedError(row.id, row.status)
    if row.status is not Status.RUNNING:
        raise WrongStateError(row.id, row.status, "take an answer", "Let an operator resume it.")
    execution = turns.execution_of(batch, instance)
    wait = None if execution is None else execution.event_wait(message.name)
    if wait is None or number_of(row, wait.sequence) != message.wait:
        raise UpdateConflictError(
            row.id, message.event_id, "That question has been answered or is over; nothing changed."
        )


def send_update(batch: Batch, message: SendUpdate) -> None:
    """Answered when the orchestrator answers, or with the answer that this id got before."""
    check_name("an update name", message.name)
    check_name("an update id", message.update_id)
    instance = batch.memory.find(message.id)
    row = instance.row
    check_sender(row, message)
    known = _receipt(batch, row.key, "update", message.update_id)
    if known is not None and known[0] is not None:
        answer = batch.memory.store.rows.show(row.id, f"answer {message.update_id}", known[0])
        _repeat_answer(batch, message, answer)
        return
    event = events.UpdateReceived(
        at=batch.now,
        name=message.name,
        update_id=message.update_id,
        data=message.data,
        by=message.by,
    )
    if known is None:
        if row.status is Status.SUSPENDED or row.status is Status.QUARANTINED:
            move = "Resume it first." if row.status is Status.SUSPENDED else "Repair it first."
            raise WrongStateError(row.id, row.status, "answer an update", move)
        _require_room(instance)
        try:
            _require_fit(batch, instance, event)
        except Refusal as refusal:
            who = message.by.id if message.by else "somebody"
            _log.info("%s refused %s's %s: %s", row.id, who, message.name, refusal.reason)
            raise refusal.error(row.id, message.update_id) from None
        if instance.quarantined:  # found out just now
            raise WrongStateError(row.id, row.status, "answer an update", "Repair it first.")
    if message.reply is not None:
        waiters = batch.memory.update_waiters
        waiters.setdefault((row.key, message.update_id), []).append(message.reply)
    if known is None:
        batch.receipts.append((row.key, "update", message.update_id, None))
        turns.turn(batch, instance, event)


def _seen(batch: Batch, key: int, kind: str, event_id: str) -> bool:
    return _receipt(batch, key, kind, event_id) is not None


def _receipt(batch: Batch, key: int, kind: str, event_id: str) -> tuple[str | None] | None:
    """The receipt on disk or of this very step."""
    if key in batch.receipts_cleared or key in batch.touched:
        for instance, its_kind, its_id, answer in reversed(batch.receipts):
            if (instance, its_kind, its_id) == (key, kind, event_id):
                return (answer,)
    if key in batch.receipts_cleared:
        return None
    return batch.memory.store.receipt(key, kind, event_id)


def _repeat_answer(batch: Batch, message: SendUpdate, answer: str) -> None:
    kept = msgspec.json.decode(answer, type=dict[str, msgspec.Raw])
    if "accepted" in kept:
        batch.answer(message.reply, kept["accepted"])
        return
    if "finished" in kept:
        status = msgspec.json.decode(kept["finished"], type=str)
        batch.answer(message.reply, error=InstanceFinishedError(message.id, status))
        return
    refusal = Refusal(
        msgspec.json.decode(kept["refused"], type=str),
        msgspec.json.decode(kept.get("kind", b'"refused"')),
        msgspec.json.decode(kept.get("details", b"null")),
    )
    batch.answer(message.reply, error=refusal.error(message.id, message.update_id))


def _require_room(instance: Instance) -> None:
    """Raises: InstanceFinishedError, TooManyEventsError."""
    row = instance.row
    if row.status.finished:
        raise InstanceFinishedError(row.id, row.status)
    if row.pending_events >= EVENT_BUFFER_LIMIT:
        raise TooManyEventsError(row.id, EVENT_BUFFER_LIMIT)


def _require_fit(
    batch: Batch, instance: Instance, event: events.ExternalEventReceived | events.UpdateReceived
) -> None:
    """Raises: InvalidPayloadError, Refusal."""
    if instance.row.status is Status.RUNNING:
        execution = turns.execution_of(batch, instance)
        if execution is not None:
            execution.check_message(event)


# Control.


def control(batch: Batch, message: Control) -> None:
    """Answers None. Raises: InstanceFinishedError, WrongStateError, SerializationError."""
    codec.check_text("The reason", message.reason)
    instance = batch.memory.find(message.id)
    row = instance.row
    if row.status.finished:
        raise InstanceFinishedError(row.id, row.status)
    match message.action:
        case "suspend":
            _suspend(batch, instance, message.reason)
        case "resume":
            _resume(batch, instance, message.reason)
        case "terminate":
            endings.terminate(batch, instance, message.reason, recursive=message.recursive)
        case _:
            assert_never(message.action)
    batch.answer(message.reply)


def _suspend(batch: Batch, instance: Instance, reason: str) -> None:
    row = instance.row
    if row.status is Status.SUSPENDED or row.status is Status.QUARANTINED:
        raise WrongStateError(row.id, row.status, "be suspended", "Nothing of it runs already.")
    event = events.InstanceSuspended(at=batch.now, reason=reason)
    if row.status is Status.PENDING:
        bookkeeping.keep(batch, instance, event)
    else:
        turns.turn(batch, instance, event)
    if row.status is Status.RUNNING or row.status is Status.PENDING:
        bookkeeping.set_status(instance, Status.SUSPENDED)


def _resume(batch: Batch, instance: Instance, reason: str) -> None:
    row = instance.row
    if row.status is not Status.SUSPENDED:
        raise WrongStateError(row.id, row.status, "be resumed", "Only a suspended one can.")
    event = events.InstanceResumed(at=batch.now, reason=reason)
    bookkeeping.set_status(instance, Status.RUNNING)
    if row.turned == 0:  # suspended before its first turn
        bookkeeping.set_status(instance, Status.PENDING)
        bookkeeping.keep(batch, instance, event)
        turns.run_pending(batch, row.key)
    else:
        turns.turn(batch, instance, event)


# Activities.


def activity_finished(batch: Batch, message: ActivityFinished) -> None:
    """A late or repeated outcome of an attempt that is not in flight any more is dropped."""
    call = message.call
    key = (call.key, call.execution, call.sequence)
    if batch.memory.in_flight.get(key) is not call:
        return
    batch.take_off(*key)
    approved.note(batch, call.approval, "done" if message.failure is None else "running")
    instance = batch.memory.by_key(call.key)
    if instance is None or instance.row.status.finished:
        return
    if message.failure is None:
        result = message.result or NULL
        event = events.ActivityCompleted(at=batch.now, sequence=call.sequence, result=result)
        turns.turn(batch, instance, event)
        return
    if message.timed_out and call.activity.at_most_once:
        recovery.doubt(
            batch, instance, call.sequence, message.failure.message, approval=call.approval
        )
        return
    _failed(batch, instance, call, message.failure)


def _failed(batch: Batch, instance: Instance, call: ActivityCall, failure: FailureDetails) -> None:
    """Decide about a retry, once: the answer is history from here on."""
    retry_at = call.activity.retry.next_attempt_at(
        attempts=call.failures + 1, first_at=call.first_at, now=batch.now, failure=failure
    )
    if retry_at is None:
        approved.note(batch, call.approval, "failed")
        event = events.ActivityFailed(at=batch.now, sequence=call.sequence, failure=failure)
        turns.turn(batch, instance, event)
        return
    bookkeeping.quiet(
        batch,
        instance,
        events.ActivityRetryScheduled(
            at=batch.now,
            sequence=call.sequence,
            attempt=call.attempt,
            failure=failure,
            retry_at=retry_at,
        ),
    )
    due = to_microseconds(retry_at)
    batch.add_timer(bookkeeping.timer_row(instance.row, due, call.sequence, "retry"))


def settle(batch: Batch, message: SettleActivity) -> None:
    """A person's word on an activity in doubt. Raises: WrongStateError when it is not in doubt."""
    codec.check_text("The reason", message.reason)
    check_name("a person's name", message.by)
    instance = batch.memory.find(message.id)
    row = instance.row
    if row.status.finished:
        raise InstanceFinishedError(row.id, row.status)
    found = bookkeeping.open_items_of(batch, instance).activities.get(message.sequence)
    if found is None or not found.in_doubt:
        raise WrongStateError(
            row.id,
            row.status,
            f"settle step {message.sequence}",
            "That step is not in doubt: look at the timeline.",
        )
    event: Any
    match message.outcome:
        case "again":
            approved.note(batch, found.approval, "running")
            recovery.again(batch, instance, message.sequence, found.attempt + 1)
        case "completed":
            event = events.ActivityCompleted(
                at=batch.now,
                sequence=message.sequence,
                result=message.result,
                settled_by=message.by,
            )
            approved.note(batch, found.approval, "done")
            turns.turn(batch, instance, event)
        case "failed":
            approved.note(batch, found.approval, "failed")
            failure = FailureDetails(type="SettledAsFailed", message=message.reason)
            event = events.ActivityFailed(
                at=batch.now, sequence=message.sequence, failure=failure, settled_by=message.by
            )
            turns.turn(batch, instance, event)
        case _:
            assert_never(message.outcome)
    batch.answer(message.reply)
