"""Generator orchestrators, the Durable Functions form, live the same life."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any

from adjourn import ActivityFailedError, Adjourn, Context
from adjourn.model.events import encode_event
from adjourn.testing import Sandbox

app = Adjourn()


@app.activity
def update_case(case_id: str, status: str) -> str:
    return status


@app.activity
def fail() -> None:
    raise ValueError("broken")


@app.orchestrator(name="case_async")
async def case_async(ctx: Context, case_id: str) -> str:
    await ctx.call_activity(update_case, case_id, "pending")
    approval = ctx.wait_for_external_event("Approval", bool)
    timeout = ctx.create_timer(timedelta(days=7))
    winner = await ctx.when_any(approval, timeout)
    if winner is approval and approval.result():
        await ctx.when_all(
            ctx.call_activity(update_case, case_id, "approved"),
            ctx.call_activity(update_case, case_id, "notified"),
        )
        return "approved"
    try:
        await ctx.call_activity(fail)
    except ActivityFailedError:
        return "rejected"
    return "?"


@app.orchestrator(name="case_generator")
def case_generator(context: Context, case_id: str) -> Generator[Any, Any, str]:
    yield context.call_activity("update_case", case_id, "pending")
    approval = context.wait_for_external_event("Approval", bool)
    timeout = context.create_timer(timedelta(days=7))
    winner = yield context.task_any([approval, timeout])
    if winner is approval and approval.result():
        yield context.task_all(
            [
                context.call_activity("update_case", case_id, "approved"),
                context.call_activity("update_case", case_id, "notified"),
            ]
        )
        return "approved"
    try:
        yield context.call_activity("fail")
    except ActivityFailedError:
        return "rejected"
    return "?"


def rows(box: Sandbox, id: str) -> list[bytes]:
    events = [encode_event(entry.event) for entry in box.history(id)]
    return [row.replace(b"case_generator", b"case_async") for row in events]


def test_the_generator_form_writes_the_same_history_row_for_row():
    for decision in (True, False, None):
        with Sandbox(app) as box, Sandbox(app) as twin:
            for where, orchestrator in ((box, "case_async"), (twin, "case_generator")):
                where.start(orchestrator, "C-1", id="C-1")
                if decision is None:
                    where.advance(days=8)
                else:
                    where.raise_event("C-1", "Approval", decision)

            def without_traces(row: bytes) -> bytes:
                return row.split(b'"stack_trace"')[0]

            assert [*map(without_traces, rows(box, "C-1"))] == [
                *map(without_traces, rows(twin, "C-1"))
            ]
            assert box.result("C-1") == ("approved" if decision else "rejected")
