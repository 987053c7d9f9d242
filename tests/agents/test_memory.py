"""A run that is let go leaves nothing behind.

Dropping a parked run would leak some 75 kB each time, since anyio keeps its task in a table; the
execution cancels it instead and runs its loop until nothing is left.
"""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import pytest
from anyio._backends import _asyncio
from pydantic_ai import Agent, RunContext

from adjourn import Adjourn, Context
from adjourn.agents import Durable
from adjourn.testing import Sandbox
from tests.agents.scripts import call, ran, scripted, told

pytestmark = pytest.mark.slow

ROUNDS = 200
contexts: dict[str, Context] = {}


async def ask_a_person(ctx: RunContext[str]) -> str:
    return await contexts[ctx.deps].wait_for_external_event("Word", str)


def parked() -> Adjourn:
    """Its agent waits in the middle of its run, between a finished tool and its answer."""
    app = Adjourn()
    agent: Agent[str, str] = Agent(
        scripted([call("ask_a_person")], told),
        name="support",
        deps_type=str,
        capabilities=[Durable(app)],
    )
    agent.tool(metadata={"adjourn": False})(ask_a_person)

    @app.orchestrator
    async def answer(ctx: Context) -> str:
        contexts[ctx.instance_id] = ctx
        return (await agent.run("hello", deps=ctx.instance_id)).output

    return app


def kept() -> tuple[int, int]:
    """Tasks in anyio's table, and bytes."""
    contexts.clear()
    gc.collect()
    states: Any = _asyncio._task_states  # pyright: ignore[reportPrivateUsage]
    return len(states), tracemalloc.get_traced_memory()[0]


def test_two_hundred_runs_that_are_brought_back_and_let_go_leave_nothing() -> None:
    with Sandbox(parked(), cache_size=0) as box:
        box.start("answer", id="c-1")
        assert box.get("c-1").waiting_for == ["Word"]
        for _ in range(20):
            box.raise_event("c-1", "Noise")  # brings it back, and lets it go
        tracemalloc.start()
        try:
            tasks, bytes_before = kept()
            for _ in range(ROUNDS):
                box.raise_event("c-1", "Noise")
            tasks_after, bytes_after = kept()
        finally:
            tracemalloc.stop()

        assert tasks_after <= tasks + 1
        assert (bytes_after - bytes_before) / ROUNDS < 2_000
        box.raise_event("c-1", "Word", "fine")
        assert box.result("c-1") == "['fine']"
        assert max(ran.values()) == 1


def test_two_hundred_runs_that_a_crash_ends_leave_nothing() -> None:
    with Sandbox(parked()) as box:
        box.start("answer", id="c-1")
        for _ in range(20):
            box.crash()
            box.raise_event("c-1", "Noise")
        tracemalloc.start()
        try:
            tasks, bytes_before = kept()
            for _ in range(ROUNDS):
                box.crash()
                box.raise_event("c-1", "Noise")
            tasks_after, bytes_after = kept()
        finally:
            tracemalloc.stop()

        assert tasks_after <= tasks + 1
        assert (bytes_after - bytes_before) / ROUNDS < 2_000
