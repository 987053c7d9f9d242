"""Requests to addresses that somebody else chose, without reaching what only we can reach.

The name is looked up once, every address that comes of it must be public, and the connection goes
to one of those very addresses: a name that means something else a moment later changes nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import httpx

from adjourn.notify.addresses import (
    HTTPS_PORT,
    Address,
    OutgoingRefusedError,
    Target,
    is_allowed_host,
    is_public,
    place,
    read_url,
)

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Addresses of a name, as text, best first; OSError where there are none."""

ADDRESS_LIMIT = 16
BODY_LIMIT = 64 * 1024  # bytes of an answer that are read
TIMEOUT_SECONDS = 15.0


async def look_up(host: str, port: int) -> list[str]:
    """As the machine's resolver says."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the other side answered. A redirect is an answer like any other: nobody follows it."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    """The beginning of it, at most BODY_LIMIT bytes."""


class UnreachableError(OSError):
    """Nobody answered there, or not as HTTP says. Its text is made here, and holds no secret."""


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """Where requests may go.

    https only, to one of `ports`, to public addresses. What stands in `allow_private`
    ("127.0.0.1:9000") is allowed whatever it is, by http too. No redirect is followed, no proxy and
    no certificate file of the environment is used.
    """

    hosts: Sequence[str] = ()
    """If any are named, only these: `is_allowed_host`."""
    ports: Sequence[int] = (HTTPS_PORT,)
    allow_private: Sequence[str] = ()
    """Places as `read_place` returns them."""
    timeout_seconds: float = TIMEOUT_SECONDS
    """For all of it: looking up, connecting, sending, reading."""
    ca_file: str = ""
    """Certificates to trust instead of the usual ones."""
    resolve: Resolve = field(default=look_up, repr=False)

    @cached_property
    def _certificates(self) -> ssl.SSLContext:
        """Read once: that takes tens of milliseconds."""
        return ssl.create_default_context(cafile=self.ca_file or None)

    async def check(self, url: str) -> tuple[Target, list[Address]]:
        """What `url` means, and the addresses that may be connected to: all it has, or none.

        Raises: OutgoingRefusedError.
        """
        target = read_url(url)
        if not is_allowed_host(target.host, self.hosts):
            raise OutgoingRefusedError("not_allowed", f"{target.host} is not in allowed_hosts.")
        addresses = await self._addresses(target)
        private = [each for each in addresses if place(each, target.port) in self.allow_private]
        if private == addresses:
            return target, addresses
        if target.scheme != "https":
            raise OutgoingRefusedError("scheme", "It must be https.")
        if target.port not in self.ports:
            raise OutgoingRefusedError("port", f"Port {target.port} is not one of ports.")
        if not all(map(is_public, addresses)):
            raise OutgoingRefusedError("private", f"{target.host} is no public address.")
        return target, addresses

    async def _addresses(self, target: Target) -> list[Address]:
        if target.address is not None:
            return [target.address]
        try:
            found = await self.resolve(target.host, target.port)
            addresses = [ipaddress.ip_address(each) for each in found]
        except (OSError, ValueError, UnicodeError):
            addresses = []
        if not 0 < len(addresses) <= ADDRESS_LIMIT:
            raise OutgoingRefusedError("unknown", f"{target.host} has no address that we can use.")
        return list(dict.fromkeys(addresses))

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send it once. Of several addresses the next is tried only where no connection came about.

        Raises: OutgoingRefusedError, UnreachableError.
        """
        try:
            async with asyncio.timeout(self.timeout_seconds):
                target, addresses = await self.check(url)
                return await self._post(target, addresses, body, headers)
        except TimeoutError:
            seconds = f"{self.timeout_seconds:g}"
            raise UnreachableError(f"no answer within {seconds} seconds") from None

    async def _post(
        self, target: Target, addresses: Sequence[Address], body: bytes, headers: Mapping[str, str]
    ) -> Reply:
        plain = target.scheme != "https"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else self._certificates
        transport = httpx.AsyncHTTPTransport(verify=context, trust_env=False, retries=0)
        async with httpx.AsyncClient(
            transport=transport, trust_env=False, follow_redirects=False
        ) as client:
            trouble = "no address"
            for address in addresses:
                request = _request(target, address, body, headers)
                try:
                    return await _read(await client.send(request, stream=True))
                except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                    trouble = f"no connection ({_cause(error)})"
                except (httpx.HTTPError, httpx.InvalidURL) as error:
                    raise UnreachableError(f"it broke off ({type(error).__name__})") from error
            raise UnreachableError(trouble)


def _request(
    target: Target, address: Address, body: bytes, headers: Mapping[str, str]
) -> httpx.Request:
    """To the address itself, in the name of the host: its Host header, its certificate."""
    host = f"[{address}]" if isinstance(address, ipaddress.IPv6Address) else str(address)
    return httpx.Request(
        "POST",
        f"{target.scheme}://{host}:{target.port}{target.path}",
        content=body,
        headers={
            "user-agent": "Adjourn",
            **headers,
            "host": target.authority,
            "accept-encoding": "identity",
        },
        extensions={"sni_hostname": target.host},
    )


async def _read(response: httpx.Response) -> Reply:
    """Its beginning, as it came: nothing is unpacked, so that little cannot become much."""
    try:
        body = b""
        async for piece in response.aiter_raw():
            body += piece
            if len(body) >= BODY_LIMIT:
                break
        return Reply(response.status_code, dict(response.headers), body[:BODY_LIMIT])
    finally:
        await response.aclose()


def _cause(error: Exception) -> str:
    """Why, without what the other side may have written."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, ssl.SSLCertVerificationError):
            return f"its certificate: {inner.verify_message}"
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        inner = inner.__cause__ or inner.__context__
    return type(error).__name__
