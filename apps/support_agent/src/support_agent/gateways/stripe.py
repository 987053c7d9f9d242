"""Stripe as a gateway, through its official SDK. The only module that imports it.

What Stripe documents, and this module builds on (docs.stripe.com/api/idempotent_requests and
docs.stripe.com/error-low-level): the first answer to an Idempotency-Key is kept for at least a day
and given to every repeat, an answer 500 too. Rate limits, bad keys and bad parameters are refused
before anything is kept. After that day the same key is a new request. Therefore each refund also
carries its key in its metadata, where `find` sees it for ever; and `find` reads the listing of the
payment, because Stripe's search shows new refunds late.

A refund that Stripe answered with 500 stays unknown for up to a day, on purpose: only asking with
another key would be faster, and that one could pay twice.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from support_agent.gateways.port import (
    Declined,
    GatewayMisconfigured,
    OutcomeUnknown,
    Paid,
    RefundOrder,
    TryLater,
    key_reused,
)
from support_agent.shop.errors import InvalidAmount, KeyReused
from support_agent.shop.money import from_cents, positive, to_cents

try:
    import requests
    import stripe
    from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError
except ModuleNotFoundError as missing:
    raise GatewayMisconfigured(
        "Refunds through Stripe need its SDK: pip install 'support-agent[stripe]'"
    ) from missing

if TYPE_CHECKING:
    from stripe.params import RefundCreateParams, RefundListParams

# Otherwise the SDK writes an id into the home folder and sends it, with our latencies, to Stripe.
stripe.enable_telemetry = False

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0  # Stripe answers in one or two; what takes longer is looked up
PAGE_LENGTH = 100  # the longest page Stripe gives
MOST_PAGES = 50  # no payment has 5,000 refunds; a listing without end is a broken one
LONGEST_KEY = 255  # characters of an Idempotency-Key
LONGEST_WORDS = 300
# Stripe counts these in whole units or in thousandths (docs.stripe.com/currencies). The shop keeps
# hundredths, and the wrong power of ten here would be somebody's money.
NOT_IN_HUNDREDTHS = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf bhd jod kwd omr tnd".split()
)


class StripeGateway:
    """Refunds through Stripe. One request for each call; repeating is the caller's decision."""

    name = "stripe"
    by_payment = True

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str = stripe.DEFAULT_API_BASE,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """Opens no connection. Raises GatewayMisconfigured for a key or address that cannot be."""
        # A key with a line break in it would come back in the text of an HTTP library's error.
        if not api_key or not all("!" <= letter <= "~" for letter in api_key):
            raise GatewayMisconfigured(
                "STRIPE_API_KEY is no key: it is empty, or has blanks or line breaks in it."
            )
        self._api_key = api_key
        self._address = _checked(base_url)
        session = requests.Session()
        session.max_redirects = 0  # following one would be asking again, and somebody else
        self._client = stripe.StripeClient(
            api_key,
            base_addresses={"api": self._address},
            max_network_retries=0,
            http_client=stripe.RequestsClient((CONNECT_SECONDS, answer_seconds), session),
        )

    def __repr__(self) -> str:
        return f"StripeGateway({self._address!r})"

    def refund(self, order: RefundOrder) -> Paid | Declined:
        """As the port says; by itself, Stripe keeps the promise of the key for a day."""
        if order.currency.lower() in NOT_IN_HUNDREDTHS:
            words = f"{order.currency} has no hundredths; the shop's amounts do not fit it."
            return Declined("currency_not_supported", words)
        try:
            parameters = _parameters(order)
        except InvalidAmount as refusal:
            return Declined("invalid_amount", str(refusal))
        try:
            answer = self._client.v1.refunds.create(
                parameters, {"idempotency_key": key_at_stripe(order.key)}
            )
            return _outcome(order, _Entry.read(answer))
        except (stripe.CardError, stripe.InvalidRequestError) as refusal:
            return self._refused(order, refusal)
        except stripe.IdempotencyError:
            asked_for = f"{order.amount} for {order.case_id}"
            raise KeyReused(order.key, "another request at Stripe", asked_for) from None
        except stripe.RateLimitError as limit:
            raise TryLater("Stripe limits our requests", seconds=_pause(limit)) from None
        except stripe.APIConnectionError as failure:
            if _never_left(failure):
                raise TryLater("Stripe could not be reached") from failure
            raise OutcomeUnknown(order.key, "Stripe's answer did not arrive") from failure
        except Exception as failure:
            # Anything at all, once the request was sent: it may be a payment that we cannot read.
            raise _cannot_tell(order, failure) from None

    def find(self, order: RefundOrder) -> Paid | Declined | None:
        """As the port says. A refund that the bank sent back is found, as Declined."""
        key = key_at_stripe(order.key)
        ours = [entry for entry in self._entries(order) if entry.key == key]
        for entry in ours:
            if (entry.case_id, entry.amount) != (order.case_id, order.amount):
                raise key_reused(order, entry.case_id, entry.amount)
        outcomes = [_outcome(order, entry) for entry in ours]
        return min(outcomes, key=lambda found: isinstance(found, Declined), default=None)

    def _entries(self, order: RefundOrder) -> Iterator["_Entry"]:
        """Every refund of the payment, newest first. Ends without an error only when complete."""
        parameters: RefundListParams = {"limit": PAGE_LENGTH}
        parameters[_kind_of(order.payment_reference)] = order.payment_reference
        for _ in range(MOST_PAGES):
            try:
                page = _Page.read(self._client.v1.refunds.list(parameters))
            except Exception as failure:
                raise _cannot_tell(order, failure) from None
            yield from page.entries
            if page.last:
                return
            parameters["starting_after"] = page.entries[-1].reference
        raise OutcomeUnknown(order.key, f"Stripe's listing did not end after {MOST_PAGES} pages")

    def _refused(
        self, order: RefundOrder, refusal: stripe.CardError | stripe.InvalidRequestError
    ) -> Paid | Declined:
        """The refusal; unless it is the echo of this very refund, which used the payment up.

        Once Stripe has forgotten the key, a repeat meets its own money: already refunded.
        """
        code = refusal.code or (f"invalid_{refusal.param}" if refusal.param else "refused")
        words = (refusal.user_message or "Stripe gave no reason.").replace(self._api_key, "...")
        declined = Declined(code, words[:LONGEST_WORDS])
        if code == "resource_missing":
            return declined
        return self.find(order) or declined


@dataclass(frozen=True, slots=True)
class _Entry:
    """One refund as Stripe lists it, ours or another."""

    reference: str
    amount: Decimal
    currency: str
    status: str | None
    failure: str
    key: str
    case_id: str

    @classmethod
    def read(cls, answer: object) -> "_Entry":
        match _plain(answer):
            case {"id": str(reference), "amount": int(cents), "currency": str(currency)} as fields:
                metadata = fields.get("metadata") or {}
                return cls(
                    reference,
                    from_cents(cents),
                    currency.upper(),
                    status=fields.get("status"),
                    failure=fields.get("failure_reason") or "",
                    key=metadata.get("support_key", ""),
                    case_id=metadata.get("support_case", ""),
                )
        raise ValueError("not a refund")


@dataclass(frozen=True, slots=True)
class _Page:
    """One page of a listing."""

    entries: list[_Entry]
    last: bool

    @classmethod
    def read(cls, answer: object) -> "_Page":
        match _plain(answer):
            # An empty page that is not the last leads nowhere: that listing cannot be completed.
            case {"data": list(rows), "has_more": bool(more)} if rows or not more:
                return cls([_Entry.read(row) for row in rows], last=not more)
        raise ValueError("not a page of refunds")


def key_at_stripe(key: str) -> str:
    """The key as an HTTP header can carry it: itself; its digest when it is long or not ASCII."""
    if len(key) <= LONGEST_KEY and all("!" <= letter <= "~" for letter in key):
        return key
    return f"sha256-{hashlib.sha256(key.encode()).hexdigest()}"


def _parameters(order: RefundOrder) -> "RefundCreateParams":
    """The form of the request: a function of the order alone, since a repeat must be identical."""
    parameters: RefundCreateParams = {
        "amount": to_cents(positive(order.amount)),
        "metadata": {
            "support_key": key_at_stripe(order.key),
            "support_case": order.case_id,
            "support_order": order.order_number,
        },
    }
    parameters[_kind_of(order.payment_reference)] = order.payment_reference
    return parameters


def _kind_of(payment_reference: str) -> Literal["charge", "payment_intent"]:
    return "payment_intent" if payment_reference.startswith("pi_") else "charge"


def _outcome(order: RefundOrder, entry: _Entry) -> Paid | Declined:
    """What a refund of our key says about the order."""
    match entry.status:
        # requires_action: the customer was asked for an account. Paying again would pay twice.
        case "succeeded" | "pending" | "requires_action":
            if (entry.amount, entry.currency) != (order.amount, order.currency.upper()):
                # Stripe pays back in the currency of the payment, whatever ours says.
                asked_for = f"{order.amount} {order.currency}"
                raise KeyReused(order.key, f"{entry.amount} {entry.currency}", asked_for)
            return Paid(entry.reference, entry.amount, entry.currency)
        case "failed" | "canceled":
            reason = entry.failure or entry.status
            return Declined(reason, f"Stripe's refund {entry.reference} {entry.status}: {reason}.")
        case unheard_of:
            raise OutcomeUnknown(
                order.key, f"Stripe's refund {entry.reference} has the status {unheard_of!r}"
            )


def _cannot_tell(order: RefundOrder, failure: Exception) -> Exception:
    """What to raise when Stripe's answer, or its absence, leaves the outcome open."""
    match failure:
        case OutcomeUnknown() | KeyReused():
            return failure
        case stripe.AuthenticationError() | stripe.PermissionError():
            return GatewayMisconfigured(
                f"Stripe refuses our key (HTTP {failure.http_status}). Give STRIPE_API_KEY a "
                "secret or restricted key of this account that may read and write refunds."
            )
        case stripe.InvalidRequestError(code="resource_missing"):
            return GatewayMisconfigured(
                f"Stripe has no payment {order.payment_reference}. Does STRIPE_API_KEY belong to "
                "the account and mode, live or test, in which it was paid?"
            )
        case stripe.APIConnectionError():
            return OutcomeUnknown(order.key, "Stripe did not answer")
        case stripe.StripeError(http_status=int(status)):
            return OutcomeUnknown(
                order.key, f"Stripe answered HTTP {status}", seconds=_pause(failure)
            )
        case _:
            because = f"Stripe's answer could not be read ({type(failure).__name__})"
            return OutcomeUnknown(order.key, because)


def _never_left(failure: stripe.APIConnectionError) -> bool:
    """Whether there was no connection to send anything on."""
    cause = failure.__cause__
    reasons = (
        [part.reason for part in cause.args if isinstance(part, MaxRetryError)] if cause else []
    )
    return any(isinstance(reason, NewConnectionError | ConnectTimeoutError) for reason in reasons)


def _pause(failure: stripe.StripeError) -> float | None:
    """The seconds of Retry-After. Its other form, a date, is left to our own retry policy."""
    try:
        seconds = float((failure.headers or {}).get("Retry-After", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _plain(answer: object) -> Mapping[str, Any]:
    """The answer as plain dictionaries and lists; an empty one when it is not an object."""
    if isinstance(answer, stripe.StripeObject):
        return answer.to_dict()
    return answer if isinstance(answer, dict) else {}


def _checked(base_url: str) -> str:
    """The address, when the key may be sent there: over TLS, or without leaving this machine."""
    parts = urlsplit(base_url)
    if parts.hostname and (
        parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname))
    ):
        return base_url.rstrip("/")
    raise GatewayMisconfigured(
        "STRIPE_BASE_URL must begin with https://, or with http:// and a loopback address."
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
