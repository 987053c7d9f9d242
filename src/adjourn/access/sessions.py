"""Sessions of people at browsers: opaque ids, kept on the server, revocable at once.

A browser holds 256 random bits and nothing else. The server keeps the SHA-256 of them, so that
whoever reads the records file cannot come in with what stands there.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from hashlib import sha256

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from adjourn.access.settings import SessionRules
from adjourn.store.records import Records

SPACE = "sessions"
COOKIE = "__Host-adjourn-session"
ID_BYTES = 32
HANDLE_LENGTH = 16  # hex digits of the hash: enough to name a session, nothing to come in with
SEEN_STEP = timedelta(minutes=1)  # last-seen is written at most this often
SESSIONS_LIMIT = 20  # of one person; a further one ends the one that was unused for longest
TEXT_LIMIT = 200  # characters kept of what a browser says of itself

_ID = re.compile(r"[A-Za-z0-9_-]{43}")


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody has just proved who they are."""

    person: str
    """Their id, as the directory knows them."""
    how: str
    """The way in: "oidc"."""
    at: datetime
    """When they proved it; the provider may remember them from before."""
    issuer: str = ""
    subject: str = ""
    groups: list[str] = []
    """As the provider names them."""
    provider_session: str = ""
    id_token: str = ""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One session, as it may be shown to the person it belongs to."""

    handle: str
    """The first digits of the hash: safe to show, and no way in."""
    person: str
    how: str
    began_at: datetime
    seen_at: datetime
    """Within a minute."""
    signed_in_at: datetime
    ends_at: datetime
    """At the latest; sooner when it is not used."""
    groups: list[str] = []
    issuer: str = ""
    subject: str = ""
    address: str = ""
    browser: str = ""
    provider_session: str = ""
    id_token: str = ""
    """What the provider wants to see again at sign-out. Shown to nobody else."""

    def __repr__(self) -> str:
        return f"Session({self.handle!r}, {self.person!r})"  # no token in any log


class Sessions:
    """All sessions. Each call sees what other processes on the same file have done.

    Every call may raise StorageError.
    """

    def __init__(
        self,
        records: Records,
        rules: SessionRules,
        now: Callable[[], datetime],
        *,
        began: Callable[[SignedIn], Awaitable[None]] | None = None,
    ) -> None:
        """`began` is told of each sign-in, before anybody holds its session."""
        self._records = records
        self._idle = timedelta(minutes=rules.idle_minutes)
        self._longest = timedelta(minutes=rules.absolute_minutes)
        self._step = min(SEEN_STEP, self._idle / 4)
        self._now = now
        self._began = began

    async def begin(
        self, signed_in: SignedIn, *, replaces: str = "", address: str = "", browser: str = ""
    ) -> str:
        """A new session; returns its id, which nobody has seen before. Whatever session `replaces`
        is the id of ends first, so that an id that was planted or stolen is worth nothing."""
        if replaces:
            await self.end(replaces)
        if self._began is not None:
            await self._began(signed_in)
        await self._make_room(signed_in.person)
        id, now = secrets.token_urlsafe(ID_BYTES), self._now()
        key = key_of(id)
        session = Session(
            handle=key[:HANDLE_LENGTH],
            person=signed_in.person,
            how=signed_in.how,
            began_at=now,
            seen_at=now,
            # A provider's clock that is ahead of ours makes nothing fresher than it is.
            signed_in_at=min(signed_in.at, now),
            ends_at=now + self._longest,
            groups=signed_in.groups,
            issuer=signed_in.issuer,
            subject=signed_in.subject,
            address=address[:TEXT_LIMIT],
            browser=browser[:TEXT_LIMIT],
            provider_session=signed_in.provider_session,
            id_token=signed_in.id_token,
        )
        await self._records.put(SPACE, key, session, ends_at=self._end_of(session))
        return id

    async def find(self, id: str) -> Session | None:
        """The session of this id while it lasts; else None. To look for it does not make it last
        longer."""
        if not _ID.fullmatch(id):
            return None
        found = await self._records.get(SPACE, key_of(id), Session)
        return found if found is not None and self._lasts(found, self._now()) else None

    async def seen(self, id: str) -> None:
        """Its person has done something just now; for anything but a session that lasts, nothing
        happens."""
        found, now = await self.find(id), self._now()
        if found is None or now - found.seen_at < self._step:
            return
        seen = msgspec.structs.replace(found, seen_at=now)

        def mark(stands: Session | None) -> Session | None:
            return None if stands is None else seen  # it may have ended in between: it stays so

        ends_at = self._end_of(seen)
        await self._records.change(SPACE, key_of(id), Session, mark, ends_at=ends_at)

    async def end(self, id: str) -> Session | None:
        """End it: the id is worth nothing from now on. Returns what it was, if it was one."""
        if not _ID.fullmatch(id):
            return None
        return await self._records.take(SPACE, key_of(id), Session)

    async def end_handle(self, person: str, handle: str) -> bool:
        """End the session of this person that is shown under this handle; False for anybody
        else's, as for one that is not there."""
        for key, session in (await self._all()).items():
            if session.person == person and session.handle == handle:
                return await self._records.take(SPACE, key, Session) is not None
        return False

    async def end_all(self, person: str | None = None) -> int:
        """End all of a person, or of everybody; how many there were."""
        return await end_sessions(self._records, person)

    async def of(self, person: str) -> list[Session]:
        """Those that last, the one used last first."""
        now = self._now()
        theirs = [
            each
            for each in (await self._all()).values()
            if each.person == person and self._lasts(each, now)
        ]
        return sorted(theirs, key=lambda each: each.seen_at, reverse=True)

    async def everyone(self) -> list[Session]:
        """All that last, by person."""
        now = self._now()
        lasting = [each for each in (await self._all()).values() if self._lasts(each, now)]
        return sorted(lasting, key=lambda each: (each.person, each.began_at))

    async def _all(self) -> dict[str, Session]:
        return await self._records.all(SPACE, Session)

    async def _make_room(self, person: str) -> None:
        for oldest in (await self.of(person))[SESSIONS_LIMIT - 1 :]:
            await self.end_handle(person, oldest.handle)

    def _end_of(self, session: Session) -> datetime:
        """When it ends unless it is seen again: by the rules of today, also for old sessions."""
        longest = min(session.ends_at, session.began_at + self._longest)
        return min(longest, session.seen_at + self._idle)

    def _lasts(self, session: Session, now: datetime) -> bool:
        return now < self._end_of(session)


async def end_sessions(records: Records, person: str | None) -> int:
    """End all sessions of a person, or of everybody; how many there were."""
    ended = 0
    for key, session in (await records.all(SPACE, Session)).items():
        if person is None or session.person == person:
            ended += await records.take(SPACE, key, Session) is not None
    return ended


async def by_itself(request: Request) -> None:
    """A dependency of a route that open pages ask for with nobody before them: whoever is signed in
    there is as idle as they were. Pages of an application's own say so by the same word."""
    request.state.by_itself = True


def asked_by_itself(scope: Scope) -> bool:
    """Whether the route of this request has said so."""
    return scope.get("state", {}).get("by_itself") is True


def key_of(id: str) -> str:
    """Under which key the session of an id is kept."""
    return sha256(id.encode()).hexdigest()


def set_cookie(response: Response, id: str, seconds: int) -> None:
    """Hand a session's id to the browser. The `__Host-` prefix makes browsers refuse it from any
    other host, without Secure and below another path, so nobody else can plant one."""
    response.set_cookie(
        COOKIE, id, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax"
    )


def clear_cookie(response: Response) -> None:
    """Take it back."""
    set_cookie(response, "", 0)
