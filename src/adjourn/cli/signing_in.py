"""Signed-in mode of `adjourn run`: who says who asks, what is told at the start, what is swept."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

from adjourn.access.directory import people_in, read_file
from adjourn.access.gate import Gate
from adjourn.access.opening import (
    check_beyond_loopback,
    check_settings,
    open_gate,
    signs_in,
)
from adjourn.access.settings import Access
from adjourn.approvals.people import DEMO_PEOPLE, Authenticator, LocalPeople
from adjourn.cli.exits import UsageError
from adjourn.engine.clock import SystemClock
from adjourn.errors import StorageError
from adjourn.model.hosts import is_loopback
from adjourn.server.guard import check_listening
from adjourn.store.records import Records

SWEEP_SECONDS = 600.0
NO_SIGN_IN = "No sign-in: anyone on this machine can act."

_log = logging.getLogger("adjourn.access")


@dataclass(frozen=True)
class Door:
    """Where to listen, and what was said of who may come in: checked, and nothing opened yet."""

    host: str
    settings: Access
    people: str | None
    """The people file of local mode."""
    environment: Mapping[str, str]

    @property
    def signs_in(self) -> bool:
        return signs_in(self.settings)

    def check(self) -> None:
        """Raises: RefusedAddressError, SettingsError, UsageError."""
        if not self.signs_in:
            check_listening(self.host)
            if self.people and self.settings.people_file:
                raise UsageError("--people and people_file both name the people: use one.")
            return
        if self.people is not None:
            raise UsageError(
                "--people is for a machine without sign-in: name the file in the settings, as "
                "people_file."
            )
        check_settings(self.settings, self.environment)
        if not is_loopback(self.host):
            check_beyond_loopback(self.settings)

    @contextmanager
    def opened(self, database: str) -> Generator[Authenticator]:
        """Who says who sends a request, with the records of `database` where people sign in.

        Raises: SettingsError, StorageError.
        """
        if not self.signs_in:
            yield people_of(self.people or self.settings.people_file)
            return
        now = SystemClock().now
        records = Records(records_file(database), now)
        try:
            yield open_gate(self.settings, self.environment, records, now)
        finally:
            records.close()


def records_file(database: str) -> str:
    """Where the sessions, keys and people of a server are kept, beside its engine's file."""
    return database if database == ":memory:" else f"{database}.access"


def people_of(file: str) -> LocalPeople:
    """Who may act on this machine: the people of a JSON file, or those who come with Adjourn.

    Raises: PeopleFileError for a file that holds none.
    """
    return LocalPeople(people_in(read_file(file), file) if file else DEMO_PEOPLE)


def how_they_sign_in(authenticator: Authenticator) -> str:
    """For the line that is printed at the start."""
    if not isinstance(authenticator, Gate):
        return NO_SIGN_IN
    settings, ways = authenticator.settings, list[str]()
    if settings.oidc is not None:
        ways.append(f"with {settings.oidc.name}")
    if settings.proxy is not None:
        ways.append("at the proxy in front")
    people = f"People sign in {' or '.join(ways)}" if ways else "Nobody signs in"
    programs = "come with keys" if settings.keys else "do not come in"
    return f"Its address is {settings.public_url}. {people}; programs {programs}."


async def first_admin(authenticator: Authenticator) -> list[str]:
    """What to print where nobody is administrator yet: once, with a token that is new each time."""
    if not isinstance(authenticator, Gate):
        return []
    settings = authenticator.settings
    await authenticator.directory.fresh()
    if settings.oidc is None and settings.proxy is None:
        return []
    token = await authenticator.set_up.offer()
    if token is None:
        return []
    return [
        f"Nobody is administrator yet. Whoever signs in and gives this token at "
        f"{settings.public_url}/set-up is, once, within 24 hours:",
        f"  {token}",
    ]


@asynccontextmanager
async def sweeping(authenticator: Authenticator) -> AsyncGenerator[None]:
    """Meanwhile, what has ended is deleted from the records now and then."""
    if not isinstance(authenticator, Gate):
        yield
        return
    task = asyncio.create_task(sweep(authenticator.records))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def sweep(records: Records, every_seconds: float = SWEEP_SECONDS) -> None:
    """Until it is cancelled. A file that cannot be written now is tried again the next time."""
    while True:
        try:
            await records.sweep()
        except StorageError as error:
            _log.error("what has ended stays in the records for now: %s", error)
        await asyncio.sleep(every_seconds)


def door(host: str, settings: Access, people: str | None) -> Door:
    """The door that these describe, with the environment of this process."""
    return Door(host, settings, people, dict(os.environ))
