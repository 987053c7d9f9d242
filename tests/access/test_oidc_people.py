"""Who may come in: nobody by an address that is not theirs, a domain that is not ours, or a group
that they have left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adjourn.access.arrivals import GOOGLE, groups_of, own_id, person_of, verified_email
from adjourn.access.refusals import SignInRefusedError
from adjourn.access.settings import Provider as Settings
from adjourn.approvals.people import Person
from tests.access.rig import Rig, member, rig, run

LENA = Person(id="lena", name="Lena", email="lena@example.com", roles=["approver"])


pytestmark = pytest.mark.slow  # tens of milliseconds each, and there are many


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path) as made:
        yield made


def why(one: Rig) -> str:
    return run(one.refused(one.sign_in())).why


def test_a_stranger_does_not_come_in_and_is_told_their_account(one: Rig) -> None:
    one.open([LENA], strangers=False)

    error = run(one.refused(one.sign_in()))

    assert error.why == "stranger" and error.account == f"{one.provider.issuer}|ada"
    assert one.directory.find(own_id(error.account)) is None


UNVERIFIED: dict[str, dict[str, Any]] = {
    "nothing said": {"email": "lena@example.com"},
    "said not to be": {"email": "lena@example.com", "email_verified": False},
    "said not to be, in a word": {"email": "lena@example.com", "email_verified": "false"},
    "zero": {"email": "lena@example.com", "email_verified": 0},
    "null and a claim of Entra's": {"email": "lena@example.com", "xms_edov": False},
    "one claim against the other": {
        "email": "lena@example.com",
        "email_verified": False,
        "xms_edov": True,
    },
    "a list": {"email": ["lena@example.com"], "email_verified": True},
    "a name that anybody chooses": {"preferred_username": "lena@example.com", "upn": "lena"},
    "an address in another claim": {"mail": "lena@example.com", "email_verified": True},
    "a long s for an s": {"email": "lena@example\u017f.com", "email_verified": True},
    "a Kelvin sign for a k": {"email": "\u212aate@example.com", "email_verified": True},
    "a space inside": {"email": "lena@example.com\u00a0", "email_verified": True},
    "two addresses": {"email": "eve@evil.example,lena@example.com", "email_verified": True},
}


@pytest.mark.parametrize("name", UNVERIFIED)
def test_an_address_that_nobody_checked_makes_nobody(one: Rig, name: str) -> None:
    one.provider.people["ada"] = UNVERIFIED[name]
    kate = Person(id="kate", name="Kate", email="kate@example.com")
    others = Person(id="s", name="S", email="lena@examples.com")
    one.open([LENA, kate, others], strangers=False)

    assert why(one) == "stranger"


def test_an_address_stands_for_nobody_who_has_an_account(one: Rig) -> None:
    one.provider.people["ada"] = {"email": "lena@example.com", "email_verified": True}
    theirs = Person(
        id="lena", name="L", email="lena@example.com", accounts={"oidc": "https://idp|other"}
    )
    one.open([theirs], strangers=False)

    assert why(one) == "stranger"


def test_an_address_that_two_people_have_stands_for_neither(one: Rig) -> None:
    one.provider.people["ada"] = {"email": "lena@example.com", "email_verified": True}
    one.open([LENA, Person(id="other", name="O", email="LENA@example.com")])

    assert why(one) == "ambiguous"


@pytest.mark.parametrize("strangers", [True, False])
@pytest.mark.parametrize("known_by", ["account", "email"])
def test_whoever_is_switched_off_does_not_come_in_as_a_stranger_either(
    one: Rig, known_by: str, strangers: bool
) -> None:
    one.provider.people["ada"] = {
        "email": "lena@example.com",
        "email_verified": True,
        "groups": ["finance"],
    }
    accounts = {"oidc": f"{one.provider.issuer}|ada"} if known_by == "account" else {}
    lena = Person(
        id="lena", name="Lena", email="lena@example.com", accounts=accounts, disabled=True
    )
    one.open([lena], strangers=strangers, members=[member("finance", roles=["admin"])])

    assert why(one) == "disabled"


def test_a_stranger_who_was_switched_off_stays_so(one: Rig) -> None:
    signed_in, _ = run(one.sign_in())
    run(one.directory.disable(signed_in.person))

    assert why(one) == "disabled"
    found = one.directory.find(signed_in.person)
    assert found is not None and found.disabled


def test_whoever_has_left_the_group_does_not_come_in_any_more(one: Rig) -> None:
    one.provider.people["ada"] = {"groups": ["finance"]}
    one.open(strangers=False, members=[member("finance", roles=["approver"])])
    run(one.sign_in())

    one.provider.people["ada"] = {"groups": ["other"]}

    assert why(one) == "stranger"


GROUPS: dict[str, dict[str, Any]] = {
    "in other letters": {"groups": ["Finance"]},
    "with a space": {"groups": ["finance "]},
    "part of a word": {"groups": "not-finance"},
    "in a sentence": {"groups": "finance,other"},
    "as a key": {"groups": {"finance": True}},
    "in a list in a list": {"groups": [["finance"]]},
    "in another claim": {"roles": ["finance"]},
    "nothing": {},
}


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_counts_exactly_as_it_is_written(one: Rig, name: str) -> None:
    one.provider.people["ada"] = GROUPS[name]
    one.open(strangers=False, members=[member("finance", roles=["admin"])])

    assert why(one) == "stranger"


LEFT_OUT: dict[str, dict[str, Any]] = {
    "elsewhere": {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {}}},
    "elsewhere, and some here": {"_claim_names": {"groups": "src1"}, "groups": ["finance"]},
    "has groups": {"hasgroups": True},
    "has groups, in a word": {"hasgroups": "true"},
}


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("name", LEFT_OUT)
def test_groups_that_the_provider_left_out_are_missed_aloud(
    one: Rig, name: str, listed: bool
) -> None:
    one.provider.people["ada"] = LEFT_OUT[name]
    account = {"oidc": f"{one.provider.issuer}|ada"}
    people = [Person(id="lena", name="Lena", accounts=account)] if listed else None
    one.open(people, members=[member("finance")])

    error = run(one.refused(one.sign_in()))

    assert error.why == "groups_missing" and "left all of them out" in str(error)


def test_where_groups_mean_nothing_nobody_misses_them(one: Rig) -> None:
    one.provider.people["ada"] = LEFT_OUT["elsewhere"]

    assert run(one.sign_in())[0].groups == []


DOMAINS: dict[str, dict[str, Any]] = {
    "another": {"email": "ada@evil.example", "email_verified": True},
    "ours at the end of another": {"email": "ada@evilexample.com", "email_verified": True},
    "below ours": {"email": "ada@sub.example.com", "email_verified": True},
    "ours before another": {"email": "ada@example.com.evil", "email_verified": True},
    "ours in the name": {"email": "example.com@evil.example", "email_verified": True},
    "ours before a second sign": {"email": "ada@example.com@evil.example", "email_verified": True},
    "unverified": {"email": "ada@example.com", "email_verified": False},
    "without an address": {},
    "hd of a provider that is not Google": {"hd": "example.com"},
    "a dot more": {"email": "ada@example.com.", "email_verified": True},
}


@pytest.mark.parametrize("name", DOMAINS)
def test_a_domain_that_is_not_ours_does_not_come_in(one: Rig, name: str) -> None:
    one.provider.people["ada"] = DOMAINS[name]
    one.open(allowed_domains=["example.com"])

    assert why(one) == "domain"


AT_GOOGLE: dict[str, dict[str, Any]] = {
    "an own account with our address": {"email": "ada@example.com", "email_verified": True},
    "an account of another company": {
        "email": "ada@example.com",
        "email_verified": True,
        "hd": "evil.example",
    },
    "hd a list": {"email": "a@example.com", "email_verified": True, "hd": ["example.com"]},
    "unverified": {"email": "ada@example.com", "email_verified": False, "hd": "example.com"},
    "a private address": {"email": "ada@gmail.com", "email_verified": True},
}


def at_google(domain: str) -> Settings:
    return Settings(issuer=GOOGLE, client_id="x", strangers=True, allowed_domains=[domain])


@pytest.mark.parametrize("name", AT_GOOGLE)
def test_at_google_the_company_is_the_one_that_manages_the_account(one: Rig, name: str) -> None:
    """Google itself cannot be served here, so its claims are judged directly."""
    settings = at_google("example.com")
    claims = {"iss": GOOGLE, "sub": "1", **AT_GOOGLE[name]}

    with pytest.raises(SignInRefusedError) as refused:
        run(person_of(settings, claims, one.directory))
    assert refused.value.why == "domain"


def test_at_google_accounts_of_our_company_and_named_private_ones_come_in(one: Rig) -> None:
    settings = at_google("Example.com")
    ours = {"email": "a@alias.example", "email_verified": True, "hd": "example.com"}
    assert run(person_of(settings, {"iss": GOOGLE, "sub": "1", **ours}, one.directory))

    theirs = {"email": "a@gmail.com", "email_verified": True}
    assert run(
        person_of(at_google("gmail.com"), {"iss": GOOGLE, "sub": "2", **theirs}, one.directory)
    )


def test_an_account_that_the_file_gives_to_another_is_not_taken_over(one: Rig) -> None:
    """The records know the account under one name, and then the operator writes it elsewhere."""
    signed_in, _ = run(one.sign_in())
    account = {"oidc": f"{one.provider.issuer}|ada"}
    one.open([Person(id="grace", name="Grace", accounts=account)])

    assert run(one.sign_in())[0].person == "grace" != signed_in.person


def test_a_stranger_gets_the_id_of_nobody(one: Rig) -> None:
    one.provider.people["ada"] = {
        "email": "boss@example.com",
        "email_verified": True,
        "name": "boss",
    }
    boss = Person(id="boss@example.com", name="Boss", roles=["admin"])
    one.open([boss, Person(id="boss", name="Boss", roles=["admin"])])

    signed_in, _ = run(one.sign_in())

    assert signed_in.person.startswith("sso-")
    person = one.directory.find(signed_in.person)
    assert person is not None and person.roles == []


@pytest.mark.parametrize("said", ["\u202eadA", "Ada\nADMIN", "A" * 10_000, "\u0000", {"x": 1}, 7])
def test_a_name_is_text_and_no_more(one: Rig, said: object) -> None:
    one.provider.people["ada"] = {"name": said, "roles": ["admin"], "groups": ["admin"]}

    signed_in, _ = run(one.sign_in())

    person = one.directory.find(signed_in.person)
    assert person is not None and 0 < len(person.name) <= 100
    assert not {"\u202e", "\u0000", "\n"} & {*person.name}
    assert person.roles == [] and person.groups == []


def test_pure_rules_of_addresses_and_groups() -> None:
    assert verified_email({"email": "A@B.c", "email_verified": True}) == "a@b.c"
    assert verified_email({"email": "@b.c", "email_verified": True}) == ""
    assert verified_email({"email": "a@", "email_verified": True}) == ""
    settings = Settings(issuer="https://i", client_id="x", members=[member("a"), member("b")])
    assert groups_of(settings, {"groups": ["b", "c", 7, None, "b"]}) == ["b"]
