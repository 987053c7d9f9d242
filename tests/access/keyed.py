"""Keys over a real file, with a clock that is handed in and an argon2 that is cheap and counted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher

from adjourn.access.keys import Keys, key_in
from adjourn.approvals.people import Person
from adjourn.model.actor import Actor
from adjourn.store.records import Records
from adjourn.testing.clock import VirtualClock


class CountingHasher(PasswordHasher):
    """argon2id, as cheap as it gets; counts what it looks at."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1, hash_len=16, salt_len=8)
        self.looked = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:
        self.looked += 1
        return super().verify(hash, password)


@dataclass
class Opened:
    """One process's view of the keys."""

    keys: Keys
    records: Records
    clock: VirtualClock
    hasher: CountingHasher
    pauses: list[float] = field(default_factory=list)

    def later(self, **span: float) -> None:
        self.clock.move_to(self.clock.now() + timedelta(**span))


@asynccontextmanager
async def opened(
    path: Path | str, clock: VirtualClock | None = None, hasher: CountingHasher | None = None
) -> AsyncIterator[Opened]:
    clock, hasher = clock or VirtualClock(), hasher or CountingHasher()
    records, pauses = Records(path, clock.now), []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    keys = Keys(records, clock.now, hasher=hasher, pause=pause)
    try:
        yield Opened(keys, records, clock, hasher, pauses)
    finally:
        records.close()


class KeyHolders:
    """An `Authenticator` for programs alone."""

    local = False

    def __init__(self, keys: Keys) -> None:
        self.keys = keys

    async def identify(
        self, headers: Mapping[str, str], cookies: Mapping[str, str], peer: str = ""
    ) -> Actor | None:
        given = key_in(headers)
        return None if given is None else await self.keys.find(given)

    def find(self, person: str) -> Person | None:
        return None

    def find_account(self, channel: str, account: str) -> Person | None:
        return None

    def everybody(self) -> Sequence[Person]:
        return []

    def acting(self, person: Person, channel: str) -> Actor:
        return person.actor(channel)


def serving_keys(path: Path, now: Callable[[], datetime]) -> tuple[KeyHolders, Any]:
    """For a server in another thread: its authenticator, and what closes it."""

    async def pause(seconds: float) -> None:
        pass

    records = Records(path, now)
    return KeyHolders(Keys(records, now, hasher=CountingHasher(), pause=pause)), records.close
