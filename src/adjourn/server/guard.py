"""Which requests come in at all, whoever sends them.

A server is in one of two modes. Without sign-in it serves this machine only: the Host must be a
loopback name (a name rebound to 127.0.0.1 is not), and what acts must not come from a page of
another origin. Loopback is not trust: a page in a browser on this machine can be steered by its
author. With sign-in the Host must be the one of `public_url` or one of `hosts`, and what acts must
come from a page of `public_url`, or from a program that shows a key. Nothing turns this off, and
no `X-Forwarded-*` header has a say in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adjourn.access.settings import Access
from adjourn.approvals.people import Authenticator
from adjourn.errors import AdjournError, RefusedAddressError
from adjourn.model.hosts import is_loopback
from adjourn.server.problems import request_id
from adjourn.server.refusals import refusal

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
KNOWN_METHODS = SAFE_METHODS | {"POST", "PUT", "PATCH", "DELETE"}

HEADERS_LIMIT = 100  # header lines of one request
HEADERS_BYTES = 32 * 1024  # of all of them; a session's cookie and a key are some hundred
TARGET_BYTES = 16 * 1024  # of path and query together
HEALTH = "/healthz"
HSTS_SECONDS = 365 * 24 * 3600

_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_PORTS = {"http": 80, "https": 443}
_FRAMES = frozenset({"iframe", "frame", "object", "embed", "fencedframe"})

HEADERS: Mapping[str, str] = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": (
        "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), "
        "display-capture=(), browsing-topics=()"
    ),
}
"""What every answer says to a browser, unless a page says it for itself."""


class RefusedRequestError(AdjournError):
    """The request may come from somebody else's page, or is not one that anybody needs."""

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        super().__init__(reason)


class WrongAddressError(AdjournError):
    """`public_url` or one of `hosts` is not what a browser or a program could ask for."""

    def __init__(self, word: str, given: str, rule: str) -> None:
        self.word = word
        self.given = given
        super().__init__(f"{word} cannot be {given!r}: {rule}.")


def check_listening(host: str, authenticator: Authenticator | None = None) -> None:
    """Raises: RefusedAddressError for anything but loopback, unless people sign in: any other
    address, any other name, a path. Nothing turns this off."""
    # Only a plain False says that people prove who they are: what does not say so does not.
    signs_in = authenticator is not None and getattr(authenticator, "local", True) is False
    if not signs_in and not is_loopback(host):
        raise RefusedAddressError(host)


@dataclass(frozen=True)
class Doorway:
    """How one server is asked for. Without an origin: on this machine, where nobody signs in."""

    origin: str = ""
    """Of `public_url`, as a browser writes it: `https://adjourn.example.com`."""
    hosts: frozenset[str] = frozenset()
    """Every Host that is answered, each with and without its port where that is the default."""
    identity: str = ""
    """The header by which a proxy says who asks: it signs in as a cookie does."""

    @classmethod
    def of(cls, access: Access | None) -> Doorway:
        """Raises: WrongAddressError."""
        if access is None or not access.public_url:
            return cls()
        scheme, host = _public(access.public_url)
        names = [host, *(_further(each) for each in access.hosts)]
        known = {spelled for name in names for spelled in _spelled(scheme, name)}
        identity = "" if access.proxy is None else access.proxy.header.lower()
        return cls(f"{scheme}://{_shortest(scheme, host)}", frozenset(known), identity)

    @property
    def local(self) -> bool:
        return not self.origin

    @property
    def headers(self) -> Mapping[str, str]:
        """What every answer says to a browser."""
        if not self.origin.startswith("https:"):
            return HEADERS
        return {**HEADERS, "strict-transport-security": f"max-age={HSTS_SECONDS}"}

    def check(self, method: str, path: str, headers: Headers) -> None:
        """Raises: RefusedRequestError."""
        if method not in KNOWN_METHODS:
            raise RefusedRequestError(405, f"{method[:20]} is not answered here.")
        _check_form(path, headers)
        if self.local:
            _check_local_host(headers)
            if method not in SAFE_METHODS:
                self._check_local_act(headers)
            return
        if path != HEALTH or method not in SAFE_METHODS:
            self._check_host(headers)
        if method in SAFE_METHODS:
            _check_embedding(headers)
        else:
            self._check_act(headers)

    def _check_host(self, headers: Headers) -> None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self.hosts:
            raise RefusedRequestError(
                421,
                "This server is not asked for by that Host. Ask by the address in its public_url, "
                "or add this one to hosts in its settings.",
            )

    def _check_local_act(self, headers: Headers) -> None:
        own = f"http://{headers['host'].lower()}"
        if _sites(headers) not in ([], ["same-origin"], ["none"]) or _origins(headers) not in (
            [],
            [own],
        ):
            raise RefusedRequestError(403, "A page of another origin may not act here.")

    def _check_act(self, headers: Headers) -> None:
        origins, sites = _origins(headers), _sites(headers)
        if origins not in ([], [self.origin]) or sites not in ([], ["same-origin"]):
            raise RefusedRequestError(403, "A page of another origin may not act here.")
        # Every browser of the last years says one of the two with what acts. What a browser adds
        # by itself (a cookie, what a proxy makes of one) is therefore no program's, without them.
        signed_in = "cookie" in headers or (self.identity and self.identity in headers)
        if signed_in and not origins and not sites and not _shows_a_key(headers):
            raise RefusedRequestError(
                403, "Who acts with a session says from which page: send Origin, or use a key."
            )


def _origins(headers: Headers) -> list[str]:
    return headers.getlist("origin")


def _sites(headers: Headers) -> list[str]:
    return headers.getlist("sec-fetch-site")


def _shows_a_key(headers: Headers) -> bool:
    """No browser adds a bearer token by itself; it does add what was typed for Basic."""
    return headers.get("authorization", "").lower().startswith("bearer ")


def _check_form(path: str, headers: Headers) -> None:
    """What no client of ours sends, and what programs behind us would read differently."""
    if len(headers.raw) > HEADERS_LIMIT:
        raise RefusedRequestError(431, f"At most {HEADERS_LIMIT} headers are read.")
    if sum(len(name) + len(value) for name, value in headers.raw) > HEADERS_BYTES:
        raise RefusedRequestError(431, f"At most {HEADERS_BYTES:,} bytes of headers are read.")
    if not path.startswith("/"):
        raise RefusedRequestError(400, "Ask for a path of this server.")
    if "content-length" in headers and "transfer-encoding" in headers:
        raise RefusedRequestError(400, "A body has one length: by its header, or by its chunks.")


def _check_embedding(headers: Headers) -> None:
    """A page of somebody else may lead here, and may not load anything of ours into itself."""
    if _sites(headers) in ([], ["same-origin"], ["none"]):
        return
    leads = headers.getlist("sec-fetch-mode") == ["navigate"]
    if not leads or headers.get("sec-fetch-dest", "") in _FRAMES:
        raise RefusedRequestError(403, "A page of another origin may only lead here.")


def _check_local_host(headers: Headers) -> None:
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not is_loopback(_name_of(hosts[0])):
        raise RefusedRequestError(
            421, "The Host header must be a loopback name: without sign-in we serve this machine."
        )


def _name_of(host: str) -> str:
    try:
        parts = urlsplit(f"//{host}")
        valid = parts.netloc == host and parts.username is None and parts.port != 0
    except ValueError:
        return ""
    return (parts.hostname or "") if valid else ""


# Addresses as an operator writes them.


def _public(url: str) -> tuple[str, str]:
    """Scheme and host of `public_url`. Raises: WrongAddressError."""
    rule = "write https://, a name in ASCII, its port if it has another one, and no path"
    try:
        parts = urlsplit(url)
        bare = f"{parts.scheme}://{parts.netloc}"
    except ValueError:
        raise WrongAddressError("public_url", url, rule) from None
    if parts.scheme not in _PORTS or url.lower() not in (bare.lower(), f"{bare}/".lower()):
        raise WrongAddressError("public_url", url, rule)
    if not _is_host(parts.netloc):
        raise WrongAddressError("public_url", url, rule)
    return parts.scheme, parts.netloc.lower()


def _further(host: str) -> str:
    if not _is_host(host):
        raise WrongAddressError("hosts", host, "write a name or an address, and its port")
    return host.lower()


def _is_host(text: str) -> bool:
    return _HOST.fullmatch(text) is not None and bool(_name_of(text))


def _spelled(scheme: str, host: str) -> Sequence[str]:
    """The Host headers that ask for this host: a default port may be said, any other one must."""
    short = _shortest(scheme, host)
    return (short, f"{short}:{_PORTS[scheme]}") if _port(short) is None else (short,)


def _shortest(scheme: str, host: str) -> str:
    return host.removesuffix(f":{_PORTS[scheme]}") if _port(host) == _PORTS[scheme] else host


def _port(host: str) -> int | None:
    return urlsplit(f"//{host}").port


class Guard:
    """ASGI middleware in front of all but the log: asks `Doorway.check` before anything else looks
    at a request.

    Each request has an id, which stands in its answer as `x-request-id`, in every problem, and in
    the log.
    """

    def __init__(self, app: ASGIApp, doorway: Doorway) -> None:
        self._app = app
        self._doorway = doorway
        self._headers = doorway.headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # no route of ours; a mount's would stand open
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        id = request_id(scope)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers["x-request-id"] = id
            await send(message)

        try:
            self._check(scope)
        except RefusedRequestError as error:
            await refusal(scope, error, error.status)(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)

    def _check(self, scope: Scope) -> None:
        """Raises: RefusedRequestError."""
        target = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if target > TARGET_BYTES:
            raise RefusedRequestError(414, f"At most {TARGET_BYTES:,} bytes of address are read.")
        self._doorway.check(scope["method"], scope["path"], Headers(scope=scope))
