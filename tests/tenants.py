"""Instances of every kind, of each of three tenants, for the tests of what one of them may know of
the others."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from adjourn import Adjourn, Approved, Client, Context, group
from adjourn.model.inbox import InboxQuery
from adjourn.testing.clock import START

app = Adjourn()


@dataclass(frozen=True)
class Deed:
    what: str


@app.activity
async def stuck(n: int) -> int:
    await asyncio.Event().wait()
    return n


@app.orchestrator
async def listen(ctx: Context, number: int) -> list[Any]:
    return [await ctx.wait_for_external_event("Note", int) for _ in range(number)]


@app.orchestrator
async def ask(ctx: Context, what: list[str]) -> bool:
    """Of whom, and whom to ask."""
    whose, to = what
    decision = await ctx.approval(
        Deed(f"the secret of {whose}"),
        title=f"Open the door of {whose}",
        to=group(to),
        requester="sam",
        expires="7d",
    )
    return isinstance(decision, Approved)


@app.orchestrator
async def plain(ctx: Context, whose: str) -> Any:
    ctx.set_custom_status(f"Shut the door of {whose}?")
    return await ctx.wait_for_external_event("Approval")


@app.orchestrator
async def busy(ctx: Context, n: int) -> int:
    return await ctx.call_activity(stuck, n)


TENANTS = {"none": "", "acme": "acme", "beta": "beta"}
"""By the beginning of the ids of what is theirs. All that is theirs says so."""

KINDS = ("listens", "done", "asks", "asks:1:1", "law", "law:1:1", "plain", "busy")
"""What there is of each: `acme-asks:1:1` is the approval that `acme-asks` waits for."""


async def fill(client: Client) -> None:
    """One of each kind for each tenant; returns when all of them wait for what they wait for."""
    for name, tenant in TENANTS.items():
        tags = {"tenant": tenant} if tenant else {}
        for orchestrator, input, id in (
            (listen, 1, "listens"),
            (listen, 0, "done"),
            (ask, [name, "finance"], "asks"),
            (ask, [name, "legal"], "law"),
            (plain, name, "plain"),
            (busy, 1, "busy"),
        ):
            made: Any = orchestrator
            await client.start(made, input, id=f"{name}-{id}", tags=tags)
        await client.result(f"{name}-done")
        while len((await client.approvals.inbox(query(tenant=tenant))).rows) < 3:
            pass


def query(**more: Any) -> InboxQuery:
    """All that is open, as nobody in particular."""
    return InboxQuery(person="", recipients=[], now=START, view="all", order="oldest", **more)
