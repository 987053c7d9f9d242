"""How often one address may ask for what nobody has to be signed in for."""

from ipaddress import IPv6Address, ip_address

from fastapi import Request
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

WIDTH_OF_A_SITE = 64
"""Bits of an IPv6 address that a network gives away whole: who has one of them has all."""
ADDRESSES_LIMIT = 20_000
"""That are counted at the same time. Who comes from more is not stopped by counting, and must not
fill the memory: all of them begin anew."""


class Rate:
    """So many a minute from each address, counted in this process."""

    def __init__(self, a_minute: int) -> None:
        self._limit = parse(f"{a_minute}/minute")
        self._counted = MemoryStorage()
        self._limiter = FixedWindowRateLimiter(self._counted)

    def takes(self, request: Request) -> bool:
        """Count this one, and whether it is within what the address may."""
        if len(self._counted.storage) >= ADDRESSES_LIMIT:
            self._counted.reset()
        return self._limiter.hit(self._limit, site_of_address(request))


def site_of_address(request: Request) -> str:
    """The address at the other end of the connection; behind a reverse proxy it is the proxy's."""
    host = request.client.host if request.client is not None else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> WIDTH_OF_A_SITE << WIDTH_OF_A_SITE))
