"""A process that decides once and dies at the named point, if it comes to that."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass

from adjourn import Actor, Adjourn, Context, current_activity
from adjourn.approvals import Approve
from adjourn.testing import CrashPoint, KillAt, open_with_crash_point

LENA = Actor(id="lena", groups=["finance"], roles=["approver"])
APPROVAL = "the-one"


@dataclass
class Payment:
    amount: int


def make_app(effects: str) -> Adjourn:
    app = Adjourn()

    @app.activity(requires_approval=True)
    def pay(payment: Payment) -> int:
        descriptor = os.open(effects, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(descriptor, f"{current_activity().idempotency_key}\n".encode())
        os.close(descriptor)
        return payment.amount

    @app.orchestrator
    async def case(ctx: Context, amount: int) -> int:
        decision = await ctx.approval(
            Payment(amount),
            title="Pay",
            to="group:finance",
            expires=None,
            undo="0s",
            editable={"amount"},
            id=APPROVAL,
        )
        return await ctx.execute(decision, pay)  # type: ignore[arg-type]

    return app


async def decide(file: str, effects: str, point: CrashPoint, nth: int) -> None:
    app = make_app(effects)
    async with app.open(file) as client:
        run = await client.start("case", 7, id="case-1")
        for _ in range(10_000):
            if (await client.list(names=["adjourn.approval"])).instances:
                break
    # Only the decision itself is put at risk, and what follows from it.
    async with open_with_crash_point(app, file, KillAt(point, nth)) as client:
        act = Approve(version=1, changes={"amount": 5})
        answer = await client.approvals.act(APPROVAL, act, by=LENA, action_id="click-1")
        os.write(1, json.dumps({"status": answer.status}).encode() + b"\n")
        await client.result(run.id)
        os.write(1, json.dumps({"finished": True}).encode() + b"\n")


if __name__ == "__main__":
    asyncio.run(decide(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))  # type: ignore[arg-type]
