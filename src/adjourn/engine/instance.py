"""An instance that the engine holds: its row, and its execution while that is in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from adjourn.authoring.functions import Activity
from adjourn.errors import HistoryDamagedError
from adjourn.model.events import Event, InstanceStarted
from adjourn.model.status import Status
from adjourn.replay.execution import Execution
from adjourn.store import chain
from adjourn.store.protocol import InstanceRow, Store


@dataclass(slots=True, eq=False)
class Instance:
    """A row and, perhaps, a live execution. Only the engine thread touches it."""

    row: InstanceRow
    execution: Execution | None = None
    stored: bool = True
    """False until the row's first commit."""
    fresh: list[tuple[int, int, int, bytes, bytes]] = field(
        default_factory=list[tuple[int, int, int, bytes, bytes]]
    )
    """History rows of this step, not yet on disk."""
    first: InstanceStarted | None = None
    """The only row of an execution whose first turn is due, while it is in memory."""
    listed: bool = False
    """Whether the inbox has a row of it."""
    shown_status: msgspec.Raw | None = None
    written: tuple[object, ...] = ()
    """The row's seldom changed columns as they stand on disk."""

    @property
    def seldom_changed(self) -> tuple[object, ...]:
        """What most turns leave alone; together with the columns that every turn changes, all."""
        row = self.row
        return (
            row.status,
            row.running,
            row.execution,
            row.finished_at,
            row.visible_at,
            row.problem,
            row.name,
            row.version,
            row.start_digest,
        )

    @property
    def quarantined(self) -> bool:
        return self.row.status is Status.QUARANTINED

    def body_of(self, sequence: int) -> Activity[..., Any] | None:
        """What its orchestrator hosts as this step, while the execution is in memory."""
        task = None if self.execution is None else self.execution.activities.get(sequence)
        return None if task is None else task.body

    def begin_execution(self, number: int) -> None:
        self.row.execution = number
        self.row.length = 0
        self.row.turned = 0
        self.row.head = chain.seed(self.row.id, number)
        self.row.running = 0
        self.row.pending_events = 0
        self.row.waiting_for = "[]"
        self.first = None
        self.let_go()

    def let_go(self) -> None:
        """Forget the live execution; history can bring it back."""
        if self.execution is not None:
            self.execution.close()
            self.execution = None

    def history(self, store: Store) -> list[Event]:
        """This execution's events, those of this step included, checked against the hash chain.

        Raises: HistoryDamagedError; SealedError where its key is not here.
        """
        row = self.row
        rows = store.history(row.key, row.execution) if self.stored else []
        rows += [(n, body, link) for _, ex, n, body, link in self.fresh if ex == row.execution]
        chain.check(row.id, row.execution, rows, row.length, row.head)
        try:
            read = store.rows.read
            return [read(row.id, row.execution, number, body) for number, body, _ in rows]
        except msgspec.MsgspecError as error:
            raise HistoryDamagedError(row.id, row.execution, row.length, str(error)) from error
