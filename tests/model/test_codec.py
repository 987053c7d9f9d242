"""Values to canonical JSON and back: equal values, equal bytes, and nothing lost silently."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adjourn.errors import InvalidPayloadError, PayloadTooLargeError, SerializationError
from adjourn.model import codec
from adjourn.model.codec import DEPTH_LIMIT, NULL, PAYLOAD_LIMIT, STATUS_LIMIT

NAN, INFINITY = math.nan, math.inf


@dataclass
class Order:
    total: float
    note: str | None = None


class Line(msgspec.Struct):
    price: float
    note: str | None = None


class Invoice(pydantic.BaseModel):
    sum: float
    parts: tuple[float, ...] = ()


class Point(NamedTuple):
    x: float


@dataclass
class Path:
    steps: tuple[float, ...]


class Weight(Enum):
    UNKNOWN = NAN


@dataclass
class Everything:
    moment: datetime
    span: timedelta
    amount: Decimal
    id: UUID
    lines: list[Line]
    names: frozenset[str]
    pair: tuple[int, str]


def nested(levels: int, inner: Any) -> Any:
    for _ in range(levels):
        inner = [inner]
    return inner


# To JSON.


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1.0, "1.0"),
        (2**70, str(2**70)),
        ("ü\u2028\x00", '"ü\u2028\\u0000"'),
        ({"b": 1, "a": {"d": 1, "c": 2}}, '{"a":{"c":2,"d":1},"b":1}'),
        ({"b", "a", "c"}, '["a","b","c"]'),
        (Order(1.5), '{"note":null,"total":1.5}'),
        (Line(1.5), '{"note":null,"price":1.5}'),
        (Invoice(sum=1.5), '{"parts":[],"sum":1.5}'),
        (b"bytes", '"Ynl0ZXM="'),
        (Decimal("1.10"), '"1.10"'),
        (datetime(2026, 1, 1, tzinfo=UTC), '"2026-01-01T00:00:00Z"'),
        (timedelta(seconds=1.5), '"PT1.5S"'),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_value_has_one_text(value: Any, text: str):
    assert bytes(codec.encode(value)).decode() == text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"x", "y", "z"}, {"z", "y", "x"}),
        (Order(1.0, "n"), {"note": "n", "total": 1.0}),
        (Order(1.0, "n"), {"total": 1.0, "note": "n"}),
        ((1, 2), [1, 2]),
        (Invoice(sum=1), {"sum": 1.0, "parts": []}),
    ],
    ids=["dicts", "sets", "a dataclass and a dict", "any order", "a tuple and a list", "pydantic"],
)
def test_equal_values_have_equal_bytes(one: Any, other: Any):
    assert codec.encode(one) == codec.encode(other)


def test_typed_values_come_back_as_they_were():
    value = Everything(
        moment=datetime(2026, 1, 1, 9, 0, 0, 1, tzinfo=UTC),
        span=timedelta(days=7, microseconds=1),
        amount=Decimal("19.90"),
        id=UUID(int=7),
        lines=[Line(1.1), Line(2.2, "two")],
        names=frozenset({"b", "a"}),
        pair=(1, "x"),
    )

    assert codec.decode(codec.encode(value), Everything) == value


def test_pydantic_models_come_back_as_they_were():
    assert codec.decode(codec.encode(Invoice(sum=2, parts=(1.5,))), Invoice) == Invoice(
        sum=2, parts=(1.5,)
    )
    invoices = [Invoice(sum=1), Invoice(sum=2)]
    assert codec.decode(codec.encode(invoices), list[Invoice]) == invoices


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.slow
@given(json_values)
def test_whatever_is_json_comes_back_and_its_text_is_canonical_already(value: Any):
    text = codec.encode(value)

    assert codec.decode(text, Any) == value
    assert codec.canonical(bytes(text)) == text


@pytest.mark.parametrize("number", [NAN, INFINITY, -INFINITY], ids=str)
@pytest.mark.parametrize(
    "holder",
    [
        lambda x: x,
        lambda x: [1, [x]],
        lambda x: {"a": {"b": x}},
        lambda x: Order(x),
        lambda x: [Order(1), Order(x)],
        lambda x: Line(x),
        lambda x: Invoice(sum=x),
        lambda x: {"invoices": [Invoice(sum=1), Invoice(sum=x)]},
        lambda x: Invoice(sum=1, parts=(x,)),
        lambda x: {x, 1.0},
        lambda x: frozenset({x}),
        lambda x: (1, x),
        lambda x: Point(x),
        lambda x: Path((x,)),
    ],
    ids=[
        "alone",
        "list",
        "dict",
        "dataclass",
        "dataclasses",
        "Struct",
        "pydantic",
        "pydantic inside",
        "pydantic tuple",
        "set",
        "frozenset",
        "tuple",
        "named tuple",
        "dataclass with a tuple",
    ],
)
def test_what_is_no_finite_number_is_refused_wherever_it_is(holder: Any, number: float):
    with pytest.raises(SerializationError, match=r"holds NaN or infinity, which JSON cannot"):
        codec.encode(holder(number))


def test_an_enum_of_nan_is_refused():
    with pytest.raises(SerializationError, match="NaN or infinity"):
        codec.encode(Weight.UNKNOWN)


def test_none_and_the_word_null_are_no_nan():
    assert bytes(codec.encode({"a": None, "b": "null", "c": [1.5]})) == (
        b'{"a":null,"b":"null","c":[1.5]}'
    )


class NotJson:
    pass


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (NotJson(), "NotJson is not JSON"),
        (NotJson, "is not JSON"),
        (lambda: 1, "function is not JSON"),
        ([object()], "object is not JSON"),
        ({1: "a"}, "str"),
        ({("a", "b"): 1}, "str"),
        ("\ud800", "surrogates"),
        ({"\ud800": 1}, "surrogates"),
        ({"a": ["\udfff"]}, "surrogates"),
    ],
    ids=[
        "an object",
        "a class",
        "a function",
        "an object inside",
        "an int key",
        "a tuple key",
        "a lone surrogate",
        "a lone surrogate as key",
        "a lone surrogate inside",
    ],
)
def test_what_is_not_json_is_refused_with_the_reason_and_the_way_out(value: Any, why: str):
    with pytest.raises(SerializationError, match=why) as caught:
        codec.encode(value, "The input of activity 'charge'")

    assert str(caught.value).startswith("The input of activity 'charge' cannot be written as JSON")
    assert str(caught.value).endswith(
        "Use dataclasses, msgspec or pydantic models, and plain values."
    )


def test_a_value_that_holds_itself_is_refused():
    circle: list[Any] = []
    circle.append(circle)

    with pytest.raises(SerializationError):
        codec.encode(circle)


@pytest.mark.parametrize("inner", [[], {}, [None], 1, "[[[[{{{{"], ids=str)
def test_two_hundred_levels_are_accepted(inner: Any):
    levels = DEPTH_LIMIT - (1 if isinstance(inner, list | dict) else 0)

    assert codec.decode(codec.encode(nested(levels, inner)), Any) == nested(levels, inner)


@pytest.mark.slow
@pytest.mark.parametrize("levels", [201, 400, 5_000, 100_000])
def test_more_levels_are_refused(levels: int):
    with pytest.raises(SerializationError):
        codec.encode(nested(levels, 1))


def test_more_levels_around_none_are_refused():
    with pytest.raises(SerializationError):
        codec.encode(nested(800, None))


def test_many_brackets_side_by_side_are_not_deep():
    assert codec.decode(codec.encode([[]] * 5_000), Any) == [[]] * 5_000


@pytest.mark.parametrize("limit", [PAYLOAD_LIMIT, STATUS_LIMIT])
def test_the_limit_is_in_bytes_of_json_and_the_last_byte_counts(limit: int):
    assert len(bytes(codec.encode("x" * (limit - 2), "It", limit))) == limit

    with pytest.raises(PayloadTooLargeError) as caught:
        codec.encode("ü" * (limit // 2), "The result", limit)

    assert caught.value.size_bytes == limit + 2
    assert caught.value.limit_bytes == limit
    assert str(caught.value) == (
        f"The result is {limit + 2:,} bytes; at most {limit:,} are accepted. "
        "Store the large part elsewhere and pass a reference to it."
    )


# From JSON.


def test_a_text_that_does_not_fit_says_where_and_why():
    with pytest.raises(InvalidPayloadError) as caught:
        codec.decode(b'{"total":"ten"}', Order, "The input")

    assert caught.value.what == "The input"
    assert caught.value.reason == "Expected `float`, got `str` - at `$.total`"
    assert str(caught.value) == (
        "The input does not fit its declared type: Expected `float`, got `str` - at `$.total`"
    )


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[1,]", b"\xff", b'"\\ud800"', b"[" * 100_000],
    ids=lambda text: repr(text[:9]),
)
def test_a_text_that_is_not_json_does_not_fit_either(text: bytes):
    with pytest.raises(InvalidPayloadError):
        codec.decode(text, Any)


def test_a_pydantic_model_says_why_in_its_own_words():
    with pytest.raises(InvalidPayloadError, match="sum"):
        codec.decode(b'{"parts":[]}', Invoice)


@dataclass
class Picky:
    amount: int

    def __post_init__(self) -> None:
        if self.amount < 0:
            raise ValueError("an amount is not negative")
        if self.amount == 0:
            raise KeyError("zero")


def test_a_check_of_the_users_own_type_refuses_the_value():
    with pytest.raises(InvalidPayloadError, match="an amount is not negative"):
        codec.decode(b'{"amount":-1}', Picky)


def test_a_check_of_the_users_own_type_that_breaks_refuses_the_value_too():
    with pytest.raises(InvalidPayloadError, match="zero"):
        codec.decode(b'{"amount":0}', Picky)


def test_object_means_anything():
    assert codec.decode(b'{"a":[1]}', object) == {"a": [1]}


def test_a_type_that_no_json_can_fill_is_refused_when_it_is_named():
    with pytest.raises(SerializationError, match="cannot be read from JSON"):
        codec.decoder(dict[str, int] | dict[str, str])


# From outside: bodies that somebody else wrote.


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", b"null"),
        (b" \r\n\t", b"null"),
        (b"null", b"null"),
        (b' { "b" : 1 , "a" : [ 2 ] } ', b'{"a":[2],"b":1}'),
        (b'"\\u00fc"', '"ü"'.encode()),
        (b'"\\ud83d\\ude00"', '"\U0001f600"'.encode()),
        (b"1e2", b"100.0"),
        (b"-0", b"0"),
        (b"123456789012345678901234567890", b"123456789012345678901234567890"),
    ],
    ids=[
        "nothing",
        "white space",
        "null",
        "spaces and order",
        "an escape",
        "a pair of surrogates",
        "an exponent",
        "minus zero",
        "a large number",
    ],
)
def test_a_body_is_made_canonical(body: bytes, text: bytes):
    assert bytes(codec.canonical(body)) == text


def test_an_empty_body_is_null():
    assert codec.canonical(b"") is NULL


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "Expecting"),
        (b"'a'", "Expecting value"),
        (b"[1,]", "Expecting value|Illegal trailing comma"),
        (b"1 2", "Extra data"),
        (b"\xff", "utf-8"),
        (b"\xef\xbb\xbf1", "BOM"),
        (b"\xff\xfe1\x00", "utf-8"),
        (b'{"a":1,"a":1}', "the same key twice"),
        (b'[{"x":{"a":1,"b":2,"a":3}}]', "the same key twice"),
        (b'{"a":1,"\\u0061":2}', "the same key twice"),
        (b"NaN", "NaN is not JSON"),
        (b"[1, Infinity]", "Infinity is not JSON"),
        (b'{"a":-Infinity}', "-Infinity is not JSON"),
        (b"1e400", "NaN or infinity"),
        (b'{"a":[-1e999]}', "NaN or infinity"),
        (b"9" * 5_000, "limit"),
        (b'"\\ud800"', "surrogates"),
        (b'{"\\udc00":1}', "surrogates"),
        (b"[" * 201 + b"]" * 201, "deeper than 200 levels"),
        (b"[" * 100_000, "recursion"),
        (b'"a\nb"', "control character"),
    ],
    ids=lambda part: part if isinstance(part, str) else repr(part[:12]),
)
def test_a_body_that_is_not_strict_json_is_refused(body: bytes, why: str):
    with pytest.raises(SerializationError, match=why) as caught:
        codec.canonical(body, "The data of event 'Go'")

    assert str(caught.value).startswith("The data of event 'Go' ")


def test_a_body_that_is_too_large_is_refused_before_it_is_read():
    with pytest.raises(PayloadTooLargeError):
        codec.canonical(b"{" * (PAYLOAD_LIMIT + 1))

    assert codec.canonical(b" " * PAYLOAD_LIMIT) == NULL


def test_a_body_that_grows_when_it_is_made_canonical_is_measured_then():
    with pytest.raises(PayloadTooLargeError):
        codec.canonical(b"[" + b"1e15," * (PAYLOAD_LIMIT // 6) + b"1]")


# Text and scalars that go into columns as they are.


@pytest.mark.parametrize(
    "value", [None, True, False, 0, -(2**63), 2**63 - 1, 1.5, "", "ü", "x" * 1_000], ids=repr
)
def test_a_scalar_that_a_column_can_hold_is_accepted(value: object):
    codec.check_scalar("Attribute 'a'", value)


@pytest.mark.parametrize(
    "value",
    [2**63, -(2**63) - 1, NAN, INFINITY, "\ud800", "x" * 1_001, [], {}, b"x", Decimal(1), object],
    ids=lambda value: repr(value)[:30],
)
def test_a_scalar_that_a_column_cannot_hold_is_refused_in_few_words(value: object):
    with pytest.raises(SerializationError, match=r"^Attribute 'a' ") as caught:
        codec.check_scalar("Attribute 'a'", value)

    assert len(str(caught.value)) < 300


def test_a_text_is_given_back_or_refused():
    assert codec.check_text("The reason", "late") == "late"
    with pytest.raises(SerializationError, match="is not valid Unicode text"):
        codec.check_text("The reason", "\udfff")
    with pytest.raises(SerializationError, match="The reason has 4,001 characters; 4,000 at most"):
        codec.check_text("The reason", "x" * 4_001)
