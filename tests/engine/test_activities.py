"""Activities: at least once with one key, retried by a decision that history keeps."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from adjourn import (
    ActivityFailedError,
    Adjourn,
    Context,
    InstanceFailedError,
    NonRetryableError,
    RetryPolicy,
    WrongStateError,
    current_activity,
)
from adjourn.testing import Sandbox

app = Adjourn()
calls: list[tuple[str, int]] = []
fail_times = {"count": 0}

TEN_SECONDS = timedelta(seconds=10)


@pytest.fixture(autouse=True)
def fresh_calls():
    calls.clear()
    fail_times["count"] = 0


def note() -> None:
    activity = current_activity()
    calls.append((activity.idempotency_key, activity.attempt))
    if len(calls) <= fail_times["count"]:
        raise ConnectionError("the provider hung up")


@app.activity(
    retry=RetryPolicy(
        max_number_of_attempts=4,
        first_retry_interval=TEN_SECONDS,
        backoff_coefficient=2,
        retry_timeout=timedelta(minutes=5),
    )
)
def patient(amount: Decimal) -> Decimal:
    note()
    return amount * 2


@app.activity
async def once(amount: int) -> int:
    note()
    return amount


@app.activity(at_most_once=True)
def never_twice(amount: int) -> int:
    note()
    return amount


@app.activity(retry=RetryPolicy(max_number_of_attempts=5))
def hopeless() -> None:
    note()
    raise NonRetryableError("the order does not exist")


@app.orchestrator
async def pay(ctx: Context, amount: Decimal) -> Decimal:
    doubled = await ctx.call_activity(patient, amount)
    await ctx.create_timer(timedelta(days=3))
    return doubled


@app.orchestrator
async def pay_once(ctx: Context, amount: int) -> int:
    return await ctx.call_activity(never_twice, amount)


@app.orchestrator
async def plain(ctx: Context, amount: int) -> int:
    return await ctx.call_activity(once, amount)


@app.orchestrator
async def explain(ctx: Context) -> str:
    try:
        await ctx.call_activity(hopeless)
    except ActivityFailedError as error:
        return f"{error.failure.type} {error.failure.message}"
    return "it worked"


@app.orchestrator
async def again_and_again(ctx: Context, left: int) -> None:
    await ctx.call_activity(once, left)
    if left:
        ctx.continue_as_new(left - 1)


def test_a_failed_activity_is_tried_again_after_growing_pauses_with_the_same_key():
    fail_times["count"] = 2
    with Sandbox(app) as box:
        run = box.start(pay, Decimal("1.10"), id="p")
        box.advance(seconds=9)
        assert len(calls) == 1
        box.advance(seconds=1)
        assert len(calls) == 2
        box.advance(seconds=20)

        assert calls == [("p/1/1", 1), ("p/1/1", 2), ("p/1/1", 3)]
        box.advance(days=4)
        assert run.result == Decimal("2.20")


def test_an_old_retry_decision_is_not_judged_again_by_the_clock_of_a_replay():
    fail_times["count"] = 1
    with Sandbox(app, cache_size=0) as box:
        run = box.start(pay, Decimal(1), id="p")
        box.advance(minutes=1)
        assert len(calls) == 2

        # Far beyond retry_timeout; each turn is a replay, for nothing stays in memory.
        box.advance(days=2)
        box.crash()
        box.advance(days=2)

        assert run.result == Decimal(2)
        assert len(calls) == 2


def test_the_total_timeout_ends_retrying():
    fail_times["count"] = 99
    with Sandbox(app) as box:
        run = box.start(pay, Decimal(1), id="p")
        box.advance(days=1)

        with pytest.raises(InstanceFailedError, match="ConnectionError: the provider hung up"):
            _ = run.result
        assert len(calls) == 4


def test_a_retry_that_waits_survives_a_crash():
    fail_times["count"] = 1
    with Sandbox(app) as box:
        box.start(pay, Decimal(1), id="p")
        box.crash()
        assert len(calls) == 1

        box.advance(seconds=10)

        assert calls == [("p/1/1", 1), ("p/1/1", 2)]


def test_a_non_retryable_failure_is_final_and_reaches_the_orchestrator_as_it_was():
    with Sandbox(app) as box:
        run = box.start(explain, id="e")

        assert run.result == "adjourn.errors.NonRetryableError the order does not exist"
        assert len(calls) == 1


def test_an_activity_in_flight_at_a_crash_runs_again_with_the_same_key():
    with Sandbox(app, run_activities=False) as box:
        run = box.start(plain, 7, id="p")
        box.crash()
        box.run_next_activity()

        assert calls == [("p/1/1", 2)]
        assert run.result == 7
        assert "ActivityRecovered" in run.kinds


def test_a_result_of_an_attempt_from_before_the_crash_is_dropped():
    with Sandbox(app, run_activities=False) as box:
        run = box.start(plain, 7, id="p")
        stale = box.waiting_activities[0]
        box.crash()

        assert stale not in box.waiting_activities
        box.run_next_activity()
        assert run.kinds.count("ActivityCompleted") == 1


def test_at_most_once_is_in_doubt_after_a_crash_until_a_person_settles_it():
    with Sandbox(app, run_activities=False) as box:
        run = box.start(pay_once, 7, id="p")
        box.crash()
        box.crash()

        assert not box.waiting_activities
        assert run.kinds.count("ActivityInDoubt") == 1
        assert run.status == "Running"

        box.settle("p", 1, "completed", by="ada", result=7)
        assert run.result == 7
        assert calls == []


def test_a_person_may_order_another_attempt_of_an_activity_in_doubt():
    with Sandbox(app, run_activities=False) as box:
        run = box.start(pay_once, 7, id="p")
        box.crash()
        box.settle("p", 1, "again", by="ada")
        box.run_next_activity()

        assert run.result == 7
        with pytest.raises(Exception, match="finished"):
            box.settle("p", 1, "again", by="ada")


def test_only_what_is_in_doubt_can_be_settled():
    with Sandbox(app, run_activities=False) as box:
        box.start(plain, 7, id="p")

        with pytest.raises(WrongStateError, match="not in doubt"):
            box.settle("p", 1, "completed", by="ada", result=7)


def test_the_key_differs_between_executions():
    with Sandbox(app) as box:
        box.start(again_and_again, 2, id="c")

        assert [key for key, _ in calls] == ["c/1/1", "c/2/1", "c/3/1"]
