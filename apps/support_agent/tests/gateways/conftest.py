"""A Stripe on loopback for each test, and the gateway that talks to it."""

from collections.abc import Iterator

import pytest

from apps.support_agent.tests.gateways.fake_stripe import API_KEY, FakeStripe, Payment
from support_agent.gateways.stripe import StripeGateway


@pytest.fixture
def stripe_account() -> FakeStripe:
    """One payment of 124.10 EUR, and another that no test refunds."""
    return FakeStripe(Payment("ch_1042", 12410), Payment("ch_0001", 99999))


@pytest.fixture
def stripe_address(stripe_account: FakeStripe) -> Iterator[str]:
    with stripe_account.serving() as address:
        yield address


@pytest.fixture
def stripe_gateway(stripe_address: str) -> StripeGateway:
    return StripeGateway(API_KEY, base_url=stripe_address)
