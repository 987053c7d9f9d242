"""What the tools give back: small values of JSON, the same before and after a journal or a history.

Amounts are strings with their currency ("64.50 EUR"), days and moments ISO strings. `outcome` tells
the kinds apart. A request that was refused is data too: a code for programs and words for people.
"""

from typing import Literal

# Of typing_extensions: before Python 3.12, Pydantic makes no schema of the one in typing.
from typing_extensions import TypedDict


class Refused(TypedDict):
    """Something that will not be done; asking again with the same words changes nothing."""

    outcome: Literal["refused"]
    code: str
    words: str
    policy: str


class Item(TypedDict):
    product: str
    quantity: int
    unit_price: str


class PaymentMade(TypedDict):
    reference: str
    method: str
    amount: str
    paid_on: str


class OrderFound(TypedDict):
    """One order of the customer who is signed in. `note` is free text that somebody typed.

    Days are empty where nothing has happened yet, `note` where there is none.
    """

    outcome: Literal["order"]
    order_number: str
    ordered_on: str
    dispatched_on: str
    delivered_on: str
    items: list[Item]
    total: str
    payments: list[PaymentMade]
    paid: str
    overpaid: str
    refunded: str
    refundable: str
    return_until: str
    warranty_until: str
    cases: list[str]
    note: str


class OrderInShort(TypedDict):
    order_number: str
    ordered_on: str
    products: list[str]
    total: str


class CustomerFound(TypedDict):
    """The customer who is signed in, with the newest orders first."""

    outcome: Literal["customer"]
    name: str
    email: str
    orders: list[OrderInShort]


class ArticlePassage(TypedDict):
    article: str
    version: str
    title: str
    text: str


class PassagesFound(TypedDict):
    """What the knowledge base says, the best match first and at length; empty when it is silent."""

    outcome: Literal["passages"]
    passages: list[ArticlePassage]


class CaseInShort(TypedDict):
    """How far a case got. `refunded` and `decision` are empty until there is something to tell."""

    case_id: str
    kind: str
    status: str
    order_number: str
    asked: str
    refunded: str
    decision: str
    opened_on: str


class CasesFound(TypedDict):
    """The customer's cases, the newest first: all of them, or the one that was asked for."""

    outcome: Literal["cases"]
    cases: list[CaseInShort]


class CaseOpened(TypedDict):
    """A case that waits for a person. Nothing has been decided and nothing has been paid."""

    outcome: Literal["case_opened"]
    case_id: str
    kind: str
    order_number: str
    amount: str
    reason: str
    already_open: bool
    policy: str
    next_step: str


def refused(code: str, words: str, policy: str = "") -> Refused:
    return Refused(outcome="refused", code=code, words=words, policy=policy)


UNAVAILABLE = refused(
    "unavailable", "Our records cannot be reached at this moment. Please try again in a minute."
)
