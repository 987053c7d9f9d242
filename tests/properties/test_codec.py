"""Values to canonical JSON and back: nothing changes on the way, and what cannot go is refused."""

from __future__ import annotations

import enum
import json
import math
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, get_args, get_type_hints
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adjourn.errors import (
    InvalidPayloadError,
    PayloadTooLargeError,
    RefusalKind,
    SerializationError,
)
from adjourn.model.actor import Actor, Role
from adjourn.model.codec import DEPTH_LIMIT, PAYLOAD_LIMIT, canonical, decode, encode
from adjourn.model.events import Event, InstanceStarted, Parent, decode_event, encode_event
from adjourn.model.failure import FailureDetails
from tests.histories import started
from tests.properties.profiles import examples

pytestmark = pytest.mark.slow


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


@dataclass(frozen=True)
class Line:
    name: str
    count: int
    price: Decimal
    ratio: float
    colour: Colour = Colour.RED
    note: str | None = None


@dataclass
class Order:
    id: UUID
    at: datetime
    due: date
    within: timedelta
    lines: list[Line]
    seal: bytes
    by_name: dict[str, Line] = field(default_factory=dict)
    sizes: tuple[Size, ...] = ()
    words: frozenset[str] = frozenset()


class Case(msgspec.Struct):
    order: Order
    history: list[Order | None]
    extra: Any = None


zones = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
FIRST, LAST = datetime(1970, 1, 2), datetime(9999, 1, 1)  # noqa: DTZ001  Hypothesis adds the zone
moments = st.datetimes(FIRST, LAST, timezones=zones | st.just(UTC))
finite = st.floats(allow_nan=False, allow_infinity=False)
spans = st.timedeltas(timedelta(days=-100_000), timedelta(days=100_000))
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | finite | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)
lines = st.builds(
    Line,
    st.text(),
    st.integers(),
    st.decimals(allow_nan=False, allow_infinity=False),
    finite,
    st.sampled_from(Colour),
    st.none() | st.text(),
)
orders = st.builds(
    Order,
    st.uuids(),
    moments,
    st.dates(),
    spans,
    st.lists(lines, max_size=3),
    st.binary(max_size=40),
    st.dictionaries(st.text(), lines, max_size=3),
    st.lists(st.sampled_from(Size), max_size=3).map(tuple),
    st.frozensets(st.text(), max_size=4),
)
cases = st.builds(Case, orders, st.lists(st.none() | orders, max_size=2), plain)


@given(plain)
def test_plain_values_come_back(value: Any) -> None:
    assert decode(encode(value), Any) == value


@given(cases)
def test_models_come_back_as_themselves(case: Case) -> None:
    assert decode(encode(case), Case) == case
    assert decode(encode(case.order), Order) == case.order


def test_pydantic_models_come_back_as_themselves() -> None:
    pydantic = pytest.importorskip("pydantic", reason="pydantic is optional")

    class Refund(pydantic.BaseModel):
        amount: Decimal
        at: datetime
        lines: list[Line]

    @examples(30)
    @given(st.builds(Refund, amount=st.decimals(-100, 100), at=moments, lines=st.lists(lines)))
    def comes_back(refund: Any) -> None:
        assert decode(encode(refund), Refund) == refund
        both = decode(encode({"a": [refund]}), dict[str, list[Refund]])
        assert both == {"a": [refund]}

    comes_back()


def reordered(value: Any) -> Any:
    """An equal value whose dictionaries were filled in the other order."""
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(list(value))}
    if isinstance(value, list):
        return [reordered(part) for part in value]
    return value


@given(plain)
def test_equal_values_give_equal_bytes(value: Any) -> None:
    assert encode(reordered(value)) == encode(value)


@given(plain, st.none() | st.integers(0, 4), st.booleans())
def test_json_from_outside_becomes_the_same_bytes(
    value: Any, indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(reordered(value), indent=indent, ensure_ascii=ascii_only).encode()

    assert canonical(text) == encode(value)
    assert canonical(bytes(encode(value))) == encode(value)


# What cannot go.


@dataclass
class Reading:
    value: float
    note: None = None


def nested(leaf: Any, levels: int) -> Any:
    for level in range(levels):
        leaf = [leaf] if level % 2 else {"in": leaf}
    return leaf


wrappers = st.lists(
    st.sampled_from(
        [
            lambda value: [value, None],
            lambda value: {"a": value},
            lambda value: (1, value),
            lambda value: Case(value, []),
            lambda value: Reading(value),
        ]
    ),
    max_size=4,
)


@given(st.sampled_from([math.nan, math.inf, -math.inf]), wrappers)
def test_what_json_has_no_number_for_is_refused_wherever_it_hides(
    value: Any, wrap: list[Any]
) -> None:
    for one in wrap:
        value = one(value)

    with pytest.raises(SerializationError, match="NaN or infinity"):
        encode(value)


def test_not_a_number_hides_in_no_model() -> None:
    pydantic = pytest.importorskip("pydantic", reason="pydantic is optional")

    class Refund(pydantic.BaseModel):
        ratios: list[float]

    for value in (Refund(ratios=[math.nan]), {"a": [Refund(ratios=[1, math.inf])]}):
        with pytest.raises(SerializationError, match="NaN or infinity"):
            encode(value)


@given(st.text(), st.characters(categories=["Cs"]), st.text(), wrappers)
def test_half_a_character_is_refused(before: str, half: str, after: str, wrap: list[Any]) -> None:
    value: Any = before + half + after
    for one in wrap:
        value = one(value)

    with pytest.raises(SerializationError):
        encode(value)
    with pytest.raises(SerializationError):
        canonical(json.dumps(before + half + after).encode())


@given(st.integers(1, DEPTH_LIMIT), st.sampled_from([None, 0, "null", []]))
def test_depth_is_limited_alike_going_out_and_coming_in(levels: int, leaf: Any) -> None:
    own = 1 if leaf == [] else 0
    fits = nested(leaf, levels - own)

    assert decode(encode(fits), Any) == fits
    assert canonical(json.dumps(fits).encode()) == encode(fits)
    row = decode_event(encode_event(started("x", fits)))
    assert isinstance(row, InstanceStarted) and row.input == encode(fits)


@pytest.mark.parametrize("levels", [DEPTH_LIMIT + 1, 450, 900, 990, 100_000])
@pytest.mark.parametrize("leaf", [None, 0])
def test_what_is_too_deep_is_refused(levels: int, leaf: Any) -> None:
    if levels < 10_000:  # Python itself could not take a deeper one apart again
        with pytest.raises(SerializationError, match=r"deep|recursion"):
            encode(nested(leaf, levels))
    with pytest.raises(SerializationError):
        canonical(b"[" * levels + b"]" * levels)


def test_what_is_too_large_is_refused_with_both_sizes() -> None:
    with pytest.raises(PayloadTooLargeError) as caught:
        encode("x" * PAYLOAD_LIMIT, "The input")
    with pytest.raises(PayloadTooLargeError):
        canonical(b" " * PAYLOAD_LIMIT + b"1")

    assert (caught.value.size_bytes, caught.value.limit_bytes) == (262_146, 262_144)
    assert str(caught.value).startswith("The input is 262,146 bytes")
    assert len(encode("x" * (PAYLOAD_LIMIT - 2))) == PAYLOAD_LIMIT


@given(st.lists(st.text(), min_size=1, unique=True), plain, plain)
def test_an_object_with_the_same_key_twice_is_refused(
    keys: list[str], first: Any, second: Any
) -> None:
    pairs = [(key, first) for key in keys] + [(keys[0], second)]
    text = ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in pairs)

    with pytest.raises(SerializationError, match="same key twice"):
        canonical(b"[{" + text.encode() + b"}]")


@pytest.mark.parametrize(
    "text",
    [b"{", b"nul", b"'a'", b"[1,]", b"NaN", b"-Infinity", b"1e999", b"\xff", b"1 2", b"1" * 5_000],
)
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(SerializationError):
        canonical(text)


@given(st.binary(max_size=30))
def test_bytes_from_outside_never_raise_anything_else(text: bytes) -> None:
    try:
        canonical(text)
    except SerializationError:
        return


@given(plain, st.sampled_from([Order, Line, int, list[str], dict[str, Colour], Reading]))
def test_a_value_of_another_type_is_an_invalid_payload(value: Any, kind: Any) -> None:
    try:
        decode(encode(value), kind)
    except InvalidPayloadError:
        return


@pytest.mark.parametrize("value", [object(), print, 1j, type, {1, "a"}, {(1, 2): 3}], ids=range(6))
def test_what_is_no_value_is_refused_with_the_next_move(value: Any) -> None:
    with pytest.raises(SerializationError, match="Use dataclasses, msgspec or pydantic models"):
        encode(value)


# Events.

_by_type: dict[Any, st.SearchStrategy[Any]] = {
    datetime: st.datetimes(FIRST, LAST, timezones=st.just(UTC)),
    str: st.text(),
    int: st.integers(0, 2**53),
    bool: st.booleans(),
    msgspec.Raw: plain.map(encode),
    dict[str, str]: st.dictionaries(st.text(), st.text(), max_size=3),
}
_actors = st.builds(
    Actor,
    id=st.text(),
    groups=st.lists(st.text(), max_size=2),
    roles=st.lists(st.sampled_from(get_args(Role)), max_size=2),
    agent=st.booleans(),
)
_failures = st.builds(
    FailureDetails,
    type=st.text(),
    message=st.text(),
    stack_trace=st.text(),
    inner=st.none() | st.builds(FailureDetails, type=st.text(), message=st.text()),
    non_retriable=st.booleans(),
    properties=_by_type[dict[str, str]],
)
_parents = st.builds(Parent, instance_id=st.text(), execution=_by_type[int], sequence=_by_type[int])


def events_of(kind: Any) -> st.SearchStrategy[Any]:
    known = {
        **_by_type,
        FailureDetails: _failures,
        Parent | None: st.none() | _parents,
        Actor | None: st.none() | _actors,
        RefusalKind: st.sampled_from(get_args(RefusalKind)),
    }
    fields = {name: known[hint] for name, hint in get_type_hints(kind).items()}
    return st.builds(kind, **fields)


@pytest.mark.parametrize("kind", get_args(Event), ids=lambda kind: kind.__name__)
def test_every_event_comes_back_from_its_row(kind: Any) -> None:
    @examples(20)
    @given(events_of(kind))
    def comes_back(event: Any) -> None:
        body = encode_event(event)

        assert decode_event(body) == event
        assert json.loads(body)["kind"] == kind.__name__
        assert b"\n" not in body

    comes_back()
