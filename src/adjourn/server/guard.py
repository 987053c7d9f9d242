"""Who may speak to a server that asks nobody to sign in.

Loopback is not trust: a page in a browser on this machine can be steered by its author. So the
Host must be a loopback name (a name rebound to 127.0.0.1 is not), and what acts must not come from
a page of another origin. Nothing turns these checks off.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adjourn.approvals.people import Authenticator
from adjourn.errors import AdjournError, RefusedAddressError
from adjourn.server.problems import problem_response

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
KNOWN_METHODS = SAFE_METHODS | {"POST", "PUT", "PATCH", "DELETE"}

_HEADERS = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


class RefusedRequestError(AdjournError):
    """The request may come from somebody else's page, or has a method that nobody needs."""

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        super().__init__(reason)


def is_loopback(host: str) -> bool:
    """Whether this name or address means the same machine, without asking any name server."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_listening(host: str, authenticator: Authenticator | None = None) -> None:
    """Raises: RefusedAddressError for anything but loopback, unless people sign in: any other
    address, any other name, a path. Nothing turns this off."""
    # Only a plain False says that people prove who they are: what does not say so does not.
    signs_in = authenticator is not None and getattr(authenticator, "local", True) is False
    if not signs_in and not is_loopback(host):
        raise RefusedAddressError(host)


def check_request(method: str, headers: Headers) -> None:
    """Raises: RefusedRequestError."""
    if method not in KNOWN_METHODS:
        raise RefusedRequestError(405, f"{method} is not answered here.")
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not is_loopback(_name_of(hosts[0])):
        raise RefusedRequestError(
            421, "The Host header must be a loopback name: without sign-in we serve this machine."
        )
    if method in SAFE_METHODS:
        return
    site = headers.get("sec-fetch-site")
    origins = [origin.lower() for origin in headers.getlist("origin")]
    if site not in (None, "same-origin", "none") or origins not in (
        [],
        [f"http://{hosts[0].lower()}"],
    ):
        raise RefusedRequestError(403, "A page of another origin may not act here.")


def _name_of(host: str) -> str:
    try:
        parts = urlsplit(f"//{host}")
        valid = parts.netloc == host and parts.username is None and parts.port != 0
    except ValueError:
        return ""
    return (parts.hostname or "") if valid else ""


class Guard:
    """ASGI middleware that asks `check_request` before anything else looks at a request."""

    def __init__(self, app: ASGIApp, *, headers: Mapping[str, str] = _HEADERS) -> None:
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            check_request(scope["method"], Headers(scope=scope))
        except RefusedRequestError as error:
            await problem_response(error, error.status)(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)
