"""The refund gateway port: what the case workflow asks of whoever moves the money.

Only four things can follow an order: it was paid, it was declined, it surely did not happen yet,
or nobody knows. The last one is the reason for this port: an answer that got lost is not a "no",
and asking again without looking can pay twice. `paying.pay` keeps that rule for every gateway.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from support_agent.shop.errors import KeyReused, SupportError


@dataclass(frozen=True, slots=True)
class RefundOrder:
    """One refund that a person has decided. Its key stands for it and for nothing else, ever.

    `payment_reference` is the payment as the gateway knows it; `amount` is in whole units of
    `currency`: 64.50 EUR.
    """

    key: str
    case_id: str
    order_number: str
    payment_reference: str
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Paid:
    """The gateway holds exactly one refund for the key, and `reference` names it there.

    The amount and the currency are those of the gateway's record. The money is on its way; a bank
    may still send it back days later, and then `find` answers Declined.
    """

    reference: str
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Declined:
    """No money has moved for this key: the gateway considered the order and said no.

    `code` is the gateway's own, for programs; `words` are for the staff, not for the customer.
    To try once more is a new decision, under a new key.
    """

    code: str
    words: str


class OutcomeUnknown(Exception):
    """The money may have moved: look before asking again.

    `seconds` is how long the gateway wants to be left alone, when it said so.
    """

    def __init__(self, key: str, because: str, *, seconds: float | None = None) -> None:
        super().__init__(
            f"Nobody knows yet whether refund {key} was paid: {because}. "
            "Look with find() before asking again."
        )
        self.key = key
        self.because = because
        self.seconds = seconds


class TryLater(Exception):
    """This request surely moved no money, and a later one may: rate limit, nobody listening.

    `seconds` is how long the gateway wants to be left alone, when it said so.
    """

    def __init__(self, because: str, *, seconds: float | None = None) -> None:
        pause = "a while" if seconds is None else f"{seconds:g} s"
        super().__init__(f"No money has moved: {because}. Ask again in {pause}.")
        self.because = because
        self.seconds = seconds


class GatewayMisconfigured(SupportError):
    """A setting is wrong. Asking again changes nothing until a person has mended it."""


def key_reused(order: RefundOrder, case_id: str, amount: Decimal) -> KeyReused:
    """The refusal of a key that already stands for `amount` of case `case_id`."""
    return KeyReused(order.key, f"{amount} for {case_id}", f"{order.amount} for {order.case_id}")


class RefundGateway(Protocol):
    """Whoever gives money back."""

    @property
    def name(self) -> str:
        """What people call it: in logs, and beside a reference."""
        ...

    @property
    def by_payment(self) -> bool:
        """Whether a refund comes out of its one payment, and so cannot be more than it."""
        ...

    def refund(self, order: RefundOrder) -> Paid | Declined:
        """Ask for the refund once; never asks again by itself. Called by `paying.pay` only.

        Idempotent by: `order.key`. A repeat is the same refund and gets the first one's answer.
        How long a gateway keeps that promise is its own (Stripe: a day at least), so a repeat
        comes after a look with `find`.
        Raises: OutcomeUnknown, TryLater; KeyReused when the key stands for another refund;
        GatewayMisconfigured.
        """
        ...

    def find(self, order: RefundOrder) -> Paid | Declined | None:
        """What became of the key, from the gateway's own records. Moves nothing.

        None: those records were read to the end, and hold no refund of this key. It says nothing
        of a request that is still on its way there; against that one, the key protects.
        Raises: OutcomeUnknown when it cannot tell (never TryLater: that no money moved is just
        what it could not find out); KeyReused when the key stands for another refund;
        GatewayMisconfigured.
        """
        ...
