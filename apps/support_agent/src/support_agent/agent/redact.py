"""Personal data out of log lines: e-mail addresses, card numbers, IBANs, telephone numbers.

Best effort, and on the careful side: a digit too many is masked rather than one too few. Order
numbers, ids, dates, moments and amounts stay readable, for without them a log is useless.
"""

import re

EMAIL_MARK = "[e-mail]"
CARD_MARK = "[card]"
IBAN_MARK = "[iban]"
PHONE_MARK = "[phone]"

_SIGN = r"""[^\s@<>"'(),:;=\[\]]"""
# From the beginning of a word only, and never back into it: a log line of 100,000 signs without a
# blank would otherwise hold up the whole process for a minute.
EMAIL = re.compile(rf"(?<!{_SIGN}){_SIGN}++@{_SIGN}+\.\w{{2,}}")
# Letters, two check digits, then groups; how much of it belongs to the IBAN, its checksum says. No
# IBAN is written as our ids and digests are, and a part of one would pass for one now and then.
IBAN = re.compile(
    r"""\b(?P<id>(?-i:(?:[0-9a-f]{32}){1,2}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}))\b
      | \b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,36}\b""",
    re.IGNORECASE | re.VERBOSE,
)
DIGITS = re.compile(r"(?<![\w.,-])\d(?:[ -]?\d){12,}(?![\w])")
PHONE = re.compile(
    r"""(?<![\w.:,+-])                                   # not in the middle of something else
    (?: (?:\+|00)[1-9]\d{0,2} (?:[ ./-]?\(?\d\)?){6,13}  # with its country: +49 171 1234567
      | \(0\d{1,4}\) (?:[ ./-]?\d){5,10}                 # with its area: (020) 7946 0958
      | 0\d{2,4} [ /-] \d (?:[ -]?\d){4,9}               # 0171 1234567
      | \(?[2-9]\d{2}\)? [ .-] \d{3} [ .-] \d{4}         # 555-123-4567
    ) (?![\w.:,]*\d)""",
    re.VERBOSE,
)
SHORTEST_IBAN, LONGEST_IBAN = 15, 34
SHORTEST_CARD, LONGEST_CARD = 13, 19


def redact(text: str) -> str:
    """`text` with a mark in place of each piece of personal data that can be told by its form."""
    text = EMAIL.sub(EMAIL_MARK, text)
    text = IBAN.sub(_without_iban, text)
    text = DIGITS.sub(_without_card, text)
    return PHONE.sub(PHONE_MARK, text)


def _without_iban(found: re.Match[str]) -> str:
    """The match with the longest IBAN at its beginning masked; as it was when there is none."""
    text = found.group()
    if found["id"]:
        return text
    for end in range(len(text), SHORTEST_IBAN - 1, -1):
        letters = re.sub(r"[ -]", "", text[:end]).upper()
        if (
            text[end - 1] not in " -"
            and SHORTEST_IBAN <= len(letters) <= LONGEST_IBAN
            and is_iban(letters)
        ):
            return IBAN_MARK + text[end:]
    return text


def _without_card(found: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", found.group())
    if SHORTEST_CARD <= len(digits) <= LONGEST_CARD and passes_luhn(digits):
        return CARD_MARK
    return found.group()


def is_iban(letters: str) -> bool:
    """Whether the checksum of an IBAN holds (ISO 7064, modulo 97)."""
    moved = letters[4:] + letters[:4]
    return int("".join(str(int(letter, 36)) for letter in moved)) % 97 == 1


def passes_luhn(digits: str) -> bool:
    """Whether the last digit is the one that Luhn's rule asks for, as on every payment card."""
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(digits[::-1])]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0
