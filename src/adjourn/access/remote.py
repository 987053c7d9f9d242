"""An OpenID Connect provider over HTTP: what it publishes, and the exchange of a code.

Whatever it answers is bounded in time and size, comes from the very address that was asked, and is
refused where it is not what the standard says.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec
from authlib.oauth2.rfc6749 import parameters
from joserfc.jwk import KeySet

from adjourn.access.addresses import is_endpoint, on_this_machine
from adjourn.access.id_tokens import key_set
from adjourn.access.refusals import SignInRefusedError

T = TypeVar("T")

_rfc6749: Any = parameters  # they have no types
prepare_token_request: Callable[..., str] = _rfc6749.prepare_token_request

ANSWER_LIMIT = 1024 * 1024  # bytes
PATIENCE_SECONDS = 10.0  # for one whole answer
KEEP = timedelta(hours=1)
"""How long what a provider publishes is believed without asking again."""
WELL_KNOWN = "/.well-known/openid-configuration"


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """Of a provider's discovery document, what we need."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    end_session_endpoint: str = ""
    token_endpoint_auth_methods_supported: list[str] | None = None
    """None, as the standard says: client_secret_basic."""
    code_challenge_methods_supported: list[str] | None = None
    authorization_response_iss_parameter_supported: bool = False


class _Keys(msgspec.Struct):
    keys: list[dict[str, Any]]


class _Token(msgspec.Struct):
    id_token: str


class _Fault(msgspec.Struct):
    error: str = ""


class Remote:
    """One provider, as one client of it."""

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str,
        now: Callable[[], datetime],
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._now = now
        self._patience = patience_seconds
        self._local = on_this_machine(issuer)
        self._metadata: tuple[datetime, Metadata] | None = None
        self._keys: tuple[datetime, KeySet] | None = None

    async def metadata(self) -> Metadata:
        """What it says of itself. Raises: SignInRefusedError."""
        if self._metadata is None or self._now() - self._metadata[0] >= KEEP:
            address = self._issuer.rstrip("/") + WELL_KNOWN
            found = await self._published(address, Metadata)
            self._check(found)
            self._metadata = self._now(), found
        return self._metadata[1]

    async def keys(self, *, anew: bool = False) -> KeySet:
        """What it signs with; asked again where `anew`. Raises: SignInRefusedError."""
        if anew or self._keys is None or self._now() - self._keys[0] >= KEEP:
            address = (await self.metadata()).jwks_uri
            found = key_set((await self._published(address, _Keys)).keys)
            if not found:
                raise SignInRefusedError("unfit", "it publishes no key that signs ID tokens")
            self._keys = self._now(), found
        return self._keys[1]

    async def redeem(self, code: str, verifier: str, redirect_uri: str) -> str:
        """The ID token for this code. Raises: SignInRefusedError."""
        metadata = await self.metadata()
        body = prepare_token_request(
            "authorization_code", redirect_uri=redirect_uri, code=code, code_verifier=verifier
        )
        headers = {"content-type": "application/x-www-form-urlencoded"}
        secret = quote(self._client_secret, safe="")
        name = quote(self._client_id, safe="")
        auth: httpx.BasicAuth | None = None
        if not secret:
            body += f"&client_id={name}"
        elif "client_secret_post" in (metadata.token_endpoint_auth_methods_supported or ()):
            body += f"&client_id={name}&client_secret={secret}"
        else:
            auth = httpx.BasicAuth(name, secret)
        status, answer = await self._ask(
            "POST", metadata.token_endpoint, content=body, headers=headers, auth=auth
        )
        if status != 200:
            raise _no_token(status, answer)
        return _decoded(answer, _Token, "its answer to our code").id_token

    def _check(self, found: Metadata) -> None:
        """Raises: SignInRefusedError for a document that must not be followed."""
        if found.issuer != self._issuer:
            tenants = " (it serves all tenants: name yours)" if "{" in found.issuer else ""
            raise SignInRefusedError("unfit", f"its document is of another issuer{tenants}")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not is_endpoint(getattr(found, name), plain_http=self._local):
                raise SignInRefusedError("unfit", f"its {name} is no https address")
        if found.end_session_endpoint and not is_endpoint(
            found.end_session_endpoint, plain_http=self._local
        ):
            raise SignInRefusedError("unfit", "its end_session_endpoint is no https address")
        methods = found.code_challenge_methods_supported
        if methods is not None and "S256" not in methods:
            raise SignInRefusedError("unfit", "it does not know PKCE with S256")

    async def _published(self, address: str, kind: type[T]) -> T:
        status, answer = await self._ask("GET", address)
        if status != 200:
            raise _unavailable(status)
        return _decoded(answer, kind, f"what it publishes as {kind.__name__.strip('_').lower()}")

    async def _ask(self, method: str, address: str, **rest: Any) -> tuple[int, bytes]:
        """The status and the body. Raises: SignInRefusedError; nothing is followed elsewhere."""
        # A company's way out, and its own certificates, are in the environment. What is on this
        # machine needs neither.
        outside = not self._local
        # An encoded answer could grow without bound while it is unpacked.
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        rest["headers"] = {**headers, **rest.get("headers", {})}
        try:
            async with (
                asyncio.timeout(self._patience),
                httpx.AsyncClient(
                    verify=_trusted(outside), trust_env=outside, timeout=self._patience
                ) as http,
                http.stream(method, address, follow_redirects=False, **rest) as answer,
            ):
                return answer.status_code, await _body(answer)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
            raise SignInRefusedError("unreachable", type(error).__name__) from None


@cache
def _trusted(outside: bool) -> ssl.SSLContext:
    """Whose certificates count: read once, for that takes as long as a whole answer."""
    return httpx.create_ssl_context(trust_env=outside)


async def _body(answer: httpx.Response) -> bytes:
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise SignInRefusedError("unfit", "it answers in an encoding that we did not ask for")
    body = bytearray()
    async for part in answer.aiter_raw(64 * 1024):
        body += part
        if len(body) > ANSWER_LIMIT:
            raise SignInRefusedError("unfit", f"it answers with more than {ANSWER_LIMIT:,} bytes")
    return bytes(body)


def _decoded(answer: bytes, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(answer, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise SignInRefusedError("unfit", f"{what} is not as the standard says") from None


def _unavailable(status: int) -> SignInRefusedError:
    if status >= 500 or status == 429:
        return SignInRefusedError("unreachable", f"it answers {status}")
    moved = ", and nothing is followed elsewhere" if 300 <= status < 400 else ""
    return SignInRefusedError("unfit", f"it answers {status} where it publishes{moved}")


def _no_token(status: int, answer: bytes) -> SignInRefusedError:
    if status >= 500 or status == 429:
        return SignInRefusedError("unreachable", f"its token endpoint answers {status}")
    try:
        said = msgspec.json.decode(answer, type=_Fault).error
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        said = ""
    if said == "invalid_grant":  # used, or too old, or not ours
        return SignInRefusedError("not_begun_here", "the provider does not take the code")
    return SignInRefusedError("provider_error", f"its token endpoint: {status} {error_word(said)}")


def error_word(said: str) -> str:
    """An error code of OAuth as it may stand in a log; whatever else it is, is left out."""
    plain = 0 < len(said) <= 40 and said.isascii() and said.replace("_", "").isalnum()
    return said if plain else "(no word of the standard)"


def as_query(address: str, words: Mapping[str, str]) -> str:
    """The address with these words in its query."""
    return str(httpx.URL(address).copy_merge_params(dict(words)))
