"""One sign-in with everything around it real: provider, sockets, records, people."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import httpx
import msgspec

from adjourn.access.directory import Directory
from adjourn.access.oidc import OpenId
from adjourn.access.refusals import SignInRefusedError
from adjourn.access.sessions import SignedIn
from adjourn.access.settings import Member
from adjourn.access.settings import Provider as Settings
from adjourn.approvals.people import Person
from adjourn.store.records import Records
from tests.access.provider import Provider, serving

T = TypeVar("T")

PUBLIC = "http://localhost:8765"
PATIENCE_SECONDS = 5.0
TRUST = ssl.create_default_context()  # to make one takes longer than most tests
START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at

    def advance(self, **span: float) -> None:
        self.at += timedelta(**span)


class Rig:
    """A client of one provider, with the people of a file."""

    def __init__(self, clock: Clock, provider: Provider, folder: Path) -> None:
        self.clock = clock
        self.provider = provider
        self.records = Records(":memory:", clock)
        self.settings = Settings(
            issuer=provider.issuer, client_id=provider.client_id, strangers=True
        )
        self._folder = folder
        self.patience = PATIENCE_SECONDS
        self.directory = Directory(self.records, "", clock)
        self.open()

    def open(self, people: list[Person] | None = None, **settings: Any) -> None:
        """Begin anew with these people and settings."""
        self.settings = msgspec.structs.replace(self.settings, **settings)
        file = ""
        if people is not None:
            file = str(self._folder / "people.json")
            Path(file).write_bytes(msgspec.json.encode(people))
        self.directory = Directory(self.records, file, self.clock, members=self.settings.members)
        self.oidc = OpenId(
            self.settings,
            self.records,
            self.directory,
            self.clock,
            PUBLIC,
            patience_seconds=self.patience,
        )

    async def begin(self, back: str = "/", **rest: Any) -> tuple[dict[str, str], str]:
        """The query with which the provider sends the browser back, and its cookie."""
        address, cookie = await self.oidc.begin(back, **rest)
        async with httpx.AsyncClient(trust_env=False, verify=TRUST) as http:
            answer = await http.get(address)
            if answer.status_code == 200:  # it asks who they are
                answer = await http.post(address, data={"who": self.provider.who or "ada"})
        assert answer.status_code == 302, answer.text
        location = answer.headers["location"]
        assert location.startswith(f"{PUBLIC}/sign-in/callback?")
        return dict(parse_qsl(urlsplit(location).query)), cookie

    async def sign_in(self, back: str = "/", **rest: Any) -> tuple[SignedIn, str]:
        query, cookie = await self.begin(back, **rest)
        return await self.oidc.finish(cookie, query)

    async def refused(self, attempt: Coroutine[Any, Any, Any]) -> SignInRefusedError:
        """Why this is refused; fails where it is not."""
        try:
            made = await attempt
        except SignInRefusedError as error:
            return error
        raise AssertionError(f"It was not refused: {made}")


@contextmanager
def rig(folder: Path, **fields: Any) -> Iterator[Rig]:
    clock = Clock()
    provider = Provider(clock, **fields)
    with serving(provider):
        made = Rig(clock, provider, folder)
        try:
            yield made
        finally:
            made.records.close()


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def member(claim: str, **rest: Any) -> Member:
    return Member(claim=claim, **rest)


def tampered(token: str, **claims: Any) -> str:
    """Another payload under the same signature."""
    import base64

    head, payload, signature = token.split(".")
    read = json.loads(base64.urlsafe_b64decode(payload + "=="))
    made = json.dumps({**read, **claims}).encode()
    return ".".join([head, base64.urlsafe_b64encode(made).rstrip(b"=").decode(), signature])
