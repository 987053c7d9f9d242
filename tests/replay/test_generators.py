"""The Durable Functions form: `result = yield task`."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import pytest

from adjourn import Context, DeterminismError
from tests.histories import completed, event, living


def test_a_generator_that_yields_nonsense_gets_the_lesson_at_that_line():
    def order(context: Context) -> Generator[Any, Any, str]:
        try:
            yield 42
        except DeterminismError as error:
            return str(error)
        return "accepted"

    assert living(order).result == (
        "A generator orchestrator yielded int. Yield what the context gives: "
        "`x = yield ctx.call_activity(...)`, `yield ctx.task_all([...])`."
    )


@pytest.mark.parametrize(
    "nonsense", [None, "text", [], 1.5, {}, object()], ids=lambda value: type(value).__name__
)
def test_a_generator_that_yields_nonsense_fails_with_the_lesson(nonsense: Any):
    def order(context: Context) -> Generator[Any, Any, None]:
        yield nonsense

    failure = living(order).failure

    assert failure.type == "adjourn.errors.DeterminismError"
    assert f"yielded {type(nonsense).__name__}. " in failure.message
    assert "in order" in failure.stack_trace


def test_a_generator_that_yields_a_list_of_tasks_is_told_of_task_all():
    def order(context: Context) -> Generator[Any, Any, None]:
        yield [context.call_activity("work", n) for n in range(2)]

    assert "`yield ctx.task_all([...])`" in living(order).failure.message


def test_a_generator_gets_results_and_failures_where_it_yields():
    def order(context: Context) -> Generator[Any, Any, list[Any]]:
        first = yield context.call_activity("work", 1)
        several = yield context.task_all([context.wait_for_external_event(n) for n in "AB"])
        winner = yield context.task_any([context.wait_for_external_event("C")])
        coroutine_too = yield asyncio.sleep(0, "slept")
        return [first, several, winner.result(), coroutine_too]

    life = living(order)
    life.take(completed(1, "one"), event("A", "a"), event("B", "b"), event("C", "c"))

    assert life.result == ["one", ["a", "b"], "c", "slept"]


def test_a_generator_reads_its_input_from_the_context():
    def order(context: Context) -> Generator[Any, Any, Any]:
        return context.get_input()
        yield

    assert living(order, {"id": 7}).result == {"id": 7}


def test_a_generator_is_closed_with_its_finally_when_it_is_let_go():
    ended: list[str] = []

    def order(context: Context) -> Generator[Any, Any, None]:
        try:
            yield context.wait_for_external_event("Go")
        finally:
            ended.append("finally")

    living(order).execution.close()

    assert ended == ["finally"]
