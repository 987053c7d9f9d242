"""The pages about accounts and about what was not delivered, by anybody, at any size."""

from typing import Any

import pytest
from playwright.sync_api import Page

from apps.support_agent.tests.web.browsing.conftest import Customer
from apps.support_agent.tests.web.place import AMINA, Place
from apps.support_agent.tests.web.test_linking import Offered
from apps.support_agent.tests.web.test_undelivered import GONE, Talk, trouble_of
from support_agent.channels.desk import key_of
from support_agent.channels.port import Address
from tests.browser.accessibility import axe
from tests.browser.conftest import Picture

LOOKS: list[dict[str, Any]] = [
    {"color_scheme": "light"},
    {"color_scheme": "dark"},
    {"viewport": {"width": 360, "height": 740}},
]
LONG = "HTTP 502: " + "x" * 300


def check(page: Page, picture: Picture, label: str) -> None:
    picture(page, label)
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"{label} scrolls sideways by {wide}"
    assert axe(page) == [], label


@pytest.mark.parametrize("look", LOOKS)
def test_an_account_is_linked(
    place: Place, customer: Customer, picture: Picture, look: dict[str, Any]
) -> None:
    offered = Offered(place, name="Amina <b>Diallo</b> \u202e" + "w" * 60)
    amina = customer(AMINA, **look)
    amina.page.goto(offered.path)
    check(amina.page, picture, "link")
    amina.page.get_by_role("button", name="Link it to Amina Diallo").click()
    amina.page.get_by_role("heading", name="Done").wait_for()
    check(amina.page, picture, "linked")
    with amina.watch.expecting("410"):
        amina.page.goto(offered.path)
        amina.page.get_by_role("heading", name="This link has ended").wait_for()
    check(amina.page, picture, "ended")


@pytest.mark.parametrize("look", LOOKS)
def test_who_is_not_signed_in_is_asked(
    place: Place, visitor: Customer, picture: Picture, look: dict[str, Any]
) -> None:
    somebody = visitor(place.address, **look)
    somebody.page.goto(Offered(place).path)
    check(somebody.page, picture, "who")


@pytest.mark.parametrize("look", LOOKS)
def test_what_was_not_delivered_is_seen(
    place: Place, staff: Customer, picture: Picture, look: dict[str, Any]
) -> None:
    talk, waits = Talk(place), Talk(place)
    talk.fails(GONE)
    waits.fails(LONG, "waiting")
    address = Address("teams", {"conversation": "with somebody"})
    for kind in ("card", "reminder/1"):
        key = key_of(kind, "R-9:1", "teams", "t/left")
        trouble_of(place, key, "R-9:1", "t/left", address, GONE, "failed")
    lena = staff("lena", **look)
    lena.page.goto("/talks/undelivered")
    check(lena.page, picture, "undelivered")
    for label, each in (("line", talk), ("waits", waits)):
        lena.page.goto(f"/talks/{each.id}")
        check(lena.page, picture, label)
