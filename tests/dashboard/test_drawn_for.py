"""A page that was drawn for one person does nothing for another."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.dashboard.pages import Browser, Form
from tests.dashboard.site import Site

At = Callable[[str], Browser]


def become(browser: Browser, person: str) -> None:
    """In another tab: the switch of this machine."""
    browser.http.post("/people/switch", data={"person": person, "back": "/"})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("do", "typed"),
    [
        ("approve", {"comment": "Fine."}),
        ("reject", {"comment": "Not fine."}),
        ("claim", {}),
        ("comment", {"text": "Half a thought."}),
        ("ask", {"question": "Which lamp?"}),
        ("reassign", {"to": "grace", "comment": "Yours."}),
        ("snooze", {}),
    ],
)
def test_what_one_person_opened_is_not_done_in_the_name_of_another(
    site: Site, at: At, do: str, typed: dict[str, str]
) -> None:
    id = site.ask()
    lena = at("lena")
    form = lena.open(f"/approvals/{id}").form(do).fill(**typed)
    become(lena, "omar")

    page = form.send()

    assert (page.status, page.heading) == (409, "You now act as Omar Haddad")
    assert "This page was opened as Lena Fischer. Nothing changed." in page.main
    for text in (typed.get("comment"), typed.get("text"), typed.get("question")):
        assert text is None or f"You had written: {text}" in page.main
    again = page.follow("Look again as Omar Haddad")
    assert (again.path, site.row(id).version) == (f"/approvals/{id}", 1)
    assert "Omar Haddad" in again.root.one(class_="who").text


@pytest.mark.slow
def test_who_a_form_names_is_never_who_acts(site: Site, at: At) -> None:
    id = site.ask()
    form = at("lena").open(f"/approvals/{id}").form("approve")
    forged = Form(form.page, form.element, "approve").fill(**{"as": "grace"})

    assert forged.send().status == 409 and site.row(id).status == "open"
    form.send()
    assert site.row(id).decided_by == ["lena"]


@pytest.mark.slow
def test_several_are_not_decided_in_the_name_of_another(site: Site, at: At) -> None:
    ids = [site.ask(title=f"Swapped {number}") for number in (1, 2)]
    lena = at("lena")
    page = lena.open("/?text=Swapped")
    boxes = [each["value"] for each in page.root.all("input", type="checkbox", name="item")]
    asked = page.form("approve").tick("item", *boxes).send()
    become(lena, "omar")

    refused = asked.form("approve").fill(comment="All fine.").send()

    assert refused.status == 409 and "You had written: All fine." in refused.main
    assert {site.row(id).status for id in ids} == {"open"}
    assert refused.follow("Look again").heading == "Approve 2 at once"
