"""The words by which the inbox's index finds rows: exact facts, pieces of text, steps of numbers.

A word is one token of FTS5's `ascii` tokenizer, for which a token is lower-case letters, digits and
everything beyond ASCII; all else is carried by private-use characters, and so is what SQL or FTS5
could take for anything but a word. No two facts share a word.
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from operator import add

LONGEST_PIECE = 3  # characters; `pieces` spells them out
BITS = 20  # of a number
LAST = 2**BITS - 1
STEP = 2  # bits: a step's word stands for a span four times as long as that of the step below
HOUR = 3_600_000_000  # microseconds
MOST_STEPS = 12  # of a rough span: each word costs some 30 microseconds
MOST_PIECES = 64  # of one search: more would find little better

_SMALLEST = (1023 - 8) << 52  # the bits of 2**-8
_SHIFT = 52 + 6 - (BITS - 1)  # 64 powers of two
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
_AMBIGUOUS = frozenset(map(chr, range(_PRIVATE, _ESCAPE + 1)))
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


def exact_piece(word: str) -> str | None:
    """The piece which exactly those texts have that hold this folded word, where there is one."""
    piece = word.translate(_PIECES)
    return piece if len(piece) <= LONGEST_PIECE and not _AMBIGUOUS.intersection(word) else None


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
    return min(max(microseconds // HOUR, 0), LAST)


def magnitude(amount: float) -> int:
    """Rises with the amount: the upper bits of the float, from 2**-8 to 2**56."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", abs(amount)))
    size = max(bits - _SMALLEST, 0) >> _SHIFT
    half = 2 ** (BITS - 1)
    return half + min(size, half - 1) if amount >= 0 else half - 1 - min(size, half - 1)


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


def rough_span(name: str, low: int, high: int) -> list[str]:
    """Few words of which every number in low..high has one; some numbers beyond have one too."""
    found = span(name, low, high)
    for shift in range(STEP, BITS, STEP):
        if len(found) <= MOST_STEPS:
            break
        found = span(name, low >> shift << shift, high | (1 << shift) - 1)
    return found


def _step(name: str, shift: int, number: int) -> str:
    return f"{name}{chr(_PRIVATE)}{shift}{chr(_PRIVATE)}{number:x}"


# Expressions of FTS5.

NOBODYS = fact("nobodys", "")
"""A word that no row has."""


def unless(group: Sequence[str], unwanted: Sequence[str]) -> str:
    """Rows that have one word or more of the group, and none that is unwanted."""
    found = " OR ".join(group) or NOBODYS
    return f"(({found}) NOT ({' OR '.join(unwanted)}))" if unwanted else found


def expression(wanted: Iterable[Sequence[str]], unwanted: Sequence[str]) -> str:
    """Rows that have one word or more of each group, and none that is unwanted. Empty for all."""
    groups = [" OR ".join(group) or NOBODYS for group in wanted]
    found = " AND ".join(f"({group})" for group in groups)
    return f"({found}) NOT ({' OR '.join(unwanted)})" if found and unwanted else found
