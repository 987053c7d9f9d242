"""Tricks by which a request would reach what only we can reach. Each is one attack row."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import re
import socket
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adjourn.notify.addresses import OutgoingRefusedError, is_public, read_place, read_url
from adjourn.notify.outgoing import BODY_LIMIT, Outgoing, Reply, UnreachableError
from tests.notify.certificates import Authority, authority
from tests.notify.hooks import Hooks, answer, some_hooks

PUBLIC = "93.184.216.34"
PUBLIC_6 = "2606:2800:220:1:248:1893:25c8:1946"


def meaning(*addresses: str) -> Outgoing:
    """A client for whose resolver every name means these, and that reads numbers as the C library
    does: 0177.1 and 2130706433 are 127.0.0.1."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        try:
            return [socket.inet_ntoa(socket.inet_aton(host))]
        except OSError:
            return addresses

    return Outgoing(resolve=resolve)


def refused(outgoing: Outgoing, url: str) -> str:
    """By which rule; empty where it is let through."""
    try:
        asyncio.run(outgoing.check(url))
    except OutgoingRefusedError as error:
        return error.rule
    return ""


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        # Numbers that some reader takes for 127.0.0.1.
        ("https://2130706433/", "host"),
        ("https://0x7f000001/", "host"),
        ("https://0x7f.0.0.1/", "host"),
        ("https://017700000001/", "host"),
        ("https://0177.0.0.1/", "host"),
        ("https://127.1/", "host"),
        ("https://127.0.1/", "host"),
        ("https://0/", "host"),
        ("https://00000000/", "host"),
        ("https://127.0.0.0x1/", "host"),
        ("https://127.0.0.01/", "host"),
        ("https://256.256.256.256/", "host"),
        ("https://1.2.3.4.5/", "host"),
        ("https://0x/", "host"),
        # Another host than the eye sees.
        ("https://hooks.example.com@127.0.0.1/", "url"),
        ("https://user:secret@hooks.example.com/", "url"),
        ("https://hooks.example.com:443@evil.test/", "url"),
        ("https://hooks.example.com%40evil.test/", "url"),
        ("https://hooks.example.com\\@evil.test/", "url"),
        ("https://evil.test\\.hooks.example.com/", "url"),
        ("https://hooks.example.com#@evil.test/", "url"),
        ("https://hooks.example.com/#fragment", "url"),
        ("https://hooks.example.com;evil.test/", "url"),
        ("https://[::1]hooks.example.com/", "url"),
        ("https://hooks.example.com?@evil.test/", "url"),
        ("https:hooks.example.com", "url"),
        ("https:///hooks.example.com/", "url"),
        ("//hooks.example.com/", "url"),
        ("/hooks", "url"),
        ("", "url"),
        # Dots and letters that are not what they look like.
        ("https://127\u30020\u30020\u30021/", "url"),
        ("https://127\uff0e0\uff0e0\uff0e1/", "url"),
        ("https://hooks\uff0eexample\uff0ecom/", "url"),
        ("https://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/", "url"),
        ("https://\uff11\uff12\uff17.\uff10.\uff10.\uff11/", "url"),
        ("https://\u24dbocalhost/", "url"),
        ("https://hooks.exa\u00admple.com/", "url"),
        ("https://hooks.example.com\u200b/", "url"),
        ("https://hooks.\u0435xample.com/", "url"),
        ("https://HOOKS.example.com/", "url"),
        ("https://%31%32%37.0.0.1/", "url"),
        ("https://127%2e0.0.1/", "url"),
        ("https://localhost%00.example.com/", "url"),
        ("https://hooks.example.com%0d%0aHost:evil/", "url"),
        # Dots, blanks and lines at its edges.
        ("https://127.0.0.1./", "host"),
        ("https://localhost./", "host"),
        ("https://hooks.example.com./", "host"),
        ("https://.example.com/", "host"),
        ("https://hooks..example.com/", "host"),
        ("https://-hooks.example.com/", "host"),
        ("https://hooks-.example.com/", "host"),
        ("https://hooks.example.com /", "url"),
        (" https://hooks.example.com/", "url"),
        ("https://hooks.example.com/\r\nHost: evil.test", "url"),
        ("https://hooks.example.com/a\nb", "url"),
        ("https://hooks.example.com/a b", "url"),
        ("https://hooks.example.com/\t", "url"),
        ("https://hooks.example.com\r\n", "url"),
        ("https://hooks.example.com/\n", "url"),
        ("https://hooks.example.com/%zz", "url"),
        ("https://hooks.example.com/" + "a" * 2_000, "url"),
        ("https://" + "a" * 64 + ".com/", "host"),
        ("https://" + "a.a" * 90 + ".com/", "host"),
        # Schemes.
        ("http://hooks.example.com/", "scheme"),
        ("HTTPS://hooks.example.com/", "url"),
        ("ftp://hooks.example.com/", "url"),
        ("file:///etc/passwd", "url"),
        ("gopher://127.0.0.1:25/_MAIL", "url"),
        ("javascript:alert(1)", "url"),
        ("data:text/plain,hello", "url"),
        ("unix:///var/run/docker.sock", "url"),
        ("https+unix://hooks/", "url"),
        # Ports.
        ("https://hooks.example.com:22/", "port"),
        ("https://hooks.example.com:8443/", "port"),
        ("https://hooks.example.com:80/", "port"),
        ("https://hooks.example.com:65536/", "port"),
        ("https://hooks.example.com:0/", "url"),
        ("https://hooks.example.com:0443/", "url"),
        ("https://hooks.example.com:+443/", "url"),
        ("https://hooks.example.com:443:22/", "url"),
        ("https://hooks.example.com:/", "url"),
        ("https://hooks.example.com:\uff14\uff14\uff13/", "url"),
        # IPv6, as it is written.
        ("https://[::1%25lo]/", "url"),
        ("https://[fe80::1%25eth0]/", "url"),
        ("https://[fe80::1%eth0]/", "url"),
        ("https://[::1/", "url"),
        ("https://::1/", "url"),
        ("https://[12345::1]/", "host"),
        ("https://[1::2::3]/", "host"),
        ("https://[v1.fe80]/", "url"),
    ],
)
def test_a_url_with_two_meanings_has_none(url: str, rule: str) -> None:
    assert refused(meaning(PUBLIC), url) == rule


PRIVATE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:169.254.169.254",
    "::ffff:93.184.216.34",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "100::1",
    "2001::1",
    "2001:0:7f00:1::1",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a9fe:a9fe::1",
    "2001:470:1f0b::5efe:7f00:1",
    "2a00:1450:4001::200:5efe:7f00:1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_not_reached_however_it_is_said(address: str) -> None:
    written = f"[{address}]" if ":" in address else address
    assert refused(meaning(PUBLIC), f"https://{written}/") == "private"
    assert refused(meaning(address), "https://hooks.example.com/") == "private", "its name"
    assert refused(meaning(PUBLIC, address), "https://hooks.example.com/") == "private", "in part"


@pytest.mark.parametrize("answers", [[], ["nonsense"], [""], ["127.0.0.1:80"], [PUBLIC] * 17])
def test_what_the_resolver_cannot_say_is_not_guessed(answers: list[str]) -> None:
    assert refused(meaning(*answers), "https://hooks.example.com/") == "unknown"


def test_an_address_with_a_zone_is_a_link_local_one() -> None:
    assert refused(meaning("fe80::1%eth0"), "https://hooks.example.com/") == "private"
    assert not is_public(ipaddress.ip_address("2606:2800:220:1::1%eth0"))


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("evil.test", False),
        ("hooks.example.com", True),
        ("hooks.example.com.evil.test", False),
        ("evilhooks.example.com", False),
        ("a.b.example.org", True),
        ("example.org", False),
        ("evilexample.org", False),
    ],
)
def test_only_the_hosts_that_are_allowed(host: str, allowed: bool) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return [PUBLIC]

    outgoing = Outgoing(hosts=["hooks.example.com", ".example.org"], resolve=resolve)
    assert refused(outgoing, f"https://{host}/") == ("" if allowed else "not_allowed")


@pytest.mark.parametrize(
    "url",
    [
        f"https://{PUBLIC}/",
        f"https://[{PUBLIC_6}]/",
        "https://hooks.example.com",
        "https://hooks.example.com:443/a/b?c=d&e=%2F",
        "https://xn--bcher-kva.example/~x",
        "https://1.hooks.example/",
    ],
)
def test_what_is_in_order_is_let_through(url: str) -> None:
    assert refused(meaning(PUBLIC, PUBLIC_6), url) == ""


# Over real connections.


@pytest.fixture
def trap() -> Iterator[Hooks]:
    """What must not be reached."""
    with some_hooks() as made:
        yield made


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("authority"))


def post(outgoing: Outgoing, url: str, **headers: str) -> Reply:
    return asyncio.run(outgoing.post(url, b"{}", headers))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["http://{trap}/", "//{trap}/", "/again", "https://{trap}/"])
def test_no_redirect_is_followed(trap: Hooks, status: int, where: str) -> None:
    location = where.format(trap=trap.place)
    with some_hooks(says=lambda _: answer(status, location=location)) as hooks:
        outgoing = Outgoing(allow_private=[hooks.place, trap.place])
        assert post(outgoing, f"http://{hooks.place}/").status == status
        assert len(hooks.calls) == 1
    assert trap.connections == 0


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_no_proxy_of_the_environment_is_used(
    trap: Hooks, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, f"http://{trap.place}")
    monkeypatch.setenv("NO_PROXY", "")
    with some_hooks() as hooks:
        outgoing = Outgoing(allow_private=[hooks.place])
        assert post(outgoing, f"http://{hooks.place}/").status == 204
    assert trap.connections == 0


def test_a_name_is_looked_up_once_and_that_very_address_is_connected_to() -> None:
    """Whoever keeps its zone answers anew each time: the second answer would be another."""
    asked: list[str] = []
    with some_hooks() as hooks:

        async def resolve(host: str, port: int) -> Sequence[str]:
            asked.append(host)
            return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

        outgoing = Outgoing(allow_private=[hooks.place], resolve=resolve)
        assert post(outgoing, f"http://rebinding.test:{hooks.port}/x?y=1").status == 204
        (called,) = hooks.calls
    assert asked == ["rebinding.test"]
    assert called.line == "POST /x?y=1 HTTP/1.1"
    assert called.headers["host"] == f"rebinding.test:{hooks.port}"


def test_a_private_place_is_that_address_and_that_port_only(trap: Hooks) -> None:
    with some_hooks() as hooks:
        outgoing = Outgoing(allow_private=[hooks.place])
        with pytest.raises(OutgoingRefusedError):
            post(outgoing, f"http://{trap.place}/")
        with pytest.raises(OutgoingRefusedError):
            post(outgoing, f"http://127.0.0.2:{hooks.port}/")
        with pytest.raises(OutgoingRefusedError):
            post(outgoing, f"http://[::1]:{hooks.port}/")
    assert trap.connections == 0


@pytest.mark.parametrize("place", ["127.0.0.1", "localhost:80", "127.1:80", "::1", "10.0.0.0/8:1"])
def test_a_private_place_is_written_out(place: str) -> None:
    with pytest.raises(ValueError, match="is no place"):
        read_place(place)
    assert read_place("[0:0:0:0:0:0:0:1]:9000") == "[::1]:9000"


def test_the_certificate_is_that_of_the_name(signer: Authority) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    with some_hooks(tls=signer.serving("hooks.test")) as hooks:
        trusting = Outgoing(allow_private=[hooks.place], resolve=resolve, ca_file=signer.file)
        assert post(trusting, f"https://hooks.test:{hooks.port}/").status == 204
        for host in ("other.test", "127.0.0.1"):
            with pytest.raises(UnreachableError, match="certificate"):
                post(trusting, f"https://{host}:{hooks.port}/")
        strange = Outgoing(allow_private=[hooks.place], resolve=resolve)
        with pytest.raises(UnreachableError, match="certificate"):
            post(strange, f"https://hooks.test:{hooks.port}/")
        assert len(hooks.calls) == 1


def test_an_old_certificate_is_none(signer: Authority) -> None:
    old = signer.serving("old.test", until=datetime(2021, 1, 1, tzinfo=UTC))

    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    with some_hooks(tls=old) as hooks:
        outgoing = Outgoing(allow_private=[hooks.place], resolve=resolve, ca_file=signer.file)
        with pytest.raises(UnreachableError, match="expired"):
            post(outgoing, f"https://old.test:{hooks.port}/")


def test_an_endless_answer_is_read_to_its_limit(trap: Hooks) -> None:
    trap.says = lambda _: answer(200, b"a" * (BODY_LIMIT * 20))
    reply = post(Outgoing(allow_private=[trap.place]), f"http://{trap.place}/")
    assert len(reply.body) == BODY_LIMIT


def test_a_packed_answer_stays_packed(trap: Hooks) -> None:
    packed = gzip.compress(b"a" * 10_000_000)
    trap.says = lambda _: answer(200, packed, content_encoding="gzip")
    reply = post(Outgoing(allow_private=[trap.place]), f"http://{trap.place}/")
    assert reply.body == packed
    assert trap.calls[0].headers["accept-encoding"] == "identity"


def test_who_never_answers_is_left(trap: Hooks) -> None:
    trap.held = asyncio.Event()
    outgoing = Outgoing(allow_private=[trap.place], timeout_seconds=0.05)
    with pytest.raises(UnreachableError, match="no answer within"):
        post(outgoing, f"http://{trap.place}/")


@pytest.mark.parametrize(
    "garbage", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 999999 x\r\n\r\n", b"HTTP/9 200 OK\r\n\r\n"]
)
def test_what_is_no_answer_is_told_as_trouble(trap: Hooks, garbage: bytes) -> None:
    trap.says = lambda _: garbage
    with pytest.raises(UnreachableError):
        post(Outgoing(allow_private=[trap.place]), f"http://{trap.place}/")


def test_the_next_address_is_tried_where_nobody_listens(trap: Hooks) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.9", "127.0.0.1"]

    outgoing = Outgoing(allow_private=[f"127.0.0.9:{trap.port}", trap.place], resolve=resolve)
    assert post(outgoing, f"http://two.test:{trap.port}/").status == 204


def test_the_path_goes_out_as_it_stands() -> None:
    target = read_url("https://hooks.example.com/a/../b//c?d=%2e%2E&e=/?")
    assert (target.host, target.port) == ("hooks.example.com", 443)
    assert target.path == "/a/../b//c?d=%2e%2E&e=/?"


def test_the_room_has_no_other_way_out() -> None:
    """What asks a server that somebody else chose asks through `Outgoing`."""
    room = Path(__file__).parents[2] / "src" / "adjourn" / "notify"
    asking = re.compile(r"^(?:import|from) (?:httpx|urllib\.request|http\.client|requests)\b", re.M)
    files = list(room.glob("*.py"))
    assert [each.name for each in files if asking.search(each.read_text())] == ["outgoing.py"]
