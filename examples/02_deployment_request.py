"""Two different people must approve a deployment; whoever asked for it is not one of them."""

import asyncio
from dataclasses import dataclass

from adjourn import Actor, Adjourn, Approved, Context, UpdateForbiddenError, group
from adjourn.approvals import Approve

app = Adjourn()


@dataclass
class Deployment:
    service: str
    version: str


@app.activity(requires_approval=True, at_most_once=True)
async def deploy(deployment: Deployment) -> str:
    return f"{deployment.service} {deployment.version} is live"


@app.orchestrator
async def release(ctx: Context, deployment: Deployment) -> str:
    decision = await ctx.approval(
        deployment,
        title=f"Deploy {deployment.service} {deployment.version} to production",
        to=group("platform"),
        requester="mira",
        need=2,
        risk="high",
        expires="12h",
        undo="0s",
        id=f"{ctx.instance_id}-approval",
    )
    return await ctx.execute(decision, deploy) if isinstance(decision, Approved) else "not deployed"


def member(id: str) -> Actor:
    return Actor(id=id, groups=["platform"], roles=["approver"])


async def main() -> None:
    async with app.open(":memory:") as client:
        run = await client.start(release, Deployment("shop", "4.2"), id="R-7")
        people = client.approvals
        try:
            await people.act("R-7-approval", Approve(version=1), by=member("mira"))
        except UpdateForbiddenError as refused:
            print(f"mira: {refused.reason}")
        first = await people.act("R-7-approval", Approve(version=1), by=member("jo"))
        print(f"jo: {first.votes} of {first.need}")
        await people.act("R-7-approval", Approve(version=first.version), by=member("kai"))
        print(await run.result())


if __name__ == "__main__":
    asyncio.run(main())

# Output:
# mira: Nobody decides on their own request.
# jo: 1 of 2
# shop 4.2 is live
