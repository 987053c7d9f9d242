"""A name that was rebound to this machine, or that merely leads to it, gets no answer: on any
route, in either mode."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from adjourn.access.settings import Access, Proxy
from adjourn.server.guard import Doorway, WrongAddressError
from tests.dashboard.site import Site
from tests.safety.doors import COOKIE, FURTHER, NAME, DoorSite, exchange
from tests.safety.routes import every_route, filled

ROUTES = every_route()
BY_NAME = [
    "evil.example",
    f"{NAME}.evil.example",
    f"evil.{NAME}",
    f"{NAME}.",
    f"{NAME}:80",
    f"{NAME}:8443",
    "127.0.0.1",
    "localhost",
    "10.1.2.3",
]
LOCALLY = ["evil.example", "127.0.0.1.evil.example", "localhost.", "10.0.0.1", "0.0.0.0"]
ODD = [
    "",
    f"{NAME}@evil.example",
    f"evil.example@{NAME}",
    f"{NAME},evil.example",
    f"{NAME} evil.example",
    f"{NAME}/",
    f"{NAME}:443:443",
    f"{NAME}:",
    f"{NAME}:0443",
    f"https://{NAME}",
    f"*.{NAME}",
    f"[{NAME}]",
    "xn--djourn-4of.example.com",
    "\u0430djourn.example.com",
    f"{NAME}%00",
]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("local") / "cases.db")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def by_name(doors: DoorSite) -> Iterator[httpx.Client]:
    with doors.as_("grace") as http:
        yield http


@pytest.fixture(scope="module")
def locally(local: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=local.address, trust_env=False, timeout=20) as http:
        yield http


def test_the_sweep_sees_the_routes_of_api_and_dashboard() -> None:
    assert ("POST", "/api/v1/approvals/{id}/links") in ROUTES
    assert ("GET", "/links/{token}") in ROUTES and ("HEAD", "/links/{token}") in ROUTES
    assert ("POST", "/bulk") in ROUTES and len(ROUTES) > 45


@pytest.mark.slow  # some hundred rows
@pytest.mark.parametrize(
    ("method", "path"), [each for each in ROUTES if each != ("GET", "/healthz")]
)
@pytest.mark.parametrize("host", BY_NAME)
def test_with_sign_in_only_our_own_hosts_are_answered(
    by_name: httpx.Client, method: str, path: str, host: str
) -> None:
    answer = by_name.request(method, filled(path), headers={"Host": host})

    assert answer.status_code == 421
    assert method == "HEAD" or "public_url" in answer.text  # the next move


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("host", LOCALLY)
def test_without_sign_in_only_loopback_names_are_answered(
    locally: httpx.Client, method: str, path: str, host: str
) -> None:
    assert locally.request(method, filled(path), headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ODD)
def test_a_host_that_only_looks_like_ours_is_refused(doors: DoorSite, host: str) -> None:
    head = f"GET / HTTP/1.1\r\nHost: {host}\r\nCookie: {COOKIE}=grace\r\nConnection: close\r\n\r\n"

    assert exchange(doors.port, head.encode()).status in (400, 421)


@pytest.mark.parametrize(
    "head",
    [
        f"GET / HTTP/1.1\r\nHost: {NAME}\r\nHost: evil.example\r\n",
        f"GET / HTTP/1.1\r\nHost: evil.example\r\nHost: {NAME}\r\n",
        f"GET / HTTP/1.1\r\nHost: {NAME}\r\nHost: {NAME}\r\n",
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.0\r\n",
        f"GET / HTTP/1.1\r\nHost : {NAME}\r\n",
        f"GET / HTTP/1.1\r\n Host: {NAME}\r\n",
        f"GET / HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: {NAME}\r\n",
        f"GET / HTTP/1.1\r\nHost: evil.example\r\nX-Host: {NAME}\r\nForwarded: host={NAME}\r\n",
        f"GET https://{NAME}/ HTTP/1.1\r\nHost: {NAME}\r\n",
        f"GET https://evil.example/ HTTP/1.1\r\nHost: {NAME}\r\n",
        f"OPTIONS * HTTP/1.1\r\nHost: {NAME}\r\n",
        f"CONNECT {NAME}:443 HTTP/1.1\r\nHost: {NAME}\r\n",
        f"TRACE / HTTP/1.1\r\nHost: {NAME}\r\n",
        f"TRACK / HTTP/1.1\r\nHost: {NAME}\r\n",
        f"BREW / HTTP/1.1\r\nHost: {NAME}\r\n",
        f"get / HTTP/1.1\r\nHost: {NAME}\r\n",
        f"POST / HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 0\r\nContent-Length: 5\r\n",
        f"POST / HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        f"POST / HTTP/1.1\r\nHost: {NAME}\r\nTransfer-Encoding: gzip\r\n",
    ],
)
def test_a_head_that_two_programs_would_read_differently_is_refused(
    doors: DoorSite, head: str
) -> None:
    sent = f"{head}Cookie: {COOKIE}=grace\r\nConnection: close\r\n\r\n".encode()

    assert exchange(doors.port, sent).status in (400, 405, 421, 501)


@pytest.mark.parametrize("host", [NAME, f"{NAME}:443", NAME.upper(), FURTHER])
def test_our_own_hosts_are_answered(by_name: httpx.Client, host: str) -> None:
    assert by_name.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["10.9.8.7", "anything", "127.0.0.1:1"])
def test_health_may_be_asked_for_by_any_name(by_name: httpx.Client, host: str) -> None:
    answer = by_name.get("/healthz", headers={"Host": host})

    assert answer.status_code == 200 and answer.json() == {"status": "ok"}
    assert by_name.post("/healthz", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize(
    "forwarded",
    [
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"},
        {"Forwarded": "host=evil.example;proto=http", "X-Forwarded-Prefix": "/evil"},
        {"Host": f"{NAME}:443"},
        {"Host": FURTHER},
    ],
)
def test_addresses_in_answers_are_of_the_public_url_whatever_is_forwarded(
    by_name: httpx.Client, forwarded: dict[str, str]
) -> None:
    base = "/runtime/webhooks/durabletask"
    started = by_name.post(f"{base}/orchestrators/plain", json={}, headers=forwarded)
    state = by_name.get(f"{base}/instances/{started.json()['id']}", headers=forwarded)

    own = f"https://{NAME}{base}/instances/{started.json()['id']}"
    assert started.headers["location"] == state.headers["location"] == own
    uris = [value for name, value in started.json().items() if name != "id"]
    assert all(uri.startswith(own) for uri in uris) and len(uris) == 8


@pytest.mark.parametrize(
    "url",
    [
        "adjourn.example.com",
        "//adjourn.example.com",
        "ftp://adjourn.example.com",
        "https://",
        "https://adjourn.example.com/under",
        "https://adjourn.example.com/?x=1",
        "https://adjourn.example.com#x",
        "https://user@adjourn.example.com",
        "https://adjourn.example.com:port",
        "https://adjourn.example.com:99999",
        "https://*.example.com",
        "https://\u0430djourn.example.com",
        "https://adjourn.example.com https://evil.example",
        "https://adjourn.example.com\n",
    ],
)
def test_a_public_url_that_no_browser_could_send_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(WrongAddressError, match="public_url cannot be"):
        Doorway.of(Access(public_url=url))


@pytest.mark.parametrize(
    "host", ["", "*", "*.example.com", "a b", "a/b", "x@y", "a:b", "\u0430.example"]
)
def test_a_further_host_that_nobody_could_send_is_refused_at_the_start(host: str) -> None:
    with pytest.raises(WrongAddressError, match="hosts cannot be"):
        Doorway.of(Access(public_url="https://adjourn.example.com", hosts=[host]))


@pytest.mark.slow
def test_the_default_port_may_be_written_in_the_settings_or_left_out() -> None:
    short = Doorway.of(Access(public_url="https://adjourn.example.com/"))
    long = Doorway.of(Access(public_url="HTTPS://Adjourn.Example.com:443", proxy=Proxy(trusted=[])))
    other = Doorway.of(Access(public_url="http://localhost:7071"))

    assert short.origin == long.origin == "https://adjourn.example.com"
    assert short.hosts == long.hosts == {"adjourn.example.com", "adjourn.example.com:443"}
    assert (other.origin, other.hosts) == ("http://localhost:7071", {"localhost:7071"})
    assert long.identity == "x-forwarded-user" and Doorway.of(Access()).local
