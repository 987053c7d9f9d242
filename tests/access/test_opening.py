"""What an operator wrote down, checked whole before anything is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adjourn.access.opening import (
    MissingSecretError,
    NobodyKnownError,
    NoWayInError,
    PublicUrlError,
    SessionRulesError,
    check_beyond_loopback,
    check_settings,
    signs_in,
)
from adjourn.access.settings import Access, Provider, Proxy, SessionRules
from adjourn.errors import SettingsError

URL = "https://adjourn.example.com"
OIDC = Provider(issuer="https://id.example.com", client_id="a", client_secret_env="ADJOURN_OIDC")
PROXY = Proxy(trusted=["10.1.2.3"])


def test_nothing_written_down_is_this_machine_only() -> None:
    assert not signs_in(Access())
    assert not signs_in(Access(people_file="people.json", keys=False))
    for each in (
        Access(public_url=URL),
        Access(oidc=OIDC),
        Access(proxy=PROXY),
        Access(hosts=["a"]),
    ):
        assert signs_in(each)


@pytest.mark.parametrize(
    "given",
    [
        {"oidc": OIDC},
        {"proxy": PROXY, "people_file": "people.json"},
        {"oidc": OIDC, "proxy": PROXY, "keys": False},
        {},
    ],
)
@pytest.mark.parametrize(
    "url",
    [URL, "https://adjourn.example.com:8443", "http://localhost:7071", "http://127.0.0.1",
     "http://[::1]:7071"],
)  # fmt: skip
def test_a_way_in_and_an_address_are_enough(given: dict[str, Any], url: str) -> None:
    check_settings(Access(public_url=url, **given), {"ADJOURN_OIDC": "s"})


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"keys": False}, NoWayInError, "let nobody in"),
        ({"proxy": PROXY}, NobodyKnownError, "people_file"),
        ({"oidc": OIDC, "session": SessionRules(idle_minutes=0)}, SessionRulesError, "idle"),
        ({"session": SessionRules(idle_minutes=9, absolute_minutes=8)}, SessionRulesError, "below"),
        ({"session": SessionRules(absolute_minutes=10**9)}, SessionRulesError, "at most"),
        ({"session": SessionRules(idle_minutes=-5)}, SessionRulesError, "1 or more"),
    ],
)
def test_what_lets_nobody_in_or_everybody_for_ever_is_refused(
    given: dict[str, Any], error: type[SettingsError], words: str
) -> None:
    with pytest.raises(error, match=words):
        check_settings(Access(public_url=URL, **given), {"ADJOURN_OIDC": "s"})


@pytest.mark.parametrize("environment", [{}, {"ADJOURN_OIDC": ""}, {"adjourn_oidc": "s"}])
def test_a_secret_that_is_not_there_is_named(environment: dict[str, str]) -> None:
    with pytest.raises(MissingSecretError, match="ADJOURN_OIDC"):
        check_settings(Access(public_url=URL, oidc=OIDC), environment)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "There is no public_url"),
        ("adjourn.example.com", "no address"),
        ("ftp://adjourn.example.com", "no address"),
        ("javascript:alert(1)", "no address"),
        ("https://", "no address"),
        ("https://:443", "no address"),
        ("https://a:0", "no address"),
        ("https://a:99999", "no address"),
        ("https://[::1", "no address"),
        ("http://adjourn.example.com", "must be https"),
        ("http://10.0.0.1", "must be https"),
        ("http://localhost.evil.example", "must be https"),
        ("http://127.0.0.2", "must be https"),
        (f"{URL}/", "ends after the host"),
        (f"{URL}/adjourn", "ends after the host"),
        (f"{URL}?a=b", "ends after the host"),
        (f"{URL}?", "ends after the host"),
        (f"{URL}#x", "ends after the host"),
        ("https://me:secret@adjourn.example.com", "nothing else"),
        ("https://@adjourn.example.com", "nothing else"),
        ("https://adjourn.exämple.com", "nothing else"),
        ("https://adjourn.example.com\n", "nothing else"),
        ("https://adjourn example.com", "nothing else"),
        (" https://adjourn.example.com", "nothing else"),
        ("https://adjourn.example.com\\evil", "nothing else"),
        ("https://Adjourn.Example.com", "small letters"),
    ],
)
def test_an_address_that_browsers_cannot_find_us_at_safely_is_refused(url: str, words: str) -> None:
    with pytest.raises(PublicUrlError, match=words):
        check_settings(Access(public_url=url, oidc=OIDC), {"ADJOURN_OIDC": "s"})


@pytest.mark.parametrize("url", ["http://localhost:7071", "http://127.0.0.1:7071"])
def test_beyond_this_machine_plain_http_is_refused(url: str) -> None:
    with pytest.raises(PublicUrlError, match="must be https"):
        check_beyond_loopback(Access(public_url=url))
    check_beyond_loopback(Access(public_url=URL))


def test_nothing_is_opened_before_all_is_checked(tmp_path: Path) -> None:
    from adjourn.access.opening import open_gate
    from adjourn.store.records import Records

    class Untouched(Records):
        def __init__(self) -> None:
            pass

    with pytest.raises(NoWayInError):
        open_gate(Access(public_url=URL, keys=False), {}, Untouched(), lambda: None)  # type: ignore[arg-type, return-value]
