"""Addresses that somebody gave us: what they may lead to, and which machine they mean."""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
)
from urllib.parse import urlsplit

from adjourn.model.hosts import is_loopback

PATH_LIMIT = 2_000  # characters

_MAPPED = IPv6Network("::ffff:0:0/96")  # all of IPv4, written as IPv6


def own_path(given: str) -> str:
    """A path of this site; its root for anything else, so that no link leads away."""
    safe = given.isascii() and given.isprintable() and "\\" not in given
    own = given.startswith("/") and not given.startswith("//") and len(given) <= PATH_LIMIT
    return given if safe and own else "/"


def on_this_machine(address: str) -> bool:
    """Whether its host is a loopback name, without asking any name server."""
    return is_loopback(urlsplit(address).hostname or "")


def is_endpoint(address: str, *, plain_http: bool) -> bool:
    """Whether a secret may be sent there: https, or http on this machine where `plain_http`; a
    host, and neither somebody's name in it nor a fragment."""
    if not address.isascii() or not address.isprintable() or " " in address:
        return False
    try:
        parts = urlsplit(address)
        usable = bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
        if not usable or "#" in address or "\\" in address:
            return False
        return parts.scheme == "https" or (
            parts.scheme == "http" and plain_http and on_this_machine(address)
        )
    except ValueError:
        return False


def plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An IPv4 address as such, however a socket for both kinds writes it."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def network_of(text: str) -> IPv4Network | IPv6Network:
    """The network that an operator wrote down, one of IPv4 as such. Raises: ValueError."""
    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        mapped = IPv6Address(network.network_address).ipv4_mapped
        return IPv4Network(f"{mapped}/{network.prefixlen - _MAPPED.prefixlen}")
    return network
