"""Signed links: one person, one approval at one version, one action, for some minutes.

A link opens a page; what it asks for is done when that very person, signed in, presses the button
there. It is spent by the decision itself, which makes a new version in its own transaction: a link
to an older version is stale. So nothing has to remember which links were used.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Literal

import msgspec
from itsdangerous import BadData, URLSafeSerializer

from adjourn.errors import AdjournError
from adjourn.model.state import from_microseconds, to_microseconds
from adjourn.store.records import Records

LinkAction = Literal["approve", "reject"]
Flaw = Literal["forged", "expired"]

LONGEST_SECONDS = 600
KEY_BYTES = 32
SALT = b"adjourn.link.decide.1"
"""The purpose: what the same key signs for another one is no link."""

SPACE, KEYS = "secrets", "links"


class LinkRefusedError(AdjournError):
    """A link does not count, and nothing was done. `link` says what it was for, where it is a link
    of ours that has only ended."""

    def __init__(self, flaw: Flaw, link: Link | None = None) -> None:
        self.code: Flaw = flaw
        self.link = link
        said = {
            "forged": "This is no link of ours, or a part of it is missing.",
            "expired": "This link has ended. Open the approval itself to decide.",
        }
        super().__init__(said[flaw])


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """What a link lets its person do."""

    person: str
    approval: str
    version: int
    action: LinkAction
    ends_at: datetime
    """Aware UTC."""

    @property
    def action_id(self) -> str:
        """Under which the action counts once, however often its page is sent."""
        words = (self.person, self.approval, self.version, self.action, self.ends_at)
        return "link-" + hashlib.sha256(msgspec.json.encode(words)).hexdigest()[:40]


class _Key(msgspec.Struct, frozen=True, kw_only=True):
    secret: str
    """Hexadecimal."""
    made_at: datetime


class Links:
    """The signed links of one server. Its keys stand in the records, so several processes agree,
    and a key that was rotated away still verifies until the last link that it signed has ended."""

    def __init__(self, records: Records, now: Callable[[], datetime]) -> None:
        """`now` is aware UTC."""
        self._records = records
        self._now = now

    async def make(
        self,
        person: str,
        approval: str,
        version: int,
        action: LinkAction,
        seconds: int = LONGEST_SECONDS,
    ) -> tuple[str, Link]:
        """The token, and what it lets `person` do. It lives as long as was asked for, and at most
        LONGEST_SECONDS. Raises: StorageError."""
        ends_at = self._now() + timedelta(seconds=max(1, min(seconds, LONGEST_SECONDS)))
        link = Link(
            person=person, approval=approval, version=version, action=action, ends_at=ends_at
        )
        signer = _signer(await self._secrets())
        token = signer.dumps([person, approval, version, action, to_microseconds(ends_at)])
        return (token if isinstance(token, str) else token.decode()), link

    async def read(self, token: str) -> Link:
        """What this token lets its person do; who asks is not looked at here.

        Raises: LinkRefusedError; StorageError.
        """
        found = _signed(token, await self._secrets())
        if found is None:
            raise LinkRefusedError("forged")
        try:
            person, approval, version, action, ends = msgspec.convert(
                found, tuple[str, str, int, LinkAction, int]
            )
        except msgspec.ValidationError:
            raise LinkRefusedError("forged") from None
        link = Link(
            person=person,
            approval=approval,
            version=version,
            action=action,
            ends_at=from_microseconds(ends),
        )
        left = link.ends_at - self._now()
        if not timedelta(0) < left <= timedelta(seconds=LONGEST_SECONDS):
            raise LinkRefusedError("expired", link)
        return link

    async def rotate(self, *, end_all: bool = False) -> None:
        """Sign with a new key from now on; with `end_all`, links that are out end with the one
        before. Raises: StorageError."""

        def newer(keys: list[_Key] | None) -> list[_Key]:
            return [self._new(), *(() if end_all else self._living(keys or []))]

        await self._records.change(SPACE, KEYS, list[_Key], newer)

    async def _secrets(self) -> list[bytes]:
        """Newest first; made when they are needed first."""
        keys = await self._records.get(SPACE, KEYS, list[_Key])
        if not keys:
            first = [self._new()]
            keys = await self._records.change(SPACE, KEYS, list[_Key], lambda old: old or first)
        return [bytes.fromhex(key.secret) for key in self._living(keys or [])]

    def _new(self) -> _Key:
        return _Key(secret=secrets.token_bytes(KEY_BYTES).hex(), made_at=self._now())

    def _living(self, keys: Sequence[_Key]) -> list[_Key]:
        """The newest, and those before it that may have signed a link which has not ended."""
        still = self._now() - timedelta(seconds=LONGEST_SECONDS)
        older = (key for newer, key in pairwise(keys) if newer.made_at > still)
        return [*keys[:1], *older]


def _signer(secrets_: Sequence[bytes]) -> Any:
    """itsdangerous signs with the last of its keys."""
    return URLSafeSerializer(
        list(reversed(secrets_)),
        salt=SALT,
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )


def _signed(token: str, secrets_: Sequence[bytes]) -> Any:
    """What stands in it, if one of these keys made this very text; else None. Base64 has several
    spellings of one signature, and only ours counts."""
    if not token.isascii():
        return None
    for secret in secrets_:
        signer = _signer([secret])
        try:
            found = signer.loads(token)
        except BadData:
            continue
        if hmac.compare_digest(signer.dumps(found), token):
            return found
    return None
