"""People act through forms alone: each flow from the page to the next one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.dashboard.pages import Browser
from tests.dashboard.site import Site

At = Callable[[str], Browser]


@pytest.mark.slow
def test_approve_offers_undo_and_opens_the_next_one(site: Site, at: At) -> None:
    first = site.ask(title="Flow first")
    second = site.ask(title="Flow second")
    lena = at("lena")

    page = lena.open(f"/?text=Flow&order=oldest&open={first}").form("approve").send()

    assert page.status == 200 and site.row(first).status == "approved"
    assert page.root.one("article", class_="approval")["data-approval"] == second
    assert page.root.one(id="status").text == "Approved."
    notice = page.root.one(class_="notice").text
    assert "Approved by you: Flow first" in notice and "It counts in 59 min" in notice

    taken_back = page.form("undo").send()
    assert site.row(first).status == "open"
    assert taken_back.root.one("article", class_="approval")["data-approval"] == first
    assert "Taken back" in taken_back.root.one(id="status").text


@pytest.mark.slow
def test_the_last_one_of_a_view_leaves_a_calm_panel(site: Site, at: At) -> None:
    id = site.ask(title="Lonely one")

    page = at("lena").open(f"/?text=Lonely&open={id}").form("approve").send()

    assert "Nothing else in this view" in page.main


@pytest.mark.slow
def test_approve_with_changes_approves_what_was_typed(site: Site, at: At) -> None:
    id = site.ask(note="old")
    form = at("lena").open(f"/approvals/{id}").form("approve")

    page = form.fill(field_amount="550", field_note="half", field_method="bank").send()

    assert "Approved by you" in page.main
    assert "Amount: 600.00 → 550" in page.main and "Method: card → bank" in page.main
    page = at("ivo").open(f"/approvals/{id}")
    changed = [row.text for row in page.root.one("tbody").all("tr", class_="changed")]
    assert [row.split()[0] for row in changed] == ["Amount", "Note", "Method"]


@pytest.mark.slow
def test_rejecting_takes_one_step_and_a_reason(site: Site, at: At) -> None:
    id = site.ask(risk="high")

    page = at("lena").open(f"/approvals/{id}").form("reject").fill(comment="No receipt.").send()

    assert "Rejected by you" in page.main and "No receipt." in page.main
    assert site.row(id).status == "rejected"


@pytest.mark.slow
def test_high_risk_asks_for_a_comment_and_a_tick(site: Site, at: At) -> None:
    id = site.ask(risk="high")
    form = at("lena").open(f"/approvals/{id}").form("approve")
    box = form.element.one("input", name="confirm")
    assert "required" in box.attributes and "required" in form.element.one("textarea").attributes

    bare = form.send()
    assert bare.status == 422 and site.row(id).status == "open"
    assert "At high risk say why you approve." in bare.main
    assert "Confirm that you have checked it." in bare.main
    assert "confirm" in bare.form("approve").names

    done = bare.form("approve").fill(comment="Checked.").tick("confirm", "yes").send()
    assert site.row(id).status == "approved" and "Checked." in done.main


@pytest.mark.slow
def test_two_must_agree_on_the_same_value(site: Site, at: At) -> None:
    id = site.ask(need=2)
    lena, omar = at("lena"), at("omar")

    page = lena.open(f"/approvals/{id}").form("approve").fill(comment="Fine by me.").send()
    assert "Your approval counts, 1 of 2" in page.root.one(class_="notice").text
    assert not page.has_button("approve") and site.row(id).status == "open"
    assert "You have approved this very value already." in page.main

    page = omar.open(f"/approvals/{id}")
    assert "1 of 2 Lena Fischer" in page.main and "Fine by me." in page.main
    page.form("approve").send()
    assert site.row(id).status == "approved"


@pytest.mark.slow
def test_claim_and_give_back(site: Site, at: At) -> None:
    id = site.ask()
    lena, omar = at("lena"), at("omar")

    page = lena.open(f"/approvals/{id}").form("claim").send()
    assert site.row(id).holder == "lena" and "Claimed: it is yours." in page.text
    assert "Claimed by Lena Fischer" in omar.open(f"/approvals/{id}").main
    assert not omar.open(f"/approvals/{id}").has_button("approve")

    page.form("unclaim").send()
    assert site.row(id).holder == ""


@pytest.mark.slow
def test_a_question_goes_to_the_requester_and_its_answer_comes_back(site: Site, at: At) -> None:
    id = site.ask()
    lena, sam = at("lena"), at("sam")

    page = lena.open(f"/approvals/{id}").form("ask").fill(question="Which lamp?").send()
    assert "Lena Fischer asked Sam Ortiz" in page.main and "Which lamp?" in page.main

    page = sam.open(f"/approvals/{id}").form("answer").fill(text="The green one.").send()
    assert "The green one." in page.main
    assert "Sam Ortiz answered" in lena.open(f"/approvals/{id}").main


@pytest.mark.slow
def test_comment_reassign_snooze_and_cancel(site: Site, at: At) -> None:
    id = site.ask(title="Handed one")
    lena, grace = at("lena"), at("grace")

    page = lena.open(f"/approvals/{id}").form("comment").fill(text="Two\nlines.").send()
    assert "Two lines." in page.main

    page = lena.open(f"/?text=Handed&open={id}")
    snoozed = page.form("snooze").tick("until", "4h").send()
    assert snoozed.root.all(class_="row") == []
    assert "Until" in lena.open("/?view=snoozed&text=Handed").root.one(class_="row-chips").text
    lena.open(f"/approvals/{id}").form("snooze").send()
    assert lena.open("/?view=snoozed&text=Handed").root.all(class_="row") == []

    form = lena.open(f"/approvals/{id}").form("reassign")
    form.fill(to="omar, group:finance", comment="Yours.").send()
    assert site.row(id).to == ["omar", "group:finance"]

    page = grace.open(f"/approvals/{id}").form("cancel").fill(reason="Sold.").send()
    assert site.row(id).status == "cancelled" and "Cancelled by you" in page.main
    assert "Sold." in page.main


def test_what_was_executed_is_shown_apart_from_the_decision(site: Site, at: At) -> None:
    id = site.ask(undo="0s")
    lena = at("lena")
    lena.open(f"/approvals/{id}").form("approve").send()
    site.becomes(id, execution="done")

    page = lena.open(f"/approvals/{id}")
    assert "Approved by you" in page.main
    assert page.root.one(id="execution").text.startswith("Executed The effect was carried out once")
    assert not page.has_button("undo")
    notice = lena.http.get(f"/approvals/{id}/notice")
    assert "Executed" in notice.text and "Undo" not in notice.text


@pytest.mark.slow
def test_an_effect_that_failed_says_so_and_leads_to_its_instance(site: Site, at: At) -> None:
    id = site.ask(undo="0s", case="failing", note="fail")
    lena = at("lena")
    lena.open(f"/approvals/{id}").form("approve").send()
    site.becomes(id, execution="failed")

    page = lena.open(f"/approvals/{id}")
    assert "Execution failed" in page.root.one(id="execution").text
    assert "the bank is closed" in page.follow("See the instance").main


def test_sending_a_form_twice_counts_once(site: Site, at: At) -> None:
    id = site.ask()
    form = at("lena").open(f"/approvals/{id}").form("comment").fill(text="Once.")
    form.send()

    page = form.send()

    assert page.status == 200
    assert page.main.count("Once.") == 1


@pytest.mark.slow
def test_the_script_gets_the_parts_that_change(site: Site, at: At) -> None:
    first, second = site.ask(title="Part one"), site.ask(title="Part two")
    lena = at("lena")
    form = lena.open(f"/?text=Part&order=oldest&open={first}").form("approve")

    answer = lena.http.post(
        form.element["hx-post"],
        data=dict([*form.fields, ("do", "approve")]),
        headers={"HX-Request": "true"},
    )

    assert answer.status_code == 200 and "<html" not in answer.text
    assert f'data-approval="{second}"' in answer.text
    assert '<hx-partial hx-target="#notices"' in answer.text
    assert answer.headers["hx-replace-url"].startswith("/?text=Part&order=oldest&open=")


@pytest.mark.slow
@pytest.mark.parametrize("door", ["page", "api"])
def test_where_nobody_signs_in_whoever_acts_has_just_come(site: Site, at: At, door: str) -> None:
    """What asks for a recent sign-in is approved on this machine as everything else is."""
    id = site.ask(fresh_sign_in="5m", policy=f"fresh-{door}")
    lena = at("lena")

    if door == "page":
        lena.open(f"/approvals/{id}").form("approve").send()
    else:
        action = {"do": "approve", "version": 1}
        answer = lena.http.post(f"/api/v1/approvals/{id}/actions", json=action)
        assert answer.status_code == 200, answer.text

    assert site.row(id).status == "approved"
