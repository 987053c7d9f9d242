"""A server where people sign in, and whose operator has not set up the customers' door yet."""

from collections.abc import Mapping
from typing import Any

import pytest
from fastapi.testclient import TestClient

from apps.support_agent.tests.door.house import PUBLIC_URL, SECRET, House
from apps.support_agent.tests.door.routes import ROUTES
from support_agent.live import HUB
from support_agent.web import cookies, create_chat
from support_agent.web.door import Door, settings_of

pytestmark = pytest.mark.slow

GOOD = {"SUPPORT_CUSTOMER_SECRET": SECRET}
CHAT = [each for each in ROUTES if each.mount == "/chat"]


@pytest.mark.parametrize(
    ("environ", "word"),
    [
        ({}, "SUPPORT_CUSTOMER_SECRET"),
        ({"SUPPORT_CUSTOMER_SECRET": " , "}, "SUPPORT_CUSTOMER_SECRET"),
        (GOOD | {"SUPPORT_CUSTOMER_SECRET": "short"}, "too short"),
        (GOOD | {"SUPPORT_CUSTOMER_SECRET": f"{SECRET}, short"}, "too short"),
        (GOOD | {"SUPPORT_CUSTOMER_SECRET": SECRET[:-1]}, "too short"),
        (GOOD | {"SUPPORT_SHOP_URL": "http://shop.example.com"}, "SUPPORT_SHOP_URL"),
        (GOOD | {"SUPPORT_SHOP_URL": "javascript:alert(1)"}, "SUPPORT_SHOP_URL"),
        (GOOD | {"SUPPORT_SHOP_URL": "//shop.example.com"}, "SUPPORT_SHOP_URL"),
        (GOOD | {"SUPPORT_SHOP_URL": "https://[shop"}, "SUPPORT_SHOP_URL"),
    ],
)
def test_nobody_comes_in_and_the_page_says_what_to_set(
    house: House, environ: Mapping[str, str], word: str
) -> None:
    door = Door(settings_of(environ, PUBLIC_URL), house.clock)
    pages = TestClient(
        create_chat(house.client, HUB, "", house.people, door), follow_redirects=False
    )
    session = house.enter(house.email("Amina Diallo"))

    for path in (
        "/",
        "/new",
        "/enter",
        "/talks/" + "a" * 32,
        "/talks/x/stream",
        "/link/" + "a" * 24,
    ):
        answer = pages.get(path, headers={"cookie": f"{cookies.SESSION}={session}"})
        assert answer.status_code == 503 and word in answer.text
        assert SECRET not in answer.text and "short," not in answer.text
        assert answer.headers["referrer-policy"] == "strict-origin"  # the page has a style sheet
    sent = pages.post("/enter", data={"ticket": house.ticket("amina@example.org")})
    assert sent.status_code == 503 and "set-cookie" not in sent.headers


@pytest.mark.parametrize("route", CHAT, ids=lambda each: each.name)
def test_no_route_is_forgotten(house: House, route: Any) -> None:
    pages = TestClient(create_chat(house.client, HUB, "", house.people), follow_redirects=False)
    path = route.path.format(talk_id="a" * 32, code="a" * 24, article_id="returns")

    assert pages.request(route.method, path).status_code == 503


def test_the_staffs_pages_go_on(house: House) -> None:
    """They ask the door nothing."""
    before = house.door.settings
    house.door.settings = settings_of({}, PUBLIC_URL)
    try:
        assert house.person("grace").open("/talks/").status == 200
        assert house.browser().http.get("/chat/").status_code == 503
        assert house.browser().http.get("/chat/static/chat.css").status_code == 200
    finally:
        house.door.settings = before


def test_without_an_address_of_ours_no_ticket_could_be_for_us() -> None:
    assert settings_of(GOOD, "").trouble


@pytest.mark.parametrize(
    "environ",
    [
        GOOD,
        GOOD | {"SUPPORT_CUSTOMER_SECRET": f"{SECRET},{SECRET[::-1]} {SECRET}"},
        GOOD | {"SUPPORT_SHOP_URL": "https://shop.example.com/to-support?from=chat"},
    ],
)
def test_what_may_be_set(environ: Mapping[str, str]) -> None:
    settings = settings_of(environ, PUBLIC_URL)

    assert settings.trouble == ""
    assert SECRET not in repr(settings)
