"""A firm that pays what somebody has approved: what `test_story.py` serves to its people."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from adjourn import Adjourn, Approved, Context, group

app = Adjourn()


@dataclass(frozen=True, slots=True)
class Payment:
    to: str
    amount: Decimal


@app.activity(requires_approval=True)
def pay(payment: Payment) -> str:
    return f"{payment.amount} EUR went to {payment.to}"


@app.orchestrator
async def payout(ctx: Context, payment: Payment) -> str:
    decision = await ctx.approval(
        payment,
        title=f"Pay {payment.amount} EUR to {payment.to}",
        to=group("finance"),
        requester="sam",
        expires="7d",
        undo="0s",
        currency="EUR",
    )
    return await ctx.execute(decision, pay) if isinstance(decision, Approved) else "not paid"


@app.orchestrator
async def large_payout(ctx: Context, payment: Payment) -> str:
    decision = await ctx.approval(
        payment,
        title=f"Pay {payment.amount} EUR to {payment.to}",
        to=group("finance"),
        requester="sam",
        expires="7d",
        undo="0s",
        currency="EUR",
        fresh_sign_in="5m",
    )
    return await ctx.execute(decision, pay) if isinstance(decision, Approved) else "not paid"
