"""Sign-ins that somebody else began, repeated, mixed up or led astray."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from adjourn.access.addresses import own_path
from adjourn.access.oidc import SPACE, SignIn
from adjourn.access.refusals import SignInRefusedError
from adjourn.access.sessions import SignedIn
from tests.access.rig import Rig, rig, run

pytestmark = pytest.mark.slow  # tens of milliseconds each, and there are many


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path) as made:
        yield made


def attempt(one: Rig, cookie: str, query: dict[str, str]) -> SignInRefusedError:
    return run(one.refused(one.oidc.finish(cookie, query)))


def test_a_callback_counts_once(one: Rig) -> None:
    query, cookie = run(one.begin())
    assert run(one.oidc.finish(cookie, query))[0].subject == "ada"
    redeemed = len(one.provider.forms)

    assert attempt(one, cookie, query).why == "not_begun_here"
    assert len(one.provider.forms) == redeemed  # the provider is not even asked


def test_of_two_callbacks_at_once_one_counts(one: Rig) -> None:
    async def both() -> list[Any]:
        query, cookie = await one.begin()
        twice = [one.oidc.finish(cookie, query) for _ in range(8)]
        return await asyncio.gather(*twice, return_exceptions=True)

    answers = run(both())

    assert sum(isinstance(each, tuple) for each in answers) == 1
    assert sum(isinstance(each, SignInRefusedError) for each in answers) == 7
    assert len(one.provider.forms) == 1


STOLEN = ["no cookie", "a guess", "another browser's", "too long", "its hash", "not ascii"]


@pytest.mark.parametrize("which", STOLEN)
def test_a_stolen_callback_is_worth_nothing_in_another_browser(one: Rig, which: str) -> None:
    query, cookie = run(one.begin())
    other = run(one.oidc.begin("/"))[1]
    kept = run(one.records.all(SPACE, SignIn))
    given = {
        "no cookie": "",
        "a guess": "A" * len(cookie),
        "another browser's": other,
        "too long": cookie + "A" * 10_000,
        "its hash": next(iter(kept)),
        "not ascii": "\udcff" + cookie[1:],
    }[which]

    assert attempt(one, given, query).why == "not_begun_here"
    assert one.provider.forms == []
    assert run(one.oidc.finish(cookie, query))[0].subject == "ada"  # it ends nobody's own


STATES = ["", "x", "other", "twice as long", "\u0000", "\ud800", "x" * 10_000]


@pytest.mark.parametrize("state", STATES)
def test_an_answer_to_another_sign_in_is_refused(one: Rig, state: str) -> None:
    query, cookie = run(one.begin())
    other, _ = run(one.begin())
    given = {"other": other["state"], "twice as long": query["state"] * 2}.get(state, state)

    assert attempt(one, cookie, {**query, "state": given}).why == "not_begun_here"
    assert one.provider.forms == []
    assert run(one.oidc.finish(cookie, query))[0].subject == "ada"


def test_an_answer_without_a_state_is_refused(one: Rig) -> None:
    query, cookie = run(one.begin())
    del query["state"]

    assert attempt(one, cookie, query).why == "not_begun_here"


def test_somebody_elses_code_in_ones_own_callback_is_refused_by_the_challenge(one: Rig) -> None:
    """Login CSRF and code injection: the code was granted to another challenge."""
    query, cookie = run(one.begin())
    one.provider.who = "eve"
    theirs, _ = run(one.begin())

    error = attempt(one, cookie, {**query, "code": theirs["code"]})

    assert error.why == "not_begun_here"
    assert one.provider.forms[-1]["code"] == theirs["code"]


def test_a_provider_that_forgets_the_challenge_is_caught_by_the_nonce(one: Rig) -> None:
    query, cookie = run(one.begin())
    one.provider.who = "eve"
    theirs, _ = run(one.begin())
    mine = one.provider.codes[query["code"]].words["code_challenge"]
    one.provider.codes[theirs["code"]].words["code_challenge"] = mine

    assert attempt(one, cookie, {**query, "code": theirs["code"]}).why == "token"


def test_a_wrong_verifier_is_refused(one: Rig) -> None:
    query, cookie = run(one.begin())
    one.provider.codes[query["code"]].words["code_challenge"] = "A" * 43

    assert attempt(one, cookie, query).why == "not_begun_here"


def test_a_code_that_was_used_is_refused(one: Rig) -> None:
    query, cookie = run(one.begin())
    one.provider.codes.clear()

    assert attempt(one, cookie, query).why == "not_begun_here"


@pytest.mark.parametrize("code", ["", "x", "x" * 10_000, "\r\nX: y", "../token"])
def test_a_code_that_the_provider_never_gave_is_refused(one: Rig, code: str) -> None:
    query, cookie = run(one.begin())

    assert attempt(one, cookie, {**query, "code": code}).why == "not_begun_here"


def test_after_ten_minutes_it_is_over(one: Rig) -> None:
    query, cookie = run(one.begin())
    one.clock.advance(minutes=10)

    assert attempt(one, cookie, query).why == "not_begun_here"


@pytest.mark.parametrize("said", ["https://idp.example.com", "", "http://127.0.0.1"])
def test_an_answer_that_names_another_provider_is_refused(one: Rig, said: str) -> None:
    query, cookie = run(one.begin())

    assert attempt(one, cookie, {**query, "iss": said}).why == "not_begun_here"
    assert one.provider.forms == []


def test_a_provider_that_always_names_itself_is_held_to_it(one: Rig) -> None:
    one.provider.document = {"authorization_response_iss_parameter_supported": True}
    query, cookie = run(one.begin())

    assert attempt(one, cookie, query).why == "not_begun_here"
    query, cookie = run(one.begin())
    named = {**query, "iss": one.provider.issuer}
    assert run(one.oidc.finish(cookie, named))[0].subject == "ada"


DECLINED = {
    "access_denied": "declined",
    "login_required": "declined",
    "server_error": "unreachable",
    "temporarily_unavailable": "unreachable",
    "invalid_request": "provider_error",
    "<script>alert(1)</script>": "provider_error",
    "": "provider_error",
}


@pytest.mark.parametrize("error", DECLINED)
def test_what_the_provider_declines_is_told_in_our_own_words(
    one: Rig, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    query, cookie = run(one.begin("/approvals/a"))
    said = {"state": query["state"], "error": error, "error_description": "<b>Call 555-1234</b>"}

    refused = attempt(one, cookie, said)

    assert refused.why == DECLINED[error] and refused.back == "/approvals/a"
    for text in (str(refused), refused.heading, refused.detail, caplog.text):
        assert "<" not in text and "555" not in text
    assert attempt(one, cookie, query).why == "not_begun_here"  # it is over


def test_somebody_who_only_says_that_it_was_declined_ends_nothing(one: Rig) -> None:
    query, cookie = run(one.begin())

    assert attempt(one, cookie, {"state": "x", "error": "access_denied"}).why == "not_begun_here"
    assert run(one.oidc.finish(cookie, query))[0].subject == "ada"


ASTRAY = ["//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example",
          "javascript:alert(1)", "", "evil", "/a\r\nSet-Cookie: x=y", "/\u202e", "/\tevil",
          "http:/evil", "/" + "a" * 5_000]  # fmt: skip


@pytest.mark.parametrize("back", ASTRAY)
def test_nobody_is_led_away_after_signing_in(one: Rig, back: str) -> None:
    assert own_path(back) == "/"
    assert run(one.sign_in(back))[1] == "/"
    query, cookie = run(one.begin(back))
    assert attempt(one, cookie, {**query, "code": "x"}).back == "/"


def test_nothing_secret_is_logged_or_told(one: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    secrets: list[str] = []

    async def go() -> SignInRefusedError:
        query, cookie = await one.begin()
        kept = next(iter((await one.records.all(SPACE, SignIn)).values()))
        secrets.extend([cookie, query["code"], query["state"], kept.nonce, kept.verifier])
        one.provider.claims = {"aud": "other", "email": "ada@example.com"}
        return await one.refused(one.oidc.finish(cookie, query))

    error = run(go())

    ours = [each.getMessage() for each in caplog.records if each.name.startswith("adjourn")]
    assert ours == ["sign-in refused: token (its aud is another client)"]
    told = "\n".join([*ours, str(error), error.detail, error.heading, repr(error)])
    assert not any(secret in told for secret in [*secrets, "ada@example.com"])
    assert error.__cause__ is None and error.__suppress_context__


def test_what_is_kept_of_a_session_is_nothing_to_come_in_with(one: Rig) -> None:
    async def kept() -> tuple[str, list[str]]:
        _, cookie = await one.oidc.begin("/")
        return cookie, list(await one.records.all(SPACE, SignIn))

    cookie, keys = run(kept())

    assert len(cookie) == 43 and keys and cookie not in keys[0]


def test_two_sign_ins_share_nothing(one: Rig) -> None:
    async def begin() -> set[str]:
        address, cookie = await one.oidc.begin("/")
        asked = dict(parse_qsl(urlsplit(address).query))
        return {cookie, asked["state"], asked["nonce"], asked["code_challenge"]}

    assert len(run(begin()) | run(begin())) == 8


def test_a_second_tab_does_not_disturb_the_first_ones_provider(one: Rig) -> None:
    """The cookie is the later tab's: the earlier one is told to begin again, and the later one
    goes on."""
    first, _ = run(one.begin("/a"))
    second, cookie = run(one.begin("/b"))

    assert attempt(one, cookie, first).why == "not_begun_here"
    signed_in: SignedIn
    signed_in, back = run(one.oidc.finish(cookie, second))
    assert (signed_in.subject, back) == ("ada", "/b")
