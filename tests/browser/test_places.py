"""Nobody loses their place or what they typed: tabs, phones, long lists, keys, dead servers."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect

from adjourn.dashboard.times import ago, until
from tests.browser.conftest import Serve, Visit
from tests.browser.desk import LEDGER, Desk
from tests.browser.test_dashboard import CONFLICT, after, button, deaf, desk, opened, row

__all__ = ["desk"]

PHONE: ViewportSize = {"width": 360, "height": 740}


def many(desk: Desk, count: int) -> list[str]:
    return [desk.ask(f"r-{n:02}", title=f"Refund number {n:02}") for n in range(count)]


def top_of(target: Locator) -> float:
    box = target.bounding_box()
    assert box
    return box["y"]


def scrolled(page: Page) -> float:
    return page.evaluate("scrollY")


def focused(page: Page) -> str:
    """The text of what has the focus."""
    return page.evaluate("document.activeElement.textContent.trim()")


# What was typed.


def test_a_comment_survives_a_look_at_the_evidence(desk: Desk, visitor: Visit) -> None:
    desk.ask("a")
    page = visitor(desk.address, "lena").page
    page.goto("/?open=a")
    shown = opened(page, "a")
    comment = shown.get_by_label("A comment for the other reviewers")
    comment.fill("half a thought")

    shown.get_by_role("link", name="Evidence").click()
    expect(comment).to_have_count(0)
    expect(shown.get_by_role("link", name="Evidence")).to_be_focused()
    shown.get_by_role("link", name="Conversation").click()

    expect(comment).to_have_value("half a thought")


def test_a_wrong_value_has_the_focus(desk: Desk, visitor: Visit) -> None:
    desk.ask("a")
    lena = visitor(desk.address, "lena")
    lena.page.goto("/?open=a")
    amount = opened(lena.page, "a").get_by_label("Amount")
    amount.fill("9999")

    with lena.watch.expecting("status of 422"):
        button(opened(lena.page, "a"), "Approve with changes").click()
        expect(lena.page.get_by_role("alert")).to_contain_text("Not sent yet")

    expect(amount).to_be_focused()


def test_what_can_no_longer_be_sent_is_shown_once_and_not_kept(desk: Desk, visitor: Visit) -> None:
    desk.ask("a")
    lena = visitor(desk.address, "lena")
    deaf(lena.page)
    lena.page.goto("/?open=a")
    opened(lena.page, "a").get_by_label("Comment · the requester").fill("Too late.")
    desk.act("a", "omar", "approve")

    with lena.watch.expecting(CONFLICT):
        button(opened(lena.page, "a"), "Approve").click()
        expect(lena.page.get_by_role("alert")).to_contain_text("Too late.")

    assert lena.page.evaluate("Object.keys(sessionStorage)") == []


def test_another_person_sees_the_approval_that_is_open(desk: Desk, visitor: Visit) -> None:
    desk.ask("a")
    page = visitor(desk.address, "lena").page
    page.goto("/?order=oldest")
    row(page, "a").get_by_role("option").click()
    opened(page, "a")

    page.locator(".who > summary").click()
    page.locator(".who").get_by_role("button", name="Omar Haddad").click()

    expect(page.locator(".who summary")).to_have_accessible_name(re.compile("Omar Haddad"))
    opened(page, "a")


# Who was first.


def test_a_page_is_told_when_it_is_over_and_decides_no_more(desk: Desk, visitor: Visit) -> None:
    desk.ask("a")
    page = visitor(desk.address, "lena").page
    page.goto("/?open=a")
    shown = opened(page, "a")
    shown.get_by_label("Comment · the requester").fill("Still thinking.")

    desk.act("a", "omar", "approve")

    expect(shown.locator("#changed")).to_contain_text("It has ended")
    expect(shown.locator("#changed")).to_contain_text("Omar Haddad")
    expect(shown.locator("#changed time")).not_to_contain_text("UTC")  # as all other times
    expect(button(shown, "Approve")).to_be_disabled()
    expect(button(shown, "Reject")).to_be_disabled()
    expect(shown.get_by_label("Comment · the requester")).to_have_value("Still thinking.")
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    expect(page.locator("#status")).to_have_text("You cannot approve this.")

    desk.act("a", "omar", "undo")
    expect(shown.locator("#changed")).to_contain_text("It has changed")
    expect(button(shown, "Approve")).to_be_enabled()


def test_a_page_of_a_plain_question_is_told_when_it_is_over(desk: Desk, visitor: Visit) -> None:
    desk.ask_plainly("steps", "the list")
    lena, omar = visitor(desk.address, "lena").page, visitor(desk.address, "omar").page
    for page in (lena, omar):
        page.goto("/?open=steps")
    shown = opened(omar, "steps")
    shown.get_by_label("Comment · the workflow").fill("Go on.")

    button(opened(lena, "steps"), "Approve").click()

    expect(shown.locator("#changed")).to_contain_text("in the name of Lena Fischer")
    expect(shown.get_by_role("heading", name="Publish the list?")).to_be_visible()
    expect(button(shown, "Approve")).to_be_disabled()
    button(shown, "Show it as it is").click()
    expect(shown.get_by_role("heading", name="Delete all but the list?")).to_be_visible()
    expect(button(opened(omar, "steps"), "Approve")).to_be_enabled()
    expect(shown.get_by_label("Comment · the workflow")).to_have_value("Go on.")


def test_an_approval_that_one_may_not_see_any_more_says_so(desk: Desk, visitor: Visit) -> None:
    desk.ask("a")
    lena = visitor(desk.address, "lena")
    lena.page.goto("/?open=a")
    shown = opened(lena.page, "a")
    lena.page.route("**/approvals/a/news?*", lambda route: route.fulfill(status=404))

    with lena.watch.expecting("status of 404"):
        desk.act("a", "omar", "comment", text="Something happens.")
        expect(shown.locator("#changed")).to_contain_text("may not see it any more")

    expect(button(shown, "Approve")).to_be_disabled()


# Where one was.


def test_after_load_more_the_next_one_is_the_next_one(desk: Desk, visitor: Visit) -> None:
    many(desk, 54)
    page = visitor(desk.address, "lena").page
    page.goto("/?order=oldest")
    page.get_by_role("link", name="Load more").click()
    expect(page.locator(".row")).to_have_count(54)
    row(page, "r-51").get_by_role("option").click()
    button(opened(page, "r-51"), "Claim").click()
    expect(button(opened(page, "r-51"), "Give back")).to_be_visible()
    desk.act("r-52", "omar", "claim")

    button(opened(page, "r-51"), "Approve").click()

    assert after(page, "r-51") == "r-53"  # the one between is somebody else's by now
    button(opened(page, "r-53"), "Approve").click()
    assert after(page, "r-53") == "r-50"
    expect(row(page, "r-50")).to_be_in_viewport()


def test_selecting_moves_no_row(desk: Desk, visitor: Visit) -> None:
    many(desk, 3)
    page = visitor(desk.address, "lena").page
    page.goto("/")
    box = row(page, "r-01").get_by_role("checkbox")
    before = top_of(box)

    box.check()

    expect(page.locator("#bulk")).to_be_visible()
    assert top_of(box) == before
    assert top_of(page.locator("#bulk")) > top_of(row(page, "r-02"))


def test_looking_through_the_list_leaves_one_step_back(desk: Desk, visitor: Visit) -> None:
    many(desk, 4)
    page = visitor(desk.address, "lena").page
    page.goto("/help")
    page.goto("/?order=oldest")
    before = page.evaluate("history.length")

    for id in ("r-00", "r-01", "r-02"):
        page.keyboard.press("j")
        opened(page, id)

    assert page.evaluate("history.length") == before
    assert "open=r-02" in page.url
    page.go_back()
    page.wait_for_url("**/help")


def test_a_phone_opens_at_the_title_and_goes_back_to_the_place(desk: Desk, visitor: Visit) -> None:
    many(desk, 24)
    page = visitor(desk.address, "lena", viewport=PHONE).page
    page.goto("/?order=oldest")
    link = row(page, "r-20").get_by_role("option")
    link.scroll_into_view_if_needed()
    page.evaluate("window.neverReloaded = true")

    for go_back in (
        lambda: page.get_by_role("link", name="Inbox").last.click(),
        lambda: page.go_back(),
    ):
        before = scrolled(page)
        assert before > 500
        link.click()
        title = opened(page, "r-20").get_by_role("heading", name="Refund number 20")
        expect(title).to_be_in_viewport(ratio=1)
        go_back()
        expect(link).to_be_in_viewport()
        assert scrolled(page) == before
        assert "open=" not in page.url
    assert page.evaluate("window.neverReloaded")


@pytest.mark.parametrize("width", [360, 1280])
def test_a_link_to_nothing_says_so_beside_the_list(desk: Desk, visitor: Visit, width: int) -> None:
    desk.ask("a")
    page = visitor(desk.address, "lena", viewport={"width": width, "height": 740}).page

    page.goto("/?open=never-was")

    told = page.get_by_text("It does not exist, or you may not see it.")
    expect(told).to_be_in_viewport()
    expect(row(page, "a")).to_be_in_viewport()


# Keys and menus.


def test_the_page_of_an_approval_has_keys_to_the_next_and_back(desk: Desk, visitor: Visit) -> None:
    many(desk, 3)
    page = visitor(desk.address, "lena").page
    page.goto("/approvals/r-00?order=oldest")

    page.keyboard.press("j")
    page.wait_for_url("**/approvals/r-01?order=oldest")
    page.keyboard.press("a")
    page.keyboard.press("a")
    expect(page.locator("#panel .banner").first).to_contain_text("Approved by you")
    opened(page, "r-01")
    expect(page.get_by_role("link", name="Next: Refund number 02")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/approvals/r-02?order=oldest")
    page.keyboard.press("j")
    page.wait_for_url("**/approvals/r-00?order=oldest")
    page.keyboard.press("k")
    page.wait_for_url("**/?order=oldest")
    page.keyboard.press("/")
    expect(page.locator(".search input[type=search]")).to_be_focused()
    expect(page.locator("#status")).to_have_text("")
    page.goto("/approvals/r-02")
    page.keyboard.press("/")
    page.wait_for_function("location.pathname === '/'")


def test_escape_gives_the_focus_back(desk: Desk, visitor: Visit) -> None:
    desk.ask("a")
    page = visitor(desk.address, "lena").page
    page.goto("/?open=a")
    opened(page, "a")

    page.keyboard.press("i")
    page.keyboard.type("Which")
    page.keyboard.press("Escape")
    assert focused(page) == "Ask"

    page.keyboard.press("/")
    page.keyboard.press("Escape")
    expect(row(page, "a").get_by_role("option")).to_be_focused()


def test_the_filters_close_as_menus_do_where_they_lie_over_the_page(
    desk: Desk, visitor: Visit
) -> None:
    desk.ask("a")
    page = visitor(desk.address, "lena", viewport={"width": 1024, "height": 740}).page
    page.goto("/?open=a")
    filters = page.locator("[data-filters]")
    field = filters.get_by_label("Kind")

    filters.locator("summary").click()
    expect(field).to_be_visible()
    field.focus()
    page.keyboard.press("Escape")
    expect(field).to_be_hidden()
    expect(filters.locator("summary")).to_be_focused()

    filters.locator("summary").click()
    expect(field).to_be_visible()
    page.get_by_role("heading", name="Refund 600").click()
    expect(field).to_be_hidden()

    page.set_viewport_size(PHONE)
    page.goto("/")
    filters.locator("summary").click()
    page.locator(".who > summary").click()
    page.locator(".who").get_by_role("button", name="Omar Haddad").click()
    expect(page.locator(".who summary")).to_have_attribute(
        "aria-label", "Acting as Omar Haddad. Act as somebody else"
    )


@pytest.mark.parametrize("scripts", [True, False])
def test_on_a_phone_a_card_can_be_closed_by_what_opened_it(
    desk: Desk, visitor: Visit, scripts: bool
) -> None:
    desk.ask("a")
    page = visitor(desk.address, "lena", viewport=PHONE, java_script_enabled=scripts).page
    page.goto("/?open=a")
    shown = opened(page, "a")
    for name, label in (("Ask", "What do you need to know?"), ("Reassign", "Why (optional)")):
        switch = shown.locator("summary", has_text=name)
        switch.click()
        field = shown.get_by_label(label)
        expect(field).to_be_in_viewport(ratio=1)
        expect(shown.locator(".card-title", has_text=name)).to_be_in_viewport(ratio=1)
        switch.click()
        expect(field).to_be_hidden()


# Times.

SPANS = [1, 59, 60, 90, 3_599, 3_600, 3_660, 35_000, 36_000, 86_399, 86_400, 90_000, 900_000]


def test_the_script_tells_times_as_the_server_does(desk: Desk, visitor: Visit) -> None:
    now = datetime(2026, 3, 4, 12, tzinfo=UTC)
    page = visitor(desk.address, "lena").page
    page.clock.install(time=now)
    page.goto("/help")
    expect(page.locator("html")).to_have_class("js")
    page.clock.pause_at(now + timedelta(hours=1))
    now += timedelta(hours=1, seconds=20)
    wanted: list[str] = []
    for seconds in SPANS:
        for when in (until(now + timedelta(seconds=seconds), now),
                     until(now - timedelta(seconds=seconds), now),
                     ago(now - timedelta(seconds=seconds), now)):  # fmt: skip
            wanted.append(when.text)
            page.evaluate(
                """([iso, direction]) => {
                    const time = document.createElement("time");
                    [time.dateTime, time.dataset.when] = [iso, direction];
                    document.querySelector("main").append(time);
                }""",
                [when.iso, when.direction],
            )

    page.clock.run_for(20_000)  # the script looks at all times now and then

    assert page.locator("main time").all_text_contents() == wanted


# The server.


def test_a_server_that_is_gone_is_told_soon(
    serve: Serve, visitor: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LEDGER, str(tmp_path / "ledger"))
    server = serve("tests.browser.desk:app")
    Desk(server, tmp_path / "ledger").ask("a")
    lena = visitor(server.address, "lena")
    lena.page.clock.install()
    heard = lena.page.expect_event("requestfinished", lambda each: "/live?" in each.url)
    with heard:  # it listens, and has heard something
        lena.page.goto("/")
    expect(lena.page.locator("#offline")).to_be_hidden()
    with lena.watch.expecting("console: .*ERR_"):
        server.kill()
        lena.page.clock.fast_forward(8_000)
        expect(lena.page.locator("#offline")).to_contain_text("Not live")
        server.start()
        lena.page.clock.fast_forward(8_000)
        expect(lena.page.locator("#offline")).to_be_hidden()
