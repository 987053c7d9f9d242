"""The work that is killed: cases with activities of every kind, timers, events, updates, a child
and continue_as_new. Each activity writes its attempt into the ledger before it does anything."""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from adjourn import Adjourn, Context, RetryPolicy, current_activity

app = Adjourn()

APPROVE, REJECT = "approve", "reject"
PAPERS = ("papers-1", "papers-2")
AFTER_APPROVAL = ("pay", "told", "flaky", "wire", "shipped")
"""Effects that an approved case has, and no other."""
LONG = timedelta(days=7)
MOMENT = timedelta(milliseconds=15)
AGAIN = RetryPolicy(max_number_of_attempts=5, first_retry_interval=MOMENT)


class Ledger:
    """An append-only file outside of the engine: one unbuffered line an attempt."""

    def __init__(self) -> None:
        self._file = -1
        self._life = 0

    def open(self, path: Path, life: int) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._life = life

    def begin(self, case: str, effect: str) -> float:
        """Record this attempt; returns for how many seconds it shall work."""
        here = current_activity()
        line = {
            "life": self._life,
            "case": case,
            "effect": effect,
            "key": here.idempotency_key,
            "attempt": here.attempt,
        }
        os.write(self._file, json.dumps(line).encode() + b"\n")
        return 0.001 + sum(here.idempotency_key.encode()) % 12 / 1000


ledger = Ledger()


@dataclass
class Stage:
    case: str
    papers: list[str]
    decision: str = ""


@app.activity
async def touch(case: str, effect: str) -> str:
    await asyncio.sleep(ledger.begin(case, effect))
    return effect


@app.activity
def pay(case: str) -> str:
    time.sleep(ledger.begin(case, "pay"))
    return "paid"


@app.activity(retry=AGAIN)
async def flaky(case: str) -> str:
    """Fails the first time it is asked."""
    await asyncio.sleep(ledger.begin(case, "flaky"))
    if current_activity().attempt == 1:
        raise ConnectionError("the first time always fails")
    return "worked"


@app.activity(at_most_once=True)
def wire(case: str) -> str:
    time.sleep(ledger.begin(case, "wire"))
    return "wired"


@app.orchestrator
async def ship(ctx: Context, case: str) -> str:
    await ctx.create_timer(MOMENT)
    return await ctx.call_activity(touch, case, "shipped")


@app.orchestrator
async def sleeper(ctx: Context) -> None:
    """Waits for what never comes: no restart may look at it."""
    await ctx.when_any(ctx.wait_for_external_event("Never"), ctx.create_timer(LONG))


@app.orchestrator
async def crash_case(ctx: Context, stage: Stage) -> list[str]:
    if not stage.decision:
        await decide(ctx, stage)
    refusing = asyncio.create_task(refuse_the_rest(ctx))
    if stage.decision == APPROVE:
        await carry_out(ctx, stage.case)
    await ctx.create_timer(MOMENT)
    refusing.cancel()
    return stage.papers


async def decide(ctx: Context, stage: Stage) -> None:
    """Two papers and the first decision; the decided case goes on in a new execution."""
    await ctx.call_activity(touch, stage.case, "opened")
    deadline = ctx.create_timer(LONG)
    for _ in PAPERS:
        papers = ctx.wait_for_external_event("Papers", str)
        await ctx.when_any(papers, deadline)
        stage.papers.append(papers.result())
    request = await ctx.wait_for_update("Decide", str)
    request.accept({"decision": request.value, "by": request.update_id})
    ctx.continue_as_new(Stage(stage.case, stage.papers, request.value))


async def refuse_the_rest(ctx: Context) -> None:
    while True:
        (await ctx.wait_for_update("Decide", str)).refuse("it is decided")


async def carry_out(ctx: Context, case: str) -> None:
    await ctx.when_all(ctx.call_activity(pay, case), ctx.call_activity(touch, case, "told"))
    await ctx.call_activity(flaky, case)
    await ctx.call_activity(wire, case)
    await ctx.call_sub_orchestration(ship, case, id=f"{case}:ship")
