"""Code that no longer fits its history: what a person reads, and that nothing runs."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from adjourn import Adjourn, Context
from adjourn.model.events import Event
from adjourn.replay.rebuild import MismatchFound
from tests.histories import (
    accepted,
    cancelled,
    child,
    child_completed,
    completed,
    continued,
    event,
    explanation,
    failed,
    finished,
    fired,
    launched,
    refused,
    replay,
    scheduled,
    sent,
    set_aside,
    started,
    timer,
    timer_cancelled,
    update,
)

MOVE = (
    "Nothing of it has run and nothing is lost. Put back code that fits this history and restart: "
    "the instance goes on where it stood."
)

Orchestrate = Callable[..., Coroutine[Any, Any, Any]]

ran: list[str] = []


def app_of(orchestrate: Orchestrate) -> Adjourn:
    app = Adjourn()
    for name in ("charge", "refund", "ship"):
        app.activity(name=name)(_activity(name))
    app.orchestrator(name="order")(orchestrate)
    for name in ("parcel", "letter"):
        app.orchestrator(name=name)(_child)
    return app


def _activity(name: str) -> Callable[..., None]:
    def activity(amount: int = 0) -> None:
        ran.append(name)

    return activity


async def _child(ctx: Context, weight: int) -> int:
    return weight


def line_of(orchestrate: Orchestrate, text: str) -> str:
    """`file:line in function` of the only line that has this text."""
    lines, first = inspect.getsourcelines(orchestrate)
    (number,) = (first + n for n, line in enumerate(lines) if text in line)
    return f"test_mismatch.py:{number} in {orchestrate.__name__}"


def check(orchestrate: Orchestrate, history: Sequence[Event], line: str, expected: str) -> None:
    where = line_of(orchestrate, line) if line else ""
    assert explanation(app_of(orchestrate), history) == (
        f"{expected.replace('LINE', where)} {MOVE}"
    )


# One change of code each. What history holds was asked by a version before.


def test_a_renamed_activity():
    async def order(ctx: Context) -> None:
        await ctx.call_activity("refund", 42)

    check(
        order,
        [started("order"), scheduled(1, "charge", {"amount": 42}), completed(1)],
        'ctx.call_activity("refund", 42)',
        "At row 2 of order-42 the orchestrator asked for activity 'refund' as step 1 with "
        '{"amount":42} (LINE); history has ActivityScheduled sequence=1 name=charge '
        'input={"amount":42}. Likely cause: an activity was renamed or another put in its place.',
    )


def test_a_changed_argument():
    async def order(ctx: Context) -> None:
        await ctx.call_activity("charge", 43)

    check(
        order,
        [started("order"), scheduled(1, "charge", {"amount": 42}), completed(1)],
        'ctx.call_activity("charge", 43)',
        "At row 2 of order-42 the orchestrator asked for activity 'charge' as step 1 with "
        '{"amount":43} (LINE); history has ActivityScheduled sequence=1 name=charge '
        'input={"amount":42}. Likely cause: the arguments come from something that differs on '
        "replay (a clock, dice, a global, an unordered set), or the steps before this one changed.",
    )


def test_an_added_step_at_the_end():
    async def order(ctx: Context) -> None:
        await ctx.call_activity("charge", 42)
        ctx.call_activity("ship", 1)
        await ctx.wait_for_external_event("Go")

    check(
        order,
        [started("order"), scheduled(1, "charge", {"amount": 42}), completed(1), event("Hello")],
        'ctx.call_activity("ship", 1)',
        "At row 5 of order-42 the orchestrator asked for activity 'ship' as step 2 with "
        '{"amount":1} (LINE); history has nothing there. Likely cause: a step was added to the '
        "code under a waiting instance.",
    )


def test_an_added_step_in_the_middle():
    async def order(ctx: Context) -> None:
        await ctx.call_activity("ship", 1)
        await ctx.call_activity("charge", 42)

    check(
        order,
        [started("order"), scheduled(1, "charge", {"amount": 42}), completed(1)],
        'ctx.call_activity("ship", 1)',
        "At row 2 of order-42 the orchestrator asked for activity 'ship' as step 1 with "
        '{"amount":1} (LINE); history has ActivityScheduled sequence=1 name=charge '
        'input={"amount":42}. Likely cause: an activity was renamed or another put in its place.',
    )


def test_a_removed_step():
    async def order(ctx: Context) -> None:
        await ctx.wait_for_external_event("Go")

    check(
        order,
        [started("order"), scheduled(1, "charge", {"amount": 42}), completed(1)],
        "",
        "At row 2 of order-42 the orchestrator asked for nothing more; history has "
        'ActivityScheduled sequence=1 name=charge input={"amount":42}. Likely cause: a step was '
        "removed from the code under a waiting instance.",
    )


def test_a_changed_timer():
    async def order(ctx: Context) -> None:
        await ctx.create_timer(timedelta(minutes=2))

    check(
        order,
        [started("order"), timer(1, 60)],
        "ctx.create_timer(",
        "At row 2 of order-42 the orchestrator asked for a timer until 2026-01-01T09:02:00+00:00 "
        "as step 1 (LINE); history has TimerCreated sequence=1 fire_at=2026-01-01T09:01:00+00:00. "
        "Likely cause: the span of a timer changed, or a step before it.",
    )


def test_a_changed_sleep():
    async def order(ctx: Context) -> None:
        await asyncio.sleep(120)

    check(
        order,
        [started("order"), timer(1, 60), fired(1, after=60)],
        "asyncio.sleep(120)",
        "At row 2 of order-42 the orchestrator asked for a timer until 2026-01-01T09:02:00+00:00 "
        "as step 1 (LINE); history has TimerCreated sequence=1 fire_at=2026-01-01T09:01:00+00:00. "
        "Likely cause: the span of a timer changed, or a step before it.",
    )


def test_reordered_steps():
    async def order(ctx: Context) -> None:
        await ctx.create_timer(timedelta(minutes=1))
        await ctx.call_activity("charge", 42)

    check(
        order,
        [started("order"), scheduled(1, "charge", {"amount": 42}), completed(1), timer(2, 60)],
        "ctx.create_timer(",
        "At row 2 of order-42 the orchestrator asked for a timer until 2026-01-01T09:01:00+00:00 "
        "as step 1 (LINE); history has ActivityScheduled sequence=1 name=charge "
        'input={"amount":42}. Likely cause: the order of steps changed under a waiting instance.',
    )


def test_a_changed_child():
    async def order(ctx: Context) -> None:
        await ctx.call_sub_orchestration("letter", 5)

    check(
        order,
        [started("order"), child(1, "parcel", "order-42:1:1", 5), child_completed(1, 5)],
        "ctx.call_sub_orchestration(",
        "At row 2 of order-42 the orchestrator asked for sub-orchestration 'letter' as step 1 "
        "with 5 (LINE); history has SubOrchestrationStarted sequence=1 name=parcel "
        "instance_id=order-42:1:1 input=5. Likely cause: the child's name, id or input changed "
        "under a waiting instance.",
    )


def test_a_child_with_another_input():
    async def order(ctx: Context) -> None:
        await ctx.call_sub_orchestration("parcel", 6)

    check(
        order,
        [started("order"), child(1, "parcel", "order-42:1:1", 5), child_completed(1, 5)],
        "ctx.call_sub_orchestration(",
        "At row 2 of order-42 the orchestrator asked for sub-orchestration 'parcel' as step 1 "
        "with 6 (LINE); history has SubOrchestrationStarted sequence=1 name=parcel "
        "instance_id=order-42:1:1 input=5. Likely cause: the child's name, id or input changed "
        "under a waiting instance.",
    )


def test_an_agents_step_in_the_place_of_an_activity():
    async def order(ctx: Context) -> None:
        await ctx.call_activity("charge")

    check(
        order,
        [started("order"), replace(scheduled(1, "charge", {}), hosted=True)],
        "ctx.call_activity(",
        "At row 2 of order-42 the orchestrator asked for activity 'charge' as step 1 with {} "
        "(LINE); history has ActivityScheduled sequence=1 name=charge input={}. Likely cause: a "
        "registered activity and a step of an agent changed places.",
    )


def test_an_event_with_other_data():
    async def order(ctx: Context) -> None:
        ctx.raise_event("parcel-7", "Go", 6)
        await ctx.wait_for_external_event("Gone")

    check(
        order,
        [started("order"), sent(1, "parcel-7", "Go", 5)],
        "ctx.raise_event(",
        "At row 2 of order-42 the orchestrator asked for sending event 'Go' to 'parcel-7' as step "
        "1 with 6 (LINE); history has EventSent sequence=1 name=Go instance_id=parcel-7 data=5. "
        "Likely cause: the receiver, name or data of an event changed under a waiting instance.",
    )


def test_an_event_to_somebody_else():
    async def order(ctx: Context) -> None:
        ctx.raise_event("parcel-8", "Go", 5)
        await ctx.wait_for_external_event("Gone")

    check(
        order,
        [started("order"), sent(1, "parcel-7", "Go", 5)],
        "ctx.raise_event(",
        "At row 2 of order-42 the orchestrator asked for sending event 'Go' to 'parcel-8' as step "
        "1 with 5 (LINE); history has EventSent sequence=1 name=Go instance_id=parcel-7 data=5. "
        "Likely cause: the receiver, name or data of an event changed under a waiting instance.",
    )


def test_another_instance_that_is_started():
    async def order(ctx: Context) -> None:
        ctx.start("letter", 5, id="l-1")
        await ctx.wait_for_external_event("Gone")

    check(
        order,
        [started("order"), launched(1, "parcel", "l-1", 5)],
        "ctx.start(",
        "At row 2 of order-42 the orchestrator asked for starting 'letter' as 'l-1' as step 1 with "
        "5 (LINE); history has OrchestrationStarted sequence=1 name=parcel instance_id=l-1 "
        "input=5. Likely cause: the name, id or input of what is started changed under a waiting "
        "instance.",
    )


def test_another_input_for_the_next_execution():
    async def order(ctx: Context, state: Any) -> None:
        ctx.continue_as_new({"round": 2})

    check(
        order,
        [started("order"), continued({"round": 1})],
        "",
        'At row 2 of order-42 the orchestrator asked for continuing as new with {"round":2}; '
        'history has InstanceContinuedAsNew input={"round":1}. Likely cause: the input of the '
        "next execution changed.",
    )


def test_an_update_accepted_with_another_result():
    async def order(ctx: Context) -> None:
        (await ctx.wait_for_update("Decide")).accept("no")

    text = explanation(
        app_of(order), [started("order"), update("Decide", "u1"), accepted("u1", "yes")]
    )

    assert "Likely cause: the answer to an update changed under a waiting instance." in text


def test_an_end_where_history_goes_on():
    async def order(ctx: Context) -> str:
        return "done"

    check(
        order,
        [started("order"), timer(1, 60)],
        "",
        'At row 2 of order-42 the orchestrator asked for completing with "done"; history has '
        "TimerCreated sequence=1 fire_at=2026-01-01T09:01:00+00:00. Likely cause: the order of "
        "steps changed under a waiting instance.",
    )


def test_a_failure_where_history_goes_on():
    async def order(ctx: Context) -> None:
        raise ValueError("no stock")

    check(
        order,
        [started("order"), timer(1, 60)],
        "",
        "At row 2 of order-42 the orchestrator asked for failing with ValueError: no stock; "
        "history has TimerCreated sequence=1 fire_at=2026-01-01T09:01:00+00:00. Likely cause: "
        "the order of steps changed under a waiting instance.",
    )


def test_an_update_answered_in_another_way():
    async def order(ctx: Context) -> None:
        request = await ctx.wait_for_update("Decide")
        request.refuse("too late")

    check(
        order,
        [started("order"), update("Decide", "u1"), accepted("u1", True)],
        "request.refuse(",
        "At row 3 of order-42 the orchestrator asked for refusing update 'u1' (LINE); history has "
        "UpdateAccepted update_id=u1. Likely cause: the order of steps changed under a waiting "
        "instance.",
    )


def test_a_long_argument_is_cut():
    async def order(ctx: Context) -> None:
        await ctx.call_activity("charge", "x" * 100_000)

    text = explanation(app_of(order), [started("order"), scheduled(1, "charge", "y" * 100_000)])

    assert "xxx..." in text
    assert len(text) < 900


def test_an_argument_of_lone_surrogates_and_line_breaks_can_be_told():
    async def order(ctx: Context) -> None:
        await ctx.call_activity("charge", "a\nb ü")

    text = explanation(app_of(order), [started("order"), scheduled(1, "charge", {"amount": "c"})])

    assert '{"amount":"a\\nb ü"}' in text


# Every kind that is asked for is compared, and in full.


async def everything(ctx: Context) -> None:
    charge = ctx.call_activity("charge", 1)
    parcel = ctx.call_sub_orchestration("parcel", 2)
    soon = ctx.create_timer(timedelta(minutes=1))
    typed = ctx.wait_for_external_event("Count", int)
    decision = ctx.wait_for_update("Decide")
    await ctx.when_any(typed, soon)
    charge.cancel()
    parcel.cancel()
    (await decision).accept("yes")
    (await ctx.wait_for_update("Decide")).refuse("no")


FITS: list[Event] = [
    started("order"),
    scheduled(1, "charge", {"amount": 1}),
    child(2, "parcel", "order-42:1:2", 2),
    timer(3, 60),
    event("Count", 7),
    timer_cancelled(3),
    cancelled(1),
    # the child's cancellation is put here by the test below: it has no builder
    update("Decide", "u1"),
    accepted("u1", "yes"),
    update("Decide", "u2"),
    refused("u2", "no"),
    finished(),
]


def recorded() -> list[Event]:
    from adjourn.model.events import SubOrchestrationCancelled

    return [*FITS[:7], SubOrchestrationCancelled(at=FITS[0].at, sequence=2), *FITS[7:]]


def test_the_history_of_the_code_itself_fits():
    execution, asked = replay(app_of(everything), recorded())

    assert asked == []
    assert execution.finished
    execution.close()


CHANGES: dict[str, tuple[int, Event]] = {
    "an activity's sequence": (1, scheduled(9, "charge", {"amount": 1})),
    "an activity's name": (1, scheduled(1, "refund", {"amount": 1})),
    "an activity's input": (1, scheduled(1, "charge", {"amount": 9})),
    "a child's sequence": (2, child(9, "parcel", "order-42:1:2", 2)),
    "a child's name": (2, child(2, "letter", "order-42:1:2", 2)),
    "a child's id": (2, child(2, "parcel", "another", 2)),
    "a child's input": (2, child(2, "parcel", "order-42:1:2", 9)),
    "a timer's sequence": (3, timer(9, 60)),
    "a timer's moment": (3, timer(3, 60.000_001)),
    "a cancelled timer": (5, timer_cancelled(9)),
    "a cancelled activity": (6, cancelled(9)),
    "an accepted update": (9, accepted("u9", "yes")),
    "an update's result": (9, accepted("u1", "no")),
    "a refused update": (11, refused("u9", "no")),
    "the result": (12, finished("something")),
}


@pytest.mark.parametrize(("row", "changed"), CHANGES.values(), ids=CHANGES)
def test_a_history_that_differs_in_one_field_does_not_fit(row: int, changed: Event):
    history = recorded()
    assert type(history[row]) is type(changed)
    history[row] = changed

    with pytest.raises(MismatchFound) as found:
        replay(app_of(everything), history)

    assert found.value.mismatch.step == row + 1


def test_an_event_set_aside_is_compared_by_name_but_not_by_the_words_of_the_reason():
    async def order(ctx: Context) -> None:
        await ctx.wait_for_external_event("Go", int)

    app = app_of(order)
    odd = [started("order"), event("Go", "no number")]

    replay(app, [*odd, set_aside("Go", "other words of another release")])[0].close()
    assert "setting an event 'Go' aside" in explanation(app, [*odd, set_aside("Stop", "")])


def test_a_failure_is_compared_by_type_and_not_by_message():
    async def order(ctx: Context) -> None:
        raise ValueError(f"no stock at {object()}")

    from adjourn.model.events import InstanceFailed
    from tests.histories import T0, failure

    def ends(type: str) -> list[Event]:
        return [started("order"), InstanceFailed(at=T0, failure=failure("other words", type))]

    replay(app_of(order), ends("ValueError"))[0].close()
    with pytest.raises(MismatchFound):
        replay(app_of(order), ends("KeyError"))


def test_the_facts_stand_beside_the_text():
    async def order(ctx: Context) -> None:
        await ctx.call_activity("refund", 1)

    with pytest.raises(MismatchFound) as found:
        replay(app_of(order), [started("order"), scheduled(1, "charge", {"amount": 1})])

    mismatch = found.value.mismatch
    assert (mismatch.instance_id, mismatch.execution, mismatch.step) == ("order-42", 1, 2)
    assert mismatch.asked == "activity 'refund' as step 1 with {\"amount\":1}"
    assert mismatch.recorded == 'ActivityScheduled sequence=1 name=charge input={"amount":1}'
    assert mismatch.where == line_of(order, 'ctx.call_activity("refund", 1)')
    assert str(found.value) == mismatch.explanation


# The line that asked.


async def pay(ctx: Context) -> None:
    await ctx.call_activity("refund", 2)  # the helper's line


def test_the_line_that_asked_is_the_innermost_of_the_users_code():
    async def order(ctx: Context) -> None:
        await ctx.call_activity("charge", 1)
        await pay(ctx)

    text = explanation(
        app_of(order),
        [
            started("order"),
            scheduled(1, "charge", {"amount": 1}),
            completed(1),
            scheduled(2, "ship", {"amount": 2}),
        ],
    )

    assert f"({line_of(pay, 'the helper')})" in text


def test_the_line_is_that_of_the_first_command_that_does_not_fit():
    async def order(ctx: Context) -> None:
        ctx.call_activity("charge", 1)
        ctx.call_activity("ship", 2)
        ctx.call_activity("refund", 3)
        await ctx.wait_for_external_event("Go")

    text = explanation(
        app_of(order),
        [
            started("order"),
            scheduled(1, "charge", {"amount": 1}),
            scheduled(2, "ship", {"amount": 9}),
            scheduled(3, "refund", {"amount": 3}),
        ],
    )

    assert f"({line_of(order, 'ship')})" in text


def test_the_line_is_found_inside_a_task_and_after_a_gather():
    async def order(ctx: Context) -> None:
        async def branch(amount: int) -> None:
            await ctx.call_activity("charge", amount)  # the branch

        await asyncio.gather(branch(1), branch(2))

    text = explanation(
        app_of(order),
        [
            started("order"),
            scheduled(1, "charge", {"amount": 1}),
            scheduled(2, "charge", {"amount": 3}),
        ],
    )

    assert "in branch)" in text
    assert f"test_mismatch.py:{line_of(order, 'the branch').split(':')[1].split()[0]} " in text


# What does not happen.


def test_nothing_runs_and_the_code_is_let_go_when_it_does_not_fit():
    ran.clear()
    ended: list[str] = []

    async def order(ctx: Context) -> None:
        try:
            await ctx.call_activity("charge", 1)
            await ctx.wait_for_external_event("Go")
        finally:
            ended.append("finally")
            ctx.call_activity("refund", 1)

    history = [started("order"), scheduled(1, "charge", {"amount": 1}), completed(1), timer(2, 60)]
    with pytest.raises(MismatchFound) as found:
        replay(app_of(order), history)

    assert ran == []
    assert ended == ["finally", "finally"], "once in the first run, once in the one that names it"
    assert found.value.mismatch.asked == "nothing more"


def test_a_history_cut_anywhere_between_turns_still_fits():
    history = recorded()

    for row in (4, 8, 10, len(history)):
        execution, asked = replay(app_of(everything), history[:row])
        assert asked == []
        execution.close()


def test_events_after_the_last_turn_are_handed_over_and_what_they_cause_is_returned():
    async def order(ctx: Context) -> int:
        await ctx.call_activity("charge", 1)
        await ctx.wait_for_external_event("Go")
        await ctx.call_activity("ship", 2)
        return 3

    history = [started("order"), scheduled(1, "charge", {"amount": 1}), completed(1), event("Go")]
    execution, asked = replay(app_of(order), history, turned=2)

    assert [type(command).__name__ for command in asked] == ["ScheduleActivity"]
    assert not execution.replaying
    execution.close()


def test_a_failed_activity_and_one_of_another_order_are_not_taken_for_each_other():
    async def order(ctx: Context) -> None:
        tasks = [ctx.call_activity("charge", n) for n in (1, 2)]
        await ctx.when_all(tasks)

    history = [
        started("order"),
        scheduled(1, "charge", {"amount": 1}),
        scheduled(2, "charge", {"amount": 2}),
        completed(2),
        failed(1),
    ]
    execution, asked = replay(app_of(order), history, turned=4)

    assert [type(command).__name__ for command in asked] == ["FailInstance"]
    execution.close()
