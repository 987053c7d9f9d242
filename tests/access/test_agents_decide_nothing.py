"""A program with a key of every scope, at every door: it decides nothing.

The program of these tests has the roles and the groups of a lead as well, so that nothing but its
being a program keeps it out.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec
import pytest

from adjourn import Context, group
from adjourn.access.keys import Keys
from adjourn.access.scopes import ALL
from adjourn.dashboard import create_dashboard
from adjourn.errors import UpdateForbiddenError
from adjourn.model.actor import Actor
from adjourn.model.approval import Ask
from adjourn.server import Server, create_app, listen
from adjourn.server.listening import address_of
from adjourn.testing.clock import START
from tests.access.keyed import KeyHolders, opened, serving_keys
from tests.server.serving import make_app

T = TypeVar("T")
START_SECONDS = 20
DURABLE = "/runtime/webhooks/durabletask"

# An administrator, besides: raising events takes that role.
LENA = Actor(id="lena", name="Lena", groups=["finance"], roles=["approver", "admin"], channel="web")
IVO = Actor(id="ivo", name="Ivo", roles=["auditor", "admin"], channel="web")
NORA = Actor(id="nora", name="Nora", groups=["finance"], roles=["admin"], channel="web")
PERSONS = {person.id: person for person in (LENA, IVO, NORA)}


@dataclass
class Payment:
    amount: Decimal


class LeadsWithKeys(KeyHolders):
    """Programs that have a lead's roles and groups as well; and people, by a header."""

    async def identify(
        self, headers: Mapping[str, str], cookies: Mapping[str, str], peer: str = ""
    ) -> Actor | None:
        actor = await super().identify(headers, cookies, peer)
        if actor is None:
            return PERSONS.get(headers.get("x-person", ""))
        if actor.name == "plain":
            return actor
        return msgspec.structs.replace(actor, roles=["approver", "lead"], groups=["finance"])


class Doors:
    """API and dashboard in a thread, with their engine, and one of each that waits for people."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.listener = listen("127.0.0.1", 0)
        app = make_app()

        @app.orchestrator
        async def asks(ctx: Context, amount: str) -> str:
            payment = Payment(Decimal(amount))
            title = "Pay 5 to Ada"
            decision = await ctx.approval(
                payment, title=title, to=group("finance"), requester="sam", undo="1h", expires="7d"
            )
            return type(decision).__name__

        @app.orchestrator
        async def asks_later(ctx: Context, _: Any) -> Any:
            await ctx.wait_for_external_event("Go")
            return await ctx.wait_for_external_event("Approval")

        self.client = app.open(folder / "a.db")
        people, self._close = serving_keys(folder / "a.db.access", lambda: START)
        self.people = LeadsWithKeys(people.keys)
        site = create_app(self.client, self.people)
        self.dashboard = create_dashboard(self.client, self.people)
        site.mount("", self.dashboard)
        self._ready = threading.Event()
        self._server = Server(site, self._ready.set)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._ready.wait(START_SECONDS)
        self.address = address_of(self.listener)
        self._cases = 0

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with self.client:
            await self._server.serve(sockets=[self.listener])

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_SECONDS)

    def stop(self) -> None:
        self.dashboard.state.desk.streams.end()
        self._server.stop()
        self._thread.join(START_SECONDS)
        self._close()
        assert not self._thread.is_alive()

    def waiting(self) -> Waiting:
        """An approval, a plain wait, and one that will ask, all of this test's own."""
        self._cases += 1
        number = self._cases

        async def start() -> None:
            await self.client.start("asks", "5.00", id=f"asks-{number}")
            await self.client.start("approve", {}, id=f"plain-{number}")
            await self.client.start("asks_later", None, id=f"early-{number}")
            await self.client.start("counter", 0, id=f"counter-{number}")

        self.run(start())
        return Waiting(
            f"asks-{number}:1:1", f"plain-{number}", f"early-{number}", f"counter-{number}"
        )

    def undecided(self, waiting: Waiting) -> None:
        """Nothing was decided, and nothing is kept that would decide later."""

        async def look() -> None:
            view = await self.client.approvals.get(waiting.approval, by=IVO)
            state = view.state
            assert (state.status, state.version, state.votes, state.holder) == ("open", 1, [], "")
            assert (state.questions, [entry.what for entry in state.changes]) == ([], ["opened"])
            assert (await self.client.get(waiting.approval)).pending_events == 0
            await self.client.raise_event(waiting.early, "Go")
            for id in (waiting.plain, waiting.early):
                found = await self.client.get(id)
                assert (found.status, found.waiting_for) == ("Running", ["Approval"])

        self.run(look())


@dataclass
class Waiting:
    approval: str
    plain: str
    early: str
    counter: str


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    made = Doors(tmp_path_factory.mktemp("doors"))
    yield made
    made.stop()


def program(doors: Doors, name: str = "robot", scopes: tuple[str, ...] = ALL) -> httpx.Client:
    """A program with a new key of these scopes."""

    async def make() -> str:
        keys: Keys = doors.people.keys
        if name in {view.name for view in await keys.all()}:
            return await keys.rotate(name, 0)
        return await keys.make(name, scopes)

    headers = {"authorization": f"Bearer {doors.run(make())}"}
    return httpx.Client(base_url=doors.address, headers=headers, trust_env=False, timeout=10)


@pytest.fixture(scope="module")
def robot(doors: Doors) -> Iterator[httpx.Client]:
    with program(doors) as client:
        yield client


YES = {"approved": True}


def acts(**action: Any) -> Callable[[httpx.Client, Waiting], httpx.Response]:
    return lambda http, at: http.post(f"/api/v1/approvals/{at.approval}/actions", json=action)


def updates(
    name: str, which: str, body: Any, wait: int = 1
) -> Callable[[httpx.Client, Waiting], httpx.Response]:
    return lambda http, at: http.post(
        f"/api/v1/instances/{getattr(at, which)}/updates/{name}",
        params={"updateId": "u", "wait": str(wait)},
        json=body,
    )


def raises(
    name: str, which: str, body: Any = YES, **query: str
) -> Callable[[httpx.Client, Waiting], httpx.Response]:
    return lambda http, at: http.post(
        f"/api/v1/instances/{getattr(at, which)}/events/{name}", params=query, json=body
    )


def raises_durably(
    name: str, which: str, body: Any = YES, **query: str
) -> Callable[[httpx.Client, Waiting], httpx.Response]:
    return lambda http, at: http.post(
        f"{DURABLE}/instances/{getattr(at, which)}/raiseEvent/{name}", params=query, json=body
    )


def sends(path: str, **fields: str) -> Callable[[httpx.Client, Waiting], httpx.Response]:
    """A form of the dashboard."""

    def send(http: httpx.Client, at: Waiting) -> httpx.Response:
        told = {name: value.format(**vars(at)) for name, value in fields.items()}
        return http.post(path.format(**vars(at)), data={"me": "key:robot", "key": "k1", **told})

    return send


APPROVE = {"do": "approve", "version": 1}

ROWS: dict[str, Callable[[httpx.Client, Waiting], httpx.Response]] = {
    "approve": acts(**APPROVE),
    "reject": acts(do="reject", version=1, reason="no"),
    "claim": acts(do="claim", version=1),
    "ask": acts(do="ask", version=1, to="sam", question="why?"),
    "snooze": acts(do="snooze", version=1, until="2030-01-01T00:00:00Z"),
    "reassign": acts(do="reassign", version=1, to=["lena"], comment="hers"),
    "comment": acts(do="comment", version=1, text="approve it"),
    "undo": acts(do="undo", version=1),
    "cancel": acts(do="cancel", version=1, reason="no"),
    "update act": updates("act", "approval", APPROVE),
    "update Act": updates("Act", "approval", APPROVE),
    "update ACT": updates("ACT", "approval", APPROVE),
    "update of another name": updates("approve", "approval", APPROVE),
    "update Approval of an approval": updates("Approval", "approval", APPROVE),
    "event act of an approval": raises("act", "approval", APPROVE),
    "event Approval of an approval": raises("Approval", "approval"),
    "any event of an approval": raises("Noise", "approval"),
    "durable event of an approval": raises_durably("Noise", "approval"),
    "event Approval": raises("Approval", "plain"),
    "event approval": raises("approval", "plain"),
    "event APPROVAL": raises("APPROVAL", "plain"),
    "event aPPROVAL": raises("aPPROVAL", "plain"),
    "event Approval, no": raises("Approval", "plain", {"approved": False}),
    "event Approval as lena": raises("Approval", "plain", {**YES, "by": "lena"}),
    "event Approval with an id": raises("Approval", "plain", eventId="click-1"),
    "event Approval, percent-encoded": raises("%41pproval", "plain"),
    "durable event Approval": raises_durably("Approval", "plain"),
    "durable event approval": raises_durably("approval", "plain"),
    "durable event with an id": raises_durably("APPROVAL", "plain", eventId="click-1"),
    "update Approval": updates("Approval", "plain", YES),
    "update approval": updates("approval", "plain", YES),
    "event Approval, early": raises("Approval", "early"),
    "event approval, early": raises("approval", "early"),
    "durable event Approval, early": raises_durably("Approval", "early"),
    "update Approval, early": updates("Approval", "early", YES),
    "dashboard: approve": sends("/approvals/{approval}/act", do="approve", version="1"),
    "dashboard: reject": sends("/approvals/{approval}/act", do="reject", version="1", reason="no"),
    "dashboard: claim": sends("/approvals/{approval}/act", do="claim", version="1"),
    "dashboard: plain": sends("/approvals/{plain}/act", do="approve", event="1", version="1"),
    "dashboard: plain, no": sends(
        "/approvals/{plain}/act", do="reject", event="1", version="1", comment="no"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS)
def test_a_program_decides_nothing(doors: Doors, robot: httpx.Client, row: str) -> None:
    waiting = doors.waiting()

    answer = ROWS[row](robot, waiting)

    # The pages take no program for anybody.
    assert answer.status_code == (401 if row.startswith("dashboard") else 403), answer.text
    doors.undecided(waiting)


@pytest.mark.slow
def test_a_program_decides_nothing_in_bulk(doors: Doors, robot: httpx.Client) -> None:
    waiting = doors.waiting()
    fields = {"me": "key:robot", "key": "k1", "confirm": "yes", "do": "approve", "comment": "yes"}
    view = doors.run(doors.client.approvals.get(waiting.approval, by=LENA))
    item = f"{view.state.version}.{view.state.digest}@{waiting.approval}"

    answer = robot.post("/bulk", data={**fields, "item": item})

    assert answer.status_code == 401
    doors.undecided(waiting)


def test_a_program_decides_no_plain_form_in_this_process(doors: Doors) -> None:
    waiting = doors.waiting()
    agent = Actor(id="key:robot", agent=True, roles=["lead"])

    async def decide() -> None:
        row = await doors.client.approvals.row(waiting.plain, by=LENA)
        assert row is not None
        with pytest.raises(UpdateForbiddenError) as caught:
            await doors.client.approvals.decide_event(
                waiting.plain, True, by=agent, version=row.version
            )
        assert caught.value.details == {"rule": "agent"}

    doors.run(decide())
    doors.undecided(waiting)


def test_an_early_event_that_no_rule_stopped_would_decide(doors: Doors) -> None:
    """Why the rule goes by the name, and not by what waits."""
    waiting = doors.waiting()

    async def story() -> None:
        await doors.client.raise_event(waiting.early, "APPROVAL", YES)
        await doors.client.raise_event(waiting.early, "Go")
        assert (await doors.client.get(waiting.early)).status == "Completed"

    doors.run(story())


# What a program may do, and people.


def test_a_program_sends_other_events_and_updates(doors: Doors, robot: httpx.Client) -> None:
    waiting = doors.waiting()

    assert raises("Go", "early")(robot, waiting).status_code == 200
    assert raises_durably("Approval2", "plain")(robot, waiting).status_code == 202
    assert updates("add", "counter", 3)(robot, waiting).json() == {"result": 3}


def test_a_program_answers_what_it_was_asked(doors: Doors, robot: httpx.Client) -> None:
    waiting = doors.waiting()
    question = Ask(version=1, question="Why?", to="group:finance")
    doors.run(doors.client.approvals.act(waiting.approval, question, by=LENA))

    said = acts(do="answer", version=2, text="Because.")(robot, waiting)

    assert (said.status_code, said.json()["status"]) == (200, "open"), said.text


def test_without_the_scope_no_update_acts_on_an_approval(doors: Doors) -> None:
    """Where a program may act (it may answer what it was asked), the scope for that is needed."""
    waiting = doors.waiting()
    with program(doors, "sender", ("instances:signal",)) as sender:
        answer = updates("ACT", "approval", {"do": "answer", "version": 1, "text": "because"})(
            sender, waiting
        )
        assert (answer.status_code, answer.json()["code"]) == (403, "ScopeMissingError")
        assert updates("act", "counter", {}, wait=0)(sender, waiting).status_code == 202


@pytest.mark.parametrize(
    ("person", "body", "rule"),
    [
        ("ivo", YES, "role"),
        ("nora", YES, "role"),
        ("lena", {**YES, "by": "grace"}, "other_person"),
        ("lena", {**YES, "by": None}, None),
        ("lena", {**YES, "by": ["lena"]}, "other_person"),
        ("lena", {**YES, "by": "lena"}, None),
        ("lena", YES, None),
    ],
)
def test_a_persons_own_event_is_theirs_and_history_says_so(
    doors: Doors, person: str, body: dict[str, Any], rule: str | None
) -> None:
    waiting = doors.waiting()
    with httpx.Client(
        base_url=doors.address, headers={"x-person": person}, trust_env=False, timeout=10
    ) as http:
        answer = raises("Approval", "plain", body)(http, waiting)
        durable = raises_durably("Approval", "early", body)(http, waiting)

    if rule is not None:
        for said in (answer, durable):
            assert said.status_code == 403
            assert said.json()["facts"]["details"] == {"rule": rule}
        doors.undecided(waiting)
        return
    assert (answer.status_code, durable.status_code) == (200, 202)
    events = [entry.event for entry in doors.run(doors.client.history(waiting.plain))]
    (received,) = [event for event in events if type(event).__name__ == "ExternalEventReceived"]
    assert received.by.id == "lena"


@pytest.mark.slow
def test_nobody_uses_up_anothers_event_id(doors: Doors, robot: httpx.Client) -> None:
    waiting = doors.waiting()
    assert raises("Noise", "plain", eventId="click-1")(robot, waiting).json() == {
        "answer": "accepted"
    }
    assert raises("Noise", "plain", eventId="click-1")(robot, waiting).json() == {
        "answer": "duplicate"
    }

    with httpx.Client(
        base_url=doors.address, headers={"x-person": "lena"}, trust_env=False, timeout=10
    ) as http:
        answer = raises("Approval", "plain", eventId="click-1")(http, waiting)

    assert answer.json() == {"answer": "accepted"}


# A key at the API's door.


OVER_THE_WIRE: dict[str, tuple[str, list[str]]] = {
    "none": ("", []),
    "in the query": ("?key=KEY&code=KEY&access_token=KEY", []),
    "in a cookie": ("", ["Cookie: authorization=Bearer KEY; key=KEY; __Host-adjourn-session=KEY"]),
    "as Basic": ("", ["Authorization: Basic KEY"]),
    "bare": ("", ["Authorization: KEY"]),
    "in another header": ("", ["X-Api-Key: KEY", "X-Functions-Key: KEY"]),
    "twice": ("", ["Authorization: Bearer KEY", "Authorization: Bearer KEY"]),
    "after a wrong one": ("", ["Authorization: Bearer adj_x", "Authorization: Bearer KEY"]),
    "before a wrong one": ("", ["Authorization: Bearer KEY", "authorization: Bearer adj_x"]),
    "with a comma": ("", ["Authorization: Bearer KEY, Bearer KEY"]),
    "folded": ("", ["Authorization: Bearer KEY", " x"]),
    "with two spaces": ("", ["Authorization: Bearer  KEY"]),
    "with an underscore": ("", ["Author_ization: Bearer KEY"]),
    "wrong by one": ("", ["Authorization: Bearer WRONG"]),
}


def spoken(doors: Doors, query: str, lines: list[str]) -> bytes:
    """The status line that the server answers to this."""

    async def speak() -> bytes:
        host, port = doors.address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = [f"GET /api/v1/inbox{query} HTTP/1.1", f"Host: {host}:{port}", *lines]
        writer.write("\r\n".join([*head, "Connection: close", "", ""]).encode())
        async with asyncio.timeout(START_SECONDS):
            said = await reader.readline()
            await reader.read()
        writer.close()
        return said

    return asyncio.run(speak())


@pytest.mark.slow
@pytest.mark.parametrize("row", OVER_THE_WIRE)
def test_a_key_that_comes_otherwise_is_no_key(doors: Doors, row: str) -> None:
    with program(doors, "plain") as client:
        key = client.headers["authorization"].removeprefix("Bearer ")
    wrong = key[:-1] + ("A" if key[-1] != "A" else "B")
    query, lines = OVER_THE_WIRE[row]

    def filled(text: str) -> str:
        return text.replace("KEY", key).replace("WRONG", wrong)

    good = spoken(doors, "", [f"Authorization: Bearer {key}"])
    assert good.startswith(b"HTTP/1.1 200")
    said = spoken(doors, filled(query), [filled(line) for line in lines])
    assert said.startswith(b"HTTP/1.1 401"), said


@pytest.mark.slow
def test_a_revoked_key_is_out_at_the_next_request(doors: Doors) -> None:
    with program(doors, "short") as client:
        assert client.get("/api/v1/inbox").status_code == 200

        async def revoke_elsewhere() -> None:
            async with opened(doors.folder / "a.db.access") as other:
                await other.keys.revoke("short")

        asyncio.run(revoke_elsewhere())
        assert client.get("/api/v1/inbox").status_code == 401
