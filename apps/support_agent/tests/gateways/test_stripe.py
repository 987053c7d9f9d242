"""Stripe's gateway, with the real SDK over real HTTP."""

import json
import logging
import re
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from apps.support_agent.tests.gateways.fake_stripe import (
    API_KEY,
    GET_FAULTS,
    POST_FAULTS,
    FakeStripe,
    GetFault,
    Payment,
    PostFault,
)
from support_agent.gateways import stripe as module
from support_agent.gateways.port import (
    Declined,
    GatewayMisconfigured,
    OutcomeUnknown,
    Paid,
    RefundOrder,
    TryLater,
)
from support_agent.gateways.stripe import StripeGateway
from support_agent.shop.errors import KeyReused

ORDER = RefundOrder("R-1001/1/5", "R-1001", "A-1042", "ch_1042", Decimal("64.50"), "EUR")
WHOLE = replace(ORDER, amount=Decimal("124.10"))
IMPATIENT_SECONDS = 0.2  # for a server that never answers; no test asserts on it

UNKNOWN: tuple[PostFault, ...] = (
    "unavailable",
    "drop_before",
    "drop_after",
    "torn_after",
    "silence_before",
    "silence_after",
    "error_before",
    "error_after",
    "malformed_after",
    "slow",
)
MOVES_MONEY = {"drop_after", "torn_after", "silence_after", "error_after", "malformed_after"}


GatewayFor = Callable[[str], StripeGateway]


@pytest.fixture
def gateway_for(stripe_address: str, stripe_gateway: StripeGateway) -> GatewayFor:
    """Impatient where the server stays silent; else patient, so that a slow machine is no fault."""

    def choose(fault: str) -> StripeGateway:
        if not fault.startswith("silence"):
            return stripe_gateway
        return StripeGateway(API_KEY, base_url=stripe_address, answer_seconds=IMPATIENT_SECONDS)

    return choose


# What goes over the wire.


def test_a_refund_is_one_form_with_our_key(
    stripe_account: FakeStripe, stripe_gateway: StripeGateway
) -> None:
    stripe_gateway.refund(ORDER)

    (seen,) = stripe_account.seen
    assert (seen.method, seen.path, seen.query) == ("POST", "/v1/refunds", {})
    assert seen.headers["content-type"] == "application/x-www-form-urlencoded"
    assert seen.headers["authorization"] == f"Bearer {API_KEY}"
    assert seen.headers["idempotency-key"] == "R-1001/1/5"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d\.[a-z]+", seen.headers["stripe-version"])
    assert seen.form == {
        "charge": "ch_1042",
        "amount": "6450",
        "metadata[support_key]": "R-1001/1/5",
        "metadata[support_case]": "R-1001",
        "metadata[support_order]": "A-1042",
    }


def test_a_payment_intent_is_named_as_one(
    stripe_account: FakeStripe, stripe_gateway: StripeGateway
) -> None:
    order = replace(ORDER, payment_reference="pi_1042")

    paid = stripe_gateway.refund(order)

    assert stripe_account.seen[0].form["payment_intent"] == "pi_1042"
    assert "charge" not in stripe_account.seen[0].form
    assert stripe_gateway.find(order) == paid
    assert stripe_account.seen[1].query == {"payment_intent": "pi_1042", "limit": "100"}


def test_a_look_is_a_listing_without_a_key(
    stripe_account: FakeStripe, stripe_gateway: StripeGateway
) -> None:
    stripe_gateway.find(ORDER)

    (seen,) = stripe_account.seen
    assert (seen.method, seen.path, seen.body) == ("GET", "/v1/refunds", "")
    assert seen.query == {"charge": "ch_1042", "limit": "100"}
    assert "idempotency-key" not in seen.headers


def test_the_sdk_sends_no_telemetry(
    stripe_account: FakeStripe, stripe_gateway: StripeGateway
) -> None:
    for _ in range(2):  # latencies of a request would travel with the next one
        stripe_gateway.refund(ORDER)

    for seen in stripe_account.seen:
        assert "x-stripe-client-telemetry" not in seen.headers
        assert "telemetry_id" not in json.loads(seen.headers["x-stripe-client-user-agent"])


@pytest.mark.parametrize("key", ["k" * 256, "R-1001/Größe", "two words", "line\nbreak"])
def test_a_key_that_no_header_carries_goes_as_its_digest(
    stripe_account: FakeStripe, stripe_gateway: StripeGateway, key: str
) -> None:
    order = replace(ORDER, key=key)

    paid = stripe_gateway.refund(order)

    assert re.fullmatch("sha256-[0-9a-f]{64}", stripe_account.seen[0].headers["idempotency-key"])
    assert stripe_gateway.find(order) == paid
    assert stripe_gateway.find(replace(order, key=key + "!")) is None


# What the answers mean.


@pytest.mark.parametrize("status", ["pending", "requires_action"])
def test_a_refund_on_its_way_is_paid(
    stripe_account: FakeStripe, stripe_gateway: StripeGateway, status: PostFault
) -> None:
    stripe_account.plan(status)

    paid = stripe_gateway.refund(ORDER)

    assert paid == Paid("re_0001", Decimal("64.50"), "EUR")
    assert stripe_account.refunds[0]["status"] == status


def test_a_refund_that_failed_is_declined_with_the_banks_reason(
    stripe_account: FakeStripe, stripe_gateway: StripeGateway
) -> None:
    stripe_account.plan("failed")

    answer = stripe_gateway.refund(ORDER)

    assert answer == Declined(
        "expired_or_canceled_card",
        "Stripe's refund re_0001 failed: expired_or_canceled_card.",
    )
    assert stripe_gateway.find(ORDER) == answer


def test_a_pending_refund_that_the_bank_sends_back_is_found_declined(
    stripe_account: FakeStripe, stripe_gateway: StripeGateway
) -> None:
    stripe_account.plan("pending")
    stripe_gateway.refund(ORDER)

    stripe_account.bank_returns(ORDER.key)

    found = stripe_gateway.find(ORDER)
    assert isinstance(found, Declined)
    assert found.code == "lost_or_stolen_card"


def test_a_card_error_is_declined(
    stripe_account: FakeStripe, stripe_gateway: StripeGateway
) -> None:
    stripe_account.plan("card_declined")

    assert stripe_gateway.refund(ORDER) == Declined("card_declined", "The card was declined.")


def test_a_charge_refunded_by_somebody_else_is_declined(
    stripe_account: FakeStripe, stripe_gateway: StripeGateway
) -> None:
    stripe_account.refund_by_hand("ch_1042", 12410)

    answer = stripe_gateway.refund(ORDER)

    assert isinstance(answer, Declined)
    assert answer.code == "charge_already_refunded"


def test_more_than_is_left_is_declined(
    stripe_account: FakeStripe, stripe_gateway: StripeGateway
) -> None:
    stripe_account.refund_by_hand("ch_1042", 10000)

    answer = stripe_gateway.refund(ORDER)

    assert isinstance(answer, Declined)
    assert answer.code == "invalid_amount"
    assert "greater than unrefunded amount" in answer.words


def test_a_payment_stripe_does_not_know_is_declined_without_a_look(
    stripe_account: FakeStripe, stripe_gateway: StripeGateway
) -> None:
    answer = stripe_gateway.refund(replace(ORDER, payment_reference="PAY-1"))

    assert isinstance(answer, Declined)
    assert answer.code == "resource_missing"
    assert len(stripe_account.seen) == 1


@pytest.mark.parametrize("currency", ["JPY", "kwd"])
def test_a_currency_without_hundredths_is_declined_before_anything_is_sent(
    stripe_account: FakeStripe, stripe_gateway: StripeGateway, currency: str
) -> None:
    answer = stripe_gateway.refund(replace(ORDER, currency=currency))

    assert isinstance(answer, Declined)
    assert answer.code == "currency_not_supported"
    assert stripe_account.seen == []


def test_a_rate_limit_is_for_later_and_says_when(
    stripe_account: FakeStripe, stripe_gateway: StripeGateway
) -> None:
    stripe_account.plan("rate_limit")

    with pytest.raises(TryLater, match="Ask again in 7 s") as limit:
        stripe_gateway.refund(ORDER)

    assert limit.value.seconds == 7
    assert stripe_account.refunds == []
    assert len(stripe_account.seen) == 1


def test_nobody_listening_is_for_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    gateway = StripeGateway(API_KEY, base_url=f"http://127.0.0.1:{port}")

    with pytest.raises(TryLater, match="could not be reached"):
        gateway.refund(ORDER)
    with pytest.raises(OutcomeUnknown):  # a look that found nobody is no news of the money
        gateway.find(ORDER)


@pytest.mark.slow
@pytest.mark.parametrize("fault", UNKNOWN)
def test_a_lost_or_broken_answer_leaves_the_outcome_unknown_and_is_not_repeated(
    stripe_account: FakeStripe, gateway_for: GatewayFor, fault: PostFault
) -> None:
    stripe_account.plan(fault)

    with pytest.raises(OutcomeUnknown, match=r"R-1001/1/5.*find\(\)"):
        gateway_for(fault).refund(ORDER)

    stripe_account.wait_for_requests(1)
    assert len(stripe_account.seen) == 1
    assert len(stripe_account.refunds) == (fault in MOVES_MONEY)


def test_every_fault_of_the_fake_server_has_its_test() -> None:
    answered = {"rate_limit", "forbidden", "card_declined", "pending", "failed", "requires_action"}

    assert {*UNKNOWN, *answered} == set(POST_FAULTS)


def test_a_key_whose_first_request_still_runs_is_unknown(
    stripe_account: FakeStripe, stripe_gateway: StripeGateway
) -> None:
    stripe_account.plan("slow")
    with pytest.raises(OutcomeUnknown):
        stripe_gateway.refund(ORDER)

    with pytest.raises(OutcomeUnknown, match="HTTP 409"):
        stripe_gateway.refund(ORDER)

    stripe_account.finish_slow()
    assert stripe_gateway.refund(ORDER) == Paid("re_0001", Decimal("64.50"), "EUR")


def test_a_kept_500_stays_the_answer_for_a_day_and_no_longer(
    stripe_account: FakeStripe, stripe_gateway: StripeGateway
) -> None:
    stripe_account.plan("error_before")
    for _ in range(2):
        with pytest.raises(OutcomeUnknown, match="HTTP 500"):
            stripe_gateway.refund(ORDER)
    assert stripe_gateway.find(ORDER) is None

    stripe_account.pass_hours(24)

    assert isinstance(stripe_gateway.refund(ORDER), Paid)
    assert len(stripe_account.refunds) == 1


def test_already_refunded_by_this_very_key_is_paid(
    stripe_account: FakeStripe, stripe_gateway: StripeGateway
) -> None:
    paid = stripe_gateway.refund(WHOLE)
    stripe_account.pass_hours(24)

    assert stripe_gateway.refund(WHOLE) == paid
    assert len(stripe_account.refunds) == 1


def test_a_status_that_is_new_to_us_is_no_answer(
    stripe_account: FakeStripe, stripe_gateway: StripeGateway
) -> None:
    stripe_gateway.refund(ORDER)
    stripe_account.refunds[0]["status"] = "in_escrow"

    with pytest.raises(OutcomeUnknown, match="in_escrow"):
        stripe_gateway.find(ORDER)


def test_a_payment_in_another_currency_is_no_payment_of_this_order(
    stripe_account: FakeStripe, stripe_gateway: StripeGateway
) -> None:
    stripe_account.payments += (Payment("ch_dollars", 12410, "usd"),)
    order = replace(ORDER, payment_reference="ch_dollars")

    for ask in (stripe_gateway.refund, stripe_gateway.find):
        with pytest.raises(KeyReused, match=r"64\.50 USD; it cannot also mean 64\.50 EUR"):
            ask(order)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirected_request_is_asked_of_nobody_else(
    stripe_account: FakeStripe, stripe_address: str, status: int
) -> None:
    with redirecting(status, f"{stripe_address}/v1/refunds") as address:
        gateway = StripeGateway(API_KEY, base_url=address)
        for ask in (gateway.refund, gateway.find):
            with pytest.raises(OutcomeUnknown):
                ask(ORDER)

    assert stripe_account.seen == []


@contextmanager
def redirecting(status: int, to: str) -> Iterator[str]:
    """A server that knows a better address for everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.send_response(status)
            self.send_header("Location", to)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


# What a look finds.


def test_a_look_reads_every_page(stripe_account: FakeStripe, stripe_gateway: StripeGateway) -> None:
    paid = stripe_gateway.refund(ORDER)
    for _ in range(5):  # newer than ours, so listed before it
        stripe_account.refund_by_hand("ch_1042", 100)
    stripe_account.longest_page = 2

    assert stripe_gateway.find(ORDER) == paid
    assert stripe_gateway.find(replace(ORDER, key="another")) is None
    pages = [seen.query.get("starting_after") for seen in stripe_account.listings()]
    assert pages == [None, "re_0005", "re_0003"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("page", [0, 1])
@pytest.mark.parametrize("fault", GET_FAULTS)
def test_a_look_that_was_not_completed_finds_nothing_out(
    stripe_account: FakeStripe, gateway_for: GatewayFor, fault: GetFault, page: int
) -> None:
    for _ in range(3):
        stripe_account.refund_by_hand("ch_1042", 100)
    stripe_account.longest_page = 2
    stripe_account.plan_listing(*[None] * page, fault)

    with pytest.raises(OutcomeUnknown) as unknown:
        gateway_for(fault).find(ORDER)

    stripe_account.wait_for_requests(page + 1)
    assert unknown.value.seconds == (7 if fault == "rate_limit" else None)
    assert len(stripe_account.seen) == page + 1


def test_a_listing_that_does_not_end_finds_nothing_out(
    stripe_account: FakeStripe, stripe_gateway: StripeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        stripe_account.refund_by_hand("ch_1042", 100)
    stripe_account.longest_page = 1
    monkeypatch.setattr(module, "MOST_PAGES", 3)

    with pytest.raises(OutcomeUnknown, match="did not end after 3 pages"):
        stripe_gateway.find(ORDER)


def test_a_look_for_a_payment_of_another_account_is_no_answer(
    stripe_gateway: StripeGateway,
) -> None:
    with pytest.raises(GatewayMisconfigured, match="the account and mode"):
        stripe_gateway.find(replace(ORDER, payment_reference="ch_404"))


# Settings, and the secret among them.


def test_a_key_that_stripe_refuses_is_a_setting_to_mend(
    stripe_account: FakeStripe, stripe_address: str
) -> None:
    wrong = StripeGateway("sk_test_wrong-but-secret", base_url=stripe_address)

    for ask in (wrong.refund, wrong.find):
        with pytest.raises(GatewayMisconfigured, match="STRIPE_API_KEY") as refusal:
            ask(ORDER)
        assert "wrong-but-secret" not in shown(refusal.value)
    assert len(stripe_account.seen) == 2


def test_a_key_without_the_permission_is_a_setting_to_mend(
    stripe_account: FakeStripe, stripe_gateway: StripeGateway
) -> None:
    stripe_account.plan("forbidden")

    with pytest.raises(GatewayMisconfigured, match="HTTP 403"):
        stripe_gateway.refund(ORDER)


@pytest.mark.parametrize("key", ["", "sk_test_two words", "sk_test_line\nbreak", "sk_tést"])
def test_what_is_no_key_is_refused_unseen(key: str) -> None:
    with pytest.raises(GatewayMisconfigured) as refusal:
        StripeGateway(key)

    assert not key or key not in shown(refusal.value)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "stripe.example",
        "localhost:4242",
        "http://stripe.example",
        "http://127.0.0.1.stripe.example",
        "http://localhost@stripe.example",
        "ftp://localhost",
        "https://",
    ],
)
def test_the_key_is_never_sent_in_the_clear(address: str) -> None:
    with pytest.raises(GatewayMisconfigured, match="STRIPE_BASE_URL"):
        StripeGateway(API_KEY, base_url=address)


@pytest.mark.parametrize(
    "address", ["https://stripe.example/", "http://localhost:1", "http://[::1]:1"]
)
def test_an_address_over_tls_or_on_this_machine_is_taken(address: str) -> None:
    assert repr(StripeGateway(API_KEY, base_url=address)) == (
        f"StripeGateway({address.rstrip('/')!r})"
    )


@pytest.mark.slow
@pytest.mark.parametrize("fault", POST_FAULTS)
def test_the_secret_shows_nowhere(
    stripe_account: FakeStripe,
    gateway_for: GatewayFor,
    caplog: pytest.LogCaptureFixture,
    fault: PostFault,
) -> None:
    caplog.set_level(logging.DEBUG)
    stripe_account.plan(fault)
    gateway = gateway_for(fault)

    try:
        said = repr(gateway.refund(ORDER))
    except (OutcomeUnknown, TryLater, GatewayMisconfigured) as problem:
        said = shown(problem)

    assert caplog.records  # the SDK and its HTTP library do log at this level
    for text in (said, caplog.text, repr(gateway), str(gateway)):
        assert API_KEY not in text


def shown(problem: BaseException) -> str:
    """Everything that a log would show of the problem, its causes too."""
    return "".join(traceback.format_exception(problem)) + repr(problem)


def test_a_server_that_repeats_the_secret_does_not_make_us_repeat_it() -> None:
    account = FakeStripe(Payment(API_KEY, 12410))  # its refusals name the charge
    account.refund_by_hand(API_KEY, 12410)
    with account.serving() as address:
        gateway = StripeGateway(API_KEY, base_url=address)

        answer = gateway.refund(replace(ORDER, payment_reference=API_KEY))

    assert answer == Declined("charge_already_refunded", "Charge ... has already been refunded.")
