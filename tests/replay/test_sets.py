"""Sets of tasks iterate alike on every replay: by the order in which the tasks were made."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adjourn import Adjourn, Context
from tests.histories import completed, event, live, replay

ROOT = Path(__file__).parents[2]

PROGRAM = """
import asyncio, random
from adjourn import Adjourn, Context
from adjourn.testing import Sandbox

app = Adjourn()
padding = [bytearray(random.randrange(1_000)) for _ in range(random.randrange(10_000))]

@app.activity
def note(name: str) -> str:
    return name

@app.orchestrator
async def order(ctx: Context) -> list[str]:
    async def take(name: str) -> str:
        return await ctx.wait_for_external_event(name)

    tasks = {asyncio.create_task(take(name), name=name) for name in "hbgacfed"}
    waits = {ctx.wait_for_external_event("unsent " + name) for name in "hbgacfed"}
    calls = {ctx.call_activity(note, name) for name in "hbgacfed"}
    done, left = await asyncio.wait({*tasks, *waits, *calls}, timeout=60)
    log = [task.result() for task in done]
    for wait in left:
        wait.cancel()
    for task in calls | tasks:
        log.append(await ctx.call_activity(note, await task))
    return log

with Sandbox(app) as box:
    run = box.start(order, id="x")
    for name in "abcdefgh":
        box.raise_event("x", name, name)
        box.crash()
    box.advance(seconds=60)
    print(run.result, run.kinds)
"""


def run_program(hash_seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.slow
def test_sets_iterate_alike_in_every_process_whatever_its_hash_seed_and_addresses():
    first = run_program("0")

    assert "InstanceCompleted" in first
    assert run_program("1") == run_program("4242") == first


def make(ctx: Context, how: str) -> Any:
    match how:
        case "activity":
            return ctx.call_activity("note")
        case "timer":
            return ctx.create_timer(ctx.current_utc_datetime)
        case "event":
            return ctx.wait_for_external_event("Go")
        case "update":
            return ctx.wait_for_update("Go")
        case "child":
            return ctx.call_sub_orchestration("order", id="child")
        case "any":
            return ctx.when_any(ctx.wait_for_external_event("Go"))
        case "all":
            return ctx.when_all(ctx.wait_for_external_event("Go"))
        case "task":
            return asyncio.create_task(asyncio.sleep(0))
        case "shield":
            return asyncio.shield(ctx.wait_for_external_event("Go"))
        case _:
            return asyncio.get_running_loop().create_future()


@pytest.mark.parametrize(
    "how",
    ["activity", "timer", "event", "update", "child", "any", "all", "task", "shield", "future"],
)
def test_what_can_be_awaited_is_hashed_by_the_order_of_its_making(how: str):
    app = Adjourn()
    hashes: list[int] = []

    @app.activity
    def note() -> None: ...

    @app.orchestrator
    async def order(ctx: Context) -> None:
        made = [make(ctx, how) for _ in range(3)]
        hashes.extend(map(hash, made))
        assert len({*made, *made}) == 3
        assert made[0] == made[0] != made[1]
        assert await ctx.wait_for_external_event("End")

    life = live(app, "order")
    again, _ = replay(app, life.rows)

    assert hashes[:3] == hashes[3:], "the same in a replay"
    assert hashes[0] < hashes[1] < hashes[2]
    life.execution.close()
    again.close()


def test_tasks_that_finish_in_another_order_still_iterate_in_the_order_of_their_making():
    app = Adjourn()

    @app.activity
    def note(n: int) -> int:
        return n

    @app.orchestrator
    async def order(ctx: Context) -> list[int]:
        calls = [ctx.call_activity(note, n) for n in range(5)]
        await ctx.wait_for_external_event("Go")
        done, _ = await asyncio.wait(set(calls))
        return [task.result() for task in done]

    life = live(app, "order")
    life.take(*[completed(n + 1, n) for n in (4, 2, 0, 3, 1)], event("Go"))

    assert life.result == [0, 1, 2, 3, 4]
