"""The inbox without scripts: views, counts, conditions, paging, the panel beside the list."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.dashboard.pages import Browser, Page
from tests.dashboard.site import Site

At = Callable[[str], Browser]


def titles(page: Page) -> list[str]:
    return [each.text for each in page.root.all(class_="row-title")]


def counts(page: Page) -> dict[str, str]:
    return {each["data-count-of"]: each.text for each in page.root.all(class_="count")
            if each.get("data-count-of")}  # fmt: skip


@pytest.mark.slow
def test_an_empty_inbox_says_so_in_every_view(at: At) -> None:
    lena = at("lena")
    said = {
        view: lena.open(f"/?view={view}")
        .root.one(class_="rows-scroll")
        .one(class_="empty-title")
        .text
        for view in ("needs_me", "unclaimed", "overdue", "waiting", "snoozed", "decided", "recent")
    }

    assert len(set(said.values())) == len(said)
    assert said["needs_me"] == "You are done"
    nothing = lena.open("/?text=zebra")
    assert "Nothing matches" in nothing.text and nothing.follow("Clear the conditions").path == "/"


@pytest.mark.slow
def test_a_row_says_what_matters_and_opens_its_panel_beside_the_list(site: Site, at: At) -> None:
    id = site.ask(title="Refund 21 to Row, order A-1", risk="medium", policy="refund-row")
    page = at("lena").open("/?text=Row")

    (row,) = page.root.all(class_="row")
    assert "Refund 21 to Row, order A-1" in row.text
    for words in ("Medium risk", "Refund", "refund-row", "Sam Ortiz for Ada Lovelace", "in 7 h"):
        assert words in row.text
    link = row.one("a", role="option")
    assert link["aria-selected"] == "false" and row.one("time", data_when="until")["title"]
    assert link["id"] in page.root.one(role="listbox")["aria-owns"].split()

    opened = at("lena").open(link["href"])
    assert opened.root.one("a", role="option")["aria-selected"] == "true"
    assert opened.root.one(class_="title").text == "Refund 21 to Row, order A-1"
    assert opened.root.one("article", class_="approval")["data-approval"] == id


@pytest.mark.slow
def test_each_view_shows_its_rows_and_its_count(site: Site, at: At) -> None:
    mine = site.ask(title="Counted one")
    site.ask(title="Counted two")
    lena, omar, sam = at("lena"), at("omar"), at("sam")
    lena.open(f"/approvals/{mine}").form("claim").send()

    page = lena.open("/?text=Counted")
    assert counts(page)["needs_me"] == "2" and counts(page)["unclaimed"] == "1"
    assert "You" in page.root.all(class_="row-chips")[0].text
    assert titles(lena.open("/?view=unclaimed&text=Counted")) == ["Counted two"]
    assert "Lena Fischer" in omar.open("/?view=all&text=Counted").main
    assert len(titles(sam.open("/?view=waiting&text=Counted"))) == 2
    assert titles(sam.open("/?text=Counted")) == []


@pytest.mark.slow
def test_conditions_narrow_the_list_and_can_be_taken_away_one_by_one(site: Site, at: At) -> None:
    site.ask(title="Narrow small", amount="5.00")
    site.ask(title="Narrow large", amount="500.00", risk="high")
    lena = at("lena")

    page = lena.open("/?text=Narrow&amount_from=100&risk=high&order=amount")
    assert titles(page) == ["Narrow large"]
    assert [each.text for each in page.root.one(class_="conditions").all("a", class_="chip")] == [
        "“Narrow”, remove",
        "Risk: High, remove",
        "At least 100, remove",
    ]
    assert "order=amount" in page.path and page.root.one("select", name="order").all(
        "option", value="amount"
    )[0].attributes.keys() >= {"selected"}
    wider = page.follow("At least 100").follow("Risk: High")
    assert titles(wider) == ["Narrow large", "Narrow small"]


@pytest.mark.slow
def test_the_next_page_follows_and_a_token_that_is_none_begins_again(site: Site, at: At) -> None:
    for number in range(52):
        site.ask(title=f"Many {number:02}", amount="1.00")
    lena = at("lena")

    first = lena.open("/?text=Many&order=oldest")
    second = first.follow("Load more")
    part = lena.part(first.root.one(id="more").one("a")["hx-get"])

    assert len(titles(first)) == 50 and titles(second) == ["Many 50", "Many 51"]
    assert "Many 51" in part.text and "<html" not in part.text
    assert titles(lena.open("/?text=Many&order=oldest&page=zzz")) == titles(first)


def test_filters_and_search_keep_each_other(site: Site, at: At) -> None:
    page = at("lena").open("/?view=all&text=x&kind=Refund&order=risk")

    search, filters = page.root.one("form", class_="search"), page.root.one(class_="filters")
    unseen = {each["name"]: each["value"] for each in search.all("input", type="hidden")}
    assert unseen == {"view": "all", "kind": "Refund"}
    unseen = {each["name"]: each["value"] for each in filters.all("input", type="hidden")}
    assert unseen == {"view": "all", "text": "x", "order": "risk"}


@pytest.mark.slow
def test_live_tells_rows_and_counts_and_304_when_nothing_differs(site: Site, at: At) -> None:
    id = site.ask(title="Lively one")
    lena = at("lena")
    first = lena.http.get("/live?text=Lively")
    again = lena.http.get("/live?text=Lively", headers={"If-None-Match": first.headers["etag"]})

    (row,) = first.json()["rows"]
    assert "Lively one" in row["html"] and first.json()["counts"]["needs_me"] == "1"
    assert again.status_code == 304 and again.content == b""

    lena.open(f"/approvals/{id}").form("claim").send()
    later = lena.http.get("/live?text=Lively", headers={"If-None-Match": first.headers["etag"]})
    assert later.status_code == 200 and later.json()["rows"][0]["mark"] != row["mark"]


@pytest.mark.slow
def test_a_row_that_left_the_view_is_told_as_it_is_now(site: Site, at: At) -> None:
    id = site.ask(title="Leaving one")
    at("omar").open(f"/approvals/{id}").form("approve").send()

    answer = at("lena").http.get(f"/rows/{id}?text=Leaving")

    assert "Approved by Omar Haddad" in answer.text and answer.headers["x-mark"]
    assert "data-mark=" + f'"{answer.headers["x-mark"]}"' in answer.text
