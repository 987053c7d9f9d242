"""The helpers of the context: the same on every replay, and refused where they cannot be."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from adjourn import (
    Adjourn,
    AdjournError,
    Context,
    DeterminismError,
    InvalidPayloadError,
    UpdateRequest,
)
from adjourn.errors import (
    InvalidIdError,
    PayloadTooLargeError,
    SerializationError,
    UnknownActivityError,
    UnknownOrchestratorError,
)
from adjourn.model import events
from adjourn.model.codec import STATUS_LIMIT
from adjourn.replay.execution import Execution
from adjourn.testing import Sandbox
from tests.histories import (
    Life,
    app_of,
    at,
    encoded,
    event,
    fired,
    kinds,
    living,
    replay,
    resumed,
    started,
    suspended,
    update,
)


def result_of(orchestrate: Any, *, id: str = "order-42", execution: int = 1) -> Any:
    """What it returns in its first turn."""
    app = app_of(orchestrate)
    life = Life(Execution(app, app.find_orchestrator("order"), id, execution))
    life.take(started("order"))
    return life.result


# Time.


def test_the_time_is_aware_and_constant_within_a_turn_and_that_of_the_event_being_handled():
    async def order(ctx: Context) -> list[str]:
        seen = [ctx.current_utc_datetime]
        await asyncio.sleep(0)
        seen.append(ctx.current_utc_datetime)
        await ctx.wait_for_external_event("Go")
        seen.append(ctx.current_utc_datetime)
        await asyncio.sleep(5)
        seen.append(ctx.current_utc_datetime)
        assert all(moment.tzinfo is UTC for moment in seen)
        return [moment.isoformat() for moment in seen]

    life = living(order)
    life.take(event("Go", after=60))
    life.take(fired(2, after=66))

    moments = [at(seconds).isoformat() for seconds in (0, 0, 60, 66)]
    assert life.result == moments


def test_the_time_never_goes_back_though_the_clock_did():
    async def order(ctx: Context) -> list[float]:
        seen: list[float] = []
        for _ in range(3):
            await ctx.wait_for_external_event("Go")
            seen.append((ctx.current_utc_datetime - at(0)).total_seconds())
        return seen

    life = living(order)
    for seconds in (100, 40, 120):
        life.take(event("Go", after=seconds))

    assert life.result == [100, 100, 120]


def test_what_waited_for_a_resumption_is_handled_at_the_time_of_the_resumption():
    async def order(ctx: Context) -> str:
        await ctx.wait_for_external_event("Go")
        return ctx.current_utc_datetime.isoformat()

    life = living(order)
    life.take(suspended())
    life.take(event("Go", after=60))
    life.take(resumed(after=600))

    assert life.result == at(600).isoformat()


def test_the_time_of_asyncio_is_the_time_of_the_instance():
    async def order(ctx: Context) -> list[float]:
        loop = asyncio.get_running_loop()
        before = loop.time()
        await ctx.wait_for_external_event("Go")
        return [before, loop.time()]

    life = living(order)
    life.take(event("Go", after=60))

    assert life.result == [0, 60]


# Timers.


def test_a_naive_timer_is_refused_with_the_right_form():
    async def order(ctx: Context) -> None:
        await ctx.create_timer(datetime(2026, 1, 2))  # noqa: DTZ001  what is refused

    failure = living(order).failure

    assert failure.type == "adjourn.errors.DeterminismError"
    assert failure.message == (
        "create_timer(datetime.datetime(2026, 1, 2, 0, 0)) has no time zone, so it means another "
        "moment on another machine. Use ctx.current_utc_datetime + timedelta(...), or an aware "
        "datetime."
    )


@pytest.mark.parametrize(
    "due",
    [
        timedelta(hours=1),
        at(3_600),
        at(3_600).astimezone(timezone(timedelta(hours=-8))),
        at(3_600).astimezone(timezone(timedelta(hours=5, minutes=45))),
    ],
    ids=["a span", "utc", "west", "east"],
)
def test_a_timer_is_kept_in_utc(due: datetime | timedelta):
    async def order(ctx: Context) -> None:
        await ctx.create_timer(due)

    row = living(order).rows[-1]

    assert isinstance(row, events.TimerCreated)
    assert row.fire_at.isoformat() == at(3_600).isoformat()


@pytest.mark.parametrize("due", [timedelta(0), timedelta(days=-1), timedelta(days=365 * 50)])
def test_a_timer_may_be_past_and_may_be_far(due: timedelta):
    async def order(ctx: Context) -> None:
        await ctx.create_timer(due)

    row = living(order).rows[-1]

    assert isinstance(row, events.TimerCreated)
    assert row.fire_at == at(0) + due


@pytest.mark.parametrize(
    "due",
    [
        timedelta.max,
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-12))),
    ],
    ids=["a span", "too early", "too late"],
)
def test_a_timer_beyond_the_calendar_fails_the_instance_only(due: datetime | timedelta):
    async def order(ctx: Context) -> None:
        await ctx.create_timer(due)

    assert living(order).failure.type == "OverflowError"


@pytest.mark.parametrize("seconds", [1e300, float("inf"), float("nan")], ids=str)
def test_a_sleep_beyond_the_calendar_fails_the_instance_only(seconds: float):
    async def order(ctx: Context) -> None:
        await asyncio.sleep(seconds)

    assert living(order).failure.type in ("OverflowError", "ValueError")


# Ids and dice.


async def draw(ctx: Context) -> list[Any]:
    return [str(ctx.new_uuid()), str(ctx.new_uuid()), ctx.random.random(), ctx.random.random()]


def test_uuids_are_of_version_five_and_each_is_another():
    first, second, *_ = result_of(draw)

    assert UUID(first).version == UUID(second).version == 5
    assert first != second


def test_uuids_and_dice_are_the_same_on_every_replay_and_others_elsewhere():
    here = result_of(draw)

    assert result_of(draw) == here
    elsewhere = [result_of(draw, id="order-43"), result_of(draw, execution=2)]
    assert len({*here, *elsewhere[0], *elsewhere[1]}) == 12


def test_uuids_and_dice_are_pinned_for_histories_in_the_field_hold_them():
    assert result_of(draw) == [
        "83c3fdcf-eb92-5966-9898-9192b1182d4f",
        "0487c035-ae1d-5890-a97e-3e458eab4d89",
        0.24109609357521977,
        0.231801819297913,
    ]


def test_uuids_and_dice_go_on_after_a_replay_where_they_stood():
    async def order(ctx: Context) -> list[Any]:
        drawn = await draw(ctx)
        await ctx.wait_for_external_event("Go")
        return drawn + await draw(ctx)

    life = living(order)
    again, _ = replay(app_of(order), life.rows)
    life.take(event("Go"))
    rebuilt = Life(again)
    rebuilt.take(event("Go"))

    assert rebuilt.result == life.result
    assert len(set(life.result)) == 8


# Replaying.


def test_is_replaying_is_true_for_what_is_past_only():
    seen: list[tuple[str, bool]] = []

    async def order(ctx: Context) -> None:
        seen.append(("begin", ctx.is_replaying))
        await ctx.wait_for_external_event("Go")
        seen.append(("middle", ctx.is_replaying))
        await ctx.wait_for_external_event("Go")
        seen.append(("end", ctx.is_replaying))

    life = living(order)
    life.take(event("Go"))
    assert seen == [("begin", False), ("middle", False)]
    seen.clear()

    again, _ = replay(app_of(order), life.rows)
    assert seen == [("begin", True), ("middle", True)]
    again.apply(event("Go"))
    assert seen[-1] == ("end", False)


async def talk(ctx: Context) -> None:
    ctx.logger.info("begun with %s", "care", extra={"colour": "red"})
    await ctx.wait_for_external_event("Go")
    ctx.logger.warning("went on")
    try:
        raise ValueError("no")
    except ValueError:
        ctx.logger.exception("failed")


def test_the_logger_is_silent_in_a_replay_and_its_records_tell_the_instance(
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.INFO)
    life = living(talk)
    assert [record.getMessage() for record in caplog.records] == ["begun with care"]
    caplog.clear()

    again, _ = replay(app_of(talk), life.rows)
    assert caplog.records == []

    again.apply(event("Go"))
    assert [record.getMessage() for record in caplog.records] == ["went on", "failed"]
    for record in caplog.records:
        assert (record.name, record.instance_id, record.execution) == (  # type: ignore[attr-defined]
            "adjourn.orchestrator",
            "order-42",
            1,
        )
    assert caplog.records[1].exc_info is not None


def test_the_users_own_extra_stays_and_the_line_is_the_users(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    living(talk).execution.close()

    (record,) = caplog.records
    assert record.colour == "red"  # type: ignore[attr-defined]  # from extra
    assert (record.filename, record.funcName) == ("test_context.py", "talk")


def test_the_logger_obeys_its_level_and_says_whether_it_is_enabled(
    caplog: pytest.LogCaptureFixture,
):
    enabled: list[bool] = []

    async def order(ctx: Context) -> None:
        enabled.append(ctx.logger.isEnabledFor(logging.INFO))
        enabled.append(ctx.logger.isEnabledFor(logging.ERROR))
        ctx.logger.info("too low")
        await ctx.wait_for_external_event("Go")

    caplog.set_level(logging.ERROR, "adjourn.orchestrator")
    life = living(order)
    replay(app_of(order), life.rows)[0].close()

    assert caplog.records == []
    assert enabled == [False, True, False, False]


# What is shown.


def test_the_last_custom_status_stays_and_is_there_after_a_replay():
    async def order(ctx: Context) -> None:
        ctx.set_custom_status("first")
        ctx.set_custom_status({"step": 2})
        await ctx.wait_for_external_event("Go")

    life = living(order)
    again, _ = replay(app_of(order), life.rows)

    for execution in (life.execution, again):
        assert encoded(execution.custom_status) == {"step": 2}
        execution.close()


def test_a_custom_status_of_more_than_16_kib_is_refused_and_the_one_before_stays():
    async def order(ctx: Context) -> str:
        ctx.set_custom_status("x" * (STATUS_LIMIT - 2))
        try:
            ctx.set_custom_status("x" * (STATUS_LIMIT - 1))
        except PayloadTooLargeError as error:
            return str(error)
        return "accepted"

    life = living(order)

    assert life.result.startswith("The custom status is 16,385 bytes; at most 16,384 are accepted")
    assert len(encoded(life.execution.custom_status)) == STATUS_LIMIT - 2


def test_a_custom_status_that_is_not_json_is_refused():
    async def order(ctx: Context) -> str:
        try:
            ctx.set_custom_status(object())
        except SerializationError as error:
            return str(error)
        return "accepted"

    assert living(order).result.startswith("The custom status cannot be written as JSON")


@pytest.mark.parametrize(
    ("attributes", "refused"),
    [
        ({"amount": 10, "open": True, "to": "ann", "rate": 0.5, "gone": None}, ""),
        ({"amount": float("nan")}, "SerializationError"),
        ({"amount": 2**63}, "SerializationError"),
        ({"to": "\ud800"}, "SerializationError"),
        ({"to": ["ann"]}, "SerializationError"),
        ({"a\nb": 1}, "InvalidIdError"),
        ({"x" * 201: 1}, "InvalidIdError"),
    ],
    ids=["fine", "nan", "too large", "surrogate", "list", "line break", "long name"],
)
def test_attributes_are_scalars_with_names(attributes: dict[str, Any], refused: str):
    async def order(ctx: Context) -> str:
        try:
            ctx.set_attributes(**attributes)
        except AdjournError as error:
            return type(error).__name__
        return ""

    life = living(order)

    assert life.result == refused
    assert life.execution.attributes == ({} if refused else attributes)


# Asking for what is not there.


IMPOSSIBLE: dict[str, tuple[Callable[[Context], object], type[Exception]]] = {
    "an unknown activity": (lambda ctx: ctx.call_activity("unknown"), UnknownActivityError),
    "a plain function": (lambda ctx: ctx.call_activity(print), DeterminismError),  # type: ignore[call-overload]
    "an argument too many": (lambda ctx: ctx.call_activity("work", 1, 2), TypeError),
    "an unknown argument": (lambda ctx: ctx.call_activity("work", m=1), TypeError),
    "an object": (lambda ctx: ctx.call_activity("work", object()), SerializationError),
    "too much": (lambda ctx: ctx.call_activity("work", "x" * 300_000), PayloadTooLargeError),
    "an unknown child": (lambda ctx: ctx.call_sub_orchestration("no"), UnknownOrchestratorError),
    "a plain child": (lambda ctx: ctx.call_sub_orchestration(print), DeterminismError),  # type: ignore[call-overload]
    "a child's odd id": (lambda ctx: ctx.call_sub_orchestration("order", id="a/b"), InvalidIdError),
    "a child's input": (lambda ctx: ctx.call_sub_orchestration("order", 1), InvalidPayloadError),
    "an event without a name": (lambda ctx: ctx.wait_for_external_event(""), InvalidIdError),
    "an update in two lines": (lambda ctx: ctx.wait_for_update("a\nb"), InvalidIdError),
    "an unreadable kind": (
        lambda ctx: ctx.wait_for_external_event("A", dict[str, int] | dict[str, str]),
        SerializationError,
    ),
    "an object as input": (lambda ctx: ctx.continue_as_new(object()), SerializationError),
    "an input it cannot take": (lambda ctx: ctx.continue_as_new(1), InvalidPayloadError),
}


@pytest.mark.parametrize(("ask", "error"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_cannot_be_is_refused_where_it_is_asked_and_asks_for_nothing(
    ask: Any, error: type[Exception]
):
    async def order(ctx: Context) -> str:
        try:
            ask(ctx)
        except Exception as refused:
            return type(refused).__name__
        return "accepted"

    life = living(order)

    assert life.result == error.__name__
    assert kinds(life.rows) == ["InstanceStarted", "InstanceCompleted"]
    assert life.execution.sequence == 0


def test_default_arguments_and_keywords_are_stored_by_name():
    async def order(ctx: Context) -> None:
        ctx.call_activity("work")
        ctx.call_activity("work", 1)
        ctx.call_activity("work", n=1)
        await ctx.wait_for_external_event("Go")

    rows = living(order).rows[1:]

    inputs = [encoded(row.input) for row in rows if isinstance(row, events.ActivityScheduled)]
    assert inputs == [{}, {"n": 1}, {"n": 1}]


# Outside the orchestrator.

USES = {
    "call_activity": lambda ctx: ctx.call_activity("work"),
    "call_sub_orchestration": lambda ctx: ctx.call_sub_orchestration("order"),
    "create_timer": lambda ctx: ctx.create_timer(timedelta(1)),
    "wait_for_external_event": lambda ctx: ctx.wait_for_external_event("A"),
    "wait_for_update": lambda ctx: ctx.wait_for_update("A"),
    "when_any": lambda ctx: ctx.when_any([]),
    "when_all": lambda ctx: ctx.when_all([]),
    "continue_as_new": lambda ctx: ctx.continue_as_new(),
    "set_custom_status": lambda ctx: ctx.set_custom_status(1),
    "set_attributes": lambda ctx: ctx.set_attributes(a=1),
}


@pytest.mark.parametrize("use", USES)
def test_the_context_refuses_to_be_used_outside_its_orchestrator(use: str):
    kept: list[Context] = []

    async def order(ctx: Context) -> None:
        kept.append(ctx)
        await ctx.wait_for_external_event("Go")

    life = living(order)

    with pytest.raises(DeterminismError, match="works only inside its orchestrator"):
        USES[use](kept[0])
    assert life.execution.take_commands() == []
    life.execution.close()


@pytest.mark.parametrize("use", USES)
def test_the_context_of_one_instance_refuses_to_be_used_by_another(use: str):
    kept: list[Context] = []

    async def order(ctx: Context) -> str:
        if not kept:
            kept.append(ctx)
            await ctx.wait_for_external_event("Go")
        try:
            USES[use](kept[0])
        except DeterminismError as error:
            return str(error)
        return "accepted"

    first = living(order)
    second = living(order, id="order-43")

    assert "works only inside its orchestrator" in second.result
    first.execution.close()


def test_the_context_refuses_to_be_used_by_an_activity():
    kept: list[Context] = []
    app = Adjourn()

    @app.activity
    async def wrong() -> str:
        try:
            kept[0].create_timer(timedelta(1))
        except DeterminismError as error:
            return str(error)
        return "accepted"

    @app.orchestrator
    async def order(ctx: Context) -> str:
        kept.append(ctx)
        return await ctx.call_activity(wrong)

    with Sandbox(app) as box:
        assert "Activities and callbacks get values as arguments" in str(
            box.start(order, id="x").result
        )


# Updates.


def test_an_update_is_answered_once():
    async def order(ctx: Context) -> list[str]:
        request: UpdateRequest[Any] = await ctx.wait_for_update("Decide")
        request.accept({"by": "ann"})
        said: list[str] = []
        for again in (request.accept, lambda: request.refuse("late")):
            try:
                again()
            except AdjournError as error:
                said.append(str(error))
        return said

    life = living(order)

    assert life.take(update("Decide", "u1")) == ["UpdateAccepted", "InstanceCompleted"]
    assert life.result == ["Update 'u1' has been answered already."] * 2


def test_an_answer_that_cannot_be_written_leaves_the_update_unanswered():
    async def order(ctx: Context) -> list[str]:
        request: UpdateRequest[Any] = await ctx.wait_for_update("Decide")
        said: list[str] = []
        for answer in (lambda: request.accept(object()), lambda: request.refuse("\ud800")):
            try:
                answer()
            except SerializationError as error:
                said.append(str(error).split(":")[0])
        request.refuse("properly")
        return said

    life = living(order)

    assert life.take(update("Decide", "u1")) == ["UpdateRefused", "InstanceCompleted"]
    assert life.result == [
        "The answer to update 'Decide' cannot be written as JSON",
        "The reason is not valid Unicode text",
    ]


# Continue as new.


def test_continue_as_new_ends_the_code_at_once_and_nothing_can_catch_it():
    reached: list[str] = []

    async def order(ctx: Context, n: int) -> None:
        try:
            try:
                ctx.continue_as_new(n + 1)
            except Exception:
                reached.append("except Exception")
        finally:
            reached.append("finally")
        reached.append("after")

    life = living(order, 1)

    assert kinds(life.rows) == ["InstanceStarted", "InstanceContinuedAsNew"]
    assert reached == ["finally"]


def test_continue_as_new_in_a_background_task_ends_the_execution_too():
    async def order(ctx: Context, n: int) -> None:
        async def again() -> None:
            await ctx.wait_for_external_event("Again")
            ctx.continue_as_new(n + 1)

        asyncio.create_task(again())  # noqa: RUF006  the loop keeps it
        await ctx.wait_for_external_event("Never")

    life = living(order, 1)

    assert life.take(event("Again")) == ["InstanceContinuedAsNew"]
