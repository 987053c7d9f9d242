"""What the inbox shows of an instance: approvals, and whatever waits for an event "Approval"."""

from __future__ import annotations

import msgspec

from adjourn.engine.instance import Instance
from adjourn.errors import SealedError
from adjourn.model.approval import APPROVAL
from adjourn.model.inbox import InboxRow
from adjourn.model.state import from_microseconds
from adjourn.model.status import Status
from adjourn.replay.tasks import WaitTask
from adjourn.store.protocol import InstanceRow, Store
from adjourn.store.rows import Rows

EVENT = "approval"
"""The plain form's event, in any letter case."""

TITLE_LIMIT = 300


def is_listed(row: InstanceRow) -> bool:
    """Whether the inbox has a row of it, as it stands."""
    if row.name == APPROVAL:
        return row.custom_status is not None
    waiting = row.waiting_for
    return (
        len(waiting) > len(EVENT)
        and EVENT in waiting.casefold()
        and any(name.casefold() == EVENT for name in msgspec.json.decode(waiting, type=list[str]))
    )


def listing_of(instance: Instance, store: Store) -> InboxRow | None:
    """Its row, or None. Rows of the inbox are never encrypted: they are what people look for."""
    row, execution = instance.row, instance.execution
    if not is_listed(row):
        return None
    problem = _problem(row, store.rows)
    if row.name == APPROVAL:
        try:
            return _of_approval(row, store.rows, problem)
        except SealedError:
            pass  # as it stood, and why it cannot go on
    elif execution is not None:
        wait = execution.event_wait(EVENT)
        return None if wait is None else _of_event(row, wait, store.rows, problem)
    shown = store.inbox_row(row.key)
    return None if shown is None else msgspec.structs.replace(shown, problem=problem)


def number_of(row: InstanceRow, sequence: int) -> int:
    """Of a wait for an event: another one for each wait in the life of an instance."""
    return row.execution << 32 | sequence


def _of_approval(row: InstanceRow, rows: Rows, problem: str) -> InboxRow | None:
    """Raises: SealedError."""
    try:
        told = rows.show(row.id, "status", row.custom_status or "")
        shown = msgspec.json.decode(told, type=InboxRow)
    except msgspec.MsgspecError:
        return None
    shown = msgspec.structs.replace(shown, tenant=row.tenant)
    if row.status is Status.TERMINATED:
        ended = None if row.finished_at is None else from_microseconds(row.finished_at)
        return msgspec.structs.replace(shown, status="cancelled", final=True, decided_at=ended)
    if row.status is Status.FAILED:
        problem = "It failed, so nobody can decide it any more: look at its timeline."
        return msgspec.structs.replace(shown, final=True, problem=problem)
    return msgspec.structs.replace(shown, problem=problem)


def _of_event(row: InstanceRow, wait: WaitTask, rows: Rows, problem: str) -> InboxRow:
    return InboxRow(
        id=row.id,
        title=_title(row, rows),
        opened_at=wait.opened_at,
        tenant=row.tenant,
        pattern="event",
        version=number_of(row, wait.sequence),
        kind=row.name,
        case=row.id,
        problem=problem,
    )


def _title(row: InstanceRow, rows: Rows) -> str:
    """The custom status where it is a text: the workflow's own words."""
    try:
        told = msgspec.json.decode(rows.show(row.id, "status", row.custom_status or "null"))
    except SealedError:
        told = None
    title = told if isinstance(told, str) and told.strip() else f"{row.name} {row.id}"
    return title[:TITLE_LIMIT]


def _problem(row: InstanceRow, rows: Rows) -> str:
    if row.status is Status.QUARANTINED:
        if rows.encrypted:  # the reason may quote what the instance was given
            return "It is quarantined: its own page says why."
        return row.problem or "quarantined"
    return "Its instance is suspended." if row.status is Status.SUSPENDED else ""
