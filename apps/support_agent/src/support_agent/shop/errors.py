"""What the shop's records refuse: one tree, in the order of a case's life.

Asking again with the same words changes nothing, so nobody should retry these.
"""

from collections.abc import Sequence
from decimal import Decimal


class SupportError(Exception):
    """Base of every refusal in this package."""


class InvalidAmount(SupportError):
    """An amount of money that is not a whole number of cents above zero."""

    def __init__(self, amount: Decimal) -> None:
        super().__init__(f"{amount} is no amount: give more than zero, with at most two decimals.")
        self.amount = amount


class OrderFileRefused(SupportError):
    """An order file with bad rows; nothing of it was imported."""

    def __init__(self, bad_rows: Sequence[object]) -> None:
        listed = "\n".join(f"  {row}" for row in bad_rows)
        super().__init__(
            f"Nothing was imported: {len(bad_rows)} bad row(s). Mend them, or skip their orders.\n"
            f"{listed}"
        )
        self.bad_rows = tuple(bad_rows)


class UnknownOrder(SupportError):
    """No order has this number."""

    def __init__(self, order_number: str) -> None:
        super().__init__(f"There is no order {order_number}. Import the order file that holds it.")
        self.order_number = order_number


class UnknownCase(SupportError):
    """No case has this id."""

    def __init__(self, case_id: str) -> None:
        super().__init__(f"There is no case {case_id}. Open it before starting its workflow.")
        self.case_id = case_id


class CaseDiffers(SupportError):
    """A case id that already stands for another request."""

    def __init__(self, case_id: str) -> None:
        super().__init__(f"Case {case_id} is another request already. Open this one as a new case.")
        self.case_id = case_id


class CaseCannotMove(SupportError):
    """A move that the table of moves does not have."""

    def __init__(self, case_id: str, current: str, wanted: str) -> None:
        super().__init__(f"Case {case_id} is {current} and cannot become {wanted}. Open a new one.")
        self.case_id = case_id
        self.current = current
        self.wanted = wanted


class KeyReused(SupportError):
    """An idempotency key that already stands for something else."""

    def __init__(self, key: str, stands_for: str, asked_for: str) -> None:
        super().__init__(
            f"Key {key} stands for {stands_for}; it cannot also mean {asked_for}. Use a new key."
        )
        self.key = key
        self.stands_for = stands_for
        self.asked_for = asked_for


class CaseNotApproved(SupportError):
    """Money asked for a case that nobody has approved."""

    def __init__(self, case_id: str, status: str) -> None:
        super().__init__(f"Case {case_id} is {status}; only an approved case is refunded.")
        self.case_id = case_id
        self.status = status


class CaseAlreadyRefunded(SupportError):
    """A second refund, under a new key, of one case."""

    def __init__(self, case_id: str, receipt_number: str) -> None:
        super().__init__(f"Case {case_id} was refunded as {receipt_number}. Open a new case.")
        self.case_id = case_id
        self.receipt_number = receipt_number


class RefundTooLarge(SupportError):
    """More money than the records allow."""

    def __init__(self, asked: Decimal, allowed: Decimal, because: str) -> None:
        super().__init__(f"{asked} is more than {allowed}, {because}.")
        self.asked = asked
        self.allowed = allowed
