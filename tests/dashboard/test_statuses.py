"""Every page renders in every status for everybody who may look, and says what happened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from adjourn import Adjourn, Context
from tests.dashboard.pages import Browser
from tests.dashboard.site import PEOPLE, Site

pytestmark = pytest.mark.slow

At = Callable[[str], Browser]

TABS = ("conversation", "evidence", "why", "similar", "audit")
WATCHERS = [person.id for person in PEOPLE if person.id != "nobody"]


def as_others_say(text: str, person: str) -> str:
    """A page tells its reader "you", and everybody else a name."""
    names = {each.id: each.name for each in PEOPLE}
    return text.replace("by you", f"by {names[person]}")


def an_open_one(site: Site) -> str:
    return site.ask()


def a_claimed_one(site: Site) -> str:
    id = site.ask()
    site.visitor("omar").open(f"/approvals/{id}").form("claim").send()
    return id


def one_with_a_question(site: Site) -> str:
    id = site.ask()
    site.visitor("omar").open(f"/approvals/{id}").form("ask").fill(question="Which one?").send()
    return id


def a_voted_one(site: Site) -> str:
    id = site.ask(need=2)
    site.visitor("omar").open(f"/approvals/{id}").form("approve").send()
    return id


def an_approved_one(site: Site) -> str:
    id = site.ask()
    site.visitor("omar").open(f"/approvals/{id}").form("approve").send()
    return id


def a_rejected_one(site: Site) -> str:
    id = site.ask()
    page = site.visitor("omar").open(f"/approvals/{id}")
    page.form("reject").fill(comment="Too late.").send()
    return id


def an_expired_one(site: Site) -> str:
    id = site.ask_and_miss(expires="0.001s", due=None)
    site.becomes(id, status="expired")
    return id


def a_cancelled_one(site: Site) -> str:
    id = site.ask()
    site.visitor("grace").open(f"/approvals/{id}").form("cancel").send()
    return id


def a_superseded_one(site: Site) -> str:
    id = site.ask(recheck=True, undo="0s")
    site.visitor("omar").open(f"/approvals/{id}").form("approve").send()
    site.becomes(id, status="superseded")
    return id


def one_whose_case_was_terminated(site: Site) -> str:
    id = site.ask()
    site.run(site.client.terminate(site.row(id).case, "duplicate"))
    site.becomes(id, status="cancelled")
    return id


STATUSES = {
    an_open_one: "Open",
    a_claimed_one: "Claimed by Omar Haddad",
    one_with_a_question: "Omar Haddad asked Sam Ortiz",
    a_voted_one: "1 of 2",
    an_approved_one: "Approved by Omar Haddad",
    a_rejected_one: "Rejected by Omar Haddad",
    an_expired_one: "Nobody decided in time. Nobody said no",
    a_cancelled_one: "Cancelled by Grace Okafor",
    a_superseded_one: "The facts changed before the effect",
    one_whose_case_was_terminated: "Cancelled",
}


ENDED = list(STATUSES)[4:]


@pytest.mark.parametrize("make", STATUSES)
def test_every_page_renders_and_says_what_happened(
    site: Site, at: At, make: Callable[[Site], str]
) -> None:
    id = make(site)
    case = site.row(id).case

    for person in WATCHERS:
        browser = at(person)
        pages = [browser.open(f"/approvals/{id}?tab={tab}") for tab in TABS]
        pages.append(browser.open(f"/?open={id}"))
        pages += [browser.open(f"/?view={view}") for view in ("needs_me", "all", "recent")]
        assert [page.status for page in pages] == [200] * len(pages)
        for page in pages[:6]:
            assert STATUSES[make] in as_others_say(page.main, person)
    for path in (f"/instances/{case}", f"/instances/{id}", "/instances"):
        assert at("ivo").open(path).status == 200


@pytest.mark.parametrize("make", ENDED)
def test_what_has_ended_takes_nothing_more(site: Site, at: At, make: Callable[[Site], str]) -> None:
    id = make(site)

    page = at("lena").open(f"/approvals/{id}")

    assert not any(page.has_button(word) for word in ("approve", "reject", "claim", "ask"))
    answer = at("lena").http.post(
        f"/approvals/{id}/act", data={"do": "reject", "version": "1", "comment": "No."}
    )
    assert answer.status_code == 409 and "Already" in answer.text


def test_a_quarantined_case_says_why_and_that_nothing_is_lost(tmp_path: Path) -> None:
    old = Adjourn()

    @old.orchestrator
    async def shifty(ctx: Context, what: str) -> None:
        await ctx.wait_for_external_event("Go")

    async def begin() -> None:
        async with old.open(tmp_path / "cases.db") as client:
            await client.start("shifty", "x", id="odd-case")

    asyncio.run(begin())
    site = Site(tmp_path / "cases.db")
    try:
        site.run(site.client.raise_event("odd-case", "Go"))
        site.becomes_status("odd-case", "Quarantined")
        grace = site.visitor("grace")
        page = grace.open("/instances/odd-case")
        assert "Quarantined: this code does not fit the history" in page.main
        assert "nothing runs and nothing is lost" in page.main and "look" in page.main
        assert "odd-case" in grace.open("/instances?status=Quarantined").main
    finally:
        site.stop()
