"""Cases: what the agent may not do alone waits here for people.

Each workflow reads the facts from the shop's own records, asks people about one exact proposal,
does what they decided, once, and tells the customer and the talk that the case came from.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Literal, TypedDict

from sqlalchemy import select
from sqlalchemy.orm import Session

from adjourn import (
    ActivityFailedError,
    Approved,
    Bounds,
    Cancelled,
    Context,
    Conversation,
    Decision,
    Document,
    Evidence,
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
from support_agent.aftercare import Trouble, look_after
from support_agent.app import app
from support_agent.gateways.choose import choose_gateway
from support_agent.gateways.paying import pay
from support_agent.gateways.port import Declined, Paid, RefundGateway, RefundOrder
from support_agent.live import HUB, Changed
from support_agent.shop import cases, knowledge, ledger, messages, payouts
from support_agent.shop.cases import Case
from support_agent.shop.database import shop_database, writing
from support_agent.shop.errors import AskedAlready, AskedElsewhere, KeyReused, SupportError
from support_agent.shop.payouts import Payout
from support_agent.shop.records import CaseRecord, CaseStatus, Customer, Order
from support_agent.workflow import PATIENTLY, records

AGENT = "support-agent"
MEDIUM = Decimal(60)
HIGH = Decimal(150)
"""From here on finance decides, and the page asks to hold the button."""
TWO_PEOPLE = Decimal(400)
SIGNED_IN_LATELY = Decimal(500)
"""From here on whoever approves it proves again who they are."""
LATELY = "5m"


@dataclass(frozen=True, slots=True)
class Said:
    """One line of the talk."""

    author: str
    role: Literal["customer", "agent", "person", "system"]
    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    """What the agent read in the knowledge base: the article, in the version that it read."""

    article: str
    version: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """What the agent passes on: the customer's wish, in the customer's words, and its own view."""

    case_id: str
    order_number: str
    amount: Decimal
    reason: str
    conversation: list[Said] = field(default_factory=list[Said])
    passages: list[Passage] = field(default_factory=list[Passage])
    proposal: str = ""
    talk_id: str = ""
    """Where the customer waits for the outcome; empty where there is no talk."""


@dataclass(frozen=True, slots=True)
class News:
    """What a case tells its talk: words for the customer, and a note for the agent."""

    case_id: str
    status: str
    text: str
    note: str


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
    """What the records say of an order, and the policy that applies to the case."""

    customer: str
    email: str
    refundable: Decimal
    facts: dict[str, str]
    policy: Passage | None = None
    fresh_sign_in: str = ""
    """How long ago whoever approves it has signed in at most. It is fixed when the case opens, and
    stands here so that cases which opened before anybody was asked for it go on as they began."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the payment."""

    paid: bool
    amount: Decimal
    currency: str
    reference: str
    words: str = ""


@app.orchestrator
async def refund_case(ctx: Context, request: Request) -> str:
    """Ask people about a refund, pay what they approve, and tell the customer what came of it."""
    order = await ctx.call_activity(open_request, request)
    decision = await ctx.approval(
        Refund(request.case_id, request.order_number, order.customer, request.amount,
               request.reason),
        title=f"Refund {request.amount} EUR to {order.customer}, order {request.order_number}",
        evidence=_evidence(request, order),
        editable={"amount": Bounds(minimum="0.01",
                                   maximum=str(min(request.amount, order.refundable))),
                  "reason": Bounds()},
        requester=AGENT,
        on_behalf_of=order.customer,
        currency="EUR",
        due="8h",
        remind=["4h", "1d", "3d"],
        escalate={"1d": role("lead")},
        expires="7d",
        recheck=rechecking(refundable, request.order_number),
        reversible=False,
        fresh_sign_in=order.fresh_sign_in or None,
        **_who_decides(request.amount),
    )  # fmt: skip
    match decision:
        case Approved(value=refund):
            try:
                outcome = await ctx.execute(decision, pay_back)
            except ActivityFailedError as error:  # it may be paid: the case stays approved
                _hand_on(
                    ctx, refund, refund.amount, f"Nobody found out whether it was paid: {error}"
                )
                await _tell(ctx, request, decision, "approved", NOT_KNOWN)
                raise
            status, text = _paid(request, refund, outcome)
            if not outcome.paid or outcome.amount < refund.amount:
                owed = refund.amount - outcome.amount if outcome.paid else refund.amount
                _hand_on(ctx, refund, owed, outcome.words)
        case Rejected(reason=reason):
            status, text = "rejected", f"We cannot refund it: {reason}"
        case Expired():  # silence is not a "no", and the customer is not told that it is
            status, text = "expired", NOBODY_DECIDED
        case Superseded():
            status, text = "rejected", "Your order has changed meanwhile. Please ask us again."
        case Cancelled():
            status, text = "rejected", WITHDRAWN
    await _tell(ctx, request, decision, status, text)
    return status


async def _tell(
    ctx: Context, request: Request, decision: Decision[Refund], status: CaseStatus, text: str
) -> None:
    """Settle the case with these words, and pass them on to the talk that it came from."""
    await ctx.call_activity(settle, request.case_id, status, text)
    if request.talk_id:
        ctx.raise_event(request.talk_id, "News", _news(request, decision, status, text))


def _hand_on(ctx: Context, refund: Refund, owed: Decimal, words: str) -> None:
    """What the customer is told that a person looks after is on a person's desk."""
    trouble = Trouble(refund.case_id, refund.payee, owed, "EUR", words)
    ctx.start(look_after, trouble, id=f"{refund.case_id}-aftercare")


NOT_KNOWN = (
    "Your refund was approved, but we could not find out whether the payment went through. A "
    "colleague looks into it, and you will hear from us. You need not ask again."
)
WITHDRAWN = "Your request was withdrawn before anybody decided. Write to us if you still need it."
NOBODY_DECIDED = (
    "Nobody looked at your request within seven days, so nothing was refunded. That is our fault "
    "and not an answer: write to us again, and we will look at it first."
)


class WhoDecides(TypedDict):
    """Of the terms of an approval, those that follow from the amount."""

    to: str
    need: int
    risk: Literal["low", "medium", "high"]
    policy: str


def _who_decides(amount: Decimal) -> WhoDecides:
    if amount >= TWO_PEOPLE:
        return {"to": group("finance"), "need": 2, "risk": "high", "policy": "refund-two-people"}
    if amount >= HIGH:
        return {"to": group("finance"), "need": 1, "risk": "high", "policy": "refund-large"}
    risk = "medium" if amount >= MEDIUM else "low"
    return {"to": group("support"), "need": 1, "risk": risk, "policy": "refund-any"}


def _paid(
    request: Request, refund: Refund, outcome: Outcome
) -> tuple[Literal["refunded", "failed"], str]:
    """What the customer is told once the money has moved, or has not."""
    if not outcome.paid:
        return "failed", PAYMENT_FAILED
    text = f"You get {outcome.amount} {outcome.currency} back, to the payment that you made."
    if outcome.amount < refund.amount:
        rest = refund.amount - outcome.amount
        text += f" The other {rest} {outcome.currency} did not go through. {A_PERSON_LOOKS}"
    if refund.amount != request.amount:
        text += f" You asked for {request.amount} {outcome.currency}"
        text += f": {refund.reason}" if refund.reason != request.reason else "."
    return "refunded", text


A_PERSON_LOOKS = "A person looks after it, and you need not do anything."
PAYMENT_FAILED = f"Your refund is approved, but the payment did not go through. {A_PERSON_LOOKS}"


def _news(request: Request, decision: Decision[Refund], status: str, text: str) -> News:
    """The note tells the agent exactly what was decided: an edited amount, above all."""
    approved = f", {decision.value.amount} EUR approved" if isinstance(decision, Approved) else ""
    note = (
        f"Case {request.case_id} about order {request.order_number} is decided: {status}; "
        f"{request.amount} EUR asked for{approved}. The customer was told: {text}"
    )
    return News(request.case_id, status, text, note)


def _evidence(request: Request, order: OrderFacts) -> list[Evidence]:
    """What a person needs to decide: who said what, what is on record, what the rules say."""
    found: list[Evidence] = [
        Conversation(lines=lines_of(request.conversation)),
        Facts(title="Order", facts=order.facts),
    ]
    policy = [order.policy] if order.policy is not None else []
    read = {passage.article: passage for passage in [*policy, *request.passages]}
    found += [
        Document(title=each.title, source=f"{each.article}, version {each.version}", text=each.text)
        for each in read.values()
    ]
    if not read:
        found.append(REFUND_POLICY)
    if request.proposal:
        found.append(Document(title="The agent's view", text=request.proposal, by_model=True))
    return found


@app.orchestrator
async def contact_request(ctx: Context, request: Request) -> str:
    """Ask people before an account gets another e-mail address; `reason` is the new address."""
    order = await ctx.call_activity(look_up, request.order_number)
    decision = await ctx.approval(
        ContactChange(order.customer, order.email, request.reason),
        title=f"Change the e-mail address of {order.customer} to {request.reason}",
        evidence=[Conversation(lines=lines_of(request.conversation)),
                  Facts(title="Account", facts=order.facts), CONTACT_POLICY],
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


def lines_of(said: Iterable[Said]) -> list[Line]:
    """What was said, as evidence."""
    return [Line(author=each.author, role=each.role, text=each.text) for each in said]


REFUND_POLICY = Document(
    title="Refunds and returns",
    source="Policy 4.2",
    text=(
        "Broken or wrong items are refunded in full within 24 months of the order. Items that are "
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
    """The case in the shop's records waits for a decision; a repeated call changes nothing."""
    with records() as session:
        case = Case(request.case_id, request.order_number, request.amount, request.reason)
        cases.open_case(session, case)
        key = current_activity().idempotency_key
        cases.move_case(session, request.case_id, "pending_approval", key=key)
        facts = _facts_of(session, request.order_number, request.case_id)
    if request.amount >= SIGNED_IN_LATELY:
        facts = replace(facts, fresh_sign_in=LATELY)
    HUB.publish(request.talk_id, Changed())
    return facts


@app.activity(retry=RetryPolicy(max_number_of_attempts=5))
def look_up(order_number: str) -> OrderFacts:
    """What the records say of the order, now."""
    with records() as session:
        return _facts_of(session, order_number)


def _facts_of(session: Session, order_number: str, case_id: str = "") -> OrderFacts:
    order = session.get(Order, order_number)
    if order is None:
        raise NonRetryableError(f"There is no order {order_number}.")
    left = ledger.refundable(session, order_number)
    paid = sum((payment.amount for payment in order.payments), Decimal(0))
    payments = "; ".join(f"{each.amount} by {each.method}" for each in order.payments)
    facts = {
        "Order": f"{order.number}, {order.ordered_at:%d %B %Y}",
        "Customer": f"{order.customer.name} <{order.customer.email}>",
        "Items": "; ".join(f"{item.quantity} x {item.product}" for item in order.items),
        "Payments": payments or "none",
        "Paid": f"{paid} {order.currency}",
        "Refunded so far": f"{paid - left} {order.currency}",
        "Left to refund": f"{left} {order.currency}",
    }
    case = session.get(CaseRecord, case_id) if case_id else None
    policy = _passage(session, case.policy) if case is not None else None
    return OrderFacts(order.customer.name, order.customer.email, left, facts, policy)


def _passage(session: Session, article_id: str) -> Passage | None:
    found = knowledge.article(session, article_id) if article_id else None
    return found and Passage(found.id, found.version, found.title, found.body)


@app.activity(retry=PATIENTLY)
def refundable(order_number: str) -> Decimal:
    """What the order has left to give back: asked at the opening and again before the payment."""
    with records() as session:
        return ledger.refundable(session, order_number)


# Past a day: an answer that the gateway keeps for a key may be an error of its own for so long, and
# another key could pay twice. Each attempt looks before it asks (`paying.pay`). A part of a refund
# takes two minutes at the slowest; what an attempt has no time for, the next one asks.
UNTIL_IT_IS_KNOWN = RetryPolicy(
    max_number_of_attempts=60,
    first_retry_interval=timedelta(seconds=2),
    backoff_coefficient=2.0,
    max_retry_interval=timedelta(minutes=30),
)


@app.activity(retry=UNTIL_IT_IS_KNOWN, timeout=timedelta(minutes=5), requires_approval=True)
def pay_back(refund: Refund) -> Outcome:
    """Give the money back: exactly what was approved, once for each decision."""
    attempt = current_activity()
    gateway = choose_gateway(os.environ)
    try:
        asked = _ask(refund, attempt.idempotency_key, gateway)
    except AskedElsewhere:  # a setting, which somebody can mend: the next attempt asks again
        raise
    except (AskedAlready, KeyReused) as refusal:  # something was asked for, and may be paid
        raise NonRetryableError(str(refusal)) from refusal
    except SupportError as refusal:
        return _not_asked(refund, attempt.idempotency_key, str(refusal))
    parts = _answers(gateway, asked, first=attempt.attempt == 1)
    paid = [each for each in parts if each.status == "paid"]
    return Outcome(
        paid=bool(paid),
        amount=sum((each.amount for each in paid or parts), Decimal(0)),
        currency=parts[0].currency,
        reference=", ".join(each.reference for each in paid),
        words=payouts.remark(parts),
    )


def _ask(refund: Refund, key: str, gateway: RefundGateway) -> list[Payout]:
    """The case is approved, and what the gateway is asked for is on record before it is asked."""
    with writing(shop_database()) as session:
        cases.move_case(session, refund.case_id, "approved", key=f"{key}/approved")
        return payouts.write_payouts(
            session,
            case_id=refund.case_id,
            amount=refund.amount,
            key=key,
            gateway=gateway.name,
            by_payment=gateway.by_payment,
        )


def _answers(gateway: RefundGateway, parts: list[Payout], *, first: bool) -> list[Payout]:
    """Ask for each part that has no answer, and write its answer down before the next is asked.

    A part that nobody is sure of does not hold up the others: all share the same attempts. Raises
    what the first such part did, and what is final only once no other part can be found out.
    """
    answered: list[Payout] = []
    troubles: list[Exception] = []
    for part in parts:
        if part.status != "asked":
            answered.append(part)
            continue
        try:
            answer = _pay(gateway, part, first=first)
        except Exception as trouble:
            troubles.append(trouble)
        else:
            answered.append(_answer(part, answer))
    if troubles:
        raise min(troubles, key=lambda trouble: isinstance(trouble, NonRetryableError))
    return answered


def _not_asked(refund: Refund, key: str, words: str) -> Outcome:
    """Our own records refuse it, before anybody was asked: so nothing is paid."""
    with records() as session:
        cases.move_case(session, refund.case_id, "approved", key=f"{key}/approved")
        cases.move_case(session, refund.case_id, "failed", reason=words, key=f"{key}/failed")
        currency = session.get_one(Order, refund.order_number).currency
    return Outcome(False, refund.amount, currency, "", words)


def _pay(gateway: RefundGateway, payout: Payout, *, first: bool) -> Paid | Declined:
    order = RefundOrder(
        key=payout.key,
        case_id=payout.case_id,
        order_number=payout.order_number,
        payment_reference=payout.payment_reference,
        amount=payout.amount,
        currency=payout.currency,
    )
    try:
        return pay(gateway, order, first=first)
    except KeyReused as refusal:
        raise NonRetryableError(str(refusal)) from refusal


def _answer(payout: Payout, answer: Paid | Declined) -> Payout:
    with records() as session:
        if isinstance(answer, Declined):
            return payouts.write_declined(session, payout.key, answer.words)
        return payouts.write_paid(session, payout.key, answer.reference)


@app.activity(retry=PATIENTLY, requires_approval=True)
def change_contact(change: ContactChange) -> None:
    """Write the new address down; a repeated call changes nothing."""
    with records() as session:
        customer = session.scalar(select(Customer).where(Customer.email == change.old_email))
        if customer is not None:
            customer.email = change.new_email


@app.activity(retry=PATIENTLY)
def settle(case_id: str, status: CaseStatus, text: str) -> None:
    """Move the case, and write to the customer where there is something to say, in one transaction;
    a repeated call changes nothing. What was approved, paid or declined was moved with the money.
    """
    with records() as session:
        key = current_activity().idempotency_key
        if status not in ("approved", "refunded", "failed"):
            cases.move_case(session, case_id, status, reason=text, key=key)
        if text:
            messages.write_message(
                session, case_id=case_id, text=text, key=f"{key}/told", outcome=True
            )
        talk_id = session.get_one(CaseRecord, case_id).conversation_id
    HUB.publish(talk_id, Changed())
