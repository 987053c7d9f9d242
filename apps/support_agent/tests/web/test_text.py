"""Words of others and words of ours, as the pages show them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from support_agent.web.text import ago, day_of, initials, money, one_line, plain, said

NOW = datetime(2026, 11, 23, 15, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("It is 5 < 6 & true", "It is 5 < 6 & true"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("photo\u202egnp.exe", "photo\u27e8U+202E\u27e9gnp.exe"),
        ("a\u200bb", "a\u27e8U+200B\u27e9b"),
        ("a\u200db", "a\u27e8U+200D\u27e9b"),
        ("\u2066x\u2069", "\u27e8U+2066\u27e9x\u27e8U+2069\u27e9"),
        ("bell\x07", "bell\u27e8U+0007\u27e9"),
        ("\u3164", "\u27e8U+3164\u27e9"),
        ("tag\U000e0041", "tag\u27e8U+E0041\u27e9"),
        ("e\u0301", "e\u0301"),
        (
            "\U0001f468\u200d\U0001f469\u200d\U0001f467",
            "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        ),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        ("\u2764\ufe0f and 1\ufe0f\u20e3", "\u2764\ufe0f and 1\ufe0f\u20e3"),
        ("x\ufe0f", "x\u27e8U+FE0F\u27e9"),
    ],
)
def test_what_hides_itself_is_shown_and_what_belongs_stays(given: str, shown: str) -> None:
    assert plain(given) == shown


def test_a_title_is_one_line_of_bounded_length() -> None:
    assert one_line("  a\n b  ") == "a b"
    assert len(one_line("word " * 90)) <= 90 and one_line("word " * 90).endswith("\u2026")


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        (Decimal("1250"), "EUR", "\u20ac1,250.00"),
        (Decimal("49.5"), "CHF", "49.50 CHF"),
        (None, "EUR", ""),
    ],
)
def test_money_is_told_with_its_cents(amount: Decimal | None, currency: str, shown: str) -> None:
    assert money(amount, currency) == shown


def test_a_message_is_told_by_its_age_within_the_hour_and_then_by_its_time() -> None:
    fresh, late = said(NOW - timedelta(minutes=5), NOW), said(NOW - timedelta(hours=2), NOW)

    assert (fresh.text, late.text) == ("5 min ago", "13:04 UTC")
    assert late.exact == "23 Nov 2026, 13:04:12 UTC"
    assert said(NOW + timedelta(seconds=3), NOW).text == "just now"
    assert ago(NOW - timedelta(days=3), NOW).text == "3 d ago"


def test_days_have_names_that_people_use() -> None:
    days = [day_of(NOW - timedelta(days=back), NOW) for back in (0, 1, 2, 400)]

    assert days == ["Today", "Yesterday", "Saturday, 21 November", "Sunday, 19 October 2025"]


def test_initials_are_letters() -> None:
    assert [initials(name) for name in ("Amina Diallo", "Mei", "<b>", "")] == ["AD", "M", "?", "?"]
