"""The dashboard as people use it: two at once, without scripts, by keys alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.accessibility import axe
from tests.browser.conftest import Serve, Visit, Visitor
from tests.browser.desk import LEDGER, Desk

CONFLICT = r"console: .*status of 409 .*/act"
TABS = ("conversation", "evidence", "why", "similar", "audit")


@pytest.fixture
def desk(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    ledger = tmp_path / "ledger"
    monkeypatch.setenv(LEDGER, str(ledger))
    return Desk(serve("tests.browser.desk:app"), ledger)


def row(page: Page, id: str) -> Locator:
    return page.locator(f'.row[data-id="{id}"]')


def opened(page: Page, id: str) -> Locator:
    """The approval, once it is the one that is open and takes decisions."""
    found = page.locator(f'#panel:not(.just-come) [data-approval="{id}"]')
    expect(found).to_be_visible()
    return page.locator(f'[data-approval="{id}"]')


def open_id(page: Page) -> str:
    """The id of the approval that is open."""
    return page.locator("[data-approval]").get_attribute("data-approval") or ""


def deaf(page: Page) -> None:
    """It is told nothing about the approval that it shows."""
    page.route("**/news?*", lambda route: route.fulfill(status=204))


def button(place: Locator, name: str) -> Locator:
    return place.get_by_role("button", name=name, exact=True)


# Two people at once.


def test_a_claim_shows_in_the_open_inbox_of_another(desk: Desk, visitor: Visit) -> None:
    desk.ask("a")
    lena, omar = visitor(desk.address, "lena"), visitor(desk.address, "omar")
    omar.page.goto("/")
    omar.page.evaluate("window.neverReloaded = true")
    lena.page.goto("/?open=a")

    button(opened(lena.page, "a"), "Claim").click()

    expect(row(omar.page, "a")).to_contain_text("Lena Fischer")
    assert omar.page.evaluate("window.neverReloaded")
    expect(button(opened(lena.page, "a"), "Give back")).to_be_visible()
    assert desk.state("a")["holder"] == "lena"


@pytest.mark.parametrize("path", ["/?open=a", "/approvals/a"])
def test_the_slower_of_two_reads_who_was_first_and_nothing_happens_twice(
    desk: Desk, visitor: Visit, path: str
) -> None:
    desk.ask("a", undo="0s")
    grace, omar = visitor(desk.address, "grace"), visitor(desk.address, "omar")
    deaf(omar.page)  # he is quicker than the news
    for each in (grace, omar):
        each.page.goto(path)
        opened(each.page, "a")

    button(opened(grace.page, "a"), "Approve").click()
    assert desk.ends("a") == "Completed"
    after = desk.state("a")
    with omar.watch.expecting(CONFLICT):
        with omar.page.expect_response("**/act") as answered:
            button(opened(omar.page, "a"), "Approve").click()
        expect(omar.page.get_by_role("alert")).to_contain_text(
            re.compile(r"Already approved by Grace Okafor at .*; nothing changed")
        )

    assert answered.value.status == 409
    assert desk.state("a") == after
    assert desk.paid() == ["A-1 600"]


def test_a_draft_survives_what_others_do_and_is_never_sent_for_what_was_not_seen(
    desk: Desk, visitor: Visit
) -> None:
    desk.ask("a", need=2)
    lena = visitor(desk.address, "lena")
    lena.page.goto("/?open=a")
    shown = opened(lena.page, "a")
    comment, amount = shown.get_by_label("Comment · the requester"), shown.get_by_label("Amount")
    version = shown.locator('form[data-decide] input[name="version"]')
    comment.fill("The photo shows a crack.")
    amount.fill("450")

    desk.act("a", "omar", "comment", text="Seen the photo.")
    desk.act("a", "omar", "approve", changes={"amount": "500"})

    changed = shown.locator("#changed")
    expect(changed).to_contain_text("It has changed since you opened it")
    expect(changed).to_contain_text("Omar Haddad")
    expect(comment).to_have_value("The photo shows a crack.")
    expect(amount).to_have_value("450")
    expect(version).to_have_value("1")

    with lena.watch.expecting(CONFLICT):
        button(shown, "Approve with changes").click()
        alert = lena.page.get_by_role("alert")
        expect(alert).to_contain_text("It has changed since you looked")
        expect(alert).to_contain_text("Omar Haddad")
    expect(comment).to_have_value("The photo shows a crack.")
    expect(amount).to_have_value("450")
    assert [vote["by"] for vote in desk.state("a")["votes"]] == ["omar"]

    button(opened(lena.page, "a"), "Approve with changes").click()  # now it has been seen
    expect(lena.page.locator("#notices")).to_contain_text("Your approval counts, 1 of 2")
    assert desk.state("a")["value"]["amount"] == "450"


def test_a_draft_survives_a_reload(desk: Desk, visitor: Visit) -> None:
    desk.ask("a")
    lena = visitor(desk.address, "lena")
    lena.page.goto("/approvals/a")
    comment = lena.page.get_by_label("Comment · the requester")
    comment.fill("Half a thought")

    lena.page.reload()

    expect(comment).to_have_value("Half a thought")


def test_new_rows_wait_behind_a_bar_and_the_open_one_stays(desk: Desk, visitor: Visit) -> None:
    for id in ("a", "b"):
        desk.ask(id, title=f"Refund {id}")
    lena = visitor(desk.address, "lena")
    lena.page.goto("/?open=b")
    opened(lena.page, "b")
    link = row(lena.page, "b").get_by_role("option")
    link.focus()
    place = link.bounding_box()

    desk.ask("c", title="Refund c", due="1h")  # it would stand before the others

    news = lena.page.locator("#news")
    expect(news).to_have_text("1 new")
    assert link.bounding_box() == place
    expect(lena.page.locator(".row")).to_have_count(2)
    expect(link).to_be_focused()
    expect(link).to_have_attribute("aria-selected", "true")

    news.click()
    expect(lena.page.locator(".row .row-title")).to_have_text(["Refund c", "Refund a", "Refund b"])


# Taking back, and holding.


def test_a_decision_is_taken_back_from_the_bar(desk: Desk, visitor: Visit) -> None:
    desk.ask("a")
    desk.ask("b")
    lena = visitor(desk.address, "lena")
    lena.page.goto("/?open=a")
    button(opened(lena.page, "a"), "Approve").click()
    opened(lena.page, "b")  # the next one
    notice = lena.page.locator("[data-notice=a]")
    expect(notice).to_contain_text("Approved by you")
    assert desk.state("a")["status"] == "approved"

    button(notice, "Undo").click()

    expect(button(opened(lena.page, "a"), "Approve")).to_be_visible()
    assert desk.state("a").get("status", "open") == "open"
    assert desk.paid() == []


def hold_page(desk: Desk, visitor: Visit) -> tuple[Visitor, Locator]:
    """A page with a high risk on it, whose clock moves only when the test says so."""
    desk.ask("a", risk="high")
    lena = visitor(desk.address, "lena")
    lena.page.clock.install(time="2026-01-01T00:00:00Z")
    lena.page.goto("/approvals/a")
    approve = button(opened(lena.page, "a"), "Approve hold")
    approve.scroll_into_view_if_needed()
    lena.page.clock.pause_at("2026-01-01T01:00:00Z")
    return lena, approve


def press(page: Page, target: Locator) -> None:
    box = target.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()


def test_high_risk_is_approved_by_a_long_press_only(desk: Desk, visitor: Visit) -> None:
    lena, approve = hold_page(desk, visitor)
    page, status = lena.page, lena.page.locator("#status")

    press(page, approve)
    page.mouse.up()
    expect(status).to_contain_text("First say why you approve")

    page.get_by_label("Comment · required").fill("Checked with the carrier.")
    press(page, approve)
    expect(approve).to_have_class(re.compile("holding"))
    page.clock.run_for(600)
    page.mouse.up()
    expect(status).to_have_text("Keep holding to approve.")
    page.clock.run_for(5000)
    assert desk.state("a").get("status", "open") == "open"

    press(page, approve)
    with page.expect_response("**/act") as answered:
        page.clock.run_for(700)
    page.mouse.up()
    page.clock.resume()
    expect(page.locator("#panel .banner").first).to_contain_text("Approved by you")
    assert answered.value.status == 200
    assert desk.state("a")["status"] == "approved"


def test_holding_works_by_key_and_rejecting_needs_no_hold(desk: Desk, visitor: Visit) -> None:
    lena, approve = hold_page(desk, visitor)
    page = lena.page
    page.get_by_label("Comment · required").fill("Checked with the carrier.")
    approve.focus()

    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_text("Keep holding to approve.")
    page.keyboard.down("Enter")
    with page.expect_response("**/act"):
        page.clock.run_for(700)
    page.keyboard.up("Enter")
    page.clock.resume()
    expect(page.locator("#panel .banner").first).to_contain_text("Approved by you")

    desk.ask("b", risk="high")
    page.goto("/approvals/b")
    page.get_by_label("Comment · required").fill("The parcel was never sent back.")
    button(opened(page, "b"), "Reject").click()
    expect(page.locator("#panel .banner").first).to_contain_text("Rejected by you")
    assert desk.state("b")["reason"] == "The parcel was never sent back."


# Without scripts, and by keys alone.


def test_everything_that_matters_works_without_scripts(desk: Desk, visitor: Visit) -> None:
    desk.ask("a", title="Refund the lamp")
    desk.ask("b", title="Refund the table")
    desk.ask("c", title="Refund the safe", risk="high")
    lena = visitor(desk.address, java_script_enabled=False)
    page = lena.page
    page.goto("/")
    page.get_by_role("button", name="Lena Fischer").click()
    expect(page.locator(".row")).to_have_count(3)

    page.get_by_role("option", name=re.compile("Refund the lamp")).click()
    lamp = opened(page, "a")
    lamp.get_by_label("Amount").fill("450")
    lamp.get_by_label("Comment · the requester").fill("Half of it was fine.")
    button(lamp, "Approve").click()
    notice = page.locator("[data-notice=a]")
    expect(notice).to_contain_text("Approved by you")
    assert desk.state("a")["status"] == "approved"
    assert desk.state("a")["value"]["amount"] == "450"

    button(notice, "Undo").click()
    assert desk.state("a").get("status", "open") == "open"

    page.goto("/approvals/b")
    with lena.watch.expecting("status of 422"):
        button(opened(page, "b"), "Reject").click()
        expect(page.get_by_role("alert")).to_contain_text("Not sent yet")
    page.get_by_label("Comment · the requester").fill("It was used for a year.")
    button(opened(page, "b"), "Reject").click()
    expect(page.locator("#panel .banner").first).to_contain_text("Rejected by you")
    assert desk.state("b")["reason"] == "It was used for a year."

    page.goto("/approvals/c")
    page.get_by_label("Comment · required").fill("Checked.")
    page.get_by_label("I have checked it").check()
    opened(page, "c").locator('button[value="approve"]').click()
    expect(page.locator("#panel .banner").first).to_contain_text("Approved by you")
    assert desk.state("c")["status"] == "approved"


def test_forms_that_were_sent_too_late_say_so_without_scripts(desk: Desk, visitor: Visit) -> None:
    desk.ask("a")
    omar = visitor(desk.address, "omar", java_script_enabled=False)
    omar.page.goto("/approvals/a")
    omar.page.get_by_label("Comment · the requester").fill("Broken on arrival.")
    desk.act("a", "grace", "approve")

    with omar.watch.expecting(CONFLICT):
        with omar.page.expect_response("**/act") as answered:
            button(opened(omar.page, "a"), "Approve").click()

    assert answered.value.status == 409
    alert = omar.page.get_by_role("alert")
    expect(alert).to_contain_text("Already approved by Grace Okafor")
    expect(alert).to_contain_text("Broken on arrival.")  # what was typed is not lost


def tab_to(page: Page, target: Locator, key: str = "Tab") -> None:
    """Press the key until it has the focus, as somebody without a mouse does."""
    for _ in range(80):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{key} never reached {target}")


def after(page: Page, id: str) -> str:
    """The id that is open, and takes decisions, once this one no longer is."""
    other = f'#panel:not(.just-come) [data-approval]:not([data-approval="{id}"])'
    expect(page.locator(other)).to_be_visible()
    return open_id(page)


def test_ten_are_decided_by_keys_alone(desk: Desk, visitor: Visit) -> None:
    ids = [desk.ask(f"item-{number}", title=f"Refund number {number}") for number in range(10)]
    page = visitor(desk.address, "lena").page
    keys = page.keyboard
    page.goto("/")

    keys.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    keys.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    keys.press("/")
    keys.type("number")
    keys.press("Enter")
    page.wait_for_url("**/?text=number*")
    expect(page.locator(".row")).to_have_count(10)

    links = page.locator(".row-link")
    keys.press("j")
    keys.press("j")
    expect(links.nth(1)).to_be_focused()
    keys.press("k")
    expect(links.nth(0)).to_be_focused()
    first = row_id(page, 0)
    opened(page, first)

    keys.press("a")
    expect(button(opened(page, first), "Approve")).to_be_focused()
    keys.press("Enter")
    second = after(page, first)

    keys.press("r")
    keys.type("Used for a year: jkax?")  # which are no commands here
    keys.press("Tab")
    keys.press("Enter")
    third = after(page, second)

    keys.press("c")
    expect(button(opened(page, third), "Give back")).to_be_visible()
    opened(page, third)
    keys.press("a")
    keys.press("a")
    fourth = after(page, third)

    keys.press("e")
    keys.type("55.50")
    expect(button(opened(page, fourth), "Approve with changes")).to_be_visible()
    keys.press("Escape")
    keys.press("a")
    keys.press("Enter")
    fifth = after(page, fourth)

    keys.press("Enter")
    page.wait_for_url(f"**/approvals/{fifth}*")
    keys.press("a")
    keys.press("Enter")
    expect(page.locator("#panel .banner").first).to_contain_text("Approved by you")
    keys.press("u")
    expect(button(opened(page, fifth), "Approve")).to_be_visible()
    opened(page, fifth)
    keys.press("a")
    keys.press("Enter")
    expect(page.locator("#panel .banner").first).to_contain_text("Approved by you")
    opened(page, fifth)

    tab_to(page, page.locator(".crumbs a").first, "Shift+Tab")
    keys.press("Enter")
    expect(page.locator(".row")).to_have_count(5)
    for number in range(5):
        keys.press("j")
        expect(links.nth(number)).to_be_focused()
        keys.press("x")
        expect(page.locator("#bulk [data-count]")).to_have_text(f"{number + 1} selected")
    tab_to(page, page.locator('#bulk button[value="approve"]'), "Shift+Tab")
    keys.press("Enter")
    tab_to(page, page.get_by_role("button", name="Approve all 5"))
    keys.press("Enter")
    expect(page.get_by_role("heading", name="5 approved")).to_be_visible()

    states = {id: desk.state(id) for id in ids}
    assert states[second]["status"] == "rejected"
    assert states[second]["reason"] == "Used for a year: jkax?"
    assert states[fourth]["value"]["amount"] == "55.50"
    assert sorted(each["status"] for each in states.values()) == ["approved"] * 9 + ["rejected"]


def row_id(page: Page, at: int) -> str:
    return page.locator(".row").nth(at).get_attribute("data-id") or ""


# For everybody.


@pytest.mark.parametrize("width", [1440, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_barrier(desk: Desk, visitor: Visit, scheme: str, width: int) -> None:
    seed_many_states(desk)
    lena = visitor(
        desk.address, "lena", color_scheme=scheme, viewport={"width": width, "height": 900}
    )
    page = lena.page
    found = {}
    paths = [
        "/",
        "/?open=open",
        "/?view=recent",
        "/?view=overdue",
        "/?text=nothing-like-it",
        *(f"/approvals/open?tab={tab}" for tab in TABS),
        "/approvals/asked",
        "/approvals/claimed",
        "/approvals/high",
        "/approvals/done?tab=audit",
        "/instances",
        "/instances/case-done",
        "/people",
        "/help",
    ]
    for path in paths:
        page.goto(path)
        expect(page.locator("main")).to_be_visible()
        found[path] = axe(page)

    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    found["the keys"] = axe(page)
    found["a conflict"] = conflict_of(desk, lena)
    found["a bulk form"] = bulk_of(page)
    with lena.watch.expecting("status of 404"):
        page.goto("/approvals/nowhere")
    found["not found"] = axe(page)

    assert {place: faults for place, faults in found.items() if faults} == {}


def seed_many_states(desk: Desk) -> None:
    for id in ("open", "asked", "claimed", "stale", "one", "two"):
        desk.ask(id, title=f"Refund {id}")
    desk.ask("high", risk="high", need=2)
    desk.ask("done", undo="0s")
    desk.act("open", "omar", "comment", text="I saw the photo.")
    desk.act("asked", "omar", "ask", question="Which lamp?", to="lena")
    desk.act("claimed", "omar", "claim")
    desk.act("done", "lena", "approve", changes={"amount": "550"}, comment="Fine.")
    desk.ends("done")


def conflict_of(desk: Desk, lena: Visitor) -> list[object]:
    page = lena.page
    deaf(page)
    page.goto("/approvals/stale")
    desk.act("stale", "grace", "approve")
    with lena.watch.expecting(CONFLICT):
        button(opened(page, "stale"), "Approve").click()
        expect(page.get_by_role("alert")).to_be_visible()
    return [*axe(page)]


def bulk_of(page: Page) -> list[object]:
    page.goto("/")
    for id in ("one", "two"):
        row(page, id).get_by_role("checkbox").check()
    page.locator('#bulk button[value="reject"]').click()
    expect(page.get_by_role("heading", name="Reject 2 at once")).to_be_visible()
    return [*axe(page)]
