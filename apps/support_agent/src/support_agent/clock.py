"""The one place where the support agent reads the clock. Orchestrators never do."""

import time
from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect, TypeDecorator


def now() -> datetime:
    """The present moment in UTC, always with its zone."""
    return datetime.now(UTC)  # noqa: TID251  (see the first line of this module)


def stopwatch_seconds() -> float:
    """Seconds on a watch that no change of the machine's clock moves; for bounding a wait."""
    return time.monotonic()  # noqa: TID251  (see the first line of this module)


class Moment(TypeDecorator[datetime]):
    """A column of moments: with a zone in Python, as UTC in the table. Refuses naive datetimes."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone; give an aware datetime.")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        # SQLite gives back what was stored in UTC without saying so; PostgreSQL says it in the
        # zone of its own settings.
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
