"""A turn: an event goes into an instance, and the orchestrator goes on with it."""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from adjourn.authoring.functions import Activity
from adjourn.engine.batch import Batch
from adjourn.engine.bookkeeping import (
    keep,
    open_items_of,
    set_going,
    set_status,
    show,
)
from adjourn.engine.effects import record, run_attempt
from adjourn.engine.instance import Instance
from adjourn.engine.messages import ActivityCall
from adjourn.engine.outbox import is_put_off, send_now
from adjourn.errors import (
    DeterminismError,
    HistoryDamagedError,
    UnknownNameError,
)
from adjourn.model import events
from adjourn.model.commands import Command
from adjourn.model.events import Arrived
from adjourn.model.status import Status
from adjourn.replay.execution import Execution
from adjourn.replay.outstanding import OpenActivity
from adjourn.replay.rebuild import MismatchFound, rebuild
from adjourn.store.protocol import Timer

_log = logging.getLogger("adjourn.engine")


HISTORY_WARNING = 10_000  # rows in one execution
HISTORY_LIMIT = 50_000


def execution_of(batch: Batch, instance: Instance) -> Execution | None:
    """The live execution, rebuilt from history when it is not in memory; None when it cannot be:
    then the instance is quarantined, and says why."""
    if instance.execution is not None:
        return instance.execution
    row = instance.row
    try:
        execution, asked = _bring_back(batch, instance)
    except MismatchFound as found:
        quarantine(batch, instance, found.mismatch.explanation)
        return None
    except (UnknownNameError, HistoryDamagedError, DeterminismError) as error:
        quarantine(batch, instance, str(error))
        return None
    instance.execution, instance.first = execution, None
    if row.turned == row.length:  # else the rows behind may have set them anew
        instance.shown_status = execution.custom_status
        execution.attributes_changed = False
    if row.turned < row.length:
        if row.status is Status.PENDING or row.status is Status.QUARANTINED:
            set_going(instance, execution)
        record(batch, instance, asked)
        turned(batch, instance)
    return instance.execution


def _bring_back(batch: Batch, instance: Instance) -> tuple[Execution, list[Command]]:
    row, memory = instance.row, batch.memory
    orchestrator = memory.registry.find_orchestrator(row.name)
    if instance.first is not None and row.length == 1 and row.turned == 0:
        # Just begun: nothing to compare, and the event need not be read back.
        execution = Execution(memory.registry, orchestrator, row.id, row.execution)
        execution.apply(instance.first)
        return execution, execution.take_commands()
    history = instance.history(memory.store)
    return rebuild(memory.registry, orchestrator, row.id, row.execution, history, row.turned)


def quarantine(batch: Batch, instance: Instance, explanation: str) -> None:
    """Stop this instance visibly. Nothing of it runs; nothing is lost."""
    instance.let_go()
    batch.touch(instance)
    set_status(instance, Status.QUARANTINED)
    rows = batch.memory.store.rows
    instance.row.problem = rows.hide(instance.row.id, "problem", explanation)
    # What an explanation quotes of a payload stands in no log while payloads are encrypted.
    why = "`adjourn show` says why" if rows.encrypted else explanation
    _log.error("%s is quarantined: %s", instance.row.id, why)


def turn(batch: Batch, instance: Instance, event: Arrived) -> None:
    """Append the event and let the orchestrator go on with it.

    A pending or quarantined instance keeps it for later; a suspended one does so by its own rule.
    """
    row = instance.row
    if row.status is Status.PENDING or row.status is Status.QUARANTINED or not row.turned:
        keep(batch, instance, event)
        return
    execution = execution_of(batch, instance)
    if execution is None or row.status.finished:
        keep(batch, instance, event)
        return
    batch.append(instance, event)
    try:
        execution.apply(event)
    except DeterminismError as error:  # a turn that does not end
        quarantine(batch, instance, str(error))
        return
    record(batch, instance, execution.take_commands())
    turned(batch, instance)


def turned(batch: Batch, instance: Instance) -> None:
    """Bring the row up to what the execution now shows."""
    row, execution = instance.row, instance.execution
    batch.touch(instance)
    if execution is None:
        return  # it finished or began anew in this turn
    row.turned = row.length
    row.pending_events = execution.buffered
    row.running = len(execution.activities)
    waiting = execution.waiting_for()
    row.waiting_for = msgspec.json.encode(waiting).decode() if waiting else "[]"
    show(batch, instance, execution)
    if row.length >= HISTORY_WARNING:
        _watch_length(batch, instance)


def _watch_length(batch: Batch, instance: Instance) -> None:
    row = instance.row
    if row.length >= HISTORY_LIMIT:
        quarantine(
            batch,
            instance,
            f"The history of {row.id} has {row.length:,} rows, more than the {HISTORY_LIMIT:,} "
            "that one execution may have. Terminate it, and let the next version call "
            "ctx.continue_as_new() every thousand steps.",
        )
    elif row.length % HISTORY_WARNING == 0:
        _log.warning("%s has %d history rows: use continue_as_new", row.id, row.length)


def run_pending(batch: Batch, key: int) -> None:
    """The first turn of an execution."""
    instance = batch.memory.by_key(key)
    if instance is None or instance.row.status is not Status.PENDING:
        return
    if instance.row.visible_at is not None and instance.row.visible_at > batch.now_us:
        return
    instance.row.visible_at = None
    execution_of(batch, instance)


def fire(batch: Batch, timer: Timer) -> None:
    """A deadline has passed. The row goes, whatever it meant."""
    _, key, execution, sequence, purpose = timer
    if is_put_off(timer):
        batch.remove_timer(timer)
        send_now(batch, key, execution, sequence)
        return
    instance = batch.memory.by_key(key)
    if instance is None or instance.row.status.finished or instance.row.execution != execution:
        batch.remove_timer(timer)
        return
    if timer in batch.timers_removed:
        return  # cancelled earlier in this very step
    batch.remove_timer(timer)
    match purpose:
        case "start":
            run_pending(batch, key)
        case "retry":
            _retry(batch, instance, sequence)
        case _:
            turn(batch, instance, events.TimerFired(at=batch.now, sequence=sequence))


def _retry(batch: Batch, instance: Instance, sequence: int) -> None:
    row = instance.row
    if (row.key, row.execution, sequence) in batch.memory.in_flight:
        return  # a restart took it up already
    if instance.quarantined:
        return  # the start that frees it takes the activity up
    try:
        again = call_again(batch, instance, sequence)
    except (UnknownNameError, HistoryDamagedError) as error:
        quarantine(batch, instance, str(error))
        return
    if again is not None:
        run_attempt(batch, again)


def call_again(batch: Batch, instance: Instance, sequence: int) -> ActivityCall | None:
    """The next attempt of an open activity, from history; None when it is not open, or when what
    its orchestrator hosts cannot be brought back: then the instance is quarantined.

    Raises: UnknownActivityError, HistoryDamagedError.
    """
    row = instance.row
    found = open_items_of(batch, instance).activities.get(sequence)
    if found is None:
        return None
    activity = _activity_of(batch, instance, found)
    if activity is None:
        return None
    return ActivityCall(
        key=row.key,
        instance_id=row.id,
        execution=row.execution,
        sequence=sequence,
        activity=activity,
        input=found.input,
        attempt=found.attempt,
        failures=found.failures,
        first_at=found.scheduled_at,
        approval=found.approval,
    )


def _activity_of(
    batch: Batch, instance: Instance, found: OpenActivity
) -> Activity[..., Any] | None:
    """Raises: UnknownActivityError."""
    if not found.hosted:
        return batch.memory.registry.find_activity(found.name)
    if execution_of(batch, instance) is None:
        return None
    body = instance.body_of(found.sequence)
    if body is None and not instance.row.status.finished:
        quarantine(
            batch,
            instance,
            f"Step {found.sequence} of {instance.row.id}, {found.name!r}, is open and its "
            "orchestrator does not host it. This is a defect of Adjourn; nothing is lost.",
        )
    return body
