"""What the shop promises about refunds, as rules on what is on record.

Pure: the order, the request and the moment come in, what may be asked of a person comes out. These
rules refuse what no person could approve; everything else is for a person to decide. The articles
of the knowledge base say the same in words, and each answer here names the one that applies.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal

from support_agent.shop.errors import InvalidAmount
from support_agent.shop.money import positive

RETURN_DAYS = 30
"""For what is merely not liked."""
WARRANTY_YEARS = 2
"""For what is broken or faulty."""
NOTHING = Decimal("0.00")

Topic = Literal["double_charge", "fault", "other"]

_PAYING = r"(charged?|charges|paid|pay|payments?|debit(ed)?|billed|bill|booked|taken|took|money)"
_TWICE = r"(twice|double|doubled|two times|2 ?x|2 times|duplicated?|second time)"
_DOUBLE_CHARGE = re.compile(rf"\b({_PAYING}\b.*\b{_TWICE}|{_TWICE}\b.*\b{_PAYING})\b", re.DOTALL)
_FAULT = re.compile(
    r"\b(broken?|break|breaks|broke|cracks?|cracked|chipped|shattered|smashed|damaged?|defect\w*"
    r"|fault\w*|leaks?|leaking|torn|bent|scratched|dead|stopped working|does not work"
    r"|doesn'?t work|not working|won'?t work|pieces|missing"
    r"|wrong (item|product|colou?r|size|one))\b"
)


@dataclass(frozen=True, slots=True)
class Account:
    """The money of one order, as it is on record."""

    order_number: str
    ordered_at: datetime
    currency: str
    total: Decimal
    paid: Decimal
    returned: Decimal

    @property
    def left(self) -> Decimal:
        """What came in and has not gone back: no refund is larger."""
        return self.paid - self.returned

    @property
    def overpaid(self) -> Decimal:
        """What came in beyond the order's total and has not gone back, as after a double charge."""
        return max(self.left - self.total, NOTHING)

    @property
    def return_until(self) -> date:
        """The last day to send back what is merely not liked."""
        return self.ordered_at.date() + timedelta(days=RETURN_DAYS)

    @property
    def warranty_until(self) -> date:
        """The last day to ask for money because something is broken or faulty."""
        day = self.ordered_at.date()
        try:
            return day.replace(year=day.year + WARRANTY_YEARS)
        except ValueError:  # bought on 29 February: the customer gets the day more
            return date(day.year + WARRANTY_YEARS, 3, 1)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a person may be asked to approve, and the article that applies."""

    amount: Decimal
    policy: str


@dataclass(frozen=True, slots=True)
class RefusedRequest:
    """What the records do not allow. The words are for the customer; `policy` is an article's id,
    empty where none applies."""

    code: str
    words: str
    policy: str


def topic_of(reason: str) -> Topic:
    """What the customer's words speak of: enough to name an article, never to decide anything."""
    said = reason.casefold()
    if _DOUBLE_CHARGE.search(said):
        return "double_charge"
    return "fault" if _FAULT.search(said) else "other"


def review(
    account: Account, *, reason: str, amount: Decimal | None, now: datetime
) -> Proposal | RefusedRequest:
    """Whether a person may be asked for this refund.

    Without an amount the customer asks for all that is left, or, where an order was charged twice
    and the words say so, for what was paid too much.
    """
    topic = topic_of(reason)
    if refusal := _nothing_left(account):
        return refusal
    if amount is None:
        too_much = topic == "double_charge" and account.overpaid > 0
        amount = account.overpaid if too_much else account.left
    try:
        amount = positive(amount)
    except InvalidAmount:
        return RefusedRequest(
            "invalid_amount",
            f"{amount} is not an amount we can refund: it has to be more than zero, with at most"
            " two decimals.",
            "refunds",
        )
    if amount > account.left:
        return RefusedRequest(
            "amount_too_large",
            f"{_money(amount, account)} is more than order {account.order_number} has left to"
            f" refund, which is {_money(account.left, account)}.",
            "refunds",
        )
    # What was paid too much is the customer's own money: no window closes on it.
    if now.date() > account.warranty_until and amount > account.overpaid:
        return RefusedRequest(
            "outside_window",
            f"Order {account.order_number} is of {_day(account.ordered_at)}. Returns end"
            f" {RETURN_DAYS} days after the order and the warranty on faults ended on"
            f" {_day(account.warranty_until)}, so it can no longer be refunded.",
            "warranty",
        )
    return Proposal(amount, _article(account, topic, now.date()))


def _nothing_left(account: Account) -> RefusedRequest | None:
    if account.paid == 0:
        return RefusedRequest(
            "nothing_paid",
            f"Nothing was paid for order {account.order_number}, so there is nothing to refund.",
            "refunds",
        )
    if account.left <= 0:
        return RefusedRequest(
            "already_refunded",
            f"All {_money(account.paid, account)} of order {account.order_number} were refunded"
            " already.",
            "refunds",
        )
    return None


def _article(account: Account, topic: Topic, today: date) -> str:
    """The article that a person will hold the request against."""
    in_return_window = today <= account.return_until
    match topic:
        case "double_charge":
            return "double-charges"
        case "fault":
            return "broken-items" if in_return_window else "warranty"
        case "other":
            return "returns" if in_return_window else "warranty"


def _money(amount: Decimal, account: Account) -> str:
    return f"{amount} {account.currency}"


def _day(moment: date) -> str:
    return f"{moment.day} {moment:%B %Y}"
