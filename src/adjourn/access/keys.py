"""Keys of programs: made once, kept as argon2id hashes, and gone the moment they are revoked.

A key's text is `adj_`, an id, and 256 random bits. The id only finds the row: it is random too, so
nobody reaches a row, and with it argon2, by guessing names.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import secrets
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Literal

import msgspec
from argon2 import PasswordHasher, profiles
from argon2.exceptions import Argon2Error, InvalidHashError

from adjourn.access.scopes import ALL, Scope
from adjourn.errors import (
    InvalidIdError,
    InvalidSettingError,
    KeyExistsError,
    KeyNotFoundError,
    StorageError,
)
from adjourn.model.actor import EVERY_TENANT, Actor
from adjourn.store.records import Records

DEFAULT_DAYS = 365
LONGEST_DAYS = 730
OVERLAP_HOURS = 24
LONGEST_OVERLAP_HOURS = 30 * 24
LIVE_SECRETS = 5
"""Of one key at once: rotating more often than that within the overlap is refused."""

HASHES_AT_ONCE = 2  # each takes 64 MiB and tens of milliseconds of several cores
CHECKS_A_MINUTE = 10  # of secrets for one id that this process has not seen
REMEMBERED = 1_024  # checked secrets
REFUSED_SECONDS = 0.25
"""After which a key that is not right is refused, whichever part of it is wrong."""
USED_EVERY = timedelta(minutes=1)

_KEYS = "keys"
_IDS = "key-ids"
"""Whose id it is: written before the key, so that what a crash leaves behind leads nowhere."""
_LONGEST_KEY = 100
_FORM = re.compile(r"adj_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[a-z0-9_-]{1,60}")
_TENANT = re.compile(r"[A-Za-z0-9._-]{1,100}")

_log = logging.getLogger("adjourn.access")


class _Secret(msgspec.Struct, frozen=True, kw_only=True):
    hash: str
    made_at: datetime
    ends_at: datetime


class _Key(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str
    scopes: list[Scope]
    tenant: str = ""
    days: int
    made_at: datetime
    secrets: dict[str, _Secret]
    """By id, oldest first."""
    used_at: datetime | None = None

    @property
    def ends_at(self) -> datetime:
        return max(secret.ends_at for secret in self.secrets.values())


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """What may be shown of a key: nothing that opens anything."""

    name: str
    scopes: list[Scope]
    tenant: str
    status: Literal["valid", "expired"]
    ids: list[str]
    """How the texts of its secrets begin, newest first: by this a key that was found somewhere is
    told to be this one."""
    made_at: datetime
    ends_at: datetime
    used_at: datetime | None
    """To the minute; None: never."""
    old_until: datetime | None
    """How long a secret that was rotated out still works."""


def key_in(headers: Mapping[str, str]) -> str | None:
    """The key that a request comes with: all that stands behind `Authorization: Bearer `. Empty for
    any other authorization, and where there are two; None without one.

    Keys are taken from nowhere else: an address ends up in logs, a cookie is sent by browsers.
    """
    given = [value for name, value in headers.items() if name.lower() == "authorization"]
    if not given:
        return None
    scheme, _, key = given[0].partition(" ")
    return key if len(given) == 1 and scheme.lower() == "bearer" else ""


class Keys:
    """The keys of one file of records. Any number of processes may make, rotate and revoke them:
    the row is read for every request, so what they do counts at the next one.

    Every call may raise StorageError.
    """

    def __init__(
        self,
        records: Records,
        now: Callable[[], datetime],
        *,
        hasher: PasswordHasher | None = None,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`pause` waits for this many seconds; tests hand in one that does not."""
        self._records = records
        self._now = now
        self._hasher = hasher or PasswordHasher.from_parameters(profiles.RFC_9106_LOW_MEMORY)
        self._pause = pause
        self._hashing = asyncio.Semaphore(HASHES_AT_ONCE)
        self._names: OrderedDict[str, str] = OrderedDict()
        self._known: OrderedDict[str, tuple[str, bytes]] = OrderedDict()
        self._checking: dict[tuple[str, bytes], asyncio.Task[bool]] = {}
        self._tries: OrderedDict[str, deque[datetime]] = OrderedDict()
        self._used: OrderedDict[str, datetime] = OrderedDict()

    # What a request comes with.

    async def find(self, given: str) -> Actor | None:
        """The program whose key this is; None for anything else, and never a word on what is wrong
        with it, nor more time for one mistake than for another."""
        begun = asyncio.get_running_loop().time()
        form = _FORM.fullmatch(given) if len(given) <= _LONGEST_KEY else None
        if form is None:
            return None  # as everybody can see without us
        id = form.group(1)
        key = await self._key_of(id)
        secret = None if key is None else key.secrets.get(id)
        if key is None or secret is None or secret.ends_at <= self._now():
            await self._refuse(begun)
            return None
        if not await self._is_right(id, secret.hash, form.group(2)):
            await self._refuse(begun)
            return None
        await self._note_use(key)
        return Actor(
            id=f"key:{key.name}",
            name=key.name,
            agent=True,
            channel="api",
            tenant=key.tenant,
            scopes=[*key.scopes],
        )

    async def _refuse(self, begun: float) -> None:
        """Let the same time pass since `begun` for an id that nobody has and for a secret that
        argon2 looked at."""
        passed = asyncio.get_running_loop().time() - begun
        await self._pause(max(0.0, REFUSED_SECONDS - passed))

    async def _key_of(self, id: str) -> _Key | None:
        name = self._names.get(id)  # an id is one key's for ever
        if name is None:
            name = await self._records.get(_IDS, id, str)
            if name is None:
                return None
            _remember(self._names, id, name)
        return await self._records.get(_KEYS, name, _Key)

    async def _is_right(self, id: str, hash: str, secret: str) -> bool:
        digest = sha256(secret.encode()).digest()
        known = self._known.get(id)
        if known is not None and hmac.compare_digest(known[0].encode(), hash.encode()):
            self._known.move_to_end(id)
            return hmac.compare_digest(known[1], digest)
        checking = self._checking.get((id, digest))
        if checking is None:
            if not self._may_try(id):
                return False
            checking = asyncio.create_task(self._verify(id, hash, secret, digest))
            self._checking[id, digest] = checking
            checking.add_done_callback(lambda _: self._checking.pop((id, digest)))
        # Whoever hangs up does not take the answer from others who sent the same key.
        return await asyncio.shield(checking)

    async def _verify(self, id: str, hash: str, secret: str, digest: bytes) -> bool:
        async with self._hashing:
            try:
                await asyncio.to_thread(self._hasher.verify, hash, secret)
            except (Argon2Error, InvalidHashError):
                return False
        _remember(self._known, id, (hash, digest))
        return True

    def _may_try(self, id: str) -> bool:
        """Whether argon2 looks at one more secret for this id within this minute."""
        tries = self._tries.setdefault(id, deque())
        now = self._now()
        while tries and now - tries[0] >= timedelta(minutes=1):
            tries.popleft()
        if len(tries) >= CHECKS_A_MINUTE:
            _log.warning("More than %d secrets a minute for key id %s", CHECKS_A_MINUTE, id)
            return False
        tries.append(now)
        _remember(self._tries, id, tries)
        return True

    async def _note_use(self, key: _Key) -> None:
        """At most once a minute, however many requests come at once."""
        now = self._now()
        seen = self._used.get(key.name, key.used_at)
        if seen is not None and now - seen < USED_EVERY:
            return
        _remember(self._used, key.name, now)

        def used(found: _Key | None) -> _Key | None:
            return None if found is None else msgspec.structs.replace(found, used_at=now)

        try:
            await self._records.change(_KEYS, key.name, _Key, used)
        except StorageError as error:  # who comes in does not depend on this
            _log.warning("When key %s was used could not be written: %s", key.name, error)

    # What an operator does.

    async def make(
        self, name: str, scopes: Iterable[str], tenant: str = "", days: int | None = None
    ) -> str:
        """A new key: its text, which is kept nowhere and cannot be shown again.

        Raises: InvalidIdError for the name, InvalidSettingError for the rest, KeyExistsError.
        """
        if _NAME.fullmatch(name) is None:
            raise InvalidIdError("a key's name", name, "1 to 60 of a-z 0-9 - _")
        if tenant and tenant != EVERY_TENANT and _TENANT.fullmatch(tenant) is None:
            raise InvalidIdError("a tenant", tenant, "1 to 100 of A-Z a-z 0-9 . _ -, or *")
        allowed = _scopes(scopes)
        valid = _between("days", DEFAULT_DAYS if days is None else days, 1, LONGEST_DAYS)
        if await self._records.get(_KEYS, name, msgspec.Raw) is not None:
            raise KeyExistsError(name)
        id, text, secret = await self._new_secret(name, valid)
        key = _Key(
            name=name,
            scopes=allowed,
            tenant=tenant,
            days=valid,
            made_at=secret.made_at,
            secrets={id: secret},
        )
        if not await self._records.add(_KEYS, name, key):
            await self._records.delete(_IDS, id)
            raise KeyExistsError(name)
        return text

    async def rotate(self, name: str, overlap_hours: float = OVERLAP_HOURS) -> str:
        """A new secret, for as many days as the key was made for: its text. The old ones work for
        `overlap_hours` more; 0 ends them now.

        Raises: KeyNotFoundError, InvalidSettingError.
        """
        hours = _between("overlap hours", overlap_hours, 0, LONGEST_OVERLAP_HOURS)
        found = await self._records.get(_KEYS, name, _Key)
        if found is None:
            raise KeyNotFoundError(name)
        id, text, secret = await self._new_secret(name, found.days)
        until = secret.made_at + timedelta(hours=hours)
        ended: list[str] = []

        def rotated(key: _Key | None) -> _Key | None:
            if key is None:  # revoked meanwhile
                return None
            kept = {
                old: msgspec.structs.replace(each, ends_at=min(each.ends_at, until))
                for old, each in key.secrets.items()
                if min(each.ends_at, until) > secret.made_at
            }
            if len(kept) >= LIVE_SECRETS:
                raise InvalidSettingError(
                    name,
                    f"{len(kept)} of its secrets still work",
                    "End them with --overlap-hours 0, or wait until their overlap is over.",
                )
            ended.extend(key.secrets.keys() - kept.keys())
            return msgspec.structs.replace(key, secrets={**kept, id: secret})

        try:
            made = await self._records.change(_KEYS, name, _Key, rotated)
        except InvalidSettingError:
            await self._records.delete(_IDS, id)
            raise
        for gone in ended if made is not None else [id]:
            await self._records.delete(_IDS, gone)
        if made is None:
            raise KeyNotFoundError(name)
        return text

    async def revoke(self, name: str) -> None:
        """It opens nothing any more, from the next request on, in every process.

        Raises: KeyNotFoundError.
        """
        key = await self._records.take(_KEYS, name, _Key)
        if key is None:
            raise KeyNotFoundError(name)
        for id in key.secrets:
            await self._records.delete(_IDS, id)

    async def all(self) -> list[KeyView]:
        """Every key by name, the expired ones too; those that were revoked are gone."""
        found = await self._records.all(_KEYS, _Key)
        return [_view(key, self._now()) for key in found.values()]

    async def _new_secret(self, name: str, days: int) -> tuple[str, str, _Secret]:
        """Id, text and row of a new secret. Its id leads to the name from here on."""
        id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
        async with self._hashing:
            hash = await asyncio.to_thread(self._hasher.hash, secret)
        now = self._now()
        row = _Secret(hash=hash, made_at=now, ends_at=now + timedelta(days=days))
        await self._records.put(_IDS, id, name)
        return id, f"adj_{id}_{secret}", row


def _remember(kept: OrderedDict[str, Any], key: str, value: Any) -> None:
    """The newest REMEMBERED of them."""
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > REMEMBERED:
        kept.popitem(last=False)


def _scopes(given: Iterable[str]) -> list[Scope]:
    asked = set(given)
    strange = sorted(asked.difference(ALL))
    if strange or not asked:
        reason = f"there is no scope {strange[0][:80]!r}" if strange else "a key needs one at least"
        raise InvalidSettingError("scope", reason, f"Choose of {', '.join(ALL)}.")
    return [scope for scope in ALL if scope in asked]


def _between(what: str, given: Any, least: int, most: int) -> Any:
    if not least <= given <= most:  # as NaN is not, either
        raise InvalidSettingError(
            what, f"{given} is too few or too many", f"Use {least} to {most}."
        )
    return given


def _view(key: _Key, now: datetime) -> KeyView:
    *old, newest = sorted(key.secrets.values(), key=lambda secret: secret.made_at)
    overlap = [secret.ends_at for secret in old if secret.ends_at > now]
    return KeyView(
        name=key.name,
        scopes=key.scopes,
        tenant=key.tenant,
        status="valid" if key.ends_at > now else "expired",
        ids=[f"adj_{id}" for id in reversed(key.secrets)],
        made_at=key.made_at,
        ends_at=newest.ends_at,
        used_at=key.used_at,
        old_until=max(overlap, default=None),
    )
