"""When an activity is tried again. Pure: the time comes in, and the answer goes into history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from adjourn.errors import RegistrationError
from adjourn.model.failure import FailureDetails, type_name

LONGEST_PAUSE = timedelta(days=3650)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and when a failed activity runs again; field names as in Durable Task.

    The delay before attempt n+1 is
    `min(first_retry_interval * backoff_coefficient ** (n - 1), max_retry_interval)`.

    Retrying stops after `max_number_of_attempts` attempts (the first included), when
    `retry_timeout` has passed since the first attempt was scheduled, when `retry_if` says no, or
    when the failure is one of `non_retryable` (or was raised as `NonRetryableError`).

    Raises: RegistrationError for values that make no sense.
    """

    max_number_of_attempts: int = 1
    first_retry_interval: timedelta = timedelta(seconds=1)
    backoff_coefficient: float = 1.0
    max_retry_interval: timedelta | None = None
    retry_timeout: timedelta | None = None
    retry_if: Callable[[FailureDetails], bool] | None = None
    non_retryable: tuple[type[BaseException] | str, ...] = ()

    def __post_init__(self) -> None:
        zero = timedelta()
        if self.max_number_of_attempts < 1:
            raise RegistrationError("RetryPolicy(max_number_of_attempts=...) must be at least 1.")
        spans = (self.first_retry_interval, self.max_retry_interval or zero)
        if any(not zero <= span <= LONGEST_PAUSE for span in spans):
            raise RegistrationError("RetryPolicy intervals must be 0 to 3650 days.")
        if (self.retry_timeout or zero) < zero:
            raise RegistrationError("RetryPolicy(retry_timeout=...) must not be negative.")
        if not 1.0 <= self.backoff_coefficient <= 1_000.0:
            raise RegistrationError("RetryPolicy(backoff_coefficient=...) must be 1 to 1000.")

    def delay_after(self, attempts: int) -> timedelta:
        """The pause before the next attempt when `attempts` have been made."""
        ceiling = LONGEST_PAUSE if self.max_retry_interval is None else self.max_retry_interval
        first = self.first_retry_interval.total_seconds()
        if not first:
            return timedelta()
        try:
            seconds = first * self.backoff_coefficient ** (attempts - 1)
        except OverflowError:
            return ceiling
        return min(timedelta(seconds=min(seconds, ceiling.total_seconds())), ceiling)

    def next_attempt_at(
        self, *, attempts: int, first_at: datetime, now: datetime, failure: FailureDetails
    ) -> datetime | None:
        """When to try again, or None for never. A `retry_if` that raises means never."""
        if attempts >= self.max_number_of_attempts or failure.non_retriable:
            return None
        if any(failure.is_caused_by(_name_of(kind)) for kind in self.non_retryable):
            return None
        if self.retry_timeout is not None and now - first_at >= self.retry_timeout:
            return None
        if self.retry_if is not None and not _says_yes(self.retry_if, failure):
            return None
        return now + self.delay_after(attempts)


def _name_of(kind: type[BaseException] | str) -> str:
    return kind if isinstance(kind, str) else type_name(kind)


def _says_yes(predicate: Callable[[FailureDetails], bool], failure: FailureDetails) -> bool:
    try:
        return bool(predicate(failure))
    except Exception:  # the user's predicate is broken: failing the activity shows it
        return False
