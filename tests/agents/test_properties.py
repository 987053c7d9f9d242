"""Random conversations, random crashes: a run in an orchestrator tells what a plain one tells, and
no step that finished runs again."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_ai import ModelRetry, ToolFailed

from adjourn import Adjourn, Context
from adjourn.testing import CRASH_POINTS, Sandbox
from tests.agents.scripts import agent_of, call, note, ran, told
from tests.properties.profiles import examples

Script = list[list[tuple[str, int]]]


async def echo(n: int) -> int:
    note()
    return n


def double(n: int) -> dict[str, Any]:
    note()
    return {"n": 2 * n, "of": [n, None, "x"]}


def refuse(n: int) -> int:
    note()
    raise ToolFailed(f"not {n}")


def insist(n: int) -> int:
    note()
    if n % 2:
        raise ModelRetry("an even one, please")
    return n


TOOLS = [echo, double, refuse, insist]

rounds: st.SearchStrategy[Script] = st.lists(
    st.lists(
        st.tuples(st.sampled_from([tool.__name__ for tool in TOOLS[:3]]), st.integers(0, 9))
        | st.tuples(st.just("insist"), st.sampled_from([0, 2, 4])),
        min_size=1,
        max_size=3,
    ),
    max_size=3,
)
acts = st.lists(
    st.sampled_from(["step", "step", "step", "crash", "turn", *CRASH_POINTS]), max_size=30
)


def agents_of(app: Adjourn, script: Script) -> Any:
    answers: list[Any] = [[call(tool, n=n) for tool, n in calls] for calls in script]
    return agent_of(app, *answers, told, tools=TOOLS)


def said(result: Any) -> list[Any]:
    """All parts of all messages, without the times and ids that the model's side makes up."""
    return [
        [type(part).__name__, str(getattr(part, "content", getattr(part, "args", "")))]
        for message in result.all_messages()
        for part in message.parts
    ]


def play(box: Sandbox, plan: list[str]) -> None:
    for act in plan:
        match act:
            case "step" if box.waiting_activities:
                box.run_next_activity()
            case "crash":
                box.crash()
            case "turn":
                box._queue.calls.rotate(1)  # pyright: ignore[reportPrivateUsage]  # another goes first
            case "step":
                pass
            case point:
                box.crash_at(point, 1)  # pyright: ignore[reportArgumentType]
    box._armed = None  # pyright: ignore[reportPrivateUsage]  # no crash any more
    while box.waiting_activities:
        box.run_next_activity()


def check(script: Script, plan: list[str], cache: int) -> None:
    ran.clear()
    plain = said(asyncio.run(agents_of(Adjourn(), script).run("hello")))
    app = Adjourn()
    agent = agents_of(app, script)

    @app.activity
    def keep(messages: str) -> None: ...

    @app.orchestrator
    async def answer(ctx: Context) -> list[Any]:
        result = await agent.run("hello")
        # Compared on each replay: the messages are the same to the last digit, times included.
        await ctx.call_activity(keep, result.all_messages_json().decode())
        await ctx.wait_for_external_event("End")
        return said(result)

    ran.clear()
    with Sandbox(app, run_activities=False, cache_size=cache) as box:
        box.start(answer, id="c-1")
        play(box, plan)
        box.crash()
        box.raise_event("c-1", "End")

        assert box.result("c-1") == plain
        steps = Counter(ran)
        assert steps.total() - len(steps) <= box.crashes


@pytest.mark.slow
@examples(15)
@given(rounds, acts, st.sampled_from([0, 100]))
def test_a_run_tells_the_same_however_often_the_process_dies(
    script: Script, plan: list[str], cache: int
) -> None:
    check(script, plan, cache)


@pytest.mark.slow
@pytest.mark.timeout(900)
@examples(300)
@given(rounds, acts, st.sampled_from([0, 100]))
def test_a_run_tells_the_same_at_length(script: Script, plan: list[str], cache: int) -> None:
    check(script, plan, cache)
