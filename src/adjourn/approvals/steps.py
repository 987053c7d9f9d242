"""One step in the life of an approval: a changed state, and the change that tells of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from adjourn.approvals.state import Change, State

DECIDED = ("approved", "rejected")
"""What people decide; it can be undone for a while."""

VALUE_LIMIT = 80  # characters of a field's value in the detail of a change


def changed(
    state: State,
    what: str,
    by: str,
    at: datetime,
    detail: str = "",
    *,
    bump: bool = True,
    through: str = "",
    **fields: Any,
) -> State:
    """The state with these fields, and the change noted; with a new version where `bump`."""
    version = state.version + 1 if bump else state.version
    change = Change(what=what, by=by, at=at, version=version, detail=detail, through=through)
    return replace(state, version=version, changes=[*state.changes, change], **fields)


def differences(before: Any, after: Any) -> str:
    """Which fields of an object became what, as people read it."""
    return ", ".join(
        f"{name} {shown(before.get(name))} → {shown(given)}"
        for name, given in after.items()
        if name not in before or before[name] != given
    )


def shown(value: Any) -> str:
    """A value in a line of text, cut where it is long."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= VALUE_LIMIT else text[:VALUE_LIMIT] + "…"


def joined(*parts: str) -> str:
    """What there is of it, with colons between."""
    return ": ".join(part for part in parts if part)


def after(at: datetime, seconds: float) -> datetime:
    """A span too long for the calendar ends with it."""
    try:
        return at + timedelta(seconds=seconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def later(at: datetime, seconds: float | None) -> datetime | None:
    """As `after`; None stays None."""
    return None if seconds is None else after(at, seconds)


def moment(at: datetime) -> str:
    """A moment as people read it: UTC, whole seconds."""
    return exact(at.replace(microsecond=0))


def exact(at: datetime) -> str:
    """A moment as programs read it: ISO 8601, UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
