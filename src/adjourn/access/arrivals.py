"""Whose account this is: the rules by which somebody who proved who they are becomes a person here.

A person of the people file is found by their account, or once by their verified address. Whoever
else comes in needs a group that `members` names, or `strangers`, and is known from then on; what
they may do is the directory's to say, at each request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from adjourn.access.directory import AccountTakenError, Directory
from adjourn.access.refusals import ProviderSettingsError, SignInRefusedError
from adjourn.access.settings import Provider
from adjourn.approvals.people import Person
from adjourn.approvals.text import one_line

GOOGLE = "https://accounts.google.com"
CONSUMER_DOMAINS = frozenset({"gmail.com", "googlemail.com"})
EVERYBODYS_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"  # Microsoft's personal accounts
NAME_LIMIT = 100  # characters
CHANNEL = "oidc"
"""The name of these accounts in `Person.accounts`."""

Claims = Mapping[str, Any]


def check_audience(provider: Provider) -> None:
    """Raises: ProviderSettingsError where the whole world could come in."""
    anybody = provider.issuer == GOOGLE or EVERYBODYS_TENANT in provider.issuer
    if anybody and provider.strangers and not provider.allowed_domains:
        raise ProviderSettingsError(
            "anybody can have an account there, and strangers come in",
            "Name your domains in allowed_domains, or take strangers off.",
        )


async def person_of(
    provider: Provider, claims: Claims, directory: Directory
) -> tuple[Person, list[str]]:
    """Who it is, and which of the groups that `members` names they are in.

    Raises: SignInRefusedError.
    """
    await directory.fresh()
    account = f"{claims['iss']}|{claims['sub']}"
    email = verified_email(claims)
    _check_domain(provider, claims, email)
    known = directory.find_account(CHANNEL, account) or _by_email(directory, email)
    if known is not None and known.disabled:
        raise SignInRefusedError("disabled")
    groups = groups_of(provider, claims)
    person = known or Person(id=own_id(account), name="")
    if not (provider.strangers or directory.belongs(person.id, groups) or directory.awaits_admin):
        raise SignInRefusedError("stranger", account=account)
    said = _text(claims, "name") or email or _text(claims, "preferred_username")
    name = one_line(said, NAME_LIMIT) or person.name or person.id
    accounts = {**person.accounts, CHANNEL: account}
    person = msgspec.structs.replace(person, name=name, email=email, accounts=accounts)
    try:
        await directory.remember(person)
    except AccountTakenError:
        raise SignInRefusedError("taken", account=account) from None
    return person, groups


def own_id(account: str) -> str:
    """The id of somebody who is in no people file: the same at each sign-in, nobody else's, and
    without their name or address, since it stays in histories."""
    return "sso-" + hashlib.sha256(account.encode()).hexdigest()[:20]


def _by_email(directory: Directory, email: str) -> Person | None:
    """The person who has this address and has not signed in yet.

    Raises: SignInRefusedError where two have it.
    """
    found = [person for person in directory.addressed(email) if CHANNEL not in person.accounts]
    if len(found) > 1:
        raise SignInRefusedError("ambiguous")
    return found[0] if found else None


def verified_email(claims: Claims) -> str:
    """Their address in small letters, where the provider has checked that it is theirs; else
    nothing. Entra ID says so in a claim of its own, which must be asked for."""
    given = claims.get("email")
    if not isinstance(given, str):
        return ""
    checked = claims.get("email_verified", claims.get("xms_edov"))
    name, _, domain = given.rpartition("@")
    # ASCII alone: other letters have small forms that are somebody else's address (the Kelvin
    # sign's is a k).
    sound = bool(name and domain) and len(given) <= 254 and given.isascii() and given.isprintable()
    return given.casefold() if sound and checked in (True, 1, "true", "True", "1") else ""


def _check_domain(provider: Provider, claims: Claims, email: str) -> None:
    """Raises: SignInRefusedError for an account of another company."""
    if not provider.allowed_domains:
        return
    allowed = {domain.casefold().lstrip("@") for domain in provider.allowed_domains}
    domain = email.rpartition("@")[2]
    if provider.issuer == GOOGLE and domain not in CONSUMER_DOMAINS:
        # Anybody may open an account with an address elsewhere, and keeps it after they have left
        # that company. Of the accounts that a company manages, Google names its domain.
        domain = _text(claims, "hd").casefold() if email else ""
    if domain not in allowed:
        raise SignInRefusedError("domain")


def groups_of(provider: Provider, claims: Claims) -> list[str]:
    """The groups of theirs that `members` names; the others are no business of ours.

    Raises: SignInRefusedError where there are some and the provider left them out.
    """
    if not provider.members:
        return []
    top = provider.groups_claim.partition(".")[0]
    elsewhere: Any = claims.get("_claim_names")
    if (
        isinstance(elsewhere, dict)
        and {top, provider.groups_claim} & cast("dict[str, Any]", elsewhere).keys()
    ):
        raise SignInRefusedError("groups_missing")
    if claims.get("hasgroups") in (True, "true") and top not in claims:
        raise SignInRefusedError("groups_missing")
    given = _claim(claims, provider.groups_claim)
    found: set[str] = set()
    for each in cast("list[Any]", given if isinstance(given, list) else [given]):
        if isinstance(each, str):
            found.add(each)
    return sorted({member.claim for member in provider.members} & found)


def _claim(claims: Claims, name: str) -> Any:
    """The claim of this name, or the one that its dots lead to: Keycloak's `realm_access.roles`."""
    found: Any = claims.get(name)
    if found is not None:
        return found
    found = claims
    for part in name.split("."):
        found = cast("dict[str, Any]", found).get(part) if isinstance(found, Mapping) else None
    return found


def _text(claims: Claims, name: str) -> str:
    given = claims.get(name)
    return given.strip() if isinstance(given, str) else ""
