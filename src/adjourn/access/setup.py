"""How the first administrator comes to be, where nobody has been named one.

There is no default account. `adjourn run` prints a token once; whoever is signed in and presents
it is administrator from then on, and the token is spent.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256

import msgspec

from adjourn.access.directory import ADMIN, Directory
from adjourn.errors import AdjournError
from adjourn.model.actor import EVERY_TENANT, Actor
from adjourn.store.records import Records

SPACE = "set-up"
KEY = "token"
TOKEN_BYTES = 32
TOKEN_LASTS = timedelta(hours=24)


class SetUpRefusedError(AdjournError):
    """This is not the token, or not any more. It does not say which."""

    def __init__(self) -> None:
        super().__init__(
            "This set-up token makes nobody administrator: it was mistyped or spent, its 24 hours "
            "are over, or there is an administrator. A new start of the server prints a new one "
            "while there is none."
        )


class _Token(msgspec.Struct, frozen=True, kw_only=True):
    digest: str
    """SHA-256, in hex."""


class SetUp:
    """The one-time token, kept as its SHA-256 in the records. Every call may raise StorageError."""

    def __init__(self, records: Records, directory: Directory, now: Callable[[], datetime]) -> None:
        self._records = records
        self._directory = directory
        self._now = now

    async def offer(self) -> str | None:
        """A new token, to be printed once; the one before is worth nothing. None where there is an
        administrator."""
        await self._directory.fresh()
        if self._directory.administered:
            self._directory.awaits_admin_until = None
            await self._records.delete(SPACE, KEY)
            return None
        token, ends_at = secrets.token_urlsafe(TOKEN_BYTES), self._now() + TOKEN_LASTS
        await self._records.put(SPACE, KEY, _Token(digest=_digest(token)), ends_at=ends_at)
        self._directory.awaits_admin_until = ends_at
        return token

    async def holds(self, token: str) -> bool:
        """Whether this would make somebody administrator now: to let them sign in as a stranger
        and spend it."""
        await self._directory.fresh()
        kept = await self._records.get(SPACE, KEY, _Token)
        right = kept is not None and hmac.compare_digest(kept.digest, _digest(token))
        return right and not self._directory.administered

    async def spend(self, token: str, by: Actor) -> None:
        """`by`, who is signed in, is administrator of every tenant from the next request on. Of all
        who present the token at once, one is. Should this process end in between, the token is
        spent and nobody is administrator: the next start prints another.

        Raises: SetUpRefusedError, with nothing changed; UnknownPersonError.
        """
        await self._directory.fresh()
        if by.agent or self._directory.administered:
            raise SetUpRefusedError
        right = False

        def spend(kept: _Token | None) -> _Token | None:
            nonlocal right
            right = kept is not None and hmac.compare_digest(kept.digest, _digest(token))
            return None if right else kept

        await self._records.change(SPACE, KEY, _Token, spend)
        if not right:
            raise SetUpRefusedError
        await self._directory.give(by.id, ADMIN, tenant=EVERY_TENANT)


def _digest(token: str) -> str:
    return sha256(token.encode("utf-8", "replace")).hexdigest()
