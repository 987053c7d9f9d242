"""What an application sees of an answer while it is being written."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent, RunContext, capture_run_messages
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import AgentStreamEvent, PartDeltaEvent, PartStartEvent, TextPart
from pydantic_ai.messages import TextPartDelta as Delta
from pydantic_ai.models.function import FunctionModel

from adjourn import Adjourn, Context, current_activity
from adjourn.agents import Durable
from adjourn.testing import Sandbox
from tests.agents.scripts import agent_of, call, desk, note, ran, steps_of, told

shown: list[tuple[str, str]] = []
"""Key of the step and what it showed."""


@pytest.fixture(autouse=True)
def fresh_page() -> None:
    shown.clear()


async def show(ctx: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
    key = current_activity().idempotency_key
    assert ctx.conversation_id and ctx.run_id == "c-1/1/run-1"
    async for event in events:
        shown.append((key, word_of(event)))


def word_of(event: AgentStreamEvent) -> str:
    match event:
        case PartStartEvent(part=TextPart(content=text)):
            return text
        case PartDeltaEvent(delta=Delta(content_delta=text)):
            return text
        case _:
            return event.event_kind


def look_up(order: str) -> str:
    note()
    return f"{order} is broken"


STREAM = "support__model.request_stream"
EVENT = "support__event_stream_handler"


def test_the_answer_is_shown_word_by_word_in_its_activity() -> None:
    with Sandbox(desk("it is broken", event_stream_handler=show)) as box:
        box.start("answer", "hello", id="c-1")

        assert steps_of(box, "c-1")[0] == STREAM
        texts = [text for _, text in shown if " " in text]
        assert texts == ["it ", "is ", "broken "]
        assert {key for key, text in shown if " " in text} == {"c-1/1/1"}
        box.raise_event("c-1", "End")
        assert box.result("c-1") == "it is broken "


def test_what_happens_to_tools_is_told_each_in_its_own_activity() -> None:
    app = desk([call("look_up", order="A")], told, tools=[look_up], event_stream_handler=show)
    with Sandbox(app, cache_size=0) as box:
        box.start("answer", "hello", id="c-1")
        before = list(shown)
        box.crash()

        assert "function_tool_call" in [text for _, text in shown]
        assert "function_tool_result" in [text for _, text in shown]
        assert steps_of(box, "c-1").count(EVENT) >= 2
        assert shown == before and max(ran.values()) == 1


def test_tool_events_can_be_left_out_of_the_journal() -> None:
    app = desk(
        [call("look_up", order="A")],
        told,
        tools=[look_up],
        event_stream_handler=show,
        tool_events=False,
    )
    with Sandbox(app) as box:
        box.start("answer", "hello", id="c-1")

        assert EVENT not in steps_of(box, "c-1")
        assert "function_tool_call" not in [text for _, text in shown]
        assert "['A " in [text for _, text in shown]


def test_killed_after_each_step_the_stream_is_not_shown_again() -> None:
    app = desk([call("look_up", order="A")], told, tools=[look_up], event_stream_handler=show)
    with Sandbox(app, run_activities=False) as box:
        box.start("answer", "hello", id="c-1")
        while box.waiting_activities:
            box.run_next_activity()
            box.crash()
        box.raise_event("c-1", "End")

        assert box.result("c-1") == "['A is broken'] "
        assert len(set(shown)) == len(shown) and max(ran.values()) == 1


def test_a_page_that_fails_does_not_cost_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    async def breaks(ctx: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
        async for _ in events:
            raise ConnectionError("the page is gone")

    with Sandbox(desk("it is broken", event_stream_handler=breaks)) as box:
        with caplog.at_level(logging.ERROR, "adjourn.agents"):
            box.start("answer", "hello", id="c-1")
        box.raise_event("c-1", "End")

        assert box.result("c-1") == "it is broken "
        assert ran == {"c-1/1/1": 1} and "the page is gone" in caplog.text


def test_a_stream_that_breaks_is_the_models_error() -> None:
    app = Adjourn()
    agent = agent_of(app, ModelHTTPError(500, "m"), event_stream_handler=show)

    @app.orchestrator
    async def answer(ctx: Context) -> str:
        try:
            return (await agent.run("hello")).output
        except ModelHTTPError as error:
            return f"{error.status_code}"

    with Sandbox(app) as box:
        assert box.start(answer, id="c-1").result == "500"


def test_a_stream_that_breaks_after_some_words_counts_what_it_said() -> None:
    """As outside: the run sees a stream that began and then failed, not one that never opened."""
    app = Adjourn()

    async def breaks(messages: Any, info: Any) -> AsyncIterator[str]:
        yield "it "
        raise ModelHTTPError(503, "m")

    agent: Agent[None, str] = Agent(
        FunctionModel(stream_function=breaks),
        name="support",
        capabilities=[Durable(app, event_stream_handler=show)],
    )

    @app.orchestrator
    async def answer(ctx: Context) -> list[Any]:
        with capture_run_messages() as messages:
            try:
                await agent.run("hello")
            except ModelHTTPError as error:
                await ctx.wait_for_external_event("End")
                said = [part for message in messages for part in message.parts]
                return [error.status_code, getattr(said[-1], "content", None)]
        return []

    with Sandbox(app) as box:
        box.start(answer, id="c-1")
        box.crash()
        box.raise_event("c-1", "End")

        assert box.result("c-1") == [503, "it "]
        assert [text for _, text in shown].count("it ") == 1


def test_the_handler_runs_on_the_applications_loop(tmp_path: Path) -> None:
    threads: set[int] = set()

    async def push(ctx: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
        threads.add(threading.get_ident())
        async for _ in events:
            await asyncio.sleep(0)

    app = desk("hello", event_stream_handler=push)

    async def main() -> str:
        async with app.open(tmp_path / "a.db") as client:
            run = await client.start("answer", "hi", id="c-1")
            await run.raise_event("End")
            return await run.result()

    assert asyncio.run(main()) == "hello "
    assert threads == {threading.get_ident()}


def test_a_tool_that_emits_into_the_stream_is_told_where_to() -> None:
    from dataclasses import dataclass

    from pydantic_ai.messages import CustomEvent

    @dataclass
    class Progress(CustomEvent):
        percent: int = 0

    async def emits(ctx: RunContext[None]) -> str:
        try:
            await ctx.emit(Progress(percent=10))
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return "emitted"

    app = desk([call("emits")], told, tools=[emits])
    with Sandbox(app) as box:
        box.start("answer", "hello", id="c-1")
        box.raise_event("c-1", "End")

        assert "UserError: ctx.emit() is not for an activity" in box.result("c-1")
