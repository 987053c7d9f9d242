"""Too much, too deep, too slow, too many: refused while it comes, and others are still answered."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from adjourn.server import Server, listen
from adjourn.server.bodies import BODY_LIMIT, Bodies
from adjourn.server.connections import Connection, connections_limit
from adjourn.server.guard import HEADERS, HEADERS_LIMIT
from adjourn.server.problems import install_problems
from adjourn.server.waits import Waits
from tests.safety.doors import (
    COOKIE,
    NAME,
    ORIGIN,
    DoorSite,
    Said,
    exchange,
    read_answer,
    say,
)
from tests.safety.routes import every_route, filled

START_SECONDS = 10
DEEP = 100_000
BROWSER = [("Host", NAME), ("Origin", ORIGIN), ("Cookie", f"{COOKIE}=grace")]
JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
ACTS = [path for method, path in every_route() if method == "POST"]
API = [path for path in ACTS if path.startswith(("/api/v1", "/runtime"))]
PAGES = [path for path in ACTS if path not in API]
TAKING_JSON = [
    path
    for path in API
    if path.rpartition("/")[2] not in ("rewind", "restart")
    and not (path.startswith("/runtime") and path.endswith(("terminate", "suspend", "resume")))
]
NAMED = [(method, path) for method, path in every_route() if "{" in path]


def still_answers(doors: DoorSite) -> bool:
    with doors.as_("grace") as http:
        return http.get("/").status_code == 200


def head(path: str, *lines: str, kind: str = "application/json") -> bytes:
    """The start of a request that acts, of a browser that is signed in."""
    own = [f"{name}: {value}" for name, value in BROWSER]
    told = [f"POST {path} HTTP/1.1", *own, f"Content-Type: {kind}", *lines, "", ""]
    return "\r\n".join(told).encode()


def kind_for(path: str) -> str:
    return "application/json" if path in API else "application/x-www-form-urlencoded"


# Too much.


@pytest.mark.slow  # a sweep of all routes
@pytest.mark.parametrize("path", ACTS)
@pytest.mark.parametrize("size", [BODY_LIMIT + 1, 50 * 1024 * 1024, 10**18])
def test_a_body_that_says_it_is_too_large_is_not_read(
    doors: DoorSite, path: str, size: int
) -> None:
    lines = (f"Content-Length: {size}", "Expect: 100-continue")

    answer = exchange(doors.port, head(filled(path), *lines, kind=kind_for(path)))

    assert answer.status == 413
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("path", ["/api/v1/instances/x?orchestrator=plain", "/bulk", "/own"])
def test_a_body_that_never_says_its_size_is_given_up_while_it_is_read(
    doors: DoorSite, path: str
) -> None:
    kind = "application/json" if path.startswith("/api") else "application/x-www-form-urlencoded"
    chunk = b"10000\r\n" + b"7" * 0x10000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", doors.port), timeout=20) as raw:
        raw.sendall(head(path, "Transfer-Encoding: chunked", kind=kind))
        with suppress(OSError):  # it may close before it has heard all
            for _ in range(BODY_LIMIT // 0x10000 + 1):
                raw.sendall(chunk)
        with suppress(ConnectionResetError):
            assert raw.recv(1000).startswith(b"HTTP/1.1 413 ")
    assert still_answers(doors)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([f"X-{n}: y" for n in range(HEADERS_LIMIT + 1)], (431,)),
        ([f"X-{n}: y" for n in range(10_000)], (400, 431)),
        (["X: y"] * 10_000, (400, 431)),
        (["Cookie: a=b"] * 500, (431,)),
        (["X: " + "y" * 33_000], (431,)),
        (["X: " + "y" * 60_000], (400, 431)),
        (["X: " + "y" * 1_000_000], (400, 431)),
        (["y" * 40_000 + ": x"], (400, 431)),
    ],
)
def test_more_headers_than_anybody_needs_are_refused(
    doors: DoorSite, lines: list[str], status: tuple[int, ...]
) -> None:
    told = "\r\n".join([f"GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close", *lines, "", ""])

    answer = _said(doors.port, told.encode())

    assert answer is None or answer.status in status
    assert still_answers(doors)


def _said(port: int, sent: bytes) -> Said | None:
    """The answer; None where the other end hung up before it had heard all."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
        try:
            raw.sendall(sent)
            return read_answer(raw)
        except (ConnectionResetError, BrokenPipeError):
            return None


@pytest.mark.parametrize(
    "target",
    [
        "/?" + "x" * 17_000,
        "/" + "x" * 17_000,
        "/api/v1/instances?where=" + "x" * 17_000,
        "/api/v1/instances/" + "%61" * 6_000,
        "/static/" + "../" * 6_000 + "app.py",
        "/?" + "a=b&" * 5_000,
    ],
    ids=lambda target: target[:20],
)
def test_an_address_longer_than_any_of_ours_is_refused(doors: DoorSite, target: str) -> None:
    assert say(doors.port, "GET", target, BROWSER, b"").status == 414


# Too deep.


@pytest.mark.slow  # a sweep of all routes
@pytest.mark.parametrize("path", TAKING_JSON)
@pytest.mark.parametrize(
    "body",
    [
        b"[" * DEEP,
        b"[" * DEEP + b"]" * DEEP,
        b'{"a":' * (DEEP // 3) + b"1" + b"}" * (DEEP // 3),
        b'{"a":[' * 10_000 + b"]}" * 10_000,
        b"[" * 201 + b"]" * 201,
    ],
    ids=["open", "closed", "objects", "both", "one too many"],
)
def test_json_that_is_too_deep_is_refused_on_every_route(
    doors: DoorSite, path: str, body: bytes
) -> None:
    doors.run(doors.client.start("plain", {}, id="case-1:1:1", on_conflict="return_existing"))
    query = "?orchestrator=plain&updateId=u"

    answer = say(doors.port, "POST", filled(path) + query, [*BROWSER, JSON], body)

    assert answer.status == 400 and b"SerializationError" in answer.body


@pytest.mark.parametrize("name", ["where", "tags"])
def test_json_in_a_query_that_is_too_deep_is_refused(doors: DoorSite, name: str) -> None:
    deep = "%5B" * 5_000
    target, method = f"/api/v1/instances?{name}={deep}", "GET"
    if name == "tags":
        target, method = f"/api/v1/instances/deep?orchestrator=plain&tags={deep}", "POST"

    answer = say(doors.port, method, target, [*BROWSER, JSON], b"{}" if method == "POST" else b"")

    assert answer.status == 400 and b"SerializationError" in answer.body


def test_a_form_with_too_many_fields_is_refused(doors: DoorSite) -> None:
    for body in (b"a=b&" * 2_000, b"a" * 600_000, b"&" * 400_000):
        answer = say(doors.port, "POST", "/bulk", [*BROWSER, FORM], body)
        assert answer.status in (400, 409, 413, 422)
    assert still_answers(doors)


# What may stand in a path.


@pytest.mark.slow  # a sweep of all routes
@pytest.mark.parametrize(("method", "path"), NAMED)
@pytest.mark.parametrize(
    "bad",
    ["x" * 201, "a%0Ab", "a%00b", "%F0%9F%92%A9%0D", "a%1B[2Jb", "%E2%80%AE", "%C2%85"],
    ids=["long", "newline", "null", "return", "escape", "direction", "next line"],
)
def test_a_path_with_what_no_id_has_is_refused_before_anything_is_read(
    broken: DoorSite, method: str, path: str, bad: str
) -> None:
    spoilt = path
    for name in ("{id}", "{name}", "{name:path}", "{token}", "{handle}", "{case}"):
        spoilt = spoilt.replace(name, bad + "y" * (800 if name == "{token}" else 0))
    lines = [("Content-Length", "10"), ("Expect", "100-continue"), ("Connection", "close")]
    own = [*BROWSER, ("Content-Type", kind_for(path)), *(lines if method == "POST" else lines[2:])]
    told = "\r\n".join([f"{method} {spoilt} HTTP/1.1", *(f"{a}: {b}" for a, b in own), "", ""])

    answer = exchange(broken.port, told.encode())

    nowhere = "%0A" in bad and ":path" in path  # no route takes a newline there
    of_api = path.startswith(("/api", "/runtime"))
    assert answer.status == (400 if of_api and not nowhere else 404)


# Too slow.


class Rig:
    """A server with one page that reads and one that never stops writing, and short times."""

    def __init__(self, connection: type[Connection], body_seconds: float = 60.0) -> None:
        self._listener = listen("127.0.0.1", 0)
        self.port = int(self._listener.getsockname()[1])
        self.stopped_writing = threading.Event()
        ready = threading.Event()
        self._server = Server(self._made(body_seconds), ready.set, connection)
        serve = self._server.serve(sockets=[self._listener])
        self._thread = threading.Thread(target=lambda: asyncio.run(serve))
        self._thread.start()
        assert ready.wait(START_SECONDS)

    def _made(self, body_seconds: float) -> FastAPI:
        app = FastAPI(openapi_url=None)
        app.state.waits = Waits()
        app.state.authenticator = None
        install_problems(app, HEADERS)

        @app.post("/read")
        async def read(request: Request) -> Response:
            return PlainTextResponse(str(len(await request.body())))

        @app.post("/ignore")
        async def ignore() -> Response:
            return PlainTextResponse("ignored")

        @app.get("/write")
        async def write() -> Response:
            return StreamingResponse(self._endless())

        app.add_middleware(Bodies, seconds=body_seconds)
        return app

    async def _endless(self) -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 65_536
                await asyncio.sleep(0)  # the loop learns that the reader has gone
        finally:
            self.stopped_writing.set()

    def stop(self) -> None:
        self._server.stop()
        self._server.stop()
        self._thread.join(START_SECONDS)
        assert not self._thread.is_alive()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=START_SECONDS)


class Hasty(Connection):
    head_seconds = 0.05
    read_seconds = 0.05


class Few(Connection):
    most = 3


@pytest.fixture(scope="module")
def hasty() -> Iterator[Rig]:
    rig = Rig(Hasty, body_seconds=0.05)
    yield rig
    rig.stop()


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"G",
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: y\r\n",
    ],
)
def test_a_request_that_never_becomes_whole_is_hung_up_on(hasty: Rig, start: bytes) -> None:
    with hasty.connect() as raw:
        raw.sendall(start)
        assert raw.recv(1000) == b""


def trickle(raw: socket.socket, letters: bytes) -> bool:
    """Send letter by letter until the other end has hung up; whether it has."""
    raw.settimeout(0.01)
    for _ in range(500):
        try:
            raw.sendall(letters)
            if raw.recv(1000) == b"":
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def test_a_head_that_trickles_is_hung_up_on(hasty: Rig) -> None:
    with hasty.connect() as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        assert trickle(raw, b"X: y\r\n")


def test_a_second_head_that_trickles_is_hung_up_on(hasty: Rig) -> None:
    with hasty.connect() as raw:
        assert served(raw)
        assert trickle(raw, b"G")


def test_a_body_that_trickles_to_nobody_is_hung_up_on(hasty: Rig) -> None:
    with hasty.connect() as raw:
        raw.sendall(b"POST /ignore HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999\r\n\r\n")
        assert raw.recv(4000).startswith(b"HTTP/1.1 200 ")
        assert trickle(raw, b"x")


@pytest.mark.parametrize("lines", ["Content-Length: 10", "Transfer-Encoding: chunked"])
def test_a_body_that_does_not_end_gets_408(hasty: Rig, lines: str) -> None:
    with hasty.connect() as raw:
        raw.sendall(f"POST /read HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n\r\n".encode())
        assert raw.recv(4000).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_trickles_gets_408(hasty: Rig) -> None:
    with hasty.connect() as raw:
        raw.sendall(b"POST /read HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999\r\n\r\n")
        assert trickle(raw, b"x")


@pytest.mark.parametrize("path", ["/api/v1/instances/x?orchestrator=plain", "/bulk"])
def test_each_reader_has_a_time_of_its_own(
    doors: DoorSite, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adjourn.server.requests.BODY_SECONDS", 0.01)
    monkeypatch.setattr("adjourn.dashboard.body.BODY_SECONDS", 0.01)
    kind = "application/json" if path.startswith("/api") else "application/x-www-form-urlencoded"
    with socket.create_connection(("127.0.0.1", doors.port), timeout=20) as raw:
        raw.sendall(head(path, "Content-Length: 10", kind=kind) + b"{")
        assert raw.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_a_reader_who_never_reads_is_hung_up_on(hasty: Rig) -> None:
    with hasty.connect() as raw:
        raw.sendall(b"GET /write HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert hasty.stopped_writing.wait(START_SECONDS)


def served(raw: socket.socket) -> bool:
    """Whether one more request on this connection is answered."""
    raw.sendall(b"POST /ignore HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n")
    found = b""
    while not found.endswith(b"ignored"):
        part = raw.recv(4000)
        if not part:
            return False
        found += part
    return found.startswith(b"HTTP/1.1 200 ")


@pytest.mark.slow
def test_who_comes_when_all_places_are_taken_is_told_so_and_others_go_on() -> None:
    rig = Rig(Few)
    taken = [rig.connect() for _ in range(Few.most)]
    try:
        assert all(served(raw) for raw in taken)
        with rig.connect() as late:
            answer = read_answer(late)
        assert answer.status == 503 and answer.headers["x-content-type-options"] == "nosniff"
        assert served(taken[0])
    finally:
        for raw in taken:
            raw.close()
        rig.stop()


@pytest.mark.slow
def test_there_are_always_some_places_and_never_more_than_files() -> None:
    assert 10 <= connections_limit() <= 2_000 and Connection.most == connections_limit()


@pytest.mark.slow
def test_what_is_no_http_gets_an_answer_without_our_name(doors: DoorSite) -> None:
    for sent in (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"HELO\r\n\r\n", b"GET\r\n\r\n"):
        answer = exchange(doors.port, sent)
        assert answer.status == 400 and "server" not in answer.headers
        assert answer.headers["content-type"] == "application/problem+json"
        assert httpx.Response(400, content=answer.body).json()["status"] == 400
