"""Text that somebody else wrote, made safe to look at.

Nothing here makes HTML: what draws a page escapes whatever it writes.
"""

from __future__ import annotations

import unicodedata

_BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols that draw nothing."""
_JOINERS = frozenset("\u200c\u200d")
_SELECTORS = range(0xFE00, 0xFE10)
_JOINING_SCRIPTS = tuple(
    "ARABIC SYRIAC DEVANAGARI BENGALI GURMUKHI GUJARATI ORIYA TAMIL TELUGU KANNADA MALAYALAM "
    "SINHALA MYANMAR KHMER".split()
)


def plain(text: object) -> str:
    """`text` with every character that hides itself or turns its neighbours shown as its number,
    like `<U+202E>`: what a reviewer reads is what is there.

    Newlines and tabs stay, and so do joiners where a script or an emoji needs them.
    """
    given = str(text)
    if given.isascii() and given.isprintable():
        return given
    return "".join(
        f"\u27e8U+{ord(one):04X}\u27e9" if _hides(given, at, one) else one
        for at, one in enumerate(given)
    )


def _hides(text: str, at: int, one: str) -> bool:
    if one in "\n\t":
        return False
    if one in _JOINERS:
        return not _joins(text[at - 1 : at], text[at + 1 : at + 2])
    if ord(one) in _SELECTORS:
        before = text[at - 1 : at]
        return not before or not (_pictures(before) or before in "0123456789#*")
    category = unicodedata.category(one)
    hidden = category in ("Cc", "Cf", "Cs", "Zl", "Zp") or one in _BLANKS
    return hidden or 0xE0100 <= ord(one) <= 0xE01EF  # more selectors: they can carry a message


def _joins(before: str, after: str) -> bool:
    if not before or not after:
        return False
    if _pictures(before) or ord(before) in _SELECTORS:
        return _pictures(after)
    name = unicodedata.name(before, "")
    return name.startswith(_JOINING_SCRIPTS)


def _pictures(one: str) -> bool:
    return unicodedata.category(one) in ("So", "Sk")


def one_line(text: object, limit: int = 140) -> str:
    """`plain`, in one line of at most `limit` characters."""
    words = " ".join(plain(text).split())
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "\u2026"


def label_of(name: str) -> str:
    """A field's name as people read it: `order_number` is "Order number"."""
    return capital(plain(name).replace("_", " ").strip() or "(no name)")


def capital(text: str) -> str:
    """With a capital first letter, and the others as they are."""
    return text[:1].upper() + text[1:]
