"""Rules that hold on every route: nothing changes by looking, and browsers are told what to keep
out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from fastapi.routing import APIRoute

from adjourn import Adjourn
from adjourn.approvals.people import DEMO_PEOPLE, LocalPeople
from adjourn.dashboard import create_dashboard
from tests.dashboard.pages import Browser
from tests.dashboard.site import Site

pytestmark = pytest.mark.slow

At = Callable[[str], Browser]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def every_route() -> Iterator[tuple[str, str]]:
    made = create_dashboard(Adjourn().open(":memory:"), LocalPeople(DEMO_PEOPLE))
    for route in made.routes:
        for one in getattr(getattr(route, "original_router", None), "routes", [route]):
            if isinstance(one, APIRoute):
                for method in one.methods or ():
                    yield method, one.path


ROUTES = sorted(every_route())
NO_LINK = "e30.c2lnbmVk"
READS = [path for method, path in ROUTES if method == "GET" and path != "/stream"]
ACTS = [path for method, path in ROUTES if method == "POST"]


def test_the_sweep_sees_the_routes() -> None:
    assert {"/", "/approvals/{id}", "/approvals/{id}/audit.csv", "/instances/{id}"} <= set(READS)
    assert set(ACTS) == {
        "/approvals/{id}/act",
        "/bulk",
        "/instances/{id}/settle",
        "/people/switch",
        "/links/{token}",
    }
    assert {method for method, _ in ROUTES} == {"GET", "HEAD", "POST"}


@pytest.mark.parametrize("path", [*READS, "/static/dashboard.css", "/nowhere"])
@pytest.mark.parametrize("person", ["lena", "nobody", ""])
def test_every_answer_tells_the_browser_what_to_keep_out(
    site: Site, at: At, path: str, person: str
) -> None:
    answer = at(person).http.get(path.format(id=site.ask(), token=NO_LINK))

    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_changes_nothing(site: Site, at: At, path: str, method: str) -> None:
    id = site.ask()
    before = site.run(site.client.history(id)), site.run(site.client.list(limit=1_000)).instances
    query = "?do=approve&version=1&person=grace&confirm=yes&view=all&tab=similar&done=x"

    at("lena").http.request(method, path.format(id=id, token=NO_LINK) + query)

    after = site.run(site.client.history(id)), site.run(site.client.list(limit=1_000)).instances
    assert after == before


@pytest.mark.parametrize("path", ACTS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
    ],
)
def test_a_page_of_another_origin_may_not_act(
    site: Site, at: At, path: str, headers: dict[str, str]
) -> None:
    id = site.ask()
    data = {"do": "approve", "version": "1", "person": "grace"}

    answer = at("lena").http.post(path.format(id=id, token=NO_LINK), data=data, headers=headers)

    assert answer.status_code in (403, 421)
    assert site.row(id).status == "open" and "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", [path for path in ACTS if path != "/people/switch"])
def test_nobody_acts_who_has_not_said_who_they_are(site: Site, at: At, path: str) -> None:
    id = site.ask()
    data = {"do": "approve", "version": "1", "by": "grace", "person": "grace"}
    headers = {"X-Forwarded-User": "grace", "Remote-User": "grace"}

    answer = at("").http.post(path.format(id=id, token=NO_LINK), data=data, headers=headers)
    part = at("").http.post(
        path.format(id=id, token=NO_LINK), data=data, headers={"HX-Request": "true"}
    )

    assert answer.status_code == 401 and "Nobody is signed in" in answer.text
    assert part.status_code == 401 and part.headers["hx-redirect"] == "/people?back=/"
    assert site.row(id).status == "open"


def test_no_page_has_anything_inline(site: Site, at: At) -> None:
    id = site.ask(risk="high")
    for path in READS:
        answer = at("lena").http.get(path.format(id=id, token=NO_LINK))
        if "html" not in answer.headers.get("content-type", ""):
            continue
        for each in at("lena").arrive(answer).root.walk() if "<html" in answer.text else ():
            assert "style" not in each.attributes
            assert not any(name.startswith(("on", "hx-on")) for name in each.attributes)
            assert each.tag != "style" and not (each.tag == "script" and each.raw)
            for name in ("src", "href", "action"):
                value = each.get(name) or "/"
                assert value.startswith(("/", "#")), f"{path}: {name}={value}"


def test_styles_and_scripts_may_be_kept_for_ever_by_their_version(site: Site, at: At) -> None:
    page = at("lena").open("/")
    style = page.root.one("link", rel="stylesheet")["href"]

    answer = page.browser.http.get(style)

    assert answer.status_code == 200 and "immutable" in answer.headers["cache-control"]
    assert "?v=" in style
    assert page.browser.http.get("/static/../app.py").status_code == 404
    assert page.browser.http.get("/static/%2e%2e/app.py").status_code == 404


def test_an_error_of_our_own_is_a_page_without_a_trace(
    site: Site, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> None:
        raise RuntimeError("the secret detail")

    lena = at("lena")
    monkeypatch.setattr(site.dashboard.state.desk.people, "find", fail)
    with httpx.Client(base_url=site.address, trust_env=False) as http:
        answer = http.get("/static/nothing.css")
    monkeypatch.undo()

    assert answer.status_code == 404 and "secret" not in answer.text
    assert lena.open("/").status == 200
