"""Cases and orders as their customer sees them: a few words, and how far it got."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from support_agent.shop.lookup import CaseView, OrderView
from support_agent.shop.records import CaseStatus
from support_agent.web.text import date_of, money, one_line, plain

REFUND_CASE, A_PERSON = "Refund", "A person for you"
Tone = Literal["", "info", "ok", "no", "warn"]
Reached = Literal["done", "now", "later", "stopped"]


@dataclass(frozen=True, slots=True)
class Step:
    label: str
    reached: Reached


@dataclass(frozen=True, slots=True)
class Card:
    """One case. `mark` changes with whatever is shown."""

    id: str
    kind: str
    about: str
    status: str
    tone: Tone
    icon: str
    amount: str
    words: str
    steps: tuple[Step, ...]
    is_open: bool
    mark: str


@dataclass(frozen=True, slots=True)
class Manner:
    """How a status is told: a short word, how it looks, and what it means for the customer."""

    status: str
    tone: Tone
    icon: str
    words: str
    steps: tuple[Reached, Reached, Reached]


WAITS = Manner(
    "Waiting for a person",
    "warn",
    "wait",
    "A person decides on it. Nothing has been refunded yet; you are told here as soon as it is "
    "decided.",
    ("done", "now", "later"),
)

REFUND: Mapping[CaseStatus, Manner] = {
    "opened": WAITS,
    "pending_approval": WAITS,
    "approved": Manner(
        "Approved", "info", "check", "The money is being sent.", ("done", "done", "now")
    ),
    "refunded": Manner("Refunded", "ok", "check", "", ("done", "done", "done")),
    "rejected": Manner(
        "Declined", "no", "cross", "It was not approved.", ("done", "stopped", "later")
    ),
    "expired": Manner(
        "Expired",
        "warn",
        "clock",
        "Nobody decided in time, so nothing was refunded. That is no refusal: please ask again.",
        ("done", "stopped", "later"),
    ),
    "failed": Manner(
        "Payment failed",
        "no",
        "alert",
        "It was approved, but the payment did not go through. A person looks after it.",
        ("done", "done", "stopped"),
    ),
    "with_person": Manner(
        "With a person", "info", "person", "A person has taken it over.", ("done", "now", "later")
    ),
    "closed": Manner("Closed", "", "check", "", ("done", "done", "later")),
}

ASKED_FOR = Manner(
    "Waiting for a person",
    "warn",
    "wait",
    "A person answers you here as soon as one is free. You can go on writing.",
    ("done", "now", "later"),
)

ESCALATION: Mapping[CaseStatus, Manner] = {
    **REFUND,
    "opened": ASKED_FOR,
    "pending_approval": ASKED_FOR,
    "with_person": Manner(
        "With a person", "info", "person", "A person answers you here.", ("done", "done", "now")
    ),
    "closed": Manner("Closed", "", "check", "", ("done", "done", "done")),
    "expired": Manner(
        "Expired",
        "warn",
        "clock",
        "Nobody was free in time. That is our fault: please ask again.",
        ("done", "stopped", "later"),
    ),
}

STEPS = {
    "refund": ("Received", "A person decides", "Money sent"),
    "escalation": ("Received", "A person comes", "They answer you"),
}


def card_of(case: CaseView) -> Card:
    manner = (REFUND if case.kind == "refund" else ESCALATION)[case.status]
    about = f"Order {plain(case.order_number)}" if case.order_number else one_line(case.reason)
    card = Card(
        id=plain(case.id),
        kind=REFUND_CASE if case.kind == "refund" else A_PERSON,
        about=about,
        status=manner.status,
        tone=manner.tone,
        icon=manner.icon,
        amount=_amount(case),
        words=plain(case.outcome) or manner.words,
        steps=tuple(
            Step(label, reached)
            for label, reached in zip(STEPS[case.kind], manner.steps, strict=True)
        ),
        is_open=case.is_open,
        mark="",
    )
    return replace(card, mark=hashlib.sha256(repr(card).encode()).hexdigest()[:12])


def _amount(case: CaseView) -> str:
    """ "€49.00 of €64.50 asked for": what was decided, beside what was asked."""
    if case.amount is None:
        return ""
    asked = money(case.amount, case.currency)
    if case.refunded_amount is None:
        return f"{asked} asked for"
    paid = money(case.refunded_amount, case.currency)
    return paid if case.refunded_amount == case.amount else f"{paid} of {asked} asked for"


@dataclass(frozen=True, slots=True)
class OrderCard:
    """One order, for the customer to pick and for a supervisor to read."""

    number: str
    ordered: str
    items: tuple[str, ...]
    total: str
    payments: tuple[str, ...]
    refunded: str
    state: str
    note: str
    charged_twice: bool


def order_card(order: OrderView) -> OrderCard:
    return OrderCard(
        number=plain(order.number),
        ordered=date_of(order.ordered_at),
        items=tuple(f"{item.quantity} x {plain(item.product)}" for item in order.items),
        total=money(order.total, order.currency),
        payments=tuple(
            f"{money(each.amount, order.currency)} by {plain(each.method)}"
            + (f", {date_of(each.paid_at)}" if each.paid_at else "")
            for each in order.payments
        ),
        refunded=money(order.refunded, order.currency) if order.refunded else "",
        state=_state(order),
        note=plain(order.note),
        charged_twice=order.charged_twice,
    )


def _state(order: OrderView) -> str:
    if order.delivered_at is not None:
        return f"Delivered {date_of(order.delivered_at)}"
    if order.dispatched_at is not None:
        return f"Sent {date_of(order.dispatched_at)}"
    return "Paid" if order.payments else "Not paid yet"
