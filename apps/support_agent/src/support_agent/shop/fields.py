"""Checking one field of a file that a shop brings: text in, a value out.

Each check raises ValueError with the field's name and what is wrong there.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

ORDER_NUMBER = re.compile(r"[A-Z]{1,3}-[0-9]{1,10}")
SKU = re.compile(r"[A-Z0-9][A-Z0-9-]{0,39}")
EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")
QUANTITY = re.compile(r"[1-9][0-9]{0,3}")
AMOUNT = re.compile(r"[0-9]{1,7}\.[0-9]{2}")
PAYMENT_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}|")  # as Stripe: ch_3PqR
LONGEST_TEXT = 200
LONGEST_EMAIL = 254
LONGEST_METHOD = 40
LONGEST_NOTE = 2_000
YEARS = range(1970, 3000)
"""Of anything that happens in a shop; the windows that are counted from it stay in the calendar."""


def read_matching(
    cells: Mapping[str, str], column: str, pattern: re.Pattern[str], what: str
) -> str:
    value = cells[column]
    if not pattern.fullmatch(value):
        raise ValueError(f"{column}: {value!r} is not {what}")
    return value


def read_text(cells: Mapping[str, str], column: str, longest: int = LONGEST_TEXT) -> str:
    value = cells[column]
    if not value.strip() or value != value.strip() or not value.isprintable():
        raise ValueError(f"{column}: {value!r} is empty, padded, or holds control characters")
    if len(value) > longest:
        raise ValueError(f"{column}: longer than {longest} characters")
    return value


def read_email(cells: Mapping[str, str], column: str) -> str:
    """The address in lower case, as it is kept."""
    value = read_matching(cells, column, EMAIL, "an e-mail address").lower()
    if len(value) > LONGEST_EMAIL:
        raise ValueError(f"{column}: longer than {LONGEST_EMAIL} characters")
    return value


def read_amount(cells: Mapping[str, str], column: str) -> Decimal:
    return Decimal(read_matching(cells, column, AMOUNT, "an amount like 64.50"))


def read_moment(cells: Mapping[str, str], column: str) -> datetime:
    value = cells[column]
    try:
        moment = datetime.fromisoformat(value)
        in_utc = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{column}: {value!r} is not a moment like 2026-07-28T07:44:28Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"{column}: {value!r} has no time zone; add Z or an offset")
    if in_utc.year not in YEARS:
        raise ValueError(f"{column}: {value!r} is in no year from {YEARS[0]} to {YEARS[-1]}")
    return in_utc


def read_moment_if_known(cells: Mapping[str, str], column: str) -> datetime | None:
    return read_moment(cells, column) if cells.get(column) else None


def read_note(cells: Mapping[str, str], column: str) -> str:
    """What a customer wrote: may be empty, may have lines."""
    value = cells.get(column, "")
    if len(value) > LONGEST_NOTE or not value.replace("\n", "").isprintable():
        raise ValueError(
            f"{column}: holds control characters, or more than {LONGEST_NOTE} of any kind"
        )
    return value
