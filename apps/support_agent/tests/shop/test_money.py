from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support_agent.shop.errors import InvalidAmount
from support_agent.shop.money import LARGEST, from_cents, positive, to_cents

LARGEST_CENTS = int(LARGEST * 100)


@given(st.integers(-LARGEST_CENTS, LARGEST_CENTS))
def test_cents_and_amounts_say_the_same(cents: int) -> None:
    assert to_cents(from_cents(cents)) == cents


@given(st.decimals(min_value=-LARGEST, max_value=LARGEST))
def test_an_amount_is_kept_to_the_cent_or_refused_but_never_rounded(amount: Decimal) -> None:
    try:
        kept = from_cents(to_cents(amount))
    except InvalidAmount:
        assert amount % Decimal("0.01") != 0
    else:
        assert kept == amount


def test_an_amount_shows_both_decimals() -> None:
    assert str(from_cents(6450)) == "64.50"
    assert str(positive(Decimal("64.5"))) == "64.50"


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "sNaN",
        "Infinity",
        "1E+30",
        "0.001",
        "-0.005",
        "100000000.00",
        "64.5000000000000000000000000001",
        "1E-999999",
    ],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(InvalidAmount):
        to_cents(Decimal(text))


@pytest.mark.parametrize("text", ["0", "0.00", "-1.00"])
def test_nothing_and_less_than_nothing_cannot_be_paid(text: str) -> None:
    with pytest.raises(InvalidAmount):
        positive(Decimal(text))
