"""What the client needs of a backend."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Protocol

import msgspec

from adjourn.engine.messages import OnConflict
from adjourn.model.state import Ending, HistoryEntry, InstanceState, Page
from adjourn.store.protocol import Query

Action = Literal["suspend", "resume", "terminate"]
EventAnswer = Literal["accepted", "duplicate"]
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
        self, id: str, name: str, data: msgspec.Raw, event_id: str
    ) -> EventAnswer:
        """Idempotent by `event_id`. Raises: InstanceNotFoundError, InstanceFinishedError,
        InvalidPayloadError, TooManyEventsError."""
        ...

    async def update(self, id: str, name: str, data: msgspec.Raw, update_id: str) -> msgspec.Raw:
        """The orchestrator's answer, however long it takes. Idempotent by `update_id`.

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

    async def history(self, id: str, execution: int | None) -> list[HistoryEntry]:
        """Raises: InstanceNotFoundError, HistoryDamagedError."""
        ...
