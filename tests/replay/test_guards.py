"""What leaves determinism is refused in an orchestrator, with the lesson; activities may do it."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from adjourn import Adjourn, Context, InstanceState
from adjourn.testing import Sandbox

NOTHING = [sys.executable, "-S", "-c", ""]
LESSON = "Put it into an activity and write `await ctx.call_activity(...)`."
DETERMINISM_ERROR = "adjourn.errors.DeterminismError"

Call = Callable[[], Coroutine[Any, Any, Any]]


def run_orchestrator(orchestrate: Callable[[Context], Coroutine[Any, Any, Any]]) -> InstanceState:
    app = Adjourn()
    app.orchestrator(name="order")(orchestrate)
    with Sandbox(app) as box:
        box.start("order", id="x")
        return box.get("x")


def run_activity(function: Call) -> Any:
    app = Adjourn()

    @app.activity(name="do")
    async def do() -> None:
        await function()

    @app.orchestrator
    async def order(ctx: Context) -> str:
        await ctx.call_activity("do")
        return "done"

    with Sandbox(app) as box:
        return box.start(order, id="x").result


# Threads.


async def run_in_an_executor() -> None:
    await asyncio.get_running_loop().run_in_executor(None, str)


async def run_to_a_thread() -> None:
    await asyncio.to_thread(str)


async def start_a_thread() -> None:
    thread = threading.Thread(target=str)
    thread.start()
    thread.join()


async def submit_to_a_pool() -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(str).result()


async def call_soon_threadsafe() -> None:
    asyncio.get_running_loop().call_soon_threadsafe(str)


async def run_a_coroutine_threadsafe() -> None:
    coroutine = asyncio.sleep(0)
    try:
        asyncio.run_coroutine_threadsafe(coroutine, asyncio.get_running_loop())
        await asyncio.sleep(0.001)
    finally:
        coroutine.close()


# The network.


async def open_a_connection() -> None:
    async with await asyncio.start_server(_hang_up, "127.0.0.1", 0) as server:
        await _connect(*server.sockets[0].getsockname())


async def open_a_connection_alone() -> None:
    await _connect("127.0.0.1", 9)


async def _connect(host: str, port: int) -> None:
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    await writer.wait_closed()


def _hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def make_a_socket() -> None:
    socket.socket().close()


async def ask_for_an_address() -> None:
    await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)


async def ask_for_an_address_and_block() -> None:
    socket.getaddrinfo("127.0.0.1", 80)


# Processes.


async def start_a_process() -> None:
    process = await asyncio.create_subprocess_exec(*NOTHING)
    await process.wait()


async def start_a_shell() -> None:
    process = await asyncio.create_subprocess_shell("exit 0")
    await process.wait()


async def run_a_process() -> None:
    subprocess.run(NOTHING, check=True)  # noqa: ASYNC221  what is refused


async def call_popen() -> None:
    with subprocess.Popen(NOTHING) as process:  # noqa: ASYNC220  what is refused
        process.wait()


# The clock.


async def sleep_and_block() -> None:
    time.sleep(0.001)  # noqa: ASYNC251  what is refused


REFUSED: dict[Call, str] = {
    run_in_an_executor: "runs work in a thread",
    run_to_a_thread: "runs work in a thread",
    start_a_thread: "starts a thread",
    submit_to_a_pool: "starts a thread",
    call_soon_threadsafe: "lets another thread wake the orchestrator",
    run_a_coroutine_threadsafe: "lets another thread wake the orchestrator",
    open_a_connection: "opens a socket",
    open_a_connection_alone: "opens a socket",
    make_a_socket: "opens a socket",
    ask_for_an_address: "asks the network",
    ask_for_an_address_and_block: "asks the network",
    start_a_process: "starts a process",
    start_a_shell: "starts a process",
    run_a_process: "starts a process",
    call_popen: "starts a process",
    sleep_and_block: "blocks",
}


def name_of(function: Any) -> str:
    return function.__name__ if callable(function) else ""


@pytest.mark.parametrize("call", REFUSED, ids=name_of)
def test_an_orchestrator_that_does_this_fails_with_the_lesson(call: Call):
    async def order(ctx: Context) -> None:
        await call()

    state = run_orchestrator(order)

    assert (state.status, state.problem) == ("Failed", None)
    assert state.failure is not None
    assert state.failure.type == DETERMINISM_ERROR
    assert REFUSED[call] in state.failure.message
    assert state.failure.message.startswith("Inside an orchestrator, something ")
    assert state.failure.message.endswith(LESSON)
    assert f"in {call.__name__}" in state.failure.stack_trace, "the line can be found"


@pytest.mark.parametrize(
    "call", [call for call in REFUSED if call is not open_a_connection_alone], ids=name_of
)
def test_an_activity_may_do_it(call: Call):
    assert run_activity(call) == "done"


def test_a_synchronous_activity_may_do_it_too():
    app = Adjourn()

    @app.activity
    def do() -> int:
        thread = threading.Thread(target=str)
        thread.start()
        thread.join()
        socket.socket().close()
        time.sleep(0.001)
        return subprocess.run(NOTHING, check=True).returncode

    @app.orchestrator
    async def order(ctx: Context) -> int:
        return await ctx.call_activity(do)

    with Sandbox(app) as box:
        assert box.start(order, id="x").result == 0


def test_it_is_refused_inside_the_orchestrators_own_tasks_as_well():
    async def order(ctx: Context) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(make_a_socket())

    failure = run_orchestrator(order).failure

    assert failure is not None
    assert "DeterminismError: Inside an orchestrator, something opens a socket" in (
        failure.stack_trace
    )


def test_the_code_may_catch_the_refusal_and_nothing_has_happened():
    before = threading.active_count()

    async def order(ctx: Context) -> int:
        try:
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        except Exception:
            return threading.active_count()
        return -1

    state = run_orchestrator(order)

    assert state.output is not None
    assert int(bytes(state.output)) <= before + 1, "only the sandbox's own"


def test_other_threads_are_not_watched_while_a_turn_runs():
    ready, go = threading.Event(), threading.Event()
    made: list[str] = []

    def outside() -> None:
        ready.set()
        go.wait(10)
        socket.socket().close()
        made.append("a socket")

    thread = threading.Thread(target=outside)
    thread.start()
    ready.wait(10)

    async def order(ctx: Context) -> str:
        go.set()
        for _ in range(10_000):
            if made:
                return "done"
            await asyncio.sleep(0)
        return "done"

    state = run_orchestrator(order)
    thread.join(10)

    assert (state.status, made) == ("Completed", ["a socket"])


# Awaitables from outside.


@pytest.fixture
def other_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


class Strange:
    """Awaitable, by a protocol of its own."""

    def __await__(self) -> Any:
        yield "something of another library"


async def with_timeout(awaitable: Any) -> None:
    async with asyncio.timeout(5):
        await awaitable


AWAITED: dict[str, Callable[[Any], Any]] = {
    "await": lambda future: future,
    "gather": asyncio.gather,
    "wait_for": lambda future: asyncio.wait_for(future, 5),
    "shield": asyncio.shield,
    "timeout": with_timeout,
}


@pytest.mark.parametrize("how", AWAITED)
def test_a_future_of_another_loop_fails_with_the_lesson(
    other_loop: asyncio.AbstractEventLoop, how: str
):
    async def order(ctx: Context) -> None:
        await AWAITED[how](other_loop.create_future())

    failure = run_orchestrator(order).failure

    assert failure is not None
    assert failure.type == DETERMINISM_ERROR
    assert failure.message.startswith("The orchestrator awaited something from outside (")
    assert "the rest belongs into an activity" in failure.message
    assert failure.inner is not None, "asyncio's own words are kept"


def test_a_foreign_future_awaited_by_two_instances_fails_both_with_the_lesson(
    other_loop: asyncio.AbstractEventLoop,
):
    foreign = other_loop.create_future()

    async def order(ctx: Context) -> None:
        await foreign

    failures = [run_orchestrator(order).failure for _ in range(2)]

    assert [failure.type for failure in failures if failure] == [DETERMINISM_ERROR] * 2


def test_an_awaitable_of_another_library_fails_with_the_lesson():
    async def order(ctx: Context) -> None:
        await Strange()

    failure = run_orchestrator(order).failure

    assert failure is not None
    assert failure.type == DETERMINISM_ERROR
    assert "something of another library" in failure.message


def never() -> Future[None]:
    return Future()


@pytest.mark.parametrize(
    "wait",
    [
        lambda loop: asyncio.wrap_future(never()),
        lambda loop: asyncio.wait({loop.create_future()}),
        lambda loop: asyncio.Event().wait(),
        lambda loop: asyncio.Queue().get(),
    ],
    ids=["a thread's future", "another loop's future", "an event nobody sets", "an empty queue"],
)
def test_a_wait_that_history_can_never_end_says_so(
    other_loop: asyncio.AbstractEventLoop, wait: Callable[[Any], Any]
):
    async def order(ctx: Context) -> None:
        await wait(other_loop)

    state = run_orchestrator(order)

    assert state.status == "Quarantined"
    assert "waits for something that history can never bring" in str(state.problem)


def test_a_lock_shared_by_instances_fails_with_the_lesson_when_it_blocks():
    app = Adjourn()
    lock = asyncio.Lock()

    @app.orchestrator
    async def order(ctx: Context) -> None:
        await ctx.wait_for_external_event("Begin")
        async with lock:
            await ctx.wait_for_external_event("Go")

    with Sandbox(app) as box:
        for id in "abc":
            box.start(order, id=id)
        for id in "abc":
            box.raise_event(id, "Begin")
        states = [box.get(id) for id in "abc"]

    assert states[2].failure is not None
    assert states[2].failure.type == DETERMINISM_ERROR


# asyncio.as_completed.


@pytest.mark.filterwarnings("ignore:coroutine '.*' was never awaited:RuntimeWarning")
def test_as_completed_over_coroutines_is_refused_with_the_right_form():
    async def order(ctx: Context) -> None:
        for next_done in asyncio.as_completed([asyncio.sleep(1), asyncio.sleep(2)]):
            await next_done

    failure = run_orchestrator(order).failure

    assert failure is not None
    assert failure.type == DETERMINISM_ERROR
    assert failure.message == (
        "asyncio.as_completed puts coroutines into a set, whose order differs on replay. "
        "Use `await ctx.when_any(...)` over tasks, or asyncio.TaskGroup."
    )


@pytest.mark.parametrize("crash", [False, True])
def test_as_completed_over_tasks_of_the_context_or_of_asyncio_is_allowed(crash: bool):
    app = Adjourn()

    @app.orchestrator
    async def order(ctx: Context) -> list[int]:
        async def sleep(seconds: int) -> int:
            await ctx.create_timer(timedelta(seconds=seconds))
            return seconds

        tasks = [asyncio.create_task(sleep(seconds)) for seconds in (3, 1, 2)]
        return [await next_done for next_done in asyncio.as_completed(tasks)]

    with Sandbox(app) as box:
        run = box.start(order, id="x")
        box.advance(seconds=1)
        if crash:
            box.crash()
        box.advance(seconds=5)

        assert run.result == [1, 2, 3]
