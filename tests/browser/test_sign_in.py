"""Sign-in in a real browser, with providers on another site: cookies, redirects and the content
security policy as Chromium takes them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.access.provider import DISCOVERY, Handler
from tests.browser.accessibility import axe
from tests.browser.conftest import Picture, Visit, Visitor
from tests.dashboard.signed import SESSION, SIGNING_IN, SignedSite, signed_site

OUTSIDE = re.compile(r"^https?://(?!localhost|127\.0\.0\.1)")
WIDTHS = {"wide": {"width": 1280, "height": 800}, "narrow": {"width": 360, "height": 740}}


@pytest.fixture
def one(tmp_path: Path) -> Iterator[SignedSite]:
    """At `localhost`, with the provider at 127.0.0.1: for a browser these are two sites."""
    with signed_site(tmp_path, host="localhost") as made:
        made.provider.who = ""
        made.provider.people = {
            "ada": {"name": "Ada"},
            "omar": {"name": "Omar"},
            "eve": {"name": "Eve"},
        }
        yield made


def sign_in(page: Page, who: str = "ada", back: str = "/account") -> None:
    page.goto(back)
    page.get_by_role("button", name="Sign in with Example").click()
    page.get_by_role("button", name=who).click()


def lena_in(one: SignedSite, visitor: Visit, **options: Any) -> Visitor:
    lena = visitor(one.address, **options)
    sign_in(lena.page)
    expect(lena.page.get_by_role("heading", level=1)).to_contain_text("Lena Fischer")
    return lena


def cookie(visitor: Visitor, name: str) -> dict[str, Any]:
    found: list[Any] = [each for each in visitor.context.cookies() if each["name"] == name]
    return dict(found[0]) if found else {}


def put_back(visitor: Visitor, old: dict[str, Any]) -> None:
    """As somebody with their hands in the browser; a page cannot."""
    planted: Any = {"name": SESSION, "value": old["value"], "url": "https://localhost/"}
    visitor.context.add_cookies([{**planted, "secure": True, "httpOnly": True}])
    assert cookie(visitor, SESSION)["value"] == old["value"]


def leave(page: Page) -> None:
    page.locator(".who > summary").click()
    page.locator(".who").get_by_role("button", name="Sign out").click()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_person_signs_in_and_goes_on_where_they_were(
    one: SignedSite, visitor: Visit, scripts: bool
) -> None:
    id = one.site.ask()
    lena = visitor(one.address, java_script_enabled=scripts)
    page = lena.page

    page.goto(f"/approvals/{id}?tab=why")
    where = f"/approvals/{id}?tab=why"
    expect(page).to_have_url(f"{one.address}/sign-in?back={quote(where)}")
    page.get_by_role("button", name="Sign in with Example").click()
    expect(page.get_by_role("heading", name="Who are you?")).to_be_visible()
    assert page.url.startswith(one.provider.issuer)
    page.get_by_role("button", name="ada").click()

    expect(page).to_have_url(f"{one.address}/approvals/{id}?tab=why")
    expect(page.locator(".who-name")).to_have_text("Lena Fischer")
    kept = cookie(lena, SESSION)
    assert kept["secure"] and kept["httpOnly"] and kept["sameSite"] == "Lax"
    assert (kept["path"], kept["domain"]) == ("/", "localhost")
    assert cookie(lena, SIGNING_IN) == {}
    assert one.provider.forms[-1]["code_verifier"]  # and the provider has checked it


def test_both_names_of_this_machine_take_the_cookies(tmp_path: Path, visitor: Visit) -> None:
    with signed_site(tmp_path, host="127.0.0.1") as one:
        one.provider.who = ""
        one.provider.people = {"ada": {}}
        lena_in(one, visitor)


@pytest.fixture(scope="module")
def mock() -> Iterator[str]:
    """A provider that others keep."""
    with warnings.catch_warnings():  # it uses a part of authlib that will go
        warnings.simplefilter("ignore")
        from oidc_provider_mock import User, run_server_in_thread

        user = User(sub="ada", claims={"name": "Ada", "email": "lena@example.com"})
        with run_server_in_thread(user_claims=(user,)) as server:
            yield f"http://localhost:{server.server_port}"


def test_a_provider_that_others_keep_signs_in_and_out(
    tmp_path: Path, visitor: Visit, mock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIENT_SECRET", "it takes any")
    with signed_site(tmp_path, issuer=mock, host="127.0.0.1") as one:
        lena = visitor(one.address)
        page = lena.page
        # Its own pages load a style sheet from elsewhere, which is none of our business.
        page.route(OUTSIDE, lambda route: route.abort())
        page.goto("/account")
        page.get_by_role("button", name="Sign in with Example").click()
        page.get_by_role("button", name="ada").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Lena Fischer")
        old = cookie(lena, SESSION)

        leave(page)
        expect(page.get_by_role("heading", name="End Session")).to_be_visible()
        assert cookie(lena, SESSION) == {}  # over here, whatever becomes of it there
        page.get_by_role("button", name="End session").click()

        expect(page).to_have_url(f"{one.address}/sign-in")
        put_back(lena, old)
        page.goto("/account")
        expect(page).to_have_url(f"{one.address}/sign-in?back=/account")
        lena.watch.faults.clear()  # of its pages


def test_signing_out_ends_it_here_and_there(one: SignedSite, visitor: Visit) -> None:
    lena = lena_in(one, visitor)
    old = cookie(lena, SESSION)

    leave(lena.page)

    expect(lena.page).to_have_url(f"{one.address}/sign-in")
    assert one.provider.ended[-1]["id_token_hint"].count(".") == 2
    put_back(lena, old)
    lena.page.goto("/account")
    expect(lena.page).to_have_url(f"{one.address}/sign-in?back=/account")


def test_a_disabled_person_is_out_at_the_next_click(one: SignedSite, visitor: Visit) -> None:
    lena = lena_in(one, visitor)
    page = lena.page
    one.site.run(one.door.directory.disable("lena"))

    page.get_by_role("link", name="Inbox").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_role("button", name="Sign in with Example").click()
    with lena.watch.expecting("status of 403"):
        page.get_by_role("button", name="ada").click()
        expect(page.get_by_role("alert")).to_contain_text("switched off")


def test_a_planted_cookie_is_not_the_session_that_is_signed_in(
    one: SignedSite, visitor: Visit
) -> None:
    lena, eve = visitor(one.address), visitor(one.address)
    for each in (lena, eve):
        put_back(each, {"value": "A" * 43})

    sign_in(lena.page)
    expect(lena.page.get_by_role("heading", level=1)).to_contain_text("Lena Fischer")

    assert cookie(lena, SESSION)["value"] != "A" * 43
    eve.page.goto("/account")
    expect(eve.page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_somebody_elses_callback_signs_nobody_in(one: SignedSite, visitor: Visit) -> None:
    lena, eve = lena_in(one, visitor), visitor(one.address)
    stolen: list[str] = []

    def steal(http: Handler) -> None:
        """What the provider would answer Eve's browser, kept by Eve."""
        stolen.append(one.provider.grant(http.words, "eve"))
        http.say(204, b"")

    one.provider.answers["/authorize"] = steal
    eve.page.goto("/sign-in")
    with eve.page.expect_request(re.compile("/authorize")):
        eve.page.get_by_role("button", name="Sign in with Example").click()
    expect(eve.page.get_by_role("heading", name="On to Example")).to_be_visible()
    one.provider.answers.clear()

    with lena.watch.expecting("status of 400"):
        lena.page.goto(stolen[0])
        expect(lena.page.get_by_role("alert")).to_contain_text("not begun in this browser")
    lena.page.goto("/account")

    expect(lena.page.get_by_role("heading", level=1)).to_contain_text("Lena Fischer")


def test_a_page_of_another_site_can_begin_nothing_and_end_nothing(
    one: SignedSite, visitor: Visit
) -> None:
    lena = lena_in(one, visitor)
    paths = ("/sign-in", "/sign-out", "/account/sessions/end")
    forms = "".join(
        f'<form method="post" action="{one.address}{path}"><button>{path}</button></form>'
        for path in paths
    )
    page = f'<!doctype html><title>Prizes</title><link rel="icon" href="data:,">{forms}'
    one.provider.answers["/evil"] = lambda http: http.say(200, page.encode(), "text/html")

    for path in paths:
        lena.page.goto(f"{one.provider.issuer}/evil")
        with lena.watch.expecting("status of 403"):
            lena.page.get_by_role("button", name=path, exact=True).click()
            expect(lena.page.locator("body")).to_contain_text("another origin")
    lena.page.goto("/account")

    expect(lena.page.get_by_role("heading", level=1)).to_contain_text("Lena Fischer")


def test_when_the_provider_is_down_a_page_says_so_and_sign_in_goes_on_later(
    one: SignedSite, visitor: Visit, picture: Picture
) -> None:
    one.provider.answers[DISCOVERY] = lambda http: http.say(503, b"")
    lena = visitor(one.address)
    page = lena.page
    page.goto("/account")
    with lena.watch.expecting("status of 503"):
        page.get_by_role("button", name="Sign in with Example").click()
        expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    picture(page, "down")
    assert axe(page) == []

    one.provider.answers.clear()
    page.get_by_role("link", name="To the sign-in page").click()
    page.get_by_role("button", name="Sign in with Example").click()
    page.get_by_role("button", name="ada").click()

    expect(page).to_have_url(f"{one.address}/account")


def test_a_person_ends_the_session_of_another_browser(one: SignedSite, visitor: Visit) -> None:
    left_open, lena = lena_in(one, visitor), lena_in(one, visitor)

    lena.page.reload()
    other = lena.page.locator(".sessions li").filter(has_not_text="This browser")
    other.get_by_role("button").click()
    expect(lena.page.locator(".sessions li")).to_have_count(1)

    left_open.page.reload()
    expect(left_open.page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_person_says_who_decides_while_they_are_away(one: SignedSite, visitor: Visit) -> None:
    lena = lena_in(one, visitor)
    page = lena.page

    page.get_by_label("Who decides").select_option("Omar Haddad")
    page.get_by_label("Back on").fill("2020-01-01")
    with lena.watch.expecting("status of 422"):
        page.get_by_role("button", name="Set").click()
        expect(page.locator(".error")).to_contain_text("ends in the future")
    day = page.evaluate("new Date(Date.now() + 5 * 86400000).toISOString().slice(0, 10)")
    page.get_by_label("Back on").fill(day)
    page.get_by_role("button", name="Set").click()

    expect(page.get_by_text("Omar Haddad decides for you")).to_be_visible()
    page.get_by_role("button", name="I am back").click()
    expect(page.locator(".banner")).to_contain_text("you decide for yourself again")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_left_open_screen_decides_nothing_that_asks_for_a_fresh_sign_in(
    one: SignedSite, visitor: Visit, picture: Picture, width: str
) -> None:
    id = one.site.ask(fresh_sign_in="5m")
    one.provider.auth_time = int(one.now().timestamp()) - 3600
    lena = visitor(one.address, viewport=WIDTHS[width])
    sign_in(lena.page, back="/?view=all")
    page = lena.page
    page.goto(f"/?view=all&open={id}")
    page.get_by_label("Comment · the requester").fill("I saw the photo.")
    with lena.watch.expecting("status of 403"):
        page.get_by_role("button", name="Approve").click()
        expect(page.get_by_role("alert")).to_contain_text("Sign in again to do this")
    assert one.site.row(id).status == "open"
    expect(page.locator(".just-come")).to_have_count(0)
    picture(page, "asks")
    assert axe(page) == []

    one.provider.auth_time = None
    page.get_by_role("alert").get_by_role("button", name="Sign in again").click()
    page.get_by_role("button", name="ada").click()

    expect(page.get_by_role("alert")).to_contain_text("Nothing has been sent yet")
    expect(page.get_by_label("Comment · the requester")).to_have_value("I saw the photo.")
    picture(page, "back")
    assert axe(page) == []
    page.reload()  # a picture leaves marks on the page; what was typed stays
    expect(page.get_by_label("Comment · the requester")).to_have_value("I saw the photo.")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("Approved by you")).to_be_visible()
    assert one.site.row(id).status == "approved"


# How it looks.


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_are_fit_to_be_seen(
    one: SignedSite, visitor: Visit, picture: Picture, width: str, scheme: str
) -> None:
    look: dict[str, Any] = {"viewport": WIDTHS[width], "color_scheme": scheme}
    lena = visitor(one.address, **look)
    page = lena.page

    def seen(label: str) -> None:
        picture(page, label)
        assert axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.goto("/sign-in")
    seen("sign-in")
    page.goto("/sign-in?again=yes")
    seen("again")
    one.provider.answers["/authorize"] = lambda http: http.say(204, b"")  # it stays where it is
    page.get_by_role("button", name="Sign in with Example").click()
    expect(page.get_by_role("heading", name="On to Example")).to_be_visible()
    seen("leads")
    one.provider.answers.clear()
    sign_in(page)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Lena Fischer")
    lena_in(one, visitor)
    page.get_by_label("Who decides").select_option("Omar Haddad")
    page.get_by_label("Back on").fill("2020-01-01")
    with lena.watch.expecting("status of 422"):
        page.get_by_role("button", name="Set").click()
        expect(page.locator(".error")).to_be_visible()
    seen("account-wrong")
    page.goto("/account?said=away")
    seen("account")
    page.locator(".who > summary").click()
    seen("menu")
    page.goto("/sign-in")
    seen("signed-in")
    page.goto("/set-up")
    page.get_by_label("Set-up token").fill("mistyped")
    with lena.watch.expecting("status of 403"):
        page.get_by_role("button", name="Become administrator").click()
        expect(page.locator(".error")).to_be_visible()
    seen("set-up")
    with lena.watch.expecting("status of 400"):
        page.goto("/sign-in/callback?code=x&state=y")
    seen("refused")
