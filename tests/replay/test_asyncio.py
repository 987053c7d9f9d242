"""asyncio's own primitives are durable: a crash at any moment changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from adjourn import ActivityFailedError, Adjourn, Context
from adjourn.model.events import ActivityRecovered
from adjourn.testing import Sandbox
from tests.histories import bodies

Act = Callable[[Sandbox], object]
Orchestrate = Callable[[Context], Coroutine[Any, Any, Any]]


@dataclass
class Story:
    """An orchestrator, what happens to it step by step, and what it returns."""

    orchestrate: Orchestrate
    acts: list[Act]
    result: Any


STORIES: dict[str, Story] = {}


def story(*acts: Act, result: Any) -> Callable[[Orchestrate], Orchestrate]:
    def keep(orchestrate: Orchestrate) -> Orchestrate:
        STORIES[orchestrate.__name__] = Story(orchestrate, list(acts), result)
        return orchestrate

    return keep


def after(seconds: float) -> Act:
    return lambda box: box.advance(seconds=seconds)


def send(name: str, data: Any = None) -> Act:
    return lambda box: box.raise_event("x", name, data)


def run_activity(box: Sandbox) -> None:
    box.run_next_activity()


@cache
def app_of(name: str) -> Adjourn:
    app = Adjourn()

    @app.activity
    def double(number: int) -> int:
        if number < 0:
            raise ValueError("negative")
        return number * 2

    app.orchestrator(name=name)(STORIES[name].orchestrate)
    return app


def live_through(name: str, crash_before: set[int]) -> tuple[Any, list[bytes]]:
    acts = STORIES[name].acts
    with Sandbox(app_of(name), run_activities=False) as box:
        run = box.start(name, id="x")
        for number, act in enumerate(acts):
            if number in crash_before:
                box.crash()
            act(box)
        rows = [entry.event for entry in box.history("x")]
        return run.result, bodies([row for row in rows if not isinstance(row, ActivityRecovered)])


# The stories.


def seconds(ctx: Context) -> float:
    return (ctx.current_utc_datetime.timestamp()) % 3_600


@story(after(5), after(5), after(0), result=["begun", 10.0, 10.0])
async def sleep(ctx: Context) -> list[Any]:
    log: list[Any] = ["begun"]
    await asyncio.sleep(10)
    log.append(seconds(ctx))
    await asyncio.sleep(0)
    log.append(seconds(ctx))
    return log


@story(after(3), after(3), send("Late", 1), result=["timed out", 5.0, 1])
async def timeout(ctx: Context) -> list[Any]:
    log: list[Any] = []
    try:
        async with asyncio.timeout(5):
            await ctx.wait_for_external_event("Late")
    except TimeoutError:
        log += ["timed out", seconds(ctx)]
    async with asyncio.timeout(5):
        log.append(await ctx.wait_for_external_event("Late"))
    return log


@story(after(4), after(4), send("Go", 1), result=["later", 1])
async def timeout_put_off(ctx: Context) -> list[Any]:
    async with asyncio.timeout(5) as scope:
        await asyncio.sleep(3)
        scope.reschedule(asyncio.get_running_loop().time() + 100)
        return ["later", await ctx.wait_for_external_event("Go")]


@story(after(3), after(3), send("A", "a"), result=["gave up", "a"])
async def wait_for(ctx: Context) -> list[Any]:
    log: list[Any] = []
    try:
        await asyncio.wait_for(ctx.wait_for_external_event("A"), 5)
    except TimeoutError:
        log.append("gave up")
    log.append(await asyncio.wait_for(ctx.wait_for_external_event("A"), 5))
    return log


@story(run_activity, send("A", "a"), after(5), result=[2, "a", None, 6])
async def gather(ctx: Context) -> list[Any]:
    return await asyncio.gather(
        ctx.call_activity("double", 1),
        ctx.wait_for_external_event("A"),
        asyncio.sleep(5),
        _later(2, 6),
    )


async def _later(span: float, value: Any) -> Any:
    await asyncio.sleep(span)
    return value


@story(run_activity, run_activity, after(5), result=["ActivityFailedError", 4, None])
async def gather_with_exceptions(ctx: Context) -> list[Any]:
    results: list[Any] = await asyncio.gather(
        ctx.call_activity("double", -1),
        ctx.call_activity("double", 2),
        asyncio.sleep(5),
        return_exceptions=True,
    )
    return [type(r).__name__ if isinstance(r, Exception) else r for r in results]


@story(run_activity, run_activity, result=["failed at once", 4])
async def gather_raises_at_once(ctx: Context) -> list[Any]:
    second = ctx.call_activity("double", 2)
    first = ctx.call_activity("double", -1)
    log: list[Any] = []
    done = asyncio.gather(first, asyncio.shield(ctx.wait_for_external_event("Never")))
    result = await second
    try:
        await done
    except ActivityFailedError:
        log.append("failed at once")
    return [*log, result]


@story(run_activity, after(5), send("A"), result=["double", "sleep", "wait"])
async def task_group(ctx: Context) -> list[str]:
    log: list[str] = []

    async def note(name: str, awaitable: Any) -> None:
        await awaitable
        log.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(note("wait", ctx.wait_for_external_event("A")))
        group.create_task(note("sleep", asyncio.sleep(5)))
        group.create_task(note("double", ctx.call_activity("double", 1)))
    return log


@story(send("A"), run_activity, after(1), result=["cancelled", "cancelled", "one failed"])
async def task_group_that_fails(ctx: Context) -> list[str]:
    log: list[str] = []

    async def wait(name: str) -> None:
        try:
            await ctx.wait_for_external_event(name)
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    async def fail() -> None:
        await ctx.call_activity("double", -1)

    try:
        async with asyncio.TaskGroup() as group:
            for name in "ABC":
                group.create_task(wait(name))
            group.create_task(fail())
    except* ActivityFailedError as failed:
        log.append("one failed" if len(failed.exceptions) == 1 else "?")
    await asyncio.sleep(1)
    return log


@story(send("B", 2), after(1), send("A", 1), result=[["b"], ["a", "c"], 2, 1])
async def wait_first_completed(ctx: Context) -> list[Any]:
    async def take(name: str) -> Any:
        return await ctx.wait_for_external_event(name)

    tasks = {asyncio.create_task(take(name.upper()), name=name) for name in "cab"}
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    names = [sorted(task.get_name() for task in part) for part in (done, pending)]
    (winner,) = done
    more, left = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    return [*names, winner.result(), *[task.result() for task in more]]


@story(send("B", 2), send("A", 1), result=[[2], 1])
async def wait_over_tasks_of_the_context(ctx: Context) -> list[Any]:
    tasks = {ctx.wait_for_external_event(name) for name in "AB"}
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    (left,) = pending
    return [[task.result() for task in done], await left]


@story(after(3), after(3), send("A", 1), result=[0, 2, 1])
async def wait_with_timeout(ctx: Context) -> list[Any]:
    tasks = [ctx.wait_for_external_event("A"), ctx.wait_for_external_event("B")]
    done, pending = await asyncio.wait(tasks, timeout=5)
    return [len(done), len(pending), await tasks[0]]


@story(run_activity, run_activity, send("A", 1), result=["ActivityFailedError", 4, 1])
async def wait_first_exception(ctx: Context) -> list[Any]:
    tasks = [
        ctx.call_activity("double", 2),
        ctx.call_activity("double", -1),
        ctx.wait_for_external_event("A"),
    ]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    (left,) = pending
    ok, failed = sorted(done, key=lambda task: task.exception() is not None)
    return [type(failed.exception()).__name__, ok.result(), await left]


@story(after(3), send("Stop"), after(10), result=["tick", "cancelled", "stopped"])
async def create_task(ctx: Context) -> list[str]:
    log: list[str] = []

    async def tick() -> None:
        try:
            while True:
                await asyncio.sleep(2)
                log.append("tick")
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    ticking = asyncio.create_task(tick())
    await ctx.wait_for_external_event("Stop")
    ticking.cancel()
    await asyncio.wait({ticking})
    log.append("stopped" if ticking.cancelled() else "?")
    await asyncio.sleep(5)
    return log


@story(after(1), send("Open"), after(0), result=["a", "b", "c"])
async def event(ctx: Context) -> list[str]:
    opened = asyncio.Event()
    log: list[str] = []

    async def walk(name: str) -> None:
        await opened.wait()
        log.append(name)

    walkers = [asyncio.create_task(walk(name)) for name in "abc"]
    await ctx.wait_for_external_event("Open")
    opened.set()
    await asyncio.gather(*walkers)
    return log


@story(send("Item", 1), run_activity, send("Item", 2), run_activity, send("Item", 3), run_activity,
       result=[2, 4, 6])  # fmt: skip
async def queue(ctx: Context) -> list[int]:
    items: asyncio.Queue[int] = asyncio.Queue(maxsize=1)
    results: list[int] = []

    async def work() -> None:
        while True:
            results.append(await ctx.call_activity("double", await items.get()))
            items.task_done()

    worker = asyncio.create_task(work())
    for _ in range(3):
        await items.put(await ctx.wait_for_external_event("Item"))
    await items.join()
    worker.cancel()
    return results


@story(after(1), after(1), after(1), after(1), result=["1@1", "0@2", "3@2", "2@4"])
async def semaphore(ctx: Context) -> list[str]:
    doors = asyncio.Semaphore(2)
    log: list[str] = []

    async def enter(number: int, span: float) -> None:
        async with doors:
            await asyncio.sleep(span)
            log.append(f"{number}@{seconds(ctx):g}")

    await asyncio.gather(enter(0, 2), enter(1, 1), enter(3, 1), enter(2, 2))
    return log


@story(after(1), after(1), after(1), result=["a in", "a out", "b in", "b out", "c in", "c out"])
async def lock(ctx: Context) -> list[str]:
    door = asyncio.Lock()
    log: list[str] = []

    async def enter(name: str) -> None:
        async with door:
            log.append(f"{name} in")
            await asyncio.sleep(1)
            log.append(f"{name} out")

    await asyncio.gather(*map(enter, "abc"))
    return log


@story(send("More", 1), send("More", 2), send("More", 3), result=["small 1", "large 3"])
async def condition(ctx: Context) -> list[str]:
    changed = asyncio.Condition()
    stock, log = [0], []

    async def buy(name: str, wanted: int) -> None:
        async with changed:
            await changed.wait_for(lambda: stock[0] >= wanted)
            log.append(f"{name} {stock[0]}")

    buyers = [asyncio.create_task(buy(*order)) for order in (("large", 3), ("small", 1))]
    for _ in range(3):
        amount = await ctx.wait_for_external_event("More")
        async with changed:
            stock[0] = amount
            changed.notify_all()
    await asyncio.gather(*buyers)
    return log


@story(after(3), after(3), run_activity, result=["gave up", 2])
async def shield(ctx: Context) -> list[Any]:
    task = ctx.call_activity("double", 1)
    log: list[Any] = []
    try:
        async with asyncio.timeout(5):
            await asyncio.shield(task)
    except TimeoutError:
        log.append("gave up")
    return [*log, await task]


@story(after(3), send("A", 1), after(3), result=["gave up", 1])
async def shielded_wait(ctx: Context) -> list[Any]:
    wait = ctx.wait_for_external_event("A")
    try:
        await asyncio.wait_for(asyncio.shield(wait), 2)
    except TimeoutError:
        return ["gave up", await wait]
    return ["?"]


@story(send("A"), after(2), after(2), result=[2.0, 4.0])
async def barrier(ctx: Context) -> list[float]:
    meeting = asyncio.Barrier(2)
    log: list[float] = []

    async def come(awaitable: Any) -> None:
        await awaitable
        await meeting.wait()
        log.append(seconds(ctx))

    first = asyncio.gather(come(asyncio.sleep(2)), come(ctx.wait_for_external_event("A")))
    await first
    await asyncio.sleep(2)
    return [log[0], seconds(ctx)]


@story(after(1), after(1), after(1), result=["sooner", "later"])
async def call_later(ctx: Context) -> list[str]:
    loop = asyncio.get_running_loop()
    log: list[str] = []
    loop.call_later(2, log.append, "later")
    loop.call_at(loop.time() + 1, log.append, "sooner")
    loop.call_later(3, log.append, "never").cancel()
    await ctx.create_timer(timedelta(seconds=2.5))
    return log


# The claims.


@pytest.mark.parametrize("name", STORIES)
def test_it_does_what_asyncio_does(name: str):
    result, _ = live_through(name, set())

    assert result == STORIES[name].result


@pytest.mark.parametrize("name", STORIES)
def test_a_crash_before_any_step_or_every_step_changes_neither_result_nor_history(name: str):
    steps = range(len(STORIES[name].acts))
    undisturbed = live_through(name, set())

    for crashes in [{step} for step in steps] + [set(steps)]:
        assert live_through(name, crashes) == undisturbed, crashes
