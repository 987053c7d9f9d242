"""The whole story on a company's network, in a real browser: from the token that the first start
prints to somebody who is kept out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from playwright.sync_api import Page, Request, expect

from adjourn.access.sessions import COOKIE
from tests.browser.accessibility import axe
from tests.browser.conftest import Visit, Visitor
from tests.browser.firm import LINK, Firm, a_firm, now
from tests.browser.test_sign_in import OUTSIDE

THEIRS = "^outside: |ERR_FAILED"
"""The provider's own pages load a style sheet from elsewhere, which nobody here lets them."""


@pytest.fixture
def firm(tmp_path: Path) -> Iterator[Firm]:
    with a_firm(tmp_path) as made:
        yield made


def arrive(firm: Firm, visitor: Visit) -> Visitor:
    """Somebody whom nobody knows yet."""
    made = visitor(firm.address)
    made.page.route(OUTSIDE, lambda route: route.abort())
    return made


def prove(somebody: Visitor, account: str, button: str = "Sign in with Example") -> Request:
    """Press the button, go to the provider and come back; what the provider was asked."""
    page = somebody.page
    with somebody.watch.expecting(THEIRS):
        with page.expect_request(re.compile("/oauth2/authorize")) as asked:
            page.get_by_role("button", name=button).click()
        page.get_by_role("button", name=account).click()
        expect(page.locator(".brand")).to_be_visible()
    return asked.value


def approve(page: Page) -> None:
    """A button that has just come takes no press yet."""
    ready = page.locator("body:not(:has(.just-come)) [data-approval], .link-page")
    ready.get_by_role("button", name="Approve").click()


def session_of(somebody: Visitor) -> str:
    found = [each for each in somebody.context.cookies() if each.get("name") == COOKIE]
    return str(found[0].get("value")) if found else ""


def refused(firm: Firm, session: str) -> bool:
    """Whether this session opens nothing any more, neither pages nor the API."""
    cookie = {"cookie": f"{COOKIE}={session}"}
    page = httpx.get(f"{firm.address}/account", headers=cookie)
    api = httpx.get(f"{firm.address}/api/v1/inbox", headers=cookie)
    return (page.status_code, api.status_code) == (303, 401)


def test_the_whole_story(firm: Firm, visitor: Visit) -> None:
    ada = arrive(firm, visitor)
    the_first_administrator(firm, ada)
    ada.page.goto("about:blank")
    a_stranger_stays_outside(arrive(firm, visitor))
    firm.key = firm.operator("keys", "make", "shop", *scopes()).splitlines()[0]

    lena = arrive(firm, visitor)
    a_mail_leads_to_a_decision(firm, lena)
    a_power_cut_loses_nothing(firm, lena)
    a_large_one_asks_for_a_fresh_sign_in(firm, lena)
    a_link_is_used_once(firm, lena)

    signed_out_is_out(firm, lena)
    disabled_is_out_at_once(firm, lena)
    expect_signed_in(ada.page)


def scopes() -> list[str]:
    names = ("instances:start", "instances:read", "approvals:read", "links:make")
    return [word for name in names for word in ("--scope", name)]


def the_first_administrator(firm: Firm, ada: Visitor) -> None:
    """She is in no people file, and comes in to spend the token."""
    page = ada.page
    page.goto("/set-up")
    asked = parse_qs(urlsplit(prove(ada, "ada-1").url).query)
    assert asked["code_challenge_method"] == ["S256"] and asked["code_challenge"][0]
    assert asked["nonce"][0] != asked["state"][0]

    expect(page).to_have_url(f"{firm.address}/set-up")
    page.get_by_label("Set-up token").fill(firm.token())
    page.get_by_role("button", name="Become administrator").click()
    expect(page.locator(".banner")).to_have_text("You are administrator now.")
    expect(page.locator(".record")).to_contain_text("Administrator")

    page.goto("/set-up")
    page.get_by_label("Set-up token").fill(firm.token())
    with ada.watch.expecting("status of 403"):
        page.get_by_role("button", name="Become administrator").click()
        expect(page.locator(".error")).to_contain_text("makes nobody administrator")


def a_stranger_stays_outside(eve: Visitor) -> None:
    """With an administrator the door for whoever holds the token is shut."""
    eve.page.goto("/")
    with eve.watch.expecting("status of 403"):
        prove(eve, "eve-1")
        expect(eve.page.get_by_role("alert")).to_contain_text("Nobody knows you here yet")
        expect(eve.page.locator(".account-word")).to_contain_text("|eve-1")
    assert session_of(eve) == ""


def a_mail_leads_to_a_decision(firm: Firm, lena: Visitor) -> None:
    approval = firm.ask("pay-1", "Amina", "64.50")
    title = "Pay 64.50 EUR to Amina"
    assert firm.told(approval, "approval.opened")["title"] == title
    mail = firm.mail_about(title)
    assert mail.to == "lena@example.com"
    (link,) = LINK.findall(mail.text)

    page = lena.page
    page.goto(link)
    path = f"/approvals/{quote(approval, safe='')}"
    expect(page).to_have_url(f"{firm.address}/sign-in?back={path}")
    prove(lena, "lena-1")
    expect(page).to_have_url(re.compile(f"^{firm.address}/approvals/{approval}$"))
    approve(page)
    expect(page.locator(".banner").first).to_contain_text("Approved by you")

    assert firm.ends("pay-1") == "64.50 EUR went to Amina"
    assert firm.told(approval, "approval.decided")["decided_by"] == ["lena"]


def a_power_cut_loses_nothing(firm: Firm, lena: Visitor) -> None:
    approval = firm.ask("pay-2", "Bruno", "12.00")
    firm.mail_about("to Bruno")
    firm.told(approval, "approval.opened")
    session = session_of(lena)

    with lena.watch.expecting("ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_REFUSED"):
        firm.server.kill()  # under her open page
        firm.server.start()

        lena.page.goto("/")
    expect(lena.page.locator(".who-name")).to_have_text("Lena Fischer")
    assert session_of(lena) == session
    lena.page.locator(".row-link").get_by_text("Pay 12.00 EUR to Bruno").click()
    approve(lena.page)
    assert firm.ends("pay-2") == "12.00 EUR went to Bruno"
    firm.told(approval, "approval.decided")  # all that was to be told has been
    firm.mail_about("to Bruno")
    firm.told(approval, "approval.opened")


def a_large_one_asks_for_a_fresh_sign_in(firm: Firm, lena: Visitor) -> None:
    page = lena.page
    firm.proved("lena-1", now() - timedelta(hours=1))
    page.goto("/account")
    leave(lena)
    prove(lena, "lena-1")
    approval = firm.ask("pay-3", "Chiara", "6400.00", "large_payout")

    page.goto(f"/approvals/{approval}")
    comment = page.get_by_label("Comment · the requester")
    comment.fill("I called her.")
    with lena.watch.expecting("status of 403"):
        approve(page)
        expect(page.get_by_role("alert")).to_contain_text("Sign in again")
    expect(page.locator(".just-come")).to_have_count(0)  # until then it is pale
    assert axe(page) == []
    firm.proved("lena-1", None)
    before = session_of(lena)
    prove(lena, "lena-1", "Sign in again")

    expect(page.get_by_role("alert")).to_contain_text("Nothing has been sent yet")
    expect(comment).to_have_value("I called her.")
    assert session_of(lena) != before and refused(firm, before)
    approve(page)
    assert firm.ends("pay-3") == "6400.00 EUR went to Chiara"


def a_link_is_used_once(firm: Firm, lena: Visitor) -> None:
    approval, page = firm.ask("pay-4", "Dmitri", "8.00"), lena.page
    page.goto("/")
    made = page.evaluate(
        """async path => {
          const headers = {"content-type": "application/json"};
          const body = JSON.stringify({action: "approve"});
          return await (await fetch(path, {method: "POST", headers, body})).json();
        }""",
        f"/api/v1/approvals/{approval}/links",
    )
    page.goto(made["url"])
    expect(page.get_by_role("heading", level=1)).to_have_text("Pay 8.00 EUR to Dmitri")
    assert axe(page) == []
    approve(page)
    expect(page.locator(".banner").first).to_contain_text("Approved by you")
    assert firm.ends("pay-4") == "8.00 EUR went to Dmitri"

    with lena.watch.expecting("status of 410"):
        page.goto(made["url"])
        expect(page.get_by_role("alert")).to_contain_text("no longer good")
        expect(page.locator(".banner").first).to_contain_text("Approved by you")
    assert page.get_by_role("button", name="Approve").count() == 0
    assert axe(page) == []


def leave(somebody: Visitor) -> None:
    """Sign out, here and at the provider."""
    page = somebody.page
    page.locator(".who > summary").click()
    with somebody.watch.expecting(THEIRS):
        page.locator(".who").get_by_role("button", name="Sign out").click()
        page.get_by_role("button", name="End session").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def signed_out_is_out(firm: Firm, lena: Visitor) -> None:
    old = session_of(lena)
    assert not refused(firm, old)
    leave(lena)
    assert session_of(lena) == "" and refused(firm, old)


def disabled_is_out_at_once(firm: Firm, lena: Visitor) -> None:
    prove(lena, "lena-1")
    expect_signed_in(lena.page)
    session = session_of(lena)
    assert "lena" in firm.operator("sessions", "list")

    assert "lena is out" in firm.operator("people", "disable", "lena")

    assert refused(firm, session)
    assert "lena is not signed in" in firm.operator("sessions", "list", "lena")
    lena.page.goto("/account")
    with lena.watch.expecting("status of 403"):
        prove(lena, "lena-1")
        expect(lena.page.get_by_role("alert")).to_contain_text("switched off")


def expect_signed_in(page: Page) -> None:
    page.goto("/account")
    expect(page.get_by_role("heading", name="Where you are signed in")).to_be_visible()
