"""Signed links and what guards them, in a real browser that is signed in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from adjourn.access.settings import Access, Proxy
from tests.browser.accessibility import axe
from tests.browser.conftest import Picture, Visit, Visitor
from tests.safety.doors import DoorSite

ACCESS = Access(public_url="http://127.0.0.1:0", proxy=Proxy(trusted=["127.0.0.1"]))


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[DoorSite]:
    made = DoorSite(tmp_path / "cases.db", ACCESS)
    yield made
    made.stop()


def lena_at(doors: DoorSite, visitor: Visit) -> Visitor:
    """Lena, whom a proxy in front has signed in."""
    lena = visitor(doors.address)
    lena.context.set_extra_http_headers({"X-Forwarded-User": "lena"})
    return lena


def link(doors: DoorSite, approval: str, action: str) -> str:
    token, _ = doors.run(doors.links.make("lena", approval, 1, action))  # type: ignore[arg-type]  one of the two
    return f"/links/{token}"


def test_a_link_is_opened_pressed_and_spent(
    doors: DoorSite, visitor: Visit, picture: Picture
) -> None:
    id = doors.ask()
    lena = lena_at(doors, visitor)
    path = link(doors, id, "approve")

    lena.page.goto(path)
    assert doors.row(id).status == "open"
    assert axe(lena.page) == []
    picture(lena.page, "open")
    lena.page.get_by_role("button", name="Approve").click()

    expect(lena.page.get_by_text("Approved by you").first).to_be_visible()
    assert doors.row(id).status == "approved"
    with lena.watch.expecting("410"):
        lena.page.goto(path)
        expect(lena.page.get_by_text("This link is no longer good")).to_be_visible()
    assert axe(lena.page) == []
    picture(lena.page, "spent")


def test_a_rejection_by_link_asks_for_its_reason_first(
    doors: DoorSite, visitor: Visit, picture: Picture
) -> None:
    id = doors.ask()
    lena = lena_at(doors, visitor)

    lena.page.goto(link(doors, id, "reject"))
    lena.page.get_by_role("button", name="Reject").click()  # the browser itself asks for it
    assert doors.row(id).status == "open"
    picture(lena.page, "reject")
    lena.page.get_by_label("Reason").fill("Not owed.")
    lena.page.get_by_role("button", name="Reject").click()

    expect(lena.page.get_by_text("Rejected by you").first).to_be_visible()
    assert doors.row(id).status == "rejected"
