"""History in Durable Task's words, as Durable Functions shows it: one table.

What was scheduled is folded into the row that says how it ended; without an end yet, it keeps its
own row.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from adjourn.model import events
from adjourn.model.events import Event
from adjourn.model.failure import FailureDetails
from adjourn.model.state import HistoryEntry

ROWS: dict[type[msgspec.Struct], tuple[str, dict[str, str]]] = {
    events.InstanceStarted: ("ExecutionStarted", {"FunctionName": "name", "Input": "input"}),
    events.ActivityScheduled: ("TaskScheduled", {"Name": "name", "Input": "input"}),
    events.ActivityCompleted: ("TaskCompleted", {"Result": "result"}),
    events.ActivityFailed: ("TaskFailed", {"Reason": "failure"}),
    events.TimerCreated: ("TimerCreated", {"FireAt": "fire_at"}),
    events.TimerFired: ("TimerFired", {}),
    events.SubOrchestrationStarted: (
        "SubOrchestrationInstanceCreated",
        {"Name": "name", "InstanceId": "instance_id", "Input": "input"},
    ),
    events.SubOrchestrationCompleted: (
        "SubOrchestrationInstanceCompleted",
        {"Result": "result"},
    ),
    events.SubOrchestrationFailed: ("SubOrchestrationInstanceFailed", {"Reason": "failure"}),
    # A start that reports to nobody has the same row in Durable Task, with a tag.
    events.OrchestrationStarted: (
        "SubOrchestrationInstanceCreated",
        {"Name": "name", "InstanceId": "instance_id", "Input": "input"},
    ),
    events.EventSent: (
        "EventSent",
        {"InstanceId": "instance_id", "Name": "name", "Input": "data"},
    ),
    events.ExternalEventReceived: ("EventRaised", {"Name": "name", "Input": "data"}),
    events.UpdateReceived: ("EventRaised", {"Name": "name", "Input": "data"}),
    events.InstanceSuspended: ("ExecutionSuspended", {"Reason": "reason"}),
    events.InstanceResumed: ("ExecutionResumed", {"Reason": "reason"}),
    events.InstanceContinuedAsNew: ("ContinueAsNew", {"Result": "input"}),
    events.InstanceCompleted: ("ExecutionCompleted", {"Result": "result"}),
    events.InstanceFailed: ("ExecutionCompleted", {"Reason": "failure"}),
    events.InstanceTerminated: ("ExecutionTerminated", {"Input": "reason"}),
}

LEFT_OUT = frozenset(
    {
        events.ActivityRetryScheduled,
        events.ActivityRecovered,
        events.ActivityInDoubt,
        events.ActivityCancelled,
        events.TimerCancelled,
        events.SubOrchestrationCancelled,
        events.ExternalEventSetAside,
        events.UpdateAccepted,
        events.UpdateRefused,
    }
)
"""What Durable Task has no row for; our own routes show it."""

_FOLDED = (events.ActivityScheduled, events.SubOrchestrationStarted)
_ENDINGS = (
    events.ActivityCompleted,
    events.ActivityFailed,
    events.SubOrchestrationCompleted,
    events.SubOrchestrationFailed,
)


def history_events(
    entries: Iterable[HistoryEntry], *, show_input: bool, show_output: bool
) -> list[dict[str, Any]]:
    """The rows of one execution, as Durable Functions' `historyEvents`."""
    rows: list[dict[str, Any]] = []
    scheduled: dict[int, dict[str, Any]] = {}
    deadlines: dict[int, datetime] = {}
    for entry in entries:
        event = entry.event
        if type(event) in LEFT_OUT:
            continue
        row = _row(event, show_input=show_input, show_output=show_output)
        if isinstance(event, _FOLDED):
            scheduled[event.sequence] = row
        elif isinstance(event, _ENDINGS):
            rows = _fold(rows, scheduled.pop(event.sequence, None), row)
        elif isinstance(event, events.TimerCreated):
            deadlines[event.sequence] = event.fire_at
        elif isinstance(event, events.TimerFired) and event.sequence in deadlines:
            row["FireAt"] = _instant(deadlines[event.sequence])
        rows.append(row)
    return rows


def _fold(
    rows: list[dict[str, Any]], scheduled: dict[str, Any] | None, row: dict[str, Any]
) -> list[dict[str, Any]]:
    if scheduled is None:
        return rows
    row["FunctionName"] = scheduled["Name"]
    row["ScheduledTime"] = scheduled["Timestamp"]
    if "Input" in scheduled:
        row["Input"] = scheduled["Input"]
    return [kept for kept in rows if kept is not scheduled]


def _row(event: Event, *, show_input: bool, show_output: bool) -> dict[str, Any]:
    word, fields = ROWS[type(event)]
    row: dict[str, Any] = {"EventType": word, "Timestamp": _instant(event.at)}
    hidden = {"Result"} if not show_output else set[str]()
    if not show_input and not isinstance(event, events.InstanceTerminated):
        hidden.add("Input")
    for theirs, ours in fields.items():
        if theirs not in hidden:
            row[theirs] = _value(getattr(event, ours))
    if isinstance(event, events.InstanceCompleted):
        row["OrchestrationStatus"] = "Completed"
    elif isinstance(event, events.InstanceFailed):
        row["OrchestrationStatus"] = "Failed"
    return row


def _value(value: Any) -> Any:
    if isinstance(value, FailureDetails):
        return f"{value.type}: {value.message}"
    return _instant(value) if isinstance(value, datetime) else value


def _instant(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
