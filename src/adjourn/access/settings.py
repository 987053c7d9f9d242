"""What an operator writes down about sign-in. No secret stands in it: where one is needed, it says
which environment variable holds it."""

from __future__ import annotations

from typing import Annotated

import msgspec

from adjourn.model.actor import Role


class Member(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whoever is in one of the provider's groups is in ours, and has these roles."""

    claim: str
    """As the provider names it: a group's name, or its id."""
    group: str = ""
    roles: list[Role] = []
    tenant: str = ""
    queues: list[str] | None = None


class Provider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[oidc]`: an OpenID Connect provider. Entra ID, Google and Keycloak differ in these only."""

    issuer: str
    """`https://login.microsoftonline.com/<tenant>/v2.0`, `https://accounts.google.com`,
    `https://keycloak.example.com/realms/<realm>`."""
    client_id: str
    client_secret_env: str = ""
    """The variable that holds it; without one this is a public client, with PKCE alone."""
    name: str = "your company account"
    """What the button says after "Sign in with"."""
    scopes: list[str] = msgspec.field(default_factory=lambda: ["openid", "profile", "email"])
    groups_claim: str = "groups"
    members: list[Member] = []
    allowed_domains: list[str] = []
    """Of verified mail addresses; needed where anybody can have an account, as with Google."""
    strangers: bool = False
    """Whether somebody comes in who is in no people file and in none of `members`."""


class Proxy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[proxy]`: a reverse proxy that has signed people in, and says who they are in a header."""

    trusted: list[str]
    """Addresses or networks of the proxies; the header counts from nobody else."""
    header: str = "x-forwarded-user"
    """Holds a person's id or account; the proxy must take it off what comes from outside."""


class SessionRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[session]`, in minutes."""

    idle_minutes: int = 60
    absolute_minutes: int = 12 * 60


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[limits]`: how often one caller may ask, where people sign in. Looking is not counted."""

    acts: Annotated[int, msgspec.Meta(ge=1)] = 600
    """A minute, of one person or key: whatever is not GET, HEAD or OPTIONS."""
    acts_of_address: Annotated[int, msgspec.Meta(ge=1)] = 3_000
    """A minute, of all who come from one address."""
    failures: Annotated[int, msgspec.Meta(ge=1)] = 30
    """A minute, of one address: sign-ins that fail, wrong keys, links that are none."""
    sign_ins: Annotated[int, msgspec.Meta(ge=1)] = 300
    """A minute, of one address: sign-ins that begin, each of which is kept for ten minutes."""
    links: Annotated[int, msgspec.Meta(ge=1)] = 60
    """A minute: signed links made for one person, or asked for by one key."""
    open_of_address: Annotated[int, msgspec.Meta(ge=1)] = 500
    """Requests and streams of one address at the same time, of whoever is not signed in."""
    proxies: list[str] = []
    """Addresses or networks of the reverse proxies in front. Only from these an `X-Forwarded-For`
    is read, and for nothing but these limits: without it all who come by a proxy count as one."""


class Access(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of sign-in: at least one way in, for a server that listens beyond the loopback."""

    public_url: str = ""
    """Where browsers find it: `https://adjourn.example.com`, without a path."""
    hosts: list[str] = []
    """Further names that it answers to, as a load balancer's checks use."""
    people_file: str = ""
    oidc: Provider | None = None
    proxy: Proxy | None = None
    session: SessionRules = SessionRules()
    limits: Limits = Limits()
    keys: bool = True
    """Whether programs may come with keys."""
