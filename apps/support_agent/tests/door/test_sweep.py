"""Each route, asked by everybody whom it is not for: refused, and nothing has changed."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest

from apps.support_agent.tests.door.house import House
from apps.support_agent.tests.door.routes import (
    CUSTOMERS,
    OPEN,
    ROUTES,
    STAFFS,
    Asked,
    Things,
    is_refused,
)
from apps.support_agent.tests.web.place import AMINA, JONAS, Browser
from support_agent.shop.customer_sessions import IDLE, LONGEST, begin, digest_of
from support_agent.shop.database import writing
from support_agent.shop.records import CustomerSession
from support_agent.site import app

NAMES = [each.name for each in ROUTES]


@pytest.fixture(scope="module")
def things(house: House) -> Things:
    return Things(house)


def _ended(house: House) -> Browser:
    session = house.enter(house.email(AMINA))
    house.browser(session=session).send("/chat/sign-out", part=False, x="")
    return house.browser(session=session)


def _began(house: House, ago: float, idle: float) -> Browser:
    with writing(house.records) as session:
        id = begin(session, house.customer_id(AMINA), house.clock() - timedelta(seconds=ago))
        session.flush()
        row = session.get_one(CustomerSession, digest_of(id))
        row.seen_at = house.clock() - timedelta(seconds=idle)
    return house.browser(session=id)


def _removed(house: House) -> Browser:
    email = house.newcomer("Removed")
    session = house.enter(email)
    house.remove(email)
    return house.browser(session=session)


NO_CUSTOMER: dict[str, Callable[[House], Browser]] = {
    "nobody": lambda house: house.browser(),
    "a session that never was": lambda house: house.browser(session="a" * 43),
    "a session that was signed out": _ended,
    "a session idle too long": lambda house: _began(house, 8_000, IDLE.total_seconds()),
    "a session too old": lambda house: _began(house, LONGEST.total_seconds(), 1),
    "a customer who was removed": _removed,
    "the local mode's cookie": lambda house: house.browser(
        **{"support-customer": str(house.customer_id(AMINA))}
    ),
    "the staff": lambda house: house.person("grace"),
    "a key": lambda house: _with_key(house),
}
NO_STAFF: dict[str, Callable[[House], Browser]] = {
    "nobody": lambda house: house.browser(),
    "a session that never was": lambda house: house.browser(staff="a" * 43),
    "a session that was signed out": lambda house: _left(house),
    "a session idle too long": lambda house: house.browser(
        staff=house.staff_session("grace", hours=2)
    ),
    "a stranger who has signed in": lambda house: house.person("stranger"),
    "who is disabled": lambda house: house.person("gone"),
    "a viewer": lambda house: house.person("sam"),
    "who has no role": lambda house: house.person("none"),
    "another tenant's": lambda house: house.person("other"),
    "another queue's": lambda house: house.person("returns"),
    "a customer": lambda house: house.customer(AMINA),
    "a customer's session as one's own": lambda house: house.browser(
        staff=house.enter(house.email(AMINA))
    ),
    "another customer": lambda house: house.customer(JONAS),
    "the local mode's cookie": lambda house: house.browser(**{"adjourn-person": "lena"}),
    "a key": lambda house: _with_key(house),
}


IN_THE_GATE = {"nobody", "a session that was signed out", "the staff", "who is disabled"}


def rows(who: Iterable[str]) -> list[Any]:
    """Together they take a quarter of a minute: those that say most are in `make check`."""
    return [
        each if each in IN_THE_GATE else pytest.param(each, marks=pytest.mark.slow) for each in who
    ]


def _with_key(house: House) -> Browser:
    browser = house.browser()
    browser.http.headers["authorization"] = f"Bearer {house.key()}"
    return browser


def _left(house: House) -> Browser:
    session = house.staff_session("grace")
    house.run(house.people.sessions.end(session))
    return house.browser(staff=session)


def test_every_route_says_whom_it_is_for() -> None:
    assert len(ROUTES) >= 20
    assert [each.name for each in ROUTES if len(each.audiences) != 1] == []
    assert [each.name for each in OPEN] == [
        "GET /chat/enter",
        "POST /chat/enter",
        "POST /chat/sign-out",
    ]
    assert {each.mount for each in STAFFS} == {"/talks"}
    assert set(app.mounts) - {"/api/messages"} == {"/chat", "/talks"}  # that one: tests/teams_in


def refused_and_nothing_changed(
    house: House, things: Things, route: Asked, browser: Browser
) -> None:
    before = house.dump()

    answer = things.send(route, browser)

    assert is_refused(route, answer), answer.status_code
    assert "Amina" not in getattr(answer, "text", "")
    assert house.dump() == before


@pytest.mark.slow
@pytest.mark.parametrize("who", rows(NO_CUSTOMER))
@pytest.mark.parametrize("route", CUSTOMERS, ids=lambda each: each.name)
def test_a_customers_route_is_for_customers(
    house: House, things: Things, route: Asked, who: str
) -> None:
    refused_and_nothing_changed(house, things, route, NO_CUSTOMER[who](house))


@pytest.mark.slow
@pytest.mark.parametrize("who", rows(NO_STAFF))
@pytest.mark.parametrize("route", STAFFS, ids=lambda each: each.name)
def test_a_staffs_route_is_for_the_staff_of_this_shop(
    house: House, things: Things, route: Asked, who: str
) -> None:
    refused_and_nothing_changed(house, things, route, NO_STAFF[who](house))


@pytest.mark.slow
@pytest.mark.parametrize("route", OPEN, ids=lambda each: each.name)
def test_a_route_for_anybody_does_nothing_for_nobody(
    house: House, things: Things, route: Asked
) -> None:
    before = house.dump()

    answer = things.send(route, house.browser())

    assert answer.status_code in (200, 303, 403)
    assert house.dump() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "route", [each for each in ROUTES if each.method == "GET"], ids=lambda each: each.name
)
def test_a_get_writes_nothing_for_whom_it_is_for(
    house: House, things: Things, route: Asked
) -> None:
    """And it answers them: what is refused above would else have been done."""
    browser = house.customer(AMINA) if route.mount == "/chat" else house.person("grace")
    before = house.quiet()

    answer = things.send(route, browser)

    assert not is_refused(route, answer) and answer.status_code in (200, 303)
    assert house.dump() == before
