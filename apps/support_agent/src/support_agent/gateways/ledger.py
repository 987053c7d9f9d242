"""The embedded ledger as a gateway: the money moves in the shop's own records."""

import re
from collections.abc import Callable

from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from support_agent.gateways.port import (
    Declined,
    OutcomeUnknown,
    Paid,
    RefundOrder,
    TryLater,
    key_reused,
)
from support_agent.shop import ledger
from support_agent.shop.database import reading, shop_database, writing
from support_agent.shop.errors import KeyReused, SupportError
from support_agent.shop.ledger import Receipt
from support_agent.shop.records import Payment, Refund


class OrderDiffers(SupportError):
    """An order that speaks of another payment, order or currency than its case."""

    def __init__(self, order: RefundOrder, receipt: Receipt) -> None:
        super().__init__(
            f"Case {order.case_id} is about order {receipt.order_number} in {receipt.currency}; "
            f"payment {order.payment_reference}, order {order.order_number} and {order.currency} "
            "do not all belong to it."
        )


class LedgerGateway:
    """Refunds in the shop's own records, which keep a key for ever."""

    name = "ledger"
    by_payment = False  # its refunds are of an order, one for a case

    def __init__(self, database: Callable[[], Engine] = shop_database) -> None:
        """`database` is asked at each call, as the shop itself does."""
        self._database = database

    def refund(self, order: RefundOrder) -> Paid | Declined:
        """As the port says. Atomic: the refund is on disk before this answers, or there is none."""
        committing = False
        try:
            with writing(self._database()) as session:
                paid = _refund(session, order)
                committing = True
            return paid
        except KeyReused:
            raise
        except SupportError as refusal:
            return Declined(_code(refusal), str(refusal))
        except DBAPIError as error:
            # A commit whose answer got lost may have reached the disk; all before it was undone.
            if committing:
                raise OutcomeUnknown(order.key, "the records did not confirm it") from error
            raise TryLater("the shop's records are not available") from error

    def find(self, order: RefundOrder) -> Paid | None:
        """As the port says. What was declined left no trace here."""
        try:
            with reading(self._database()) as session:
                return _find(session, order)
        except DBAPIError as error:
            raise OutcomeUnknown(order.key, "the shop's records are not available") from error


def _refund(session: Session, order: RefundOrder) -> Paid:
    """Pay, or raise and so take everything back."""
    earlier = _find(session, order)
    receipt = ledger.refund(session, case_id=order.case_id, amount=order.amount, key=order.key)
    payment = session.get(Payment, order.payment_reference)
    paid_for = None if payment is None else payment.order_number
    recorded = (receipt.order_number, receipt.order_number, receipt.currency)
    if (paid_for, order.order_number, order.currency) != recorded:
        if earlier is not None:
            raise key_reused(order, receipt.case_id, receipt.amount)
        raise OrderDiffers(order, receipt)
    return _paid(receipt)


def _find(session: Session, order: RefundOrder) -> Paid | None:
    entry = session.scalar(select(Refund).where(Refund.idempotency_key == order.key))
    if entry is None:
        return None
    if (entry.case_id, entry.amount) != (order.case_id, order.amount):
        raise key_reused(order, entry.case_id, entry.amount)
    (receipt,) = (
        found.receipt
        for found in ledger.entries(session, entry.case_id)
        if found.idempotency_key == order.key
    )
    return _paid(receipt)


def _paid(receipt: Receipt) -> Paid:
    return Paid(receipt.number, receipt.amount, receipt.currency)


def _code(refusal: SupportError) -> str:
    """The name of the refusal as a code: RefundTooLarge is refund_too_large."""
    return re.sub("(?<!^)(?=[A-Z])", "_", type(refusal).__name__).lower()
