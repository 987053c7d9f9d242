"""Who counts as one address."""

import pytest
from fastapi import Request

from support_agent.web import rates
from support_agent.web.rates import Rate, site_of_address


def from_address(host: str | None) -> Request:
    client = None if host is None else (host, 1)
    return Request({"type": "http", "headers": [], "client": client})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("", None, True),
        ("a socket", "a socket", True),
    ],
)
def test_a_network_of_one_home_is_one_address(one: str, other: str | None, same: bool) -> None:
    first, second = from_address(one), from_address(other)

    assert (site_of_address(first) == site_of_address(second)) is same
    rate = Rate(1)
    assert rate.takes(first)
    assert rate.takes(second) is not same


def test_many_addresses_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "ADDRESSES_LIMIT", 10)
    rate = Rate(1)

    for number in range(100):
        assert rate.takes(from_address(f"192.0.2.{number}"))
        assert len(rate._counted.storage) <= 10  # pyright: ignore[reportPrivateUsage]  # what it keeps
