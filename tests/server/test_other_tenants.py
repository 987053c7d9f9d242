"""Every address of the API and of the dashboard that holds an id, against everybody whose it is
not: the very answer that an id gets which does not exist. Generated from the routers, so that a new
route is swept as soon as it is there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi.routing import APIRoute
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Mount

from adjourn import Adjourn
from adjourn.access.scopes import ALL
from adjourn.access.sessions import COOKIE
from adjourn.approvals.people import DEMO_PEOPLE, LocalPeople
from adjourn.dashboard import create_dashboard
from adjourn.server import create_app
from tests.access.gated import Gated, quick_keys, sign_in
from tests.properties.profiles import examples
from tests.server.serving import Serving
from tests.tenants import KINDS, app, fill

EVERYTHING = ["approver", "lead", "auditor", "admin"]
PEOPLE: list[dict[str, Any]] = [
    {"id": "ann", "name": "Ann", "tenant": "acme", "roles": EVERYTHING, "groups": ["finance"]},
    {"id": "bob", "name": "Bob", "tenant": "beta", "roles": EVERYTHING, "groups": ["finance"]},
    {"id": "nia", "name": "Nia", "roles": EVERYTHING, "groups": ["finance"]},
    {"id": "leo", "name": "Leo", "tenant": "acme", "roles": EVERYTHING, "queues": ["group:legal"]},
    {"id": "pia", "name": "Pia", "tenant": "acme", "groups": ["interns"]},
    {"id": "all", "name": "Alma", "tenant": "*", "roles": EVERYTHING},
]
OTHERS: dict[str, list[str]] = {
    "bob": [f"acme-{kind}" for kind in KINDS],
    "ann": [f"{name}-{kind}" for name in ("beta", "none") for kind in KINDS],
    "nia": [f"acme-{kind}" for kind in KINDS],
    "leo": [f"acme-{kind}" for kind in KINDS if kind != "law:1:1"],
    "pia": [f"acme-{kind}" for kind in KINDS],
    "key:beta": [f"acme-{kind}" for kind in KINDS],
}
"""By who asks: what is not for them. Leo looks after the legal queue alone; Pia has no role."""


def routes_of(application: Any) -> Iterator[tuple[str, str]]:
    for route in application.routes:
        if isinstance(route, Mount):
            continue
        for one in getattr(getattr(route, "original_router", None), "routes", [route]):
            if isinstance(one, APIRoute):
                for method in sorted(one.methods or ()):
                    yield method, one.path


def every_address() -> list[tuple[str, str]]:
    client = Adjourn().open(":memory:")
    pages = create_dashboard(client, LocalPeople(DEMO_PEOPLE))
    return sorted({*routes_of(create_app(client)), *routes_of(pages)})


ADDRESSES = every_address()
OF_ONE = [each for each in ADDRESSES if "{id}" in each[1]]
STARTS = [each for each in OF_ONE if each[0] == "POST" and each[1].endswith(("/{id}", "}/{id}"))]
"""Ids are everybody's: a start learns that an id is taken, and nothing more."""
AT_ONE = [each for each in OF_ONE if each not in STARTS]
LISTS = [
    path for method, path in ADDRESSES if method == "GET" and "{" not in path and path != "/stream"
]


@pytest.mark.slow
def test_the_sweep_sees_every_address() -> None:
    assert len(AT_ONE) >= 25 and len(LISTS) >= 8
    assert {path for _, path in STARTS} == {
        "/api/v1/instances/{id}",
        "/runtime/webhooks/durabletask/orchestrators/{name}/{id}",
    }
    assert ("POST", "/approvals/{id}/act") in AT_ONE and ("GET", "/approvals/{id}/news") in AT_ONE


class World:
    """A server of three tenants, and the sessions and keys of those who come."""

    def __init__(self, folder: Path) -> None:
        self.gated = Gated(folder, PEOPLE)
        gate = self.gated.gate()
        self.serving = Serving(folder / "cases.db", app, gate, pages=True, clock=self.gated.clock)
        self.client = self.serving._client
        self.client.backend._grace_seconds = 0.01  # type: ignore[attr-defined]
        asyncio.run_coroutine_threadsafe(fill(self.client), self.serving.loop).result(20)
        self.headers: dict[str, dict[str, str]] = {}
        asyncio.run(self._come())
        self.http = httpx.Client(base_url=self.serving.address, trust_env=False, timeout=10)

    async def _come(self) -> None:
        outside = self.gated.gate()
        for person in PEOPLE:
            id = await sign_in(outside, person["id"])
            self.headers[person["id"]] = {"cookie": f"{COOKIE}={id}"}
        keys = quick_keys(outside.records, self.gated.clock)
        key = await keys.make("beta", ALL, tenant="beta")
        self.headers["key:beta"] = {"authorization": f"Bearer {key}"}

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.serving.loop).result(20)

    def ask(self, who: str, address: tuple[str, str], id: str, **sent: Any) -> httpx.Response:
        method, path = address
        path = path.replace("{id}", quote(id, safe=""))
        path = path.replace("{name}", "listen").replace("{name:path}", "Note")
        return self.http.request(method, path, **sent, headers=self.headers[who])

    def answer(self, who: str, address: tuple[str, str], id: str, sent: dict[str, Any]) -> Any:
        """All that the answer says, with the id taken out, and the keys of forms."""
        given = self.ask(who, address, id, **filled(sent, id))
        kept = {name: given.headers.get(name, "") for name in ("content-type", "location", "etag")}
        words = [given.status_code, given.text, *kept.values()]
        return [_without(str(word), id) for word in words]


def filled(sent: dict[str, Any], id: str) -> dict[str, Any]:
    """With the id wherever it is spoken of."""
    return {
        what: {
            name: text.replace("ID", id) if isinstance(text, str) else text
            for name, text in words.items()
        }
        if isinstance(words, dict)
        else words
        for what, words in sent.items()
    }


def _without(text: str, id: str) -> str:
    for written in (id, quote(id, safe=""), quote(id)):
        text = text.replace(written, "ID")
    return re.sub(r"\b[0-9a-f]{32}\b", "KEY", text)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("tenants"))
    yield made
    made.http.close()
    made.serving.stop()
    made.gated.close()


ASKED = {"wait": "5", "updateId": "u", "actionId": "a"}
"""What is not there is answered at once, however long one would wait."""
SENT: dict[str, list[dict[str, Any]]] = {
    "GET": [
        {"params": ASKED},
        {"params": {**ASKED, "showHistory": "true", "tab": "audit", "version": "1"}},
        {"params": {**ASKED, "execution": "99", "tab": "similar", "surface": "inbox"}},
    ],
    "POST": [
        {"params": ASKED, "json": {}},
        {"params": ASKED, "json": {"do": "comment", "version": 1, "text": "x"}},
        {"params": ASKED, "json": {"do": "approve", "version": 77}},
        {"params": ASKED, "json": {"step": 1, "outcome": "failed", "by": "x", "reason": "y"}},
        {"params": ASKED, "content": b"no json", "extensions": {}},
        {"params": ASKED, "data": {"do": "approve", "version": "1", "comment": "x"}},
        {"params": ASKED, "data": {"do": "comment", "version": "1", "text": "x", "as": "ann"}},
        {"params": ASKED, "data": {"do": "approve", "version": "1", "event": "1"}},
        {"params": ASKED, "data": {"sequence": "1", "outcome": "failed", "reason": "x"}},
    ],
    "DELETE": [{}],
}


@pytest.mark.slow
@pytest.mark.parametrize("who", ["bob", "leo", "pia"])
@pytest.mark.parametrize("address", AT_ONE, ids=" ".join)
def test_what_is_anothers_is_answered_as_what_does_not_exist(
    world: World, address: tuple[str, str], who: str
) -> None:
    """An instance and an approval, with what would go through; the next test has all the rest."""
    check_hidden(world, address, who, ["acme-listens", "acme-asks:1:1"], SENT[address[0]][:2])


@pytest.mark.slow
@pytest.mark.parametrize("who", OTHERS)
@pytest.mark.parametrize("address", AT_ONE, ids=" ".join)
def test_whatever_is_anothers_is_answered_as_what_does_not_exist(
    world: World, address: tuple[str, str], who: str
) -> None:
    before = world.run(everything(world))
    check_hidden(world, address, who, OTHERS[who], SENT[address[0]])
    assert world.run(everything(world)) == before


def check_hidden(
    world: World,
    address: tuple[str, str],
    who: str,
    ids: list[str],
    every: list[dict[str, Any]],
) -> None:
    for sent in every:
        nothing = world.answer(who, address, "no-such", sent)
        assert nothing[0] not in ("200", "201", "202", "500"), nothing
        for id in ids:
            assert world.answer(who, address, id, sent) == nothing, (id, sent)


async def everything(world: World) -> list[Any]:
    return (await world.client.list(limit=1_000)).instances


@pytest.mark.slow
@pytest.mark.parametrize("who", ["ann", "all"])
@pytest.mark.parametrize("address", AT_ONE, ids=" ".join)
def test_whose_it_is_gets_another_answer(world: World, address: tuple[str, str], who: str) -> None:
    """So that the rows above can fail. What 501 answers to everybody tells nothing."""
    if address[0] == "POST":
        return  # it would be done
    ids = ["acme-done", "acme-asks:1:1"][: 1 if address[1].endswith("/result") else 2]
    sent = SENT[address[0]][0]
    nothing = world.answer(who, address, "no-such", sent)
    found = [world.answer(who, address, id, sent) for id in ids]
    assert nothing[0] in ("404", "501", "204")
    assert any(each != nothing for each in found) or nothing[0] != "404"


@pytest.mark.slow
@pytest.mark.parametrize("who", ["bob", "nia", "leo", "key:beta"])
@pytest.mark.parametrize("address", STARTS, ids=" ".join)
def test_a_start_under_anothers_id_learns_that_it_is_taken_and_no_more(
    world: World, address: tuple[str, str], who: str
) -> None:
    before = world.run(everything(world))
    words = [{}, {"onConflict": "return_existing"}, {"onConflict": "terminate_and_replace"}]
    for more in words:
        params = {"orchestrator": "listen", **more}
        # Whoever repeats a start to the letter gets its answer again, in their own tenant.
        sent = {"params": params, "json": 9 if who == "leo" else 1}
        for id in OTHERS[who]:
            given = world.ask(who, address, id, **sent)
            assert given.status_code == 409, given.text
            assert given.json()["facts"] == {"instance_id": id, "status": ""}
            assert given.json()["Message"] == f"The id {id!r} is taken. Choose another id."
    assert world.run(everything(world)) == before


@pytest.mark.slow
def test_nobody_says_over_http_for_whom_they_start(world: World) -> None:
    def start(who: str, id: str, tags: str) -> httpx.Response:
        address = ("POST", "/api/v1/instances/{id}")
        params = {"orchestrator": "listen", "tags": tags}
        return world.ask(who, address, id, params=params, json=1)

    assert start("bob", "beta-1", '{"tenant": "acme"}').status_code == 422
    assert start("nia", "n-1", '{"tenant": "acme"}').status_code == 422
    assert start("bob", "beta-1", '{"team": "red"}').status_code == 201
    assert start("all", "beta-2", '{"tenant": "beta"}').status_code == 201
    assert start("all", "x-2", '{"tenant": "*"}').status_code == 400
    told = {id: world.run(world.client.get(id)).tenant for id in ("beta-1", "beta-2")}
    assert told == {"beta-1": "beta", "beta-2": "beta"}
    for id in told:
        world.run(world.client.terminate(id))


WORDS = [
    {},
    {"view": "all", "limit": "200"},
    {"view": "recent"},
    {"view": "decided", "order": "newest"},
    {"view": "all", "text": "door", "case": "acme-asks"},
    {"tenant": "acme", "limit": "1000"},
    {"tenant": "*", "prefix": "acme"},
    {"prefix": "acme", "status": "Running", "name": "listen"},
    {"instanceIdPrefix": "acme", "runtimeStatus": "Running"},
    {"open": "acme-asks:1:1", "tab": "similar", "view": "all"},
    {"done": "acme-asks:1:1", "do": "approve", "left": "changed@acme-law:1:1"},
    {"item": "1@acme-asks:1:1", "do": "approve", "back": "view=all"},
    {"where": '{"kind": "Deed"}', "waitingFor": "Note"},
]


@pytest.mark.slow
@pytest.mark.parametrize("who", ["bob", "nia", "key:beta"])
@pytest.mark.parametrize("path", LISTS)
def test_no_list_holds_anything_of_another_tenant(world: World, path: str, who: str) -> None:
    """What the request itself says of it is taken out: it may be shown again."""
    for words in WORDS:
        given = world.http.get(path, params=words, headers=world.headers[who])
        assert given.status_code != 500
        text = given.text
        for word in words.values():
            for said in (word, quote(word, safe=""), *re.findall(r"acme[\w:-]*", word)):
                text = text.replace(said, "") if said else text
        assert "of acme" not in text and "acme" not in text, words


@pytest.mark.parametrize(("who", "own"), [("bob", "beta"), ("nia", "none"), ("ann", "acme")])
def test_a_list_holds_what_is_ones_own(world: World, who: str, own: str) -> None:
    """So that the rows above can fail."""
    headers = world.headers[who]
    page = world.http.get("/", params={"view": "all"}, headers=headers).text
    rows = world.http.get("/api/v1/inbox", params={"view": "all"}, headers=headers).json()["rows"]
    instances = world.http.get("/api/v1/instances", headers=headers).json()["instances"]
    operators = world.http.get("/instances", headers=headers).text
    assert f"Open the door of {own}" in page and f"{own}-busy" in operators
    assert {row["title"] for row in rows} == {f"Open the door of {own}", f"Shut the door of {own}?"}
    assert {each["id"].partition("-")[0] for each in instances} == {own}


def test_who_looks_after_a_queue_sees_its_approvals_and_no_instances(world: World) -> None:
    leo = world.headers["leo"]

    def get(path: str, **words: str) -> httpx.Response:
        return world.http.get(path, params=words, headers=leo)

    assert [row["id"] for row in get("/api/v1/inbox", view="all").json()["rows"]] == [
        "acme-law:1:1"
    ]
    assert get("/approvals/acme-law:1:1").status_code == 200
    assert get("/api/v1/approvals/acme-law:1:1").status_code == 200
    assert get("/approvals/acme-law:1:1/audit.json").status_code == 200
    assert get("/api/v1/instances/acme-law:1:1").status_code == 200  # the approval's own
    assert get("/api/v1/instances").json()["instances"] == []
    assert "acme" not in get("/instances").text


@pytest.mark.slow
def test_who_has_no_role_sees_what_concerns_them(world: World) -> None:
    page = world.http.get("/", params={"view": "all"}, headers=world.headers["pia"])
    assert page.status_code == 200 and "door of" not in page.text


@pytest.mark.slow
def test_one_does_not_join_the_wait_of_another_tenant(world: World) -> None:
    """Who waits for the same shares one wait: but only who may see what it waits for."""

    async def scene() -> list[int]:
        path = "/api/v1/instances/acme-listens/result"
        async with httpx.AsyncClient(base_url=world.serving.address, trust_env=False) as http:
            ann = asyncio.create_task(
                http.get(path, params={"wait": "1"}, headers=world.headers["ann"])
            )
            while not world.serving.site.state.waits._tasks:  # noqa: ASYNC110  in another loop
                await asyncio.sleep(0.001)
            bob = await http.get(path, params={"wait": "1"}, headers=world.headers["bob"])
            return [(await ann).status_code, bob.status_code]

    assert asyncio.run(scene()) == [202, 404]


@pytest.mark.slow
def test_a_stream_beats_for_its_own_tenant_alone(world: World) -> None:
    """Neither the moment nor the number of a beat tells of another tenant's changes."""
    with listening(world, "ann") as (first, told_ann):
        assert "event: changed" in first
        for _ in range(2):
            world.run(comment(world, "acme-law:1:1"))
            assert "event: changed" in [next(told_ann) for _ in range(4)]
        with listening(world, "bob") as (first, told_bob):
            assert "id: 0" in first
            world.run(comment(world, "acme-law:1:1"))
            world.run(comment(world, "beta-law:1:1"))
            beat = [next(told_bob) for _ in range(4)]
            assert "event: changed" in beat and "id: 1" in beat


@contextmanager
def listening(world: World, who: str) -> Iterator[tuple[list[str], Iterator[str]]]:
    """What is told at once, and what comes then."""
    with world.http.stream("GET", "/stream", headers=world.headers[who]) as answer:
        told = answer.iter_lines()
        yield [next(told) for _ in range(6)], told


async def comment(world: World, id: str) -> None:
    from adjourn import Actor
    from adjourn.model.approval import AddComment

    steward = Actor(id="all", roles=["lead"], tenant="*")
    await world.client.approvals.act(id, AddComment(version=1, text="hm"), by=steward)


# Whatever is asked.

texts = st.sampled_from(["", "1", "ID", "acme-asks:1:1", "true", "x" * 300, "{}", "\u00e4", "-1"])
names = st.sampled_from(
    ["wait", "updateId", "eventId", "actionId", "execution", "tab", "version", "surface", "back",
     "showHistory", "open", "reason", "done"]
)  # fmt: skip
fields = st.sampled_from(
    ["do", "version", "text", "comment", "outcome", "sequence", "reason", "event", "next", "as",
     "step", "by", "to", "recursive", "digest", "surface", "confirm"]
)  # fmt: skip
words = st.sampled_from(["approve", "claim", "comment", "failed", "1", "acme-law:1:1", "yes", "ID"])


@pytest.mark.slow
@examples(150)
@given(
    st.sampled_from(AT_ONE),
    st.sampled_from(sorted(OTHERS)),
    st.dictionaries(names, texts, max_size=4),
    st.dictionaries(fields, words, max_size=5),
    st.sampled_from(["json", "data"]),
    st.integers(0, 100),
)
def test_no_request_tells_what_is_anothers_from_what_does_not_exist(
    address: tuple[str, str],
    who: str,
    query: dict[str, str],
    body: dict[str, str],
    kind: str,
    number: int,
) -> None:
    world = WORLDS[-1]
    sent: dict[str, Any] = {"params": {**query, "wait": "5"}}
    if address[0] == "POST":
        sent[kind] = body
    id = OTHERS[who][number % len(OTHERS[who])]

    assert world.answer(who, address, id, sent) == world.answer(who, address, "no-such", sent)


WORLDS: list[World] = []


@pytest.fixture(scope="module", autouse=True)
def _the_world(world: World) -> None:
    """Hypothesis wants no fixture that it might think is made anew."""
    WORLDS.append(world)
