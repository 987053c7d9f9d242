"""A site where people sign in, behind a name of its own; and requests written byte by byte."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from adjourn import Client
from adjourn.access.links import Links
from adjourn.access.scopes import ALL
from adjourn.access.settings import Access, Limits, Proxy
from adjourn.approvals.people import Person
from adjourn.dashboard import create_dashboard
from adjourn.model.actor import Actor
from adjourn.server import Server, create_app, listen
from adjourn.server.listening import address_of
from adjourn.store.records import Records
from tests.dashboard.site import START_SECONDS, Site, make_app

NAME = "adjourn.example.com"
ORIGIN = f"https://{NAME}"
FURTHER = "10.1.2.3:7071"
COOKIE = "__Host-adjourn-session"
CANARY = "canary-7f3a9"
KEY = "adj_1_for-programs"
PEOPLE = (
    Person(id="lena", name="Lena Fischer", groups=["support"], roles=["approver"]),
    Person(id="omar", name="Omar Haddad", groups=["support"], roles=["approver"]),
    Person(
        id="grace", name="Grace Okafor", groups=["support"], roles=["approver", "lead", "admin"]
    ),
    Person(id="sam", name="Sam Ortiz", groups=["agents"], roles=["viewer"]),
    Person(id="ivo", name="Ivo Novak", roles=["auditor"]),
    Person(id="nora", name="Nora Body"),
    Person(id="gone", name="Gone Away", groups=["support"], roles=["approver"], disabled=True),
)
ACCESS = Access(
    public_url=ORIGIN,
    hosts=[FURTHER],
    proxy=Proxy(trusted=["127.0.0.1"]),
    limits=Limits(acts=100_000, acts_of_address=100_000, failures=100_000, links=100_000),
)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def advance(self, **span: float) -> None:
        self.at += timedelta(**span)


class Doors:
    """Who comes in by a session's cookie, by a key, or by what a proxy says: the port, written for
    tests. A session is called as its person, until they sign out."""

    local = False

    def __init__(self, people: Sequence[Person] = PEOPLE) -> None:
        self.people = {person.id: person for person in people}
        self.signed_out: set[str] = set()
        self.keys = {KEY: Actor(id="key:reports", agent=True, scopes=[*ALL])}

    async def identify(
        self, headers: Mapping[str, str], cookies: Mapping[str, str], peer: str = ""
    ) -> Actor | None:
        given = headers.get("authorization")
        if given is not None:
            return self.keys.get(given.removeprefix("Bearer "))
        id = headers.get("x-forwarded-user") or cookies.get(COOKIE, "")
        person = self.people.get(id)
        if person is None or person.disabled or id in self.signed_out:
            return None
        return msgspec.structs.replace(person.actor("web"), signed_in_at=datetime.now(UTC))  # noqa: TID251  sign-in is now

    def find(self, person: str) -> Person | None:
        return self.people.get(person)

    def find_account(self, channel: str, account: str) -> Person | None:
        return None

    def everybody(self) -> Sequence[Person]:
        return list(self.people.values())

    def acting(self, person: Person, channel: str) -> Actor:
        return person.actor(channel)


class Broken:
    """A backend whose every verb breaks in a way that nobody has foreseen."""

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        def fail(*arguments: object, **more: object) -> Any:
            raise RuntimeError(f"{CANARY} in {name} at {__file__}")

        return fail


async def own_page(scope: Scope, receive: Receive, send: Send) -> None:
    """An application's own page, which looks after nothing: it reads all, and breaks at a word."""
    body = await Request(scope, receive).body()
    if body == b"break":
        raise RuntimeError("canary-of-the-page")
    await PlainTextResponse(str(len(body)))(scope, receive, send)


class DoorSite(Site):
    """API and dashboard as one company would run them, on a real socket."""

    def __init__(self, path: Path, access: Access = ACCESS, client: Client | None = None) -> None:
        self._listener = listen("127.0.0.1", 0)
        self.address = address_of(self._listener)
        self.port = int(self._listener.getsockname()[1])
        if access.public_url.endswith(":0"):  # this machine, at whatever port was free
            access = msgspec.structs.replace(access, public_url=self.address)
        self.client = client or make_app().open(path)
        self.people: Any = Doors()
        self.clock = Clock()
        self.records = Records(path.with_suffix(".access"), self.clock.now)
        self.links = Links(self.records, self.clock.now)
        self.dashboard = create_dashboard(self.client, self.people, links_made_by=self.links)
        api = create_app(
            self.client,
            self.people,
            {"/own": own_page},
            access=access,
            links_made_by=self.links,
            now=self.clock.now,
        )
        api.mount("/", self.dashboard)
        self.api = api
        self._ready = threading.Event()
        self._server = Server(api, self._ready.set)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        assert self._ready.wait(START_SECONDS)
        self._cases = 0
        self._visitors = []

    def stop(self) -> None:
        super().stop()
        self.records.close()

    def as_(self, person: str = "", **headers: str) -> httpx.Client:
        """A browser of this person at the site, until the test closes it."""
        sent = {"Host": NAME, "Origin": ORIGIN, "Sec-Fetch-Site": "same-origin", **headers}
        if person:
            sent["Cookie"] = f"{COOKIE}={person}"
        return httpx.Client(
            base_url=self.address, trust_env=False, timeout=20, headers=sent, verify=False
        )


@dataclass
class Said:
    """An answer, read whole."""

    status: int
    headers: Headers
    body: bytes


def say(port: int, method: str, path: str, headers: Sequence[tuple[str, str]], body: bytes) -> Said:
    """Send exactly this, and read until the other end closes."""
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers]
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return exchange(port, "\r\n".join(lines).encode() + body)


def exchange(port: int, sent: bytes) -> Said:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
        raw.sendall(sent)
        return read_answer(raw)


def read_answer(raw: socket.socket) -> Said:
    """What comes until the other end closes."""
    found = b""
    while part := raw.recv(65_536):
        found += part
    head, _, body = found.partition(b"\r\n\r\n")
    first, *rest = head.split(b"\r\n")
    pairs = [tuple(line.split(b": ", 1)) for line in rest]
    return Said(int(first.split()[1]), Headers(raw=[(a.lower(), b) for a, b in pairs]), body)
