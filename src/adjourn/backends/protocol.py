"""What the client needs of a backend."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from adjourn.engine.messages import EventAnswer, OnConflict
from adjourn.model.actor import Actor
from adjourn.model.inbox import Counts, InboxPage, InboxQuery, InboxRow
from adjourn.model.state import Ending, HistoryEntry, InstanceState, Page
from adjourn.store.protocol import Query

Action = Literal["suspend", "resume", "terminate"]
SettledAs = Literal["completed", "failed", "again"]


class Backend(Protocol):
    """Every method is durable when it returns, and raises an AdjournError that says what is wrong.

    A StorageError, a lost connection or a cancelled call has an unknown outcome: repeat it with
    the same id.
    """

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def start(
        self,
        name: str,
        input: msgspec.Raw,
        id: str,
        *,
        on_conflict: OnConflict,
        start_at: datetime | None,
        tags: dict[str, str],
    ) -> bool:
        """Whether this call started it (False: it was there already).

        Raises: UnknownOrchestratorError, InvalidPayloadError, InstanceExistsError.
        """
        ...

    async def raise_event(
        self,
        id: str,
        name: str,
        data: msgspec.Raw,
        event_id: str,
        *,
        wait: int = 0,
        by: Actor | None = None,
    ) -> EventAnswer:
        """Idempotent by `event_id`; with `wait` only to that wait, as `InboxRow.version` names it.
        `by` is who sends it, verified by the caller.

        Raises: InstanceNotFoundError, InstanceFinishedError, InvalidPayloadError,
        TooManyEventsError; UpdateConflictError when that wait is over; UpdateForbiddenError when
        `by` may not give a person's answer.
        """
        ...

    async def update(
        self,
        id: str,
        name: str,
        data: msgspec.Raw,
        update_id: str,
        *,
        by: Actor | None = None,
    ) -> msgspec.Raw:
        """The orchestrator's answer, however long it takes. Idempotent by `update_id`. `by` is who
        sends it, verified by the caller.

        Raises: as `raise_event`; UpdateRefusedError, WrongStateError.
        """
        ...

    async def control(self, id: str, action: Action, reason: str, *, recursive: bool) -> None:
        """Raises: InstanceNotFoundError, InstanceFinishedError, WrongStateError."""
        ...

    async def settle(
        self,
        id: str,
        sequence: int,
        outcome: SettledAs,
        *,
        by: str,
        result: msgspec.Raw,
        reason: str,
    ) -> None:
        """Raises: InstanceNotFoundError, InstanceFinishedError, WrongStateError."""
        ...

    async def result(self, id: str) -> Ending:
        """How it ended, once it has. Raises: InstanceNotFoundError."""
        ...

    async def get(self, id: str) -> InstanceState:
        """Raises: InstanceNotFoundError."""
        ...

    async def list(self, query: Query) -> Page: ...

    async def inbox(self, query: InboxQuery) -> InboxPage:
        """Raises: InvalidIdError for a page token that is none."""
        ...

    async def inbox_counts(self, query: InboxQuery) -> Counts: ...

    async def inbox_row(self, id: str) -> InboxRow | None: ...

    def watch_inbox(self, tenant: str | None = None) -> AsyncIterator[list[str]]:
        """Ids of which the inbox shows something new, batch by batch, from the first `anext` on;
        of this tenant only, or of all."""
        ...

    async def history(self, id: str, execution: int | None) -> list[HistoryEntry]:
        """Raises: InstanceNotFoundError, HistoryDamagedError."""
        ...
