"""The operator's view: instances, their timeline, what is wrong, and the plain form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dashboard.pages import Browser, Page
from tests.dashboard.site import Site

At = Callable[[str], Browser]


def start_plain(site: Site, id: str) -> None:
    site.run(site.client.start("plain", {"customer": "ada", "amount": 12}, id=id))

    async def waits() -> None:
        while not (await site.client.get(id)).waiting_for:
            pass

    site.run(waits())


def lines(page: Page) -> list[str]:
    return [each.text for each in page.root.one(class_="timeline").all("li")]


@pytest.mark.slow
def test_a_waiting_case_says_for_whom_and_leads_there(site: Site, at: At) -> None:
    id = site.ask(case="waiting-case")
    lena = at("lena")

    page = lena.open("/instances?prefix=waiting")
    assert [each.text for each in page.root.one("tbody").all("a")] == [id, "waiting-case"]
    page = lena.open("/instances/waiting-case")

    assert page.heading == "waiting-case" and "Running" in page.main
    assert "Asks for an approval" in " ".join(lines(page))
    facts = {each.one("dt").text: each.one("dd").text for each in page.root.all(class_="fact")}
    assert facts["Waits for"].startswith("people's approval for")
    assert page.follow("people's approval").path == f"/approvals/{id}"


@pytest.mark.slow
def test_the_list_is_filtered_by_status_and_pages_on(site: Site, at: At) -> None:
    site.run(site.client.start("broken", "it broke", id="broken-1"))
    site.becomes_status("broken-1", "Failed")
    lena = at("lena")

    page = lena.open("/instances?status=Failed")
    assert "broken-1" in page.main and "it broke" in page.main
    assert "broken-1" not in lena.open("/instances?status=Running").main
    assert "No instance has this status and id." in lena.open("/instances?prefix=zebra").main
    assert "broken-1" in lena.open("/instances?status=odd&page=odd").main
    failed = lena.open("/instances/broken-1")
    assert "NonRetryableError: it broke" in failed.main and "Failed" in lines(failed)[-1]


@pytest.mark.slow
def test_viewers_do_not_look_behind_approvals(site: Site, at: At) -> None:
    site.ask(case="hidden-case")

    for path in ("/instances", "/instances/hidden-case"):
        page = at("sam").open(path)
        assert page.status == 403 and "hidden-case" not in page.main
    assert at("ivo").open("/instances/hidden-case").status == 200
    assert at("ivo").open("/instances/never-was").status == 404


def test_the_plain_form_shows_what_is_known_and_takes_a_decision(site: Site, at: At) -> None:
    start_plain(site, "plain-1")
    lena = at("lena")

    page = lena.open("/approvals/plain-1")
    assert page.heading == "plain plain-1" and "Amount 12 Customer ada" in page.main
    assert "waits for the event Approval" in page.main

    page.form("approve").fill(comment="Fine.").send()
    result = site.run(site.client.result("plain-1"))
    assert result == {"approved": True, "by": "lena", "comment": "Fine."}
    ended = lena.open("/approvals/plain-1")
    assert "It waits for no approval now" in ended.main and not ended.has_button("approve")


@pytest.mark.slow
def test_rejecting_the_plain_form_needs_a_reason(site: Site, at: At) -> None:
    start_plain(site, "plain-2")
    page = at("lena").open("/approvals/plain-2")

    bare = page.form("reject").send()
    assert bare.status == 422 and "A rejection needs a reason." in bare.main
    bare.form("reject").fill(comment="No.").send()

    assert site.run(site.client.result("plain-2"))["approved"] is False


@pytest.mark.slow
def test_only_approvers_decide_the_plain_form(site: Site, at: At) -> None:
    start_plain(site, "plain-3")

    assert not at("ivo").open("/approvals/plain-3").has_button("approve")
    assert at("sam").open("/approvals/plain-3").status == 404
    answer = at("ivo").http.post(
        "/approvals/plain-3/act", data={"do": "approve", "event": "yes", "key": "k" * 32}
    )
    assert answer.status_code == 403
    assert not site.run(site.client.get("plain-3")).status.finished


def start_two_steps(site: Site, id: str) -> None:
    site.run(site.client.start("two_steps", "the list", id=id))
    while site.run(site.client.get(id)).waiting_for == []:
        pass


@pytest.mark.slow
def test_a_plain_question_that_is_over_takes_no_answer_for_the_next_one(site: Site, at: At) -> None:
    start_two_steps(site, "steps-1")
    lena, omar = at("lena"), at("omar")
    slow = omar.open("/approvals/steps-1").form("approve").fill(comment="Go on.")
    lena.open("/approvals/steps-1").form("approve").send()

    page = slow.send()

    assert page.status == 409 and page.heading == "Delete all but the list?"
    assert "That question has been answered or is over; nothing changed" in page.main
    assert "It was approved in the name of Lena Fischer" in page.main
    assert dict(page.form("approve").fields)["comment"] == "Go on."
    page.form("reject").fill(comment="Never.").send()
    assert site.run(site.client.result("steps-1")) == [
        {"approved": True, "by": "lena", "comment": ""},
        {"approved": False, "by": "omar", "comment": "Never."},
    ]
    late = slow.send()
    assert late.status == 409 and "You had written: Go on." in late.main


@pytest.mark.slow
def test_a_page_of_a_plain_question_is_told_when_it_is_over(site: Site, at: At) -> None:
    start_two_steps(site, "steps-2")
    omar = at("omar")
    page = omar.open("/approvals/steps-2")
    shown = page.root.one("article")["data-version"]
    news = f"/approvals/steps-2/news?version={shown}"
    assert omar.http.get(news).json() == {"changed": "", "execution": "", "over": False}

    at("lena").open("/approvals/steps-2").form("reject").fill(comment="No.").send()

    told = omar.http.get(news).json()
    assert told["over"] and "It has ended" in told["changed"]
    assert "It was rejected in the name of Lena Fischer" in told["changed"]
    assert "It waits for another answer now." in told["changed"]
    assert at("sam").http.get(news).status_code == 404


@pytest.mark.slow
def test_a_plain_form_waits_in_the_inbox_too(site: Site, at: At) -> None:
    start_plain(site, "plain-4")

    page = at("lena").open("/?view=all&text=plain-4")

    (row,) = page.root.all(class_="row")
    assert "plain-4" in row.text and row.all("input") == []
    assert "Waits for an event" in page.browser.open(row.one("a")["href"]).main


@pytest.mark.slow
def test_settling_is_for_leads_and_says_how_they_know(site: Site, at: At, tmp_path: Path) -> None:
    id = site.ask(case="settled-case")
    form = {"sequence": "1", "outcome": "completed", "reason": "The bank's page shows it."}

    assert at("lena").http.post("/instances/settled-case/settle", data=form).status_code == 403
    grace = at("grace")
    assert grace.http.post("/instances/settled-case/settle", data=form).status_code == 409
    missing = {**form, "reason": " "}
    assert grace.http.post("/instances/settled-case/settle", data=missing).status_code == 422
    assert site.row(id).status == "open"
