"""Moments as whole microseconds: exact both ways."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adjourn.model.state import InstanceState, from_microseconds, to_microseconds
from adjourn.model.status import Status


@pytest.mark.parametrize(
    ("moment", "microseconds"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC), 1),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), -1),
        (datetime(2026, 1, 1, 9, 0, 0, 123_457, tzinfo=UTC), 1_767_258_000_123_457),
        (datetime.max.replace(tzinfo=UTC), 253_402_300_799_999_999),
        (datetime.min.replace(tzinfo=UTC), -62_135_596_800_000_000),
    ],
)
def test_a_moment_and_its_microseconds_are_the_same(moment: datetime, microseconds: int):
    assert to_microseconds(moment) == microseconds
    assert from_microseconds(microseconds) == moment


@pytest.mark.slow
@given(st.datetimes(timezones=st.just(UTC)))
def test_no_moment_loses_a_microsecond(moment: datetime):
    assert from_microseconds(to_microseconds(moment)) == moment


@given(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999))
def test_no_number_loses_a_microsecond(microseconds: int):
    assert to_microseconds(from_microseconds(microseconds)) == microseconds


def test_a_float_would_not_do():
    moment = datetime.max.replace(tzinfo=UTC)

    assert int(moment.timestamp() * 1_000_000) != to_microseconds(moment)


def test_another_time_zone_is_the_same_moment_and_comes_back_as_utc():
    there = datetime(2026, 1, 1, 14, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))

    back = from_microseconds(to_microseconds(there))

    assert back == there
    assert back.tzinfo is UTC


def test_a_naive_moment_has_no_microseconds():
    naive = datetime(2026, 1, 1)  # noqa: DTZ001  this is what is refused

    with pytest.raises(TypeError, match="naive"):
        to_microseconds(naive)


def test_a_state_survives_json():
    state = InstanceState(
        id="order-42",
        name="order",
        version="2",
        execution=3,
        status=Status.SUSPENDED,
        created_at=from_microseconds(1),
        updated_at=from_microseconds(2),
        attributes={"amount": 10, "open": True, "to": "ann"},
        waiting_for=["Approval"],
    )

    assert msgspec.json.decode(msgspec.json.encode(state), type=InstanceState) == state
