"""Whether a request comes from the Bot Connector, and for whom it may speak.

A valid token proves the connector: not a person, and not the body it came with. So a request passes
two checks. `ServiceTokens.check` reads the header alone, before any of the body is read; what it
gives is then held against the body by `Caller.check`.

Who signs is known by the connector's public keys, which are fetched here and not by the SDK: its
fetch blocks the event loop, lets every token with an unknown key wait for (and cause) another one,
and drops what the keys say of the channels that they may be used for.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx

from support_agent.channels.teams.sdk import (
    PyJWK,
    PyJWKClient,
    TokenValidator,
    from_name,
    get_unverified_header,
    with_overrides,
)
from support_agent.channels.teams.settings import TeamsSettings, is_loopback
from support_agent.clock import stopwatch_seconds

LONGEST_TOKEN = 8_192  # characters; the connector's have some 1,200
FRESH_SECONDS = 3_600.0  # after this time keys are fetched anew, beside what goes on
USABLE_SECONDS = 86_400.0  # without an answer for so long, keys are trusted no more
PAUSE_SECONDS = 10.0  # between two fetches, whatever is asked for
FETCH_SECONDS = 10.0  # for one fetch altogether
KEYS_LIMIT_BYTES = 256 * 1024
SHORTEST_KEY_BITS = 2_048

LOG = logging.getLogger(__name__)
# It writes an error for every bad token, in words that are not ours to vouch for; the endpoint says
# once what was refused.
logging.getLogger("microsoft_teams.apps.auth.token_validator").disabled = True


class Unauthenticated(Exception):
    """The request is not the connector's, or not about this. The text is for the log: it says
    which rule was not met, and nothing of what came."""


class KeysUnavailable(Exception):
    """Nothing can be said of the token now, for the connector's keys could not be fetched."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed a request, as far as the token and its key say it."""

    service_url: str
    channels: frozenset[str] | None
    """That the key is endorsed for; None for a key that says nothing of channels."""

    def check(self, service_url: str, channel: str) -> None:
        """Raises: Unauthenticated, when the body has another address or channel than it may."""
        if _bare(service_url) != self.service_url:
            raise Unauthenticated("another service address than the token's")
        if self.channels is not None and channel not in self.channels:
            raise Unauthenticated("a channel that the key is not endorsed for")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key of the connector."""

    key: PyJWK
    channels: frozenset[str] | None


class ServiceTokens:
    """Checks tokens for one bot. Belongs to the event loop that serves it."""

    def __init__(
        self, settings: TeamsSettings, watch: Callable[[], float] = stopwatch_seconds
    ) -> None:
        """Fetches nothing yet. `watch` tells seconds. Raises ValueError in local mode, which has
        nobody to trust."""
        if settings.local:
            raise ValueError("In local mode there are no tokens to check.")
        cloud = with_overrides(
            from_name(settings.cloud), openid_metadata_url=settings.metadata_url or None
        )
        self._validator = TokenValidator.for_service(settings.client_id, cloud=cloud)
        address = self._validator.options.jwks_uri
        self._keys = SigningKeys(address, watch)
        # The SDK has no other way to be given keys. Were the attribute renamed, it would go and
        # fetch them by itself, on the event loop: hence the question, and the pinned version.
        if not hasattr(self._validator, "_jwks_client"):
            raise RuntimeError("This release of microsoft-teams-apps is unknown: install 2.1.")
        self._validator._jwks_client = _Fetched(self._keys, address)

    async def check(self, authorization: str | None) -> Caller:
        """Who sent a request with this header.

        Raises: Unauthenticated; KeysUnavailable, when it may be tried again later.
        """
        token = _token_in(authorization)
        key = await self._keys.find(_key_id_in(token))
        try:
            claims = await self._validator.validate_token(token)
        except Exception as error:
            # Not only what the SDK raises: whatever a token makes its readers raise, it is none.
            raise Unauthenticated(type(error).__name__) from None
        if "exp" not in claims:
            raise Unauthenticated("a token without an expiry")
        service_url = claims.get("serviceurl")
        if not isinstance(service_url, str) or not _bare(service_url):
            raise Unauthenticated("a token without a service address")
        return Caller(_bare(service_url), key.channels)


class SigningKeys:
    """The connector's keys by their id, fetched once for all who ask at the same time.

    A token whose key is known never waits for a fetch, so that a slow key server, or somebody who
    makes up key ids, holds up nobody else.
    """

    def __init__(self, address: str, watch: Callable[[], float]) -> None:
        self._address = address
        self._watch = watch
        self._keys: dict[str, SigningKey] = {}
        self._fetched_at = float("-inf")
        self._asked_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, key_id: str) -> SigningKey:
        """Raises: Unauthenticated for an id that the connector does not have; KeysUnavailable."""
        age = self._watch() - self._fetched_at
        if age > USABLE_SECONDS:
            self._keys = {}
        elif age > FRESH_SECONDS:
            self._fetch_soon()
        if key_id not in self._keys:
            asked_in_vain = not self._fetch_soon()
            if asked_in_vain and not self._keys:
                raise KeysUnavailable("no answer a moment ago")
            await self._fetched()
        if key_id not in self._keys:
            raise Unauthenticated("an unknown key")
        return self._keys[key_id]

    def known(self, key_id: str) -> SigningKey:
        """One that `find` has found. Raises: KeyError."""
        return self._keys[key_id]

    def _fetch_soon(self) -> bool:
        """Whether a fetch is on its way, begun now or before."""
        if self._fetching is None and self._watch() - self._asked_at >= PAUSE_SECONDS:
            self._asked_at = self._watch()
            self._fetching = asyncio.create_task(self._fetch())
        return self._fetching is not None

    async def _fetched(self) -> None:
        """Wait for the fetch that is on its way, if one is. Raises: KeysUnavailable."""
        if self._fetching is None:
            return
        # Shielded: others wait for the same fetch, and a client that hangs up ends its own wait.
        await asyncio.shield(self._fetching)
        if self._fetched_at < self._asked_at:
            raise KeysUnavailable("the key server did not answer")

    async def _fetch(self) -> None:
        """Raises nothing: keys that are still usable outlive a key server that is not there."""
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                self._keys = _keys_in(await _read(self._address))
            self._fetched_at = self._watch()
        except (httpx.HTTPError, TimeoutError, ValueError, RecursionError) as error:
            LOG.warning("the connector's keys could not be fetched: %s", type(error).__name__)
        finally:
            self._fetching = None


class _Fetched(PyJWKClient):
    """What the SDK asks for a token's key: gives those that are known, and fetches nothing."""

    def __init__(self, keys: SigningKeys, address: str) -> None:
        super().__init__(address)
        self._found = keys

    def get_signing_key_from_jwt(self, token: str | bytes) -> PyJWK:
        return self._found.known(_key_id_in(token)).key


async def _read(address: str) -> bytes:
    """What the key server answers. Raises: httpx.HTTPError; ValueError for what no keys can be."""
    # Made in a thread: it reads the machine's certificates, which takes some 100 ms.
    client = await asyncio.to_thread(
        httpx.AsyncClient,
        follow_redirects=False,
        # A proxy that the environment names does not know our loopback.
        trust_env=not is_loopback(urlsplit(address).hostname or ""),
    )
    headers = {"accept": "application/json"}
    async with client, client.stream("GET", address, headers=headers) as answer:
        if answer.status_code != 200:
            raise ValueError("no keys there")
        body = bytearray()
        async for piece in answer.aiter_bytes():
            body += piece
            if len(body) > KEYS_LIMIT_BYTES:
                raise ValueError("too long for keys")
        return bytes(body)


def _keys_in(body: bytes) -> dict[str, SigningKey]:
    """The keys for signatures, by their id; those of another kind are left out. Raises: ValueError,
    also when none is left: an empty answer is a broken one, and takes away no key."""
    held = json.loads(body)
    listed: object = held.get("keys") if isinstance(held, dict) else None
    if not isinstance(listed, list):
        raise ValueError("no list of keys")
    keys: dict[str, SigningKey] = {}
    for each in listed:
        key_id = each.get("kid") if isinstance(each, dict) else None
        if isinstance(key_id, str) and (key := _key_of(each)) is not None:
            keys[key_id] = key
    if not keys:
        raise ValueError("no key for signatures")
    return keys


def _key_of(held: dict[str, Any]) -> SigningKey | None:
    """An RSA key for signatures, or None."""
    if held.get("kty") != "RSA" or held.get("use", "sig") != "sig":
        return None
    try:
        key = PyJWK.from_dict(held, algorithm="RS256")
    except Exception:  # not only the library's own errors: the numbers in it may be anything
        return None
    if key.key.key_size < SHORTEST_KEY_BITS:
        return None
    endorsed = held.get("endorsements")
    if endorsed is None:
        return SigningKey(key, None)
    listed = endorsed if isinstance(endorsed, list) else []
    return SigningKey(key, frozenset(each for each in listed if isinstance(each, str)))


def _token_in(authorization: str | None) -> str:
    """Raises: Unauthenticated for anything but one bearer token in the form of a signed JWT."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("no bearer token")
    if len(token) > LONGEST_TOKEN or token.count(".") != 2 or not token.isascii():
        raise Unauthenticated("no token of this form")
    return token


def _key_id_in(token: str | bytes) -> str:
    """The key that the token says it is signed with. Raises: Unauthenticated."""
    try:
        key_id = get_unverified_header(token).get("kid")
    except Exception:  # not only the library's own errors: nothing in here is checked yet
        raise Unauthenticated("a header that cannot be read") from None
    if not isinstance(key_id, str):
        raise Unauthenticated("no key id")
    return key_id


def _bare(address: str) -> str:
    """A service address as it is compared: with or without its last slash it is the same."""
    return address.removesuffix("/")
