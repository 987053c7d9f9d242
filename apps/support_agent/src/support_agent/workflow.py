"""The refund workflow: a person decides within seven days, and the money moves once."""

import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from sqlalchemy.orm import Session

from adjourn import Adjourn, Context, NonRetryableError, RetryPolicy, current_activity
from support_agent.shop import cases, ledger, messages
from support_agent.shop.cases import Case
from support_agent.shop.database import shop_database, writing
from support_agent.shop.errors import SupportError
from support_agent.shop.ledger import Receipt
from support_agent.shop.records import CaseStatus

app = Adjourn()


@dataclass(frozen=True, slots=True)
class Approval:
    """What a person decided, sent as the external event "Approval"."""

    approved: bool
    reason: str = "No reason was given."


@app.orchestrator
async def support_case(ctx: Context, case: Case) -> str:
    """Ask a person, wait seven days at most, do what was decided, and say so to the customer."""
    await ctx.call_activity(update_case, case.id, "pending_approval")

    approval = ctx.wait_for_external_event("Approval", Approval)  # costs nothing while it waits
    deadline = ctx.create_timer(timedelta(days=7))
    winner = await ctx.when_any(approval, deadline)

    if winner is deadline:  # silence is not a "no", and the customer is not told that it is
        await ctx.call_activity(update_case, case.id, "expired")
        await ctx.call_activity(notify_customer, case.id, NOBODY_DECIDED)
        return "expired"

    decision = approval.result()
    if not decision.approved:
        await ctx.call_activity(update_case, case.id, "rejected", decision.reason)
        await ctx.call_activity(notify_customer, case.id, f"We cannot refund it: {decision.reason}")
        return "rejected"

    await ctx.call_activity(update_case, case.id, "approved")
    receipt = await ctx.call_activity(issue_refund, case.id, case.amount)
    await ctx.call_activity(notify_customer, case.id, f"You get {receipt.money} back.")
    return "approved"


NOBODY_DECIDED = (
    "Nobody looked at your request within seven days, so nothing was refunded. "
    "That is our fault and not an answer: write to us again, and we will look at it first."
)

# A day: records that are away for as long as a backup or an update takes must not end a workflow,
# for a talk that has failed takes no message any more. What they refuse, they refuse at once.
PATIENTLY = RetryPolicy(
    max_number_of_attempts=300,
    first_retry_interval=timedelta(seconds=1),
    backoff_coefficient=2.0,
    max_retry_interval=timedelta(minutes=5),
)
HALF_A_MINUTE = timedelta(seconds=30)


@app.activity(retry=PATIENTLY, timeout=HALF_A_MINUTE)
def update_case(case_id: str, status: CaseStatus, reason: str = "") -> None:
    """Move the case in the shop's records; a repeated call is the same move."""
    with records() as session:
        key = current_activity().idempotency_key
        cases.move_case(session, case_id, status, reason=reason, key=key)


@app.activity(retry=PATIENTLY, timeout=HALF_A_MINUTE)
def issue_refund(case_id: str, amount: Decimal) -> Receipt:
    """Give the money back; a repeated call gets the receipt of the first."""
    with records() as session:
        key = current_activity().idempotency_key
        receipt = ledger.refund(session, case_id=case_id, amount=amount, key=key)
    # For the demonstration: the money has moved and the engine does not know it yet.
    time.sleep(float(os.environ.get("SUPPORT_REFUND_PAUSE", "0")))
    return receipt


@app.activity(retry=PATIENTLY, timeout=HALF_A_MINUTE)
def notify_customer(case_id: str, text: str) -> None:
    """Write to the customer; a repeated call is the same message."""
    with records() as session:
        key = current_activity().idempotency_key
        messages.write_message(session, case_id=case_id, text=text, key=key, outcome=True)


@contextmanager
def records() -> Generator[Session]:
    """One transaction on the shop's records. What they refuse once is refused for good."""
    try:
        with writing(shop_database()) as session:
            yield session
    except SupportError as refusal:
        raise NonRetryableError(str(refusal)) from refusal
