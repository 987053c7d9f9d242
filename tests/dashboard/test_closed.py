"""Every page of the dashboard where people sign in, against everybody who does not; and where
nobody does, every page says so."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import Mount

from adjourn import Adjourn
from adjourn.access.scopes import ALL
from adjourn.access.sessions import COOKIE
from adjourn.approvals.people import DEMO_PEOPLE, LocalPeople
from adjourn.dashboard import create_dashboard
from tests.access.gated import Gated, quick_keys, sign_in
from tests.dashboard.site import Site
from tests.server.serving import Serving

OPEN = ("/sign-in", "/set-up", "/links", "/people")
"""Below these a page answers also those who have not signed in: it is how they do."""
LOCAL_LINE = "No sign-in: anyone on this machine can act"


def every_page() -> Iterator[tuple[str, str]]:
    app = create_dashboard(Adjourn().open(":memory:"), LocalPeople(DEMO_PEOPLE))
    for route in app.routes:
        if isinstance(route, Mount):  # the packaged files, the same for everybody
            continue
        for one in getattr(getattr(route, "original_router", None), "routes", [route]):
            assert isinstance(one, APIRoute)
            for method in sorted(one.methods or ()):
                yield method, one.path


PAGES = sorted(every_page())
CLOSED = [page for page in PAGES if not page[1].startswith(OPEN)]


def at(path: str) -> str:
    return re.sub(r"\{[a-z_]+(:path)?\}", "case-1", path)


def test_the_sweep_sees_the_pages() -> None:
    assert {("GET", "/"), ("GET", "/instances"), ("GET", "/stream")} <= set(CLOSED)
    assert len(CLOSED) > 15


class World:
    """A site where people sign in, and the cookies of those who come."""

    def __init__(self, folder: Path) -> None:
        self.gated = Gated(folder)
        self.serving = Serving(
            folder / "cases.db", people=self.gated.gate(), pages=True, clock=self.gated.clock
        )
        self.cookies: dict[str, str] = {}
        self.key = ""
        asyncio.run(self._come())

    async def _come(self) -> None:
        outside = self.gated.gate()
        self.cookies["idle"] = await sign_in(outside, "ada")
        self.gated.clock.moves(hours=2)
        for name, person in (("ended", "ada"), ("disabled", "grace"), ("good", "ada")):
            self.cookies[name] = await sign_in(outside, person)
        await outside.sessions.end(self.cookies["ended"])
        await outside.directory.disable("grace")
        self.cookies["never disabled there"] = await sign_in(outside, "gone")
        self.key = await quick_keys(outside.records, self.gated.clock).make("ci", ALL)

    def stop(self) -> None:
        self.serving.stop()
        self.gated.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("closed"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def http(world: World) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=world.serving.address, trust_env=False, timeout=10) as client:
        yield client


WHO = ["nobody", "made up", "idle", "ended", "disabled", "never disabled there", "a name", "a key"]


def headers_of(world: World, who: str) -> dict[str, str]:
    match who:
        case "nobody":
            return {}
        case "made up":
            return {"cookie": f"{COOKIE}={'x' * 43}"}
        case "a name":
            return {"cookie": "adjourn-person=ada"}
        case "a key":
            return {"authorization": f"Bearer {world.key}"}
        case _:
            return {"cookie": f"{COOKIE}={world.cookies[who]}"}


@pytest.mark.slow
@pytest.mark.parametrize("page", CLOSED, ids=" ".join)
@pytest.mark.parametrize("who", WHO)
def test_whoever_has_not_signed_in_sees_no_page_and_does_nothing(
    http: httpx.Client, world: World, page: tuple[str, str], who: str
) -> None:
    method, path = page

    answer = http.request(method, at(path), headers=headers_of(world, who))

    if method == "GET":
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in?back=")
    else:
        assert answer.status_code in (401, 404) and "Ada" not in answer.text
        assert answer.status_code == 401 or path == "/people/switch"


@pytest.mark.parametrize("page", [each for each in CLOSED if each[0] == "GET"], ids=" ".join)
def test_a_part_of_a_page_sends_the_script_to_sign_in(
    http: httpx.Client, world: World, page: tuple[str, str]
) -> None:
    given = {**headers_of(world, "ended"), "hx-request": "true"}

    answer = http.get(at(page[1]), headers=given)

    assert (answer.status_code, answer.text) == (401, "")
    assert answer.headers["hx-redirect"].startswith("/sign-in?back=")


@pytest.mark.parametrize(
    "page", [each for each in CLOSED if each[0] == "GET" and each[1] != "/stream"], ids=" ".join
)
def test_whoever_has_signed_in_is_let_in(
    http: httpx.Client, world: World, page: tuple[str, str]
) -> None:
    """So that the rows above can fail."""
    answer = http.get(at(page[1]), headers=headers_of(world, "good"))

    assert answer.status_code in (200, 204, 404, 422)
    assert LOCAL_LINE not in answer.text


def test_a_session_that_ends_ends_for_the_next_page(http: httpx.Client, world: World) -> None:
    id = asyncio.run(sign_in(world.gated.gate(), "ada"))
    headers = {"cookie": f"{COOKIE}={id}"}
    assert http.get("/help", headers=headers).status_code == 200
    asyncio.run(world.gated.gate().sessions.end(id))
    assert http.get("/help", headers=headers).status_code == 303


@pytest.mark.slow
@pytest.mark.parametrize("how", ["signed out", "disabled"])
def test_an_open_stream_ends_with_the_session(world: World, how: str) -> None:
    outside, who = world.gated.gate(), "vic" if how == "disabled" else "lena"
    id = asyncio.run(sign_in(outside, who))
    started = 0

    def change(http: httpx.Client) -> None:
        nonlocal started
        started += 1
        path = (
            f"/runtime/webhooks/durabletask/orchestrators/approve/{how.replace(' ', '-')}-{started}"
        )
        key = {"authorization": f"Bearer {world.key}"}
        assert http.post(path, json={}, headers=key).status_code == 202

    with (
        httpx.Client(base_url=world.serving.address, trust_env=False, timeout=10) as http,
        http.stream("GET", "/stream", headers={"cookie": f"{COOKIE}={id}"}) as answer,
    ):
        told = answer.iter_lines()
        [next(told) for _ in range(6)]
        world.gated.clock.moves(seconds=10)
        change(http)
        assert "event: changed" in [next(told) for _ in range(4)], "while they are signed in"
        if how == "disabled":
            asyncio.run(outside.directory.disable(who))
        else:
            asyncio.run(outside.sessions.end(id))
        world.gated.clock.moves(seconds=10)
        change(http)
        assert [line for line in told if line.startswith("event: ")] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", ["/", "/people", "/help", "/instances", "/approvals/none", "/nowhere"]
)
@pytest.mark.parametrize("who", ["lena", "ivo"])
def test_where_nobody_signs_in_every_page_says_so(site: Site, path: str, who: str) -> None:
    page = site.visitor(who).open(path)

    assert LOCAL_LINE in page.text
