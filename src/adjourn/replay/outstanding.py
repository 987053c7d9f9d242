"""What an execution still waits for, told from its history alone, without running code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from adjourn.model import events
from adjourn.model.events import Event


@dataclass(slots=True)
class OpenActivity:
    """An activity without a result."""

    sequence: int
    name: str
    input: msgspec.Raw
    scheduled_at: datetime
    attempt: int = 1
    """The attempt that runs or ran last."""
    failures: int = 0
    recoveries: int = 0
    retry_at: datetime | None = None
    in_doubt: str = ""
    approval: str = ""
    hosted: bool = False


@dataclass(slots=True)
class Outstanding:
    """Open activities, timers and children, by sequence; updates without an answer."""

    activities: dict[int, OpenActivity] = field(default_factory=dict[int, OpenActivity])
    timers: dict[int, datetime] = field(default_factory=dict[int, datetime])
    children: dict[int, str] = field(default_factory=dict[int, str])
    updates: set[str] = field(default_factory=set[str])


def outstanding(history: Iterable[Event]) -> Outstanding:
    """Fold a history of one execution."""
    found = Outstanding()
    for event in history:
        _fold(found, event)
    return found


def _fold(found: Outstanding, event: Event) -> None:
    match event:
        case events.ActivityScheduled(sequence=sequence, name=name, input=input, at=at):
            found.activities[sequence] = OpenActivity(
                sequence, name, input, at, approval=event.approval, hosted=event.hosted
            )
        case events.ActivityRetryScheduled(sequence=sequence, retry_at=retry_at):
            activity = found.activities[sequence]
            activity.failures += 1
            activity.attempt += 1
            activity.retry_at = retry_at
        case events.ActivityRecovered(sequence=sequence, attempt=attempt):
            activity = found.activities[sequence]
            activity.attempt = attempt
            activity.recoveries += 1
            activity.retry_at = None
            activity.in_doubt = ""
        case events.ActivityInDoubt(sequence=sequence, reason=reason):
            found.activities[sequence].in_doubt = reason
        case (
            events.ActivityCompleted(sequence=sequence)
            | events.ActivityFailed(sequence=sequence)
            | events.ActivityCancelled(sequence=sequence)
        ):
            found.activities.pop(sequence, None)
        case events.TimerCreated(sequence=sequence, fire_at=fire_at):
            found.timers[sequence] = fire_at
        case events.TimerFired(sequence=sequence) | events.TimerCancelled(sequence=sequence):
            found.timers.pop(sequence, None)
        case events.SubOrchestrationStarted(sequence=sequence, instance_id=instance_id):
            found.children[sequence] = instance_id
        case (
            events.SubOrchestrationCompleted(sequence=sequence)
            | events.SubOrchestrationFailed(sequence=sequence)
            | events.SubOrchestrationCancelled(sequence=sequence)
        ):
            found.children.pop(sequence, None)
        case events.UpdateReceived(update_id=update_id):
            found.updates.add(update_id)
        case events.UpdateAccepted(update_id=update_id) | events.UpdateRefused(update_id=update_id):
            found.updates.discard(update_id)
        case _:
            pass  # nothing opens or closes: starts, ends, messages, suspension
