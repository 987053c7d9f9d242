"""Small workflows that ask people, for the tests of this room."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated

import msgspec

from adjourn import (
    Actor,
    Adjourn,
    Approved,
    Bounds,
    Cancelled,
    Context,
    Expired,
    Facts,
    Rejected,
    Superseded,
    current_activity,
    group,
    rechecking,
    role,
)


@dataclass(frozen=True, slots=True)
class Refund:
    order: str
    amount: Decimal
    note: Annotated[str, msgspec.Meta(max_length=40)] = ""


@dataclass(slots=True)
class World:
    """What the activities did, and what they find."""

    refunds: list[tuple[str, str, Decimal]] = field(default_factory=list)
    """Idempotency key, order, amount."""
    version: int = 1
    fail: bool = False


LENA = Actor(id="lena", groups=["finance"], roles=["approver"], channel="web")
OMAR = Actor(id="omar", groups=["finance"], roles=["approver"], channel="web")
GRACE = Actor(id="grace", groups=["finance"], roles=["approver", "lead"], channel="web")
SAM = Actor(id="sam", groups=["finance"], roles=["approver"], channel="web")
"""Who asked: an approver too, and yet not of this."""
IVO = Actor(id="ivo", roles=["auditor"], channel="web")
EVE = Actor(id="eve", groups=["warehouse"], roles=["approver"], channel="web")
ROBOT = Actor(id="robot", groups=["finance"], roles=["approver"], agent=True)


def make_app(world: World, paid: str = "refunded") -> Adjourn:
    app = Adjourn()

    @app.activity(requires_approval=True)
    def pay(refund: Refund) -> str:
        if world.fail:
            raise RuntimeError("the bank is closed")
        world.refunds.append((current_activity().idempotency_key, refund.order, refund.amount))
        return f"{paid} {refund.amount}"

    @app.activity
    def order_version(order: str) -> int:
        return world.version

    @app.orchestrator
    async def refund(ctx: Context, amount: Decimal) -> str:
        decision = await ctx.approval(
            Refund("A1", amount),
            title=f"Refund {amount} to Ada, order A1",
            evidence=[Facts(facts={"paid": "900"})],
            to=group("finance"),
            requester="sam",
            editable={"amount": Bounds(minimum="0.01", maximum="900"), "note": Bounds()},
            need=2 if amount > 500 else 1,
            due="8h",
            remind=["4h", "12h"],
            escalate={"1d": role("lead")},
            expires="7d",
            recheck=rechecking(order_version, "A1"),
        )
        match decision:
            case Approved():
                return await ctx.execute(decision, pay)
            case Rejected(reason=reason):
                return f"rejected: {reason}"
            case Expired():
                return "expired: nobody decided"
            case Cancelled(reason=reason):
                return f"cancelled: {reason}"
            case Superseded(was=was, now=now):
                return f"superseded: {was} is now {now}"

    return app
