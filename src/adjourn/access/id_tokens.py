"""What an ID token proves. Nothing here does IO.

A token counts when it is signed by the provider with an algorithm of our list, is for us, is the
answer to this very sign-in, and has neither ended nor is from the future.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

ALGORITHMS = ("RS256", "PS256", "ES256")
"""Of public keys only: a token is never checked with anything that others could know."""
SKEW = timedelta(minutes=5)
"""How far the provider's clock may be from ours."""
ROUNDING = timedelta(seconds=2)
"""Two moments in whole seconds."""
RSA_BITS = 2048
SUBJECT_LIMIT = 255  # characters, by OpenID Connect

Claims = Mapping[str, Any]


class BadIdTokenError(Exception):
    """It proves nothing; the text names the claim or the rule, and never a value."""


class UnknownKeyError(BadIdTokenError):
    """It names a key that is not among these: the provider may have a new one."""


class OldProofError(Exception):
    """They proved who they are before they were asked to."""


class NoProofTimeError(Exception):
    """The provider does not say when they proved who they are."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the token of one sign-in must say."""

    issuer: str
    client_id: str
    nonce: str
    begun_at: datetime
    now: datetime


def key_set(keys: Sequence[Mapping[str, Any]]) -> KeySet:
    """The keys of a provider that can sign an ID token; what we do not know is left out, and so is
    what is too short."""
    usable: list[RSAKey | ECKey] = []
    for given in keys:
        try:
            key = _signing_key(given)
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):
            continue  # one broken key does not take the others with it
        if key is not None:
            usable.append(key)
    return KeySet(list(usable))


def _signing_key(given: Mapping[str, Any]) -> RSAKey | ECKey | None:
    if given.get("use", "sig") != "sig":
        return None
    public = {name: given[name] for name in _PARTS if name in given}
    if public.get("kty") == "RSA":
        size = int.from_bytes(urlsafe_b64decode(public["n"].encode())).bit_length()
        return RSAKey.import_key(cast("Any", public)) if size >= RSA_BITS else None
    if public.get("kty") == "EC" and public.get("crv") == "P-256":
        return ECKey.import_key(cast("Any", public))
    return None


_PARTS = ("kty", "kid", "alg", "use", "n", "e", "crv", "x", "y")


def claims_of(token: str, keys: KeySet, expected: Expected) -> Claims:
    """What it says, once all of it holds. Raises: BadIdTokenError, UnknownKeyError."""
    registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
    try:
        read = jwt.decode(token, keys, algorithms=ALGORITHMS, registry=registry)
    except InvalidKeyIdError as error:
        raise UnknownKeyError("it names a key that the provider does not publish") from error
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise BadIdTokenError(f"its signature does not hold ({type(error).__name__})") from error
    claims: Claims = read.claims
    _check_times(claims, expected)
    _check_parties(claims, expected)
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not _same(nonce, expected.nonce):
        raise BadIdTokenError("its nonce is not the one of this sign-in")
    return claims


def _check_times(claims: Claims, expected: Expected) -> None:
    checks = jwt.JWTClaimsRegistry(
        now=int(expected.now.timestamp()),
        leeway=int(SKEW.total_seconds()),
        exp={"essential": True},
        iat={"essential": True},
    )
    try:
        checks.validate({name: claims[name] for name in ("exp", "iat", "nbf") if name in claims})
    except JoseError as error:
        raise BadIdTokenError(f"its times do not hold ({error.description})") from error
    # It answers this sign-in, so it cannot be older.
    if claims["iat"] < (expected.begun_at - SKEW).timestamp():
        raise BadIdTokenError("it was issued before this sign-in began")


def _check_parties(claims: Claims, expected: Expected) -> None:
    """The issuer, exactly; us alone, or us as the party that asked."""
    if claims.get("iss") != expected.issuer:
        raise BadIdTokenError("its iss is another issuer")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_LIMIT:
        raise BadIdTokenError("its sub names nobody")
    audience = claims.get("aud")
    audiences = cast("list[Any]", audience if isinstance(audience, list) else [audience])
    if expected.client_id not in audiences:
        raise BadIdTokenError("its aud is another client")
    party = claims.get("azp")
    if party != expected.client_id and (party is not None or len(audiences) > 1):
        raise BadIdTokenError("its azp is another client")


def proved_at(claims: Claims, expected: Expected) -> datetime:
    """When they last proved who they are, by our clock.

    Raises: NoProofTimeError, also for a moment that cannot be.
    """
    at, issued = claims.get("auth_time"), claims["iat"]
    latest = issued + ROUNDING.total_seconds()
    if isinstance(at, bool) or not isinstance(at, int | float) or not 0 < at <= latest:
        raise NoProofTimeError
    # Both are of the provider's clock, so between the two there is no skew to allow for.
    return expected.now - timedelta(seconds=max(0, issued - at))


def check_proved_again(claims: Claims, expected: Expected) -> datetime:
    """When they proved who they are, after they were asked to.

    Raises: NoProofTimeError, OldProofError.
    """
    at = proved_at(claims, expected)
    if at < expected.begun_at - ROUNDING:
        raise OldProofError
    return at


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())
