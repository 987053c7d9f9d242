"""Which gateway the settings name, and what happens without the SDK."""

import re
import subprocess
import sys
import tomllib
import traceback
from decimal import Decimal
from pathlib import Path

import pytest

from apps.support_agent.tests.gateways.fake_stripe import API_KEY, FakeStripe
from support_agent.gateways.choose import choose_gateway
from support_agent.gateways.ledger import LedgerGateway
from support_agent.gateways.port import GatewayMisconfigured, RefundOrder
from support_agent.gateways.stripe import StripeGateway

ORDER = RefundOrder("R-1001/1/5", "R-1001", "A-1042", "ch_1042", Decimal("64.50"), "EUR")
WITHOUT_THE_SDK = """
import sys

sys.modules["stripe"] = None  # as if it were not installed
from support_agent.gateways.choose import choose_gateway
from support_agent.gateways.port import GatewayMisconfigured

assert choose_gateway({}).name == "ledger"
try:
    choose_gateway({"STRIPE_API_KEY": "sk_test_secret"})
except GatewayMisconfigured as refusal:
    assert "pip install 'support-agent[stripe]'" in str(refusal), refusal
    assert "sk_test_secret" not in str(refusal)
    sys.exit(42)
"""


@pytest.mark.parametrize("environment", [{}, {"STRIPE_API_KEY": ""}, {"STRIPE_API_KEY": "  "}])
def test_without_a_key_it_is_the_ledger(environment: dict[str, str]) -> None:
    assert isinstance(choose_gateway(environment), LedgerGateway)


def test_an_address_alone_chooses_nothing() -> None:
    assert isinstance(choose_gateway({"STRIPE_BASE_URL": "http://localhost:1"}), LedgerGateway)


def test_with_a_key_it_is_stripe() -> None:
    gateway = choose_gateway({"STRIPE_API_KEY": API_KEY})

    assert isinstance(gateway, StripeGateway)
    assert repr(gateway) == "StripeGateway('https://api.stripe.com')"


def test_the_address_is_the_one_that_is_asked(
    stripe_account: FakeStripe, stripe_address: str
) -> None:
    # A key read from a file has a line break at its end.
    environment = {"STRIPE_API_KEY": f"{API_KEY}\n", "STRIPE_BASE_URL": f"{stripe_address}/"}

    gateway = choose_gateway(environment)
    assert isinstance(gateway, StripeGateway)
    gateway.refund(ORDER)

    assert len(stripe_account.refunds) == 1


def test_a_setting_that_cannot_work_is_refused_without_the_key() -> None:
    environment = {"STRIPE_API_KEY": API_KEY, "STRIPE_BASE_URL": "http://stripe.example"}

    with pytest.raises(GatewayMisconfigured) as refusal:
        choose_gateway(environment)

    assert API_KEY not in "".join(traceback.format_exception(refusal.value))


@pytest.mark.slow
def test_a_missing_sdk_is_named_and_the_ledger_works_without_it() -> None:
    # A process of its own: here, the SDK has been imported already.
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_SDK], capture_output=True, text=True, timeout=60
    )

    assert (ended.returncode, ended.stderr) == (42, "")


def test_the_container_brings_what_its_settings_need() -> None:
    """Without the SDK, STRIPE_API_KEY is refused only where the first refund is due."""
    app = Path(__file__).parents[2]
    extras = tomllib.loads((app / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = [*extras["postgres"], *extras["stripe"]]  # as in compose.yaml and the Dockerfile
    needed = {re.split(r"[^a-z-]", one)[0] for one in named}

    dockerfile = (app / "Dockerfile").read_text()
    (pins,) = re.findall(r"--requirement (\S+)", dockerfile)
    pinned = re.findall(r"^([a-z-]+)==", (app.parents[1] / pins).read_text(), re.MULTILINE)

    assert needed == {"psycopg", "stripe"}
    assert needed <= set(pinned)
