"""What the inbox shows of an instance: approvals, and whatever waits for an event "Approval"."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from adjourn.engine.instance import Instance
from adjourn.model.approval import APPROVAL
from adjourn.model.inbox import InboxRow
from adjourn.model.state import from_microseconds
from adjourn.model.status import Status
from adjourn.replay.tasks import WaitTask
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


def listing_of(instance: Instance, known: Callable[[int], InboxRow | None]) -> InboxRow | None:
    """Its row, or None. `known` says what the inbox has of an instance, by its key."""
    row, execution = instance.row, instance.execution
    if not is_listed(row):
        return None
    if row.name == APPROVAL:
        return _of_approval(row)
    if execution is None:  # it cannot go on now: what it waited for, and why
        shown = known(row.key)
        return None if shown is None else msgspec.structs.replace(shown, problem=_problem(row))
    wait = execution.event_wait(EVENT)
    return None if wait is None else _of_event(row, wait)


def number_of(row: InstanceRow, sequence: int) -> int:
    """Of a wait for an event: another one for each wait in the life of an instance."""
    return row.execution << 32 | sequence


def _of_approval(row: InstanceRow) -> InboxRow | None:
    try:
        shown = msgspec.json.decode(row.custom_status or "", type=InboxRow)
    except msgspec.MsgspecError:
        return None
    if row.status is Status.TERMINATED:
        ended = None if row.finished_at is None else from_microseconds(row.finished_at)
        return msgspec.structs.replace(shown, status="cancelled", final=True, decided_at=ended)
    if row.status is Status.FAILED:
        problem = "It failed, so nobody can decide it any more: look at its timeline."
        return msgspec.structs.replace(shown, final=True, problem=problem)
    return msgspec.structs.replace(shown, problem=_problem(row))


def _of_event(row: InstanceRow, wait: WaitTask) -> InboxRow:
    return InboxRow(
        id=row.id,
        title=_title(row),
        opened_at=wait.opened_at,
        pattern="event",
        version=number_of(row, wait.sequence),
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
