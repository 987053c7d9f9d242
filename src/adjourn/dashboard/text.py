"""Our own words for ids, amounts and lists.

Nothing here makes HTML: the templates escape whatever they write.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from adjourn.approvals.text import plain

NameOf = Callable[[str], str]
"""The name that stands for a person's id."""

_SIGNS = {"USD": "$", "EUR": "\u20ac", "GBP": "\u00a3", "JPY": "\u00a5", "INR": "\u20b9"}


def money(amount: object, currency: str = "") -> str:
    """`$1,250.00`, `1,250.00 CHF`, `1,250`: digits grouped, none of them lost."""
    try:
        number = Decimal(str(amount))
    except InvalidOperation:
        return f"{plain(amount)} {plain(currency)}".strip()
    if not number.is_finite():
        return plain(amount)
    exact = number.normalize() if currency == "" else number
    places = max(0, -int(exact.as_tuple().exponent))
    digits = f"{number:,.{max(places, 2 if currency else 0)}f}"
    sign = _SIGNS.get(currency.upper())
    if sign is None:
        return f"{digits} {plain(currency)}".strip()
    return digits.replace("-", f"-{sign}") if digits.startswith("-") else sign + digits


def recipient(word: str, name_of: NameOf) -> str:
    """`group:finance` is "the finance group", `role:lead` "any lead", an id is that person."""
    kind, colon, rest = word.partition(":")
    if colon and kind == "group":
        return f"the {plain(rest)} group"
    if colon and kind == "role":
        return f"any {plain(rest)}"
    return name_of(word)


def listed(words: list[str], last: str = "and") -> str:
    """`a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def counted(number: int, noun: str) -> str:
    """`1 comment`, `3 comments`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def initials(name: str) -> str:
    """Up to two letters for a round badge."""
    letters = [word[0] for word in plain(name).split() if word[0].isalnum()]
    return "".join(letters[:1] + letters[1:][-1:]).upper() or "?"
