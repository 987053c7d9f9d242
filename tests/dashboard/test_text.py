"""Our own words for amounts and people."""

import pytest

from adjourn.dashboard.text import counted, initials, listed, money, recipient


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("600.00", "EUR", "€600.00"),
        ("1250.5", "USD", "$1,250.50"),
        ("0.125", "USD", "$0.125"),
        (1250.0, "CHF", "1,250.00 CHF"),
        (7, "", "7"),
        ("600.00", "", "600"),
        ("-5", "EUR", "-€5.00"),
        ("about ten", "EUR", "about ten EUR"),
        ("NaN", "EUR", "NaN"),
        ("\u202e12", "EUR", "⟨U+202E⟩12 EUR"),
    ],
)
def test_no_digit_of_an_amount_is_lost(amount: object, currency: str, text: str) -> None:
    assert money(amount, currency) == text


def test_ids_and_lists_in_words() -> None:
    names = {"lena": "Lena Fischer"}.__getitem__
    assert recipient("group:finance", names) == "the finance group"
    assert recipient("role:lead", names) == "any lead"
    assert recipient("lena", names) == "Lena Fischer"
    assert listed([]) == "" and listed(["a"]) == "a" and listed(["a", "b", "c"]) == "a, b and c"
    assert counted(1, "comment") == "1 comment" and counted(2, "comment") == "2 comments"
    assert initials("Lena Fischer") == "LF" and initials("") == "?"
