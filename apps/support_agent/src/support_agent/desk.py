"""The supervisors' desk: what the agent may not do alone waits here for people.

Each workflow reads the facts from the shop's own records, asks people about one exact proposal, and
does what they decided, once. Serve it with `adjourn run support_agent.desk:app`.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from sqlalchemy import select

from adjourn import (
    Adjourn,
    Approved,
    Bounds,
    Cancelled,
    Context,
    Conversation,
    Document,
    Expired,
    Facts,
    Line,
    NonRetryableError,
    Rejected,
    RetryPolicy,
    Superseded,
    current_activity,
    group,
    rechecking,
    role,
)
from support_agent.shop import cases, ledger, messages
from support_agent.shop.cases import Case
from support_agent.shop.ledger import Receipt
from support_agent.shop.records import Customer, Order
from support_agent.workflow import PATIENTLY, records

app = Adjourn()

AGENT = "support-agent"
HIGH = Decimal(150)
"""From here on finance decides, and the page asks to hold the button."""
TWO_PEOPLE = Decimal(400)


@dataclass(frozen=True, slots=True)
class Said:
    """One message of the customer's conversation."""

    author: str
    role: Literal["customer", "agent"]
    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """What the agent passes on: the customer's wish, in the customer's words, and its own view."""

    case_id: str
    order_number: str
    amount: Decimal
    reason: str
    conversation: list[Said] = field(default_factory=list[Said])
    proposal: str = ""


@dataclass(frozen=True, slots=True)
class Refund:
    """Money back to the customer."""

    case_id: str
    order_number: str
    payee: str
    amount: Decimal
    reason: str


@dataclass(frozen=True, slots=True)
class ContactChange:
    """Another e-mail address for a customer: whoever owns it gets everything from then on."""

    customer: str
    old_email: str
    new_email: str


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """What the records say of an order."""

    customer: str
    email: str
    refundable: Decimal
    facts: dict[str, str]


@app.orchestrator
async def refund_request(ctx: Context, request: Request) -> str:
    """Ask people about a refund, pay what they approve, and tell the customer what came of it."""
    order = await ctx.call_activity(open_request, request)
    large, huge = request.amount >= HIGH, request.amount >= TWO_PEOPLE
    decision = await ctx.approval(
        Refund(request.case_id, request.order_number, order.customer, request.amount,
               request.reason),
        title=f"Refund {request.amount} EUR to {order.customer}, order {request.order_number}",
        evidence=[
            _conversation(request),
            Facts(title="Order", facts=order.facts),
            REFUND_POLICY,
            Document(title="The agent's view", text=request.proposal, by_model=True),
        ],
        editable={"amount": Bounds(minimum="0.01", maximum=str(order.refundable)),
                  "reason": Bounds()},
        to=group("finance") if large else group("support"),
        need=2 if huge else 1,
        risk="high" if large else "medium" if request.amount >= 60 else "low",
        policy="refund-two-people" if huge else "refund-large" if large else "refund-any",
        requester=AGENT,
        on_behalf_of=order.customer,
        currency="EUR",
        due="8h",
        remind=["4h", "1d"],
        escalate={"1d": role("lead")},
        expires="7d",
        recheck=rechecking(refundable, request.order_number),
        reversible=False,
    )  # fmt: skip
    match decision:
        case Approved(value=refund):
            receipt = await ctx.execute(decision, pay_back)
            note = f" We could not refund the {request.amount} EUR you asked for: {refund.reason}"
            edited = note if refund.amount != request.amount else ""
            outcome, text = "approved", f"You get {receipt.money} back.{edited}"
        case Rejected(reason=reason):
            await ctx.call_activity(close_request, request.case_id, "rejected", reason)
            outcome, text = "rejected", f"We cannot refund it: {reason}"
        case Expired():  # silence is not a "no", and the customer is not told that it is
            await ctx.call_activity(close_request, request.case_id, "expired", "nobody decided")
            outcome, text = "expired", "Nobody looked at your request in time. Please ask again."
        case Cancelled() | Superseded():
            reason = "what is on record has changed"
            await ctx.call_activity(close_request, request.case_id, "rejected", reason)
            outcome, text = "withdrawn", "Your order has changed meanwhile, so we look at it anew."
    await ctx.call_activity(tell_customer, request.case_id, text)
    return outcome


@app.orchestrator
async def contact_request(ctx: Context, request: Request) -> str:
    """Ask people before an account gets another e-mail address; `reason` is the new address."""
    order = await ctx.call_activity(look_up, request.order_number)
    decision = await ctx.approval(
        ContactChange(order.customer, order.email, request.reason),
        title=f"Change the e-mail address of {order.customer} to {request.reason}",
        evidence=[_conversation(request), Facts(title="Account", facts=order.facts),
                  CONTACT_POLICY],
        to=group("support"),
        policy="contact-change",
        risk="medium",
        requester=AGENT,
        on_behalf_of=order.customer,
        due="1d",
        expires="14d",
    )  # fmt: skip
    if isinstance(decision, Approved):
        await ctx.execute(decision, change_contact)
        return "changed"
    return "unchanged"


def _conversation(request: Request) -> Conversation:
    return Conversation(
        lines=[Line(author=said.author, role=said.role, text=said.text)
               for said in request.conversation]
    )  # fmt: skip


REFUND_POLICY = Document(
    title="Refunds and returns",
    source="Policy 4.2",
    text=(
        "Broken or wrong items are refunded in full within 60 days of the order. Items that are "
        "merely not liked go back within 30 days, unused. From 150 EUR on finance decides, from "
        "400 EUR on two people. An order never gives back more than was paid for it."
    ),
)
CONTACT_POLICY = Document(
    title="Changing an account's address",
    source="Policy 7.1",
    text=(
        "Ask for something only the owner knows (a recent order, the last four digits of the "
        "payment) before the address changes. When in doubt, write to the old address first."
    ),
)


@app.activity(retry=PATIENTLY, timeout=timedelta(seconds=30))
def open_request(request: Request) -> OrderFacts:
    """Open the case in the shop's records; a repeated call opens the same one."""
    with records() as session:
        case = Case(request.case_id, request.order_number, request.amount, request.reason)
        cases.open_case(session, case)
        key = current_activity().idempotency_key
        cases.move_case(session, request.case_id, "pending_approval", key=key)
    return look_up(request.order_number)


@app.activity(retry=RetryPolicy(max_number_of_attempts=5))
def look_up(order_number: str) -> OrderFacts:
    """What the records say of the order, now."""
    with records() as session:
        order = session.get(Order, order_number)
        if order is None:
            raise NonRetryableError(f"There is no order {order_number}.")
        left = ledger.refundable(session, order_number)
        paid = sum((payment.amount for payment in order.payments), Decimal(0))
        items = "; ".join(f"{item.quantity} x {item.product}" for item in order.items)
        facts = {
            "Order": f"{order.number}, {order.ordered_at:%d %B %Y}",
            "Customer": f"{order.customer.name} <{order.customer.email}>",
            "Items": items,
            "Paid": f"{paid} {order.currency}",
            "Refunded so far": f"{paid - left} {order.currency}",
            "Left to refund": f"{left} {order.currency}",
        }
        return OrderFacts(order.customer.name, order.customer.email, left, facts)


@app.activity(retry=PATIENTLY)
def refundable(order_number: str) -> Decimal:
    """What the order has left to give back: asked at the opening and again before the payment."""
    with records() as session:
        return ledger.refundable(session, order_number)


@app.activity(retry=PATIENTLY, timeout=timedelta(seconds=30), requires_approval=True)
def pay_back(refund: Refund) -> Receipt:
    """Give the money back: exactly what was approved, once for each decision."""
    key = current_activity().idempotency_key
    with records() as session:
        cases.move_case(session, refund.case_id, "approved", key=f"{key}/approved")
        return ledger.refund(session, case_id=refund.case_id, amount=refund.amount, key=key)


@app.activity(retry=PATIENTLY, requires_approval=True)
def change_contact(change: ContactChange) -> None:
    """Write the new address down; a repeated call changes nothing."""
    with records() as session:
        customer = session.scalar(select(Customer).where(Customer.email == change.old_email))
        if customer is not None:
            customer.email = change.new_email


@app.activity(retry=PATIENTLY)
def close_request(case_id: str, status: Literal["rejected", "expired"], reason: str) -> None:
    """Close the case without paying; a repeated call is the same move."""
    with records() as session:
        key = current_activity().idempotency_key
        cases.move_case(session, case_id, status, reason=reason, key=key)


@app.activity(retry=PATIENTLY)
def tell_customer(case_id: str, text: str) -> None:
    """Write to the customer; a repeated call is the same message."""
    with records() as session:
        key = current_activity().idempotency_key
        messages.write_message(session, case_id=case_id, text=text, key=key)
