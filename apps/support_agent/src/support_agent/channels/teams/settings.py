"""What the support agent must know to be in Microsoft Teams, and which settings are refused.

Every setting is named SUPPORT_TEAMS_...: the generic names that the SDK reads by itself (CLIENT_ID,
PORT) may mean something else in the same environment.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal, get_args
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

from adjourn import AdjournError

PREFIX = "SUPPORT_TEAMS_"
CLIENT_ID = "SUPPORT_TEAMS_CLIENT_ID"
CLIENT_SECRET = "SUPPORT_TEAMS_CLIENT_SECRET"
TENANT_ID = "SUPPORT_TEAMS_TENANT_ID"
CLOUD = "SUPPORT_TEAMS_CLOUD"
SERVICE_URLS = "SUPPORT_TEAMS_SERVICE_URLS"
LOCAL = "SUPPORT_TEAMS_LOCAL"
UNAUTHENTICATED = "DANGEROUSLY_ALLOW_UNAUTHENTICATED_REQUESTS"
"""The SDK's own switch, which beats credentials there (see `_check_switch`)."""

LOCAL_CLIENT_ID = "00000000-0000-0000-0000-00000000c0de"
"""Of the bot in local mode, where no directory knows it."""
LONGEST_URL = 512
ON, OFF = frozenset({"1", "true", "yes", "on"}), frozenset({"", "0", "false", "no", "off"})

CloudName = Literal["Public", "USGov", "USGovDoD", "China"]
SERVICE_HOSTS: Mapping[CloudName, tuple[str, ...]] = {
    # The addresses that Microsoft publishes for proactive messages; GCC is in the public cloud.
    # No *.trafficmanager.net: whoever has an Azure account may take a name below that one. No
    # *.botframework.com: only channels other than Teams answer there.
    "Public": ("smba.trafficmanager.net", "smba.infra.gcc.teams.microsoft.com"),
    "USGov": ("smba.infra.gov.teams.microsoft.us",),
    "USGovDoD": ("smba.infra.dod.teams.microsoft.us",),
    "China": (),  # none is published: SUPPORT_TEAMS_SERVICE_URLS must name it
}
OPEN_DOMAINS = frozenset({"trafficmanager.net", "azurewebsites.net", "cloudapp.net", "azure.com"})
"""Anybody may take a name below these."""


class TeamsSettingsError(AdjournError):
    """The support agent does not start with these settings. The text says the next move, and holds
    no secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamsSettings:
    """Settings that may be served. Raises TeamsSettingsError for a combination that may not, so
    that no instance exists in which a secret and the local mode meet."""

    client_id: str
    """Of the bot, in lower case: who a token must be for."""
    client_secret: str = field(default="", repr=False)
    tenant_id: str = ""
    """Of the bot's own directory, in lower case; empty in local mode only."""
    cloud: CloudName = "Public"
    service_urls: tuple[str, ...] = SERVICE_HOSTS["Public"]
    """Hosts that answers may be sent to: names, or `*.` and the end of names. In lower case."""
    local: bool = False
    """No credentials: whoever can send to us is whoever they say. On loopback only."""
    metadata_url: str = ""
    """Of the connector's OpenID metadata, where it is not the cloud's own: for tests. It decides
    whose tokens are accepted, and therefore is never read from the environment."""

    def __post_init__(self) -> None:
        if self.local and self.client_secret:
            raise TeamsSettingsError(
                f"{LOCAL} accepts unsigned requests, and {CLIENT_SECRET} is set: remove {LOCAL} to "
                f"serve Teams, or {CLIENT_SECRET} to try it on this machine."
            )
        if self.local:
            return
        if not self.client_secret:
            # The SDK would take this for a managed identity, and ask the machine's own network.
            raise TeamsSettingsError(
                f"{CLIENT_ID} is set without {CLIENT_SECRET}: set the client secret of that app "
                f"registration too, or {LOCAL}=1 to try Teams without an account."
            )
        if not self.tenant_id:
            raise TeamsSettingsError(
                f"{TENANT_ID} is missing: set the directory (tenant) id of the app registration."
            )
        if not self.service_urls:
            raise TeamsSettingsError(
                f"For the cloud {self.cloud} no address of Teams is known: set {SERVICE_URLS} to "
                "the host names of its service URLs."
            )

    def trusts(self, service_url: str) -> bool:
        """Whether what we send may go to this address. It proves nothing about who named it."""
        parts = _split(service_url)
        if parts is None:
            return False
        host = parts.hostname or ""
        if self.local:
            return parts.scheme in ("http", "https") and is_loopback(host)
        return (
            parts.scheme == "https"
            and parts.port in (None, 443)
            and any(_fits(host, allowed) for allowed in self.service_urls)
        )


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Whether somebody has set anything for Teams."""
    return any(name.startswith(PREFIX) and value.strip() for name, value in environ.items())


def settings_of(environ: Mapping[str, str], host: str) -> TeamsSettings:
    """The settings in `environ`, for a server that listens on `host`.

    Raises: TeamsSettingsError, whose text says what to set or to remove.
    """
    given = {name: value.strip() for name, value in environ.items()}
    local = _switch(given, LOCAL)
    if local and not is_loopback(host):
        raise TeamsSettingsError(
            f"{LOCAL} lets anybody who reaches this server be anybody, and it would listen on "
            f"{host!r}: listen on 127.0.0.1, or remove {LOCAL} and set {CLIENT_ID}, "
            f"{CLIENT_SECRET} and {TENANT_ID}."
        )
    _check_switch(given, host)
    client_id, secret = given.get(CLIENT_ID, ""), given.get(CLIENT_SECRET, "")
    if not client_id and not local:
        have = (
            f"{CLIENT_SECRET} is set without {CLIENT_ID}" if secret else f"{CLIENT_ID} is missing"
        )
        raise TeamsSettingsError(
            f"{have}: set the application (client) id of the bot's app registration, or {LOCAL}=1 "
            "to try Teams without an account."
        )
    cloud = _cloud(given)
    return TeamsSettings(
        client_id=_guid(client_id, CLIENT_ID) or LOCAL_CLIENT_ID,
        client_secret=secret,
        tenant_id=_guid(given.get(TENANT_ID, ""), TENANT_ID),
        cloud=cloud,
        service_urls=_service_hosts(given.get(SERVICE_URLS, "")) or SERVICE_HOSTS[cloud],
        local=local,
    )


def is_loopback(host: str) -> bool:
    """Whether this name or address means the same machine, without asking any name server."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _check_switch(given: Mapping[str, str], host: str) -> None:
    """We never read the SDK's switch, but somebody who set it expects that it does something: with
    credentials, the SDK would answer unsigned requests with the bot's real token."""
    if given.get(UNAUTHENTICATED, "").lower() in OFF:
        return
    if given.get(CLIENT_SECRET) or given.get(CLIENT_ID) or not is_loopback(host):
        raise TeamsSettingsError(
            f"{UNAUTHENTICATED} is on: remove it from the environment. Requests from Teams are "
            f"always checked; to try Teams without an account, set {LOCAL}=1 instead of "
            "credentials, and listen on 127.0.0.1."
        )


def _switch(given: Mapping[str, str], name: str) -> bool:
    value = given.get(name, "").lower()
    if value not in ON | OFF:
        raise TeamsSettingsError(f"{name} is neither on nor off: set it to 1, or remove it.")
    return value in ON


def _cloud(given: Mapping[str, str]) -> CloudName:
    names: dict[str, CloudName] = {name.lower(): name for name in get_args(CloudName)}
    cloud = names.get((given.get(CLOUD, "") or "Public").lower())
    if cloud is None:
        raise TeamsSettingsError(f"{CLOUD} names no cloud: set one of {', '.join(names.values())}.")
    return cloud


def _guid(value: str, name: str) -> str:
    """In the one form that ids are compared in; empty stays empty."""
    if value and not is_guid(value):
        # Not shown: a secret that went into the wrong variable would come out here.
        raise TeamsSettingsError(f"{name} is no id: it looks like {LOCAL_CLIENT_ID}.")
    return value.lower()


def is_guid(value: str) -> bool:
    """Whether it is an id of a directory, as 8-4-4-4-12 hexadecimal digits."""
    try:
        return str(UUID(value)) == value.lower()
    except ValueError:
        return False


def _service_hosts(value: str) -> tuple[str, ...]:
    """Host names out of names or https addresses, separated by commas."""
    return tuple(_service_host(entry.strip()) for entry in value.split(",") if entry.strip())


def _service_host(entry: str) -> str:
    wildcard = entry.startswith("*.")
    bare = entry.removeprefix("*.") if wildcard else entry
    parts = _split(bare if "://" in bare else f"https://{bare}")
    host = parts.hostname or "" if parts is not None and parts.scheme == "https" else ""
    labels = host.split(".")
    named = len(labels) > 1 and not labels[-1].isdigit() and ":" not in host
    if not named or "*" in host or (wildcard and host in OPEN_DOMAINS):
        raise TeamsSettingsError(
            f"{SERVICE_URLS} has an entry that is no host name whose owner is certain: give names "
            "such as smba.trafficmanager.net, separated by commas. `*.` may stand before a domain "
            "that belongs to one owner."
        )
    return f"*.{host}" if wildcard else host


def _split(url: str) -> SplitResult | None:
    """The parts of an address that reads the same to every library; None for any other."""
    plain = len(url) <= LONGEST_URL and all("!" <= letter <= "~" for letter in url)
    if not plain or any(letter in url for letter in "\\?#@%"):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for one that is no number
    except ValueError:
        return None
    return parts if parts.hostname else None


def _fits(host: str, allowed: str) -> bool:
    if allowed.startswith("*."):
        return host.endswith(allowed[1:])
    return host == allowed
