"""External events: kept, served once, refused at the door, answered."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from adjourn import (
    Adjourn,
    Context,
    InstanceFinishedError,
    InstanceNotFoundError,
    InvalidPayloadError,
    Task,
)
from adjourn.testing import Sandbox

app = Adjourn()


@dataclass(frozen=True)
class Approval:
    approved: bool


@app.orchestrator
async def ask_until_answered(ctx: Context) -> tuple[int, bool]:
    """Races a fresh wait against a fresh timer until the wait wins."""
    reminders = 0
    while True:
        approval = ctx.wait_for_external_event("Approval", Approval)
        timer = ctx.create_timer(timedelta(days=1))
        winner: Task[Any] = await ctx.when_any([approval, timer])
        if winner is approval:
            return reminders, approval.result().approved
        reminders += 1


@app.orchestrator
async def remind_before_a_deadline(ctx: Context) -> list[str]:
    """Races many notes against one deadline, which is used again in every round."""
    deadline = ctx.create_timer(timedelta(days=7))
    notes: list[str] = []
    while True:
        note = ctx.wait_for_external_event("Note", str)
        if await ctx.when_any(note, deadline) is deadline:
            return notes
        notes.append(note.result())


@app.activity
def slow_start() -> None:
    """Something before the wait."""


@app.orchestrator
async def wait_late(ctx: Context) -> bool:
    await ctx.call_activity(slow_start)
    await ctx.create_timer(timedelta(hours=1))
    return (await ctx.wait_for_external_event("Approval", Approval)).approved


@app.orchestrator
async def gather_three(ctx: Context) -> list[int]:
    waits = [ctx.wait_for_external_event("Number", int) for _ in range(3)]
    return await ctx.when_all(waits)


@app.orchestrator
async def wait_with_patience(ctx: Context) -> str:
    """asyncio's timeout around a wait, which is awaited again afterwards."""
    approval = ctx.wait_for_external_event("Approval", Approval)
    try:
        async with asyncio.timeout(3600):
            await approval
        return "in time"
    except TimeoutError:
        await approval
        return "late"


@app.orchestrator
async def counter(ctx: Context, seen: list[int]) -> list[int]:
    """One number per execution."""
    seen = [*seen, await ctx.wait_for_external_event("Number", int)]
    if len(seen) == 4:
        return seen
    ctx.continue_as_new(seen)


def test_an_approval_after_three_lost_races_is_not_eaten_by_an_abandoned_wait():
    with Sandbox(app) as box:
        run = box.start(ask_until_answered, id="loop")
        box.advance(days=3, hours=1)

        box.raise_event("loop", "Approval", {"approved": True})

        assert run.result == (3, True)
        assert run.kinds.count("TimerFired") == 3


def test_a_deadline_that_lost_a_race_keeps_its_moment_when_raced_again():
    with Sandbox(app) as box:
        run = box.start(remind_before_a_deadline, id="notes")
        for day in range(5):
            box.advance(days=1)
            box.raise_event("notes", "Note", f"day {day}")

        box.advance(days=1, hours=23)
        assert run.status == "Running"
        box.advance(hours=1)

        assert run.result == [f"day {day}" for day in range(5)]


@pytest.mark.parametrize("crash", [False, True])
def test_an_approval_before_its_wait_is_kept(crash: bool):
    with Sandbox(app) as box:
        run = box.start(wait_late, id="early")
        assert box.raise_event("early", "approval", {"approved": True}) == "accepted"
        assert box.get("early").pending_events == 1
        if crash:
            box.crash()

        box.advance(hours=2)

        assert run.result is True


def test_an_approval_while_suspended_waits_for_the_resumption():
    with Sandbox(app) as box:
        run = box.start(ask_until_answered, id="held")
        box.suspend("held", "audit")
        box.raise_event("held", "Approval", {"approved": False})
        box.advance(days=5)
        assert run.status == "Suspended"

        box.resume("held")

        assert run.result == (0, False)


def test_an_event_id_is_applied_once_also_after_a_crash_and_after_the_end():
    with Sandbox(app) as box:
        run = box.start(gather_three, id="sum")
        answers = [box.raise_event("sum", "Number", 1, event_id="click-1") for _ in range(2)]
        box.crash()
        answers.append(box.raise_event("sum", "Number", 1, event_id="click-1"))
        box.raise_event("sum", "Number", 2, event_id="click-2")
        box.raise_event("sum", "Number", 3, event_id="click-3")

        assert answers == ["accepted", "duplicate", "duplicate"]
        assert run.result == [1, 2, 3]
        assert box.raise_event("sum", "Number", 3, event_id="click-3") == "duplicate"


def test_events_that_nothing_consumed_cross_continue_as_new_in_order():
    with Sandbox(app) as box:
        run = box.start(counter, [], id="count")
        box.suspend("count")
        for number in (1, 2, 3, 4):
            box.raise_event("count", "Number", number, event_id=f"n{number}")
        box.crash()

        box.resume("count")

        assert run.result == [1, 2, 3, 4]
        assert box.get("count").execution == 4
        assert box.raise_event("count", "Number", 1, event_id="n1") == "duplicate"


def test_a_wait_that_timed_out_is_live_again_when_it_is_awaited_again():
    with Sandbox(app) as box:
        late = box.start(wait_with_patience, id="late")
        box.advance(hours=2)
        box.raise_event("late", "Approval", {"approved": True})
        early = box.start(wait_with_patience, id="early")
        box.raise_event("early", "Approval", {"approved": True})

        assert (late.result, early.result) == ("late", "in time")


def test_an_event_for_nobody_is_not_found_and_for_a_finished_instance_is_gone():
    with Sandbox(app) as box:
        box.start(gather_three, id="done")
        for number in range(3):
            box.raise_event("done", "Number", number)

        with pytest.raises(InstanceNotFoundError, match="no instance 'nobody'"):
            box.raise_event("nobody", "Number", 1)
        with pytest.raises(InstanceFinishedError, match="has finished"):
            box.raise_event("done", "Number", 4)


def test_a_body_that_does_not_fit_is_refused_and_changes_nothing():
    with Sandbox(app) as box:
        box.start(ask_until_answered, id="typed")
        before = box.history("typed"), box.get("typed")

        with pytest.raises(InvalidPayloadError, match="approved"):
            box.raise_event("typed", "Approval", {"approved": "perhaps"}, event_id="e1")

        assert (box.history("typed"), box.get("typed")) == before
        assert box.raise_event("typed", "Approval", {"approved": True}, event_id="e1") == "accepted"


def test_an_early_body_that_does_not_fit_is_set_aside_and_the_next_one_is_served():
    with Sandbox(app) as box:
        run = box.start(wait_late, id="odd")
        box.raise_event("odd", "Approval", "not an approval")
        box.raise_event("odd", "Approval", {"approved": True})

        box.advance(hours=2)

        assert run.result is True
        assert "ExternalEventSetAside" in run.kinds
