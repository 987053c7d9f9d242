"""A refund waits for finance. Lena lowers the amount, and exactly that is paid, once."""

import asyncio
from dataclasses import dataclass

from adjourn import Actor, Adjourn, Approved, Bounds, Context, Expired, Rejected, group
from adjourn.approvals import Approve

app = Adjourn()
LENA = Actor(id="lena", groups=["finance"], roles=["approver"])


@dataclass
class Refund:
    order: str
    amount: int


@app.activity(requires_approval=True)
async def pay(refund: Refund) -> str:
    return f"paid {refund.amount} for {refund.order}"


@app.orchestrator
async def refund(ctx: Context, asked: Refund) -> str:
    decision = await ctx.approval(
        asked,
        title=f"Refund {asked.amount} for {asked.order}",
        to=group("finance"),
        editable={"amount": Bounds(minimum="1", maximum="600")},
        expires="7d",
        undo="0s",
        id=f"{ctx.instance_id}-approval",
    )
    match decision:
        case Approved(by=by, edited=edited):
            print(f"approved by {by[0]}, changed: {', '.join(edited)}")
            return await ctx.execute(decision, pay)
        case Rejected(reason=reason):
            return f"no: {reason}"
        case Expired():
            return "nobody decided"
        case _:
            return "void"


async def main() -> None:
    async with app.open(":memory:") as client:
        run = await client.start(refund, Refund("A-1042", 600), id="C-1")
        change = Approve(version=1, changes={"amount": 550}, comment="one item only")
        await client.approvals.act("C-1-approval", change, by=LENA)
        print(await run.result())


if __name__ == "__main__":
    asyncio.run(main())

# Output:
# approved by lena, changed: amount
# paid 550 for A-1042
