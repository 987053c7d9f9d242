"""A gate over a real records file, with a clock that a test moves and people in a real file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher

from adjourn.access.gate import Gate
from adjourn.access.keys import Keys
from adjourn.access.opening import open_gate
from adjourn.access.sessions import COOKIE, SignedIn
from adjourn.access.settings import Access, Member, Provider, Proxy, SessionRules
from adjourn.model.actor import Actor
from adjourn.store.records import Records

NOON = datetime.fromisoformat("2026-11-23T12:00:00+00:00")
ISSUER = "https://id.example.com"
PEOPLE: list[dict[str, Any]] = [
    {"id": "lena", "name": "Lena", "groups": ["support"], "roles": ["approver"]},
    {"id": "grace", "name": "Grace", "groups": ["finance"], "roles": ["approver", "lead"]},
    {"id": "vic", "name": "Vic", "roles": ["viewer"]},
    {"id": "ada", "name": "Ada", "roles": ["admin"]},
    {"id": "gone", "name": "Gone", "roles": ["admin"], "disabled": True},
]


class Clock:
    """Moves when it is told to."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        return self.at

    def moves(self, **span: float) -> None:
        self.at += timedelta(**span)


QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def quick_keys(records: Records, now: Callable[[], datetime]) -> Keys:
    """The real ones, with as little work for argon2 as it accepts, and no pause."""
    return Keys(records, now, hasher=QUICK, pause=no_pause)


async def no_pause(seconds: float) -> None:
    """A test need not wait for the answer to a wrong key."""


class Gated:
    """One folder with its people file and records; as many processes on it as a test opens."""

    def __init__(self, folder: Path, people: list[dict[str, Any]] | None = None) -> None:
        self.file = folder / "people.json"
        self.records = folder / "cases.db.access"
        self.clock = Clock()
        self._opened: list[Records] = []
        self.write(PEOPLE if people is None else people)

    def write(self, people: list[dict[str, Any]]) -> None:
        self.file.write_text(json.dumps(people))

    def settings(self, **given: Any) -> Access:
        members = [
            Member(claim="g-finance", group="finance", roles=["approver"]),
            Member(claim="g-boss", roles=["admin"], tenant="acme"),
        ]
        provider = Provider(issuer=ISSUER, client_id="adjourn", members=members)
        usual: dict[str, Any] = {
            "public_url": "http://localhost:7071",
            "people_file": str(self.file),
            "oidc": provider,
            "proxy": Proxy(trusted=["10.1.2.3"]),
            "session": SessionRules(idle_minutes=60, absolute_minutes=720),
        }
        return Access(**{**usual, **given})

    def gate(self, **given: Any) -> Gate:
        """A process of its own, as far as the records file can tell."""
        records = Records(self.records, self.clock)
        self._opened.append(records)
        gate = open_gate(self.settings(**given), {}, records, self.clock)
        gate.keys = quick_keys(records, self.clock)
        return gate

    def close(self) -> None:
        for each in self._opened:
            each.close()


async def sign_in(gate: Gate, person: str, **told: Any) -> str:
    """The id of a new session of theirs."""
    replaces = told.pop("replaces", "")
    at = told.pop("at", NOON)
    signed_in = SignedIn(person=person, how="oidc", at=at, issuer=ISSUER, subject=person, **told)
    return await gate.sessions.begin(signed_in, replaces=replaces)


async def asks(
    gate: Gate, session: str = "", headers: Mapping[str, str] | None = None, peer: str = ""
) -> Actor | None:
    """Who sends a request with this session, or with these headers."""
    return await gate.identify(headers or {}, {COOKIE: session} if session else {}, peer)


async def uses(gate: Gate, session: str, peer: str = "", **headers: str) -> Actor | None:
    """As `asks`, of somebody who sits there."""
    actor = await asks(gate, session, headers, peer)
    await gate.attended(headers, {COOKIE: session}, peer)
    return actor
