"""The form of an approval, as an application reads it."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import msgspec

from adjourn import (
    Actor,
    Adjourn,
    ApprovalView,
    Approve,
    Bounds,
    Client,
    Context,
    InboxQuery,
    group,
)
from adjourn.testing import VirtualClock

LENA = Actor(id="lena", groups=["support"], roles=["approver"], channel="teams")
app = Adjourn()


class Refund(msgspec.Struct):
    order: str
    amount: Decimal
    copies: int = 1


@app.orchestrator
async def refund(ctx: Context, order: str) -> str:
    decision = await ctx.approval(
        Refund(order, Decimal("60.00")),
        title="Refund 60",
        to=group("support"),
        editable={"amount": Bounds(maximum="60"), "copies": Bounds()},
        need=2,
        expires=None,
    )
    return type(decision).__name__


async def opened(client: Client) -> ApprovalView:
    await client.start(refund, "A-1", id="case")
    now = VirtualClock().now()
    while True:
        page = await client.approvals.inbox(
            InboxQuery(person="lena", recipients=["group:support"], now=now)
        )
        if page.rows:
            return await client.approvals.get(page.rows[0].id, by=LENA)


def test_an_application_draws_the_form_and_sends_what_came_back(tmp_path: Path) -> None:
    async def play() -> None:
        async with app.open(tmp_path / "a.db") as client:
            view = await opened(client)
            fields = {each.name: each for each in view.fields()}
            assert [(each.label, each.editable) for each in fields.values()] == [
                ("Order", False),
                ("Amount", True),
                ("Copies", True),
            ]
            assert view.changes({name: each.value for name, each in fields.items()}) == ({}, {})
            assert view.changes({"order": "B-2", "field.amount": "1"}) == ({}, {})

            changes, errors = view.changes({"amount": "55", "copies": "two"})
            assert (changes, errors) == ({"amount": "55"}, {"copies": "must be a whole number"})
            again = {each.name: each for each in view.fields({"copies": "two"}, errors)}
            assert (again["copies"].value, again["copies"].error) == (
                "two",
                "Must be a whole number",
            )

            action = Approve(version=view.state.version, changes=changes, digest=view.state.digest)
            await client.approvals.act(view.state.id, action, by=LENA)

            later = await client.approvals.get(view.state.id, by=LENA)
            amount = later.fields()[1]
            assert (amount.proposed, amount.shown, amount.changed) == ("60.00", "55", True)
            assert later.proposal["amount"] == "60.00" and later.value["amount"] == "55"
            assert later.changes({"amount": "55.0"}) == ({}, {})

    asyncio.run(play())
