"""Where this process may connect to for somebody else: the form of a URL, and public addresses.

Nothing here asks the network. A form that two readers could understand differently is refused, not
repaired: what is checked is then what is connected to.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from adjourn.errors import AdjournError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

URL_LIMIT = 2_000  # characters
HTTPS_PORT = 443

_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9.-]+)"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<target>/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*"
    r"(?:\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?)?"
)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

Rule = Literal["url", "scheme", "port", "host", "not_allowed", "unknown", "private"]


class OutgoingRefusedError(AdjournError):
    """A request was not sent: where it would have gone is not allowed. `rule` says why."""

    def __init__(self, rule: Rule, reason: str) -> None:
        self.rule: Rule = rule
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL means."""

    scheme: str
    host: str
    """A name in lower case, or an address without brackets."""
    port: int
    path: str
    """With the query; at least "/"."""

    @property
    def address(self) -> Address | None:
        """Where the host is an address."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    @property
    def authority(self) -> str:
        """As the Host header says it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"https": 443, "http": 80}[self.scheme]
        return host if self.port == usual else f"{host}:{self.port}"


def read_url(url: str) -> Target:
    """The one meaning of `url`: `https://name[:port][/path][?query]` in lower-case ASCII.

    Refused are user names, fragments, percent signs and anything but a-z, 0-9, "-" and "." in the
    host, a dot at its end, and numbers that are no plain IPv4 address (octal, hexadecimal, short).

    Raises: OutgoingRefusedError.
    """
    found = _URL.fullmatch(url) if len(url) <= URL_LIMIT else None
    if found is None:
        raise OutgoingRefusedError(
            "url",
            f"{url!r:.200} is no address like https://hooks.example.com/adjourn: write the host in "
            "lower-case ASCII (punycode), without a user name, and encode what is special.",
        )
    host = found["host"].strip("[]")
    _check_host(found["host"], host)
    scheme = found["scheme"]
    port = int(found["port"] or (443 if scheme == "https" else 80))
    if port > 65_535:
        raise OutgoingRefusedError("port", f"{port} is no port.")
    return Target(scheme, host, port, found["target"] or "/")


def _check_host(written: str, host: str) -> None:
    if written.startswith("["):
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise OutgoingRefusedError("host", f"{written} is no IPv6 address.") from None
        return
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):  # then every reader takes it for an address: so must we
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise OutgoingRefusedError("host", f"{host} is no plain IPv4 address.") from None
        return
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise OutgoingRefusedError("host", f"{host:.100} is no host name.")


_NOT_PUBLIC_4 = tuple(
    ipaddress.IPv4Network(each)
    for each in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_PUBLIC_6 = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    ipaddress.IPv6Network(each)
    for each in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
_ISATAP = (0x00005EFE, 0x02005EFE)


def is_public(address: Address) -> bool:
    """Whether it is an ordinary address of the internet, by our own lists as well as Python's:
    `is_global` alone lets 6to4, NAT64, site-local and multicast addresses through (3.11.7).

    What carries another address inside it (mapped, compatible, 6to4, Teredo, NAT64, ISATAP) is
    none, whatever is inside.
    """
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    if address.scope_id is not None or address not in _PUBLIC_6:
        return False
    if any(address in network for network in _NOT_PUBLIC_6):
        return False
    return (int(address) >> 32) & 0xFFFF_FFFF not in _ISATAP


def place(address: Address, port: int) -> str:
    """`127.0.0.1:9000`, `[::1]:9000`."""
    return (
        f"[{address}]:{port}" if isinstance(address, ipaddress.IPv6Address) else f"{address}:{port}"
    )


def read_place(text: str) -> str:
    """A place of `allow_private` as `place` writes it. Raises: ValueError with the right form."""
    host, _, port = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        number = int(port)
        if not 0 < number < 65_536 or port != str(number):
            raise ValueError
    except ValueError:
        raise ValueError(f'{text!r} is no place like "127.0.0.1:9000" or "[::1]:9000"') from None
    return place(address, number)


def is_allowed_host(host: str, allowed: Collection[str]) -> bool:
    """Whether it is one of them; ".example.com" stands for every name below example.com. An empty
    list allows all."""
    if not allowed:
        return True
    return any(host == each or (each.startswith(".") and host.endswith(each)) for each in allowed)
