"""kill -9 of the server at the worst moments: one answer, one refund, one message, nothing lost."""

import json
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, select

from apps.support_agent.tests.agent.fake_openai import Line, Say, Use, serving
from apps.support_agent.tests.gateways.fake_stripe import (
    API_KEY,
    FakeStripe,
    Payment,
    PostFault,
)
from support_agent.clock import now
from support_agent.engine_process import EngineProcess, free_port, start_engine, wait_until
from support_agent.shop import talks
from support_agent.shop.database import DATABASE_VARIABLE, reading, writing
from support_agent.shop.import_data import import_file
from support_agent.shop.ledger import entries
from support_agent.shop.records import Customer
from support_agent.shop.shipped import import_shipped
from support_agent.shop.talks import LineView

pytestmark = pytest.mark.slow
SECONDS = 30.0
ORDER = {
    "number": "A-9001",
    "ordered_at": "2026-11-17T18:22:09Z",
    "currency": "EUR",
    "items": [{"sku": "S-1", "product": "Teapot", "quantity": 1, "unit_price": "64.50"}],
    "payments": [
        {"reference": name, "method": "card", "amount": "64.50", "paid_at": "2026-11-17T18:22:41Z"}
        for name in ("ch_first", "ch_second")
    ],
}
DOUBLE = "I was charged twice for order A-9001"


class House:
    """The whole support agent as one process, which can be killed and started again."""

    def __init__(self, folder: Path, shop: Engine, settings: Mapping[str, str]) -> None:
        self.shop = shop
        self._folder = folder
        self._settings = {DATABASE_VARIABLE: str(shop.url), **settings}
        self.engine = self._start()

    def _start(self) -> EngineProcess:
        return start_engine(
            self._folder / "talks.db",
            free_port(),
            self._folder / "server.log",
            self._settings,
            target="support_agent.site:app",
        )

    def kill_and_start(self) -> None:
        self.engine.process.send_signal(signal.SIGKILL)
        assert self.engine.process.wait(SECONDS) == -signal.SIGKILL
        self.engine = self._start()

    def post(self, path: str, body: Any, person: str = "", **query: str) -> Any:
        cookies = {"cookie": f"adjourn-person={person}"} if person else {}
        url = f"{self.engine.address}/api/v1{path}"
        with httpx.Client(trust_env=False, timeout=SECONDS) as http:
            answer = http.post(url, json=body, params=query, headers=cookies)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def begin(self) -> None:
        with writing(self.shop) as session:
            customer = session.scalars(
                select(Customer).where(Customer.email == "amina.diallo@example.org")
            ).one()
            talks.begin_talk(session, "talk-1", customer_id=customer.id, now=now())
            talk = {"customer_id": customer.id, "customer_name": customer.name}
        self.post("/instances/talk-1", talk, orchestrator="conversation")

    def say(self, text: str, message_id: str) -> None:
        self.post("/instances/talk-1/updates/Say", {"text": text}, updateId=message_id)

    def lines(self) -> list[LineView]:
        with reading(self.shop) as session:
            return talks.lines_of(session, "talk-1")

    def until(self, seen: Callable[[list[LineView]], bool], what: str) -> list[LineView]:
        wait_until(lambda: seen(self.lines()) or None, what, SECONDS)
        return self.lines()

    def approve(self) -> None:
        """As Lena, once the question is on her desk."""
        (row,) = wait_until(self._inbox, "the question in the inbox", SECONDS)
        action = {"do": "approve", "version": row["version"]}
        self.post(f"/approvals/{row['id']}/actions", action, "lena", actionId="click-1")

    def _inbox(self) -> list[dict[str, Any]]:
        with httpx.Client(trust_env=False, timeout=SECONDS) as http:
            cookies = {"cookie": "adjourn-person=lena"}
            answer = http.get(f"{self.engine.address}/api/v1/inbox", headers=cookies)
        return answer.json()["rows"]


@pytest.fixture
def shop(database: Engine, tmp_path: Path) -> Engine:
    import_shipped(database, now())
    customer = {"name": "Amina Diallo", "email": "amina.diallo@example.org", "orders": [ORDER]}
    file = tmp_path / "customers.json"
    file.write_text(json.dumps({"as_of": "2026-11-23", "customers": [customer]}))
    import_file(database, file)
    return database


@contextmanager
def house(folder: Path, shop: Engine, **settings: str) -> Iterator[House]:
    made = House(folder, shop, settings)
    try:
        yield made
    finally:
        made.engine.stop()


def said(author: str, times: int) -> Callable[[list[LineView]], bool]:
    return lambda lines: sum(line.author == author for line in lines) >= times


def test_killed_while_the_model_answers(shop: Engine, tmp_path: Path) -> None:
    asked, killed = threading.Event(), threading.Event()

    def script(request: dict[str, Any]) -> Line:
        if not any(message["role"] == "tool" for message in request["messages"]):
            return Use([("lookup_order", {"order_number": "A-9001"})])
        if not killed.is_set():
            asked.set()
            killed.wait(SECONDS)
        return Say("It was paid twice.")

    with serving(script) as model, house(tmp_path, shop, **model.settings) as server:
        server.begin()
        server.say(DOUBLE, "m-1")
        assert asked.wait(SECONDS)
        server.kill_and_start()
        killed.set()
        lines = server.until(said("agent", 1), "an answer")
        server.say(DOUBLE, "m-1")  # the channel sends it again

        assert [(line.author, line.text) for line in lines] == [
            ("customer", DOUBLE),
            ("agent", "It was paid twice."),
        ]
        assert server.lines() == lines
        # The request that was answered is not paid again; the one that was cut off is asked again.
        firsts = [r for r in model.requests if all(m["role"] != "tool" for m in r["messages"])]
        assert len(firsts) == 1 and len(model.requests) >= 3


@pytest.mark.parametrize("part", [1, 2])
@pytest.mark.parametrize("fault", ["silence_before", "silence_after"])
def test_killed_between_the_parts_of_a_refund(
    shop: Engine, tmp_path: Path, part: int, fault: PostFault
) -> None:
    """Both halves of a double charge go back; the server dies while it waits for one of them."""
    stripe = FakeStripe(Payment("ch_first", 6450), Payment("ch_second", 6450))
    with (
        stripe.serving() as address,
        house(tmp_path, shop, STRIPE_API_KEY=API_KEY, STRIPE_BASE_URL=address) as server,
    ):
        stripe.plan(*([None] * (part - 1)), fault)
        request = {"case_id": "C-1", "order_number": "A-9001", "amount": "129.00"}
        server.post("/instances/C-1", {**request, "reason": "."}, orchestrator="refund_case")
        server.approve()
        stripe.wait_for_requests(part)
        server.kill_and_start()

        wait_until(lambda: paid(shop, "C-1") or None, "the refund", SECONDS)

    assert paid(shop, "C-1") == ["129.00"]
    assert sorted((refund["charge"], refund["amount"]) for refund in stripe.refunds) == [
        ("ch_first", 6450),
        ("ch_second", 6450),
    ]
    # Nothing is asked again but what moved no money before the kill.
    asked = [seen.form["charge"] for seen in stripe.seen if seen.method == "POST"]
    assert len(asked) == (3 if fault == "silence_before" else 2)


def paid(shop: Engine, case_id: str) -> list[str]:
    with reading(shop) as session:
        return [str(entry.receipt.amount) for entry in entries(session, case_id)]


def test_killed_while_the_case_waits_and_while_the_money_moves(
    shop: Engine, tmp_path: Path
) -> None:
    stripe = FakeStripe(Payment("ch_first", 6450), Payment("ch_second", 6450))
    with (
        stripe.serving() as address,
        house(tmp_path, shop, STRIPE_API_KEY=API_KEY, STRIPE_BASE_URL=address) as server,
    ):
        server.begin()
        server.say(DOUBLE, "m-1")
        server.until(said("agent", 1), "an offer")
        server.say("yes please", "m-2")
        lines = server.until(said("agent", 2), "a case")
        case_id = lines[-1].case_id
        server.kill_and_start()  # while it waits for a person

        stripe.plan("silence_after")
        server.approve()
        stripe.wait_for_requests(1)
        server.kill_and_start()  # the money has moved, and nobody has told us

        lines = server.until(said("agent", 3), "the news")
        assert "You get 64.50 EUR back" in lines[-1].text and lines[-1].case_id == case_id
        assert [refund["amount"] for refund in stripe.refunds] == [6450]
        with reading(shop) as session:
            assert [str(entry.receipt.amount) for entry in entries(session, case_id)] == ["64.50"]
        server.say("What is the status of my case?", "m-3")
        assert "64.50 EUR" in server.until(said("agent", 4), "an answer")[-1].text
        assert sum(line.case_id == case_id for line in server.lines()) == 2
