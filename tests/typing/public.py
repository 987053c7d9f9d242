"""Read by the type checker only: what a user's editor knows about their workflow."""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, assert_type

from pydantic_ai import Agent

from adjourn import Adjourn, Context, Handle, Orchestrator, Task, UpdateRequest
from adjourn.agents import Durable

app = Adjourn()


@dataclass
class Receipt:
    number: str


@app.activity
async def refund(case_id: str, amount: Decimal) -> Receipt: ...


@app.activity(timeout=timedelta(seconds=1))
def notify(case_id: str) -> None: ...


@app.orchestrator
async def case(ctx: Context, case_id: str) -> int:
    assert_type(ctx.call_activity(refund, case_id, Decimal(1)), Task[Receipt])
    assert_type(await ctx.call_activity(notify, case_id), None)
    approval = ctx.wait_for_external_event("Approval", bool)
    timer = ctx.create_timer(timedelta(days=1))
    assert_type(approval, Task[bool])
    winner = await ctx.when_any(approval, timer)
    assert_type(winner, Task[bool] | Task[None])
    request = await ctx.wait_for_update("decide", Receipt)
    assert_type(request, UpdateRequest[Receipt])
    assert_type(request.value, Receipt)
    assert_type(await ctx.when_all(approval, approval), list[bool])
    assert_type(await ctx.call_sub_orchestration(case, "x"), int)
    assert_type(ctx.raise_event("C-2", "Go", Receipt("1")), None)
    assert_type(ctx.start(case, "C-2", id="C-2"), None)
    ctx.start(case, 7, id="C-3")  # pyright: ignore[reportCallIssue, reportArgumentType]  # a case id is a str
    ctx.call_activity(refund, case_id)  # pyright: ignore[reportCallIssue]  # the amount is missing
    ctx.call_activity(refund, case_id, "1")  # pyright: ignore[reportCallIssue, reportArgumentType]  # not a Decimal
    return 1


@app.orchestrator
def generator(context: Context, case_id: str) -> Generator[Any, Any, str]:
    yield context.call_activity("notify", case_id)
    return case_id


assert_type(case, Orchestrator[str, int])


agent: Agent[str, Receipt] = Agent(
    "openai:gpt-4o",
    deps_type=str,
    output_type=Receipt,
    capabilities=[Durable(app, timeout=timedelta(minutes=1))],
)


@app.orchestrator
async def propose(ctx: Context, message: str) -> Receipt:
    result = await agent.run(message, deps="C-1")
    assert_type(result.output, Receipt)
    return result.output


async def main() -> None:
    async with app.open("x.db") as client:
        handle = await client.start(case, "C-1", id="C-1")
        assert_type(handle, Handle[int])
        assert_type(await handle.result(), int)
        await client.start(case, 7)  # pyright: ignore  # a case id is a str
