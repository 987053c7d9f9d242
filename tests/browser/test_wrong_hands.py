"""No decision that nobody meant: double clicks, held keys, sliding off, another person's page."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, Request, expect

from tests.browser.conftest import Visit, Visitor
from tests.browser.desk import Desk
from tests.browser.test_dashboard import CONFLICT, button, desk, hold_page, opened, press, row

__all__ = ["desk"]


def centre(target: Locator) -> tuple[float, float]:
    box = target.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def posts_of(page: Page) -> list[str]:
    """The forms that it sends from now on, as they are sent."""
    sent: list[str] = []

    def hear(request: Request) -> None:
        if request.method == "POST":
            sent.append(request.post_data or "")

    page.on("request", hear)
    return sent


def still_page(desk: Desk, visitor: Visit, path: str) -> Visitor:
    """Lena at a page whose clock moves only when the test says so."""
    lena = visitor(desk.address, "lena")
    lena.page.clock.install(time="2026-01-01T00:00:00Z")
    lena.page.goto(path)
    expect(lena.page.locator("html")).to_have_class("js")
    lena.page.clock.pause_at("2026-01-01T01:00:00Z")
    return lena


def comes(page: Page, id: str) -> Locator:
    """The approval, once an answer has brought it and the script has seen it."""
    found = page.locator(f'[data-approval="{id}"]')
    expect(found).to_be_visible()
    page.clock.run_for(20)
    return found


def settle(page: Page) -> None:
    """Let the moment pass in which a fresh panel takes no decision."""
    page.clock.run_for(600)


def test_the_second_click_of_a_double_click_does_not_decide_the_next_one(
    desk: Desk, visitor: Visit
) -> None:
    for id in ("a", "b"):
        desk.ask(id)
    page = still_page(desk, visitor, "/?open=a").page
    sent = posts_of(page)
    x, y = centre(button(opened(page, "a"), "Approve"))

    page.mouse.click(x, y)
    comes(page, "b")
    page.mouse.click(x, y)  # at once, as one click after another
    page.keyboard.press("a")
    page.keyboard.press("a")
    page.clock.run_for(400)
    page.mouse.click(x, y)
    settle(page)
    page.mouse.move(x, y)
    page.mouse.down(click_count=2)  # late, and yet the second of two
    page.mouse.up(click_count=2)
    assert desk.state("b").get("status", "open") == "open"
    assert len(sent) == 1

    page.mouse.click(x, y)
    expect(page.locator("[data-notice=b]")).to_be_visible()
    assert len(sent) == 2


def test_two_decisions_in_a_row_can_both_be_taken_back(desk: Desk, visitor: Visit) -> None:
    for id in ("a", "b", "c"):
        desk.ask(id)
    page = still_page(desk, visitor, "/?open=a").page
    for id in ("a", "b"):
        settle(page)
        button(opened(page, id), "Approve").click()
        expect(page.locator(f"[data-notice={id}]")).to_be_visible()
        page.clock.run_for(20)
    expect(page.locator("[data-notice]")).to_have_count(2)

    page.keyboard.press("u")
    comes(page, "b")
    expect(page.locator("[data-notice=b]")).to_have_count(0)
    button(page.locator("[data-notice=a]"), "Undo").click()
    comes(page, "a")
    expect(page.locator("[data-notice]")).to_have_count(0)

    for id in ("a", "b"):
        assert desk.state(id).get("status", "open") == "open"


# Who acts.


def switch(visitor: Visitor, name: str) -> None:
    """In another tab of the same browser."""
    other = visitor.context.new_page()
    other.goto("/")
    other.locator(".who > summary").click()
    other.locator(".who").get_by_role("button", name=name).click()
    expect(other.locator(".who summary")).to_have_accessible_name(re.compile(name))


@pytest.mark.parametrize("width", [1280, 360])
def test_a_page_that_was_opened_as_lena_does_not_act_as_omar(
    desk: Desk, visitor: Visit, width: int
) -> None:
    desk.ask("a")
    lena = visitor(desk.address, "lena", viewport={"width": width, "height": 800})
    page = lena.page
    page.goto("/?open=a")
    page.get_by_label("Comment · the requester").fill("I saw the photo.")

    switch(lena, "Omar Haddad")
    expect(page.locator("#person-changed")).to_contain_text("You now act as Omar Haddad")
    with lena.watch.expecting(CONFLICT):
        button(opened(page, "a"), "Approve").click()
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("You now act as Omar Haddad")
    expect(alert).to_contain_text("This page was opened as Lena Fischer")
    expect(alert).to_contain_text("Nothing changed")
    expect(alert).to_contain_text("I saw the photo.")
    assert desk.state("a").get("status", "open") == "open"

    alert.get_by_role("link", name="Look again as Omar Haddad").click()
    expect(page.locator(".who summary")).to_have_accessible_name(re.compile("Omar Haddad"))
    expect(page.get_by_label("Comment · the requester")).to_have_value("I saw the photo.")
    button(opened(page, "a"), "Approve").click()
    expect(page.locator("[data-notice=a]")).to_be_visible()
    assert desk.state("a")["decided_by"] == ["omar"]


def test_what_one_person_typed_is_not_in_the_form_of_another(desk: Desk, visitor: Visit) -> None:
    desk.ask("a")
    lena = visitor(desk.address, "lena")
    lena.page.goto("/approvals/a")
    comment = lena.page.get_by_label("Comment · the requester")
    comment.fill("Lena's own note")

    switch(lena, "Omar Haddad")
    lena.page.reload()
    expect(lena.page.locator(".who-name")).to_have_text("Omar Haddad")
    expect(comment).to_have_value("")

    switch(lena, "Lena Fischer")
    lena.page.reload()
    expect(comment).to_have_value("Lena's own note")


# Holding.


@pytest.mark.parametrize("begins", ["[data-word]", "kbd"])
def test_sliding_off_a_held_button_lets_go_wherever_on_it_the_press_began(
    desk: Desk, visitor: Visit, begins: str
) -> None:
    lena, approve = hold_page(desk, visitor)
    page = lena.page
    page.get_by_label("Comment · required").fill("Checked.")

    press(page, approve.locator(begins))
    expect(approve).to_have_class(re.compile("holding"))
    page.mouse.move(5, 5)  # in one movement
    expect(approve).not_to_have_class(re.compile("holding"))
    page.clock.run_for(5000)

    expect(page.locator("#status")).to_have_text("Keep holding to approve.")
    assert desk.state("a").get("status", "open") == "open"


def test_moving_about_on_a_held_button_does_not_let_go(desk: Desk, visitor: Visit) -> None:
    lena, approve = hold_page(desk, visitor)
    page = lena.page
    page.get_by_label("Comment · required").fill("Checked.")
    x, y = centre(approve)
    box = approve.bounding_box()
    assert box

    page.mouse.move(box["x"] + 4, y)
    page.mouse.down()
    page.mouse.move(x, y, steps=20)
    page.mouse.move(box["x"] + box["width"] - 4, y, steps=20)
    with page.expect_response("**/act") as answered:
        page.clock.run_for(700)
    page.mouse.up()

    assert answered.value.status == 200
    assert desk.state("a")["status"] == "approved"


def test_a_key_that_is_still_down_after_the_hold_opens_nothing(desk: Desk, visitor: Visit) -> None:
    desk.ask("a", risk="high", due="1h")
    desk.ask("b")
    page = still_page(desk, visitor, "/?open=a").page
    page.get_by_label("Comment · required").fill("Checked.")
    button(opened(page, "a"), "Approve hold").focus()

    page.keyboard.down("Enter")
    with page.expect_response("**/act"):
        page.clock.run_for(700)
    comes(page, "b")
    expect(row(page, "b").get_by_role("option")).to_be_focused()
    for _ in range(3):
        page.keyboard.down("Enter")  # it repeats
    page.keyboard.up("Enter")
    page.keyboard.press("Enter")  # a moment too early as well
    expect(page.locator("[data-notice=a]")).to_be_visible()
    assert page.evaluate("location.pathname") == "/"

    settle(page)
    page.keyboard.press("Enter")
    page.wait_for_url("**/approvals/b*")
