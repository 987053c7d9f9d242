"""What a person does keeps their session; what an open page asks for by itself does not."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.types import Message, Receive, Scope, Send

from adjourn import Adjourn
from adjourn.access.gate import Gate
from adjourn.access.sessions import COOKIE, by_itself
from adjourn.dashboard import create_dashboard
from adjourn.dashboard.desk import STATIC
from adjourn.server.signin import SignIn
from tests.access.gated import NOON, Gated, sign_in
from tests.dashboard.site import Site

BY_ITSELF = {
    "/stream",
    "/live",
    "/rows/{id}",
    "/approvals/{id}/news",
    "/approvals/{id}/notice",
}
"""What `dashboard.js` asks for with nobody before it."""


@dataclass
class World:
    """A site with a clock that a test moves, and Lena signed in there."""

    site: Site
    gated: Gated
    gate: Gate
    approval: str
    http: httpx.Client
    session: str = ""

    def signs_in(self) -> None:
        self.gated.clock.at = NOON
        self.session = asyncio.run(sign_in(self.gate, "lena"))

    def asks(self, method: str, path: str, **headers: str) -> int:
        """The status of an answer whose body nobody waits for."""
        given = {"cookie": f"{COOKIE}={self.session}", **headers}
        address = self.site.address + path.replace("{id}", self.approval)
        with self.http.stream(method, address, headers=given) as answer:
            return answer.status_code

    def seen_at(self) -> datetime | None:
        found = asyncio.run(self.gate.sessions.find(self.session))
        return None if found is None else found.seen_at


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("idle")
    gated = Gated(folder)
    gate = gated.gate()
    site = Site(folder / "cases.db", lambda address: gate)
    with httpx.Client(trust_env=False, timeout=20) as http:
        yield World(site, gated, gated.gate(), site.ask(), http)
    site.stop()
    gated.close()


@pytest.fixture(autouse=True)
def signed_in(world: World) -> None:
    world.signs_in()


def gets(person: Gate) -> Iterator[tuple[str, bool]]:
    """Every page, and whether it says that it is asked for by itself."""
    for route in create_dashboard(Adjourn().open(":memory:"), person).routes:
        for one in getattr(getattr(route, "original_router", None), "routes", [route]):
            if isinstance(one, APIRoute) and "GET" in (one.methods or ()):
                yield one.path, by_itself in [each.call for each in one.dependant.dependencies]


def test_what_the_script_fetches_says_so(world: World) -> None:
    script = (STATIC / "dashboard.js").read_text()
    asked = re.findall(r"(?:fetch|EventSource)\(\s*(\S+)", script)

    assert {path for path, alone in gets(world.gate) if alone} == BY_ITSELF
    assert len(asked) == len(BY_ITSELF), asked  # one more asks for a word here


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(BY_ITSELF))
def test_an_open_page_that_nobody_sits_at_does_not_keep_a_session(world: World, path: str) -> None:
    statuses: list[int] = []
    for _ in range(7):
        world.gated.clock.moves(minutes=10)
        statuses.append(world.asks("GET", path))

    assert 200 in statuses[:5] or 204 in statuses[:5]
    assert statuses[-1] == 303  # an hour is over, and they are led to sign in
    assert world.seen_at() is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/rows"),
        ("GET", "/approvals/{id}"),
        ("GET", "/approvals/{id}/panel"),
        ("GET", "/approvals/{id}/tab"),
        ("GET", "/account"),
        ("POST", "/approvals/{id}/act"),
        ("POST", "/api/v1/approvals/{id}/actions"),
    ],
)
def test_what_a_person_does_keeps_it_until_it_ends_anyway(
    world: World, method: str, path: str
) -> None:
    for _ in range(14):
        world.gated.clock.moves(minutes=50)
        assert world.asks(method, path) not in (303, 401)
        assert world.seen_at() == world.gated.clock.at
    world.gated.clock.moves(minutes=30)
    assert world.asks(method, path) in (303, 401)


@pytest.mark.parametrize("path", ["/api/v1/inbox", "/api/v1/approvals/{id}", "/api/v1/instances"])
def test_what_a_script_reads_over_the_api_does_not(world: World, path: str) -> None:
    world.gated.clock.moves(minutes=10)

    assert world.asks("GET", path) == 200
    assert world.seen_at() == NOON


def test_a_look_that_nobody_reads_does_not(world: World) -> None:
    world.gated.clock.moves(minutes=10)

    world.asks("HEAD", "/")
    world.asks("OPTIONS", "/")

    assert world.seen_at() == NOON


def test_a_session_beside_a_key_is_not_the_one_who_asks(world: World) -> None:
    key = asyncio.run(world.gate.keys.make("reads", ["approvals:act"]))
    world.gated.clock.moves(minutes=10)

    world.asks("POST", "/api/v1/approvals/{id}/actions", authorization=f"Bearer {key}")

    assert world.seen_at() == NOON


@pytest.mark.parametrize(
    ("kind", "says", "used"),
    [("text/html", False, True), ("text/html", True, False), ("text/event-stream", False, False)],
)
def test_pages_of_an_application_say_so_of_their_own(
    world: World, kind: str, says: bool, used: bool
) -> None:
    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        if says:
            scope["state"]["by_itself"] = True
        head = [(b"content-type", kind.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})

    async def nothing() -> Any:
        raise AssertionError("nobody reads")

    async def away(message: Message) -> None:
        pass

    world.gated.clock.moves(minutes=10)
    headers = [(b"cookie", f"{COOKIE}={world.session}".encode())]
    scope: Scope = {"type": "http", "method": "GET", "path": "/shop", "headers": headers}
    asyncio.run(SignIn(page, world.gate)(scope, nothing, away))

    assert (world.seen_at() == world.gated.clock.at) is used
