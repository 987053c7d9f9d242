"""Committed rows as the values that clients see."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from adjourn.errors import InstanceNotFoundError, SealedError
from adjourn.model import events
from adjourn.model.codec import encode
from adjourn.model.events import Event
from adjourn.model.failure import FailureDetails
from adjourn.model.inbox import InboxRow
from adjourn.model.state import Ending, HistoryEntry, InstanceState, Page, from_microseconds
from adjourn.store import chain
from adjourn.store.protocol import InstanceRow, Query, Store
from adjourn.store.rows import Rows


def state_of(store: Store, row: InstanceRow) -> InstanceState:
    """All that is told about one instance. Where its encryption key is not here, no payload is, and
    `problem` says why: one such instance must not hide all the others of a list."""
    try:
        told = _told_of(store, row)
    except SealedError as error:
        told = _Told(problem=str(error))
    parent = None if row.parent is None else store.load(row.parent)
    return InstanceState(
        id=row.id,
        name=row.name,
        version=row.version,
        execution=row.execution,
        status=row.status,
        created_at=from_microseconds(row.created_at),
        updated_at=from_microseconds(row.updated_at),
        finished_at=None if row.finished_at is None else from_microseconds(row.finished_at),
        visible_at=None if row.visible_at is None else from_microseconds(row.visible_at),
        tenant=row.tenant,
        parent_id=None if parent is None else parent.id,
        input=told.input,
        output=told.output,
        failure=told.failure,
        custom_status=told.status,
        attributes=store.attributes(row.key),
        waiting_for=[] if row.status.finished else _names(row.waiting_for),
        running=row.running,
        pending_events=row.pending_events,
        problem=told.problem,
        events=row.length,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What of an instance may be encrypted."""

    input: msgspec.Raw | None = None
    output: msgspec.Raw | None = None
    failure: FailureDetails | None = None
    status: msgspec.Raw | None = None
    problem: str | None = None


def _told_of(store: Store, row: InstanceRow) -> _Told:
    """Raises: SealedError."""
    first = _event(store, row, 1)
    output, failure = _ending(store, row)
    problem = row.problem
    return _Told(
        input=first.input if isinstance(first, events.InstanceStarted) else None,
        output=output,
        failure=failure,
        status=None if row.custom_status is None else _raw(store.rows, row),
        problem=None if problem is None else store.rows.show(row.id, "problem", problem),
    )


def ending_of(store: Store, row: InstanceRow) -> Ending:
    """How a finished instance ended. Raises: SealedError."""
    output, failure = _ending(store, row)
    return Ending(id=row.id, name=row.name, status=row.status, output=output, failure=failure)


def _ending(store: Store, row: InstanceRow) -> tuple[msgspec.Raw | None, FailureDetails | None]:
    return outcome_of(_event(store, row, -1)) if row.status.finished else (None, None)


def outcome_of(event: Event | None) -> tuple[msgspec.Raw | None, FailureDetails | None]:
    """Output and failure that the last event of an instance tells."""
    match event:
        case events.InstanceCompleted(result=result):
            return result, None
        case events.InstanceFailed(failure=failure):
            return None, failure
        case events.InstanceTerminated(reason=reason):
            return encode(reason), None
        case _:
            return None, None


def inbox_row_of(store: Store, instance_id: str) -> InboxRow | None:
    """What the inbox shows of an instance, if anything."""
    row = store.find(instance_id)
    return None if row is None else store.inbox_row(row.key)


def _event(store: Store, row: InstanceRow, number: int) -> Event | None:
    """Raises: SealedError."""
    body = store.row(row.key, row.execution, number)
    if body is None:
        return None
    try:
        return store.rows.read(row.id, row.execution, row.length if number < 0 else number, body)
    except msgspec.MsgspecError:
        return None  # damaged; `history` and the next turn say so


def _raw(rows: Rows, row: InstanceRow) -> msgspec.Raw:
    return msgspec.Raw(rows.show(row.id, "status", row.custom_status or "null").encode())


def _names(text: str) -> list[str]:
    return msgspec.json.decode(text, type=list[str])


def page_of(store: Store, query: Query) -> Page:
    """One page; the token is the key after which the next begins."""
    limit = query.limit
    rows = store.list(replace(query, limit=limit + 1))
    shown = rows[:limit]
    token = str(shown[-1].key) if len(rows) > limit else None
    return Page(instances=[state_of(store, row) for row in shown], next_token=token)


def history_of(store: Store, instance_id: str, execution: int | None = None) -> list[HistoryEntry]:
    """Every row of one execution (the latest by default), checked against the hash chain.

    Raises: InstanceNotFoundError, HistoryDamagedError; SealedError where its key is not here.
    """
    row = store.find(instance_id)
    if row is None:
        raise InstanceNotFoundError(instance_id)
    number = row.execution if execution is None else execution
    rows = store.history(row.key, number)
    latest = number == row.execution
    length = row.length if latest else len(rows)
    head = row.head if latest else (rows[-1][2] if rows else b"")
    chain.check(instance_id, number, rows, length, head)
    return [
        HistoryEntry(
            execution=number,
            number=n,
            event=store.rows.read(instance_id, number, n, body),
            hash=link.hex(),
        )
        for n, body, link in rows
    ]
