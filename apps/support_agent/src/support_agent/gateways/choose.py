"""Which gateway the settings name."""

from collections.abc import Mapping

from support_agent.gateways.ledger import LedgerGateway
from support_agent.gateways.port import RefundGateway

KEY_VARIABLE = "STRIPE_API_KEY"
ADDRESS_VARIABLE = "STRIPE_BASE_URL"


def choose_gateway(environment: Mapping[str, str]) -> RefundGateway:
    """Stripe when STRIPE_API_KEY is set, else the shop's own ledger.

    STRIPE_BASE_URL is for tests: another address than Stripe's. Raises GatewayMisconfigured for
    settings that cannot work, and when the SDK is not installed. Never shows the key.
    """
    api_key = environment.get(KEY_VARIABLE, "").strip()
    if not api_key:
        return LedgerGateway()
    # Only here: without a key, the SDK need not be installed, and its import takes its time.
    from support_agent.gateways.stripe import StripeGateway

    address = environment.get(ADDRESS_VARIABLE, "").strip()
    return StripeGateway(api_key, base_url=address) if address else StripeGateway(api_key)
