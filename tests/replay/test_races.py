"""when_any, when_all and the waits inside them: who is served, released, cancelled, live again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest

from adjourn import ActivityFailedError, Adjourn, AdjournError, Context, DeterminismError, Task
from tests.histories import (
    Life,
    child_completed,
    completed,
    event,
    failed,
    fired,
    live,
    update,
)

MINUTE = timedelta(minutes=1)


def living(orchestrate: Callable[[Context], Coroutine[Any, Any, Any]]) -> Life:
    """This orchestrator after its first turn."""
    app = Adjourn()

    @app.activity(name="work")
    def work(n: int = 0) -> Any: ...

    @app.orchestrator(name="child")
    async def child(ctx: Context, n: int) -> Any: ...

    app.orchestrator(name="order")(orchestrate)
    return live(app, "order")


# when_any.


def test_the_winner_is_the_task_itself_and_holds_its_result():
    async def order(ctx: Context) -> list[Any]:
        a, b = ctx.wait_for_external_event("A"), ctx.wait_for_external_event("B")
        winner = await ctx.when_any(a, b)
        return [winner is b, winner.result(), b.done(), a.done()]

    life = living(order)
    life.take(event("B", "b"))

    assert life.result == [True, "b", True, False]


def test_a_failure_wins_as_well_as_a_success_and_raises_only_when_it_is_asked():
    async def order(ctx: Context) -> list[Any]:
        work = ctx.call_activity("work")
        winner = await ctx.when_any(work, ctx.wait_for_external_event("A"))
        try:
            await winner
        except ActivityFailedError as error:
            return [winner is work, error.failure.message]
        return []

    life = living(order)
    life.take(failed(1, "broken"))

    assert life.result == [True, "broken"]


def test_the_first_in_history_wins_and_not_the_first_in_the_list():
    async def order(ctx: Context) -> str:
        first, second = ctx.call_activity("work", 1), ctx.call_activity("work", 2)
        winner = await ctx.when_any(first, second)
        return "first" if winner is first else "second"

    life = living(order)
    life.take(completed(2))

    assert life.result == "second"


def test_of_several_that_were_done_before_the_race_the_first_in_the_list_wins():
    async def order(ctx: Context) -> str:
        first, second = ctx.call_activity("work", 1), ctx.call_activity("work", 2)
        await ctx.wait_for_external_event("Go")
        winner = await ctx.when_any(second, first)
        return "first" if winner is first else "second"

    life = living(order)
    life.take(completed(1), completed(2), event("Go"))

    assert life.result == "second"


def test_a_losing_timer_is_cancelled():
    async def order(ctx: Context) -> None:
        await ctx.when_any(ctx.wait_for_external_event("A"), ctx.create_timer(MINUTE))
        await ctx.wait_for_external_event("B")

    assert living(order).take(event("A")) == ["TimerCancelled 2"]


def test_a_losing_wait_is_released_so_that_a_fresh_one_gets_the_next_event():
    async def order(ctx: Context) -> Any:
        for _ in range(3):
            wait = ctx.wait_for_external_event("A")
            winner: Task[Any] = await ctx.when_any([wait, ctx.create_timer(MINUTE)])
            if winner is wait:
                return ["raced", wait.result()]
        return ["at last", await ctx.wait_for_external_event("A")]

    life = living(order)
    for number, moment in ((2, 60), (4, 120), (6, 180)):
        life.take(fired(number, after=moment))
    life.take(event("A", 1))

    assert life.result == ["at last", 1]


def test_a_losing_update_wait_is_released_too():
    async def order(ctx: Context) -> Any:
        await ctx.when_any(ctx.wait_for_update("Decide"), ctx.wait_for_external_event("Go"))
        request = await ctx.wait_for_update("Decide")
        request.accept()
        return request.value

    life = living(order)
    life.take(event("Go"))
    life.take(update("Decide", "u1", 7))

    assert life.result == 7


def test_an_event_for_a_released_wait_is_kept_until_somebody_waits_again():
    async def order(ctx: Context) -> list[Any]:
        lost = ctx.wait_for_external_event("A")
        await ctx.when_any(lost, ctx.create_timer(MINUTE))
        await ctx.create_timer(MINUTE)
        return [lost.done(), await ctx.wait_for_external_event("A"), lost.done()]

    life = living(order)
    life.take(fired(2, after=60))
    life.take(event("A", 1))
    assert life.execution.buffered == 1

    life.take(fired(3, after=120))

    assert life.result == [False, 1, False]


def test_losing_activities_and_children_run_on_and_their_results_are_there_later():
    async def order(ctx: Context) -> list[Any]:
        work = ctx.call_activity("work", 1)
        child = ctx.call_sub_orchestration("child", 2)
        await ctx.when_any(work, child, ctx.wait_for_external_event("Go"))
        return [work.done(), child.done(), await work, await child]

    life = living(order)

    assert life.take(event("Go")) == []
    assert life.take(completed(1, "w")) == []
    life.take(child_completed(2, 9))
    assert life.result == [False, False, "w", 9]


def test_keep_leaves_losing_waits_and_timers_alone():
    async def order(ctx: Context) -> list[Any]:
        a, b = ctx.wait_for_external_event("A"), ctx.wait_for_external_event("B")
        timer = ctx.create_timer(MINUTE)
        await ctx.when_any(a, b, timer, keep=True)
        await ctx.when_any(b, timer, keep=True)
        await timer
        return [a.result(), b.result()]

    life = living(order)

    assert life.take(event("A", "a")) == []
    assert life.execution.waiting_for() == ["B"]
    assert life.take(event("B", "b")) == []
    assert life.take(fired(3, after=60)) == ["InstanceCompleted"]
    assert life.result == ["a", "b"]


def test_a_losing_timer_raced_again_keeps_its_old_deadline():
    async def order(ctx: Context) -> int:
        deadline = ctx.create_timer(timedelta(minutes=10))
        rounds = 0
        while await ctx.when_any(ctx.wait_for_external_event("Note"), deadline) is not deadline:
            rounds += 1
        return rounds

    life = living(order)

    assert life.take(event("Note", after=60)) == ["TimerCancelled 1", "TimerCreated 4"]
    again = next(row for row in life.rows if getattr(row, "sequence", None) == 4)
    assert again.fire_at == life.rows[1].fire_at  # type: ignore[union-attr]  # both are timers
    life.take(fired(4, after=600))
    assert life.result == 1


def test_a_task_given_twice_and_a_race_inside_a_race():
    async def order(ctx: Context) -> list[Any]:
        a, b = ctx.wait_for_external_event("A"), ctx.wait_for_external_event("B")
        timer = ctx.create_timer(MINUTE)
        inner = ctx.when_any(a, b)
        winner = await ctx.when_any(inner, timer, timer)
        return [winner is inner, inner.result() is b]

    life = living(order)

    assert life.take(event("B")) == ["TimerCancelled 3", "InstanceCompleted"]
    assert life.result == [True, True]


def test_a_race_that_loses_a_race_releases_its_waits():
    async def order(ctx: Context) -> Any:
        inner = ctx.when_any(ctx.wait_for_external_event("A"), ctx.create_timer(MINUTE))
        await ctx.when_any(inner, ctx.wait_for_external_event("Go"))
        return await ctx.wait_for_external_event("A")

    life = living(order)

    assert life.take(event("Go")) == ["TimerCancelled 2"]
    life.take(event("A", 1))
    assert life.result == 1


def test_a_race_that_is_not_awaited_still_releases_its_losers():
    async def order(ctx: Context) -> None:
        ctx.when_any(ctx.wait_for_external_event("A"), ctx.create_timer(MINUTE))
        await ctx.wait_for_external_event("End")

    assert living(order).take(event("A")) == ["TimerCancelled 2"]


@pytest.mark.parametrize("how", ["any", "all"])
def test_an_iterable_is_taken_as_well_as_arguments(how: str):
    async def order(ctx: Context) -> int:
        tasks = (ctx.wait_for_external_event(name) for name in "AB")
        await (ctx.when_any(tasks) if how == "any" else ctx.when_all(tasks))
        return 1

    life = living(order)
    life.take(event("A"), event("B"))

    assert life.execution.finished


def test_when_any_of_nothing_is_refused():
    async def order(ctx: Context) -> list[str]:
        said: list[str] = []
        for nothing in ((), ([],)):
            try:
                ctx.when_any(*nothing)
            except AdjournError as error:
                said.append(str(error))
        return said

    assert living(order).result == ["when_any needs at least one task: none would ever finish."] * 2


@pytest.mark.parametrize("how", ["when_any", "when_all"])
@pytest.mark.parametrize("what", ["coroutine", "asyncio task", "text", "number"])
def test_what_is_no_task_of_the_context_is_refused_with_the_lesson(how: str, what: str):
    async def order(ctx: Context) -> str:
        coroutine = asyncio.sleep(1)
        given: Any = {"coroutine": coroutine, "text": ["abc"], "number": 3}.get(what)
        if what == "asyncio task":
            given = asyncio.get_running_loop().create_future()
        try:
            getattr(ctx, how)(ctx.wait_for_external_event("A"), given)
        except DeterminismError as error:
            return str(error)
        finally:
            coroutine.close()
        return "accepted"

    said = living(order).result

    assert said.startswith(f"{how} takes tasks of this context, not ")
    assert said.endswith("For coroutines use asyncio.TaskGroup or asyncio.gather.")


def test_the_name_of_the_wrong_type_is_told():
    async def order(ctx: Context) -> None:
        coroutine = asyncio.sleep(1)
        try:
            await ctx.when_any(coroutine)  # type: ignore[call-overload]  # what is refused
        finally:
            coroutine.close()

    failure = living(order).failure

    assert failure.type == "adjourn.errors.DeterminismError"
    assert "not coroutine" in failure.message


# Waits.


def test_the_oldest_live_wait_is_served_first():
    async def order(ctx: Context) -> list[Any]:
        first, second, third = (ctx.wait_for_external_event("A") for _ in range(3))
        return [await third, await second, await first]

    life = living(order)
    life.take(*[event("A", n) for n in (1, 2, 3)])

    assert life.result == [3, 2, 1]


def test_the_case_of_letters_in_a_name_does_not_matter_in_either_direction():
    async def order(ctx: Context) -> list[Any]:
        return await ctx.when_all(
            ctx.wait_for_external_event("Approval"),
            ctx.wait_for_external_event("APPROVAL"),
            ctx.wait_for_external_event("Straße"),
        )

    life = living(order)
    life.take(event("aPPROVAL", 1))
    assert life.execution.waiting_for() == ["APPROVAL", "Straße"]
    life.take(event("approval", 2), event("STRASSE", 3))

    assert life.result == [1, 2, 3]


def test_events_and_updates_of_one_name_are_told_apart():
    async def order(ctx: Context) -> list[Any]:
        request, wait = ctx.wait_for_update("Go"), ctx.wait_for_external_event("Go")
        got = await wait
        (await request).accept()
        return [got, request.result().value]

    life = living(order)
    life.take(event("Go", "e"))
    life.take(update("Go", "u1", "u"))

    assert life.result == ["e", "u"]


def test_early_events_are_taken_in_the_order_of_their_arrival():
    async def order(ctx: Context) -> list[Any]:
        await ctx.wait_for_external_event("Go")
        return [await ctx.wait_for_external_event("A") for _ in range(3)]

    life = living(order)
    life.take(event("A", 1), event("A", 2), event("Go"), event("A", 3))

    assert life.result == [1, 2, 3]


def test_a_loser_that_is_awaited_again_goes_behind_the_others():
    async def order(ctx: Context) -> list[Any]:
        lost = ctx.wait_for_external_event("A")
        await ctx.when_any(lost, ctx.create_timer(MINUTE))
        fresh = ctx.wait_for_external_event("A")
        return await asyncio.gather(lost, fresh)

    life = living(order)
    life.take(fired(2, after=60))
    life.take(event("A", "first"))
    life.take(event("A", "second"))

    assert life.result == ["second", "first"]


def test_a_loser_that_is_raced_again_goes_behind_the_others_too():
    async def order(ctx: Context) -> list[Any]:
        lost = ctx.wait_for_external_event("A")
        await ctx.when_any(lost, ctx.create_timer(MINUTE))
        fresh = ctx.wait_for_external_event("A")
        winner = await ctx.when_any(lost, fresh)
        return [winner is fresh, winner.result()]

    life = living(order)
    life.take(fired(2, after=60))
    life.take(event("A", 1))

    assert life.result == [True, 1]


def test_a_released_wait_is_not_live_before_the_line_that_awaits_it_again():
    async def order(ctx: Context) -> list[Any]:
        lost = ctx.wait_for_external_event("A")
        await ctx.when_any(lost, ctx.create_timer(MINUTE))
        await ctx.wait_for_external_event("Go")
        return [lost.done(), await lost]

    life = living(order)
    life.take(fired(2, after=60))
    assert life.execution.waiting_for() == ["Go"]
    life.take(event("A", 1))
    life.take(event("Go"))

    assert life.result == [False, 1]


def test_a_cancelled_wait_is_not_served():
    async def order(ctx: Context) -> list[Any]:
        first, second = ctx.wait_for_external_event("A"), ctx.wait_for_external_event("A")
        cancelled = [first.cancel(), first.cancel(), first.cancelled()]
        return [cancelled, await second]

    life = living(order)
    life.take(event("A", 1))

    assert life.result == [[True, False, True], 1]


def test_an_event_whose_waiter_was_cancelled_in_the_turn_of_its_arrival_goes_back_in_order():
    async def order(ctx: Context) -> list[Any]:
        async def take() -> Any:
            return await ctx.wait_for_external_event("A")

        first, taking = ctx.wait_for_external_event("A"), asyncio.create_task(take())
        await first
        taking.cancel()
        await asyncio.wait({taking})
        await ctx.wait_for_external_event("Go")
        return [taking.cancelled(), [await ctx.wait_for_external_event("A") for _ in range(2)]]

    async def cancelled_by_its_own_event(ctx: Context) -> list[Any]:
        wait = ctx.wait_for_external_event("A")

        async def take() -> Any:
            return await wait

        wait.add_done_callback(lambda _: taking.cancel())
        taking = asyncio.create_task(take())
        await asyncio.wait({taking})
        return [taking.cancelled()]

    life = living(order)
    life.take(event("A", 1))
    life.take(event("A", 2), event("A", 3), event("Go"))
    assert life.result == [True, [2, 3]]

    life = living(cancelled_by_its_own_event)
    life.take(event("A", 1))
    assert life.result == [True]


def test_a_body_that_does_not_fit_the_oldest_wait_is_set_aside_and_the_next_is_served():
    async def order(ctx: Context) -> list[Any]:
        await ctx.wait_for_external_event("Go")
        return [await ctx.wait_for_external_event("A", int)]

    life = living(order)
    life.take(event("A", "no number"), event("A", 2))

    assert life.take(event("Go")) == ["ExternalEventSetAside", "InstanceCompleted"]
    assert life.result == [2]


# when_all.


def test_results_keep_the_order_given_whatever_the_order_of_completion():
    async def order(ctx: Context) -> list[Any]:
        return await ctx.when_all([ctx.call_activity("work", n) for n in (1, 2, 3)])

    life = living(order)
    life.take(completed(3, "c"), completed(1, "a"))
    assert not life.execution.finished
    life.take(completed(2, "b"))

    assert life.result == ["a", "b", "c"]


def test_when_all_waits_for_every_task_and_then_raises_the_first_failure_in_the_order_given():
    async def order(ctx: Context) -> list[Any]:
        tasks = [ctx.call_activity("work", n) for n in (1, 2, 3)]
        try:
            await ctx.when_all(tasks)
        except ActivityFailedError as error:
            return [error.failure.message, [task.done() for task in tasks], tasks[2].result()]
        return []

    life = living(order)
    life.take(failed(2, "the second"), failed(1, "the first"))
    assert not life.execution.finished
    life.take(completed(3, "c"))

    assert life.result == ["the first", [True, True, True], "c"]


def test_asyncio_gather_keeps_its_own_meaning_and_raises_at_once():
    async def order(ctx: Context) -> str:
        try:
            await asyncio.gather(*[ctx.call_activity("work", n) for n in (1, 2)])
        except ActivityFailedError as error:
            return error.failure.message
        return ""

    life = living(order)
    life.take(failed(2, "at once"))

    assert life.result == "at once"


def test_when_all_of_nothing_is_nothing():
    async def order(ctx: Context) -> list[Any]:
        return [await ctx.when_all(), await ctx.when_all([])]

    assert living(order).result == [[], []]


def test_when_all_of_what_is_done_already():
    async def order(ctx: Context) -> list[Any]:
        task = ctx.call_activity("work", 1)
        await task
        return await ctx.when_all(task, task)

    life = living(order)
    life.take(completed(1, "a"))

    assert life.result == ["a", "a"]


def test_when_all_that_loses_a_race_releases_its_waits():
    async def order(ctx: Context) -> Any:
        everybody = ctx.when_all(ctx.wait_for_external_event("A"), ctx.create_timer(MINUTE))
        await ctx.when_any(everybody, ctx.wait_for_external_event("Go"))
        return await ctx.wait_for_external_event("A")

    life = living(order)

    assert life.take(event("Go")) == ["TimerCancelled 2"]
    life.take(event("A", 1))
    assert life.result == 1


def test_cancelling_when_all_cancels_its_members_and_says_so_in_history():
    async def order(ctx: Context) -> None:
        ctx.when_all(
            ctx.call_activity("work"),
            ctx.call_sub_orchestration("child", 1),
            ctx.create_timer(MINUTE),
            ctx.wait_for_external_event("A"),
        ).cancel()
        await ctx.wait_for_external_event("End")

    life = living(order)

    assert [type(row).__name__ for row in life.rows[4:]] == [
        "ActivityCancelled",
        "SubOrchestrationCancelled",
        "TimerCancelled",
    ]
    assert life.execution.waiting_for() == ["End"]


# The outcome of a task.


def test_a_task_without_an_outcome_says_so():
    async def order(ctx: Context) -> list[str]:
        task = ctx.wait_for_external_event("A")
        said: list[str] = []
        for ask in (task.result, task.exception):
            try:
                ask()
            except asyncio.InvalidStateError as error:
                said.append(str(error))
        task.cancel()
        for ask in (task.result, task.exception):
            try:
                ask()
            except asyncio.CancelledError:
                said.append("cancelled")
        return [*said, repr(task)]

    assert living(order).result == [
        "This task has no result yet: await it first.",
        "This task has no outcome yet: await it first.",
        "cancelled",
        "cancelled",
        "<WaitTask cancelled>",
    ]


def test_a_failed_task_gives_the_same_error_each_time_it_is_awaited():
    async def order(ctx: Context) -> bool:
        task = ctx.call_activity("work")
        errors: list[BaseException] = []
        for _ in range(2):
            try:
                await task
            except ActivityFailedError as error:
                errors.append(error)
        return errors[0] is errors[1] is task.exception()

    life = living(order)
    life.take(failed(1))

    assert life.result is True
