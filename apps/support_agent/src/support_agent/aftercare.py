"""A refund that was approved and did not go out, or not surely: a person is asked to look after it.

The customer has been told that somebody does, so it is on the desk until somebody has.
"""

from dataclasses import dataclass
from decimal import Decimal

from adjourn import Approved, Context, Document, group, role
from support_agent.app import app


@dataclass(frozen=True, slots=True)
class Trouble:
    """Whoever approves it has settled it with the customer. Approving pays nothing."""

    case_id: str
    customer: str
    amount: Decimal
    currency: str
    what_happened: str


WHAT_TO_DO = (
    "Look at what the payment provider says of this case, pay by hand what is still owed, and tell "
    "the customer. Approve when that is done: it only takes this off the desk."
)


@app.orchestrator
async def look_after(ctx: Context, trouble: Trouble) -> str:
    """Ask until somebody has settled it: it does not expire."""
    money = f"{trouble.amount} {trouble.currency}"
    decision = await ctx.approval(
        trouble,
        title=f"Settle {money} of case {trouble.case_id} by hand: the refund did not go through",
        evidence=[
            Document(title="What happened", text=trouble.what_happened),
            Document(title="What to do", text=WHAT_TO_DO),
        ],
        to=[group("support"), group("finance")],
        policy="refund-in-trouble",
        risk="medium",
        requester="support-agent",
        on_behalf_of=trouble.customer,
        currency=trouble.currency,
        case=trouble.case_id,
        due="1d",
        remind=["1d", "3d"],
        escalate={"2d": role("lead")},
        expires=None,
    )
    return "settled" if isinstance(decision, Approved) else "left"
