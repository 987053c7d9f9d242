"""The six things the agent can do: look up, read the policy, and ask for a person's decision.

None of them pays, approves or decides anything, and none takes a customer's id or address: whose
orders these are, the server knows. What a model says is checked twice, its form here and its
meaning by the shop's records. Each tool may run again after a crash, so what writes has a key.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_ai import RunContext

from support_agent.agent.deps import Deps
from support_agent.agent.redact import EMAIL_MARK
from support_agent.agent.results import (
    ArticlePassage,
    CaseInShort,
    CaseOpened,
    CasesFound,
    CustomerFound,
    Item,
    OrderFound,
    OrderInShort,
    PassagesFound,
    PaymentMade,
    Refused,
    refused,
)
from support_agent.shop import knowledge, lookup, requests
from support_agent.shop.database import reading, shop_database, writing
from support_agent.shop.lookup import CaseView, OrderView
from support_agent.shop.money import CURRENCY, LARGEST
from support_agent.shop.records import CasePriority
from support_agent.shop.requests import OpenedCase, RefusedRequest

LONGEST_NUMBER = 40
LONGEST_QUESTION = 300
SHORTEST_REASON, LONGEST_REASON = 3, 500
MOST_ORDERS = 10
MOST_CASES = 10
MOST_PASSAGES = 3
LONGEST_PASSAGE = 1_800  # characters of the best article: any of ours, whole

NEXT_STEP: dict[str, str] = {
    "refund": "A person decides on this. Nothing has been approved, and nothing has been paid.",
    "escalation": "A person will answer in this conversation.",
}


def _one_line(text: str) -> str:
    """Without line breaks and control characters, which could look like somebody else's lines."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


Number = Annotated[str, StringConstraints(strip_whitespace=True, max_length=LONGEST_NUMBER)]
OrderNumber = Annotated[Number, Field(min_length=1, examples=["A-1042"])]
Question = Annotated[
    str, StringConstraints(min_length=2, max_length=LONGEST_QUESTION), AfterValidator(_one_line)
]
Reason = Annotated[
    str,
    StringConstraints(min_length=SHORTEST_REASON, max_length=LONGEST_REASON),
    AfterValidator(_one_line),
]
Amount = Annotated[Decimal, Field(gt=0, le=LARGEST, decimal_places=2)]


def lookup_order(ctx: RunContext[Deps], order_number: OrderNumber) -> OrderFound | Refused:
    """Look up one order of the customer: items, payments, delivery, what can be refunded.

    Args:
        order_number: The number as the customer wrote it, like A-1042.
    """
    with reading(shop_database()) as session:
        found = lookup.order_of(session, ctx.deps.customer_id, order_number)
        return _unknown_order() if found is None else _order(found)


def lookup_customer(ctx: RunContext[Deps]) -> CustomerFound | Refused:
    """Look up the customer who is signed in, with their latest orders."""
    with reading(shop_database()) as session:
        customer = lookup.customer_of(session, ctx.deps.customer_id)
        if customer is None:
            return refused("unknown_customer", "There is no such customer any more.")
        orders = lookup.orders_of(session, ctx.deps.customer_id, MOST_ORDERS)
    return CustomerFound(
        outcome="customer",
        name=customer.name,
        email=_masked(customer.email),
        orders=[_order_in_short(order) for order in orders],
    )


def search_knowledge_base(ctx: RunContext[Deps], question: Question) -> PassagesFound:
    """Search the shop's articles: policies, delivery, payment, returns, warranty.

    Args:
        question: What to find out, in a few words.
    """
    with reading(shop_database()) as session:
        found = knowledge.search(session, question, MOST_PASSAGES)
        best = knowledge.article(session, found[0].article, found[0].version) if found else None
    texts = [one.snippet for one in found]
    if best is not None:
        texts[0] = best.body[:LONGEST_PASSAGE]
    return PassagesFound(
        outcome="passages",
        passages=[
            ArticlePassage(article=one.article, version=one.version, title=one.title, text=text)
            for one, text in zip(found, texts, strict=True)
        ],
    )


def check_case_status(ctx: RunContext[Deps], case_id: Number = "") -> CasesFound | Refused:
    """Look up how a case stands and what was decided; without an id, all cases of the customer.

    Args:
        case_id: The case, like R-1001; empty for all.
    """
    with reading(shop_database()) as session:
        if not case_id:
            found = lookup.cases_of(session, ctx.deps.customer_id)[:MOST_CASES]
        elif case := lookup.case_of(session, ctx.deps.customer_id, case_id):
            found = [case]
        else:
            return refused("unknown_case", "There is no such case in your account.")
        return CasesFound(outcome="cases", cases=[_case(case) for case in found])


def issue_refund(
    ctx: RunContext[Deps], order_number: OrderNumber, reason: Reason, amount: Amount | None = None
) -> CaseOpened | Refused:
    """Ask a person to approve a refund: opens a case. This pays nothing by itself.

    Args:
        order_number: The order to refund.
        reason: Why, in the customer's words.
        amount: How much, in the order's currency; leave it out for all that can be refunded.
    """
    deps = ctx.deps
    with writing(shop_database()) as session:
        return _opened(
            requests.request_refund(
                session,
                key=_key(ctx),
                customer_id=deps.customer_id,
                order_number=order_number,
                reason=reason,
                amount=amount,
                conversation_id=deps.conversation_id,
                now=deps.now,
            )
        )


def escalate_to_human(
    ctx: RunContext[Deps], reason: Reason, priority: CasePriority = "normal"
) -> CaseOpened | Refused:
    """Ask a person to take this conversation over: opens a case for one.

    Args:
        reason: What the customer needs, in their words.
        priority: How pressing it is.
    """
    deps = ctx.deps
    with writing(shop_database()) as session:
        return _opened(
            requests.request_human(
                session,
                key=_key(ctx),
                customer_id=deps.customer_id,
                reason=reason,
                priority=priority,
                conversation_id=deps.conversation_id,
                now=deps.now,
            )
        )


TOOLS = (
    lookup_order,
    lookup_customer,
    search_knowledge_base,
    check_case_status,
    issue_refund,
    escalate_to_human,
)


def _key(ctx: RunContext[Deps]) -> str:
    """One key for one call, the same when it runs again.

    The id of a call alone would not do: some servers count from zero in every answer, and then a
    second request would be taken for the first one. So the message and the step are in it, too.
    """
    deps = ctx.deps
    message = deps.message_id or deps.now.isoformat()
    return f"{deps.conversation_id}/{message}/{ctx.run_step}/{ctx.tool_call_id}"


def _unknown_order() -> Refused:
    # The same for an order that does not exist and for one of somebody else.
    return refused("unknown_order", "There is no order with that number in your account.")


def _order(order: OrderView) -> OrderFound:
    def money(amount: Decimal) -> str:
        return _money(amount, order.currency)

    return OrderFound(
        outcome="order",
        order_number=order.number,
        ordered_on=_day(order.ordered_at),
        dispatched_on=_day(order.dispatched_at),
        delivered_on=_day(order.delivered_at),
        items=[
            Item(product=i.product, quantity=i.quantity, unit_price=money(i.unit_price))
            for i in order.items
        ],
        total=money(order.total),
        payments=[
            PaymentMade(
                reference=p.reference,
                method=p.method,
                amount=money(p.amount),
                paid_on=_day(p.paid_at),
            )
            for p in order.payments
        ],
        paid=money(order.paid),
        overpaid=money(order.overpaid),
        refunded=money(order.refunded),
        refundable=money(order.refundable),
        return_until=_day(order.return_until),
        warranty_until=_day(order.warranty_until),
        cases=list(order.cases),
        note=_one_line(order.note),
    )


def _order_in_short(order: OrderView) -> OrderInShort:
    return OrderInShort(
        order_number=order.number,
        ordered_on=_day(order.ordered_at),
        products=[item.product for item in order.items],
        total=_money(order.total, order.currency),
    )


def _case(case: CaseView) -> CaseInShort:
    currency = case.currency or CURRENCY
    return CaseInShort(
        case_id=case.id,
        kind=case.kind,
        status=case.status,
        order_number=case.order_number or "",
        asked=_money(case.amount, currency),
        refunded=_money(case.refunded_amount, currency),
        decision=case.outcome,
        opened_on=_day(case.opened_at),
    )


def _opened(case: OpenedCase | RefusedRequest) -> CaseOpened | Refused:
    if isinstance(case, RefusedRequest):
        return refused(case.code, case.words, case.policy)
    return CaseOpened(
        outcome="case_opened",
        case_id=case.case_id,
        kind=case.kind,
        order_number=case.order_number or "",
        amount=_money(case.amount, case.currency),
        reason=case.reason,
        already_open=case.already_open,
        policy=case.policy,
        next_step=NEXT_STEP[case.kind],
    )


def _money(amount: Decimal | None, currency: str) -> str:
    return "" if amount is None else f"{amount:.2f} {currency}"


def _day(moment: datetime | date | None) -> str:
    if moment is None:
        return ""
    return (moment.date() if isinstance(moment, datetime) else moment).isoformat()


def _masked(email: str) -> str:
    """Enough for the customer to tell which address it is; the model has no use for more."""
    name, at, host = email.partition("@")
    return f"{name[:1]}***{at}{host}" if at else EMAIL_MARK
