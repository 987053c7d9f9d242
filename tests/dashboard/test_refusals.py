"""403, 409, 422, 404: real statuses, in words, with nothing lost of what was typed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.dashboard.pages import Browser
from tests.dashboard.site import Site

At = Callable[[str], Browser]


@pytest.mark.slow
def test_too_late_says_who_when_and_what_was_typed(site: Site, at: At) -> None:
    id = site.ask()
    slow = at("lena").open(f"/approvals/{id}").form("reject").fill(comment="I would say no.")
    at("omar").open(f"/approvals/{id}").form("approve").send()

    page = slow.send()

    assert page.status == 409
    assert "Already approved by Omar Haddad at" in page.main and "nothing changed" in page.main
    assert page.main.count("Omar Haddad") == 2  # why it was refused, and the outcome
    assert "You had written: I would say no." in page.main
    assert site.row(id).decided_by == ["omar"]


@pytest.mark.slow
def test_a_claim_of_somebody_else_is_told_by_name(site: Site, at: At) -> None:
    id = site.ask()
    slow = at("lena").open(f"/approvals/{id}").form("approve")
    at("omar").open(f"/approvals/{id}").form("claim").send()

    page = slow.send()

    assert page.status == 409 and "Claimed by Omar Haddad at" in page.main


@pytest.mark.slow
def test_a_change_since_shows_the_new_version_with_the_draft(site: Site, at: At) -> None:
    id = site.ask(need=2)
    form = at("lena").open(f"/approvals/{id}").form("approve")
    slow = form.fill(field_amount="100", comment="A hundred.")
    at("omar").open(f"/approvals/{id}").form("approve").fill(field_amount="200").send()

    page = slow.send()

    assert page.status == 409
    assert "It has changed since you looked; what you sent was not done" in page.main
    again = page.form("approve")
    assert dict(again.fields)["field.amount"] == "100"
    assert dict(again.fields)["comment"] == "A hundred."
    amount = page.root.one("input", name="field.amount")
    assert amount["data-before"] == "200" and "changed" in page.root.one("tbody").text
    again.fill(field_amount="200").send()
    assert site.row(id).status == "approved"


@pytest.mark.slow
def test_too_late_keeps_edited_values_apart_from_those_that_were_approved(
    site: Site, at: At
) -> None:
    id = site.ask()
    form = at("lena").open(f"/approvals/{id}").form("approve")
    slow = form.fill(field_amount="450", comment="Half.")
    at("omar").open(f"/approvals/{id}").form("approve").fill(field_amount="500").send()

    page = slow.send()

    assert page.status == 409
    kept = page.root.one(class_="trouble").text
    assert "You had written: Half. Amount: 450" in kept and "Copies" not in kept
    approved = page.root.one("tbody").text
    assert "500 changed" in approved and "450" not in approved


@pytest.mark.parametrize(
    ("person", "rule"),
    [
        ("omar", "Nobody decides on their own request."),
        ("ivo", "Only people with the role approver or lead decide."),
    ],
)
def test_who_may_not_is_told_the_rule(site: Site, at: At, person: str, rule: str) -> None:
    id = site.ask(requester="omar")
    fields = dict(at("lena").open(f"/approvals/{id}").form("approve").fields)

    sent = {**fields, "as": person, "do": "approve"}
    answer = at(person).http.post(f"/approvals/{id}/act", data=sent)

    assert answer.status_code == 403
    assert "You may not do this" in answer.text and rule in answer.text.replace("&#39;", "'")
    assert site.row(id).status == "open"


def test_an_outsider_learns_nothing(site: Site, at: At) -> None:
    id = site.ask(title="Secret refund")
    nobody = at("nobody")

    answers = [
        nobody.http.get(f"/approvals/{id}"),
        nobody.http.get(f"/approvals/{id}/panel"),
        nobody.http.get(f"/approvals/{id}/tab?tab=audit"),
        nobody.http.get(f"/approvals/{id}/news?version=1"),
        nobody.http.get(f"/rows/{id}"),
        nobody.http.post(f"/approvals/{id}/act", data={"do": "approve", "version": "1"}),
        nobody.http.get("/approvals/never-was"),
    ]

    assert [each.status_code for each in answers] == [404] * len(answers)
    assert all("Secret" not in each.text for each in answers)
    assert "Secret" not in nobody.http.get(f"/?open={id}").text.replace("Secret refund</span>", "")


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/runtime/nothing", "/api/v1/inbox"])
def test_beside_the_pages_a_wrong_route_of_the_api_is_answered_as_the_api_answers(
    site: Site, at: At, path: str
) -> None:
    answer = at("lena").http.post(path)

    assert (answer.status_code, answer.json()["Message"]) == (404, "There is no such route.")


@pytest.mark.parametrize(
    ("typed", "field", "message"),
    [
        ({"field_amount": "much"}, "amount", "Must be a number, such as 12.50"),
        ({"field_amount": "901"}, "amount", "Must be at most 900"),
        ({"field_copies": "9"}, "copies", "Must be at most 3"),
        ({"field_copies": "1.5"}, "copies", "Must be a whole number"),
    ],
)
def test_a_wrong_value_is_told_at_its_field(
    site: Site, at: At, typed: dict[str, str], field: str, message: str
) -> None:
    id = site.ask()
    form = at("lena").open(f"/approvals/{id}").form("approve").fill(comment="Kept.", **typed)

    page = form.send()

    assert page.status == 422 and site.row(id).version == 1
    control = page.root.one(name=f"field.{field}")
    assert control["aria-invalid"] == "true" and control["value"] == typed[f"field_{field}"]
    told = control["aria-describedby"].split()
    assert [page.root.one(id=each).text for each in told][-1] == message
    assert dict(page.form("approve").fields)["comment"] == "Kept."


@pytest.mark.parametrize(
    ("do", "typed", "message"),
    [
        ("reject", {"comment": "  "}, "A reason must not be empty."),
        ("comment", {"text": " "}, "The text must not be empty."),
        ("ask", {"question": " "}, "The question must not be empty."),
        ("ask", {"question": "Who?", "to": "no body"}, "no person's id"),
        ("reassign", {"to": "sam"}, "names only people who must not decide this"),
    ],
)
def test_what_is_missing_is_told_where_it_is_missing(
    site: Site, at: At, do: str, typed: dict[str, str], message: str
) -> None:
    id = site.ask()

    page = at("lena").open(f"/approvals/{id}").form(do).fill(**typed).send()

    assert page.status == 422 and message in page.main
    assert any(message in each.text for each in page.root.all(class_="error"))
    for name, text in typed.items():
        if text.strip():
            assert dict(page.form(do).fields)[name] == text


@pytest.mark.slow
def test_authority_and_version_come_before_what_is_missing(site: Site, at: At) -> None:
    id = site.ask(risk="high")
    slow = at("lena").open(f"/approvals/{id}").form("approve")
    at("omar").open(f"/approvals/{id}").form("reject").fill(comment="No.").send()

    assert slow.send().status == 409


@pytest.mark.parametrize(
    "fields",
    [
        {"x": "y"},
        {"do": "approve", "version": "x"},
        {"do": "explode", "version": "1"},
        {"do": "approve", "version": "9" * 30, "digest": "0" * 64},
        {"do": "approve", "version": "1", "digest": "0" * 64},
        {"do": "approve", "version": "1", "key": "../../x"},
    ],
)
def test_a_forged_form_changes_nothing(site: Site, at: At, fields: dict[str, str]) -> None:
    id = site.ask()

    answer = at("lena").http.post(f"/approvals/{id}/act", data=fields)

    decided = fields.get("key") is not None  # only its key was strange
    assert answer.status_code == (303 if decided else 409 if "approve" in fields.values() else 422)
    assert (site.row(id).status == "approved") is decided


@pytest.mark.slow
def test_a_body_that_is_no_form_is_refused(site: Site, at: At) -> None:
    path = f"/approvals/{site.ask()}/act"
    http = at("lena").http

    assert http.post(path, json={"do": "approve"}).status_code == 415
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert http.post(path, content=b"do=%ff", headers=kind).status_code == 400
    assert http.post(path, content=b"a&" * 2_000, headers=kind).status_code == 400
    assert http.post(path, content=b"do=" + b"x" * 600_000, headers=kind).status_code == 413


@pytest.mark.slow
def test_a_suspended_approval_says_so(site: Site, at: At) -> None:
    id = site.ask()
    form = at("lena").open(f"/approvals/{id}").form("approve")
    site.run(site.client.suspend(id, "stock-taking"))

    page = form.send()

    assert page.status == 409 and "It cannot be done now" in page.main
    site.run(site.client.resume(id))
