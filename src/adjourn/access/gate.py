"""Who sends a request, where people sign in and programs have keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from adjourn.access.directory import Directory
from adjourn.access.keys import Keys, key_in
from adjourn.access.links import Links
from adjourn.access.oidc import OpenId
from adjourn.access.proxy import TrustedProxy
from adjourn.access.sessions import COOKIE, Sessions
from adjourn.access.settings import Access
from adjourn.access.setup import SetUp
from adjourn.approvals.people import Person
from adjourn.model.actor import Actor
from adjourn.store.records import Records


class Gate:
    """`Authenticator` of a server that may listen beyond this machine.

    Each request is judged by what stands at that moment: a session that ended, a key that was
    revoked, a person who was disabled or lost a role counts at once, whichever process did it.
    One request has one identity. What claims to be one and is not makes it nobody's: nothing
    falls through to another.
    """

    local = False

    def __init__(self, settings: Access, records: Records, now: Callable[[], datetime]) -> None:
        """`adjourn.access.opening` checks the settings before. Raises: PeopleFileError."""
        self.settings = settings
        self.public_url = settings.public_url
        self.records = records
        provider = settings.oidc
        members = [] if provider is None else provider.members
        self.directory = Directory(records, settings.people_file, now, members=members)
        self.sessions = Sessions(records, settings.session, now, began=self.directory.saw)
        self.keys = Keys(records, now)
        self.links = Links(records, now)
        self.set_up = SetUp(records, self.directory, now)
        self.oidc: OpenId | None = None
        if provider is not None:
            self.oidc = OpenId(provider, records, self.directory, now, settings.public_url)
        self.proxy: TrustedProxy | None = None
        if settings.proxy is not None:
            self.proxy = TrustedProxy(settings.proxy, self.directory)

    async def identify(
        self, headers: Mapping[str, str], cookies: Mapping[str, str], peer: str = ""
    ) -> Actor | None:
        """The actor, or None. Raises: StorageError, when nobody can be told from anybody."""
        await self.directory.fresh()
        key = key_in(headers)
        if key is not None:
            return await self.keys.find(key) if self.settings.keys else None
        if self.proxy is not None and self._introduces(headers, peer):
            return self._introduced(self.proxy.person(headers, peer))
        return await self._signed_in(cookies.get(COOKIE, ""))

    async def attended(
        self, headers: Mapping[str, str], cookies: Mapping[str, str], peer: str = ""
    ) -> None:
        """Somebody sat there who sent this: the session that it came with is in use. Raises:
        StorageError."""
        if key_in(headers) is None and not self._introduces(headers, peer):
            await self.sessions.seen(cookies.get(COOKIE, ""))

    def find(self, person: str) -> Person | None:
        """What the directory knows of an id, disabled or not: to show a name instead of it."""
        return self.directory.find(person)

    def find_account(self, channel: str, account: str) -> Person | None:
        """Whoever may act by this account of a channel; None also for one who may not any more."""
        found = self.directory.find_account(channel, account)
        return found if found is not None and self._comes_in(found) else None

    def everybody(self) -> Sequence[Person]:
        """All who may act."""
        return [person for person in self.directory.everybody() if self._comes_in(person)]

    def acting(self, person: Person, channel: str) -> Actor:
        return msgspec.structs.replace(
            person.actor(channel), stands_in_for=self.directory.stands_in_for(person)
        )

    def _introduces(self, headers: Mapping[str, str], peer: str) -> bool:
        """Whether a trusted proxy's header is there at all, however it is spelled."""
        proxy = self.settings.proxy
        if proxy is None or self.proxy is None or not self.proxy.trusts(peer):
            return False
        wanted = proxy.header.lower()
        return any(name.lower().replace("_", "-") == wanted for name in headers)

    def _introduced(self, id: str | None) -> Actor | None:
        """Whom the proxy in front has signed in."""
        found = None if id is None else self.directory.find(id)
        return self.acting(found, "web") if found is not None and self._comes_in(found) else None

    async def _signed_in(self, id: str) -> Actor | None:
        """Whose session this is. One of somebody who may not come in any more ends here, so that it
        is worth nothing when they may again."""
        session = await self.sessions.find(id)
        if session is None:
            return None
        claims, claimed_at = self.directory.claims_of(session.person)
        if claimed_at is None or claimed_at < session.began_at:
            claims = session.groups
        found = self.directory.with_claims(session.person, claims)
        if found is None or not self._comes_in(found, claims):
            await self.sessions.end(id)
            return None
        return msgspec.structs.replace(self.acting(found, "web"), signed_in_at=session.signed_in_at)

    def _comes_in(self, person: Person, claims: Sequence[str] | None = None) -> bool:
        """Whether they are somebody here: named by the operator, or a stranger where strangers come
        in. Until there is an administrator strangers do who can sign in: the first one has to."""
        if person.disabled:
            return False
        strangers = self.settings.oidc is not None and self.settings.oidc.strangers
        return strangers or self.directory.belongs(person.id, claims) or self.directory.awaits_admin
