"""What several parts of a step do to an instance's row and history."""

from __future__ import annotations

from datetime import datetime

import msgspec

from adjourn.engine.batch import Batch
from adjourn.engine.instance import Instance
from adjourn.errors import (
    InstanceFinishedError,
    UpdateRefusedError,
    kind_of,
)
from adjourn.model import events
from adjourn.model.actor import TENANT
from adjourn.model.events import Arrived, Parent
from adjourn.model.status import MOVES, Status
from adjourn.replay.execution import Execution
from adjourn.replay.outstanding import Outstanding, outstanding
from adjourn.store import chain
from adjourn.store.protocol import InstanceRow, Timer


def set_status(instance: Instance, status: Status) -> None:
    row = instance.row
    if status is not row.status:
        assert status in MOVES[row.status], f"{row.status} -> {status}"
        row.status = status


def set_going(instance: Instance, execution: Execution) -> None:
    """It was pending or quarantined, and its code goes on now."""
    set_status(instance, Status.SUSPENDED if execution.suspended else Status.RUNNING)
    instance.row.problem = None


def timer_row(row: InstanceRow, fire_at: int, sequence: int, purpose: str) -> Timer:
    return fire_at, row.key, row.execution, sequence, purpose


def show(batch: Batch, instance: Instance, execution: Execution) -> None:
    """Custom status and attributes, where the turn changed them."""
    if execution.custom_status is not instance.shown_status and execution.custom_status:
        told = bytes(execution.custom_status).decode()
        rows = batch.memory.store.rows
        instance.row.custom_status = rows.hide(instance.row.id, "status", told)
        instance.shown_status = execution.custom_status
    if execution.attributes_changed:
        execution.attributes_changed = False
        key = instance.row.key
        batch.attributes += [(key, name, value) for name, value in execution.attributes.items()]


def keep(batch: Batch, instance: Instance, event: Arrived) -> None:
    """Append the event without running anything."""
    if instance.row.status.finished:
        return
    batch.append(instance, event)
    if isinstance(event, events.ExternalEventReceived | events.UpdateReceived):
        instance.row.pending_events += 1
    if isinstance(event, events.ActivityCompleted | events.ActivityFailed):
        instance.row.running -= 1


def quiet(batch: Batch, instance: Instance, event: Arrived) -> None:
    """Append an event that is the engine's business alone: the orchestrator does not see it."""
    row = instance.row
    seen = row.turned == row.length
    batch.append(instance, event)
    if seen:
        row.turned = row.length


def open_items_of(batch: Batch, instance: Instance) -> Outstanding:
    """What the history leaves open. Raises: HistoryDamagedError."""
    return outstanding(instance.history(batch.memory.store))


def answer_update(
    batch: Batch,
    row: InstanceRow,
    update_id: str,
    result: msgspec.Raw,
    refusal: UpdateRefusedError | InstanceFinishedError | None = None,
) -> None:
    kept: dict[str, object] = {"accepted": result}
    if isinstance(refusal, UpdateRefusedError):
        kept = {"refused": refusal.reason, "kind": kind_of(refusal), "details": refusal.details}
    elif isinstance(refusal, InstanceFinishedError):
        kept = {"finished": refusal.status}
    text = msgspec.json.encode(kept).decode()
    answer = batch.memory.store.rows.hide(row.id, f"answer {update_id}", text)
    batch.receipts.append((row.key, "update", update_id, answer))
    batch.update_answers.append((row.key, update_id, result, refusal))


def new_instance(
    batch: Batch,
    name: str,
    instance_id: str,
    input: msgspec.Raw,
    *,
    parent: Parent | None = None,
    tags: dict[str, str] | None = None,
    trace_context: str = "",
    begins_at: datetime | None = None,
) -> Instance:
    """A pending instance with its first row. Its time begins at `begins_at`, now by default. It
    belongs to the tenant that its tags name (`inherited` for what another instance starts). One
    whose orchestrator is not registered is quarantined in its first turn."""
    registry = batch.memory.registry
    orchestrator = registry.built_in.get(name) or registry.orchestrators.get(name)
    row = InstanceRow(
        key=batch.memory.new_key(),
        id=instance_id,
        name=name,
        version="" if orchestrator is None else orchestrator.version,
        head=chain.seed(instance_id, 1),
        created_at=batch.now_us,
        tags=msgspec.json.encode(tags).decode() if tags else "{}",
        tenant=(tags or {}).get(TENANT, ""),
    )
    instance = batch.memory.adopt(Instance(row, stored=False))
    begin(
        batch,
        instance,
        input,
        at=begins_at,
        parent=parent,
        tags=tags,
        trace_context=trace_context,
    )
    return instance


def inherited(row: InstanceRow) -> dict[str, str]:
    """The tags of what this instance starts, and of its own next executions."""
    return {TENANT: row.tenant} if row.tenant else {}


def begin(
    batch: Batch,
    instance: Instance,
    input: msgspec.Raw,
    *,
    at: datetime | None = None,
    parent: Parent | None = None,
    tags: dict[str, str] | None = None,
    trace_context: str = "",
) -> None:
    """The first row of an execution. Its time begins at `at`, or now when that is past."""
    started = events.InstanceStarted(
        at=max(batch.now, at or batch.now),
        name=instance.row.name,
        input=input,
        version=instance.row.version,
        parent=parent,
        tags=tags or {},
        trace_context=trace_context,
    )
    batch.append(instance, started)
    instance.first = started
