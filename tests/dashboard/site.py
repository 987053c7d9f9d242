"""A real site on a real loopback socket over a real file, and the workflow that it serves."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from adjourn import (
    Adjourn,
    Approved,
    Bounds,
    Client,
    Context,
    Conversation,
    Document,
    Facts,
    Line,
    NonRetryableError,
    group,
    rechecking,
    role,
)
from adjourn.access.gate import Gate
from adjourn.approvals.people import DEMO_PEOPLE, Authenticator, LocalPeople, Person
from adjourn.dashboard import create_dashboard
from adjourn.engine.clock import SystemClock
from adjourn.model.inbox import InboxQuery, InboxRow
from adjourn.server import Server, create_app, listen
from adjourn.server.listening import address_of
from tests.dashboard.pages import Browser

START_SECONDS = 20
T = TypeVar("T")

PEOPLE = (*DEMO_PEOPLE, Person(id="nobody", name="Nora Body", title="Visitor"))
"""Those of the demo, and one without any role."""


@dataclass(frozen=True, slots=True)
class Refund:
    order: str
    amount: Decimal
    note: str = ""
    method: Literal["card", "bank"] = "card"
    copies: int = 1


class Ask(msgspec.Struct, kw_only=True):
    """What a test asks people for."""

    title: str = "Refund 600 to Ada, order A-1042"
    amount: str = "600.00"
    note: str = ""
    to: tuple[str, ...] = (group("support"),)
    need: int = 1
    risk: Literal["low", "medium", "high"] = "low"
    policy: str = "refund-any"
    requester: str = "sam"
    on_behalf_of: str = "Ada Lovelace"
    undo: str = "1h"
    due: str | None = "8h"
    expires: str | None = "7d"
    said: str = "The lamp is broken."
    author: str = "Ada Lovelace"
    fact: str = "900.00 EUR"
    passage: str = "I propose to refund it in full."
    fresh_sign_in: str | None = None
    recheck: bool = False
    """The facts are never the same twice."""


def make_app() -> Adjourn:
    app = Adjourn()

    @app.activity(requires_approval=True)
    async def pay(refund: Refund) -> str:
        if refund.note == "fail":
            raise NonRetryableError("the bank is closed")
        return f"refunded {refund.amount}"

    looks = itertools.count()

    @app.activity
    async def look(order: str) -> int:
        return next(looks)

    @app.orchestrator
    async def refund(ctx: Context, ask: Ask) -> str:
        decision = await ctx.approval(
            Refund("A-1042", Decimal(ask.amount), ask.note),
            title=ask.title,
            to=ask.to,
            evidence=[
                Conversation(lines=[Line(author=ask.author, text=ask.said)]),
                Facts(title="Order", facts={"Paid": ask.fact}),
                Document(title="The agent's view", text=ask.passage, by_model=True),
            ],
            editable={
                "amount": Bounds(minimum="0.01", maximum="900"),
                "note": Bounds(),
                "method": Bounds(),
                "copies": Bounds(minimum="1", maximum="3"),
            },
            requester=ask.requester,
            on_behalf_of=ask.on_behalf_of,
            need=ask.need,
            policy=ask.policy,
            risk=ask.risk,
            due=ask.due,
            expires=ask.expires,
            undo=ask.undo,
            escalate={"2d": role("lead")},
            currency="EUR",
            reversible=False,
            remind=None,
            fresh_sign_in=ask.fresh_sign_in,
            recheck=rechecking(look, "A-1042") if ask.recheck else None,
        )
        if isinstance(decision, Approved):
            return await ctx.execute(decision, pay)
        return type(decision).__name__

    @app.orchestrator
    async def plain(ctx: Context, case: dict[str, Any]) -> Any:
        return await ctx.wait_for_external_event("Approval")

    @app.orchestrator
    async def two_steps(ctx: Context, what: str) -> list[Any]:
        ctx.set_custom_status(f"Publish {what}?")
        first = await ctx.wait_for_external_event("Approval")
        ctx.set_custom_status(f"Delete all but {what}?")
        return [first, await ctx.wait_for_external_event("Approval")]

    @app.orchestrator
    async def shifty(ctx: Context, what: str) -> None:
        await ctx.call_activity(look, what)

    @app.orchestrator
    async def broken(ctx: Context, what: str) -> None:
        raise NonRetryableError(what)

    return app


class Site:
    """The API and the dashboard in a thread, with their engine."""

    def __init__(
        self, path: Path, authenticator: Callable[[str], Authenticator] | None = None
    ) -> None:
        """`authenticator` makes, of the site's address, what says who asks; without it anybody
        chooses who they are."""
        self._listener = listen("127.0.0.1", 0)
        self.address = address_of(self._listener)
        self.client: Client = make_app().open(path)
        self.people = LocalPeople(PEOPLE)
        asked: Authenticator = self.people
        if authenticator is not None:
            asked = authenticator(self.address)
        links = asked.links if isinstance(asked, Gate) else None
        self.dashboard = create_dashboard(self.client, asked, links_made_by=links)
        api = create_app(self.client, asked, links_made_by=links)
        api.mount("/", self.dashboard)
        self._ready = threading.Event()
        self._server = Server(api, self._ready.set)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        assert self._ready.wait(START_SECONDS)
        self._cases = 0
        self._visitors: list[Browser] = []

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with self.client:
            await self._server.serve(sockets=[self._listener])

    def stop(self) -> None:
        for visitor in self._visitors:
            visitor.http.close()
        self.dashboard.state.desk.streams.end()
        self._server.stop()
        self._thread.join(START_SECONDS)
        assert not self._thread.is_alive()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What the client answers."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_SECONDS)

    def visitor(self, person: str = "") -> Browser:
        """Somebody at a browser, until the site stops."""
        self._visitors.append(Browser(self.address, person))
        return self._visitors[-1]

    def ask(self, case: str = "", **told: Any) -> str:
        """Start a case that asks people; the id of its approval, once it is in the inbox."""
        self._cases += 1
        case = case or f"case-{self._cases}"
        self.run(self.client.start("refund", Ask(**told), id=case))
        return self.run(self._appears(case))

    async def _appears(self, case: str) -> str:
        while True:
            found = await self.client.approvals.inbox(self.everything(case=case))
            if found.rows:
                return found.rows[0].id

    def ask_and_miss(self, **told: Any) -> str:
        """As `ask`, of one that may have ended before anybody looks."""
        self._cases += 1
        case = f"missed-{self._cases}"
        self.run(self.client.start("refund", Ask(**told), id=case))
        self.run(self.client.result(case))
        return f"{case}:1:1"

    def everything(self, **conditions: Any) -> InboxQuery:
        """A query that sees all open approvals, as no one in particular."""
        return InboxQuery(
            person="", recipients=[], now=SystemClock().now(), view="all", **conditions
        )

    def row(self, id: str) -> InboxRow:
        """How an approval stands."""
        person = self.people.people["ivo"].actor("web")
        return self.run(self.client.approvals.get(id, by=person)).row

    def becomes(self, id: str, **facts: Any) -> InboxRow:
        """The row, once it says this."""

        async def wait() -> InboxRow:
            person = self.people.people["ivo"].actor("web")
            while True:
                row = (await self.client.approvals.get(id, by=person)).row
                if all(getattr(row, name) == value for name, value in facts.items()):
                    return row

        return self.run(wait())

    def becomes_status(self, id: str, status: str) -> None:
        """Wait until an instance has it."""

        async def wait() -> None:
            while (await self.client.get(id)).status != status:
                pass

        self.run(wait())
