"""One line a request: who, what, how; and nothing that may be a secret, or steers a terminal."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from adjourn import Actor
from adjourn.approvals.people import DEMO_PEOPLE, LocalPeople
from adjourn.dashboard import create_dashboard
from adjourn.server import Server, create_app, listen
from adjourn.server.access_log import AccessLog
from adjourn.server.listening import address_of
from tests.server.serving import START_SECONDS, make_app

CANARY = "canary-3c81"
FIELDS = {"method", "route", "status", "ms", "actor", "request", "peer"}


class Lines(logging.Handler):
    """What is logged, and where to wait for it: a line is written after its answer."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self._more = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        with self._more:
            self.told.append(self.format(record))
            self._more.notify_all()

    def after(self, count: int) -> dict[str, Any]:
        with self._more:
            assert self._more.wait_for(lambda: len(self.told) > count, 10)
            (line,) = self.told[count:]
            return json.loads(line)


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError(f"it broke on {CANARY}")


async def half(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise RuntimeError("it broke half way")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """API, dashboard, and pages that break, on one socket."""
    app, listener, ready = make_app(), listen("127.0.0.1", 0), threading.Event()
    client, people = app.open(tmp_path_factory.mktemp("log") / "a.db"), LocalPeople(DEMO_PEOPLE)
    site = create_app(client, people, {"/broken": broken, "/half": half})
    site.mount("", create_dashboard(client, people))
    server = Server(site, ready.set)

    async def serve() -> None:
        async with client:
            await server.serve(sockets=[listener])

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(START_SECONDS)
    yield address_of(listener)
    server.stop()
    thread.join(START_SECONDS)
    assert not thread.is_alive()


@pytest.fixture
def lines() -> Iterator[Lines]:
    log, handler = logging.getLogger("adjourn.access.requests"), Lines()
    log.addHandler(handler)
    before = log.level
    log.setLevel(logging.INFO)
    yield handler
    log.setLevel(before)
    log.removeHandler(handler)


@pytest.fixture(scope="module")
def http(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, trust_env=False, timeout=10) as client:
        yield client


def raw(address: str, target: bytes, *headers: bytes) -> bytes:
    """One request as it is written here, and how its answer begins."""
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        head = [b"GET " + target + b" HTTP/1.1", b"Host: " + host.encode(), *headers]
        connection.sendall(b"\r\n".join([*head, b"Connection: close", b"", b""]))
        return connection.recv(100)


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/healthz", "/healthz", 200),
        ("GET", f"/api/v1/instances/{CANARY}", "/api/v1/instances/{id}", 404),
        ("GET", f"/api/v1/instances/{CANARY}/history", "/api/v1/instances/{id}/history", 404),
        ("GET", f"/approvals/{CANARY}", "/approvals/{id}", 303),
        ("DELETE", "/api/v1/instances/x", "/api/v1/instances/x", 404),
        ("GET", "/", "/", 303),
        ("GET", "/people", "/people", 200),
        ("GET", "/nothing/here", "/nothing/here", 404),
        ("GET", f"/reset/{CANARY}-{CANARY}-0", "/reset/*", 404),
        ("GET", "/api/none/of/it", "/api/none/of/it", 404),
        ("GET", "/runtime/webhooks/durabletask/instances/a/",
         "/runtime/webhooks/durabletask/instances/{id}", 404),
    ],
)  # fmt: skip
def test_a_request_is_named_by_its_route(
    http: httpx.Client, lines: Lines, method: str, path: str, route: str, status: int
) -> None:
    answer = http.request(method, path)

    line = lines.after(0)
    assert (line["method"], line["route"], line["status"]) == (method, route, status)
    assert answer.status_code == status and line.keys() == FIELDS
    assert line["peer"] == "127.0.0.1" and line["ms"] >= 0
    assert CANARY not in json.dumps(line)


@pytest.mark.parametrize(
    "path",
    [
        f"/healthz?code={CANARY}",
        f"/api/v1/instances?where={CANARY}&{CANARY}=1",
        f"/approvals/x?back={CANARY}",
        f"/none?token={CANARY}",
        f"/runtime/webhooks/durabletask/instances?code={CANARY}&taskHub=x",
    ],
)
def test_a_query_is_never_logged(http: httpx.Client, lines: Lines, path: str) -> None:
    http.get(path)

    lines.after(0)
    assert CANARY not in "".join(lines.told) and "?" not in "".join(lines.told)


@pytest.mark.parametrize(
    "name", ["authorization", "cookie", "x-api-key", "x-functions-key", "referer", "user-agent"]
)
def test_no_header_is_logged(http: httpx.Client, lines: Lines, name: str) -> None:
    http.get("/healthz", headers={name: f"a={CANARY}"})

    lines.after(0)
    assert CANARY not in "".join(lines.told)


def test_nor_is_a_body(http: httpx.Client, lines: Lines) -> None:
    http.post("/api/v1/instances/x/events/E", json={"a": CANARY})

    lines.after(0)
    assert CANARY not in "".join(lines.told)


@pytest.mark.parametrize(
    "target",
    [
        b"/a%0d%0a2026-11-23T10:00:00Z%20INFO%20forged",
        b"/a%0aforged",
        b"/a%0dforged",
        b"/a%1b[2J%1b]0;title%07",
        b"/a%e2%80%a8forged",
        b"/a%e2%80%aeforged",
        b"/a%c2%85forged",
        b"/a%00b",
        b"/a%22,%22status%22:200,%22x%22:%22",
        b"/a%f0%9f%92%a9",
        b"/a%ff%fe",
        b"/%5c%22%5c%0a",
    ],
)
def test_nothing_that_is_sent_begins_a_line_or_steers_a_terminal(
    address: str, lines: Lines, target: bytes
) -> None:
    raw(address, target)

    line = lines.after(0)
    assert len(lines.told) == 1 and lines.told[0].isascii() and lines.told[0].isprintable()
    assert line.keys() == FIELDS and line["status"] in (303, 404)


def test_a_path_without_a_route_is_cut(http: httpx.Client, lines: Lines) -> None:
    http.get("/a" * 400)

    assert len(lines.after(0)["route"]) == 200


def test_what_the_guard_refuses_is_logged(http: httpx.Client, lines: Lines) -> None:
    http.get("/healthz", headers={"host": "evil.example"})

    assert (lines.after(0)["status"], lines.told[0].count("evil")) == (421, 0)


def test_a_problem_carries_the_id_of_its_line(
    http: httpx.Client, lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    answer = http.get("/broken/x")

    line = lines.after(0)
    assert (answer.status_code, line["status"]) == (500, 500)
    assert answer.json()["id"] == line["request"]
    assert f"request {line['request']} went wrong" in caplog.messages


def test_an_answer_that_broke_half_way_keeps_what_was_said_of_it(
    address: str, lines: Lines
) -> None:
    raw(address, b"/half/x")

    assert lines.after(0)["status"] == 200


def test_each_request_has_an_id_of_its_own(http: httpx.Client, lines: Lines) -> None:
    http.get("/healthz")
    first = lines.after(0)
    http.get("/healthz")

    assert lines.after(1)["request"] != first["request"]


@pytest.mark.parametrize(
    ("actor", "logged"),
    [(Actor(id="lena"), "lena"), (Actor(id="key:ci", agent=True), "key:ci"), (None, None)],
)
def test_who_asked_is_named_as_the_server_found_out(
    lines: Lines, actor: Actor | None, logged: str | None
) -> None:
    async def signed_in(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["actor"] = actor
        await send({"type": "http.response.start", "status": 204, "headers": []})

    ask(AccessLog(signed_in), {"state": {"request_id": "r-1"}})

    line = lines.after(0)
    assert (line["actor"], line["status"], line["request"]) == (logged, 204, "r-1")


def test_who_went_away_before_there_was_an_answer_has_status_0(lines: Lines) -> None:
    async def gone(scope: Scope, receive: Receive, send: Send) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        ask(AccessLog(gone), {})

    assert lines.after(0)["status"] == 0


def ask(app: AccessLog, more: dict[str, Any]) -> None:
    """One request without a server: what another layer would have put into its scope is known."""
    scope: Scope = {"type": "http", "method": "GET", "path": "/x", "headers": [], **more}

    async def receive() -> Any:
        raise AssertionError("nobody reads")

    async def send(message: Any) -> None:
        pass

    asyncio.run(app(scope, receive, send))


def told_by_the_server(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name == "adjourn.server"]


def test_a_request_that_is_refused_is_written_once(
    http: httpx.Client, lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "adjourn.server")

    answer = http.get("/api/none/of/it")

    assert lines.after(0)["request"] == answer.headers["x-request-id"]
    assert told_by_the_server(caplog) == []


@pytest.mark.slow
def test_where_requests_are_not_written_the_id_of_a_refusal_leads_somewhere(
    http: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "adjourn.access.requests")
    caplog.set_level(logging.INFO, "adjourn.server")

    good = http.get("/healthz")
    none = http.get(f"/none/{CANARY}?{CANARY}")
    refused = http.get("/healthz", headers={"Host": f"{CANARY}.example"})

    assert (good.status_code, none.status_code, refused.status_code) == (200, 404, 421)
    ids = [each.headers["x-request-id"] for each in (good, none, refused)]
    assert not any('"GET"' in line for line in caplog.messages if any(id in line for id in ids))
    assert told_by_the_server(caplog) == [
        f"request {ids[1]}: 404 for GET no route",
        f"request {ids[2]}: 421 for GET no route",
    ]
