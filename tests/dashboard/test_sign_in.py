"""The pages of sign-in, account and set-up: nobody comes in who did not begin it, and whoever is
out is out at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from adjourn.dashboard.views.account import browser_name
from tests.dashboard.pages import Browser
from tests.dashboard.signed import (
    SESSION,
    SIGNING_IN,
    SignedSite,
    send_sign_in,
    sign_in,
    signed_site,
)

pytestmark = pytest.mark.slow

AWAY = "/account/away"


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignedSite]:
    with signed_site(tmp_path_factory.mktemp("signed")) as made:
        yield made


@pytest.fixture(autouse=True)
def as_it_was(one: SignedSite) -> Iterator[None]:
    yield
    one.provider.claims, one.provider.auth_time, one.provider.obeys_prompt = {}, None, True
    one.site.run(one.door.sessions.end_all())
    one.site.run(one.door.directory.enable("lena"))
    one.site.run(one.door.directory.clear_absence("lena"))


def is_in(browser: Browser) -> bool:
    answer = browser.http.get("/account")
    assert answer.status_code in (200, 303)
    return answer.status_code == 200


# As it goes well.


def test_a_first_visit_leads_to_the_sign_in_page_and_then_goes_where_it_was_going(
    one: SignedSite,
) -> None:
    browser = one.browser()

    page = browser.open("/?view=all&text=x")
    assert page.status == 200 and page.heading == "Sign in"
    assert "Sign in with Example" in page.main and "anyone on this machine" not in page.text
    page = send_sign_in(page)
    assert page.heading == "On to Example"
    arrived = sign_in(browser, one.provider, "ada", "/?view=all&text=x")

    assert arrived.path == "/?view=all&text=x"
    assert "Lena Fischer" in arrived.root.one(class_="who").text


def test_the_cookies_are_for_this_host_and_for_no_script(one: SignedSite) -> None:
    browser = one.browser()
    began = browser.http.post("/sign-in", data={"back": "/"})
    signing_in = began.headers["set-cookie"].split("; ")
    assert signing_in[0].startswith(SIGNING_IN + "=")
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure", "Max-Age=600"} <= set(signing_in)
    assert not any(word.lower().startswith("domain") for word in signing_in)

    answer = browser.http.get(one.callback(browser))

    assert answer.status_code == 303
    session, cleared = answer.headers.get_list("set-cookie")
    assert session.startswith(SESSION + "=")
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} <= set(session.split("; "))
    assert cleared.startswith(SIGNING_IN + '=""') and "Max-Age=0" in cleared
    value = browser.jar.get(SESSION, "")
    assert len(value) == 43 and not any(value in key for key in one.kept("sessions"))


def test_the_account_page_says_who_i_am_and_where_i_am_signed_in(one: SignedSite) -> None:
    other = one.signed_in()
    browser = one.signed_in()
    browser.http.headers["user-agent"] = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"

    page = browser.open("/account")

    assert page.heading.endswith("Lena Fischer")
    assert "Approver: decides what is addressed to them" in page.main
    assert "support" in page.main and "You signed in with Example" in page.main
    assert "lena@example.com" in page.main
    assert len(page.root.all("button", class_="small")) >= 2
    ended = [each for each in page.root.all("li") if "This browser" not in each.text]
    action = ended[0].one("form")["action"]
    assert browser.http.post(action, data={"as": "lena"}).status_code == 303
    assert is_in(browser) and not is_in(other)


def test_whoever_has_no_role_is_offered_nothing_that_they_may_not_see(one: SignedSite) -> None:
    vic, lena = one.signed_in("vic"), one.signed_in()

    assert not vic.open("/").root.all("a", href="/instances")
    assert lena.open("/").root.all("a", href="/instances")
    page = vic.open("/instances")
    assert page.status == 403 and "Whoever runs this server can give you others" in page.main
    account = vic.open("/account").main
    assert "What is addressed to you, and what you asked for" in account
    assert "What your roles show you" not in account


def test_the_sign_in_page_says_where_it_leads_and_offers_no_help_for_what_is_behind_it(
    one: SignedSite,
) -> None:
    asked, plain = one.browser().open("/sign-in?back=/approvals/a"), one.browser().open("/sign-in")

    assert "the page that you asked for" in asked.main
    assert "the page that you asked for" not in plain.main
    assert not plain.root.all("a", href="/help")


def test_out_of_office_and_back(one: SignedSite) -> None:
    lena, omar = one.signed_in(), one.signed_in("omar")
    day = (one.now() + timedelta(days=5)).date().isoformat()

    answer = lena.http.post(AWAY, data={"delegate": "omar", "until": day, "as": "lena"})
    assert answer.status_code == 303
    assert "Omar Haddad decides for you" in lena.open("/account").main
    assert "You stand in for Lena Fischer" in omar.open("/account").main

    assert lena.http.post("/account/back", data={"as": "lena"}).status_code == 303
    assert "decides for you" not in lena.open("/account").main
    assert "You stand in for" not in omar.open("/account").main


def test_signing_out_ends_the_session_here_first_and_then_at_the_provider(one: SignedSite) -> None:
    browser = one.signed_in()
    value = browser.jar.get(SESSION, "")

    answer = browser.http.post("/sign-out")

    assert answer.status_code == 200 and "You are signed out" in answer.text
    assert one.provider.issuer + "/end?" in answer.text and "id_token_hint" in answer.text
    assert "Lena" not in answer.text
    assert f'{SESSION}=""' in answer.headers["set-cookie"]
    browser.jar[SESSION] = value
    assert not is_in(browser)


# Attacks.


def test_an_old_cookie_is_worth_nothing_after_signing_out(one: SignedSite) -> None:
    browser = one.signed_in()
    value = browser.jar.get(SESSION, "")
    browser.http.post("/sign-out")

    for path in ("/", "/account", "/instances", "/help", "/set-up"):
        answer = httpx.get(one.address + path, headers={"cookie": f"{SESSION}={value}"})
        assert answer.status_code == 303 and answer.headers["location"].startswith("/sign-in")


def test_signing_out_everywhere_is_everywhere(one: SignedSite) -> None:
    first, second, omar = one.signed_in(), one.signed_in(), one.signed_in("omar")

    assert first.http.post("/account/sessions/end", data={"as": "lena"}).status_code == 303

    assert not is_in(first) and not is_in(second) and is_in(omar)


def test_a_disabled_person_is_out_at_once(one: SignedSite) -> None:
    browser = one.signed_in()
    assert is_in(browser)

    one.site.run(one.door.directory.disable("lena"))

    assert not is_in(browser)
    again = browser.http.get(one.callback(browser))
    assert again.status_code == 403 and "switched off" in again.text
    assert not is_in(browser)


@pytest.mark.parametrize("planted", ["A" * 43, "x", "lena", "../../etc"])
def test_a_planted_session_is_never_the_one_that_is_signed_in(
    one: SignedSite, planted: str
) -> None:
    """Session fixation: what a stranger put into the browser is not worth more afterwards."""
    browser = one.browser()
    browser.jar[SESSION] = planted
    sign_in(browser, one.provider, "ada")

    assert is_in(browser)
    answer = httpx.get(one.address + "/account", headers={"cookie": f"{SESSION}={planted}"})
    assert answer.status_code == 303
    assert browser.jar.get(SESSION, "") not in ("", planted)


def test_the_session_that_the_browser_had_is_over_after_a_new_sign_in(one: SignedSite) -> None:
    browser = one.signed_in()
    old = browser.jar.get(SESSION, "")

    sign_in(browser, one.provider, "ada")

    assert browser.jar.get(SESSION, "") != old
    answer = httpx.get(one.address + "/account", headers={"cookie": f"{SESSION}={old}"})
    assert answer.status_code == 303


def test_somebody_elses_callback_signs_nobody_in(one: SignedSite) -> None:
    """Login CSRF: Eve begins, and has Lena's browser open the end of it."""
    eve, lena = one.browser(), one.signed_in()
    before = lena.jar.get(SESSION, "")
    theirs = one.callback(eve, "eve")

    answer = lena.http.get(theirs)

    assert answer.status_code == 400 and "not begun in this browser" in answer.text
    assert "set-cookie" not in answer.headers
    assert lena.jar.get(SESSION, "") == before and "Lena" in lena.open("/account").main


def test_somebody_elses_callback_does_not_end_a_sign_in_that_is_under_way(one: SignedSite) -> None:
    eve, lena = one.browser(), one.browser()
    own, theirs = one.callback(lena, "ada"), one.callback(eve, "eve")

    assert lena.http.get(theirs).status_code == 400
    assert lena.http.get(own).status_code == 303
    assert "Lena" in lena.open("/account").main


def test_a_stolen_callback_is_worth_nothing(one: SignedSite) -> None:
    lena, eve = one.browser(), one.browser()
    theirs = one.callback(lena)

    assert eve.http.get(theirs).status_code == 400 and not is_in(eve)
    assert lena.http.get(theirs).status_code == 303
    assert lena.http.get(theirs).status_code == 400  # once
    assert is_in(lena)


CHANGED = [
    ("code=", "code=x&code="),
    ("state=", "state=x&state="),
    ("state=", "state=x"),
    ("state=", "xstate="),
    ("code=", "xcode="),
    ("code=", "code=&xcode="),
    ("?", "?x?"),
    ("?", "?error=access_denied&"),
    ("?", "?iss=https://idp.example.com&"),
]


@pytest.mark.parametrize(("old", "new"), CHANGED)
def test_a_callback_that_was_changed_signs_nobody_in(one: SignedSite, old: str, new: str) -> None:
    browser = one.browser()

    answer = browser.http.get(one.callback(browser).replace(old, new, 1))

    assert answer.status_code in (400, 403) and "ign in" in answer.text
    assert SESSION not in answer.headers.get("set-cookie", "") and not is_in(browser)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "POST", "DELETE"])
def test_only_a_plain_get_finishes_a_sign_in(one: SignedSite, method: str) -> None:
    browser = one.browser()
    address = one.callback(browser)

    answer = browser.http.request(method, address)

    assert answer.status_code in (404, 405) and "set-cookie" not in answer.headers
    assert browser.http.get(address).status_code == 303  # nothing was used up


READS = ["/sign-in", "/sign-in?back=/x&again=yes", "/sign-in/callback?code=x&state=y", "/account",
         "/set-up", "/sign-out", "/account/away", "/account/back"]  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", READS)
def test_looking_begins_ends_and_changes_nothing(one: SignedSite, path: str, method: str) -> None:
    browser = one.signed_in()
    browser.open("/account")
    spaces = ("sessions", "sign-ins", "people", "absences", "set-up")
    before = {space: one.kept(space) for space in spaces}
    asked = len(one.provider.heard)

    answer = browser.http.request(method, path)

    assert "set-cookie" not in answer.headers and answer.status_code != 303
    assert {space: one.kept(space) for space in spaces} == before
    assert len(one.provider.heard) == asked
    assert is_in(browser)


ACTS = {
    "/sign-in": {"back": "/"},
    "/sign-out": {},
    "/account/sessions/end": {"as": "lena"},
    "/account/sessions/{handle}/end": {"as": "lena"},
    "/account/away": {"as": "lena", "delegate": "omar", "until": "2027-01-01"},
    "/account/back": {"as": "lena"},
    "/set-up": {"as": "lena", "token": "x"},
}
FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Host": "evil.example"},
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("path", ACTS)
def test_a_page_of_another_origin_signs_nobody_in_or_out(
    one: SignedSite, path: str, headers: dict[str, str]
) -> None:
    browser = one.signed_in()
    handle = one.site.run(one.door.sessions.of("lena"))[0].handle

    answer = browser.http.post(path.format(handle=handle), data=ACTS[path], headers=headers)

    assert answer.status_code in (403, 421) and "set-cookie" not in answer.headers
    assert "<html" not in answer.text  # no page of ours has even seen it
    assert is_in(browser) and one.site.run(one.door.directory.absences()) == []


@pytest.mark.parametrize("path", [path for path in ACTS if path not in ("/sign-in", "/sign-out")])
def test_nobody_does_nothing(one: SignedSite, path: str) -> None:
    lena = one.signed_in()
    handle = one.site.run(one.door.sessions.of("lena"))[0].handle

    answer = httpx.post(one.address + path.format(handle=handle), data=ACTS[path])

    assert answer.status_code == 401 and is_in(lena)
    assert one.site.run(one.door.directory.absences()) == []


@pytest.mark.parametrize("path", [path for path in ACTS if path not in ("/sign-in", "/sign-out")])
def test_a_form_that_was_drawn_for_somebody_else_does_nothing(one: SignedSite, path: str) -> None:
    omar = one.signed_in("omar")
    handle = one.site.run(one.door.sessions.of("omar"))[0].handle

    answer = omar.http.post(path.format(handle=handle), data=ACTS[path])

    assert answer.status_code == 409 and is_in(omar)
    assert one.site.run(one.door.directory.absences()) == []


@pytest.mark.parametrize("handle", ["lena's", "0" * 16, "x", "%2e%2e", "A" * 500])
def test_somebody_elses_session_is_as_good_as_none(one: SignedSite, handle: str) -> None:
    lena, omar = one.signed_in(), one.signed_in("omar")
    if handle == "lena's":
        handle = one.site.run(one.door.sessions.of("lena"))[0].handle

    answer = omar.http.post(f"/account/sessions/{handle}/end", data={"as": "omar"})

    assert answer.status_code == 404 and is_in(lena) and is_in(omar)


ABSENCES = {
    "oneself": {"delegate": "lena", "until": "+3"},
    "nobody": {"delegate": "", "until": "+3"},
    "somebody unknown": {"delegate": "root", "until": "+3"},
    "somebody of another tenant": {"delegate": "far", "until": "+3"},
    "somebody who decides nothing": {"delegate": "vic", "until": "+3"},
    "a group": {"delegate": "group:finance", "until": "+3"},
    "yesterday": {"delegate": "omar", "until": "-1"},
    "today": {"delegate": "omar", "until": "+0"},
    "for ever": {"delegate": "omar", "until": "+400"},
    "no day": {"delegate": "omar", "until": ""},
    "no such day": {"delegate": "omar", "until": "2027-02-30"},
    "a word": {"delegate": "omar", "until": "soon"},
    "a day beyond time": {"delegate": "omar", "until": "9999-12-31"},
}


@pytest.mark.parametrize("name", ABSENCES)
def test_an_absence_that_makes_no_sense_is_refused_and_what_was_typed_stays(
    one: SignedSite, name: str
) -> None:
    form = dict(ABSENCES[name])
    if form["until"][:1] in ("+", "-"):
        form["until"] = (one.now() + timedelta(days=int(form["until"]))).date().isoformat()
    lena = one.signed_in()

    answer = lena.http.post(AWAY, data={**form, "as": "lena"})

    assert answer.status_code == 422 and 'class="error"' in answer.text
    assert f'value="{form["until"]}"' in answer.text
    assert one.site.run(one.door.directory.absences()) == []


def test_whoever_has_no_role_sees_no_colleagues_and_names_none(one: SignedSite) -> None:
    vic = one.signed_in("vic")
    assert "Omar" not in vic.http.get("/account").text

    answer = vic.http.post(AWAY, data={"delegate": "omar", "until": "2027-01-01", "as": "vic"})

    assert answer.status_code == 403 and one.site.run(one.door.directory.absences()) == []


ASTRAY = ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)",
          "/sign-in", "/sign-in/callback?code=x", "/sign-out", "", "x"]  # fmt: skip


@pytest.mark.parametrize("back", ASTRAY)
def test_signing_in_leads_nobody_away(one: SignedSite, back: str) -> None:
    browser = one.browser()
    page = browser.http.get("/sign-in", params={"back": back})
    assert 'name="back" value="/"' in page.text

    answer = browser.http.get(one.callback(browser, back=back))

    assert answer.headers["location"] == "/"


def test_text_of_the_provider_and_of_addresses_is_text(one: SignedSite) -> None:
    one.provider.claims = {"name": "<script>alert(1)</script>\u202e", "sub": "<b>eve</b>"}
    eve = one.browser()
    assert eve.http.get(one.callback(eve)).status_code == 303
    page = eve.open("/account").root

    assert "<script>alert(1)</script>" in page.text
    assert "\u202e" not in page.text
    browser = one.browser()
    answer = browser.http.get("/sign-in", params={"back": '/"><script>alert(1)</script>'})
    assert "<script>alert" not in answer.text


def test_the_pages_of_sign_in_are_kept_by_nobody_and_hold_nothing_inline(one: SignedSite) -> None:
    browser = one.signed_in()
    pages = [browser.http.get(path) for path in ("/sign-in", "/account", "/set-up")]
    pages.append(browser.http.post("/sign-in", data={"back": "/"}))
    for answer in pages:
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert "form-action 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["referrer-policy"] == "same-origin"
        for each in browser.arrive(answer).root.walk():
            assert "style" not in each.attributes and each.tag != "style"
            assert not any(name.startswith("on") for name in each.attributes)
            assert not (each.tag == "script" and each.raw)


def test_where_nobody_signs_in_there_are_no_such_pages(at: Callable[[str], Browser]) -> None:
    lena = at("lena")
    for path in ("/sign-in", "/account", "/set-up", "/sign-in/callback?code=x&state=y"):
        assert lena.http.get(path).status_code == 404
    for path in ("/sign-in", "/sign-out", "/account/away", "/set-up"):
        assert lena.http.post(path, data={"as": "lena"}).status_code in (404, 405)


# The first administrator.


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "x" * 10_000])
def test_a_set_up_token_that_nobody_printed_makes_nobody_administrator(
    one: SignedSite, token: str
) -> None:
    lena = one.signed_in()

    answer = lena.http.post("/set-up", data={"token": token, "as": "lena"})

    assert answer.status_code == 403 and "makes nobody administrator" in answer.text
    assert "Administrator" not in lena.open("/account").main


def test_the_set_up_token_makes_one_person_administrator_once(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with signed_site(tmp_path_factory.mktemp("first")) as one:
        people = one.file.read_text().replace('"admin"', '"viewer"')
        one.file.write_text(people)
        eve, vic = one.signed_in("eve"), one.signed_in("vic")
        token = one.site.run(one.door.set_up.offer())
        assert token is not None

        first = eve.http.post("/set-up", data={"token": token, "as": eve_id(one)})
        second = vic.http.post("/set-up", data={"token": token, "as": "vic"})

        assert first.headers["location"] == "/account?said=set-up"
        assert "You are administrator now" in eve.open("/account?said=set-up").main
        assert "Administrator: looks after everything here" in eve.open("/account").main
        assert second.status_code == 403 and "Administrator" not in vic.open("/account").main


def eve_id(one: SignedSite) -> str:
    found = one.door.directory.find_account("oidc", f"{one.provider.issuer}|eve")
    assert found is not None
    return found.id


# What was typed when the session had ended.


def test_what_was_typed_is_shown_when_the_session_has_ended(one: SignedSite) -> None:
    lena = one.signed_in()
    id = one.site.ask()
    lena.open(f"/approvals/{id}")
    one.site.run(one.door.sessions.end_all("lena"))

    answer, odd = (
        lena.http.post(
            f"/approvals/{id}/act",
            data={"do": "approve", "version": "1", "comment": "I saw the photo."},
            headers={"referer": page},
        )
        for page in (f"{one.address}/approvals/{id}", "http://[")
    )

    assert answer.status_code == odd.status_code == 401
    assert "I saw the photo." in answer.text and "I saw the photo." in odd.text
    assert f"/sign-in?back=/approvals/{id.replace(':', '%3A')}" in answer.text


@pytest.mark.parametrize(
    "page",
    ["http://evil.example/approvals/a", "//evil.example", "x", "", "http://[", "http://[::1"],
)
def test_where_they_were_is_a_page_of_ours(one: SignedSite, page: str) -> None:
    answer = httpx.get(
        one.address + "/", headers={"hx-request": "true", "hx-current-url": page, "referer": page}
    )

    assert answer.status_code == 401 and answer.headers["hx-redirect"] == "/sign-in?back=/"


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X) Chrome/140 Safari/537 Edg/140", "Edge on macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 20 like Mac OS X) Safari/604", "Safari on iPhone"),
        ("<script>", "A browser"),
        ("", "A browser"),
    ],
)
def test_a_browser_is_named_in_words(said: str, name: str) -> None:
    assert browser_name(said) == name


def told_by_the_site(caplog: pytest.LogCaptureFixture) -> str:
    """All that was logged, but what the test's own clients say of themselves."""
    here = threading.get_ident()
    own = [each for each in caplog.records if each.thread != here]
    assert own
    return "\n".join(logging.Formatter().format(each) for each in own)


def test_what_comes_back_from_the_provider_is_in_no_log(
    one: SignedSite, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither when it counts nor when it does not, at the most talkative level that there is."""
    caplog.set_level(logging.DEBUG)
    good, again = one.browser(), one.browser()
    counts, stolen = one.callback(good), one.callback(again)

    statuses = [
        good.http.get(counts).status_code,
        good.http.get(counts).status_code,
        one.browser().http.get(stolen).status_code,
        again.http.get(f"{stolen}&code=twice").status_code,
        again.http.get(f"{one.address}/sign-in/callback?error=canary-of-theirs").status_code,
    ]

    told = told_by_the_site(caplog)
    assert statuses == [303, 400, 400, 400, 400]
    words = [
        word for at in (counts, stolen) for word in dict(parse_qsl(urlsplit(at).query)).values()
    ]
    secret = {word for word in words if word not in one.provider.issuer}
    assert len(secret) == 4  # two codes and two states
    assert not [word for word in (*secret, "canary-of-theirs", "code=") if word in told]
    assert good.jar[SESSION] not in told and "sign-in refused" in told
    assert '"route": "/sign-in/callback", "status": 303' in told


def pages_limit(one: SignedSite, most: int) -> None:
    """Pages of the records file from now on: with too few, SQLite says that the disk is full."""
    pragma = f"PRAGMA max_page_count = {most}"
    one.records._worker.submit(lambda: one.records._connection.execute(pragma)).result()


def test_a_full_disk_tells_a_stranger_no_file_and_the_log_all_of_it(
    one: SignedSite, caplog: pytest.LogCaptureFixture
) -> None:
    browser = one.browser()
    pages_limit(one, 1)
    try:
        answers = [
            browser.http.post("/sign-in", data={"back": "/" + "x" * 1_900}) for _ in range(20)
        ]
    finally:
        pages_limit(one, 1_000_000)

    answer = next(each for each in answers if each.status_code != 200)
    assert answer.status_code == 503
    assert "cases.db" not in answer.text and "Error" not in answer.text
    id = answer.headers["x-request-id"]
    assert f"The log names it {id}" in answer.text
    (told,) = [line for line in caplog.messages if f"request {id}: " in line]
    assert "cases.db.access" in told and "FullError" in told
    assert browser.http.post("/sign-in", data={"back": "/"}).status_code == 200
