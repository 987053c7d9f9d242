"""A Stripe of our own on loopback: payments, refunds, idempotency keys, and planned misfortune.

It follows what Stripe documents: forms in, JSON out; the first answer of a key is kept for a day
once the execution began, an answer 500 too, and given to each repeat; a repeat with other
parameters is an error; a key whose first request still runs is a conflict; rate limits, bad keys
and unknown payments are refused before anything is kept; listings are newest first, in pages.

A test plans faults, one for each coming request of a method; without one, all goes well.
"""

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Literal, get_args
from urllib.parse import parse_qsl, urlsplit

API_KEY = "sk_test_4eC39HqLyjWDarjtT1zdp7dc-of-the-fake"
KEPT_HOURS = 24
PATIENCE_SECONDS = 20.0  # for a client that should hang up; bounds every wait of a handler

# What happens to a POST. "before" and "after" say on which side of the payment.
PostFault = Literal[
    "rate_limit",  # 429 with Retry-After, before the key is looked at
    "unavailable",  # 503, before the key is looked at
    "forbidden",  # 403, before the key is looked at
    "drop_before",  # the connection closes, nothing was done
    "drop_after",
    "torn_after",  # half an answer, then the connection closes
    "silence_before",  # no answer until the client hangs up
    "silence_after",
    "error_before",  # 500, kept for the key
    "error_after",
    "malformed_after",  # 200, and no JSON
    "slow",  # the connection closes; the payment happens some requests later
    "card_declined",  # 402
    "pending",
    "failed",
    "requires_action",
]
GetFault = Literal[
    "rate_limit",
    "unavailable",
    "drop",
    "torn",
    "silence",
    "error",
    "malformed",
    "no_rows",  # an empty page which says that there is more
]
POST_FAULTS: tuple[PostFault, ...] = get_args(PostFault)
GET_FAULTS: tuple[GetFault, ...] = get_args(GetFault)
STATUSES = {"pending": "pending", "failed": "failed", "requires_action": "requires_action"}


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that came in: a charge, and the payment intent that made it."""

    charge: str
    amount: int
    currency: str = "eur"

    @property
    def intent(self) -> str:
        return self.charge.replace("ch_", "pi_", 1)


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came over the wire."""

    method: str
    path: str
    headers: dict[str, str]
    query: dict[str, str]
    form: dict[str, str]
    body: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. `body` is text, so that it can be no JSON."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Kept:
    """What Stripe remembers of a key: the parameters, and the answer once there is one."""

    form: dict[str, str]
    at_hour: int
    answer: Answer | None = None


class FakeStripe:
    """One account of Stripe. `with FakeStripe(...).serving() as address:` puts it on the wire."""

    def __init__(self, *payments: Payment, longest_page: int = 100, slow_requests: int = 2) -> None:
        """`slow_requests`: a slow payment happens before so many-th request after its own."""
        self.payments = payments
        self.longest_page = longest_page
        self.slow_requests = slow_requests
        self.refunds: list[dict[str, Any]] = []  # oldest first
        self.seen: list[Seen] = []
        self.hour = 0
        self._kept: dict[str, Kept] = {}
        self._slow: list[tuple[str, int]] = []  # key, number of the request that it comes before
        self._faults: dict[str, deque[str]] = {"POST": deque(), "GET": deque()}
        self._one_at_a_time = threading.Condition()

    # What a test plans, and looks at.

    def plan(self, *faults: PostFault | None) -> None:
        """What happens to the coming POSTs, in turn. None: nothing does."""
        self._faults["POST"].extend(fault or "" for fault in faults)

    def plan_listing(self, *faults: GetFault | None) -> None:
        """What happens to the coming GETs, in turn. None: nothing does."""
        self._faults["GET"].extend(fault or "" for fault in faults)

    def wait_for_requests(self, count: int) -> None:
        """Until so many were handled: a client that hung up does not know that of its own."""
        with self._one_at_a_time:
            arrived = self._one_at_a_time.wait_for(
                lambda: len(self.seen) >= count, PATIENCE_SECONDS
            )
        assert arrived, f"{len(self.seen)} of {count} requests came"

    def clear_plans(self) -> None:
        for faults in self._faults.values():
            faults.clear()

    def pass_hours(self, hours: int) -> None:
        """Slow payments do not take this long: they happen first."""
        with self._one_at_a_time:
            self.finish_slow()
            self.hour += hours

    def finish_slow(self) -> None:
        with self._one_at_a_time:
            for key, _ in self._slow:
                self._kept[key].answer = self._execute(key, self._kept[key].form, "")
            self._slow.clear()

    def bank_returns(self, key: str) -> None:
        """The bank of the customer does not take the money: the refund has failed after all."""
        for refund in self.refunds_of(key):
            refund.update(status="failed", failure_reason="lost_or_stolen_card")

    def refund_by_hand(self, charge: str, amount: int) -> None:
        """Somebody refunds in Stripe's own pages: without our metadata, and without a status."""
        form = {"charge": charge, "amount": str(amount)}
        (payment,) = (payment for payment in self.payments if payment.charge == charge)
        self.refunds.append({**self._refund("", form, payment, "succeeded"), "status": None})

    def refunds_of(self, key: str) -> list[dict[str, Any]]:
        """The refunds that were made under an Idempotency-Key, whatever their metadata says."""
        return [refund for refund in self.refunds if refund["made_under"] == key]

    def listings(self) -> list[Seen]:
        return [seen for seen in self.seen if seen.method == "GET"]

    @contextmanager
    def serving(self) -> Iterator[str]:
        """On a loopback port until the end; gives its address."""
        handler = type("Handler", (_Handler,), {"stripe": self})
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            server.daemon_threads = True
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}"
            finally:
                server.shutdown()
                thread.join(PATIENCE_SECONDS)

    # What a request meets, in Stripe's order.

    def handle(self, seen: Seen) -> tuple[Answer, str]:
        """The answer, and the fault that awaits it on its way."""
        with self._one_at_a_time:
            self.seen.append(seen)
            self._finish_due()
            faults = self._faults[seen.method]
            fault = faults.popleft() if faults else ""
            answer = self._answer(seen, fault)
            self._one_at_a_time.notify_all()
            return answer, fault

    def _answer(self, seen: Seen, fault: str) -> Answer:
        sent = seen.headers.get("authorization", "")
        if sent != f"Bearer {API_KEY}":
            # The real one shows the last four letters only.
            return error(401, "invalid_request_error", f"Invalid API Key provided: {sent}")
        if fault == "rate_limit":
            return error(429, "invalid_request_error", "Slow down.", headers={"Retry-After": "7"})
        if fault == "unavailable":
            return error(503, "api_error", "We are down.")
        if fault == "forbidden":
            return error(403, "invalid_request_error", "This key may not do that.")
        if seen.path != "/v1/refunds":
            return error(404, "invalid_request_error", "Unrecognized request URL.")
        fields = seen.form if seen.method == "POST" else seen.query
        if self._payment(fields) is None:
            reference = fields.get("charge") or fields.get("payment_intent")
            words = f"No such charge: {reference!r}"
            return error(404, "invalid_request_error", words, "resource_missing", "charge")
        if seen.method == "GET":
            return self._list(seen.query, fault)
        return self._create(seen, fault)

    def _create(self, seen: Seen, fault: str) -> Answer:
        key = seen.headers["idempotency-key"]
        if fault in ("drop_before", "silence_before"):
            return Answer(0, "")  # nobody will see it
        kept = self._kept.get(key)
        if kept is not None and self.hour - kept.at_hour >= KEPT_HOURS:
            kept = None
        if kept is None:
            kept = self._kept[key] = Kept(seen.form, self.hour)
            if fault == "slow":
                self._slow.append((key, len(self.seen) + self.slow_requests))
            else:
                kept.answer = self._execute(key, seen.form, fault)
                return kept.answer
        elif kept.form != seen.form:
            words = "Keys for idempotent requests can only be used with the same parameters."
            return error(400, "idempotency_error", words)
        if kept.answer is None:
            words = "There is currently another in-progress request using this Idempotent Key."
            return error(409, "idempotency_error", words, "idempotency_key_in_use")
        replayed = {**kept.answer.headers, "Idempotent-Replayed": "true"}
        return Answer(kept.answer.status, kept.answer.body, replayed)

    def _execute(self, key: str, form: dict[str, str], fault: str) -> Answer:
        """Where money moves. What this answers is kept for the key."""
        payment = self._payment(form)
        assert payment is not None
        amount = int(form["amount"])
        left = payment.amount - sum(
            refund["amount"]
            for refund in self.refunds
            if refund["charge"] == payment.charge and refund["status"] != "failed"
        )
        if fault == "error_before":
            return error(500, "api_error", "Oops.")
        if fault == "card_declined":
            return error(402, "card_error", "The card was declined.", "card_declined")
        if left == 0:
            words = f"Charge {payment.charge} has already been refunded."
            return error(400, "invalid_request_error", words, "charge_already_refunded")
        if amount > left:
            words = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
            return error(400, "invalid_request_error", words, param="amount")
        refund = self._refund(key, form, payment, STATUSES.get(fault, "succeeded"))
        self.refunds.append(refund)
        if fault == "error_after":
            return error(500, "api_error", "Oops.")
        return Answer(200, json.dumps(shown(refund)))

    def _refund(
        self, key: str, form: dict[str, str], payment: Payment, status: str
    ) -> dict[str, Any]:
        return {
            "id": f"re_{len(self.refunds) + 1:04d}",
            "object": "refund",
            "amount": int(form["amount"]),
            "charge": payment.charge,
            "currency": payment.currency,
            "metadata": {
                name[len("metadata[") : -1]: value
                for name, value in form.items()
                if name.startswith("metadata[")
            },
            "payment_intent": payment.intent,
            "status": status,
            **({"failure_reason": "expired_or_canceled_card"} if status == "failed" else {}),
            "made_under": key,
        }

    def _list(self, query: dict[str, str], fault: str) -> Answer:
        if fault == "error":
            return error(500, "api_error", "Oops.")
        if fault == "no_rows":
            return Answer(200, json.dumps({"object": "list", "data": [], "has_more": True}))
        payment = self._payment(query)
        assert payment is not None
        rows = [row for row in reversed(self.refunds) if row["charge"] == payment.charge]
        if after := query.get("starting_after"):
            rows = rows[[row["id"] for row in rows].index(after) + 1 :]
        length = min(int(query.get("limit", "10")), self.longest_page)
        page = {
            "object": "list",
            "url": "/v1/refunds",
            "data": [shown(row) for row in rows[:length]],
            "has_more": len(rows) > length,
        }
        return Answer(200, json.dumps(page))

    def _finish_due(self) -> None:
        if any(number <= len(self.seen) for _, number in self._slow):
            self.finish_slow()

    def _payment(self, fields: dict[str, str]) -> Payment | None:
        charge, intent = fields.get("charge"), fields.get("payment_intent")
        return next((p for p in self.payments if charge == p.charge or intent == p.intent), None)


def shown(refund: dict[str, Any]) -> dict[str, Any]:
    """The refund as Stripe gives it out."""
    return {name: value for name, value in refund.items() if name != "made_under"}


def error(
    status: int,
    kind: str,
    words: str,
    code: str | None = None,
    param: str | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """An error in Stripe's form: the fields that it has no value for are missing."""
    fields = {"type": kind, "message": words, "code": code, "param": param}
    present = {name: value for name, value in fields.items() if value is not None}
    return Answer(status, json.dumps({"error": present}), headers or {})


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    stripe: ClassVar[FakeStripe]
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE_SECONDS
    wbufsize = 65_536  # one packet for an answer: two would wait for each other's confirmation

    def do_POST(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        parts = urlsplit(self.path)
        seen = Seen(
            method=self.command,
            path=parts.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            query=dict(parse_qsl(parts.query)),
            form=dict(parse_qsl(body, keep_blank_values=True)),
            body=body,
        )
        answer, fault = self.stripe.handle(seen)
        if fault.startswith(("drop", "slow")):
            self.close_connection = True
        elif fault.startswith("silence"):
            self.close_connection = True
            self.connection.recv(1)  # until the client hangs up, or PATIENCE_SECONDS
        else:
            self._send(answer, fault)

    def _send(self, answer: Answer, fault: str) -> None:
        body = answer.body.encode()
        if fault.startswith("malformed"):
            answer, body = Answer(200, ""), b"<html>We will be back soon.</html>"
        self.send_response(answer.status)
        for name, value in {"Request-Id": "req_0001", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault.startswith("torn"):
            body = body[: len(body) // 2]
            self.close_connection = True
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: what was asked is in `FakeStripe.seen`."""
