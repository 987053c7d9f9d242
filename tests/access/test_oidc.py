"""Sign-in with a provider as it goes well: who it is, where they go on, and what is asked of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from adjourn.access import oidc
from adjourn.access.arrivals import own_id
from adjourn.access.oidc import NEVER, SPACE, SignIn
from adjourn.access.sessions import Session
from adjourn.approvals.people import Person
from tests.access.provider import DISCOVERY, Provider, ec_key, rsa_key
from tests.access.rig import PUBLIC, START, Rig, member, rig, run


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path) as made:
        yield made


@pytest.mark.slow
def test_whoever_signs_in_comes_back_to_where_they_were_going(one: Rig) -> None:
    one.provider.people["ada"] = {"name": "Ada Lovelace", "sid": "s-1"}

    signed_in, back = run(one.sign_in("/approvals/a?tab=why"))

    account = f"{one.provider.issuer}|ada"
    assert back == "/approvals/a?tab=why"
    assert (signed_in.how, signed_in.issuer, signed_in.subject) == (
        "oidc",
        one.provider.issuer,
        "ada",
    )
    assert signed_in.person == own_id(account) and signed_in.provider_session == "s-1"
    assert signed_in.at == START and signed_in.id_token.count(".") == 2
    person = one.directory.find(signed_in.person)
    assert person is not None and person.name == "Ada Lovelace"
    assert person.accounts == {"oidc": account} and person.roles == [] and person.groups == []


def test_sign_ins_that_nobody_goes_on_with_fill_no_file_and_keep_nobody_out(
    one: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may begin one. Those that began first make room, so whoever is on their way now is
    not the one who pays for it."""
    monkeypatch.setattr(oidc, "OPEN_LIMIT", 5)

    async def flood() -> int:
        for _ in range(12):
            one.clock.advance(seconds=1)
            await one.oidc.begin("/")
        return len(await one.records.all(SPACE, SignIn))

    async def story() -> None:
        assert await flood() == 5
        one.clock.advance(seconds=1)
        query, cookie = await one.begin("/mine")
        for _ in range(4):
            one.clock.advance(seconds=1)
            await one.oidc.begin("/")
        assert (await one.oidc.finish(cookie, query))[1] == "/mine"

    run(story())


def test_the_browser_is_sent_with_a_challenge_and_nothing_that_must_stay_here(one: Rig) -> None:
    async def begin() -> tuple[str, SignIn]:
        address, cookie = await one.oidc.begin("/")
        kept = await one.records.all(SPACE, SignIn)
        assert cookie not in kept and len(kept) == 1
        return address, next(iter(kept.values()))

    address, kept = run(begin())
    asked = dict(parse_qsl(urlsplit(address).query))

    assert asked.keys() == {
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
    }
    assert asked["redirect_uri"] == f"{PUBLIC}/sign-in/callback"
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert asked["scope"] == "openid profile email"
    assert asked["state"] == kept.state and asked["nonce"] == kept.nonce
    assert len({kept.state, kept.nonce, kept.verifier}) == 3
    assert kept.verifier not in address and len(kept.verifier) >= 43


def test_a_secret_goes_to_the_token_endpoint_alone(
    one: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_SECRET", "s3cr&t/+ü")
    one.provider.client_secret = "s3cr&t/+ü"
    one.open(client_secret_env="THE_SECRET")

    run(one.sign_in())

    assert one.provider.forms[-1]["client_secret"] == "s3cr&t/+ü"
    assert not any("s3cr" in address for address in one.provider.authorizations)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256"])
def test_each_algorithm_of_our_list_is_taken(one: Rig, algorithm: str) -> None:
    key = ec_key("two") if algorithm == "ES256" else rsa_key("one")
    one.provider.key, one.provider.header = key, {"alg": algorithm, "kid": key.kid}

    assert run(one.sign_in())[0].subject == "ada"


def test_a_header_that_nobody_knows_hurts_nobody(one: Rig) -> None:
    token = rsa_key("one")
    one.provider.header = {"alg": "RS256", "kid": token.kid, "pi.atm": "x"}
    # joserfc refuses to write it, so it is written by hand.
    from tests.access.test_oidc_tokens import signed

    one.provider.make = lambda claims: signed(one.provider.header, claims, rsa_key("one"))

    assert run(one.sign_in())[0].subject == "ada"


def test_a_list_of_audiences_is_taken_where_we_are_the_party_that_asked(one: Rig) -> None:
    one.provider.claims = {"aud": ["adjourn", "other"], "azp": "adjourn"}

    assert run(one.sign_in())[0].subject == "ada"


def test_a_clock_that_is_a_little_off_hurts_nobody(one: Rig) -> None:
    now = int(START.timestamp())
    one.provider.claims = {"iat": now + 290, "exp": now - 290, "nbf": now + 290}

    assert run(one.sign_in())[0].subject == "ada"


@pytest.mark.slow
def test_a_new_key_of_the_provider_is_asked_for_once(one: Rig) -> None:
    run(one.sign_in())
    assert one.provider.heard.count("GET /keys") == 1
    new = rsa_key("three")
    one.provider.key, one.provider.header = new, {"alg": "RS256", "kid": "three"}
    one.provider.published = [new.as_dict(private=False)]

    assert run(one.sign_in())[0].subject == "ada"
    assert one.provider.heard.count("GET /keys") == 2


def test_what_it_publishes_is_believed_for_an_hour(one: Rig) -> None:
    run(one.sign_in())
    one.clock.advance(minutes=59)
    run(one.sign_in())
    assert one.provider.heard.count(f"GET {DISCOVERY}") == 1

    one.clock.advance(minutes=1)
    run(one.sign_in())

    assert one.provider.heard.count(f"GET {DISCOVERY}") == 2
    assert one.provider.heard.count("GET /keys") == 2


def test_a_broken_key_does_not_take_the_others_with_it(one: Rig) -> None:
    good = rsa_key("one").as_dict(private=False)
    one.provider.published = [{"kty": "RSA", "n": "!", "e": "x"}, {"kty": "EC"}, {}, good]

    assert run(one.sign_in())[0].subject == "ada"


# When they proved who they are.


def test_a_sign_in_is_as_fresh_as_the_provider_says(one: Rig) -> None:
    one.provider.auth_time = int(START.timestamp()) - 8 * 3600

    assert run(one.sign_in())[0].at == START - timedelta(hours=8)


def test_where_the_provider_does_not_say_it_is_never_fresh(one: Rig) -> None:
    one.provider.claims = {"auth_time": None}

    assert run(one.sign_in())[0].at == NEVER


def test_asked_again_they_prove_who_they_are_now(one: Rig) -> None:
    one.provider.auth_time = int(START.timestamp()) - 3600

    signed_in, back = run(one.sign_in("/approvals/a", again=True))

    asked = dict(parse_qsl(urlsplit(one.provider.authorizations[-1]).query))
    assert (asked["prompt"], asked["max_age"]) == ("login", "0")
    assert signed_in.at == START and back == "/approvals/a"


def test_a_provider_whose_clock_is_off_still_proves_a_fresh_sign_in(one: Rig) -> None:
    ahead = int(START.timestamp()) + 200
    one.provider.claims = {"iat": ahead, "auth_time": ahead - 1, "exp": ahead + 300}

    assert run(one.sign_in(again=True))[0].at == START - timedelta(seconds=1)


# Who they are.


def test_a_person_of_the_file_is_found_by_their_account(one: Rig) -> None:
    account = f"{one.provider.issuer}|ada"
    one.open([Person(id="lena", name="Lena", accounts={"oidc": account})], strangers=False)

    assert run(one.sign_in())[0].person == "lena"


def test_a_person_of_the_file_is_found_by_their_address_once(one: Rig) -> None:
    one.provider.people = {
        "ada": {"email": "Lena@Example.com", "email_verified": True},
        "eve": {"email": "lena@example.com", "email_verified": True},
    }
    one.open([Person(id="lena", name="Lena", email="lena@EXAMPLE.com")], strangers=False)

    assert run(one.sign_in())[0].person == "lena"
    one.provider.people["ada"] = {"email": "married@example.com", "email_verified": True}
    assert run(one.sign_in())[0].person == "lena"  # by the account, from now on
    one.provider.who = "eve"
    assert run(one.refused(one.sign_in())).why == "stranger"


@pytest.mark.parametrize("said", [True, "true"])
def test_entra_id_says_in_its_own_claim_that_an_address_is_verified(one: Rig, said: object) -> None:
    one.provider.people["ada"] = {"email": "lena@example.com", "xms_edov": said}
    one.open([Person(id="lena", name="Lena", email="lena@example.com")], strangers=False)

    assert run(one.sign_in())[0].person == "lena"


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ("groups", {"groups": ["finance", "other"]}),
        ("groups", {"groups": "finance"}),
        ("roles", {"roles": ["finance"]}),
        ("realm_access.roles", {"realm_access": {"roles": ["finance"]}}),
        ("https://example.com/groups", {"https://example.com/groups": ["finance"]}),
    ],
)
def test_a_member_of_a_group_comes_in_with_what_it_gives(
    one: Rig, claim: str, said: dict[str, object]
) -> None:
    one.provider.people["ada"] = said
    one.open(
        strangers=False,
        groups_claim=claim,
        members=[member("finance", group="money", roles=["approver"])],
    )

    signed_in, _ = run(one.sign_in())

    assert signed_in.groups == ["finance"]  # the others are no business of ours
    person = one.directory.with_claims(signed_in.person, signed_in.groups)
    assert person is not None
    assert (person.groups, person.roles) == (["money"], ["approver"])


def test_the_domain_of_a_verified_address_lets_somebody_in(one: Rig) -> None:
    one.provider.people["ada"] = {"email": "ada@Example.COM", "email_verified": True}
    one.open(allowed_domains=["example.com"])

    assert run(one.sign_in())[0].subject == "ada"


# Signing out.


def session_of(provider: Provider, token: str = "the.id.token") -> Session:
    return Session(
        handle="0" * 16,
        person="lena",
        how="oidc",
        began_at=START,
        seen_at=START,
        signed_in_at=START,
        ends_at=START,
        issuer=provider.issuer,
        id_token=token,
    )


def test_the_provider_is_asked_to_end_its_session_too(one: Rig) -> None:
    address = run(one.oidc.sign_out_address(session_of(one.provider)))

    assert address.startswith(f"{one.provider.issuer}/end?")
    assert dict(parse_qsl(urlsplit(address).query)) == {
        "client_id": "adjourn",
        "post_logout_redirect_uri": f"{PUBLIC}/sign-in",
        "id_token_hint": "the.id.token",
    }


def test_a_provider_without_such_a_place_or_out_of_reach_keeps_nobody_signed_in(one: Rig) -> None:
    one.provider.document = {"end_session_endpoint": None}
    assert run(one.oidc.sign_out_address(session_of(one.provider))) == ""

    one.provider.answers[DISCOVERY] = lambda http: http.say(500, b"")
    one.open()
    assert run(one.oidc.sign_out_address(session_of(one.provider))) == ""
