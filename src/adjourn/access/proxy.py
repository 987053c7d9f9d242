"""A reverse proxy that has signed people in, and says in a header who they are.

Whoever can send that header from an address that we trust can be anybody. So the addresses are
listed, few, and checked when the settings are read; the header counts once, and exactly.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from ipaddress import (
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from typing import Protocol

from adjourn.access.addresses import network_of, plain
from adjourn.access.settings import Proxy
from adjourn.approvals.people import Person
from adjourn.errors import InvalidSettingError

CHANNEL = "proxy"
"""Of `Person.accounts`: what the proxy calls them."""

WIDEST_IPV4 = 16  # bits that must be fixed
WIDEST_IPV6 = 48
LONGEST_VALUE = 320  # characters, as a mail address may have

_TRANSLATED = IPv6Network("64:ff9b::/96")  # all of IPv4 behind a translator
_LOOPBACK = IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")
_HEADER = re.compile(r"[a-z][a-z0-9-]{0,60}")
_TAKEN = frozenset(
    [
        *("authorization", "connection", "content-length", "content-type", "cookie", "host"),
        *("origin", "referer", "transfer-encoding", "user-agent", "x-forwarded-for"),
        *("x-forwarded-host", "x-forwarded-proto"),
    ]
)

_log = logging.getLogger("adjourn.access")

_Network = IPv4Network | IPv6Network


class People(Protocol):
    """What is asked of a directory."""

    def find(self, person: str) -> Person | None: ...
    def find_account(self, channel: str, account: str) -> Person | None: ...
    def everybody(self) -> Sequence[Person]: ...


class TrustedProxy:
    """Says whom a request comes from, where a proxy that we trust has said so."""

    def __init__(self, proxy: Proxy, people: People) -> None:
        """Raises: InvalidSettingError that says why, and what to write."""
        self._header = _header(proxy.header)
        self._people = people
        self._networks: list[_Network] = []
        self._zoned: set[str] = set()
        """Link-local addresses with the interface that they are reached by."""
        for text in proxy.trusted:
            if "%" in text:
                self._zoned.add(_zoned(text))
            else:
                self._networks.append(_network(text))
        if not proxy.trusted:
            raise InvalidSettingError(
                "proxy.trusted",
                "it is empty, so the header would count from nobody",
                'Write the address of the proxy, as in trusted = ["10.1.2.3"], or leave [proxy] '
                "out.",
            )
        if any(_overlap(network, own) for network in self._networks for own in _LOOPBACK):
            _log.warning(
                "[proxy] trusts this machine: every program and every person on it can sign in as "
                "anybody, by sending %s.",
                self._header,
            )

    def trusts(self, peer: str) -> bool:
        """Whether the other end of the connection is one of the proxies."""
        try:
            address = ip_address(peer)
        except ValueError:  # a name, a UNIX socket, nothing
            return False
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            return str(address) in self._zoned
        return any(plain(address) in network for network in self._networks)

    def person(self, headers: Mapping[str, str], peer: str) -> str | None:
        """The id of the one person whom a trusted proxy names; None for everything else.

        The name is an id, an account "proxy", or a mail address, exactly (the letter case of a mail
        address does not count). What could mean two people means nobody. A header that came twice
        is two items of `headers`, as it is of starlette's.
        """
        if not self.trusts(peer):
            return None
        # Some programs take an underscore for a hyphen: whoever sends both hopes for one.
        given = [
            (name, value)
            for name, value in headers.items()
            if name.lower().replace("_", "-") == self._header
        ]
        if len(given) != 1 or given[0][0].lower() != self._header:
            return None
        value = given[0][1]
        # Beyond ASCII two addresses may fold into one: groß.com is gross.com.
        if not value.isascii() or not value.isprintable() or not 0 < len(value) <= LONGEST_VALUE:
            return None
        meant = self._meant(value)
        if len(meant) > 1:
            _log.warning("The proxy's header means %d people: %s", len(meant), sorted(meant))
        if len(meant) != 1:
            return None
        (person,) = meant.values()
        return None if person.disabled else person.id

    def _meant(self, value: str) -> dict[str, Person]:
        """Everybody whom this may mean, by id."""
        found = [self._people.find(value), self._people.find_account(CHANNEL, value)]
        if "@" in value:
            mail = value.casefold()
            everybody = self._people.everybody()
            found += [person for person in everybody if person.email.casefold() == mail]
        return {person.id: person for person in found if person is not None}


def _header(name: str) -> str:
    lower = name.lower()
    if _HEADER.fullmatch(lower) is None or lower in _TAKEN:
        raise InvalidSettingError(
            "proxy.header",
            f"{name[:80]!r} cannot be the header that names a person",
            "Write the one that your proxy sets, in letters, digits and hyphens, as in "
            'header = "x-forwarded-user".',
        )
    return lower


def _network(text: str) -> _Network:
    try:
        network = network_of(text)
    except ValueError as error:
        raise InvalidSettingError(
            "proxy.trusted",
            f"{text[:80]!r} is no address and no network ({error})",
            'Write trusted = ["10.1.2.3"] or ["10.1.2.0/24"]; names are not looked up.',
        ) from None
    _refuse_too_wide(text, network)
    return network


def _overlap(one: _Network, other: _Network) -> bool:
    return one.version == other.version and one.overlaps(other)


def _refuse_too_wide(text: str, network: _Network) -> None:
    widest = WIDEST_IPV4 if isinstance(network, IPv4Network) else WIDEST_IPV6
    if isinstance(network, IPv6Network) and network.subnet_of(_TRANSLATED):
        widest = _TRANSLATED.prefixlen + WIDEST_IPV4
    if network.prefixlen >= widest:
        return
    raise InvalidSettingError(
        "proxy.trusted",
        f"{text} holds far more machines than your proxies, and each of them could be anybody",
        'Write the addresses of the proxies themselves, as in trusted = ["10.1.2.3"], or a '
        f"network of them alone (/{widest} at the widest).",
    )


def _zoned(text: str) -> str:
    try:
        address = ip_address(text)
    except ValueError:
        address = None
    if not isinstance(address, IPv6Address) or not address.is_link_local:
        raise InvalidSettingError(
            "proxy.trusted",
            f"{text[:80]!r} names an interface, and is no link-local address",
            'Write it whole, as in trusted = ["fe80::1%eth0"], or leave the % out.',
        )
    return str(address)
