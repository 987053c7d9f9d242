"""Every route of the API, from its router, against everybody who may not use it.

Rows of another tenant's people stand in the tests of scopes.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import Mount

from adjourn import Adjourn
from adjourn.access.scopes import ALL, ANYBODY, BY_ROLE, Scope
from adjourn.access.sessions import COOKIE
from adjourn.server import create_app
from adjourn.server.requests import Needs, anybody
from tests.access.gated import Gated, quick_keys, sign_in
from tests.server.serving import Serving

BASE = "/runtime/webhooks/durabletask"
PUBLIC = {("GET", "/healthz")}
"""What answers everybody. Nothing is added here without a word on why it tells nobody anything."""


@dataclass(frozen=True)
class Swept:
    """One route with one method, and what it says that it needs."""

    method: str
    path: str
    needs: list[Scope] = field(default_factory=list[Scope])
    public: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def key(self) -> tuple[str, str]:
        return self.method, self.path

    @property
    def address(self) -> str:
        """Where there is something, so that a refusal is no answer to what is asked."""
        return (
            re.sub(r"\{id\}|\{instance_id\}", "case-1", self.path)
            .replace("{name}", "approve")
            .replace("{name:path}", "Approval")
            .replace("{token}", "x")
        )


def every_route() -> Iterator[Swept]:
    for route in create_app(Adjourn().open(":memory:")).routes:
        if isinstance(route, Mount):  # what no route takes is refused there
            continue
        for one in getattr(getattr(route, "original_router", None), "routes", [route]):
            assert isinstance(one, APIRoute)
            asked = [each.call for each in one.dependant.dependencies]
            needs = [each.scope for each in asked if isinstance(each, Needs)]
            for method in sorted(one.methods or ()):
                yield Swept(method, one.path, needs, anybody in asked)


ROUTES = sorted(every_route(), key=str)
GUARDED = [route for route in ROUTES if not route.public]


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_every_route_says_which_scope_it_needs_or_that_it_is_public(route: Swept) -> None:
    assert (len(route.needs), route.public) in ((1, False), (0, True))
    assert route.public == (route.key in PUBLIC)


def test_the_sweep_sees_the_routes_and_no_scope_is_forgotten() -> None:
    assert len(GUARDED) >= 25
    assert {route.needs[0] for route in GUARDED} | {"links:make"} == set(ALL)


@dataclass
class World:
    """A server where people sign in, and everybody who comes to it."""

    serving: Serving
    gated: Gated
    cookies: dict[str, str] = field(default_factory=dict[str, str])
    headers: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    @property
    def files(self) -> list[Path]:
        return [self.serving.path, self.gated.records]

    async def come(self) -> None:
        """Everybody who will ask, made by another process on the same records."""
        outside = self.gated.gate()
        for name in ("ada", "vic", "lena"):
            self.cookies[name] = await sign_in(outside, name)
        for name in ("ended", "disabled", "idle", "taken out", "signed in again", "all ended"):
            person = {"disabled": "grace", "taken out": "tom"}.get(name, "ada")
            if name == "all ended":
                person = "max"
            self.cookies[name] = await sign_in(outside, person)
        await outside.sessions.end(self.cookies["ended"])
        await outside.directory.disable("grace")
        await outside.sessions.end_all("max")
        await sign_in(outside, "ada", replaces=self.cookies["signed in again"])
        keys = quick_keys(outside.records, self.gated.clock)
        for scope in ALL:
            key = await keys.make(f"only-{scope.replace(':', '-')}", [scope])
            self.headers[f"only {scope}"] = {"authorization": f"Bearer {key}"}
            rest = [each for each in ALL if each != scope]
            key = await keys.make(f"not-{scope.replace(':', '-')}", rest)
            self.headers[f"all but {scope}"] = {"authorization": f"Bearer {key}"}
        revoked, old = await keys.make("revoked", ALL), await keys.make("old", ALL, days=1)
        await keys.revoke("revoked")
        self.headers["revoked"] = {"authorization": f"Bearer {revoked}"}
        self.headers["expired"] = {"authorization": f"Bearer {old}"}
        live = await keys.make("live", ALL)
        flipped = live[:-1] + ("A" if live[-1] != "A" else "B")
        self.headers["flipped"] = {"authorization": f"Bearer {flipped}"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("swept")
    people = [
        {"id": "ada", "name": "Ada", "roles": ["admin"]},
        {"id": "lena", "name": "Lena", "roles": ["approver"]},
        {"id": "vic", "name": "Vic", "roles": ["viewer"]},
        {"id": "grace", "name": "Grace", "roles": ["admin"]},
        {"id": "max", "name": "Max", "roles": ["admin"]},
        {"id": "tom", "name": "Tom", "roles": ["admin"]},
    ]
    gated = Gated(folder, people)
    gate = gated.gate()
    serving = Serving(folder / "cases.db", people=gate, pages=True)
    made = World(serving, gated)
    asyncio.run(made.come())
    gated.clock.moves(days=2)  # the key of one day is over, and so are all sessions so far
    idle = made.cookies["idle"]
    asyncio.run(_anew(made, gated))
    gated.write([each for each in people if each["id"] != "tom"])
    made.cookies["idle"] = idle
    with httpx.Client(base_url=serving.address, trust_env=False) as http:
        started = http.post(
            f"{BASE}/orchestrators/approve/case-1",
            json={},
            headers=made.headers["only instances:start"],
        )
        assert started.status_code == 202
    yield made
    serving.stop()
    gated.close()


async def _anew(world: World, gated: Gated) -> None:
    """Sessions of today, so that nobody is refused for a reason other than their own."""
    outside = gated.gate()
    for name in ("ada", "vic", "lena"):
        world.cookies[name] = await sign_in(outside, name)
    for name, person in (("disabled", "grace"), ("taken out", "tom"), ("ended", "ada")):
        world.cookies[name] = await sign_in(outside, person)
    await outside.sessions.end(world.cookies["ended"])
    world.cookies["all ended"] = await sign_in(outside, "max")
    await outside.sessions.end_all("max")
    world.cookies["signed in again"] = await sign_in(outside, "ada")
    await sign_in(outside, "ada", replaces=world.cookies["signed in again"])


@pytest.fixture(scope="module")
def http(world: World) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=world.serving.address, trust_env=False, timeout=10) as client:
        yield client


NOBODY: dict[str, tuple[str, str]] = {
    "no identity": ("", ""),
    "a made-up session": ("x" * 43, ""),
    "no session id at all": ("; admin=1", ""),
    "an ended session": ("{ended}", ""),
    "an idle session": ("{idle}", ""),
    "a session of one who is disabled": ("{disabled}", ""),
    "a session of one who was taken out of the file": ("{taken out}", ""),
    "a session before the sign-in of now": ("{signed in again}", ""),
    "a session after all of theirs were ended": ("{all ended}", ""),
    "the hash of a session": ("{hash}", ""),
    "a name as in local mode": ("adjourn-person=ada", ""),
    "a revoked key": ("", "revoked"),
    "an expired key": ("", "expired"),
    "a flipped key": ("", "flipped"),
    "a bad key with a good session": ("{ada}", "flipped"),
}


QUICKLY = {"wait": "0", "updateId": "u-1"}
"""Nobody waits here for what does not come."""


def ask(
    http: httpx.Client, world: World, route: Swept, cookie: str = "", headers: str = ""
) -> httpx.Response:
    from adjourn.access.sessions import key_of

    given = dict(world.headers[headers]) if headers else {}
    if cookie:
        told = {**world.cookies, "hash": key_of(world.cookies["ada"])}
        value = re.sub(r"\{(.+?)\}", lambda found: told[found.group(1)], cookie)
        given["cookie"] = value if "=" in value and ";" not in value else f"{COOKIE}={value}"
    return http.request(
        route.method, route.address, headers=given, json={"case": 1}, params=QUICKLY
    )


@pytest.mark.slow
@pytest.mark.parametrize("route", GUARDED, ids=str)
@pytest.mark.parametrize("who", NOBODY)
def test_nobody_gets_401_from_every_route(
    http: httpx.Client, world: World, route: Swept, who: str
) -> None:
    cookie, headers = NOBODY[who]

    answer = ask(http, world, route, cookie, headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "NotSignedInError")
    assert "case-1" not in answer.text and "approve" not in answer.text


@pytest.mark.parametrize("route", GUARDED, ids=str)
def test_a_key_without_the_scope_of_a_route_gets_403_that_names_it(
    http: httpx.Client, world: World, route: Swept
) -> None:
    answer = ask(http, world, route, headers=f"all but {route.needs[0]}")

    assert (answer.status_code, answer.json()["code"]) == (403, "ScopeMissingError")
    assert route.needs[0] in answer.text


@pytest.mark.parametrize("route", GUARDED, ids=str)
def test_a_key_with_the_scope_of_a_route_is_let_through(
    http: httpx.Client, world: World, route: Swept
) -> None:
    """So that the rows above can fail."""
    answer = ask(http, world, route, headers=f"only {route.needs[0]}")

    if answer.status_code in (401, 403):  # an approval's own rules, or those of another room
        assert answer.json()["code"] not in ("NotSignedInError", "ScopeMissingError")


@pytest.mark.slow
@pytest.mark.parametrize("route", GUARDED, ids=str)
@pytest.mark.parametrize("who", ["vic", "lena", "ada"])
def test_a_role_reaches_what_it_reaches_and_no_more(
    http: httpx.Client, world: World, route: Swept, who: str
) -> None:
    role = {"vic": "viewer", "lena": "approver", "ada": "admin"}[who]
    reaches = route.needs[0] in ANYBODY | BY_ROLE[role]  # type: ignore[index]

    answer = ask(http, world, route, f"{{{who}}}")

    refused = answer.status_code == 403 and answer.json()["code"] == "ScopeMissingError"
    assert refused != reaches and answer.status_code != 401


def test_replacing_what_runs_takes_the_scope_that_ends_it(http: httpx.Client, world: World) -> None:
    path = "/api/v1/instances/case-1?orchestrator=approve&onConflict=terminate_and_replace"
    answer = http.post(path, json={}, headers=world.headers["only instances:start"])

    assert (answer.status_code, answer.json()["facts"]) == (403, {"scope": "instances:control"})


def test_who_settles_is_who_sends_it_and_not_who_the_body_names(
    http: httpx.Client, world: World
) -> None:
    """Nobody has an empty name: it would be refused with 400 before the step is looked at."""
    body = {"step": 99, "outcome": "failed", "by": "", "reason": "x"}
    key = world.headers["only instances:control"]
    answer = http.post("/api/v1/instances/case-1/settle", json=body, headers=key)

    # Another test may have ended it.
    assert (answer.status_code, answer.json()["code"]) in (
        (409, "WrongStateError"),
        (410, "InstanceFinishedError"),
    )


def test_health_answers_everybody_and_says_nothing(http: httpx.Client) -> None:
    answer = http.get("/healthz")

    assert (answer.status_code, answer.text) == (200, '{"status":"ok"}')


MARKS = ("seen_at", "used_at")


def dump(files: list[Path]) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, as SQL sees it; when somebody was last seen is left out."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for file in files:
        raw = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
        names = list(raw.execute("SELECT name FROM sqlite_schema WHERE type = 'table'"))
        for (name,) in names:
            rows = list(raw.execute(f'SELECT * FROM "{name}"'))
            found[f"{file.name} {name}"] = sorted(map(_without_marks, rows), key=repr)
        raw.close()
    return found


def _without_marks(row: tuple[Any, ...]) -> tuple[Any, ...]:
    if row[0] not in ("sessions", "keys"):
        return row
    space, key, value, _ends_at = row
    kept = {name: each for name, each in json.loads(value).items() if name not in MARKS}
    return space, key, kept


@pytest.mark.parametrize("route", [each for each in ROUTES if each.method == "GET"], ids=str)
def test_a_get_changes_nothing_in_any_file(http: httpx.Client, world: World, route: Swept) -> None:
    """Whoever sends it; and a minute later, when the mark of who was last seen is written."""
    before = dump(world.files)
    world.gated.clock.moves(minutes=1)

    scopes = route.needs or ALL[:1]
    answered = [
        ask(http, world, route, headers=f"only {scopes[0]}").status_code,
        ask(http, world, route, "{ada}").status_code,
        ask(http, world, route).status_code,
    ]

    assert answered[1] < 500
    assert dump(world.files) == before
    assert len(before) > 5


@pytest.mark.slow
def test_what_was_refused_has_changed_nothing(world: World, http: httpx.Client) -> None:
    """The first time, a session that is no longer good is forgotten: that is all."""
    for cookie, headers in NOBODY.values():
        ask(http, world, GUARDED[0], cookie, headers)
    before = dump(world.files)

    for route in GUARDED:
        for cookie, headers in NOBODY.values():
            ask(http, world, route, cookie, headers)
        ask(http, world, route, headers=f"all but {route.needs[0]}")

    assert dump(world.files) == before
