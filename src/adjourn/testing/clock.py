"""A clock that moves only when told to."""

from __future__ import annotations

from datetime import UTC, datetime

START = datetime(2026, 1, 1, 9, 0, tzinfo=UTC)


class VirtualClock:
    """`Clock` for tests. Never steps back."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def move_to(self, moment: datetime) -> None:
        """Later only; an earlier moment changes nothing."""
        self._now = max(self._now, moment)
