"""An agent's run in an orchestrator: each step once, whatever happens to the process."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw
from pydantic_ai import Agent, ModelRetry, RunContext, ToolFailed
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ModelMessagesTypeAdapter

from adjourn import Adjourn, Context
from adjourn.agents import Durable
from adjourn.engine.messages import ActivityFinished
from adjourn.model import events
from adjourn.testing import CRASH_POINTS, Sandbox
from tests.agents.scripts import agent_of, call, desk, note, ran, scripted, steps_of, told

THREADS = {"main": ""}


async def look_up(order: str) -> str:
    note()
    return f"{order} is broken"


def weigh(parcels: int) -> int:
    """A sync tool: as in any agent, it runs in a thread of its own."""
    note()
    THREADS["weigh"] = threading.current_thread().name
    return parcels * 7


STORY: Any = (
    [call("look_up", order="A"), call("weigh", parcels=2), call("look_up", order="B")],
    [call("look_up", order="C")],
    told,
)
STEPS = [
    "support__model.request",
    "support__function_toolset__<agent>.call_tool:look_up",
    "support__function_toolset__<agent>.call_tool:weigh",
    "support__function_toolset__<agent>.call_tool:look_up",
    "support__model.request",
    "support__function_toolset__<agent>.call_tool:look_up",
    "support__model.request",
]


def story() -> Adjourn:
    return desk(*STORY, tools=[look_up, weigh])


# Once.


@pytest.mark.slow
def test_each_model_request_and_each_tool_call_is_an_activity() -> None:
    with Sandbox(story()) as box:
        box.start("answer", "hello", id="c-1")

        assert steps_of(box, "c-1") == [*STEPS, "keep"]
        assert ran == {f"c-1/1/{number}": 1 for number in range(1, 8)}
        box.raise_event("c-1", "End")
        assert box.result("c-1") == "['C is broken']"


def test_the_history_tells_what_was_called_and_what_came_back() -> None:
    with Sandbox(story()) as box:
        box.start("answer", "hello", id="c-1")

        asked = {
            entry.event.sequence: bytes(entry.event.input)
            for entry in box.history("c-1")
            if isinstance(entry.event, events.ActivityScheduled)
        }
        assert asked[1] == b'{"messages":1}'
        assert asked[3].startswith(b'{"args":{"parcels":2},"call":"')


def test_a_sync_tool_has_a_thread_and_the_orchestrator_needs_none() -> None:
    agent: Agent[None, str] = Agent(
        scripted([call("weigh", parcels=3)], told),
        name="support",
        tools=[weigh],
        instructions=lambda: "Be brief.",  # sync, and called in the orchestrator
        capabilities=[Durable(app := Adjourn())],
    )

    @app.orchestrator
    async def answer(ctx: Context) -> str:
        THREADS["orchestrator"] = threading.current_thread().name
        return (await agent.run("hello")).output

    with Sandbox(app) as box:
        box.start(answer, id="c-1")

        assert box.result("c-1") == "[21]"
        assert THREADS["weigh"] != THREADS["orchestrator"]


@pytest.mark.slow
def test_killed_after_each_step_nothing_that_finished_runs_again() -> None:
    """Every crash comes with the next step started and not run: that one is repeated, and its
    first attempt never ran."""
    with Sandbox(story(), run_activities=False) as box:
        box.start("answer", "hello", id="c-1")
        while box.waiting_activities:
            box.run_next_activity()
            box.crash()
        box.raise_event("c-1", "End")

        assert box.result("c-1") == "['C is broken']"
        assert ran == {f"c-1/1/{number}": 1 for number in range(1, 8)}


@pytest.mark.slow
@pytest.mark.parametrize("point", CRASH_POINTS)
@pytest.mark.parametrize("nth", [2, 3, 5, 8])
def test_a_crash_inside_a_commit_repeats_at_most_the_step_whose_result_was_lost(
    point: Any, nth: int
) -> None:
    with Sandbox(story(), cache_size=nth % 2) as box:
        box.crash_at(point, nth)
        try:
            box.start("answer", "hello", id="c-1")
        except Exception:
            box.start("answer", "hello", id="c-1")
        box.raise_event("c-1", "End", event_id="end")

        assert box.get("c-1").status == "Completed"
        assert steps_of(box, "c-1") == [*STEPS, "keep"]
        assert sum(ran.values()) - len(STEPS) <= box.crashes
        assert set(ran) == {f"c-1/1/{number}" for number in range(1, 8)}


@pytest.mark.slow
def test_an_execution_that_is_not_kept_in_memory_goes_on_all_the_same() -> None:
    with Sandbox(story(), cache_size=0) as box:
        box.start("answer", "hello", id="c-1")
        box.raise_event("c-1", "End")

        assert box.result("c-1") == "['C is broken']"
        assert max(ran.values()) == 1


def test_parallel_calls_wait_side_by_side_and_may_end_in_any_order() -> None:
    with Sandbox(story(), run_activities=False) as box:
        box.start("answer", "hello", id="c-1")
        box.run_next_activity()
        assert [each.sequence for each in box.waiting_activities] == [2, 3, 4]

        box._queue.calls.rotate(1)  # pyright: ignore[reportPrivateUsage]  # the last one first
        box.crash()
        box._queue.calls.rotate(1)  # pyright: ignore[reportPrivateUsage]  # and again
        while box.waiting_activities:
            box.run_next_activity()
        box.crash()
        box.raise_event("c-1", "End")

        assert box.result("c-1") == "['C is broken']"
        assert max(ran.values()) == 1


def test_outside_an_orchestrator_the_agent_is_an_ordinary_one() -> None:
    app = Adjourn()
    agent = agent_of(app, *STORY, tools=[look_up, weigh])

    assert asyncio.run(agent.run("hello")).output == "['C is broken']"
    assert ran == {"outside": 7}


def test_in_an_activity_the_agent_is_an_ordinary_one_too() -> None:
    app = Adjourn()
    agent = agent_of(app, [call("look_up", order="A")], told, tools=[look_up])

    @app.activity
    async def ask(prompt: str) -> str:
        return (await agent.run(prompt)).output

    @app.orchestrator
    async def answer(ctx: Context) -> str:
        return await ctx.call_activity(ask, "hello")

    with Sandbox(app) as box:
        assert box.start(answer, id="c-1").result == "['A is broken']"
        assert ran == {"c-1/1/1": 3}


def test_a_real_engine_runs_steps_on_the_applications_loop(tmp_path: Path) -> None:
    """Parallel calls meet there: none of them would end alone."""
    app = Adjourn()
    here: set[int] = set()
    met: list[asyncio.Barrier] = []

    async def meet(name: str) -> str:
        here.add(threading.get_ident())
        async with asyncio.timeout(10):
            await met[0].wait()
        return name

    agent = agent_of(app, [call("meet", name="a"), call("meet", name="b")], told, tools=[meet])

    @app.orchestrator
    async def answer(ctx: Context) -> str:
        return (await agent.run("hello")).output

    async def main() -> str:
        met.append(asyncio.Barrier(2))
        async with app.open(tmp_path / "a.db") as client:
            run = await client.start(answer, id="c-1")
            return await run.result()

    assert asyncio.run(main()) == "['a', 'b']"
    assert here == {threading.get_ident()}


# The agent's own rules.


def test_a_tool_may_send_the_model_back_and_say_that_it_failed() -> None:
    tries: list[str] = []

    def strict(word: str) -> str:
        tries.append(word)
        if word == "wrong":
            raise ModelRetry("another word, please")
        raise ToolFailed("there is no such word")

    app = desk([call("strict", word="wrong")], [call("strict", word="right")], told, tools=[strict])
    with Sandbox(app) as box:
        box.start("answer", "hello", id="c-1")
        box.crash()
        box.raise_event("c-1", "End")

        assert box.result("c-1") == "['there is no such word']"
        assert tries == ["wrong", "right"]


def test_arguments_that_do_not_fit_go_back_to_the_model_without_a_call() -> None:
    app = desk([call("weigh", parcels="many")], [call("weigh", parcels=1)], told, tools=[weigh])
    with Sandbox(app) as box:
        box.start("answer", "hello", id="c-1")

        assert [name for name in steps_of(box, "c-1") if "weigh" in name] == [STEPS[2]]
        box.crash()
        box.raise_event("c-1", "End")
        assert box.result("c-1") == "[7]"


def test_a_tool_that_is_part_of_the_orchestrator_may_wait_for_people() -> None:
    app = Adjourn()
    contexts: dict[str, Context] = {}

    async def ask_a_person(ctx: RunContext[str]) -> str:
        return await contexts[ctx.deps].wait_for_external_event("Word", str)

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

    with Sandbox(app) as box:
        box.start(answer, id="c-1")
        assert box.get("c-1").waiting_for == ["Word"]
        box.crash()
        box.raise_event("c-1", "Word", "yes")

        assert box.result("c-1") == "['yes']"


def test_two_agents_two_runs_and_their_messages_in_one_orchestrator() -> None:
    app = Adjourn()
    first = agent_of(app, "first said", "and first again", name="first")
    second = agent_of(app, lambda messages: f"{len(messages)} messages", name="second")

    @app.orchestrator
    async def answer(ctx: Context) -> list[str]:
        one = await first.run("hello")
        two = await first.run("and now?", message_history=one.all_messages())
        both = await asyncio.gather(second.run("x"), second.run("y"))
        await ctx.wait_for_external_event("End")
        runs = {message.run_id for message in two.all_messages()}
        return [one.output, two.output, *(each.output for each in both), *sorted(map(str, runs))]

    with Sandbox(app) as box:
        run = box.start(answer, id="c-1")
        box.crash()
        box.raise_event("c-1", "End")

        assert run.result == [
            "first said", "and first again", "1 messages", "1 messages",
            "c-1/1/run-1", "c-1/1/run-2",
        ]  # fmt: skip
        assert max(ran.values()) == 1


def test_messages_go_along_to_the_next_execution() -> None:
    app = Adjourn()
    agent = agent_of(app, "one", "two", "three")

    @app.orchestrator
    async def chat(ctx: Context, history: str) -> str:
        before = ModelMessagesTypeAdapter.validate_json(history)
        result = await agent.run(f"turn {ctx.execution}", message_history=before)
        if ctx.execution < 3:
            ctx.continue_as_new(result.all_messages_json().decode())
        await ctx.wait_for_external_event("End")
        return f"{result.output}, {len(result.all_messages())} messages"

    with Sandbox(app) as box:
        run = box.start(chat, "[]", id="c-1")
        box.crash()
        box.raise_event("c-1", "End")

        assert run.result == "three, 6 messages"
        assert set(ran) == {"c-1/1/1", "c-1/2/1", "c-1/3/1"} and max(ran.values()) == 1


def test_what_a_tool_does_to_the_run_stays_with_the_tool() -> None:
    """It would be missing on replay."""
    app = Adjourn()

    def meddle(ctx: RunContext[None]) -> int:
        ctx.usage.requests += 100
        ctx.messages.clear()
        return ctx.usage.requests

    agent = agent_of(app, [call("meddle")], told, tools=[meddle])

    @app.orchestrator
    async def answer(ctx: Context) -> list[Any]:
        result = await agent.run("hello")
        return [result.output, result.usage.requests, len(result.all_messages())]

    with Sandbox(app) as box:
        assert box.start(answer, id="c-1").result == ["[101]", 2, 4]


@pytest.mark.parametrize("whose", ["asyncio's", "the agent's"])
def test_a_run_that_takes_too_long_is_given_up_at_its_durable_deadline(whose: str) -> None:
    app = Adjourn()
    agent = agent_of(app, [call("look_up", order="A")], told, tools=[look_up])

    @app.orchestrator
    async def answer(ctx: Context) -> str:
        try:
            if whose == "the agent's":
                said = (await agent.run("hello", timeout=60)).output
            else:
                async with asyncio.timeout(60):
                    said = (await agent.run("hello")).output
        except TimeoutError as error:
            said = type(error).__name__
        await ctx.wait_for_external_event("End")
        return said

    with Sandbox(app, run_activities=False) as box:
        run = box.start(answer, id="c-1")
        box.run_next_activity()
        box.crash()
        box.advance(seconds=61)
        assert "ActivityCancelled" in run.kinds and not box.waiting_activities
        box.crash()
        box.raise_event("c-1", "End")

        assert run.result == ("RunTimedOut" if whose == "the agent's" else "TimeoutError")
        assert sum(ran.values()) == 1


def test_an_instance_that_is_terminated_asks_for_nothing_more() -> None:
    with Sandbox(story(), run_activities=False) as box:
        box.start("answer", "hello", id="c-1")
        box.run_next_activity()
        box.terminate("c-1")

        assert not box.waiting_activities
        box.crash()
        assert box.get("c-1").status == "Terminated" and sum(ran.values()) == 1


def test_an_instance_that_is_suspended_in_a_step_goes_on_when_it_is_resumed() -> None:
    with Sandbox(story(), run_activities=False) as box:
        box.start("answer", "hello", id="c-1")
        box.suspend("c-1")
        box.crash()
        box.run_next_activity()
        assert not box.waiting_activities
        box.crash()
        box.resume("c-1")
        while box.waiting_activities:
            box.run_next_activity()
        box.raise_event("c-1", "End")

        assert box.result("c-1") == "['C is broken']" and max(ran.values()) == 1


def test_an_agent_of_another_app_is_refused() -> None:
    app, other = Adjourn(), Adjourn()
    agent = agent_of(other, "hello")

    @app.orchestrator
    async def answer(ctx: Context) -> str:
        try:
            return (await agent.run("hello")).output
        except UserError as error:
            return str(error)

    with Sandbox(app) as box:
        assert "of another app" in box.start(answer, id="c-1").result


# Code that changes under a waiting instance.


def test_code_that_no_longer_fits_stops_the_instance() -> None:
    with Sandbox(story(), run_activities=False) as box:
        box.start("answer", "hello", id="c-1")
        for _ in range(3):
            box.run_next_activity()
        before = dict(ran)
        box.app = desk(*STORY, tools=[look_up, weigh], name="helper")
        box.crash()

        state = box.get("c-1")
        assert state.status == "Quarantined" and ran == before
        assert state.problem is not None and "helper__model.request" in state.problem
        assert not box.waiting_activities

        box.app = story()
        box.crash()
        while box.waiting_activities:
            box.run_next_activity()
        box.raise_event("c-1", "End")
        assert box.result("c-1") == "['C is broken']"


def test_new_instructions_and_another_model_do_not_matter() -> None:
    """What has been answered is answered; what comes is asked of the new model."""
    with Sandbox(story(), run_activities=False) as box:
        box.start("answer", "hello", id="c-1")
        for _ in range(3):
            box.run_next_activity()
        box.app = desk("-", "no more questions", tools=[look_up, weigh])
        box.crash()
        while box.waiting_activities:
            box.run_next_activity()
        box.raise_event("c-1", "End")

        assert box.result("c-1") == "no more questions"


def test_a_recorded_result_that_cannot_be_read_stops_the_instance_and_repeats_nothing() -> None:
    """Inside a tool call the error would read as bad arguments, and the effect would come again."""
    with Sandbox(story(), run_activities=False) as box:
        box.start("answer", "hello", id="c-1")
        box.run_next_activity()
        (first, *_) = box.waiting_activities
        finished = box._queue.calls.popleft()  # pyright: ignore[reportPrivateUsage]  # its result comes damaged
        assert finished is first
        damaged = ActivityFinished(call=first, result=Raw(b'{"kind":"of another version"}'))
        box._here(box._engine.submit, damaged)  # pyright: ignore[reportPrivateUsage]
        box.advance(seconds=1)

        state = box.get("c-1")
        assert state.status == "Quarantined"
        assert state.problem is not None and "cannot be read" in state.problem
        assert "call_tool" in state.problem
