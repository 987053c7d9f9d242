"""Money is a Decimal outside the database and a whole number of cents inside; never a float."""

from decimal import Decimal

from sqlalchemy import BigInteger, Dialect, TypeDecorator

from support_agent.shop.errors import InvalidAmount

CURRENCY = "EUR"  # the shop sells in one currency
CENT = Decimal("0.01")
LARGEST = Decimal("99999999.99")


def to_cents(amount: Decimal) -> int:
    """Exactly `amount` in cents. Never rounds.

    Raises InvalidAmount for a fraction of a cent, a number too large for the shop, or no number.
    """
    if not amount.is_finite() or abs(amount) > LARGEST:
        raise InvalidAmount(amount)
    # Compared, not divided: a quotient is rounded to the 28 digits of the context.
    whole = amount.quantize(CENT)
    if whole != amount:
        raise InvalidAmount(amount)
    return int(whole.scaleb(2))


def from_cents(cents: int) -> Decimal:
    """The amount with its two decimals: 6450 is 64.50, not 64.5."""
    return Decimal(cents).scaleb(-2)


def positive(amount: Decimal) -> Decimal:
    """`amount` with two decimals, or InvalidAmount when it is not a sum that can be paid."""
    cents = to_cents(amount)
    if cents <= 0:
        raise InvalidAmount(amount)
    return from_cents(cents)


class Money(TypeDecorator[Decimal]):
    """A column of money: Decimal in Python, cents in the table."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        return None if value is None else to_cents(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else from_cents(value)
