"""Taking up after a restart what was in flight, and what to do when nobody knows."""

from __future__ import annotations

import logging

from adjourn.engine import approved
from adjourn.engine.batch import Batch
from adjourn.engine.bookkeeping import (
    open_items_of,
    quiet,
    set_going,
    timer_row,
)
from adjourn.engine.effects import run_attempt
from adjourn.engine.instance import Instance
from adjourn.engine.turns import call_again, execution_of, quarantine, run_pending, turned
from adjourn.errors import (
    HistoryDamagedError,
    UnknownNameError,
)
from adjourn.model import events
from adjourn.model.state import to_microseconds
from adjourn.model.status import Status

_log = logging.getLogger("adjourn.engine")


ATTEMPTS_BEFORE_DOUBT = 20
"""How often a dying process may take the same activity down before a person is asked."""


def recover(batch: Batch, instance: Instance) -> None:
    """Take an instance up after a restart: pending ones run, quarantined ones are tried again,
    activities in flight are repeated with the same key, or put in doubt."""
    row = instance.row
    if row.status is Status.PENDING:
        run_pending(batch, row.key)
        return
    if row.status is Status.QUARANTINED:
        if not _retry_quarantined(batch, instance):
            return
    if not row.status.finished and row.running:
        try:
            _recover_activities(batch, instance)
        except (UnknownNameError, HistoryDamagedError) as error:
            quarantine(batch, instance, str(error))


def _retry_quarantined(batch: Batch, instance: Instance) -> bool:
    """Whether the code fits again. A history that is still the same length needs no new rows."""
    row = instance.row
    rows = batch.memory.store.rows
    was = "" if rows.encrypted else f" (was: {row.problem})"
    execution = execution_of(batch, instance)
    if execution is None:
        return False
    if row.status is Status.QUARANTINED:
        set_going(instance, execution)
        turned(batch, instance)
    _log.warning("%s fits its code again and goes on%s", row.id, was)
    return True


def _recover_activities(batch: Batch, instance: Instance) -> None:
    row = instance.row
    found = open_items_of(batch, instance).activities
    if any(activity.hosted for activity in found.values()):
        if execution_of(batch, instance) is None or row.status.finished:
            return
        found = open_items_of(batch, instance).activities  # the rest of its turn may have run
    for activity in found.values():
        if activity.in_doubt:
            continue
        if (row.key, row.execution, activity.sequence) in batch.memory.in_flight:
            continue  # asked for just now, or taken up by a try that then met a full disk
        if activity.retry_at is not None and activity.retry_at > batch.now:
            continue  # its timer is on disk
        if not activity.hosted and _at_most_once(batch, activity.name):
            reason = "the process died while it ran"
            doubt(batch, instance, activity.sequence, reason, approval=activity.approval)
        elif activity.recoveries >= ATTEMPTS_BEFORE_DOUBT and not batch.memory.store.was_clean:
            reason = f"the process died {activity.recoveries} times while it ran"
            doubt(batch, instance, activity.sequence, reason, approval=activity.approval)
        else:
            if activity.retry_at is not None:  # overdue, or begun when the process died
                fire_at = to_microseconds(activity.retry_at)
                batch.remove_timer(timer_row(row, fire_at, activity.sequence, "retry"))
            again(batch, instance, activity.sequence, activity.attempt + 1)


def _at_most_once(batch: Batch, name: str) -> bool:
    return batch.memory.registry.find_activity(name).at_most_once


def again(batch: Batch, instance: Instance, sequence: int, attempt: int) -> None:
    """Count a new attempt on disk, then run it."""
    quiet(
        batch,
        instance,
        events.ActivityRecovered(at=batch.now, sequence=sequence, attempt=attempt),
    )
    call = call_again(batch, instance, sequence)
    if call is not None:
        run_attempt(batch, call)


def doubt(
    batch: Batch, instance: Instance, sequence: int, reason: str, *, approval: str = ""
) -> None:
    """Nobody knows whether the effect happened: wait for a person's word."""
    event = events.ActivityInDoubt(at=batch.now, sequence=sequence, reason=reason)
    quiet(batch, instance, event)
    approved.note(batch, approval, "unknown")
    _log.error("%s: step %d is in doubt: %s", instance.row.id, sequence, reason)
