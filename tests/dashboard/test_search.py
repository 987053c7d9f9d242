"""The inbox's conditions and its address."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest

from adjourn.dashboard.search import Search
from adjourn.model.actor import Actor

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
LENA = Actor(id="lena", groups=["support"], roles=["approver"])


def test_everything_stands_in_the_address_and_comes_back_from_it() -> None:
    given = {
        "view": "all",
        "text": "ada & co",
        "kind": "Refund",
        "group": "group:support",
        "risk": "high",
        "policy": "large",
        "requester": "sam",
        "case": "C-1",
        "amount_from": "10",
        "amount_to": "99.5",
        "age": "over-day",
        "order": "amount",
        "page": "abc",
    }
    search = Search.of(given)

    assert dict(parse_qsl(search.address())) == given
    assert Search.of_text(search.address()) == search
    assert search.link(open="a:1").startswith("/?") and "open=a%3A1" in search.link(open="a:1")
    assert Search().link() == "/"


def test_it_asks_for_what_it_says() -> None:
    query = Search.of({"amount_from": "10", "age": "over-day", "risk": "high"}).query(LENA, NOW)

    assert query.recipients == ["lena", "group:support", "role:approver"]
    assert (query.amount_from, query.amount_to) == (10.0, None)
    assert (query.opened_before, query.opened_after) == (NOW - timedelta(days=1), None)
    assert Search.of({"age": "hour"}).query(LENA, NOW).opened_after == NOW - timedelta(hours=1)


@pytest.mark.parametrize(
    "words",
    [
        {"view": "theirs"},
        {"order": "random"},
        {"age": "old"},
        {"risk": "x"},
        {"amount_from": "ten"},
        {"amount_to": "nan"},
        {"amount_to": "1e99"},
        {"page": "\u202e"},
        {"other": "x"},
        {"text": "   "},
    ],
)
def test_a_word_that_means_nothing_is_left_out(words: dict[str, str]) -> None:
    assert Search.of(words) == Search()


def test_what_is_no_query_is_an_inbox_without_conditions() -> None:
    assert Search.of_text("&".join(f"a{n}=1" for n in range(99))) == Search()
    assert Search.of_text("view=all&view=recent").view == "recent"


def test_another_condition_begins_at_the_first_page() -> None:
    search = Search.of({"page": "abc", "risk": "high"})

    assert search.but(risk="low") == Search(risk="low")
    assert search.filtered and not Search(view="all", order="risk").filtered
