"""Deciding several at once: of one kind and policy, as they were selected, one decision each."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.dashboard.pages import Browser, Page
from tests.dashboard.site import Site

At = Callable[[str], Browser]


def select(browser: Browser, text: str, do: str = "approve") -> Page:
    """Tick every box of this search, and press the button over the list."""
    page = browser.open(f"/?text={text}&order=oldest")
    boxes = [each["value"] for each in page.root.all("input", type="checkbox", name="item")]
    return page.form(do).tick("item", *boxes).send()


def facts(page: Page) -> dict[str, str]:
    return {each.one("dt").text: each.one("dd").text for each in page.root.all(class_="fact")}


@pytest.mark.slow
def test_it_asks_first_with_total_and_outliers_and_then_decides_each(site: Site, at: At) -> None:
    ids = [site.ask(title=f"Bulk {n}", amount=amount, policy="bulk")
           for n, amount in enumerate(["10.00", "12.00", "50.00"])]  # fmt: skip
    lena = at("lena")

    asked = select(lena, "Bulk")
    assert asked.heading == "Approve 3 at once"
    assert facts(asked) == {"How many": "3", "Total": "€72.00", "Stand out": "1"}
    assert "€50.00 4.2 times the middle one" in asked.main
    assert {site.row(id).status for id in ids} == {"open"}

    done = asked.form("approve").fill(comment="All checked.").send()
    assert done.heading == "3 approved"
    for id in ids:
        row = site.row(id)
        assert (row.status, row.decided_by) == ("approved", ["lena"])
    assert "All checked." in lena.open(f"/approvals/{ids[0]}").main


@pytest.mark.slow
def test_what_changed_since_is_left_out_and_told(site: Site, at: At) -> None:
    stays, moves = site.ask(title="Moving one"), site.ask(title="Moving two")
    lena, omar = at("lena"), at("omar")
    asked = select(lena, "Moving")
    omar.open(f"/approvals/{moves}").form("claim").send()

    done = asked.form("approve").send()

    assert done.heading == "1 approved, 1 left out"
    assert "Moving two It has changed since you selected it." in done.main
    assert site.row(stays).status == "approved" and site.row(moves).status == "claimed"


@pytest.mark.slow
def test_other_kinds_high_risks_and_what_one_may_not_decide_are_left_out(
    site: Site, at: At
) -> None:
    site.ask(title="Mixed a", policy="one")
    site.ask(title="Mixed b", policy="two")
    site.ask(title="Mixed c", policy="one", risk="high")
    gone = site.ask(title="Mixed d", policy="one")
    page = at("lena").open("/?text=Mixed&order=oldest")
    boxes = [each["value"] for each in page.root.all("input", type="checkbox", name="item")]
    at("omar").open(f"/approvals/{gone}").form("approve").send()
    forged = [*boxes, "1@never-was", "x@y", "nonsense"]

    asked = page.form("approve").tick("item", *forged).send()

    assert asked.heading == "Approve 1 at once"
    reasons = [each.text for each in asked.root.one(class_="results").all("small")]
    assert reasons == [
        "It is of another kind or policy than the first one.",
        "High risk is approved one by one.",
        "It has changed since you selected it.",
        "It is not there any more, or you may not see it.",
    ]


@pytest.mark.slow
def test_rejecting_several_needs_one_reason_for_all(site: Site, at: At) -> None:
    ids = [site.ask(title=f"Refused {n}", risk="high") for n in (1, 2)]
    asked = select(at("lena"), "Refused", "reject")

    bare = asked.form("reject").send()
    assert bare.status == 422 and "A rejection needs a reason." in bare.main

    done = bare.form("reject").fill(comment="Not ours.").send()
    assert done.heading == "2 rejected"
    assert [site.row(id).status for id in ids] == ["rejected", "rejected"]


@pytest.mark.slow
def test_sending_it_twice_decides_nothing_twice_and_says_the_same(site: Site, at: At) -> None:
    id = site.ask(title="Twice one")
    form = select(at("lena"), "Twice").form("approve")
    first = form.send()

    again = form.send()

    assert first.heading == again.heading == "1 approved" and site.row(id).version == 2


@pytest.mark.slow
def test_what_became_of_them_has_an_address_that_says_how_they_stand_now(
    site: Site, at: At
) -> None:
    ids = [site.ask(title=f"Reloaded {number}") for number in (1, 2)]
    lena = at("lena")
    done = select(lena, "Reloaded").form("approve").send()

    again = lena.open(done.path)
    assert again.heading == "2 approved" and "left out" not in again.main
    assert again.main.count("Approved by you") == 2

    lena.open(f"/approvals/{ids[0]}").form("undo").send()
    assert lena.open(done.path).heading == "1 approved"
    assert "Reloaded" not in at("nobody").open(done.path).text


@pytest.mark.slow
def test_asking_is_a_page_that_can_be_loaded_again(site: Site, at: At) -> None:
    site.ask(title="Asked twice")
    asked = select(at("lena"), "Asked")

    assert asked.path.startswith("/bulk?") and asked.browser.open(asked.path).text == asked.text


@pytest.mark.slow
def test_an_edited_amount_is_what_is_shown_summed_and_compared(site: Site, at: At) -> None:
    first = site.ask(title="Voted on", amount="600.00", need=2)
    site.ask(title="Voted on", amount="0.10", need=2)
    site.ask(title="Voted on", amount="0.20", need=2)
    omar = at("omar").open(f"/approvals/{first}").form("approve")
    omar.fill(field_amount="0.30").send()

    asked = select(at("lena"), "Voted")

    assert facts(asked) == {"How many": "3", "Total": "€0.60", "Stand out": "None"}
    assert "€0.30" in asked.main and "€600.00" not in asked.main


@pytest.mark.slow
def test_nothing_selected_and_nothing_meant(site: Site, at: At) -> None:
    lena = at("lena")

    assert "Nothing of what you selected" in lena.arrive(lena.http.post("/bulk", data={
        "do": "approve"})).main  # fmt: skip
    assert lena.http.post("/bulk", data={"do": "undo"}).status_code == 422
