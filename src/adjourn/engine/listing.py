"""What the inbox shows of an instance: approvals, and whatever waits for an event "Approval"."""

from __future__ import annotations

import msgspec

from adjourn.engine.instance import Instance
from adjourn.model.approval import APPROVAL
from adjourn.model.inbox import InboxRow
from adjourn.model.state import from_microseconds
from adjourn.model.status import Status
from adjourn.store.protocol import InstanceRow

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


def listing_of(instance: Instance) -> InboxRow | None:
    """Its row, or None."""
    row = instance.row
    if not is_listed(row):
        return None
    return _of_approval(row) if row.name == APPROVAL else _of_event(row)


def _of_approval(row: InstanceRow) -> InboxRow | None:
    try:
        shown = msgspec.json.decode(row.custom_status or "", type=InboxRow)
    except msgspec.MsgspecError:
        return None
    if row.status is Status.TERMINATED and not shown.final:
        ended = None if row.finished_at is None else from_microseconds(row.finished_at)
        return msgspec.structs.replace(shown, status="cancelled", final=True, decided_at=ended)
    if row.status is Status.FAILED:
        problem = "It failed, so nobody can decide it any more: look at its timeline."
        return msgspec.structs.replace(shown, final=True, problem=problem)
    return msgspec.structs.replace(shown, problem=_problem(row))


def _of_event(row: InstanceRow) -> InboxRow:
    return InboxRow(
        id=row.id,
        title=_title(row),
        opened_at=from_microseconds(row.created_at),
        pattern="event",
        kind=row.name,
        case=row.id,
        problem=_problem(row),
    )


def _title(row: InstanceRow) -> str:
    """The custom status where it is a text: the workflow's own words."""
    told = None if row.custom_status is None else msgspec.json.decode(row.custom_status)
    title = told if isinstance(told, str) and told.strip() else f"{row.name} {row.id}"
    return title[:TITLE_LIMIT]


def _problem(row: InstanceRow) -> str:
    if row.status is Status.QUARANTINED:
        return row.problem or "quarantined"
    return "Its instance is suspended." if row.status is Status.SUSPENDED else ""
