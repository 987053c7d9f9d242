"""How often one caller may ask: counted by person, by key and by address, at a clock that the test
moves."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from adjourn.access.settings import Access, Limits
from adjourn.server.guard import WrongAddressError
from adjourn.server.limits import ACTS, FAILURES, Counters, Rates
from tests.safety.doors import KEY, NAME, ORIGIN, Clock, DoorSite

LIMITS = Limits(acts=5, acts_of_address=12, failures=4, links=3, open_of_address=6, sign_ins=2)


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DoorSite]:
    access = Access(public_url=ORIGIN, limits=LIMITS)
    made = DoorSite(tmp_path_factory.mktemp("tight") / "cases.db", access)
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def a_new_minute(tight: DoorSite) -> None:
    tight.clock.advance(minutes=2)


def acts(site: DoorSite, number: int, person: str = "grace", **headers: str) -> list[int]:
    """The statuses of so many comments on what is not there."""
    with site.as_(person, **headers) as http:
        answers = [
            http.post("/api/v1/approvals/none:1:1/actions", json={"do": "comment"})
            for _ in range(number)
        ]
    return [each.status_code for each in answers]


def keyed(site: DoorSite, key: str, path: str = "/api/v1/instances/none") -> httpx.Response:
    headers = {"Host": NAME, "Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=site.address, trust_env=False, headers=headers) as http:
        return http.get(path)


def test_what_one_person_does_is_counted_and_comes_back_with_the_minute(tight: DoorSite) -> None:
    assert 429 not in acts(tight, 5) and acts(tight, 2) == [429, 429]
    assert 429 not in acts(tight, 1, "lena")  # somebody else still acts

    tight.clock.advance(seconds=59)
    assert acts(tight, 1) == [429]
    tight.clock.advance(seconds=1)
    assert 429 not in acts(tight, 5)


def test_whoever_is_told_to_wait_is_told_how_long(tight: DoorSite) -> None:
    acts(tight, 5)
    tight.clock.advance(seconds=18, milliseconds=500)

    with tight.as_("grace") as http:
        answer = http.post("/approvals/none:1:1/act", data={"do": "comment"})

    assert answer.status_code == 429 and answer.headers["retry-after"] == "42"
    told = answer.json()
    assert told["code"] == "TooManyRequestsError" and "42 s" in told["detail"]
    assert told["facts"] == {"what": "acts from this identity", "retry_after_seconds": 42}


@pytest.mark.parametrize(
    ("person", "path", "headers"),
    [
        ("", "/sign-in", {}),
        ("grace", "/approvals/none:1:1/act", {}),
        ("grace", "/approvals/none:1:1/act", {"HX-Request": "true"}),
    ],
)
def test_a_person_who_is_told_to_wait_reads_it_on_a_page(
    tight: DoorSite, person: str, path: str, headers: dict[str, str]
) -> None:
    with tight.as_(person, Accept="text/html", **headers) as http:
        *_, answer = (http.post(path, data={"do": "comment"}) for _ in range(6))

    assert answer.status_code == 429 and answer.headers["retry-after"] == "60"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>Too Many Requests</h1>" in answer.text and "60 s" in answer.text


def test_an_address_is_counted_whoever_comes_from_it(tight: DoorSite) -> None:
    done = [status for who in ("grace", "lena", "omar", "sam") for status in acts(tight, 4, who)]

    assert done.count(429) == 4 and 429 not in done[:12]


def test_nobody_is_counted_by_address_too(tight: DoorSite) -> None:
    done = acts(tight, 14, "", **{"X-Forwarded-For": "203.0.113.9"})

    assert done[:12].count(429) == 0 and done[12:] == [429, 429]


@pytest.mark.slow
def test_looking_is_not_counted(tight: DoorSite) -> None:
    with tight.as_("grace") as http:
        assert {http.get("/").status_code for _ in range(30)} == {200}


def test_wrong_keys_end_in_429_and_a_session_goes_on(tight: DoorSite) -> None:
    with tight.as_("", Authorization="Bearer adj_1_guess") as http:
        tried = [http.get("/api/v1/inbox").status_code for _ in range(6)]
    assert tried[-1] == 429 and keyed(tight, KEY).status_code == 429

    with tight.as_("grace") as http:
        assert http.get("/api/v1/inbox").status_code == 200
    tight.clock.advance(minutes=1)
    assert keyed(tight, KEY).status_code == 404


@pytest.mark.slow
def test_what_a_good_key_asks_for_in_vain_is_no_failure(tight: DoorSite) -> None:
    assert {keyed(tight, KEY).status_code for _ in range(10)} == {404}


@pytest.mark.parametrize("path", ["/links/e30.c2lnbmVk", "/sign-in/nowhere", "/set-up/nowhere"])
def test_guessing_at_what_only_one_was_given_ends_in_429(tight: DoorSite, path: str) -> None:
    with tight.as_("grace") as http:
        tried = [http.get(path).status_code for _ in range(6)]

    assert tried[:4] == [404] * 4 and tried[4:] == [429, 429]


def test_sign_ins_that_begin_are_counted_by_address_and_looking_at_the_page_is_not(
    tight: DoorSite,
) -> None:
    with tight.as_() as http:
        begun = [http.post("/sign-in", data={"back": "/"}).status_code for _ in range(3)]
        looked = [http.get("/sign-in").status_code for _ in range(2)]

    assert 429 not in begun[:2] and begun[2] == 429
    assert 429 not in looked  # there is no such page where nobody has a provider
    assert 429 not in acts(tight, 1)  # who is signed in goes on
    tight.clock.advance(seconds=60)
    with tight.as_() as http:
        assert http.post("/sign-in", data={"back": "/"}).status_code != 429


def test_links_are_counted_by_whom_they_are_for(tight: DoorSite) -> None:
    id = tight.ask()
    with tight.as_("lena") as http:
        made = [
            http.post(f"/api/v1/approvals/{id}/links", json={"action": "approve"}).status_code
            for _ in range(4)
        ]

    assert made == [201, 201, 201, 429]


def test_who_is_nobody_keeps_no_more_open_than_they_may(tight: DoorSite) -> None:
    """Requests that never end: their bodies do not come."""

    raw = []
    try:
        for _ in range(LIMITS.open_of_address):
            one = socket.create_connection(("127.0.0.1", tight.port), timeout=10)
            one.sendall(
                b"POST /own HTTP/1.1\r\n"
                b"Host: adjourn.example.com\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n"
            )
            assert one.recv(100).startswith(b"HTTP/1.1 100 ")  # so it is being read
            raw.append(one)
        with tight.as_("") as http:
            assert http.get("/healthz").status_code == 429
        with tight.as_("grace") as http:
            assert http.get("/").status_code == 200
    finally:
        for one in raw:
            one.close()


# Whom a request counts for.


def scope(peer: str, *forwarded: str) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    return {"type": "http", "client": (peer, 1), "headers": headers}


@pytest.mark.parametrize(
    ("peer", "forwarded", "counted"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.5", [], "10.0.0.5"),
        ("10.0.0.5", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.5", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.5", ["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.5", ["198.51.100.1, 10.0.0.6"], "198.51.100.1"),
        ("10.0.0.5", ["10.0.0.7"], "10.0.0.5"),
        ("10.0.0.5", ["unknown"], "10.0.0.5"),
        ("10.0.0.5", ["198.51.100.1, <script>"], "10.0.0.5"),
        ("10.0.0.5", [""], "10.0.0.5"),
        ("10.0.0.5", ["2001:db8::1"], "2001:db8::/64"),
        ("2001:db8::1", [], "2001:db8::/64"),
        ("::ffff:10.0.0.5", ["198.51.100.1"], "198.51.100.1"),  # as a socket for both writes it
        ("10.0.0.5", ["198.51.100.1, ::ffff:10.0.0.6"], "198.51.100.1"),
        ("::ffff:192.0.2.5", ["198.51.100.1"], "198.51.100.1"),
        ("192.0.2.5", ["198.51.100.1"], "198.51.100.1"),
        ("2001:db8::ffff:2", [], "2001:db8::/64"),
        ("::ffff:203.0.113.9", [], "203.0.113.9"),
    ],
)
def test_nobody_chooses_the_address_that_they_count_for(
    peer: str, forwarded: list[str], counted: str
) -> None:
    rates = Rates(Limits(proxies=["10.0.0.0/24", "::ffff:192.0.2.5"]), Clock().now)

    assert rates.address_of(scope(peer, *forwarded)) == counted


@pytest.mark.parametrize("text", ["proxy.example", "", "10.0.0.0/33", "10.0.0.1/24", "*"])
def test_what_is_no_network_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(WrongAddressError, match=r"limits\.proxies cannot be"):
        Rates(Limits(proxies=[text]), Clock().now)


@pytest.mark.parametrize("word", ["acts", "acts_of_address", "failures", "links"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "many", True])
def test_a_limit_is_at_least_one(word: str, value: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({word: value}, Limits)


def test_counters_of_strangers_take_no_more_room_than_they_may() -> None:
    clock = Clock()
    counters = Counters(clock.now, most=100)
    for number in range(150):
        counters.incr(f"stranger-{number}", 60)

    assert len(counters) == 100
    assert counters.get("stranger-49") == 0 and counters.get("stranger-50") == 1
    clock.advance(minutes=1)
    counters.incr("one more", 60)
    assert len(counters) == 1


@pytest.mark.slow
def test_the_same_word_counts_apart_for_each_purpose() -> None:
    rates = Rates(Limits(acts=1, acts_of_address=1, failures=1), Clock().now)
    for what, whose in ((ACTS, "identity"), (ACTS, "address"), (FAILURES, "address")):
        rates.count(what, whose, "lena")


@pytest.mark.slow
def test_on_this_machine_nobody_is_counted(tmp_path: Path) -> None:
    limits = Limits(acts=1, acts_of_address=1, failures=1, links=1, open_of_address=1)
    site = DoorSite(tmp_path / "cases.db", Access(limits=limits))
    try:
        own = {"Host": f"127.0.0.1:{site.port}", "Origin": site.address}
        assert 429 not in acts(site, 5, **own) + acts(site, 5, "", **own)
    finally:
        site.stop()
