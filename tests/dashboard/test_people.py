"""Who acts: the visible switch of a machine where nobody signs in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import httpx
import pytest

from adjourn import Adjourn
from adjourn.access.addresses import own_path
from adjourn.approvals.people import Person
from adjourn.dashboard import create_dashboard
from adjourn.model.actor import Actor
from tests.dashboard.pages import Browser, parse
from tests.dashboard.site import Site

At = Callable[[str], Browser]


@pytest.mark.slow
def test_a_first_visit_asks_who_it_is_and_then_goes_where_it_was_going(site: Site, at: At) -> None:
    browser = at("")

    page = browser.open("/?view=all&text=x")
    assert page.status == 200 and page.heading == "Who are you?"
    assert "Nobody signs in on this machine" in page.main

    form = page.form("omar")
    answer = browser.http.post("/people/switch", data=dict([*form.fields, ("person", "omar")]))
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(cookie.split("; "))
    assert answer.status_code == 303 and answer.headers["location"] == "/?view=all&text=x"
    assert "Omar Haddad" in browser.open("/").root.one(class_="who").text


@pytest.mark.slow
def test_every_page_says_who_acts_and_that_nobody_signs_in(site: Site, at: At) -> None:
    id = site.ask()
    for path in ("/", f"/approvals/{id}", "/instances", f"/instances/{id}", "/help", "/nowhere"):
        page = at("lena").open(path)
        assert "No sign-in: anyone on this machine can act" in page.text, path
        assert "Lena Fischer" in page.root.one(class_="who").text, path


@pytest.mark.slow
def test_the_switch_leads_back_to_where_it_was(site: Site, at: At) -> None:
    id = site.ask()
    page = at("lena").open(f"/approvals/{id}?tab=why")

    switched = page.form("sam").send()

    assert switched.path == f"/approvals/{id}?tab=why"
    assert "Sam Ortiz" in switched.root.one(class_="who").text
    assert not switched.has_button("approve")


def test_nobody_can_become_somebody_whom_the_machine_does_not_know(site: Site, at: At) -> None:
    browser = at("lena")

    answer = browser.http.post("/people/switch", data={"person": "root", "back": "/"})

    assert answer.status_code == 404 and "set-cookie" not in answer.headers
    browser.http.cookies.set("adjourn-person", "root")
    assert browser.http.get("/").status_code == 303


@pytest.mark.parametrize(
    "given",
    ["//evil.example", "https://evil.example", "\\\\evil", "/\\evil", "javascript:x", "", "x",
     "/a\r\nSet-Cookie: x", "/\u202e"],
)  # fmt: skip
def test_no_link_leads_away(given: str) -> None:
    assert own_path(given) == "/"


@pytest.mark.slow
def test_a_lost_role_counts_at_once(site: Site, at: At) -> None:
    id = site.ask()
    page = at("omar").open(f"/approvals/{id}")
    known = site.people.people["omar"]
    site.people.people["omar"] = Person(id="omar", name="Omar Haddad", roles=["viewer"])
    try:
        answer = page.form("approve").send()
    finally:
        site.people.people["omar"] = known

    assert answer.status == 403 and site.row(id).status == "open"


class SignedIn:
    """A directory where people sign in: nothing can be switched."""

    local = False

    async def identify(
        self, headers: Mapping[str, str], cookies: Mapping[str, str], peer: str = ""
    ) -> Actor | None:
        name = headers.get("x-verified-user")
        return None if name is None else Actor(id=name, roles=["approver"], channel="web")

    def find(self, person: str) -> Person | None:
        return None

    def find_account(self, channel: str, account: str) -> Person | None:
        return None

    def everybody(self) -> Sequence[Person]:
        return []

    def acting(self, person: Person, channel: str) -> Actor:
        return person.actor(channel)


@pytest.mark.slow
def test_where_people_sign_in_there_is_no_switch() -> None:
    async def look() -> None:
        async with Adjourn().open(":memory:") as client:
            app = create_dashboard(client, SignedIn())
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as http:
                page = await http.get("/", headers={"X-Verified-User": "vera"})
                root = parse(page.text)
                assert "Signed in as V" in root.one(class_="who").text
                assert "anyone on this machine" not in root.text
                assert "/people/switch" not in page.text
                assert (await http.get("/people")).status_code == 401
                switch = await http.post("/people/switch", data={"person": "vera"})
                assert switch.status_code == 404

    asyncio.run(look())
