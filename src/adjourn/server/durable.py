"""Durable Functions' own words for an instance."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from adjourn.model.state import InstanceState
from adjourn.model.status import Status

BASE = "/runtime/webhooks/durabletask"

RUNTIME_STATUS: dict[Status, str] = {
    Status.PENDING: "Pending",
    Status.RUNNING: "Running",
    Status.SUSPENDED: "Suspended",
    Status.QUARANTINED: "Suspended",  # any other word raises in Microsoft's client (semantics 2)
    Status.COMPLETED: "Completed",
    Status.FAILED: "Failed",
    Status.TERMINATED: "Terminated",
}

UNUSED_STATUS = frozenset({"continuedasnew", "canceled"})
"""Words of Durable Functions for what no instance here ever is."""


def start_body(origin: str, id: str) -> dict[str, str]:
    """The answer to a start: the id, and where it is managed."""
    instance = f"{origin}{BASE}/instances/{id}"
    return {
        "id": id,
        "statusQueryGetUri": instance,
        "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}",
        "terminatePostUri": f"{instance}/terminate?reason={{text}}",
        "rewindPostUri": f"{instance}/rewind?reason={{text}}",
        "purgeHistoryDeleteUri": instance,
        "restartPostUri": f"{instance}/restart",
        "suspendPostUri": f"{instance}/suspend?reason={{text}}",
        "resumePostUri": f"{instance}/resume?reason={{text}}",
    }


def status_body(state: InstanceState, *, show_input: bool) -> dict[str, Any]:
    """What Durable Functions tells of an instance; what only we know stands under `adjourn`."""
    failure = state.failure
    output: object = state.output
    if failure is not None:
        output = f"{failure.type}: {failure.message}"
    return {
        "name": state.name,
        "instanceId": state.id,
        "runtimeStatus": RUNTIME_STATUS[state.status],
        "input": state.input if show_input else None,
        "customStatus": state.custom_status,
        "output": output,
        "createdTime": to_seconds(state.created_at),
        "lastUpdatedTime": to_seconds(state.updated_at),
        "adjourn": _own(state),
    }


def _own(state: InstanceState) -> dict[str, Any]:
    return {
        "status": state.status,
        "execution": state.execution,
        "version": state.version,
        "waitingFor": state.waiting_for,
        "running": state.running,
        "pendingEvents": state.pending_events,
        "attributes": state.attributes,
        "problem": state.problem,
        "parentId": state.parent_id,
    }


def to_seconds(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def statuses_of(words: list[str]) -> list[Status] | None:
    """The statuses that these words mean, in any letter case; unknown words are ignored, as in
    Durable Functions. None: they mean something, but nothing here ever is that."""
    given = {word.strip().lower() for text in words for word in text.split(",")}
    meant = [status for status, word in RUNTIME_STATUS.items() if word.lower() in given]
    return None if not meant and given & UNUSED_STATUS else meant


def as_json(body: Any) -> bytes:
    return msgspec.json.encode(body)
