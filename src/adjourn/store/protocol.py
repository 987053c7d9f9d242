"""What the engine needs of a store. `adjourn.testing.StoreContract` holds any store to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from adjourn.model.inbox import Counts, ExecutionState, InboxPage, InboxQuery, InboxRow
from adjourn.model.status import Status
from adjourn.store.rows import Rows

Attribute = str | int | float | bool | None
Timer = tuple[int, int, int, int, str]
"""fire_at (microseconds since 1970, UTC), instance key, execution, sequence, purpose."""

HistoryRow = tuple[int, int, int, bytes, bytes]
"""Instance key, execution, number (1 for the first), body (JSON), chain hash."""

ReceiptRow = tuple[int, str, str, str | None]
"""Instance key, kind ("event" or "update"), sender's id, answer (as `Store.rows` hides it) or None
while it is open."""


class InstanceRow(msgspec.Struct, kw_only=True, gc=False):
    """One instance as the store holds it. Times are microseconds since 1970, UTC."""

    key: int
    id: str
    name: str
    version: str = ""
    execution: int = 1
    status: Status = Status.PENDING
    length: int = 0
    """History rows of this execution."""
    turned: int = 0
    """How many of them a turn has seen."""
    head: bytes = b""
    """Chain hash of the last row."""
    created_at: int = 0
    updated_at: int = 0
    finished_at: int | None = None
    visible_at: int | None = None
    """Not before: for scheduled starts."""
    parent: int | None = None
    parent_execution: int | None = None
    parent_sequence: int | None = None
    running: int = 0
    """Activities without a result."""
    pending_events: int = 0
    """External events and updates that nothing has consumed."""
    waiting_for: str = "[]"
    """JSON list of the names with a live wait."""
    custom_status: str | None = None
    """As `Store.rows` hides it."""
    problem: str | None = None
    """Why it is quarantined, for people; as `Store.rows` hides it."""
    start_digest: bytes = b""
    """Digest of name and input of the start, for idempotent starts; as `Store.rows` makes it."""
    tags: str = "{}"
    tenant: str = ""
    """Written once: a later update of the row does not change it."""


@dataclass(slots=True)
class Changes:
    """Everything that one step writes, in one transaction."""

    inserted: list[InstanceRow] = field(default_factory=list[InstanceRow])
    updated: list[InstanceRow] = field(default_factory=list[InstanceRow])
    advanced: list[InstanceRow] = field(default_factory=list[InstanceRow])
    """Updated ones of which only what every turn changes has changed: length, turned, head,
    updated_at, pending_events, waiting_for, custom_status."""
    history: list[HistoryRow] = field(default_factory=list[HistoryRow])
    timers_added: list[Timer] = field(default_factory=list[Timer])
    timers_removed: list[Timer] = field(default_factory=list[Timer])
    receipts: list[ReceiptRow] = field(default_factory=list[ReceiptRow])
    receipts_cleared: list[int] = field(default_factory=list[int])
    """Instance keys whose receipts go: the id begins a new life."""
    attributes: list[tuple[int, str, Attribute]] = field(
        default_factory=list[tuple[int, str, Attribute]]
    )
    inbox: list[tuple[int, InboxRow | None]] = field(
        default_factory=list[tuple[int, InboxRow | None]]
    )
    """Instance keys and what the inbox shows of them from now on; None takes it out. In order, and
    after `receipts_cleared`, which takes out what the inbox showed of the life before."""
    inbox_executions: list[tuple[int, ExecutionState]] = field(
        default_factory=list[tuple[int, ExecutionState]]
    )
    """What became of approved effects, by the approval's key; written after `inbox`. It stays
    through later rows whose own execution is "none"; it does nothing where no row is."""

    def __bool__(self) -> bool:
        return bool(
            self.inserted
            or self.updated
            or self.advanced
            or self.history
            or self.timers_added
            or self.timers_removed
            or self.receipts
            or self.attributes
            or self.inbox
            or self.inbox_executions
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which instances to list. All given conditions hold; times are microseconds."""

    statuses: Sequence[Status] = ()
    names: Sequence[str] = ()
    id_prefix: str = ""
    waiting_for: str = ""
    created_from: int | None = None
    created_to: int | None = None
    where: Sequence[tuple[str, Attribute]] = ()
    tenant: str | None = None
    """None: of all tenants."""
    newest_first: bool = False
    after_key: int | None = None
    limit: int = 100


class Store(Protocol):
    """One file, owned by one engine thread. Every method is called from that thread.

    Any method may raise StorageError; after one that is not StorageFullError the engine stops.
    """

    path: str
    rows: Rows
    """How events and texts stand in it: whoever writes or reads one goes through this."""
    was_clean: bool
    """Whether the last owner closed it; False after a crash."""

    def commit(self, changes: Changes, written: Callable[[], None] = ...) -> None:
        """Write all of it or nothing, durably: when this returns, a power cut loses nothing of it.

        `written` is called inside the transaction, before its end: a crash there keeps nothing.

        Raises: FencedError when another engine took the file over; StorageFullError when the disk
        is full (then nothing was written and the store goes on working); StorageError when the
        outcome is unknown.
        """
        ...

    def next_key(self) -> int:
        """The first unused instance key. Called once, at the start."""
        ...

    def find(self, instance_id: str) -> InstanceRow | None: ...

    def load(self, key: int) -> InstanceRow | None: ...

    def history(self, key: int, execution: int) -> list[tuple[int, bytes, bytes]]:
        """(number, body, hash) in order. Not checked: that is `chain.check`."""
        ...

    def row(self, key: int, execution: int, number: int) -> bytes | None:
        """One row's body; number -1 means the last."""
        ...

    def receipt(self, key: int, kind: str, event_id: str) -> tuple[str | None] | None:
        """The answer given to a sender's id (None inside: still open), or None: never seen."""
        ...

    def attributes(self, key: int) -> dict[str, Attribute]: ...

    def due_timers(self, now: int, limit: int) -> list[Timer]:
        """Those with fire_at <= now, earliest first."""
        ...

    def earliest_timer(self) -> int | None: ...

    def unfinished_business(self) -> list[InstanceRow]:
        """What a start must look at: pending, quarantined, or with running activities. Reads an
        index of those only, however many instances wait."""
        ...

    def list(self, query: Query) -> list[InstanceRow]:
        """In order of creation. Raises: nothing for conditions that match nothing."""
        ...

    def inbox(self, query: InboxQuery) -> InboxPage:
        """One page of a view, as `adjourn.model.inbox` says. Pages follow one another by the last
        row's place in the order, so that rows which come or go before it change nothing.

        Raises: InvalidIdError for a page token that is none of this view and order.
        """
        ...

    def inbox_counts(self, query: InboxQuery) -> Counts:
        """How many rows each view has under the filters of this query: all that its pages would
        hold, or COUNT_LIMIT. View, order, limit and page token of the query count for nothing."""
        ...

    def inbox_row(self, key: int) -> InboxRow | None:
        """What the inbox shows of an instance, open or ended."""
        ...

    def checkpoint_if_due(self, *, idle: bool) -> None:
        """Move the write-ahead log into the file when it is long, or when there is time."""
        ...

    def close(self) -> None: ...
