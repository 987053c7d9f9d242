"""What an operator does about people and their sessions, also while a server runs: it counts from
that server's next request on."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from rich.table import Table
from rich.text import Text

from adjourn.access.settings import SessionRules
from adjourn.cli.exits import UsageError
from adjourn.cli.settings import read_settings
from adjourn.cli.text import clock, console, printable
from adjourn.engine.clock import SystemClock
from adjourn.errors import UnknownPersonError
from adjourn.store.records import Records

if TYPE_CHECKING:
    from adjourn.access.directory import Directory  # a part that may not be installed

LONGEST = 366 * 24 * 60  # minutes
PEOPLE_COLUMNS = ("PERSON", "NAME", "ROLES", "GROUPS", "TENANT", "LAST SIGN-IN (UTC)", "")
COLUMNS = ("PERSON", "SESSION", "BEGAN (UTC)", "LAST SEEN (UTC)", "FROM", "BROWSER")

sessions = App(name="sessions", help="Who is signed in, and ending that at once.")
people = App(name="people", help="Who is known; keep people out at once, and let them in again.")

Db = Annotated[str, Parameter(help="The engine's file, as `adjourn run` has it.")]
SettingsFile = Annotated[
    str | None, Parameter(help="The settings of `adjourn run`: they name the people file.")
]


@contextmanager
def records_of(database: str) -> Generator[Records]:
    """Raises: UsageError where no server with sign-in has used this file, or none can run."""
    from adjourn.cli.run import server_parts

    server_parts()
    from adjourn.cli.signing_in import records_file

    file = records_file(database)
    if not Path(file).is_file():
        raise UsageError(
            f"There is no {file}: no server with sign-in has used {database}. Name its file "
            "with --db."
        )
    records = Records(file, SystemClock().now)
    try:
        yield records
    finally:
        records.close()


@contextmanager
def _directory(database: str, settings: str | None) -> Generator[Directory]:
    """Whoever has not signed in yet is known by the people file alone: where none was read, that
    is said. Raises: as `records_of`, and PeopleFileError."""
    words = read_settings(settings)
    members = words.oidc.members if words.oidc is not None else []
    with records_of(database) as records:
        from adjourn.access.directory import Directory

        try:
            yield Directory(records, words.people_file, SystemClock().now, members=members)
        except UnknownPersonError as error:
            if words.people_file:
                raise
            hint = "None was read: name the settings with --settings."
            raise UnknownPersonError(error.person, hint) from None


@sessions.command(name="list")
async def list_sessions(person: str | None = None, /, *, db: Db = "adjourn.db") -> None:
    """List the sessions that last, of one person or of everybody."""
    with records_of(db) as records:
        from adjourn.access.sessions import Sessions
        from adjourn.dashboard.views.account import browser_name

        # Each record ends by the rules of its server; none of ours end it sooner.
        found = await Sessions(
            records, SessionRules(idle_minutes=LONGEST, absolute_minutes=LONGEST), SystemClock().now
        ).everyone()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for each in found:
        if person in (None, each.person):
            table.add_row(
                Text(printable(each.person), "bold"),
                Text(each.handle),
                Text(clock(each.began_at), "dim"),
                Text(clock(each.seen_at), "dim"),
                Text(printable(each.address)),
                Text(browser_name(each.browser)),
            )
    if table.row_count:
        console().print(table)
    else:
        whoever = "Nobody is" if person is None else f"{printable(person)} is not"
        print(f"{whoever} signed in.")


@sessions.command
async def end(
    person: str | None = None,
    /,
    *,
    everybody: Annotated[bool, Parameter(negative="")] = False,
    db: Db = "adjourn.db",
) -> None:
    """End all sessions of a person: they have to sign in again.

    Parameters
    ----------
    everybody
        End all sessions of all people.
    """
    if (person is None) != everybody:
        raise UsageError("Say whose sessions end: a person, or --everybody.")
    with records_of(db) as records:
        from adjourn.access.sessions import end_sessions

        ended = await end_sessions(records, person)
    if ended or person is None:
        print(f"Ended {ended} session{'' if ended == 1 else 's'}.")
    else:
        print(f"{printable(person)} is not signed in: nothing to end.")


@people.command(name="list")
async def list_people(*, db: Db = "adjourn.db", settings: SettingsFile = None) -> None:
    """List all who are known, as they come in now, and who is kept out or away."""
    with _directory(db, settings) as directory:
        away = {each.person: each for each in await directory.absences()}
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in PEOPLE_COLUMNS:
        table.add_column(column, overflow="fold")
    for each in directory.all_people():
        absence, seen = away.get(each.id), directory.claims_of(each.id)[1]
        state = "disabled" if each.disabled else ""
        if absence is not None and not each.disabled:
            state = f"away until {clock(absence.until)}: {printable(absence.delegate)} decides"
        table.add_row(
            Text(printable(each.id), "bold"),
            Text(printable(each.name)),
            Text(", ".join(each.roles)),
            Text(printable(", ".join(each.groups))),
            Text(printable(each.tenant)),
            Text(clock(seen) if seen else "", "dim"),
            Text(state, "red" if each.disabled else ""),
        )
    if table.row_count:
        console().print(table)
    else:
        print("Nobody is known: name the people file's settings with --settings.")


@people.command
async def disable(person: str, /, *, db: Db = "adjourn.db", settings: SettingsFile = None) -> None:
    """Keep somebody out from now on: their sessions end, and no way in takes them."""
    with _directory(db, settings) as directory:
        await directory.disable(person)
    print(f"{printable(person)} is out; `adjourn people enable` lets them in again.")


@people.command
async def enable(person: str, /, *, db: Db = "adjourn.db", settings: SettingsFile = None) -> None:
    """Let somebody in again whom `disable` has kept out. They sign in anew."""
    with _directory(db, settings) as directory:
        await directory.enable(person)
    print(f"{printable(person)} may sign in again.")
