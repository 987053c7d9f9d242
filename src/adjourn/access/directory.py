"""Who there is: the people of a file, and those who have signed in.

The file is the operator's, and says the last word. The records add what the operator did not write
down: who came by sign-in, with which account and in which of the provider's groups, who is
disabled, who was made administrator, who is away.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import msgspec

from adjourn.access.memberships import granted
from adjourn.access.sessions import SignedIn, end_sessions
from adjourn.access.settings import Member
from adjourn.approvals.people import Person, account_trouble
from adjourn.errors import AdjournError, SettingsError, UnknownPersonError
from adjourn.model.actor import Absent, Role
from adjourn.model.approval import is_recipient
from adjourn.store.records import Records

_log = logging.getLogger("adjourn.access")

SPACE = "people"
ADMIN: Role = "admin"
ABSENCES = "absences"
CLAIMS_LAST = timedelta(days=30)
"""For so long a provider's groups count after the last sign-in that named them, where somebody is
told of something, acts by a channel of its own, or is stood in for. A session's end is sooner."""
ABSENCE_LIMIT = timedelta(days=366)
SETTLED = timedelta(seconds=2)
"""A file that was written this short a time ago may be written again within the same tick of its
clock: it is read until it is older."""


class PeopleFileError(SettingsError):
    """The people file cannot be used."""

    def __init__(self, file: str, reason: str) -> None:
        self.file = file
        super().__init__(f"{file} {reason}")


class AccountTakenError(AdjournError):
    """An account of a channel stands for somebody else, or somebody has another one."""

    def __init__(self, channel: str, person: str, owner: str) -> None:
        self.person = person
        super().__init__(
            f"The {channel} account that signed in as {person!r} is not the one that belongs to "
            f"{owner!r}. Write the right one into the people file, under accounts."
        )


class InvalidAbsenceError(AdjournError):
    """Nobody can be away like this."""


class _Written(Person, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person as the file writes them. A mistyped word must not pass for one that was not said:
    `disable` would keep nobody out, and without `queues` somebody sees everything."""


class Absence(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody is away, and has named who decides for them."""

    person: str
    delegate: str
    until: datetime


class Known(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the records say of one person, beside the people file."""

    person: Person | None = None
    """As they signed in: name, mail address and accounts only."""
    roles: list[Role] = []
    """Given here, as to the first administrator."""
    tenant: str = ""
    """Given here with a role; the people file's own counts before it."""
    disabled: bool = False
    claims: list[str] = []
    """The provider's groups at the last sign-in."""
    claimed_at: datetime | None = None


class Directory:
    """People by id, in memory; `fresh` brings in what others have changed since.

    A lost role, a new group and a disabled person count from the next `fresh` on, which the Gate
    calls for each request. Every asynchronous call may raise StorageError.
    """

    def __init__(
        self,
        records: Records,
        people_file: str,
        now: Callable[[], datetime],
        *,
        members: Sequence[Member] = (),
    ) -> None:
        """`members` says what the provider's groups mean here. Raises: PeopleFileError."""
        self._records = records
        self._now = now
        self._members = members
        self._file = _PeopleFile(people_file, now) if people_file else None
        self._known: dict[str, Known] = {}
        self._absences: dict[str, Absence] = {}
        self._mark: int | None = None
        self._accounts: dict[tuple[str, str], str] = {}
        self.awaits_admin_until: datetime | None = None
        """Until when a set-up token may make somebody administrator."""
        self._index()

    # What the Authenticator port asks: from memory.

    def find(self, person: str) -> Person | None:
        """Whoever has this id, disabled or not, with the groups and roles of now."""
        known = self._known.get(person, Known())
        return self.with_claims(person, known.claims if self._claims_last(known) else [])

    def with_claims(self, person: str, claims: Sequence[str]) -> Person | None:
        """As `find`, for one who is in these groups of the provider."""
        base, known = self._base(person), self._known.get(person, Known())
        if base is None:
            return None
        given = msgspec.structs.replace(
            base,
            roles=_united(base.roles, known.roles),
            tenant=base.tenant or known.tenant,
            disabled=base.disabled or known.disabled,
        )
        return granted(given, self._members, claims)

    def find_account(self, channel: str, account: str) -> Person | None:
        """Whose account this is, disabled or not; None for a stranger's, and for no account."""
        owner = self._accounts.get((channel, account)) if account else None
        return None if owner is None else self.find(owner)

    def everybody(self) -> Sequence[Person]:
        """All who are not disabled, in the order of their ids."""
        return [person for person in self.all_people() if not person.disabled]

    def all_people(self) -> Sequence[Person]:
        """As `everybody`, with those who are disabled."""
        ids = sorted({*self._of_file(), *self._known})
        return [person for person in map(self.find, ids) if person is not None]

    def addressed(self, email: str) -> Sequence[Person]:
        """All who have this mail address, whatever its capitals, disabled or not."""
        wanted = email.casefold()
        return [each for each in self.all_people() if wanted and each.email.casefold() == wanted]

    def claims_of(self, person: str) -> tuple[list[str], datetime | None]:
        """The provider's groups of the last sign-in, and when that was."""
        known = self._known.get(person, Known())
        return known.claims, known.claimed_at

    def belongs(self, person: str, claims: Sequence[str] | None = None) -> bool:
        """Whether the operator has named them: in the people file, with a role given here, or by
        one of the provider's groups that they are in (as in `find` without `claims`)."""
        known = self._known.get(person, Known())
        if claims is None:
            claims = known.claims if self._claims_last(known) else []
        by_group = any(member.claim in claims for member in self._members)
        return person in self._of_file() or bool(known.roles) or by_group

    @property
    def administered(self) -> bool:
        """Whether somebody who is not disabled is administrator, or a group of the provider makes
        its members that."""
        by_group = any(ADMIN in member.roles for member in self._members)
        return by_group or any(ADMIN in person.roles for person in self.everybody())

    @property
    def awaits_admin(self) -> bool:
        """Whether somebody may come in as a stranger to spend the set-up token. Without a role they
        see nothing of anybody."""
        until = self.awaits_admin_until
        return until is not None and self._now() < until and not self.administered

    def stands_in_for(self, person: Person) -> list[Absent]:
        """Those of the same tenant who are away now and have named this person."""
        away = [
            self.find(each.person)
            for each in self._absences.values()
            if each.delegate == person.id and self._now() < each.until
        ]
        return [
            Absent(id=each.id, groups=each.groups, roles=each.roles)
            for each in away
            if each is not None and not each.disabled and each.tenant == person.tenant
        ]

    # What changes it.

    async def fresh(self) -> None:
        """Take in what an editor or another process has changed. A people file that cannot be used
        is named in the log, and the one before stays in force."""
        changed = self._file is not None and self._file.look_again()
        mark = await self._records.mark()
        if mark != self._mark:
            self._known = await self._records.all(SPACE, Known)
            self._absences = await self._records.all(ABSENCES, Absence)
            self._mark = mark
            changed = True
        if changed:
            self._index()

    async def remember(self, person: Person) -> None:
        """Somebody has signed in: their name, mail address and accounts. Roles, groups, tenant and
        queues are never taken from here, and whoever is disabled stays so.

        Raises: AccountTakenError where the account is another's, or another one is theirs.
        """
        await self.fresh()
        of_file = self._of_file().get(person.id)
        written = {} if of_file is None else of_file.accounts
        for channel, account in person.accounts.items():
            owner = self._accounts.get((channel, account), person.id)
            if owner != person.id or written.get(channel, account) != account:
                raise AccountTakenError(channel, person.id, owner)

        def keep(found: Known | None) -> Known:
            known = found or Known()
            before = {} if known.person is None else known.person.accounts
            for channel, account in person.accounts.items():
                if channel not in written and before.get(channel, account) != account:
                    raise AccountTakenError(channel, person.id, person.id)
            kept = Person(
                id=person.id,
                name=person.name,
                email=person.email,
                # What the file says, and may one day not say any more, is not kept here as well.
                accounts={
                    channel: account
                    for channel, account in {**before, **person.accounts}.items()
                    if channel not in written
                },
            )
            return msgspec.structs.replace(known, person=kept)

        await self._change(person.id, keep)

    async def saw(self, signed_in: SignedIn) -> None:
        """Somebody has signed in with these groups of the provider."""

        def keep(found: Known | None) -> Known:
            return msgspec.structs.replace(
                found or Known(), claims=signed_in.groups, claimed_at=self._now()
            )

        await self._change(signed_in.person, keep)

    async def disable(self, person: str) -> None:
        """From the next request on they are nobody, in every process; their sessions end.

        Raises: UnknownPersonError.
        """
        await self._set_disabled(person, True)
        await end_sessions(self._records, person)

    async def enable(self, person: str) -> None:
        """They may sign in again. Raises: UnknownPersonError; PeopleFileError where the file is
        what disables them."""
        await self._set_disabled(person, False)
        of_file = self._of_file().get(person)
        if self._file is not None and of_file is not None and of_file.disabled:
            raise PeopleFileError(
                self._file.path, f"disables {person!r}: set disabled to false there."
            )

    async def give(self, person: str, role: Role, *, tenant: str = "") -> None:
        """They have this role from now on, in this tenant where they have none yet.

        Raises: UnknownPersonError.
        """
        await self.fresh()
        if self.find(person) is None:
            raise UnknownPersonError(person)

        def keep(found: Known | None) -> Known:
            known = found or Known()
            return msgspec.structs.replace(
                known, roles=_united(known.roles, [role]), tenant=known.tenant or tenant
            )

        await self._change(person, keep)

    async def absences(self) -> list[Absence]:
        """Those who are away now, by id."""
        await self.fresh()
        return [each for each in self._absences.values() if self._now() < each.until]

    async def set_absence(self, person: str, delegate: str, until: datetime) -> None:
        """`delegate` decides for `person` until then, in place of what was said before.

        Raises: UnknownPersonError, InvalidAbsenceError.
        """
        await self.fresh()
        away, other = self.find(person), self.find(delegate)
        if away is None or other is None:
            raise UnknownPersonError(delegate if away else person)
        if other.id == away.id or other.disabled or other.tenant != away.tenant:
            raise InvalidAbsenceError(
                f"{delegate!r} cannot decide for {person!r}: name somebody else of the same "
                "tenant, who may sign in."
            )
        if not self._now() < until <= self._now() + ABSENCE_LIMIT:
            raise InvalidAbsenceError(
                f"An absence ends in the future, at most {ABSENCE_LIMIT.days} days from now."
            )
        absence = Absence(person=person, delegate=delegate, until=until)
        await self._records.put(ABSENCES, person, absence, ends_at=until)
        await self.fresh()

    async def clear_absence(self, person: str) -> None:
        """They are back. Idempotent."""
        await self._records.delete(ABSENCES, person)
        await self.fresh()

    # How it is put together.

    async def _set_disabled(self, person: str, disabled: bool) -> None:
        await self.fresh()
        if self.find(person) is None:
            raise UnknownPersonError(person)

        def keep(found: Known | None) -> Known:
            return msgspec.structs.replace(found or Known(), disabled=disabled)

        await self._change(person, keep)

    async def _change(self, person: str, change: Callable[[Known | None], Known]) -> None:
        await self._records.change(SPACE, person, Known, change)
        await self.fresh()

    def _of_file(self) -> Mapping[str, Person]:
        return {} if self._file is None else self._file.people

    def _base(self, id: str) -> Person | None:
        """The person of the file, with the accounts that sign-in found; else who signed in."""
        of_file, known = self._of_file().get(id), self._known.get(id, Known()).person
        if of_file is None or known is None:
            return of_file or known
        accounts = {**known.accounts, **of_file.accounts}
        return msgspec.structs.replace(
            of_file, accounts=accounts, email=of_file.email or known.email
        )

    def _index(self) -> None:
        """Accounts by owner. Where file and records name different owners, the file is right."""
        accounts: dict[tuple[str, str], str] = {}
        of_file = self._of_file()
        for id, known in self._known.items():
            if known.person is not None:
                written = of_file[id].accounts if id in of_file else {}
                for channel, account in known.person.accounts.items():
                    if channel not in written:
                        accounts[channel, account] = id
        for id, person in of_file.items():
            accounts |= {each: id for each in person.accounts.items()}
        self._accounts = accounts

    def _claims_last(self, known: Known) -> bool:
        return known.claimed_at is not None and self._now() < known.claimed_at + CLAIMS_LAST


class _PeopleFile:
    """The file as it was when it last made sense."""

    def __init__(self, path: str, now: Callable[[], datetime]) -> None:
        self.path = path
        self._now = now
        self._seen = self._look()
        text = read_file(self.path)
        self._digest = sha256(text).digest()
        self.people = {person.id: person for person in people_in(text, path)}

    def look_again(self) -> bool:
        """Whether there are other people now."""
        seen = self._look()
        if seen == self._seen and self._settled(seen):
            return False
        first = seen != self._seen
        self._seen = seen
        try:
            text = read_file(self.path)
            digest = sha256(text).digest()
            if digest == self._digest:
                return False
            first, self._digest = True, digest
            self.people = {person.id: person for person in people_in(text, self.path)}
        except PeopleFileError as error:
            if first:  # once for each version of it
                _log.error("%s The people who were read before stay in force.", error)
            return False
        _log.info("%s was read again: %d people", self.path, len(self.people))
        return True

    def _look(self) -> tuple[int, ...]:
        try:
            found = os.stat(self.path)
        except OSError:
            return ()
        return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)

    def _settled(self, seen: tuple[int, ...]) -> bool:
        if not seen:
            return True
        return max(seen[:2]) / 1e9 < (self._now() - SETTLED).timestamp()


def read_file(path: str) -> bytes:
    """Raises: PeopleFileError."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise PeopleFileError(path, f"cannot be read ({error.strerror}).") from error


def people_in(text: bytes, file: str) -> list[Person]:
    """The people that a file names. Raises: PeopleFileError."""
    try:
        written = msgspec.json.decode(text, type=list[_Written])
    except msgspec.MsgspecError as error:
        raise PeopleFileError(
            file,
            f"holds no people ({error}). It is a JSON list of objects with id, name, title, "
            "groups, roles, accounts, email, tenant, queues and disabled.",
        ) from error
    people = [Person(**msgspec.structs.asdict(each)) for each in written]
    if not people:
        raise PeopleFileError(file, "is empty: name one person at least.")
    ids = [person.id for person in people]
    for id in ids:
        if not is_recipient(id) or ":" in id or ids.count(id) > 1:
            raise PeopleFileError(
                file,
                f"has a person with the id {id!r}: an id is 1 to 100 of a-z, A-Z, 0-9 and "
                "_ . @ + -, and each person has their own.",
            )
    trouble = account_trouble(people)
    if trouble:
        raise PeopleFileError(file, f"is not right: {trouble}")
    return people


def _united(first: Sequence[Role], second: Sequence[Role]) -> list[Role]:
    return list(dict.fromkeys([*first, *second]))
