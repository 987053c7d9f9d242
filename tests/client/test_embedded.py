"""The embedded engine as an application uses it: real file, real threads, a real event loop."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from adjourn import (
    ActivityFailedError,
    Adjourn,
    AdjournError,
    Client,
    Context,
    InstanceFailedError,
    InstanceTerminatedError,
    UpdateRefusedError,
    current_activity,
)
from adjourn.backends.embedded import EmbeddedBackend
from adjourn.errors import EngineStoppedError, FileLockedError, HistoryDamagedError

app = Adjourn()
running: set[str] = set()
most_at_once = 0
gates: dict[str, asyncio.Event] = {}
told: list[str] = []
thread_gate = threading.Event()


@pytest.fixture(autouse=True)
def fresh():
    global most_at_once
    running.clear()
    gates.clear()
    told.clear()
    thread_gate.clear()
    most_at_once = 0
    yield
    thread_gate.set()


@app.activity(concurrency=2)
async def crowded(name: str) -> str:
    global most_at_once
    running.add(name)
    most_at_once = max(most_at_once, len(running))
    await asyncio.sleep(0)
    running.discard(name)
    return name


@app.activity(timeout=timedelta(milliseconds=20))
async def too_slow() -> None:
    await asyncio.Event().wait()


@app.activity(timeout=timedelta(milliseconds=20))
def stuck_thread() -> None:
    thread_gate.wait(30)


@app.activity
async def gated(name: str) -> str:
    gates.setdefault(name, asyncio.Event())
    try:
        await gates[name].wait()
    except asyncio.CancelledError:
        told.append(f"{name} cancelled: {current_activity().cancelled}")
        raise
    return name


@app.activity
def in_a_thread(number: int) -> str:
    assert threading.current_thread().name.startswith("adjourn-activity")
    return f"{number} {current_activity().idempotency_key}"


@app.activity
def leaves() -> None:
    raise SystemExit(3)


@app.orchestrator
async def crowd(ctx: Context, size: int) -> list[str]:
    return await ctx.when_all(ctx.call_activity(crowded, str(n)) for n in range(size))


@app.orchestrator
async def slow(ctx: Context, which: str) -> str:
    try:
        await ctx.call_activity(which)
    except ActivityFailedError as error:
        return error.failure.type
    return "in time"


@app.orchestrator
async def race(ctx: Context) -> str:
    task = ctx.call_activity(gated, "a")
    await ctx.wait_for_external_event("Stop")
    task.cancel()
    await ctx.wait_for_external_event("End")
    return "stopped"


@app.orchestrator
async def threaded(ctx: Context) -> str:
    return await ctx.call_activity(in_a_thread, 7)


@app.orchestrator
async def dies(ctx: Context) -> None:
    await ctx.call_activity(leaves)


@app.orchestrator
async def votes(ctx: Context) -> int:
    request = await ctx.wait_for_update("vote", int)
    if request.value > 5:
        request.refuse("at most 5")
        return 0
    request.accept(request.value * 2)
    return request.value


def test_a_whole_life_on_a_file_and_what_the_next_process_finds(tmp_path: Path):
    async def main() -> None:
        file = tmp_path / "life.db"
        async with app.open(file) as client:
            handle = await client.start(crowd, 10, id="c")
            assert await handle.result() == [str(n) for n in range(10)]
            assert await client.result((await client.start(threaded, id="t")).id) == "7 t/1/1"
        async with app.open(file) as client:
            assert await client.result("c") == [str(n) for n in range(10)]
            assert [state.id for state in (await client.list()).instances] == ["c", "t"]
            assert not (await client.start(threaded, id="t")).created
        assert most_at_once == 2

    asyncio.run(main())


@pytest.mark.parametrize("which", ["too_slow", "stuck_thread"])
def test_an_attempt_that_takes_too_long_fails_and_its_late_result_is_dropped(
    tmp_path: Path, which: str
):
    async def main() -> None:
        async with app.open(tmp_path / "slow.db") as client:
            run = await client.start(slow, which, id="s")
            assert await run.result() == "adjourn.errors.ActivityTimeoutError"
            thread_gate.set()

    asyncio.run(main())


def test_a_cancelled_activity_is_told(tmp_path: Path):
    async def main() -> None:
        async with app.open(tmp_path / "race.db") as client:
            run = await client.start(race, id="r")
            await client.raise_event("r", "Stop")
            await client.raise_event("r", "End")
            assert await run.result() == "stopped"
        assert told in (["a cancelled: True"], [])  # [] when it had not begun

    asyncio.run(main())


def test_an_activity_that_raises_system_exit_is_a_failure_and_ends_no_process(tmp_path: Path):
    async def main() -> None:
        async with app.open(tmp_path / "exit.db") as client:
            run = await client.start(dies, id="d")
            with pytest.raises(InstanceFailedError, match="SystemExit: 3"):
                await run.result()

    asyncio.run(main())


def test_results_and_updates_reach_those_who_wait(tmp_path: Path):
    async def main() -> None:
        async with app.open(tmp_path / "wait.db") as client:
            run = await client.start(votes, id="v")
            waiting = asyncio.create_task(run.result())
            with pytest.raises(UpdateRefusedError, match="at most 5"):
                await client.update("v", "vote", 9)
            assert await waiting == 0

            gone = await client.start(votes, id="w")
            waiting = asyncio.create_task(gone.result())
            await client.terminate("w", "enough")
            with pytest.raises(InstanceTerminatedError, match="enough"):
                await waiting

    asyncio.run(main())


def test_a_caller_who_gives_up_loses_nothing(tmp_path: Path):
    async def main() -> None:
        async with app.open(tmp_path / "cancel.db") as client:
            starting = asyncio.ensure_future(client.start(votes, id="v"))
            await asyncio.sleep(0)
            starting.cancel()
            assert await client.update("v", "vote", 2) == 4

    asyncio.run(main())


def test_the_file_has_one_owner_and_a_closed_client_says_so(tmp_path: Path):
    async def main() -> None:
        file = tmp_path / "one.db"
        async with app.open(file) as client:
            with pytest.raises(FileLockedError, match="is in use by process"):
                async with app.open(file):
                    pass
        with pytest.raises(EngineStoppedError, match=r"app\.open"):
            await client.get("x")

    asyncio.run(main())


def test_those_who_wait_when_it_closes_are_told(tmp_path: Path):
    async def main() -> None:
        async with app.open(tmp_path / "close.db") as client:
            await client.start(votes, id="v")
            waiting = asyncio.ensure_future(client.result("v"))
            await client.get("v")
        with pytest.raises(AdjournError, match="closed"):
            await waiting

    asyncio.run(main())


@app.activity(concurrency=1)
async def alone(name: str) -> str:
    await asyncio.sleep(0)
    return name


@app.orchestrator
async def asks_and_cancels(ctx: Context) -> str:
    ctx.call_activity(alone, "never").cancel()
    first = ctx.call_activity(alone, "first")
    await ctx.wait_for_external_event("Go")
    first.cancel()
    return await ctx.call_activity(alone, "second")


@app.activity
def heartbeats() -> str:
    while True:
        current_activity().heartbeat()
        thread_gate.wait(0.001)


@app.orchestrator
async def long_work(ctx: Context) -> str:
    return await ctx.call_activity(heartbeats)


def test_a_cancelled_attempt_leaves_its_lane(tmp_path: Path):
    async def main() -> None:
        async with app.open(tmp_path / "lane.db") as client:
            runs = [await client.start(asks_and_cancels, id=f"l{n}") for n in range(10)]
            await asyncio.gather(*(run.raise_event("Go") for run in runs))
            assert await asyncio.gather(*(run.result() for run in runs)) == ["second"] * 10

    asyncio.run(main())


def test_an_attempt_that_the_close_told_to_stop_is_no_failure(tmp_path: Path):
    async def main() -> None:
        file = tmp_path / "long.db"
        backend = EmbeddedBackend(app, file, grace_seconds=0.01)
        async with Client(app, backend) as client:
            await client.start(long_work, id="w")
        async with Client(app, EmbeddedBackend(app, file, grace_seconds=0.01)) as client:
            assert (await client.get("w")).status == "Running"

    asyncio.run(main())


def test_an_opening_that_was_cancelled_leaves_no_lock(tmp_path: Path):
    async def main() -> None:
        file = tmp_path / "gone.db"
        opening = asyncio.ensure_future(app.open(file).__aenter__())
        await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        for _ in range(200):  # the orphan is closed as soon as it is open
            try:
                async with app.open(file) as client:
                    assert (await client.list()).instances == []
                    return
            except FileLockedError:
                await asyncio.sleep(0.01)
        raise AssertionError("the file stayed locked")

    asyncio.run(main())


def test_waiting_for_an_instance_whose_row_is_damaged_stops_nobody_else(tmp_path: Path):
    async def main() -> None:
        file = tmp_path / "damaged.db"
        async with app.open(file) as client:
            for id in ("broken", "whole"):
                await client.start(votes, id=id)
        database = apsw.Connection(str(file))
        for statement in (
            "PRAGMA ignore_check_constraints = 1",
            "UPDATE instances SET status = 'Runninf' WHERE id = 'broken'",
        ):
            database.execute(statement)
        database.close()

        async with app.open(file) as client:
            with pytest.raises(HistoryDamagedError, match="Runninf"):
                await client.result("broken")
            assert (await client.get("whole")).status == "Running"

    asyncio.run(main())
