"""What every answer carries, and what none does: on every route, also when all breaks inside."""

from __future__ import annotations

import asyncio
import logging
import re
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, cast

import httpx
import msgspec
import pytest

from adjourn import Adjourn, Client, errors
from adjourn.access.settings import Access
from adjourn.server.guard import HEADERS
from adjourn.server.signin import SignIn
from tests.safety.doors import CANARY, COOKIE, NAME, ORIGIN, Broken, Doors, DoorSite, say
from tests.safety.routes import every_route, filled

ROUTES = [each for each in every_route() if each[1] != "/stream"]
API = ("/api/", "/runtime/", "/healthz")
PROBLEM = {"type", "title", "status", "detail", "instance", "id", "code", "facts"}


def ask(site: DoorSite, method: str, path: str, person: str = "grace") -> httpx.Response:
    """Something that each route reads as far as it can."""
    query = "?orchestrator=plain&updateId=u&wait=0"
    with site.as_(person) as http:
        if method != "POST":
            return http.request(method, filled(path) + (query if path.startswith(API) else ""))
        if path.startswith(API):
            return http.post(filled(path) + query, json=body_for(path))
        form = {"do": "approve", "version": "1", "person": "lena", "id": "case-1:1:1"}
        return http.post(filled(path), data=form)


def body_for(path: str) -> dict[str, Any]:
    last = path.rpartition("/")[2]
    if last == "settle":
        return {"step": 1, "outcome": "completed", "by": "grace"}
    if last == "actions":
        return {"do": "approve", "version": 1}
    return {"action": "approve"} if last == "links" else {}


@pytest.mark.slow  # a sweep of all routes
@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("person", ["grace", ""])
def test_every_answer_tells_a_browser_what_to_keep_out(
    doors: DoorSite, method: str, path: str, person: str
) -> None:
    check_headers(ask(doors, method, path, person))


def check_headers(answer: httpx.Response) -> None:
    for name in HEADERS:
        assert answer.headers[name], name
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] in ("no-referrer", "same-origin")
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])
    assert "server" not in answer.headers and "x-powered-by" not in answer.headers


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), [*ROUTES, ("POST", "/own")])
def test_when_all_breaks_inside_nothing_of_it_is_told_but_an_id_that_the_log_has(
    broken: DoorSite, method: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "adjourn"):
        answer = ask(broken, method, path)

    check_headers(answer)
    for hidden in (CANARY, "Traceback", "RuntimeError", ".py"):
        assert hidden not in answer.text
    if answer.status_code == 500:
        id = answer.headers["x-request-id"]
        assert method == "HEAD" or id in answer.text
        assert f"request {id} went wrong" in caplog.text


@pytest.mark.slow
def test_the_forced_errors_reach_most_routes(broken: DoorSite) -> None:
    answers = [ask(broken, method, path).status_code for method, path in ROUTES]

    assert answers.count(500) > len(ROUTES) // 2


@pytest.mark.parametrize("body", [b"break"])
def test_an_own_page_that_breaks_is_answered_like_all_others(doors: DoorSite, body: bytes) -> None:
    headers = [("Host", NAME), ("Origin", ORIGIN), ("Cookie", f"{COOKIE}=grace")]

    answer = say(doors.port, "POST", "/own", headers, body)

    assert answer.status == 500 and b"canary" not in answer.body
    assert answer.headers["strict-transport-security"]
    assert msgspec.json.decode(answer.body)["id"] == answer.headers["x-request-id"]


BAD: list[tuple[str, str, dict[str, Any], int]] = [
    ("GET", "/api/v1/instances/none", {}, 404),
    ("GET", "/api/v1/nowhere", {}, 404),
    ("PUT", "/api/v1/inbox", {}, 404),
    ("GET", "/api/v1/instances/a%20b", {}, 400),
    ("GET", "/api/v1/instances?limit=x", {}, 422),
    ("GET", "/api/v1/instances?where=%5B", {}, 400),
    ("POST", "/api/v1/instances/x?orchestrator=nobody", {"json": {}}, 404),
    ("POST", "/api/v1/instances/x?orchestrator=plain", {"content": b"{"}, 400),
    ("POST", "/api/v1/instances/x?orchestrator=plain", {"content": b" " * 300_000}, 413),
    ("POST", "/api/v1/instances/none/suspend", {"json": {"more": 1}}, 422),
    ("POST", "/api/v1/approvals/none/actions", {"json": {"do": "claim", "version": 1}}, 404),
    ("POST", "/runtime/webhooks/durabletask/orchestrators/nobody", {"json": {}}, 400),
    ("GET", "/runtime/webhooks/durabletask/instances/none", {}, 404),
    ("DELETE", "/runtime/webhooks/durabletask/instances/none", {}, 501),
    ("GET", "/healthz", {"headers": {"Host": "evil.example", "Sec-Fetch-Site": "x"}}, 403),
    ("GET", "/", {"headers": {"Host": "evil.example"}}, 421),
    ("POST", "/bulk", {"headers": {"Origin": "null"}}, 403),
    ("GET", "/?" + "x" * 17_000, {}, 414),
    ("TRACE", "/", {}, 405),
]


@pytest.mark.parametrize(("method", "path", "more", "status"), BAD)
def test_a_problem_is_in_the_one_form_and_its_id_is_in_the_log(
    doors: DoorSite,
    method: str,
    path: str,
    more: dict[str, Any],
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "adjourn.server"), doors.as_("grace") as http:
        answer = http.request(method, path, **more)

    told = answer.json()
    assert answer.status_code == told["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(told) >= PROBLEM
    assert told["type"] == f"urn:adjourn:problem:{told['code']}"
    assert told["detail"] == told["Message"] == told["ExceptionMessage"] != ""
    assert told["title"] and told["instance"].endswith(told["id"])
    assert told["id"] == answer.headers["x-request-id"]
    assert f"request {told['id']}: {status} for " in caplog.text
    assert "evil" not in caplog.text and "none" not in caplog.text


@pytest.mark.parametrize("word", ["%0d%0aforged: line", "%1b[31mred", "%e2%80%a8x"])
def test_no_word_of_a_stranger_makes_a_line_of_the_log(
    doors: DoorSite, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "adjourn.access.requests")
    caplog.set_level(logging.INFO, "adjourn")
    with doors.as_("grace") as http:
        http.get(f"/api/v1/instances/{word.replace(' ', '%20')}")
        http.get(f"/{word.replace(' ', '%20')}")

    told = [each for each in caplog.records if each.name.startswith("adjourn.")]
    lines = [each.getMessage() for each in told if each.name == "adjourn.server"]
    assert len(told) == len(lines) == 2
    assert all("forged" not in each and "red" not in each for each in lines)
    assert all(each.getMessage().isascii() and each.getMessage().isprintable() for each in told)


def test_health_tells_a_stranger_that_it_stopped_and_not_why(doors: DoorSite) -> None:
    class Stopped(Broken):
        async def list(self, query: object) -> Any:
            raise errors.StorageError("secret/cases.db: disk I/O error")

    kept = doors.client.backend
    doors.client.backend = cast("Any", Stopped())
    try:
        with doors.as_("") as http:
            answer = http.get("/healthz", headers={"Host": "10.9.8.7"})
    finally:
        doors.client.backend = kept

    assert answer.status_code == 503 and "secret" not in answer.text


@pytest.mark.slow
def test_over_plain_http_on_this_machine_nobody_is_told_to_use_https(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    site = DoorSite(
        tmp_path_factory.mktemp("plain") / "a.db", Access(public_url="http://localhost")
    )
    try:
        with site.as_("grace", Host="localhost") as http:
            answer = http.get("/")
        assert answer.status_code == 200 and "strict-transport-security" not in answer.headers
    finally:
        site.stop()


# The http backend makes the same error of it.


def served(body: dict[str, Any], status: int) -> Exception:
    """What a client raises of a server that answers this to everything."""
    text = msgspec.json.encode(body)

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/problem+json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.handle_request)
        thread.start()

        async def look() -> None:
            async with Adjourn().open(f"http://127.0.0.1:{server.server_port}") as client:
                await client.get("x")

        with pytest.raises(errors.AdjournError) as caught:
            asyncio.run(look())
        thread.join()
    return caught.value


OLDER = {"Message": "There is none.", "ExceptionMessage": "There is none."}


@pytest.mark.parametrize("older", [True, False])
def test_a_client_reads_the_body_of_this_server_and_of_an_older_one(older: bool) -> None:
    body = {**OLDER, "code": "InstanceNotFoundError", "facts": {"instance_id": "x"}}
    if not older:
        body |= {
            "type": "urn:x",
            "title": "t",
            "status": 404,
            "detail": "There is none.",
            "id": "7",
        }

    error = served(body, 404)

    assert isinstance(error, errors.InstanceNotFoundError)
    assert (error.instance_id, str(error)) == ("x", "There is none.")


@pytest.mark.slow
def test_a_client_that_is_told_to_wait_learns_how_long() -> None:
    facts = {"what": "acts from this identity", "retry_after_seconds": 42}

    error = served({**OLDER, "code": "TooManyRequestsError", "facts": facts}, 429)

    assert isinstance(error, errors.TooManyRequestsError) and error.retry_after_seconds == 42


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
BEFORE_ANY_PAGE: list[tuple[str, str, dict[str, Any], int]] = [
    ("GET", "/", {"headers": {"host": "<b>evil</b>"}}, 421),
    ("POST", "/bulk", {"headers": {"origin": "https://evil.example"}}, 403),
    ("TRACE", "/", {}, 405),
    ("GET", "/?" + "x" * 17_000, {}, 414),
    ("POST", "/bulk", {"content": b"x" * 1_100_000}, 413),
]


@pytest.mark.parametrize(("method", "path", "more", "status"), BEFORE_ANY_PAGE)
@pytest.mark.parametrize("accept", [BROWSER, "text/html", "TEXT/HTML;q=1"])
def test_a_browser_that_is_refused_before_any_page_reads_why(
    doors: DoorSite, method: str, path: str, more: dict[str, Any], status: int, accept: str
) -> None:
    headers = {"accept": accept, **more.get("headers", {})}
    with doors.as_("grace") as http:
        answer = http.request(method, path, **{**more, "headers": headers})

    assert answer.status_code == status
    check_headers(answer)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>" in answer.text and answer.headers["x-request-id"] in answer.text
    assert "<b>" not in answer.text and "{" not in answer.text
    assert (answer.headers.get("connection") == "close") is (status in (413, 414))


@pytest.mark.parametrize(
    ("accept", "path"),
    [
        ("*/*", "/bulk"),
        ("", "/bulk"),
        ("application/json", "/bulk"),
        ("text/html;q=0, */*", "/bulk"),
        (BROWSER, "/api/v1/instances/x"),
        (BROWSER, "/runtime/webhooks/durabletask/orchestrators/x"),
    ],
)
def test_a_program_that_is_refused_is_told_in_json(doors: DoorSite, accept: str, path: str) -> None:
    headers = {"accept": accept, "origin": "https://evil.example"}
    with doors.as_("grace") as http:
        answer = http.post(path, headers=headers)

    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.slow
def test_where_it_cannot_be_told_who_asks_a_browser_reads_so() -> None:
    class Blind(Doors):
        async def identify(self, *asked: Any, **more: Any) -> Any:
            raise errors.StorageError("secret/cases.db: disk I/O error")

    async def nothing(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("nobody is let through")

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(SignIn(nothing, cast("Any", Blind())))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return await http.get("/", headers={"accept": BROWSER})

    answer = asyncio.run(ask())

    assert answer.status_code == 503 and "<h1>" in answer.text
    assert "cannot be checked just now" in answer.text and "secret" not in answer.text


class Full(Broken):
    """A backend whose file is full."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        def fail(*arguments: object, **more: object) -> Any:
            raise errors.StorageFullError("secret/cases.db: database or disk is full")

        return fail


@pytest.mark.slow
@pytest.mark.parametrize("person", ["grace", "lena"])
def test_what_a_file_cannot_do_names_no_file_to_who_asks(
    tmp_path: Path, person: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor to an administrator: whoever may know it reads the log."""
    site = DoorSite(tmp_path / "cases.db", client=Client(Adjourn(), cast("Any", Full())))
    with site.as_(person) as http:
        answers = [http.get("/api/v1/inbox"), http.get("/"), http.get("/approvals/a:1:1")]
    site.stop()

    for answer in answers:
        assert answer.status_code == 507 and "secret" not in answer.text
        id = answer.headers["x-request-id"]
        assert id in answer.text
        assert f"request {id}: secret/cases.db: database or disk is full" in caplog.text
    told = answers[0].json()
    assert (
        told["code"] == "StorageFullError"
        and told["title"]
        == "The disk is full. Nothing of the call was kept; free some space and repeat it."
    )
