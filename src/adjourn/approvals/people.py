"""People and the port by which a server learns who sends a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from adjourn.model.actor import Actor, Role
from adjourn.model.actor import addresses_of as addresses_of


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may act, as the server's directory knows them."""

    id: str
    name: str
    title: str = ""
    groups: list[str] = []
    roles: list[Role] = []
    accounts: dict[str, str] = {}
    """Who they are in other channels, by the channel's name, exactly as that channel's own sign-in
    says it: `{"teams": "<tenant id>/<directory object id>"}`. Without one they cannot act there."""
    email: str = ""
    """Where they are told that something waits for them."""
    tenant: str = ""
    queues: list[str] | None = None
    """As `Actor.tenant` and `Actor.queues`."""
    disabled: bool = False
    """They are known by name, and neither sign in nor act."""

    def actor(self, channel: str) -> Actor:
        """They, acting now by this channel."""
        return Actor(
            id=self.id,
            name=self.name,
            groups=self.groups,
            roles=self.roles,
            channel=channel,
            tenant=self.tenant,
            queues=self.queues,
        )


def account_trouble(people: Sequence[Person]) -> str:
    """What is wrong with the accounts of these people, as a sentence: one that is empty, or that
    names two of them, whose votes would then be one's. Empty where nothing is."""
    owners: dict[tuple[str, str], str] = {}
    for person in people:
        for channel, account in person.accounts.items():
            if not account:
                return f"{person.id!r} has an empty {channel} account: leave it out."
            owner = owners.setdefault((channel, account), person.id)
            if owner != person.id:
                return (
                    f"The {channel} account {account!r} belongs to {owner!r} and to {person.id!r}: "
                    "an account belongs to one person."
                )
    return ""


class Authenticator(Protocol):
    """Who sends this request. Asked anew for every request, so that a lost role counts at once."""

    @property
    def local(self) -> bool:
        """Whether nobody proves who they are: for this machine only."""
        ...

    @property
    def public_url(self) -> str:
        """Where browsers find this server: `https://adjourn.example.com`. Empty where nobody signs
        in: no address is said there."""
        ...

    async def identify(
        self, headers: Mapping[str, str], cookies: Mapping[str, str], peer: str = ""
    ) -> Actor | None:
        """The actor, or None when nobody is signed in. Header names are lower case; `peer` is the
        address at the other end of the connection."""
        ...

    def find(self, person: str) -> Person | None:
        """What the directory knows of an id: to show a name instead of it."""
        ...

    def find_account(self, channel: str, account: str) -> Person | None:
        """Who may act by this account of that channel, as the directory says now; None for a
        stranger, and for somebody who is disabled. The account is what the channel's own
        authentication found out, and nothing that a message claims: whoever is found acts with
        that person's roles."""
        ...

    def everybody(self) -> Sequence[Person]:
        """All whom the directory knows, to tell those who may decide that something waits."""
        ...

    def acting(self, person: Person, channel: str) -> Actor:
        """The person as they act by that channel now, with those in whose place they decide."""
        ...


COOKIE = "adjourn-person"


class LocalPeople:
    """People of this machine, chosen by a visible switch: for loopback only, where nobody signs in.

    The cookie names a person; their groups and roles come from here. Without it nobody acts: a
    program on this machine that merely calls the API is no approver.
    """

    local = True
    public_url = ""

    def __init__(self, people: Sequence[Person]) -> None:
        """Raises: ValueError where one account belongs to two people, or is empty."""
        trouble = account_trouble(people)
        if trouble:
            raise ValueError(trouble)
        self.people = {person.id: person for person in people}

    async def identify(
        self, headers: Mapping[str, str], cookies: Mapping[str, str], peer: str = ""
    ) -> Actor | None:
        chosen = self.people.get(cookies.get(COOKIE, ""))
        return None if chosen is None or chosen.disabled else chosen.actor("web")

    def find(self, person: str) -> Person | None:
        return self.people.get(person)

    def find_account(self, channel: str, account: str) -> Person | None:
        for each in self.people.values():
            if account and not each.disabled and each.accounts.get(channel) == account:
                return each
        return None

    def everybody(self) -> Sequence[Person]:
        return list(self.people.values())

    def acting(self, person: Person, channel: str) -> Actor:
        return person.actor(channel)


DEMO_PEOPLE = (
    Person(
        id="lena", name="Lena Fischer", title="Supervisor", groups=["support"], roles=["approver"]
    ),
    Person(
        id="omar", name="Omar Haddad", title="Supervisor", groups=["support"], roles=["approver"]
    ),
    Person(
        id="grace",
        name="Grace Okafor",
        title="Finance lead",
        groups=["finance", "support"],
        roles=["approver", "lead"],
    ),
    Person(
        id="sam",
        name="Sam Ortiz",
        title="Support agent (requester)",
        groups=["agents"],
        roles=["viewer"],
    ),
    Person(id="ivo", name="Ivo Novak", title="Auditor", roles=["auditor"]),
)
"""Who stands in the switch when nobody says otherwise."""
