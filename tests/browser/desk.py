"""A desk for the browser tests: a workflow that asks people, and a hand that fills their inbox.

`serve("tests.browser.desk:app")` serves it. Each payment is a line of the file that `LEDGER` names.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec

from adjourn import (
    Adjourn,
    Approved,
    Bounds,
    Context,
    Conversation,
    Document,
    Facts,
    Line,
    current_activity,
    group,
)
from adjourn.approvals.people import COOKIE
from tests.browser.serving import ServerProcess

LEDGER = "ADJOURN_TEST_LEDGER"

app = Adjourn()


@dataclass(frozen=True, slots=True)
class Refund:
    order: str
    amount: Decimal
    note: str = ""


class Ask(msgspec.Struct, kw_only=True):
    """What a test asks people for. `id` is the approval's."""

    id: str
    title: str = "Refund 600 to Ada, order A-1"
    order: str = "A-1"
    amount: str = "600"
    note: str = ""
    need: int = 1
    risk: Literal["low", "medium", "high"] = "low"
    policy: str = "refund-any"
    requester: str = "sam"
    on_behalf_of: str = "Ada"
    due: str = "8h"
    undo: str = "1h"
    said: list[str] = msgspec.field(default_factory=lambda: ["The lamp arrived broken."])
    author: str = "Ada"
    facts: dict[str, str] = msgspec.field(default_factory=lambda: {"Paid": "900 EUR"})
    passage: str = "I propose to refund it in full."
    heading: str = "The agent's view"


@app.activity(requires_approval=True)
def pay(refund: Refund) -> str:
    with open(os.environ[LEDGER], "a", encoding="utf-8") as ledger:
        ledger.write(f"{current_activity().idempotency_key} {refund.order} {refund.amount}\n")
    return f"refunded {refund.amount}"


@app.orchestrator
async def refund(ctx: Context, ask: Ask) -> str:
    decision = await ctx.approval(
        Refund(ask.order, Decimal(ask.amount), ask.note),
        title=ask.title,
        to=group("support"),
        evidence=[
            Conversation(
                title=ask.heading, lines=[Line(author=ask.author, text=text) for text in ask.said]
            ),
            Facts(title=ask.heading, facts=ask.facts),
            Document(title=ask.heading, text=ask.passage, source=ask.passage[:200], by_model=True),
        ],
        editable={"amount": Bounds(minimum="0.01", maximum="900"), "note": Bounds()},
        requester=ask.requester,
        on_behalf_of=ask.on_behalf_of,
        need=ask.need,
        policy=ask.policy,
        risk=ask.risk,
        due=ask.due,
        expires="7d",
        undo=ask.undo,
        currency="EUR",
        reversible=False,
        id=ask.id,
    )
    if isinstance(decision, Approved):
        return await ctx.execute(decision, pay)
    return type(decision).__name__


@app.orchestrator
async def two_steps(ctx: Context, what: str) -> list[Any]:
    ctx.set_custom_status(f"Publish {what}?")
    first = await ctx.wait_for_external_event("Approval")
    ctx.set_custom_status(f"Delete all but {what}?")
    return [first, await ctx.wait_for_external_event("Approval")]


class Desk:
    """The server's API in a test's hands, as the people of the demo."""

    def __init__(self, server: ServerProcess, ledger: Path) -> None:
        self.address = server.address
        self._http = server.http
        self._ledger = ledger

    def ask(self, id: str, **told: Any) -> str:
        """Start a case `case-{id}` that asks for the approval `id`, and return when it waits."""
        self._start("refund", f"case-{id}", Ask(id=id, **told))
        while self._answer("GET", f"/api/v1/approvals/{id}", "ivo").status_code == 404:
            case = self._answer("GET", f"/api/v1/instances/case-{id}", "ivo").json()
            assert case["status"] != "Failed", case["failure"]
        return id

    def ask_plainly(self, id: str, what: str) -> None:
        """Start `two_steps`, and return when it waits for its first answer."""
        self._start("two_steps", id, what)
        while not self._answer("GET", f"/api/v1/instances/{id}", "ivo").json()["waiting_for"]:
            pass

    def _start(self, orchestrator: str, id: str, input: Any) -> None:
        path = f"/runtime/webhooks/durabletask/orchestrators/{orchestrator}/{id}"
        headers = {"content-type": "application/json"}
        body = msgspec.json.encode(input)
        self._http.post(path, content=body, headers=headers).raise_for_status()

    def act(self, id: str, person: str, do: str, **words: Any) -> dict[str, Any]:
        """What they do, with the version as it is now; fails when it is refused."""
        body = {"do": do, "version": self.state(id).get("version", 1), **words}
        answer = self._answer("POST", f"/api/v1/approvals/{id}/actions", person, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def state(self, id: str) -> dict[str, Any]:
        return self._answer("GET", f"/api/v1/approvals/{id}", "ivo").json()["state"]

    def paid(self) -> list[str]:
        """Order and amount of each payment so far."""
        lines = self._ledger.read_text().splitlines() if self._ledger.exists() else []
        return [line.partition(" ")[2] for line in lines]

    def ends(self, id: str) -> str:
        """How the case that asked for it ends."""
        while True:
            case = self._answer("GET", f"/api/v1/instances/case-{id}", "ivo").json()
            if case["status"] not in ("Pending", "Running"):
                return case["status"]

    def get(self, path: str, person: str) -> Any:
        return self._answer("GET", path, person)

    def _answer(self, method: str, path: str, person: str, **rest: Any) -> Any:
        cookies = {"cookie": f"{COOKIE}={person}"}
        return self._http.request(method, path, headers=cookies, **rest)
