"""When a failed activity is tried again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from adjourn import FailureDetails, NonRetryableError, RetryPolicy
from adjourn.errors import RegistrationError
from adjourn.model.failure import describe
from tests.histories import T0, at

SECOND = timedelta(seconds=1)


class CardRefused(Exception):
    pass


class StolenCard(CardRefused):
    pass


class Final(NonRetryableError):
    pass


def policy(**fields: Any) -> RetryPolicy:
    """Ten attempts, one second apart, unless told otherwise."""
    return RetryPolicy(**{"max_number_of_attempts": 10, **fields})


def next_attempt(
    retry: RetryPolicy,
    *,
    attempts: int = 1,
    now: datetime = T0,
    error: Exception | None = None,
) -> datetime | None:
    failure = describe(error or ValueError("no"))
    return retry.next_attempt_at(attempts=attempts, first_at=T0, now=now, failure=failure)


@pytest.mark.parametrize(
    ("first", "coefficient", "ceiling", "delays"),
    [
        (1, 1.0, None, [1, 1, 1, 1]),
        (2, 2.0, None, [2, 4, 8, 16]),
        (1, 1.5, None, [1, 1.5, 2.25, 3.375]),
        (10, 10.0, None, [10, 100, 1_000, 10_000]),
        (2, 2.0, 5, [2, 4, 5, 5]),
        (9, 1.0, 5, [5, 5, 5, 5]),
        (0, 2.0, None, [0, 0, 0, 0]),
        (0.000_001, 2.0, None, [0.000_001, 0.000_002, 0.000_004, 0.000_008]),
    ],
)
def test_the_delay_is_first_times_coefficient_to_the_attempts_before_up_to_a_ceiling(
    first: float, coefficient: float, ceiling: float | None, delays: list[float]
):
    retry = policy(
        first_retry_interval=timedelta(seconds=first),
        backoff_coefficient=coefficient,
        max_retry_interval=None if ceiling is None else timedelta(seconds=ceiling),
    )

    found = [retry.delay_after(attempts).total_seconds() for attempts in (1, 2, 3, 4)]

    assert found == delays


@pytest.mark.parametrize("attempts", [40, 104, 1_000, 10_000_000])
def test_a_delay_too_large_for_any_number_is_the_ceiling(attempts: int):
    steep = policy(backoff_coefficient=1_000.0)
    capped = policy(backoff_coefficient=1_000.0, max_retry_interval=timedelta(hours=1))

    assert steep.delay_after(attempts) == timedelta(days=3650)
    assert capped.delay_after(attempts) == timedelta(hours=1)


def test_no_delay_stays_no_delay_however_many_attempts():
    assert policy(first_retry_interval=timedelta(), backoff_coefficient=1e3).delay_after(200) == (
        timedelta()
    )


def test_a_ceiling_of_zero_means_no_delay():
    assert policy(max_retry_interval=timedelta()).delay_after(1) == timedelta()


def test_by_default_nothing_is_tried_again():
    assert next_attempt(RetryPolicy()) is None


@pytest.mark.parametrize(("attempts", "again"), [(1, True), (2, True), (3, False), (4, False)])
def test_the_first_attempt_counts(attempts: int, again: bool):
    retry = policy(max_number_of_attempts=3)

    assert (next_attempt(retry, attempts=attempts) is not None) is again


def test_the_next_attempt_is_a_delay_after_the_failure_and_not_after_the_first_attempt():
    retry = policy(first_retry_interval=timedelta(seconds=5), backoff_coefficient=2.0)

    assert next_attempt(retry, attempts=2, now=at(100)) == at(110)


@pytest.mark.parametrize(
    ("now", "again"), [(0, True), (2.999_999, True), (3, False), (3.000_001, False), (9, False)]
)
def test_the_total_timeout_is_judged_by_the_time_of_the_failure_that_is_given(
    now: float, again: bool
):
    retry = policy(retry_timeout=timedelta(seconds=3))

    assert (next_attempt(retry, now=at(now)) is not None) is again


def test_the_total_timeout_may_pass_during_the_delay():
    retry = policy(first_retry_interval=timedelta(seconds=60), retry_timeout=timedelta(seconds=3))

    assert next_attempt(retry, now=at(1)) == at(61)


def test_a_total_timeout_beyond_the_calendar_never_passes():
    assert next_attempt(policy(retry_timeout=timedelta.max)) == at(1)


@pytest.mark.parametrize("answer", [True, False])
def test_retry_if_decides_by_what_was_recorded(answer: bool):
    asked: list[FailureDetails] = []

    def decide(failure: FailureDetails) -> bool:
        asked.append(failure)
        return answer

    again = next_attempt(policy(retry_if=decide), error=CardRefused("expired"))

    assert (again is not None) is answer
    assert [(failure.type, failure.message) for failure in asked] == [
        (f"{__name__}.CardRefused", "expired")
    ]


def test_a_retry_if_that_raises_means_never():
    def broken(failure: FailureDetails) -> bool:
        raise ValueError(failure.message)

    assert next_attempt(policy(retry_if=broken)) is None


def test_retry_if_is_not_asked_when_something_else_says_no():
    def never_asked(failure: FailureDetails) -> bool:
        pytest.fail("retry_if was asked")

    assert next_attempt(policy(retry_if=never_asked), attempts=10) is None
    assert next_attempt(policy(retry_if=never_asked), error=Final()) is None
    assert next_attempt(policy(retry_if=never_asked, retry_timeout=timedelta())) is None


@pytest.mark.parametrize(
    "listed",
    [CardRefused, "CardRefused", f"{__name__}.CardRefused"],
    ids=["class", "short", "full"],
)
def test_a_failure_listed_as_non_retryable_is_not_tried_again(
    listed: type[BaseException] | str,
):
    retry = policy(non_retryable=(KeyError, listed))

    assert next_attempt(retry, error=CardRefused()) is None
    assert next_attempt(retry, error=ValueError()) is not None


def test_a_subclass_of_a_listed_failure_is_tried_again_for_history_knows_names_only():
    assert next_attempt(policy(non_retryable=(CardRefused,)), error=StolenCard()) is not None


def test_a_cause_that_is_listed_counts():
    error = ValueError("wrapped")
    error.__cause__ = CardRefused()

    assert next_attempt(policy(non_retryable=(CardRefused,)), error=error) is None


@pytest.mark.parametrize("error", [NonRetryableError("x"), Final("x")])
def test_a_non_retryable_error_is_never_tried_again(error: Exception):
    assert next_attempt(policy(retry_if=lambda _: True), error=error) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"max_number_of_attempts": 0},
        {"max_number_of_attempts": -1},
        {"first_retry_interval": -SECOND},
        {"max_retry_interval": -SECOND},
        {"first_retry_interval": timedelta.max},
        {"max_retry_interval": timedelta(days=3651)},
        {"backoff_coefficient": 0.5},
        {"backoff_coefficient": 1_000.1},
        {"backoff_coefficient": float("nan")},
        {"backoff_coefficient": float("inf")},
    ],
    ids=str,
)
def test_a_policy_that_makes_no_sense_is_refused(fields: dict[str, Any]):
    with pytest.raises(RegistrationError, match="RetryPolicy"):
        RetryPolicy(**fields)


def test_a_policy_is_a_value():
    decide: Callable[[FailureDetails], bool] = bool

    assert policy(retry_if=decide) == policy(retry_if=decide)
    with pytest.raises(AttributeError):
        policy().max_number_of_attempts = 5  # type: ignore[misc]  # frozen: what is tested
