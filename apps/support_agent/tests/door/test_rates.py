"""Counting by address. Which requests come from one, the server says: tests/safety."""

import pytest
from fastapi import Request

from support_agent.web import rates
from support_agent.web.rates import Rate


def from_address(address: str) -> Request:
    return Request({"type": "http", "headers": [], "state": {"address": address}})


def test_each_address_has_its_own() -> None:
    rate = Rate(1)

    assert [rate.takes(from_address(each)) for each in ("a", "b", "a")] == [True, True, False]


def test_where_nobody_says_the_address_all_count_as_one() -> None:
    rate = Rate(1)

    assert [rate.takes(Request({"type": "http", "headers": []})) for _ in "ab"] == [True, False]


def test_many_addresses_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "ADDRESSES_LIMIT", 10)
    rate = Rate(1)

    for number in range(100):
        assert rate.takes(from_address(f"192.0.2.{number}"))
        assert len(rate._counted.storage) <= 10  # pyright: ignore[reportPrivateUsage]  # what it keeps
