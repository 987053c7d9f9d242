"""Addresses that somebody gave us, and what they may lead to."""

from __future__ import annotations

from urllib.parse import urlsplit

from adjourn.model.hosts import is_loopback

PATH_LIMIT = 2_000  # characters


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
