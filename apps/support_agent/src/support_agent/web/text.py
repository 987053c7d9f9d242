"""Words that somebody else wrote, made safe to look at, and our own words for amounts and moments.

Nothing here makes HTML: the templates escape whatever they write.
"""

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

INVISIBLE = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols that draw nothing."""
JOINERS = frozenset("\u200c\u200d")
SELECTORS = range(0xFE00, 0xFE10)
TAGS_AND_SELECTORS = range(0xE0000, 0xE01F0)

SIGNS = {"EUR": "\u20ac", "USD": "$", "GBP": "\u00a3"}


def plain(text: object) -> str:
    """`text` with each character that hides itself or turns its neighbours shown as its number,
    like `<U+202E>`, so that what is read is what is there. Line breaks and tabs stay, and so do
    joiners between characters that are not ASCII, as in an emoji or in Persian."""
    given = str(text)
    if given.isascii() and given.isprintable():
        return given
    return "".join(
        f"\u27e8U+{ord(one):04X}\u27e9" if _hides(given, place, one) else one
        for place, one in enumerate(given)
    )


def _hides(text: str, place: int, one: str) -> bool:
    if one in "\n\t":
        return False
    if one in JOINERS or ord(one) in SELECTORS:
        before, after = text[place - 1 : place], text[place + 1 : place + 2]
        shapes = before and (not before.isascii() or before in "#*0123456789")
        return not (shapes and (one not in JOINERS or (after and not after.isascii())))
    category = unicodedata.category(one)
    return (
        category in ("Cc", "Cf", "Cs", "Zl", "Zp")
        or one in INVISIBLE
        or ord(one) in TAGS_AND_SELECTORS
    )


def one_line(text: object, most: int = 90) -> str:
    """`plain`, in one line of at most `most` characters."""
    words = " ".join(plain(text).split())
    return words if len(words) <= most else words[: most - 1].rstrip() + "\u2026"


def money(amount: Decimal | None, currency: str) -> str:
    """`€1,250.00`, `1,250.00 CHF`; empty for no amount."""
    if amount is None:
        return ""
    digits = f"{amount:,.2f}"
    sign = SIGNS.get(currency)
    return f"{sign}{digits}" if sign else f"{digits} {plain(currency)}".strip()


def initials(name: str) -> str:
    """Up to two letters for a round badge."""
    letters = [word[0] for word in plain(name).split() if word[0].isalnum()]
    return "".join(letters[:1] + letters[1:][-1:]).upper() or "?"


@dataclass(frozen=True, slots=True)
class Face:
    """Somebody, as the pages show them."""

    id: str
    name: str
    initials: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class When:
    """One moment for the macro `when`; the script keeps its text fresh by `manner`."""

    text: str
    iso: str
    exact: str
    manner: Literal["said", "ago"]


HOUR = timedelta(hours=1)


def said(moment: datetime, now: datetime) -> When:
    """When a message was said: how long ago within the hour, and else the time of its day."""
    text = _span(now - moment) if now - moment < HOUR else f"{moment:%H:%M} UTC"
    return When(text, moment.isoformat(), exact(moment), "said")


def ago(moment: datetime, now: datetime) -> When:
    """How long something has been there: "3 d ago"."""
    return When(_span(now - moment), moment.isoformat(), exact(moment), "ago")


def exact(moment: datetime) -> str:
    """`23 Nov 2026, 10:04:12 UTC`."""
    return f"{date_of(moment)}, {moment:%H:%M:%S} UTC"


def date_of(moment: datetime) -> str:
    """`23 Nov 2026`."""
    return f"{moment.day} {moment:%b %Y}"


def day_of(moment: datetime, now: datetime) -> str:
    """`Today`, `Yesterday`, `Monday, 23 November`."""
    days = (now.date() - moment.date()).days
    if days in (0, 1):
        return ("Today", "Yesterday")[days]
    year = "" if moment.year == now.year else f" {moment.year}"
    return f"{moment:%A}, {moment.day} {moment:%B}{year}"


def _span(length: timedelta) -> str:
    minutes = int(length.total_seconds()) // 60
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} min ago"
    hours = minutes // 60
    return f"{hours} h ago" if hours < 24 else f"{hours // 24} d ago"
