"""Sign-in with an OpenID Connect provider: authorization code flow with PKCE.

What a sign-in needs to remember stays on the server for ten minutes and is taken once; the browser
that began it holds the only key to it. So a stolen, mixed-up or repeated callback finds nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from authlib.oauth2 import rfc7636
from authlib.oauth2.rfc6749 import parameters
from starlette.responses import Response

from adjourn.access.addresses import is_endpoint, on_this_machine, own_path
from adjourn.access.arrivals import check_audience, person_of
from adjourn.access.directory import Directory
from adjourn.access.id_tokens import (
    BadIdTokenError,
    Claims,
    Expected,
    NoProofTimeError,
    OldProofError,
    UnknownKeyError,
    check_proved_again,
    claims_of,
    proved_at,
)
from adjourn.access.refusals import ProviderSettingsError, SignInRefusedError
from adjourn.access.remote import PATIENCE_SECONDS, Remote, as_query, error_word
from adjourn.access.sessions import Session, SignedIn
from adjourn.access.settings import Provider
from adjourn.store.records import Records

_log = logging.getLogger("adjourn.access")

_rfc6749: Any = parameters  # they have no types
_rfc7636: Any = rfc7636
prepare_grant_uri: Callable[..., str] = _rfc6749.prepare_grant_uri
create_s256_code_challenge: Callable[[str], str] = _rfc7636.create_s256_code_challenge

SPACE = "sign-ins"
SIGNING_IN_SECONDS = 600
OPEN_LIMIT = 5_000
"""Sign-ins that may be under way at once: anybody may begin one, so those that began first make
room. `limits.sign_ins` keeps one address from being all of them."""
COOKIE = "__Host-adjourn-signing-in"
CALLBACK = "/sign-in/callback"
NEVER = datetime.fromtimestamp(0, UTC)
"""When somebody last proved who they are, where the provider does not say: no approval that asks
for a fresh sign-in takes it."""
WORD_LIMIT = 8_192  # characters of a code or state


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """One that has begun, as it is kept."""

    state: str
    nonce: str
    verifier: str
    back: str
    again: bool
    begun_at: datetime


class OpenId:
    """One provider's sign-ins."""

    def __init__(
        self,
        provider: Provider,
        records: Records,
        directory: Directory,
        now: Callable[[], datetime],
        public_url: str,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """Raises: ProviderSettingsError."""
        _check_settings(provider)
        self.provider = provider
        self._records = records
        self._directory = directory
        self._now = now
        self._public_url = public_url.rstrip("/")
        secret = os.environ.get(provider.client_secret_env, "") if _has_secret(provider) else ""
        self._remote = Remote(provider.issuer, provider.client_id, secret, now, patience_seconds)

    async def begin(self, back: str, *, again: bool = False) -> tuple[str, str]:
        """Where to send the browser, and the value of its signing-in cookie. `back` is where they
        go on; `again`: they must prove who they are now.

        Raises: SignInRefusedError (the provider cannot be reached, or must not be used).
        """
        back = own_path(back)
        try:
            metadata = await self._remote.metadata()
        except SignInRefusedError as error:
            raise _told(error, back) from None
        # Each is 256 bits, from the operating system.
        begun = SignIn(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            back=back,
            again=again,
            begun_at=self._now(),
        )
        cookie = secrets.token_urlsafe(32)
        ends_at = begun.begun_at + timedelta(seconds=SIGNING_IN_SECONDS)
        await self._records.put(SPACE, _key(cookie), begun, ends_at=ends_at, most=OPEN_LIMIT)
        return self._address(metadata.authorization_endpoint, begun), cookie

    def _address(self, endpoint: str, begun: SignIn) -> str:
        words: dict[str, str] = {"nonce": begun.nonce, "code_challenge_method": "S256"}
        if begun.again:
            words |= {"prompt": "login", "max_age": "0"}
        return prepare_grant_uri(
            endpoint,
            client_id=self.provider.client_id,
            response_type="code",
            redirect_uri=self._public_url + CALLBACK,
            scope=" ".join(dict.fromkeys(["openid", *self.provider.scopes])),
            state=begun.state,
            code_challenge=create_s256_code_challenge(begun.verifier),
            **words,
        )

    async def finish(self, cookie: str, query: Mapping[str, str]) -> tuple[SignedIn, str]:
        """Who has signed in, and the own path where they go on. It counts once.

        Raises: SignInRefusedError.
        """
        try:
            begun = await self._taken(cookie, query.get("state", ""))
        except SignInRefusedError as error:
            raise _told(error, "/") from None
        try:
            return await self._finished(begun, query), begun.back
        except SignInRefusedError as error:
            raise _told(error, begun.back) from None

    async def _taken(self, cookie: str, state: str) -> SignIn:
        """The sign-in that this browser began, once. Whoever only knows the state, or leads a
        browser here with another one, neither finishes it nor ends it."""
        if not 0 < len(cookie) <= 100 or not 0 < len(state) <= WORD_LIMIT:
            raise SignInRefusedError("not_begun_here", "no cookie or no state")
        found = await self._records.get(SPACE, _key(cookie), SignIn)
        if found is None:
            raise SignInRefusedError("not_begun_here", "the sign-in is not known, or over")
        if not hmac.compare_digest(found.state.encode(), state.encode(errors="replace")):
            raise SignInRefusedError("not_begun_here", "the state is another sign-in's")
        taken = await self._records.take(SPACE, _key(cookie), SignIn)
        if taken is None:
            raise SignInRefusedError("not_begun_here", "the sign-in has been used")
        return taken

    async def _finished(self, begun: SignIn, query: Mapping[str, str]) -> SignedIn:
        metadata = await self._remote.metadata()
        said = query.get("iss")
        needed = metadata.authorization_response_iss_parameter_supported
        if (said is not None or needed) and said != self.provider.issuer:
            raise SignInRefusedError("not_begun_here", "the answer is another provider's")
        if "error" in query:
            raise _declined(query["error"])
        code = query.get("code", "")
        if not 0 < len(code) <= WORD_LIMIT:
            raise SignInRefusedError("not_begun_here", "there is no code")
        token = await self._remote.redeem(code, begun.verifier, self._public_url + CALLBACK)
        expected = Expected(
            issuer=self.provider.issuer,
            client_id=self.provider.client_id,
            nonce=begun.nonce,
            begun_at=begun.begun_at,
            now=self._now(),
        )
        claims = await self._read(token, expected)
        at = _proved(claims, expected, again=begun.again)
        person, groups = await person_of(self.provider, claims, self._directory)
        session = claims.get("sid")
        return SignedIn(
            person=person.id,
            how="oidc",
            at=at,
            issuer=self.provider.issuer,
            subject=claims["sub"],
            groups=groups,
            provider_session=session if isinstance(session, str) else "",
            id_token=token,
        )

    async def _read(self, token: str, expected: Expected) -> Claims:
        """What the token says. Keys change: for one that we do not know we ask once again."""
        try:
            try:
                return claims_of(token, await self._remote.keys(), expected)
            except UnknownKeyError:
                return claims_of(token, await self._remote.keys(anew=True), expected)
        except BadIdTokenError as error:
            raise SignInRefusedError("token", str(error)) from None

    async def sign_out_address(self, session: Session) -> str:
        """Where the browser goes so that the provider ends its session too; empty where it offers
        no such place, or cannot be asked."""
        if session.how != "oidc" or session.issuer != self.provider.issuer:
            return ""
        try:
            metadata = await self._remote.metadata()
        except SignInRefusedError as error:
            _told(error, "/")
            return ""
        if not metadata.end_session_endpoint:
            return ""
        words = {
            "client_id": self.provider.client_id,
            "post_logout_redirect_uri": f"{self._public_url}/sign-in",
        }
        if session.id_token:
            words["id_token_hint"] = session.id_token
        return as_query(metadata.end_session_endpoint, words)


def set_signing_in(response: Response, value: str) -> None:
    """The short cookie of the browser that began it. Lax, because the way back comes from the
    provider's page."""
    response.set_cookie(
        COOKIE, value, SIGNING_IN_SECONDS, path="/", secure=True, httponly=True, samesite="lax"
    )


def clear_signing_in(response: Response) -> None:
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")


def _proved(claims: Claims, expected: Expected, *, again: bool) -> datetime:
    try:
        if again:
            return check_proved_again(claims, expected)
        return proved_at(claims, expected)
    except OldProofError:
        raise SignInRefusedError("not_fresh") from None
    except NoProofTimeError:
        if again:
            raise SignInRefusedError("no_auth_time") from None
        return NEVER


def _declined(error: str) -> SignInRefusedError:
    if error in ("access_denied", "login_required", "interaction_required", "consent_required"):
        return SignInRefusedError("declined", error)
    if error in ("server_error", "temporarily_unavailable"):
        return SignInRefusedError("unreachable", error)
    return SignInRefusedError("provider_error", error_word(error))


def _told(error: SignInRefusedError, back: str) -> SignInRefusedError:
    """Logged for whoever runs the server: why, and never who or with what."""
    _log.warning("sign-in refused: %s%s", error.why, f" ({error.detail})" if error.detail else "")
    error.back = back
    return error


def _key(cookie: str) -> str:
    return hashlib.sha256(cookie.encode(errors="replace")).hexdigest()


def _has_secret(provider: Provider) -> bool:
    """Raises: ProviderSettingsError for a variable that holds nothing."""
    if not provider.client_secret_env:
        return False
    if not os.environ.get(provider.client_secret_env):
        raise ProviderSettingsError(
            f"client_secret_env names {provider.client_secret_env}, which is not set",
            "Set it in the environment of this server, or take the line out for a public client.",
        )
    return True


def _check_settings(provider: Provider) -> None:
    """Raises: ProviderSettingsError."""
    issuer = provider.issuer
    if not is_endpoint(issuer, plain_http=on_this_machine(issuer)) or "?" in issuer:
        raise ProviderSettingsError(
            f"issuer {issuer!r} is no https address", "Copy it from your provider's pages."
        )
    parts = issuer.rstrip("/").split("/")
    if "login.microsoftonline" in parts[2] and {"common", "organizations", "consumers"} & {*parts}:
        raise ProviderSettingsError(
            "this issuer signs in people of every company",
            "Put your tenant's id in its place: https://login.microsoftonline.com/<tenant>/v2.0.",
        )
    if not provider.client_id:
        raise ProviderSettingsError("client_id is empty", "Copy it from your provider's pages.")
    check_audience(provider)
