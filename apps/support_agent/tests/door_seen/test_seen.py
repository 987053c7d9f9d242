"""A customer comes in from the shop, and leaves, in a real browser."""

from contextlib import suppress
from typing import Any

import pytest
from playwright.sync_api import Error, Request, expect

from apps.support_agent.tests.door.house import House
from apps.support_agent.tests.web.place import AMINA
from support_agent.web import cookies
from support_agent.web.door import settings_of
from tests.browser.accessibility import axe
from tests.browser.conftest import Picture, Visit

pytestmark = [pytest.mark.slow, pytest.mark.browser]

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 800}},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}},
    "phone-dark": {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"},
}


@pytest.mark.parametrize("scripts", [True, False])
def test_in_and_out_and_the_ticket_stays_where_it_was(
    house: House, visitor: Visit, scripts: bool
) -> None:
    came = visitor(house.address, java_script_enabled=scripts)
    page = came.page
    ticket = house.ticket(house.email(AMINA))
    asked: list[Request] = []
    page.on("request", lambda each: asked.append(each))

    page.goto(f"/chat/enter?ticket={ticket}")
    page.get_by_role("button", name="Go on as Amina Diallo").click()
    expect(
        page.get_by_text("Hello Amina Diallo").or_(page.locator("[data-talk]")).first
    ).to_be_visible()

    [sent] = [each for each in asked if each.method == "POST"]
    assert sent.all_headers()["origin"] == house.address
    assert not any(ticket in each.all_headers().get("referer", "") for each in asked)
    assert not any(ticket in each.url for each in asked[1:])
    [cookie] = [each for each in came.context.cookies() if each.get("name") == cookies.SESSION]
    flags = (cookie.get("secure"), cookie.get("httpOnly"), cookie.get("path"))
    assert flags == (True, True, "/")

    page.locator("summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in at the shop")).to_be_visible()
    assert [each for each in came.context.cookies() if each.get("name") == cookies.SESSION] == []
    page.go_back()
    page.reload()
    expect(page.get_by_role("heading", name="Sign in at the shop")).to_be_visible()


def test_a_page_that_is_open_is_left_when_the_session_ends(house: House, visitor: Visit) -> None:
    came = visitor(house.address)
    page = came.page
    talk_id = house.begin_silent(AMINA)
    house.line(talk_id, "agent", "What can I do for you?")
    page.goto(f"/chat/enter?ticket={house.ticket(house.email(AMINA))}")
    page.get_by_role("button").last.click()
    page.goto(f"/chat/talks/{talk_id}")
    page.get_by_role("textbox").fill("What I was writing")

    with came.watch.expecting("status of"):
        house.clock.advance(hours=13)
        with suppress(Error):  # the page may have left by itself before anything is sent
            page.get_by_role("textbox").press("Enter", timeout=2_000)
        expect(page.get_by_role("heading", name="Sign in at the shop")).to_be_visible()


@pytest.mark.parametrize("look", LOOKS)
def test_what_the_pages_look_like(
    house: House, visitor: Visit, picture: Picture, look: str
) -> None:
    came = visitor(house.address, **LOOKS[look])
    page = came.page

    def seen(label: str) -> None:
        picture(page, f"{look}-{label}")
        assert axe(page) == []
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0

    page.goto(f"/chat/enter?ticket={house.ticket(house.email(AMINA))}")
    seen("enter")
    page.goto("/chat/enter")
    seen("no-ticket")
    with came.watch.expecting("status of"):
        page.goto("/chat/enter?ticket=x.y.z")
        seen("refused")
    before = house.door.settings
    house.door.settings = settings_of({}, "")
    try:
        with came.watch.expecting("status of"):
            page.goto("/chat/")
            seen("shut")
    finally:
        house.door.settings = before
