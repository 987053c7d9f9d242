"""The header of a trusted proxy: from whom it counts, and whom it means."""

from __future__ import annotations

import logging

import pytest
from starlette.datastructures import Headers

from adjourn.access.proxy import TrustedProxy
from adjourn.access.settings import Proxy
from adjourn.approvals.people import LocalPeople, Person
from adjourn.errors import InvalidSettingError

PEOPLE = LocalPeople(
    [
        Person(id="lena", name="Lena", accounts={"proxy": "CORP\\lfischer"}, email="Lena@Corp.com"),
        Person(id="omar", name="Omar", accounts={"teams": "t/omar"}, email="desk@corp.com"),
        Person(id="sam", name="Sam", email="desk@corp.com"),
        Person(id="grace@corp.com", name="Grace", email="grace@corp.com"),
        Person(id="ivo@corp.com", name="Ivo", email="other@corp.com"),
        Person(id="mia", name="Mia", email="ivo@corp.com"),
        Person(id="nora", name="Nora", email="nora@corp.com", disabled=True),
        Person(id="kim", name="Kim", accounts={"proxy": "nora"}),
        Person(id="pat", name="Pat"),
        Person(id="jo", name="Jo", email="jo@gross.com"),
    ]
)
TRUSTED = ["10.1.2.3", "192.168.7.0/24", "2001:db8:1::/48", "fe80::1%eth0", "::ffff:10.9.0.0/112"]
HEADER = b"x-forwarded-user"


def proxy(trusted: list[str] = TRUSTED, header: str = "X-Forwarded-User") -> TrustedProxy:
    return TrustedProxy(Proxy(trusted=trusted, header=header), PEOPLE)


def headers(*lines: tuple[bytes, bytes]) -> Headers:
    return Headers(raw=[(b"host", b"adjourn.example.com"), *lines])


# From whom.


@pytest.mark.parametrize(
    "peer",
    [
        "10.1.2.3",
        "::ffff:10.1.2.3",
        "::ffff:a01:203",
        "192.168.7.200",
        "2001:db8:1::77",
        "2001:0db8:0001:0000:0000:0000:0000:0077",
        "fe80::1%eth0",
        "10.9.1.1",
        "::ffff:10.9.1.1",
    ],
)
def test_the_header_counts_from_a_proxy_however_its_address_is_written(peer: str) -> None:
    assert proxy().trusts(peer)
    assert proxy().person(headers((HEADER, b"lena")), peer) == "lena"


@pytest.mark.parametrize(
    "peer",
    [
        "",
        "localhost",
        "127.0.0.1",
        "::1",
        "10.1.2.4",
        "10.1.2.30",
        "10.1.2.3.",
        "10.1.2.3:80",
        "10.1.2.3,10.1.2.3",
        " 10.1.2.3",
        "10.1.2.3\n",
        "010.001.002.003",
        "10.1.515",
        "167838211",
        "0x0a010203",
        "::10.1.2.3",
        "::ffff:0:10.1.2.3",
        "64:ff9b::10.1.2.3",
        "2002:a01:203::",
        "::ffff:10.1.2.4",
        "::ffff:10.1.2.3%eth0",
        "192.168.8.1",
        "2001:db8:2::1",
        "fe80::1",
        "fe80::1%eth1",
        "fe80::1%",
        "fe80::2%eth0",
        "2001:db8:1::77%eth0",
        "10.10.0.1",
        "/run/proxy.sock",
    ],
)
def test_the_header_counts_from_nobody_else(peer: str) -> None:
    assert not proxy().trusts(peer)
    assert proxy().person(headers((HEADER, b"lena")), peer) is None


# Whom it means.


@pytest.mark.parametrize(
    ("value", "person"),
    [
        (b"lena", "lena"),
        (b"CORP\\lfischer", "lena"),
        (b"lena@corp.com", "lena"),
        (b"LENA@CORP.COM", "lena"),
        (b"grace@corp.com", "grace@corp.com"),
        (b"pat", "pat"),
    ],
)
def test_a_person_is_meant_by_id_by_account_or_by_mail_address(value: bytes, person: str) -> None:
    assert proxy().person(headers((HEADER, value)), "10.1.2.3") == person


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [(HEADER, b"")],
        [(HEADER, b" ")],
        [(HEADER, b"lena ")],
        [(HEADER, b" lena")],
        [(HEADER, b"LENA")],
        [(HEADER, b"corp\\lfischer")],
        [(HEADER, b"t/omar")],
        [(HEADER, b"stranger")],
        [(HEADER, b"lena\n")],
        [(HEADER, b"lena\r\nx-forwarded-user: omar")],
        [(HEADER, b"lena\0")],
        [(HEADER, b"lena,omar")],
        [(HEADER, b"lena, lena")],
        [(HEADER, b'"lena"')],
        [(HEADER, b"lena;admin")],
        [(HEADER, "l\u00e9na".encode())],
        [(HEADER, "\u2113ena@corp.com".encode())],
        [(HEADER, b"jo@gro\xdf.com")],
        [(HEADER, b"x" * 100_000)],
        [(HEADER, b"desk@corp.com")],
        [(HEADER, b"ivo@corp.com")],
        [(HEADER, b"nora@corp.com")],
        [(HEADER, b"nora")],
        [(HEADER, b"@")],
        [(HEADER, b"lena"), (HEADER, b"lena")],
        [(HEADER, b"lena"), (HEADER, b"omar")],
        [(HEADER, b""), (HEADER, b"lena")],
        [(HEADER, b"lena"), (b"X-Forwarded-User", b"omar")],
        [(HEADER, b"lena"), (b"x_forwarded_user", b"omar")],
        [(HEADER, b"lena"), (b"x-forwarded_user", b"omar")],
        [(b"X_FORWARDED_USER", b"omar"), (HEADER, b"lena")],
        [(b"x_forwarded_user", b"lena")],
        [(b"x-forwarded_user", b"lena")],
        [(b"http_x_forwarded_user", b"lena")],
        [(b"x-forwarded-user ", b"lena")],
        [(b"x-forwarded-users", b"lena")],
        [(b"x-remote-user", b"lena")],
        [(b"forwarded", b"user=lena")],
        [(b"cookie", b"x-forwarded-user=lena")],
    ],
)
def test_everything_else_means_nobody(lines: list[tuple[bytes, bytes]]) -> None:
    assert proxy().person(headers(*lines), "10.1.2.3") is None


def test_what_means_two_people_is_said_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    assert proxy().person(headers((HEADER, b"desk@corp.com")), "10.1.2.3") is None
    assert "means 2 people: ['omar', 'sam']" in caplog.text


def test_a_mapping_without_doubles_is_read_as_well() -> None:
    assert proxy().person({"x-forwarded-user": "lena"}, "10.1.2.3") == "lena"
    doubled = {"x-forwarded-user": "lena", "x_forwarded_user": "omar"}
    assert proxy().person(doubled, "10.1.2.3") is None


# Which settings.


@pytest.mark.parametrize(
    ("trusted", "words"),
    [
        ([], "empty"),
        (["0.0.0.0/0"], "/16 at the widest"),
        (["0.0.0.0/1", "128.0.0.0/1"], "/16 at the widest"),
        (["10.0.0.0/8"], "/16 at the widest"),
        (["127.0.0.0/8"], "/16 at the widest"),
        (["172.16.0.0/12"], "/16 at the widest"),
        (["10.1.2.3", "10.0.0.0/15"], "/16 at the widest"),
        (["::/0"], "/48 at the widest"),
        (["2000::/3"], "/48 at the widest"),
        (["fc00::/7"], "/48 at the widest"),
        (["2001:db8::/47"], "/48 at the widest"),
        (["::ffff:0:0/96"], "/16 at the widest"),
        (["::ffff:10.0.0.0/104"], "/16 at the widest"),
        (["64:ff9b::/96"], "/112 at the widest"),
        (["*"], "no address"),
        (["all"], "no address"),
        (["localhost"], "not looked up"),
        (["proxy.corp.com"], "not looked up"),
        ([""], "no address"),
        (["10.1.2.3/24"], "host bits"),
        (["10.1.2"], "no address"),
        (["10.1.2.3:8080"], "no address"),
        (["010.1.2.3"], "no address"),
        (["unix:proxy.sock"], "no address"),
        (["10.1.2.3%eth0"], "no link-local"),
        (["2001:db8::1%eth0"], "no link-local"),
        (["fe80::%eth0/64"], "no link-local"),
    ],
)
def test_too_many_proxies_are_refused_with_what_to_write(trusted: list[str], words: str) -> None:
    with pytest.raises(InvalidSettingError, match="trusted = ") as caught:
        proxy(trusted)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        *("", "x forwarded", "x_forwarded_user", "x-user:", "x-user\n", "h\u00e4der", "1-user"),
        *("Authorization", "cookie", "Host", "x-forwarded-for", "origin", "a" * 62),
    ],
)
def test_a_header_that_means_something_else_is_refused(name: str) -> None:
    with pytest.raises(InvalidSettingError, match=r"proxy\.header"):
        proxy(header=name)


@pytest.mark.parametrize("own", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "127.0.0.0/16", "::/64"])
def test_a_proxy_on_this_machine_is_taken_and_said_to_trust_everybody_on_it(
    own: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert proxy([own]).trusts("127.0.0.1" if "." in own else "::1")
    assert "every program and every person on it can sign in as anybody" in caplog.text


def test_a_proxy_elsewhere_is_taken_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    proxy()
    assert caplog.text == ""
