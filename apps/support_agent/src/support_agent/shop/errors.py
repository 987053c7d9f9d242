"""What the shop's records refuse: one tree, in the order of a case's life.

Asking again with the same words changes nothing, so nobody should retry these.
"""

from collections.abc import Sequence
from decimal import Decimal


class SupportError(Exception):
    """Base of every refusal in this package."""


class DatabaseUnusable(SupportError):
    """A setting that names no database which could hold the records."""

    def __init__(self, because: str) -> None:
        super().__init__(
            f"SUPPORT_DATABASE {because}. Name a file, sqlite:///support-data.db, or a server,"
            " postgresql+psycopg://user@host/name."
        )


class DatabaseTooNew(SupportError):
    """A database whose tables a newer program has changed."""

    def __init__(self, version: str, newest: str) -> None:
        super().__init__(
            f"The database is of version {version}, and this program knows up to {newest}. Start"
            " the newer program, or name another database in SUPPORT_DATABASE."
        )
        self.version = version
        self.newest = newest


class InvalidAmount(SupportError):
    """An amount of money that is not a whole number of cents above zero."""

    def __init__(self, amount: Decimal) -> None:
        super().__init__(f"{amount} is no amount: give more than zero, with at most two decimals.")
        self.amount = amount


class FileRefused(SupportError):
    """A file with bad rows; nothing of it was imported."""

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


class UnknownCustomer(SupportError):
    """No customer has this id."""

    def __init__(self, customer_id: int) -> None:
        super().__init__(f"There is no customer {customer_id}. Sign in as one who is on record.")
        self.customer_id = customer_id


class TicketSpent(SupportError):
    """A ticket that somebody has come in with already."""

    def __init__(self) -> None:
        super().__init__("This ticket was used already. Have the shop make another one.")


class UnknownPriority(SupportError):
    """A priority that no case has."""

    def __init__(self, priority: str, known: Sequence[str]) -> None:
        super().__init__(f"{priority!r} is no priority: say one of {', '.join(known)}.")
        self.priority = priority


class UnknownTalk(SupportError):
    """No talk has this id, or it is somebody else's."""

    def __init__(self, talk_id: str) -> None:
        super().__init__(f"There is no conversation {talk_id}. Begin it first.")
        self.talk_id = talk_id


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

    def __init__(
        self, case_id: str, current: str, wanted: str, next_move: str = "Open a new one."
    ) -> None:
        super().__init__(f"Case {case_id} is {current} and cannot become {wanted}. {next_move}")
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


class NotARefund(SupportError):
    """Money asked for a case that is no request for money."""

    def __init__(self, case_id: str) -> None:
        super().__init__(f"Case {case_id} asks for a person, not for money. Open a refund case.")
        self.case_id = case_id


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


class AskedAlready(SupportError):
    """A case whose refund was asked for under the key of another decision."""

    def __init__(self, case_id: str, asked: str, now: str) -> None:
        super().__init__(
            f"The refund of case {case_id} was asked for as {asked}; it is not asked for as {now}"
            " too. Open a new case."
        )
        self.case_id = case_id
        self.asked = asked
        self.now = now


class AskedElsewhere(SupportError):
    """A refund that another gateway was asked for: that one may have paid it."""

    def __init__(self, key: str, asked: str, now: str) -> None:
        super().__init__(
            f"Refund {key} was asked of {asked} and may be paid there; it is not asked of {now}"
            f" too. Set up {asked} again until it is known."
        )
        self.key = key
        self.asked = asked
        self.now = now


class RefundTooLarge(SupportError):
    """More money than the records allow."""

    def __init__(self, asked: Decimal, allowed: Decimal, because: str) -> None:
        super().__init__(f"{asked} is more than {allowed}, {because}.")
        self.asked = asked
        self.allowed = allowed
