"""Moments as people read them."""

from datetime import UTC, datetime, timedelta

import pytest

from adjourn.dashboard.times import ago, clock, lasted, span, until

NOW = datetime(2026, 11, 23, 10, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(seconds=-5), "0 s"),
        (timedelta(seconds=59), "59 s"),
        (timedelta(minutes=12, seconds=59), "12 min"),
        (timedelta(hours=2), "2 h"),
        (timedelta(hours=2, minutes=10), "2 h 10 min"),
        (timedelta(hours=14, minutes=10), "14 h"),
        (timedelta(days=2, hours=4, minutes=9), "2 d 4 h"),
        (timedelta(days=12, hours=4), "12 d"),
    ],
)
def test_a_span_has_two_units_at_most(length: timedelta, text: str) -> None:
    assert span(length) == text


def test_how_long_ago_with_the_exact_moment_beside_it() -> None:
    past = ago(NOW - timedelta(minutes=12), NOW)

    assert (past.text, past.exact) == ("12 min ago", "23 Nov 2026, 09:52:12 UTC")
    assert past.iso == "2026-11-23T09:52:12+00:00"
    assert ago(NOW, NOW).text == "just now"
    assert lasted(NOW, NOW + timedelta(hours=3)) == "3 h"


def test_what_is_past_is_told_roughly() -> None:
    assert ago(NOW - timedelta(hours=2, minutes=10), NOW).text == "2 h ago"
    assert ago(NOW - timedelta(days=2, hours=4), NOW).text == "2 d ago"
    assert until(NOW - timedelta(hours=2, minutes=10), NOW).text == "overdue 2 h"
    assert until(NOW + timedelta(hours=2, minutes=10), NOW).text == "in 2 h 10 min"


def test_what_is_due_is_marked_when_it_is_near_and_when_it_is_past() -> None:
    far, near = until(NOW + timedelta(hours=2), NOW), until(NOW + timedelta(minutes=5), NOW)
    past = until(NOW - timedelta(hours=3), NOW)

    assert (far.text, far.tone) == ("in 2 h", "")
    assert (near.text, near.tone) == ("in 5 min", "soon")
    assert (past.text, past.tone) == ("overdue 3 h", "late")


def test_a_time_of_day_says_its_date_when_it_is_another_day() -> None:
    assert clock(NOW, NOW).text == "10:04 UTC"
    assert clock(NOW - timedelta(days=1), NOW).text == "22 Nov, 10:04 UTC"
    assert clock(NOW - timedelta(days=400), NOW).text == "19 Oct 2025, 10:04 UTC"
