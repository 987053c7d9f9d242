"""What is told about an instance: the answers of `get`, `list` and `history`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from adjourn.model.events import Event
from adjourn.model.failure import FailureDetails
from adjourn.model.status import Status

Attribute = str | int | float | bool | None

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime: exact, unlike a float."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """The aware UTC datetime of it."""
    return _EPOCH + timedelta(microseconds=value)


class InstanceState(msgspec.Struct, frozen=True, kw_only=True):
    """One instance at one moment. Datetimes are aware UTC; payloads are JSON."""

    id: str
    name: str
    version: str
    execution: int
    status: Status
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None
    visible_at: datetime | None = None
    tenant: str = ""
    """Whose it is, for ever: as it was started, or as whatever started it."""
    parent_id: str | None = None
    input: msgspec.Raw | None = None
    output: msgspec.Raw | None = None
    """The result once completed, the reason once terminated (as Durable Functions shows them)."""
    failure: FailureDetails | None = None
    custom_status: msgspec.Raw | None = None
    attributes: dict[str, Attribute] = {}
    waiting_for: list[str] = []
    running: int = 0
    pending_events: int = 0
    problem: str | None = None
    """Why it is quarantined: reads like a review comment."""
    events: int = 0


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How an instance ended."""

    id: str
    name: str
    status: Status
    output: msgspec.Raw | None = None
    """As in `InstanceState`."""
    failure: FailureDetails | None = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list, and the token that asks for the next."""

    instances: list[InstanceState]
    next_token: str | None = None


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One history row."""

    execution: int
    number: int
    event: Event
    hash: str
