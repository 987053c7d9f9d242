"""From what an operator wrote down to a gate: checked whole before anything is opened."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import urlsplit

from adjourn.access.gate import Gate
from adjourn.access.settings import Access, SessionRules
from adjourn.errors import SettingsError
from adjourn.store.records import Records

PLAIN_HOSTS = ("localhost", "127.0.0.1", "::1")
"""Where browsers keep Secure cookies without https."""
_PLAIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
YEAR_MINUTES = 366 * 24 * 60


class NoWayInError(SettingsError):
    """Nobody and nothing could come in."""

    def __init__(self) -> None:
        super().__init__(
            "These settings let nobody in. Say how people sign in ([oidc] or [proxy]), or leave "
            "`keys` on for programs."
        )


class NobodyKnownError(SettingsError):
    """A proxy says who people are, and there are no people."""

    def __init__(self) -> None:
        super().__init__(
            "[proxy] says who somebody is, and only a people file says what they may: name one "
            "with people_file."
        )


class PublicUrlError(SettingsError):
    """`public_url` is not an address where browsers can find this server safely."""

    def __init__(self, public_url: str, reason: str) -> None:
        self.public_url = public_url
        given = f"public_url is {public_url!r}" if public_url else "There is no public_url"
        super().__init__(
            f"{given}: {reason}. It is the address that people type, as in "
            "https://adjourn.example.com; a proxy in front of us ends TLS there."
        )


class MissingSecretError(SettingsError):
    """The environment does not hold a secret that the settings name."""

    def __init__(self, variable: str) -> None:
        self.variable = variable
        super().__init__(
            f"[oidc] takes its client secret from the variable {variable}, which is not set or "
            "empty. Set it before the start, or take client_secret_env out for a public client."
        )


class SessionRulesError(SettingsError):
    """Sessions would end at once, or never."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"[session] {reason}.")


def signs_in(settings: Access) -> bool:
    """Whether these settings mean signed-in mode; otherwise it is this machine only."""
    return bool(settings.public_url or settings.hosts or settings.oidc or settings.proxy)


def check_settings(settings: Access, environment: Mapping[str, str]) -> None:
    """Raises: NoWayInError, NobodyKnownError, PublicUrlError, MissingSecretError,
    SessionRulesError."""
    if settings.oidc is None and settings.proxy is None and not settings.keys:
        raise NoWayInError
    if settings.proxy is not None and settings.oidc is None and not settings.people_file:
        raise NobodyKnownError
    _check_public_url(settings.public_url)
    _check_rules(settings.session)
    secret = "" if settings.oidc is None else settings.oidc.client_secret_env
    if secret and not environment.get(secret):
        raise MissingSecretError(secret)


def check_beyond_loopback(settings: Access) -> None:
    """What must hold as well where more than this machine is answered. Raises: PublicUrlError."""
    if not settings.public_url.startswith("https://"):
        raise PublicUrlError(settings.public_url, "beyond this machine it must be https")


def open_gate(
    settings: Access,
    environment: Mapping[str, str],
    records: Records,
    now: Callable[[], datetime],
) -> Gate:
    """The gate that these settings describe, over these records.

    Raises: as `check_settings`; PeopleFileError.
    """
    check_settings(settings, environment)
    return Gate(settings, records, now)


def _check_public_url(given: str) -> None:
    if not given:
        raise PublicUrlError(given, "with sign-in, browsers and the provider must find us")
    try:
        parts = urlsplit(given)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise PublicUrlError(given, "that is no address") from None
    if parts.scheme not in ("https", "http") or not host or port == 0:
        raise PublicUrlError(given, "that is no address of a web site")
    if parts.path or parts.query or parts.fragment or given[-1] in "?#":
        raise PublicUrlError(given, "we need a host of our own, so it ends after the host")
    if not _PLAIN.fullmatch(given):
        raise PublicUrlError(given, "a host in small letters, perhaps a port, and nothing else")
    if parts.scheme == "http" and host not in PLAIN_HOSTS:
        raise PublicUrlError(given, "beyond this machine it must be https")


def _check_rules(rules: SessionRules) -> None:
    idle, longest = rules.idle_minutes, rules.absolute_minutes
    if not 1 <= idle <= longest <= YEAR_MINUTES:
        raise SessionRulesError(
            f"has idle_minutes = {idle} and absolute_minutes = {longest}: 1 or more, the second "
            f"not below the first, and at most {YEAR_MINUTES:,}"
        )
