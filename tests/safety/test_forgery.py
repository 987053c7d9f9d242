"""What another page's author can make a browser send is refused, and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec
import pytest

from tests.safety.doors import COOKIE, FURTHER, KEY, NAME, ORIGIN, DoorSite, Said, say

Pairs = Sequence[tuple[str, str]]

JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
PLAIN = ("Content-Type", "text/plain")
PARTS = ("Content-Type", "multipart/form-data; boundary=x")
HOST = ("Host", NAME)
OWN = ("Origin", ORIGIN)
SAME = ("Sec-Fetch-Site", "same-origin")
SESSION = ("Cookie", f"{COOKIE}=grace")
BY_KEY = ("Authorization", f"Bearer {KEY}")
BY_PROXY = ("X-Forwarded-User", "grace")
EVIL = ("Origin", "https://evil.example")


class Row(NamedTuple):
    """One request that must not act; by itself nothing else is wrong with it."""

    name: str
    headers: Pairs
    by: str = "api"
    status: tuple[int, ...] = (403,)


def origin(text: str) -> tuple[str, str]:
    return ("Origin", text)


def site(word: str) -> tuple[str, str]:
    return ("Sec-Fetch-Site", word)


def browser(*headers: tuple[str, str]) -> Pairs:
    """What a browser of somebody who is signed in sends with these."""
    return (HOST, SESSION, JSON, *headers)


ROWS = [
    Row("another site", browser(EVIL)),
    Row("another site, and it says so", browser(EVIL, site("cross-site"))),
    Row("a page without an origin", browser(origin("null"))),
    Row("a page without an origin, in a frame of ours", browser(origin("null"), SAME)),
    Row("a sibling subdomain", browser(origin("https://wiki.example.com"))),
    Row("a subdomain of ours", browser(origin(f"https://pages.{NAME}"))),
    Row("the parent domain", browser(origin("https://example.com"))),
    Row("http instead of https", browser(origin(f"http://{NAME}"))),
    Row("another port", browser(origin(f"{ORIGIN}:8443"))),
    Row("the default port, which no browser writes", browser(origin(f"{ORIGIN}:443"))),
    Row("upper case, which no browser writes", browser(origin(ORIGIN.upper()))),
    Row("a dot at the end", browser(origin(f"{ORIGIN}."))),
    Row("a letter that looks alike", browser(origin("https://\u0430djourn.example.com"))),
    Row(
        "a letter that looks alike, encoded", browser(origin("https://xn--djourn-4of.example.com"))
    ),
    Row("a path after it", browser(origin(f"{ORIGIN}/"))),
    Row("a name before it", browser(origin(f"https://x@{NAME}"))),
    Row("our name in front of theirs", browser(origin(f"{ORIGIN}.evil.example"))),
    Row("our name at the end of theirs", browser(origin(f"https://evil-{NAME}"))),
    Row("an empty origin", browser(origin(""))),
    Row("two origins, ours first", browser(OWN, EVIL)),
    Row("two origins, theirs first", browser(EVIL, OWN)),
    Row("our origin twice", browser(OWN, OWN)),
    Row("two origins in one header", browser(origin(f"{ORIGIN} https://evil.example"))),
    Row("two origins with a comma", browser(origin(f"{ORIGIN}, https://evil.example"))),
    Row("another scheme", browser(origin(f"ftp://{NAME}"))),
    Row("an extension", browser(origin("chrome-extension://abcdefghijklmnop"))),
    Row("a file", browser(origin("file://"))),
    Row("a loopback page", browser(origin("http://localhost:7071"))),
    Row("a further host's page", browser(origin(f"https://{FURTHER}"))),
    Row("cross-site, no origin", browser(site("cross-site"))),
    Row("same-site, no origin", browser(site("same-site"))),
    Row("typed by hand: nobody types what acts", browser(site("none"))),
    Row("a word that there is not", browser(site("same_origin"))),
    Row("an empty word", browser(site(""))),
    Row("cross-site with our origin", browser(OWN, site("cross-site"))),
    Row("same-site with our origin", browser(OWN, site("same-site"))),
    Row("none with our origin", browser(OWN, site("none"))),
    Row("two words, ours first", browser(SAME, site("cross-site"))),
    Row("two words, theirs first", browser(site("cross-site"), SAME)),
    Row("two words in one header", browser(site("same-origin, cross-site"))),
    Row("a session and no word of where from", browser()),
    Row("the same by a proxy that signs in", (HOST, BY_PROXY, JSON)),
    Row("the same with what was typed for Basic", browser(("Authorization", "Basic Zzp6"))),
    Row("another site, by a proxy that signs in", (HOST, BY_PROXY, JSON, EVIL)),
    Row("a key on somebody else's page", (HOST, BY_KEY, JSON, EVIL), "start"),
    Row("a key, cross-site", (HOST, BY_KEY, JSON, site("cross-site")), "start"),
    Row("a form of another site", (HOST, SESSION, FORM, EVIL, site("cross-site")), "page"),
    Row("a form of a sibling", (HOST, SESSION, FORM, site("same-site")), "page"),
    Row("a form without an origin", (HOST, SESSION, FORM, origin("null")), "page"),
    Row("a form with no word of where from", (HOST, SESSION, FORM), "page"),
    Row("JSON as plain text, of another site", (HOST, SESSION, PLAIN, EVIL), "start"),
    Row("JSON as a form, of another site", (HOST, SESSION, FORM, EVIL), "start"),
    Row("JSON in parts, of another site", (HOST, SESSION, PARTS, EVIL), "start"),
    Row("JSON of no kind, of another site", (HOST, SESSION, EVIL), "start"),
    Row("JSON as plain text, no word of where from", (HOST, SESSION, PLAIN), "start"),
    Row("JSON as plain text, of our own page", (HOST, SESSION, PLAIN, OWN), "api", (400,)),
    Row("JSON as a form, of our own page", (HOST, SESSION, FORM, OWN), "api", (400,)),
    Row("JSON in parts, of our own page", (HOST, SESSION, PARTS, OWN), "api", (400,)),
    Row("a form in parts, of our own page", (HOST, SESSION, PARTS, OWN), "page", (415,)),
    Row("a form as plain text, of our own page", (HOST, SESSION, PLAIN, OWN), "page", (415,)),
    Row(
        "forwarded words that make it ours",
        browser(
            EVIL, ("X-Forwarded-Host", NAME), ("X-Forwarded-Proto", "https"), ("Referer", ORIGIN)
        ),
    ),
    Row(
        "forwarded words that make us theirs",
        browser(EVIL, ("X-Forwarded-Host", "evil.example"), ("Forwarded", "host=evil.example")),
    ),
]
GOOD = [
    ("our page", browser(OWN, SAME)),
    ("our page, in an older browser", browser(OWN)),
    ("our page, which says no origin", browser(SAME)),
    ("our page, asked for with its port", (("Host", f"{NAME}:443"), SESSION, JSON, OWN)),
    ("our page, asked for in upper case", (("Host", NAME.upper()), SESSION, JSON, OWN)),
    ("our page, by a proxy that signs in", (HOST, BY_PROXY, JSON, OWN)),
]


@pytest.fixture(scope="module")
def waiting(doors: DoorSite) -> str:
    """An approval that grace may decide, and that no row has decided."""
    return doors.ask()


def act(doors: DoorSite, waiting: str, by: str, headers: Pairs) -> Said:
    """Comment on it (which any number may do), or start something: by the API, a form of the
    dashboard, or Durable Functions' own route."""
    body = msgspec.json.encode({"do": "comment", "version": 1, "text": "forged"})
    path = f"/api/v1/approvals/{waiting}/actions"
    if by == "page":
        path = f"/approvals/{waiting}/act"
        body = urlencode({"do": "comment", "version": 1, "text": "forged"}).encode()
    if by == "start":
        path, body = "/runtime/webhooks/durabletask/orchestrators/plain/forged", b"{}"
    return say(doors.port, "POST", path, headers, body)


def told(doors: DoorSite, waiting: str) -> tuple[int, int]:
    """How many remarks there are on it, and how many instances in all."""
    ivo = doors.people.people["ivo"].actor("web")
    notes = doors.run(doors.client.approvals.get(waiting, by=ivo)).state.notes
    return len(notes), len(doors.run(doors.client.list(limit=1_000)).instances)


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.by}: {row.name}")
def test_what_another_page_can_send_does_nothing(doors: DoorSite, waiting: str, row: Row) -> None:
    before = told(doors, waiting)

    answer = act(doors, waiting, row.by, row.headers)

    assert answer.status in row.status
    assert told(doors, waiting) == before
    assert "access-control-allow-origin" not in answer.headers
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("headers", [each[1] for each in GOOD], ids=[each[0] for each in GOOD])
def test_our_own_pages_act(doors: DoorSite, waiting: str, headers: Pairs) -> None:
    before = told(doors, waiting)

    answer = act(doors, waiting, "api", headers)

    assert answer.status == 200 and told(doors, waiting)[0] == before[0] + 1


@pytest.mark.parametrize("host", [NAME, FURTHER])
def test_a_program_with_a_key_needs_no_origin(doors: DoorSite, waiting: str, host: str) -> None:
    before = told(doors, waiting)
    path = f"/runtime/webhooks/durabletask/orchestrators/plain/by-key-{before[1]}"

    answer = say(doors.port, "POST", path, [("Host", host), BY_KEY, JSON], b"{}")

    assert answer.status == 202 and told(doors, waiting)[1] == before[1] + 1


@pytest.mark.parametrize("where", ["/api/v1/inbox", "/", "/static/dashboard.css"])
@pytest.mark.parametrize(
    ("mode", "dest"),
    [
        ("no-cors", "script"),
        ("no-cors", "image"),
        ("cors", "empty"),
        ("navigate", "iframe"),
        ("navigate", "frame"),
        ("navigate", "object"),
        ("navigate", "embed"),
        ("websocket", "websocket"),
        ("", ""),
    ],
)
@pytest.mark.parametrize("word", ["cross-site", "same-site"])
def test_another_page_loads_nothing_of_ours_into_itself(
    doors: DoorSite, where: str, mode: str, dest: str, word: str
) -> None:
    headers = [HOST, SESSION, site(word), ("Sec-Fetch-Mode", mode), ("Sec-Fetch-Dest", dest)]

    assert say(doors.port, "GET", where, headers, b"").status == 403


@pytest.mark.parametrize("word", ["cross-site", "same-site", "none", "same-origin"])
def test_a_link_leads_here_from_anywhere(doors: DoorSite, word: str) -> None:
    leads = [("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")]

    answer = say(doors.port, "GET", "/", [HOST, SESSION, site(word), *leads], b"")

    assert answer.status == 200


def test_a_preflight_allows_nobody_anything(doors: DoorSite, waiting: str) -> None:
    asks = [HOST, EVIL, ("Access-Control-Request-Method", "POST")]
    asks.append(("Access-Control-Request-Headers", "authorization, content-type"))

    answer = say(doors.port, "OPTIONS", f"/api/v1/approvals/{waiting}/actions", asks, b"")

    assert answer.status >= 400
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_no_header_makes_a_get_act(doors: DoorSite, waiting: str, name: str) -> None:
    before = told(doors, waiting)
    path = f"/approvals/{waiting}/act?do=comment&version=1&text=forged"

    answer = say(doors.port, "GET", path, [HOST, SESSION, (name, "POST")], b"")

    assert answer.status == 405 and told(doors, waiting) == before
