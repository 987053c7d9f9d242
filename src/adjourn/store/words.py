"""The words by which the inbox's index finds rows: exact facts, pieces of text, steps of numbers.

A word is one token of FTS5's `ascii` tokenizer, for which a token is lower-case letters, digits and
everything beyond ASCII; all else is carried by private-use characters. No two facts share a word.
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from operator import add

LONGEST_PIECE = 3  # characters; `pieces` spells them out
BITS = 20  # of a number
STEP = 2  # bits: a step's word stands for a span four times as long as that of the step below
HOUR = 3_600_000_000  # microseconds
MOST_PIECES = 64  # of one search: more would find nothing better

_PRIVATE = 0xE000
_ESCAPE = 0xE080


def _carried() -> dict[int, str]:
    table = {code: chr(code) for code in range(_PRIVATE, _ESCAPE + 1)}
    table = {code: chr(_ESCAPE) + text for code, text in table.items()}
    for code in range(128):
        sign = chr(code)
        if not (sign.isdigit() or sign.islower() or sign.isspace()):
            table[code] = chr(_PRIVATE + code)
    return table


_PIECES = _carried()
"""Without white space: there, text is cut."""
_FACTS = _PIECES | {code: chr(_PRIVATE + code) for code in range(128) if chr(code).isspace()}


def fact(name: str, value: str) -> str:
    """The word of an exact fact. `name` has at least four letters: no piece is as long."""
    return f"{name}:{value}".translate(_FACTS)


# Text.


def fold(text: str) -> str:
    """As text is compared: without case, and however its accents are composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def pieces(folded: str) -> set[str]:
    """Every piece of every word in it."""
    found: set[str] = set()
    for word in folded.translate(_PIECES).split():
        found.update(word, map(add, word, word[1:]))
        found.update(map("".join, zip(word, word[1:], word[2:], strict=False)))
    return found


def pieces_of_all(looked_for: Iterable[str]) -> list[str]:
    """Pieces which every text has that holds all these folded words. Not only such texts have them.

    Side by side, and one that ends with the word: overlapping ones would find little better.
    """
    found: dict[str, None] = {}
    for word in looked_for:
        word = word.translate(_PIECES)
        for at in range(0, len(word) - LONGEST_PIECE, LONGEST_PIECE):
            found[word[at : at + LONGEST_PIECE]] = None
        found[word[-LONGEST_PIECE:]] = None
    return list(found)[:MOST_PIECES]


# Numbers, coarsely: the column decides at the edges.


def hour(microseconds: int) -> int:
    """The hour since 1970, up to the year 2089."""
    return min(max(microseconds // HOUR, 0), 2**BITS - 1)


def magnitude(amount: float) -> int:
    """Rises with the amount, by about 0.4 %: the upper bits of the float."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", amount + 0.0))  # no negative zero
    ordered = bits ^ (2**64 - 1) if bits >> 63 else bits | 1 << 63
    return ordered >> (64 - BITS)


@lru_cache(maxsize=512)  # rows that are written together were opened in the same hour
def steps(name: str, number: int) -> tuple[str, ...]:
    """The words of a number: of itself, and of each longer span that it is in."""
    return tuple(_step(name, shift, number >> shift) for shift in range(0, BITS, STEP))


def span(name: str, low: int, high: int) -> list[str]:
    """Words of which every number in low..high has one, and no other number: some forty at most."""
    found: list[str] = []
    side = 2**STEP - 1
    for shift in range(0, BITS, STEP):
        longest = shift == BITS - STEP
        while low <= high and (low & side or longest):
            found.append(_step(name, shift, low))
            low += 1
        while low <= high and (high + 1) & side:
            found.append(_step(name, shift, high))
            high -= 1
        if low > high:
            break
        low, high = low >> STEP, high >> STEP
    return found


def _step(name: str, shift: int, number: int) -> str:
    return f"{name}{chr(_PRIVATE)}{shift}{chr(_PRIVATE)}{number:x}"


# Expressions of FTS5.

NOBODYS = fact("nobodys", "")
"""A word that no row has."""


def all_of(parts: Iterable[str]) -> str:
    """Rows that have all of them. Empty where there is none: no condition."""
    return " AND ".join(f"({part})" if " " in part else part for part in parts if part)


def any_of(parts: Iterable[str]) -> str:
    """Rows that have one of them, or more; where there is none, no rows."""
    return " OR ".join(parts) or NOBODYS


def without(expression: str, unwanted: Sequence[str]) -> str:
    """Of those rows, the ones that have none of these words."""
    return f"({expression}) NOT ({any_of(unwanted)})" if unwanted else expression
