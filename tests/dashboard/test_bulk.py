"""Deciding several at once: of one kind and policy, as they were selected, one decision each."""

from __future__ import annotations

from collections.abc import Callable

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


def test_what_changed_since_is_left_out_and_told(site: Site, at: At) -> None:
    stays, moves = site.ask(title="Moving one"), site.ask(title="Moving two")
    lena, omar = at("lena"), at("omar")
    asked = select(lena, "Moving")
    omar.open(f"/approvals/{moves}").form("claim").send()

    done = asked.form("approve").send()

    assert done.heading == "1 approved, 1 left out"
    assert "Moving two It has changed since you selected it." in done.main
    assert site.row(stays).status == "approved" and site.row(moves).status == "claimed"


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


def test_rejecting_several_needs_one_reason_for_all(site: Site, at: At) -> None:
    ids = [site.ask(title=f"Refused {n}", risk="high") for n in (1, 2)]
    asked = select(at("lena"), "Refused", "reject")

    bare = asked.form("reject").send()
    assert bare.status == 422 and "A rejection needs a reason." in bare.main

    done = bare.form("reject").fill(comment="Not ours.").send()
    assert done.heading == "2 rejected"
    assert [site.row(id).status for id in ids] == ["rejected", "rejected"]


def test_sending_it_twice_decides_nothing_twice(site: Site, at: At) -> None:
    id = site.ask(title="Twice one")
    form = select(at("lena"), "Twice").form("approve")
    form.send()

    again = form.send()

    assert again.heading == "0 approved, 1 left out" and site.row(id).version == 2


def test_nothing_selected_and_nothing_meant(site: Site, at: At) -> None:
    lena = at("lena")

    assert "Nothing of what you selected" in lena.arrive(lena.http.post("/bulk", data={
        "do": "approve"})).main  # fmt: skip
    assert lena.http.post("/bulk", data={"do": "undo"}).status_code == 422
