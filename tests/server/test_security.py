"""The default-safe rules, on every route."""

import socket
from collections.abc import Iterator

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import Mount

from adjourn import Adjourn
from adjourn.errors import RefusedAddressError
from adjourn.model.hosts import is_loopback
from adjourn.server import create_app, listen

BASE = "/runtime/webhooks/durabletask"
LIMIT = 256 * 1024


def every_route() -> Iterator[tuple[str, str]]:
    for route in create_app(Adjourn().open(":memory:")).routes:
        if isinstance(route, Mount):  # what no route takes is refused there
            continue
        for one in getattr(getattr(route, "original_router", None), "routes", [route]):
            assert isinstance(one, APIRoute)
            for method in one.methods or ():
                yield method, one.path


ROUTES = sorted(every_route())


def test_the_sweep_sees_the_routes() -> None:
    assert ("POST", f"{BASE}/orchestrators/{{name}}") in ROUTES
    assert len(ROUTES) > 20


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", ""])
def test_a_foreign_host_is_refused_on_every_route(
    http: httpx.Client, method: str, path: str, host: str
) -> None:
    answer = http.request(method, path, headers={"Host": host}, json={})

    assert answer.status_code == 421


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route[0] != "GET"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_origin_may_not_act_on_any_route(
    http: httpx.Client, method: str, path: str, headers: dict[str, str]
) -> None:
    assert http.request(method, path, headers=headers, json={}).status_code == 403


def test_our_own_origin_and_no_origin_may_act(http: httpx.Client) -> None:
    own = {"Origin": str(http.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}

    for headers in (own, {}, {"Sec-Fetch-Site": "none"}):
        answer = http.post(f"{BASE}/orchestrators/approve", json={}, headers=headers)
        assert answer.status_code == 202


@pytest.mark.parametrize("host", ["localhost:{port}", "LOCALHOST", "127.0.0.2", "[::1]:{port}"])
def test_every_loopback_name_is_a_good_host(http: httpx.Client, host: str) -> None:
    name = host.format(port=http.base_url.port)

    assert http.get("/healthz", headers={"Host": name}).status_code == 200


@pytest.mark.parametrize(
    "host", ["a@127.0.0.1", "127.0.0.1:x", "127.0.0.1/", "[::1", "0.0.0.0", "2130706433"]
)
def test_a_host_that_only_looks_like_loopback_is_refused(http: httpx.Client, host: str) -> None:
    assert http.get("/healthz", headers={"Host": host}).status_code in (400, 421)


@pytest.mark.parametrize("method", ["TRACE", "TRACK", "CONNECT", "BREW"])
def test_methods_that_nobody_needs_are_off(http: httpx.Client, method: str) -> None:
    assert http.request(method, "/healthz").status_code in (400, 405)


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_the_api_documents_are_off(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == 404


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_methods_never_act(http: httpx.Client, method: str) -> None:
    http.post(f"{BASE}/orchestrators/approve/quiet-1", json={})

    for path in [path for verb, path in ROUTES if verb == "POST"]:
        http.request(method, path.replace("{id}", "quiet-1").replace("{name}", "approve"))

    assert http.get("/api/v1/instances/quiet-1").json()["events"] == 2


def test_answers_carry_the_headers_that_keep_browsers_calm(http: httpx.Client) -> None:
    answer = http.get("/healthz")

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers


def test_a_large_body_gets_413_by_its_length(http: httpx.Client) -> None:
    answer = http.post(f"{BASE}/orchestrators/approve/big-1", content=b" " * (LIMIT + 1))

    assert (answer.status_code, answer.json()["code"]) == (413, "PayloadTooLargeError")


def test_a_large_body_gets_413_while_it_is_read_in_chunks(http: httpx.Client) -> None:
    port = http.base_url.port
    chunk = b"10000\r\n" + b"7" * 0x10000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        raw.sendall(
            f"POST {BASE}/orchestrators/approve/big-2 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            "Transfer-Encoding: chunked\r\n\r\n".encode()
        )
        for _ in range(5):  # and it never ends
            raw.sendall(chunk)
        assert raw.recv(1000).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.5", "example.com", "", "localhost.evil.example"]
)
def test_without_sign_in_we_listen_on_loopback_only(host: str) -> None:
    with pytest.raises(RefusedAddressError):
        listen(host, 0)


def test_loopback_is_known_without_asking_a_name_server() -> None:
    assert all(is_loopback(name) for name in ("localhost", "127.0.0.1", "127.9.9.9", "::1"))


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/instances?page=99999999999999999999999999",
        "/api/v1/instances?where=%7B%22a%22:1180591620717411303424%7D",
        "/api/v1/instances?where=%7B%22a%22:%22%5Cud800%22%7D",
        "/api/v1/instances?where=%7B%22a%22:NaN%7D",
        "/api/v1/instances?status=Sleeping",
        "/api/v1/instances?createdFrom=x",
        "/api/v1/instances?newestFirst=x",
        "/api/v1/instances?limit=-1",
        "/api/v1/instances/x%20y",
        "/api/v1/instances/quiet-9/history?execution=9999999999999999999999",
        "/api/v1/instances/quiet-9/result?wait=nan",
    ],
)
def test_a_strange_query_is_refused_and_the_engine_lives_on(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code in (400, 422)
    assert http.get("/healthz").status_code == 200
