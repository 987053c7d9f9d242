"""What goes wrong in a step: tried again where that helps, and of its own type for the agent."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent, ModelRetry
from pydantic_ai.capabilities import ModelFallback
from pydantic_ai.exceptions import (
    AgentRunError,
    ContentFilterError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelHTTPError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestTimeout,
    ModelServerError,
    UnexpectedModelBehavior,
    UsageLimitExceeded,
    UserError,
)
from pydantic_ai.usage import UsageLimits

from adjourn import ActivityFailedError, Adjourn, Context, RetryPolicy
from adjourn.agents import Durable
from adjourn.agents.failures import carried_over, carry, worth_another_attempt
from adjourn.model.failure import describe
from adjourn.testing import Sandbox
from tests.agents.scripts import agent_of, call, desk, note, ran, scripted, steps_of, told

TWICE = RetryPolicy(max_number_of_attempts=2, first_retry_interval=timedelta(seconds=1))

tries: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def fresh_tries() -> None:
    tries.clear()


def failing_once(error: Exception, then: Any) -> Any:
    def answer(_: Any) -> Any:
        tries["model"] += 1
        return error if tries["model"] == 1 else then

    return answer


def http(status: int, category: Any = None, **facts: Any) -> ModelHTTPError:
    return ModelHTTPError.for_category(
        category, status_code=status, model_name="m", body={"error": "no"}, **facts
    )


def outcome(agent: Agent[None, str], app: Adjourn, **options: Any) -> Any:
    """An orchestrator that gives what its agent said or raised."""

    @app.orchestrator
    async def answer(ctx: Context) -> str:
        try:
            said = (await agent.run("hello", **options)).output
        except (AgentRunError, UserError, ActivityFailedError) as error:
            said = f"{type(error).__name__}: {error}"
        await ctx.wait_for_external_event("End")
        return said

    return answer


def told_after_crashes(answer: Any, app: Adjourn) -> str:
    with Sandbox(app) as box:
        run = box.start(answer, id="c-1")
        box.advance(minutes=1)
        box.crash()  # it is the same when it is replayed
        box.raise_event("c-1", "End")
        return run.result


# Retries.


def test_a_model_that_is_busy_is_asked_again_with_the_same_key() -> None:
    app = desk(failing_once(http(429, ModelRateLimitError), "hello"), retry=TWICE)
    with Sandbox(app) as box:
        box.start("answer", "hi", id="c-1")
        assert ran == {"c-1/1/1": 1}
        box.advance(seconds=1)

        assert ran == {"c-1/1/1": 2}
        assert steps_of(box, "c-1") == ["support__model.request", "keep"]


def test_a_retry_after_a_crash_has_its_body_again() -> None:
    """The closure that failed is gone with the process; the execution makes it anew."""
    app = desk(failing_once(http(503), "hello"), retry=TWICE)
    with Sandbox(app, cache_size=0) as box:
        box.start("answer", "hi", id="c-1")
        box.crash()
        box.advance(seconds=1)
        box.raise_event("c-1", "End")

        assert box.result("c-1") == "hello" and ran == {"c-1/1/1": 2}


def test_a_refusal_that_will_not_get_better_fails_at_once() -> None:
    app = Adjourn()
    agent = agent_of(app, http(401, ModelAuthenticationError), retry=TWICE)

    said = told_after_crashes(outcome(agent, app), app)

    assert said.startswith("ModelAuthenticationError: status_code: 401")
    assert ran == {"c-1/1/1": 1}


@pytest.mark.parametrize(
    ("error", "worth"),
    [
        (http(408), True),
        (http(429, ModelRateLimitError), True),
        (http(500, ModelServerError), True),
        (http(529), True),
        (http(400), False),
        (http(401, ModelAuthenticationError), False),
        (http(402, ModelQuotaExceededError), False),
        (http(400, headers={"x-should-retry": "true"}), True),
        (http(500, headers={"x-should-retry": "false"}), False),
        (ModelConnectionError("m", "refused"), True),
        (ModelRequestTimeout("m", 5), True),
        (UnexpectedModelBehavior("gibberish"), True),
        (ContentFilterError("no"), False),
        (UsageLimitExceeded("enough"), False),
        (UserError("wrong"), False),
        (ValueError("a tool's own"), True),
    ],
    ids=lambda value: f"{type(value).__name__} {value}"[:60],
)
def test_which_errors_are_worth_another_attempt(error: Exception, worth: bool) -> None:
    assert worth_another_attempt(error) is worth


def test_a_tool_has_its_own_retries_and_fails_the_run_with_its_own_type() -> None:
    app = Adjourn()

    def breaks(how: str) -> str:
        note()
        raise ValueError(f"{how} broke")

    agent = agent_of(app, [call("breaks", how="it")], tools=[breaks], retry=TWICE, tool_retry=TWICE)

    said = told_after_crashes(outcome(agent, app), app)

    assert "call_tool:breaks' failed: ValueError: it broke" in said
    assert said.startswith("ActivityFailedError")
    assert ran == {"c-1/1/1": 1, "c-1/1/2": 2}


@pytest.mark.parametrize(("tool", "attempts"), [("patient", 2), ("hasty", 1)])
def test_one_tool_may_have_options_of_its_own(tool: str, attempts: int) -> None:
    app = Adjourn()
    agent = agent_of(app, [call(tool)])

    def breaks() -> str:
        note()
        raise ValueError("broke")

    agent.tool_plain(name="patient", metadata={"adjourn": {"retry": TWICE}})(breaks)
    agent.tool_plain(name="hasty")(breaks)

    assert told_after_crashes(outcome(agent, app), app).endswith("ValueError: broke")
    assert ran["c-1/1/2"] == attempts


def test_options_that_are_none_are_refused() -> None:
    app = Adjourn()
    agent = agent_of(app, [call("work")], told)
    agent.tool_plain(name="work", metadata={"adjourn": {"retries": 3}})(lambda: "x")

    assert "retries=3 is no option of a step" in told_after_crashes(outcome(agent, app), app)


def test_a_step_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    app = Adjourn()
    stopped: list[str] = []

    async def dawdle() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append("dawdle")
            raise
        return ""

    agent = agent_of(app, [call("dawdle")], tools=[dawdle], tool_timeout=timedelta(milliseconds=30))

    @app.orchestrator
    async def answer(ctx: Context) -> str:
        try:
            return (await agent.run("hello")).output
        except ActivityFailedError as error:
            return error.failure.type

    async def main() -> str:
        async with app.open(tmp_path / "a.db") as client:
            return await (await client.start(answer, id="c-1")).result()

    assert asyncio.run(main()) == "adjourn.errors.ActivityTimeoutError"
    assert stopped == ["dawdle"]


# Types.


def test_a_limit_on_usage_is_the_agents_own_error() -> None:
    app = Adjourn()

    def again() -> str:
        return "again"

    agent = agent_of(app, [call("again")], [call("again")], told, tools=[again])

    said = told_after_crashes(outcome(agent, app, usage_limits=UsageLimits(request_limit=1)), app)

    assert said.startswith("UsageLimitExceeded") and sum(ran.values()) == 1


def test_a_model_that_does_not_come_to_the_point_is_the_agents_own_error() -> None:
    app = Adjourn()

    def never() -> str:
        raise ModelRetry("no")

    agent = agent_of(app, *([[call("never")]] * 5), tools=[never])

    said = told_after_crashes(outcome(agent, app), app)

    assert said.startswith("UnexpectedModelBehavior")


def test_another_model_takes_over_when_the_first_refuses() -> None:
    """Decided in the orchestrator, by the type of the error."""
    app = Adjourn()
    spare = scripted("the spare one")
    agent: Agent[None, str] = Agent(
        scripted(http(503)),
        name="support",
        capabilities=[ModelFallback("spare"), Durable(app, models={"spare": spare})],
    )

    assert told_after_crashes(outcome(agent, app), app) == "the spare one"
    assert ran == {"c-1/1/1": 1, "c-1/1/2": 1}


@pytest.mark.parametrize(
    "error",
    [
        http(429, ModelRateLimitError, headers={"Retry-After": "7"}),
        http(404),
        ModelAPIError("m", "what?"),
        ModelConnectionError("m", "refused"),
        ModelRequestTimeout("m", 5.0),
        UnexpectedModelBehavior("gibberish", "{body"),
        UsageLimitExceeded("enough"),
        UserError("wrong"),
    ],
    ids=lambda error: f"{type(error).__name__} {error}"[:60],
)
def test_an_error_of_pydantic_ai_crosses_the_journal(error: Exception) -> None:
    carry(error)
    again = carried_over(describe(error))

    assert type(again) is type(error) and str(again) == str(error)
    for fact in ("status_code", "model_name", "body", "headers", "retry_after", "timeout"):
        assert getattr(again, fact, None) == getattr(error, fact, None)


def test_an_error_of_somebody_else_stays_a_failed_activity() -> None:
    error = ValueError("x")
    carry(error)

    assert carried_over(describe(error)) is None


def test_a_long_refusal_is_cut() -> None:
    error = http(400)
    error.body = {"error": "x" * 1_000_000}
    carry(error)

    properties = describe(error).properties
    assert sum(map(len, properties.values())) < 60_000
    assert isinstance(carried_over(describe(error)), ModelHTTPError)
