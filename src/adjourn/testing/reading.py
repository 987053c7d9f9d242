"""A client for activities that look at the engine they run in, in a sandbox: it only reads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NoReturn, Protocol

from adjourn.errors import AdjournError
from adjourn.model.inbox import Counts, InboxPage, InboxQuery, InboxRow
from adjourn.model.state import HistoryEntry, InstanceState, Page
from adjourn.store.protocol import Query


class Readable(Protocol):
    """What of a sandbox is needed here."""

    def get(self, id: str, /) -> InstanceState: ...
    def list(self, query: Query | None = None) -> Page: ...
    def history(self, id: str, /, *, execution: int | None = None) -> list[HistoryEntry]: ...
    def inbox_page(self, query: InboxQuery) -> InboxPage: ...
    def inbox_counts(self, query: InboxQuery) -> Counts: ...
    def inbox_row(self, id: str) -> InboxRow | None: ...


class ReadingBackend:
    """`Backend` over a sandbox, without what would change it: an activity runs inside a step."""

    def __init__(self, box: Readable) -> None:
        self._box = box

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def get(self, id: str) -> InstanceState:
        return self._box.get(id)

    async def list(self, query: Query) -> Page:
        return self._box.list(query)

    async def inbox(self, query: InboxQuery) -> InboxPage:
        return self._box.inbox_page(query)

    async def inbox_counts(self, query: InboxQuery) -> Counts:
        return self._box.inbox_counts(query)

    async def inbox_row(self, id: str) -> InboxRow | None:
        return self._box.inbox_row(id)

    async def history(self, id: str, execution: int | None) -> list[HistoryEntry]:
        return self._box.history(id, execution=execution)

    def watch_inbox(self, tenant: str | None = None) -> AsyncIterator[list[str]]:
        _refuse()

    async def start(self, *_: Any, **__: Any) -> bool:
        _refuse()

    async def raise_event(self, *_: Any, **__: Any) -> Any:
        _refuse()

    async def update(self, *_: Any, **__: Any) -> Any:
        _refuse()

    async def control(self, *_: Any, **__: Any) -> None:
        _refuse()

    async def settle(self, *_: Any, **__: Any) -> None:
        _refuse()

    async def result(self, id: str) -> Any:
        _refuse()


def _refuse() -> NoReturn:
    raise AdjournError("A sandbox's client only reads: let the test call the sandbox itself.")
