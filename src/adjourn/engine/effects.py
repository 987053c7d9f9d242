"""What the orchestrator asked becomes history rows and prepared effects."""

from __future__ import annotations

import logging
from typing import assert_never

import msgspec

from adjourn.engine import approved
from adjourn.engine.batch import Batch
from adjourn.engine.bookkeeping import answer_update, inherited, new_instance, timer_row
from adjourn.engine.endings import continue_as_new, finish, terminate_child
from adjourn.engine.instance import Instance
from adjourn.engine.messages import ActivityCall
from adjourn.engine.outbox import send
from adjourn.errors import ApprovalRequiredError, InstanceExistsError, Refusal
from adjourn.model import commands, events
from adjourn.model.codec import NULL
from adjourn.model.commands import Command, event_of
from adjourn.model.events import Parent
from adjourn.model.failure import describe
from adjourn.model.state import to_microseconds
from adjourn.model.status import Status
from adjourn.store.protocol import InstanceRow

_log = logging.getLogger("adjourn.engine")


def record(batch: Batch, instance: Instance, asked: list[Command]) -> None:
    """Write each command down as its event, and prepare its effect."""
    for command in asked:
        event = event_of(command, batch.now)
        batch.append(instance, event)
        _effect(batch, instance, command)


def _effect(batch: Batch, instance: Instance, command: Command) -> None:
    row = instance.row
    match command:
        case commands.ScheduleActivity():
            schedule(batch, instance, command)
        case commands.CancelActivity(sequence=sequence):
            cancel_activity(batch, instance, sequence)
        case commands.CreateTimer(sequence=sequence, fire_at=fire_at):
            batch.add_timer(timer_row(row, to_microseconds(fire_at), sequence, "timer"))
        case commands.CancelTimer(sequence=sequence, fire_at=fire_at):
            batch.remove_timer(timer_row(row, to_microseconds(fire_at), sequence, "timer"))
        case commands.StartSubOrchestration():
            start_child(batch, instance, command)
        case commands.CancelSubOrchestration(sequence=sequence, instance_id=child):
            terminate_child(batch, row, sequence, child, "its parent no longer waits for it")
        case commands.StartOrchestration():
            start_independent(batch, row, command)
        case commands.SendEvent():
            send(batch, row, command)
        case commands.SetEventAside(name=name, reason=reason):
            _log.warning("%s: an event %r was set aside: %s", row.id, name, reason)
        case commands.AcceptUpdate(update_id=update_id, result=result):
            answer_update(batch, row, update_id, result)
        case commands.RefuseUpdate(update_id=update_id, reason=reason):
            details = msgspec.json.decode(command.details)
            refusal = Refusal(reason, command.refusal, details)
            answer_update(batch, row, update_id, NULL, refusal.error(row.id, update_id))
        case commands.ContinueAsNew(input=input):
            continue_as_new(batch, instance, input)
        case commands.CompleteInstance(result=result):
            finish(batch, instance, Status.COMPLETED, result=result)
        case commands.FailInstance(failure=failure):
            finish(batch, instance, Status.FAILED, failure=failure)
        case _:
            assert_never(command)


def schedule(batch: Batch, instance: Instance, command: commands.ScheduleActivity) -> None:
    row = instance.row
    activity = instance.body_of(command.sequence) if command.hosted else None
    if activity is None:
        if command.hosted:
            return  # its code has given it up in this very turn
        activity = batch.memory.registry.find_activity(command.name)
    if command.approval:
        try:
            approved.begin(batch, row, command)
        except ApprovalRequiredError as error:
            failed = events.ActivityFailed(
                at=batch.now, sequence=command.sequence, failure=describe(error)
            )
            batch.internal.append((row.key, row.execution, failed))
            return
    run_attempt(
        batch,
        ActivityCall(
            key=row.key,
            instance_id=row.id,
            execution=row.execution,
            sequence=command.sequence,
            activity=activity,
            input=command.input,
            attempt=1,
            failures=0,
            first_at=batch.now,
            approval=command.approval,
        ),
    )


def run_attempt(batch: Batch, call: ActivityCall) -> None:
    """Start this attempt once the commit is on disk."""
    batch.memory.in_flight[(call.key, call.execution, call.sequence)] = call
    batch.calls.append(call)


def cancel_activity(batch: Batch, instance: Instance, sequence: int) -> None:
    """A running attempt is told. The timer of one that waits for its retry finds nothing to do."""
    call = batch.take_off(instance.row.key, instance.row.execution, sequence)
    if call is not None:
        batch.cancelled.append(call)
        approved.note(batch, call.approval, "queued" if batch.prevents(call) else "unknown")


def start_child(batch: Batch, instance: Instance, command: commands.StartSubOrchestration) -> None:
    """A child is a row like any other; its first turn runs in the next step."""
    row = instance.row
    taken = batch.memory.look_up(command.instance_id)
    if taken is not None:
        refused = InstanceExistsError(command.instance_id)
        if taken.row.tenant == row.tenant:
            reason = "cannot be a child of this instance"
            refused = InstanceExistsError(command.instance_id, taken.row.status, reason)
        failed = events.SubOrchestrationFailed(
            at=batch.now, sequence=command.sequence, failure=describe(refused)
        )
        batch.internal.append((row.key, row.execution, failed))
        return
    parent = Parent(instance_id=row.id, execution=row.execution, sequence=command.sequence)
    child = new_instance(
        batch,
        command.name,
        command.instance_id,
        command.input,
        parent=parent,
        tags=inherited(row),
    )
    child.row.parent = row.key
    child.row.parent_execution = row.execution
    child.row.parent_sequence = command.sequence
    batch.runnable.append(child.row.key)


def start_independent(batch: Batch, row: InstanceRow, command: commands.StartOrchestration) -> None:
    """As a client's start that returns what exists; its first turn runs in the next step. What
    another tenant has under this id is left alone, and nothing is said of it."""
    rows = batch.memory.store.rows
    given = command.instance_id, command.name, command.input
    taken = batch.memory.look_up(command.instance_id)
    if taken is not None:
        if taken.row.tenant != row.tenant:
            _log.warning(
                "%s started %r as %s, but that id is taken, and left alone",
                row.id, command.name, command.instance_id,
            )  # fmt: skip
        elif not rows.same_start(taken.row.start_digest, *given):
            _log.warning(
                "%s started %r as %s, but that id is taken: the %r that has it is left alone",
                row.id, command.name, command.instance_id, taken.row.name,
            )  # fmt: skip
        return
    tags = inherited(row)
    started = new_instance(batch, command.name, command.instance_id, command.input, tags=tags)
    started.row.start_digest = rows.start_digest(*given)
    batch.runnable.append(started.row.key)
