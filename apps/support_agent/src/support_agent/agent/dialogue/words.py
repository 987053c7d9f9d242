"""Reading one message: its words, and the order, case and amount that it names."""

import re
from decimal import Decimal

WITHOUT_APOSTROPHES = dict.fromkeys(map(ord, "'`\N{RIGHT SINGLE QUOTATION MARK}"))
WORD = re.compile(r"[a-z0-9]+")
ORDER = re.compile(
    r"""(?<!\w)\#?
    (?: (?P<joined>(?![RE]-)[A-Z]{1,2}-\d{3,8})  # A-1042, #A-1042; R-1001 and E-1001 are cases
      | A(?P<unjoined>\d{3,8})                  # a1042
      | A\ (?P<apart>\d{4,8})                   # A 1042; "a 100 EUR refund" is no order
      | (?:order|number|no\.?)\s*\#?\ ?(?P<named>\d{3,8})
      | (?<=\#)(?P<hashed>\d{3,8})
    )(?![\w.,]*\d)""",
    re.VERBOSE | re.IGNORECASE,
)
CASE = re.compile(r"(?<!\w)(?P<kind>[RE])[ -]?(?P<number>\d{3,8})(?!\w)", re.IGNORECASE)
AMOUNT = re.compile(
    r"""(?:€\s?|\beur\s)(?P<after>\d{1,6}(?:[.,]\d{1,2})?)(?![\d.,]*\d)
    | (?<![\d.,])(?P<before>\d{1,6}(?:[.,]\d{1,2})?)\s?(?:€|eur\b|euros?\b)""",
    re.VERBOSE | re.IGNORECASE,
)


def words_of(text: str) -> tuple[str, ...]:
    """The words in lower case, without apostrophes: "I'm" is "im", "don't" is "dont"."""
    return tuple(WORD.findall(text.casefold().translate(WITHOUT_APOSTROPHES)))


def order_number_in(text: str) -> str | None:
    """The first order number; digits alone where the letter was left out, the shop finds it."""
    found = ORDER.search(text)
    if found is None:
        return None
    if found["joined"]:
        return found["joined"].upper()
    with_letter = found["unjoined"] or found["apart"]
    return f"A-{with_letter}" if with_letter else found["named"] or found["hashed"]


def bare_number_in(text: str) -> str | None:
    """A message that is only a number: what one types when asked for an order."""
    digits = text.strip().strip(".#")
    return digits if digits.isdecimal() and 3 <= len(digits) <= 8 else None


def case_id_in(text: str) -> str | None:
    found = CASE.search(text)
    return f"{found['kind'].upper()}-{found['number']}" if found else None


def amount_in(text: str) -> Decimal | None:
    """The first amount of money; a number without a currency is none."""
    found = AMOUNT.search(text)
    if found is None:
        return None
    return Decimal((found["after"] or found["before"]).replace(",", "."))


def money(text: str) -> Decimal:
    """The number of an amount that a tool gave: "64.50 EUR" is 64.50."""
    return Decimal(text.split(" ", 1)[0])


def stems(text: str) -> frozenset[str]:
    """The words without the endings that do not matter for finding them again."""
    return frozenset(_stem(word) for word in words_of(text) if len(word) > 2)


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending)
    return word
