"""The page of one approval: what is shown, and to whom."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.dashboard.pages import Browser, parse
from tests.dashboard.site import PEOPLE, Site

At = Callable[[str], Browser]
ACTIONS = ("approve", "reject", "claim", "unclaim", "ask", "reassign", "snooze", "comment",
           "answer", "cancel", "undo")  # fmt: skip


@pytest.mark.slow
def test_the_header_says_what_happens_and_how_careful_to_be(site: Site, at: At) -> None:
    id = site.ask(risk="high", need=2, policy="refund-two-people")
    page = at("lena").open(f"/approvals/{id}")

    assert page.heading == "Refund 600 to Ada, order A-1042"
    facts = {each.one("dt").text: each.one("dd").text for each in page.root.all(class_="fact")}
    assert facts["Amount"] == "€600.00" and facts["Effect"] == "Irreversible"
    assert facts["Due"].startswith("in 7 h 59 min Expires in 6 d 23 h")
    assert facts["Approvals"] == "0 of 2" and facts["Policy"] == "refund-two-people"
    assert facts["Asked of"] == "The support group"
    assert "High risk" in page.main and "Sam Ortiz for Ada Lovelace" in page.main
    assert page.root.one("title").text == "Refund 600 to Ada, order A-1042 · Adjourn"


@pytest.mark.slow
def test_the_form_shows_the_proposal_beside_what_would_be_approved(site: Site, at: At) -> None:
    page = at("lena").open(f"/approvals/{site.ask(note='As agreed.')}")

    rows = page.root.one(class_="proposal").one("tbody").all("tr")
    assert [row.one("th").text for row in rows] == ["Order", "Amount", "Note", "Method", "Copies"]
    assert "as proposed" in rows[0].text and rows[0].all("input") == []
    heads = [each.text for each in page.root.one(class_="proposal").one("thead").all("th")]
    assert heads == ["Field", "Proposed", "To be approved"]
    looks_on = at("ivo").open(page.path).root.one(class_="proposal")
    assert [each.text for each in looks_on.one("thead").all("th")] == ["Field", "Proposed"]
    assert "as proposed" not in looks_on.text  # it would say nothing
    amount = rows[1].one("input", name="field.amount")
    assert amount["value"] == "600.00" and "0.01 to 900" in rows[1].text
    assert amount["aria-describedby"] == rows[1].one("small", class_="hint")["id"]
    assert rows[1].one("label")["for"] == amount["id"]
    assert [each["value"] for each in rows[3].all("option")] == ["bank", "card"]


@pytest.mark.slow
@pytest.mark.parametrize("person", [person.id for person in PEOPLE])
def test_everybody_sees_only_what_they_may_do(site: Site, at: At, person: str) -> None:
    id = site.ask(case=f"seen-{person}")
    allowed = {
        "lena": {"approve", "reject", "claim", "ask", "reassign", "snooze", "comment"},
        "grace": {"approve", "reject", "claim", "ask", "reassign", "snooze", "comment", "cancel"},
        "sam": {"comment", "cancel"},
        "ivo": {"comment"},
    }
    allowed["omar"] = allowed["lena"]
    page = at(person).open(f"/approvals/{id}")

    if person == "nobody":
        assert page.status == 404 and "Ada" not in page.text
        return
    assert {word for word in ACTIONS if page.has_button(word)} == allowed[person]
    if person in ("sam", "ivo"):
        assert "Only people with the role approver or lead decide." in page.main


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tab", "said"),
    [
        ("conversation", "The lamp is broken."),
        ("evidence", "900.00 EUR"),
        ("evidence", "Written by a model"),
        ("why", "You are in the support group."),
        ("why", "Policy refund-any asks for one."),
        ("why", "Sam Ortiz: nobody decides on their own request."),
        ("why", "After 2 d any lead may decide as well"),
        ("similar", "Another of the kind"),
        ("audit", "Sam Ortiz opened it"),
    ],
)
def test_every_tab_works_as_a_link(site: Site, at: At, tab: str, said: str) -> None:
    site.ask(title="Another of the kind")
    id = site.ask()
    lena = at("lena")

    page = lena.open(f"/approvals/{id}?tab={tab}")
    link = page.root.one("a", data_tab=tab)

    assert said in page.root.one("section", class_="tab").text
    assert link["aria-current"] == "true" and lena.open(link["href"]).status == 200
    assert said in parse(lena.part(link["hx-get"]).text).text
    beside = lena.open(f"/?open={id}&tab={tab}")
    assert said in beside.root.one("section", class_="tab").text


def test_a_first_look_shows_the_conversation(site: Site, at: At) -> None:
    page = at("lena").open(f"/approvals/{site.ask()}?tab=nonsense")

    assert page.root.one("section", class_="tab")["data-tab"] == "conversation"


@pytest.mark.parametrize("person", ["lena", "ivo", "grace"])
def test_who_looks_behind_approvals_exports_the_audit(site: Site, at: At, person: str) -> None:
    id = site.ask()
    browser = at(person)
    page = browser.open(f"/approvals/{id}?tab=audit")

    told = {kind: browser.http.get(f"/approvals/{id}/audit.{kind}") for kind in ("json", "csv")}

    assert len(page.root.all("a", download="")) == 2
    assert told["json"].json()["entries"][0]["what"] == "opened"
    assert told["csv"].text.splitlines()[0].startswith('"number","at","by"')
    for kind, answer in told.items():
        name = f'attachment; filename="audit-{id}.{kind}"'
        assert answer.headers["content-disposition"] == name
    assert page.root.one(class_="audit").all("code")[0]["title"] in told["csv"].text


@pytest.mark.slow
def test_the_requester_sees_the_audit_and_gets_no_export(site: Site, at: At) -> None:
    id = site.ask()
    sam = at("sam")

    page = sam.open(f"/approvals/{id}?tab=audit")
    assert "Sam Ortiz opened it" in page.main and page.root.all("a", download="") == []
    assert sam.http.get(f"/approvals/{id}/audit.json").status_code == 403
    assert at("nobody").http.get(f"/approvals/{id}/audit.csv").status_code == 404


@pytest.mark.slow
def test_news_says_what_changed_since_a_version_and_nothing_before(site: Site, at: At) -> None:
    id = site.ask()
    lena, omar = at("lena"), at("omar")
    version = site.row(id).version
    quiet = lena.http.get(f"/approvals/{id}/news?version={version}").json()
    omar.open(f"/approvals/{id}").form("claim").send()

    told = lena.http.get(f"/approvals/{id}/news?version={version}").json()

    assert quiet == {"changed": "", "execution": "", "over": False}
    assert "Omar Haddad claimed it" in told["changed"]


@pytest.mark.slow
def test_the_panel_and_the_page_link_to_each_other(site: Site, at: At) -> None:
    id = site.ask(title="Linked one")
    lena = at("lena")
    beside = lena.open(f"/?text=Linked&open={id}")

    page = beside.follow("Open page")
    assert page.path == f"/approvals/{id}?text=Linked"
    assert page.root.one(class_="crumbs").all("a")[0]["href"] == "/?text=Linked"
