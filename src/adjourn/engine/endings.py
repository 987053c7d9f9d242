"""How an execution ends: finished, terminated, or continued as new."""

from __future__ import annotations

import msgspec

from adjourn.engine import approved
from adjourn.engine.batch import Batch
from adjourn.engine.bookkeeping import (
    answer_update,
    begin,
    inherited,
    keep,
    open_items_of,
    set_status,
    show,
    timer_row,
)
from adjourn.engine.instance import Instance
from adjourn.engine.listing import listing_of
from adjourn.engine.messages import RaiseEvent
from adjourn.errors import (
    HistoryDamagedError,
    InstanceFinishedError,
    InstanceTerminatedError,
    SealedError,
    UpdateRefusedError,
)
from adjourn.model import events
from adjourn.model.approval import APPROVAL, NOTICE, ApprovalRequest, Notice
from adjourn.model.codec import NULL, encode
from adjourn.model.events import Arrived, Parent
from adjourn.model.failure import FailureDetails, describe
from adjourn.model.ids import sent_event_id, watcher_id
from adjourn.model.state import Ending, to_microseconds
from adjourn.model.status import Status
from adjourn.replay.execution import Execution
from adjourn.replay.outstanding import Outstanding
from adjourn.store.protocol import InstanceRow


def finish(
    batch: Batch,
    instance: Instance,
    status: Status,
    *,
    result: msgspec.Raw = NULL,
    failure: FailureDetails | None = None,
    reason: str = "",
    open_items: Outstanding | None = None,
) -> None:
    """The instance has ended: clear what it left open, tell its parent and whoever waits."""
    row = instance.row
    set_status(instance, status)
    row.finished_at = batch.now_us
    row.problem = None
    if instance.execution is not None:
        row.pending_events = len(instance.execution.unconsumed())
        show(batch, instance, instance.execution)
        if status is not Status.TERMINATED:  # else with the other children, and its reason
            _end_approvals(batch, instance, instance.execution)
        for decision in instance.execution.decisions:
            approved.forgo(batch, decision)
    if row.name == APPROVAL and status is Status.COMPLETED:
        _queue_effect(batch, instance)
    _clear_open(batch, instance, open_items)
    row.turned = row.length if status is not Status.TERMINATED else row.turned
    row.running = 0
    row.waiting_for = "[]"
    output = encode(reason) if status is Status.TERMINATED else result
    batch.finished[row.key] = Ending(
        id=row.id,
        name=row.name,
        status=status,
        output=None if failure else output,
        failure=failure,
    )
    _tell_parent(batch, row, status, result, failure, reason)
    instance.let_go()


def _clear_open(batch: Batch, instance: Instance, open_items: Outstanding | None) -> None:
    """Timers and calls go; updates without an answer learn that none will come.

    The timer of a retry stays: when it is due it finds nothing to do, and goes. History is not
    read here, for a turn must not fail half way.
    """
    row, execution = instance.row, instance.execution
    if open_items is not None:
        activities = {number: open.approval for number, open in open_items.activities.items()}
        timers, updates = open_items.timers, open_items.updates
    else:
        assert execution is not None
        activities = {number: task.approval for number, task in execution.activities.items()}
        timers, updates = execution.timers, execution.unanswered
    for sequence, approval in activities.items():
        call = batch.take_off(row.key, row.execution, sequence)
        approved.note(batch, approval, "none" if batch.prevents(call) else "unknown")
        if call is not None:
            batch.cancelled.append(call)
    for sequence, fire_at in timers.items():
        batch.remove_timer(timer_row(row, to_microseconds(fire_at), sequence, "timer"))
    if row.visible_at is not None:
        batch.remove_timer(timer_row(row, row.visible_at, 0, "start"))
        row.visible_at = None
    if row.status.finished:
        for update_id in sorted(updates):
            gone = InstanceFinishedError(row.id, row.status)
            answer_update(batch, row, update_id, NULL, gone)


def _tell_parent(
    batch: Batch,
    row: InstanceRow,
    status: Status,
    result: msgspec.Raw,
    failure: FailureDetails | None,
    reason: str,
) -> None:
    if row.parent is None or row.parent_execution is None or row.parent_sequence is None:
        return
    event: Arrived
    if status is Status.COMPLETED:
        event = events.SubOrchestrationCompleted(
            at=batch.now, sequence=row.parent_sequence, result=result
        )
    else:
        why = failure or describe(InstanceTerminatedError(row.id, reason))
        event = events.SubOrchestrationFailed(
            at=batch.now, sequence=row.parent_sequence, failure=why
        )
    batch.internal.append((row.parent, row.parent_execution, event))


def terminate(batch: Batch, instance: Instance, reason: str, *, recursive: bool) -> None:
    """End it now. Its code does not run again; running activities finish, their results drop."""
    try:
        open_items = open_items_of(batch, instance)
    except HistoryDamagedError:
        open_items = Outstanding()  # the way out for a damaged instance: its timers find nothing
    batch.append(instance, events.InstanceTerminated(at=batch.now, reason=reason))
    if instance.row.status is not Status.PENDING and instance.row.status is not Status.QUARANTINED:
        instance.row.turned = instance.row.length
    finish(batch, instance, Status.TERMINATED, reason=reason, open_items=open_items)
    _tell_watchers(batch, instance)
    for sequence, child in open_items.children.items():
        if recursive or _is_approval(batch, child):
            why = f"its parent was terminated: {reason}"
            terminate_child(batch, instance.row, sequence, child, why)


def _tell_watchers(batch: Batch, approval: Instance) -> None:
    """Its code will not: whoever watches an approval that has opened learns here that it is gone,
    in the same commit. Where its history cannot be read they are not known."""
    row, store = approval.row, batch.memory.store
    shown = listing_of(approval, store) if row.name == APPROVAL else None
    if shown is None:
        return
    try:
        first = approval.history(store)[0]
        assert isinstance(first, events.InstanceStarted)
        request = msgspec.json.decode(first.input, type=ApprovalRequest)
    except (HistoryDamagedError, SealedError, msgspec.MsgspecError):
        return
    notice = Notice(id=row.id, version=shown.version + 1, what=["cancelled"], final=True)
    for name in request.all_watchers:
        told = RaiseEvent(
            id=watcher_id(row.id, name),
            name=NOTICE,
            data=encode(notice),
            event_id=sent_event_id(row.id, row.execution, row.length),  # no step has this number
            sender=row.id,
            tenant=row.tenant,
        )
        batch.internal.append(told)


def _is_approval(batch: Batch, instance_id: str) -> bool:
    found = batch.memory.look_up(instance_id)
    return found is not None and found.row.name == APPROVAL


def _end_approvals(batch: Batch, instance: Instance, execution: Execution) -> None:
    """Nobody would hear the answer: what its code asked people ends with it."""
    for sequence, child in list(execution.children.items()):
        if child.name == APPROVAL:
            why = "the workflow that asked has ended"
            terminate_child(batch, instance.row, sequence, child.instance_id, why)


def _queue_effect(batch: Batch, approval: Instance) -> None:
    """Approved, and from now on to be executed: shown until that begins."""
    shown = listing_of(approval, batch.memory.store)
    if shown is not None and shown.status == "approved":
        approved.note(batch, approval.row.id, "queued")


def terminate_child(
    batch: Batch, parent: InstanceRow, sequence: int, instance_id: str, reason: str
) -> None:
    """Terminate the child of this step; an instance that merely has the id is not touched."""
    child = batch.memory.look_up(instance_id)
    if child is None or child.row.status.finished:
        return
    row = child.row
    born_of = (row.parent, row.parent_execution, row.parent_sequence)
    if born_of == (parent.key, parent.execution, sequence):
        terminate(batch, child, reason, recursive=True)


def continue_as_new(batch: Batch, instance: Instance, input: msgspec.Raw) -> None:
    """The next execution begins in the same transaction; what nothing consumed goes along."""
    row, execution = instance.row, instance.execution
    assert execution is not None
    carried = execution.unconsumed()
    waiting = {m.update_id for m in carried if isinstance(m, events.UpdateReceived)}
    for update_id in sorted(execution.unanswered - waiting):
        reason = "the orchestrator continued as new without answering"
        answer_update(batch, row, update_id, NULL, UpdateRefusedError(row.id, update_id, reason))
    execution.unanswered.clear()
    show(batch, instance, execution)
    _end_approvals(batch, instance, execution)
    _clear_open(batch, instance, None)
    instance.begin_execution(row.execution + 1)
    set_status(instance, Status.PENDING)
    begin(batch, instance, input, parent=_parent(batch, row), tags=inherited(row))
    for message in carried:
        keep(batch, instance, msgspec.structs.replace(message, carried=True))
    batch.runnable.append(row.key)


def _parent(batch: Batch, row: InstanceRow) -> Parent | None:
    if row.parent is None or row.parent_execution is None or row.parent_sequence is None:
        return None
    found = batch.memory.by_key(row.parent)
    if found is None:
        return None
    return Parent(
        instance_id=found.row.id, execution=row.parent_execution, sequence=row.parent_sequence
    )
