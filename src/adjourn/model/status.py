"""The states of an instance and the table of its moves."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """In the order of a life. The words are Durable Functions' own, plus Quarantined."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    QUARANTINED = "Quarantined"
    COMPLETED = "Completed"
    FAILED = "Failed"
    TERMINATED = "Terminated"

    @property
    def finished(self) -> bool:
        return not MOVES[self]


_ENDS = frozenset({Status.COMPLETED, Status.FAILED, Status.TERMINATED})

MOVES: dict[Status, frozenset[Status]] = {
    Status.PENDING: _ENDS | {Status.RUNNING, Status.SUSPENDED, Status.QUARANTINED},
    Status.RUNNING: _ENDS | {Status.PENDING, Status.SUSPENDED, Status.QUARANTINED},
    Status.SUSPENDED: _ENDS | {Status.PENDING, Status.RUNNING, Status.QUARANTINED},
    Status.QUARANTINED: _ENDS | {Status.PENDING, Status.RUNNING, Status.SUSPENDED},
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset(),
    Status.TERMINATED: frozenset(),
}
