"""Letting go of a parked execution: its code may clean up, asks for nothing, and leaks nothing."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Generator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from adjourn import Adjourn, Context, DeterminismError
from adjourn.model.events import Arrived, Event
from adjourn.replay import execution as execution_module
from tests.histories import (
    completed,
    event,
    fired,
    live,
    replay,
    update,
)

app = Adjourn()


@app.activity
def note(text: str) -> str:
    return text


@app.orchestrator
async def wait(ctx: Context) -> None:
    await ctx.wait_for_external_event("Go")


@app.orchestrator
async def call(ctx: Context) -> None:
    await ctx.call_activity(note, "a")
    await ctx.call_activity(note, "b")


@app.orchestrator
async def race(ctx: Context) -> None:
    go = ctx.wait_for_external_event("Go")
    while await ctx.when_any(go, ctx.create_timer(timedelta(seconds=60))) is not go:
        pass


@app.orchestrator
async def keep_in_a_race(ctx: Context) -> None:
    waits = [ctx.wait_for_external_event(name) for name in "AB"]
    await ctx.when_any(waits, keep=True)
    await ctx.when_all(waits)


@app.orchestrator
async def everything(ctx: Context) -> None:
    """Parked in as many ways as there are."""
    queue: asyncio.Queue[int] = asyncio.Queue()
    opened, lock = asyncio.Event(), asyncio.Lock()

    async def hold() -> None:
        async with lock:
            await ctx.wait_for_external_event("A")

    async with asyncio.TaskGroup() as group:
        group.create_task(hold())
        group.create_task(hold())
        group.create_task(queue.get())
        group.create_task(opened.wait())
        ctx.call_activity(note, "a")
        ctx.call_sub_orchestration(wait, id="child")
        background = asyncio.create_task(asyncio.sleep(3600))
        try:
            async with asyncio.timeout(60):
                await asyncio.shield(ctx.wait_for_external_event("B"))
        except TimeoutError:
            pass
        await asyncio.gather(ctx.wait_for_external_event("C"), ctx.wait_for_update("D"), background)


@app.orchestrator
async def fail_and_remember(ctx: Context) -> None:
    """Its traceback knows its frame, and its frame the traceback."""
    kept: BaseException | None = None
    try:
        raise ValueError("no")
    except ValueError as error:
        kept = error
    await ctx.wait_for_external_event("Go")
    raise kept


@app.orchestrator
def generate(context: Context) -> Generator[Any, Any, None]:
    try:
        yield context.call_activity("note", "a")
        yield context.task_any([context.wait_for_external_event("Go")])
    finally:
        context.set_custom_status("over")


# What arrives before each is let go.
ARRIVALS: dict[str, list[Arrived]] = {
    "wait": [],
    "call": [completed(1, "a")],
    "race": [fired(2, after=60)],
    "keep_in_a_race": [event("A")],
    "everything": [event("C"), update("D", "u1")],
    "generate": [completed(1, "a")],
    "fail_and_remember": [],
}
# Not where asyncio itself (TaskGroup, gather) or the user's own code makes circles.
FREED_AT_ONCE = sorted(ARRIVALS.keys() - {"everything", "fail_and_remember"})


def history_of(name: str) -> Sequence[Event]:
    life = live(app, name)
    for arrived in ARRIVALS[name]:
        life.take(arrived)
    life.execution.close()
    return life.rows


def rebuild_and_close(history: Sequence[Event], times: int) -> None:
    for _ in range(times):
        replay(app, history)[0].close()


@pytest.mark.slow
@pytest.mark.parametrize("name", FREED_AT_ONCE)
def test_a_parked_execution_that_is_let_go_is_freed_at_once_and_without_the_collector(name: str):
    history = history_of(name)
    rebuild_and_close(history, 20)  # what is made once: readers, caches
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        rebuild_and_close(history, 50)
        left = len(gc.get_objects()) - before
    finally:
        gc.enable()

    assert left < 50, f"{left / 50:.1f} objects are left of each"


@pytest.mark.slow
def test_two_thousand_executions_let_go_leave_nothing():
    histories = [history_of(name) for name in ARRIVALS]
    for history in histories:
        rebuild_and_close(history, 2)
    gc.collect()
    before = len(gc.get_objects())

    for history in histories:
        rebuild_and_close(history, 2_000 // len(histories))
    gc.collect()

    assert abs(len(gc.get_objects()) - before) < 100


# What the code may do meanwhile.


def test_finally_blocks_and_context_managers_run():
    app = Adjourn()
    ended: list[str] = []

    @app.orchestrator
    async def order(ctx: Context) -> None:
        try:
            async with asyncio.Lock():
                await ctx.wait_for_external_event("Go")
        except asyncio.CancelledError:
            ended.append("except")
            raise
        finally:
            ended.append("finally")

    live(app, "order").execution.close()

    assert ended == ["except", "finally"]


def test_what_is_asked_meanwhile_is_discarded():
    app = Adjourn()
    app.activity(note.function)
    after: list[str] = []

    @app.orchestrator
    async def order(ctx: Context) -> None:
        try:
            await ctx.wait_for_external_event("Go")
        finally:
            ctx.call_activity("note", "a")
            ctx.call_sub_orchestration("order", id="child")
            ctx.create_timer(timedelta(seconds=1))
            ctx.set_custom_status("cleaning up")
            ctx.set_attributes(open=False)
            after.append("asked")
            await ctx.call_activity("note", "b")
            after.append("never reached")

    execution = live(app, "order").execution
    status = execution.custom_status
    execution.close()

    assert execution.take_commands() == []
    assert status is None
    assert after == ["asked"]


@pytest.mark.slow
def test_background_tasks_are_cancelled_too_those_that_they_made_included():
    app = Adjourn()
    ended: list[str] = []

    @app.orchestrator
    async def order(ctx: Context) -> None:
        async def work(name: str) -> None:
            try:
                if name == "outer":
                    asyncio.create_task(work("inner"))  # noqa: RUF006  nobody keeps it: as users do
                await ctx.wait_for_external_event(name)
            finally:
                ended.append(name)

        asyncio.create_task(work("outer"))  # noqa: RUF006  as above
        await ctx.wait_for_external_event("Go")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        live(app, "order").execution.close()
        gc.collect()

    assert sorted(ended) == ["inner", "outer"]


def test_background_tasks_are_cancelled_when_the_orchestrator_returns_too():
    app = Adjourn()
    ended: list[str] = []

    @app.orchestrator
    async def order(ctx: Context) -> str:
        async def work() -> None:
            try:
                await ctx.wait_for_external_event("Never")
            finally:
                ended.append("work")

        asyncio.create_task(work())  # noqa: RUF006  nobody keeps it: as users do
        await asyncio.sleep(0)
        return "done"

    life = live(app, "order")

    assert ended == ["work"]
    assert life.result == "done"


def test_a_finally_that_raises_or_waits_for_ever_stops_nothing():
    app = Adjourn()

    @app.orchestrator
    async def order(ctx: Context, how: str) -> None:
        try:
            await ctx.wait_for_external_event("Go")
        finally:
            if how == "raises":
                raise ValueError("in finally")
            if how == "exits":
                raise SystemExit(1)
            if how == "waits":
                await ctx.wait_for_external_event("Never")

    for how in ("raises", "exits", "waits"):
        execution = live(app, "order", how).execution
        execution.close()
        execution.close()  # again: nothing happens


def test_code_that_swallows_its_cancellation_once_is_cancelled_again():
    app = Adjourn()
    swallowed: list[int] = []

    @app.orchestrator
    async def order(ctx: Context) -> None:
        for n in range(5):
            try:
                await ctx.wait_for_external_event("Go")
            except asyncio.CancelledError:
                swallowed.append(n)

    live(app, "order").execution.close()

    assert swallowed == [0, 1, 2, 3, 4]


@pytest.mark.slow
def test_code_that_swallows_every_cancellation_is_kept_rather_than_freed_and_hung_upon():
    app = Adjourn()

    @app.orchestrator
    async def order(ctx: Context) -> None:
        while True:
            try:
                await ctx.wait_for_external_event("Go")
            except BaseException as error:
                if error.args == ("the test ends it",):
                    return

    before = len(execution_module._undying)
    live(app, "order").execution.close()
    gc.collect()

    (kept,) = execution_module._undying[before:]
    assert not kept.done()
    del execution_module._undying[before:]
    with pytest.raises(StopIteration):
        kept.get_coro().throw(ValueError("the test ends it"))


def test_an_execution_that_was_never_started_can_be_let_go():
    from adjourn.replay.execution import Execution

    Execution(app, app.find_orchestrator("wait"), "x", 1).close()


# Turns that do not end, and waits that nothing can end.


@pytest.mark.slow
@pytest.mark.parametrize("how", ["callbacks", "commands"])
def test_a_turn_that_does_not_end_is_stopped_with_the_lesson(how: str):
    app = Adjourn()

    @app.orchestrator
    async def order(ctx: Context) -> None:
        await ctx.wait_for_external_event("Go")
        while True:
            if how == "commands":
                ctx.create_timer(timedelta(days=1))
            else:
                await asyncio.sleep(0)

    life = live(app, "order")
    with pytest.raises(DeterminismError, match="'order' does not stop") as caught:
        life.take(event("Go"))

    assert "use continue_as_new for endless work" in str(caught.value)


@pytest.mark.slow
def test_an_endless_turn_cannot_be_swallowed_by_the_code():
    app = Adjourn()

    @app.orchestrator
    async def order(ctx: Context) -> None:
        while True:
            try:
                ctx.create_timer(timedelta(days=1))
            except Exception:
                pass

    with pytest.raises(DeterminismError, match="does not stop"):
        live(app, "order")


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_an_order_to_exit_fails_the_instance_and_not_the_process(kind: type[BaseException]):
    app = Adjourn()

    @app.orchestrator
    async def order(ctx: Context) -> None:
        raise kind("please")

    assert live(app, "order").failure.type == kind.__name__
