"""What an engine must do, in plain memory: no files, no turns, no replay.

The workflow: some rounds, each waiting for an event, an update or one hour, whichever comes first.
An event causes one effect; an update is answered.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

ROUND = timedelta(hours=1)
RETRY = timedelta(minutes=7)
ATTEMPTS = 3
LATE, FAILED_EFFECT = 1_000, 1_000_000


@dataclass
class Life:
    """One life of one id: from a start to the next that replaces it."""

    id: str
    start: tuple[str, int]
    rounds: int
    execution: int = 1
    status: str = "Running"
    suspended: bool = False
    total: int = 0
    result: Any = None
    parent: Life | None = None
    child: Life | None = None
    busy: bool = False
    failures: int = 0
    retry_at: datetime | None = None
    deadline: datetime | None = None
    events: deque[Any] = field(default_factory=deque)
    updates: deque[tuple[str, int]] = field(default_factory=deque)
    deferred: list[tuple[Any, ...]] = field(default_factory=list)
    event_ids: set[str] = field(default_factory=set)
    answers: dict[str, tuple[str, Any] | None] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        return self.status in ("Completed", "Terminated")

    @property
    def shown_status(self) -> str:
        return "Suspended" if self.suspended and not self.finished else self.status

    # Arrivals. While suspended they wait.

    def arrives(self, now: datetime, *arrival: Any) -> None:
        if self.finished:
            return
        if self.suspended:
            self.deferred.append(arrival)
            return
        match arrival:
            case "event", value:
                self.events.append(value)
            case "update", id, value:
                self.updates.append((id, value))
            case "effect", worked:
                self.busy = False
                self.total += 0 if worked else FAILED_EFFECT
                self._end_round(now)
            case ("late",):
                if self.deadline is not None:
                    self.total += LATE
                    self._end_round(now)
            case "child", result:
                self._complete(result, now)
            case _:
                raise AssertionError(arrival)
        self.go_on(now)

    def resumes(self, now: datetime) -> None:
        self.suspended = False
        waiting, self.deferred = self.deferred, []
        for arrival in waiting:
            self.arrives(now, *arrival)

    def begin(self, now: datetime) -> None:
        if self.child is None:
            self.deadline = now + ROUND
            self.go_on(now)

    def go_on(self, now: datetime) -> None:
        """Consume what waits, as long as a round is open."""
        while self.deadline is not None and not self.finished:
            while self.events and not isinstance(self.events[0], int):
                self.events.popleft()  # does not fit, and is set aside
            if self.events:
                self.total += self.events.popleft()
                self.deadline, self.busy, self.failures = None, True, 0
            elif self.updates:
                self._answer(*self.updates.popleft())
                self._end_round(now)
            else:
                return

    def _answer(self, id: str, value: int) -> None:
        if value < 0:
            self.answers[id] = ("refused", "negative")
        else:
            self.total += value
            self.answers[id] = ("accepted", self.total)

    def _end_round(self, now: datetime) -> None:
        self.rounds -= 1
        self.deadline = now + ROUND
        if not self.rounds:
            self._complete(self.total, now)

    def _complete(self, result: int, now: datetime) -> None:
        self.status, self.result = "Completed", result
        self.ends()
        if self.parent is not None:
            self.parent.arrives(now, "child", result)

    def terminated(self, now: datetime) -> None:
        if self.finished:
            return
        self.status = "Terminated"
        self.ends()
        if self.child is not None:
            self.child.terminated(now)
        if self.parent is not None:
            self.parent.arrives(now, "child", -1)

    def ends(self) -> None:
        self.deadline = self.retry_at = None
        self.busy = False
        for id, answer in self.answers.items():
            if answer is None:
                self.answers[id] = ("finished", None)

    # Activities and time.

    def effect_ends(self, worked: bool, now: datetime) -> None:
        if worked:
            self.arrives(now, "effect", True)
            return
        self.failures += 1
        if self.failures < ATTEMPTS:
            self.retry_at = now + RETRY
        else:
            self.arrives(now, "effect", False)

    def time_passes(self, until: datetime) -> None:
        while True:
            moments = [at for at in (self.deadline, self.retry_at) if at is not None]
            if not moments or min(moments) > until:
                return
            if self.retry_at == min(moments):
                self.retry_at = None
                continue
            now = self.deadline
            assert now is not None
            if self.suspended:
                self.deadline = datetime.max.replace(tzinfo=now.tzinfo)  # fired; handed over later
            self.arrives(now, "late")

    @property
    def effect_waits(self) -> bool:
        """Whether an attempt of its effect is ready to be run."""
        return self.busy and self.retry_at is None and not self.finished
