"""`adjourn keys`: keys of programs, in the records beside an engine's file.

They work while `adjourn run` serves that file, and take effect there at the next request.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from rich.table import Table
from rich.text import Text

from adjourn.cli.exits import UsageError
from adjourn.cli.text import clock, console, json_text, printable
from adjourn.engine.clock import SystemClock
from adjourn.errors import KeyNotFoundError
from adjourn.store.records import Records

if TYPE_CHECKING:  # argon2 is of the server extra, and slow to import
    from adjourn.access.keys import Keys, KeyView

COLUMNS = ("NAME", "KEY", "SCOPES", "TENANT", "ENDS (UTC)", "LAST USED (UTC)", "STATUS")
STYLES = {"valid": "green", "expired": "red"}

Db = Annotated[str, Parameter(help="The engine's file; the keys are in <db>.access beside it.")]
Json = Annotated[bool, Parameter(negative="")]

keys_app = App(name="keys", help="Keys of programs that use the API.", help_format="plaintext")


@keys_app.command
async def make(
    name: str,
    /,
    *,
    scope: Annotated[Sequence[str], Parameter(negative="")],
    tenant: str = "",
    days: int | None = None,
    db: Db = "adjourn.db",
    json: Json = False,
) -> None:
    """Make a key and print it, this once: it is kept nowhere.

    Parameters
    ----------
    name
        What it is for: 1 to 60 of a-z 0-9 - _.
    scope
        What it may do; may be repeated. approvals:read, approvals:act, instances:read,
        instances:start, instances:signal, instances:control, links:make.
    tenant
        The only one that it sees; * for all of them.
    days
        How long it works: 365, and 730 at most.
    """
    async with _keys(db) as keys:
        text = await keys.make(name, scope, tenant, days)
        _print_key(text, name, await keys.all(), json)
    if not json and not _is_there(db):
        _remark(f"{db} is not there yet: this key is for what `adjourn run --db {db}` will serve.")


@keys_app.command(name="list")
async def list_keys(*, db: Db = "adjourn.db", json: Json = False) -> None:
    """List the keys: what they may do, until when, and when they were last used."""
    found: list[KeyView] = []
    if _is_there(_path(db)):  # a look makes no file
        async with _keys(db) as keys:
            found = await keys.all()
    if json:
        print(json_text(found))
    elif not found:
        print(printable(f"No keys for {db} yet: `adjourn keys make NAME --scope instances:read`."))
    else:
        console().print(_table(found))


@keys_app.command
async def rotate(
    name: str,
    /,
    *,
    overlap_hours: int | None = None,
    db: Db = "adjourn.db",
    json: Json = False,
) -> None:
    """Give a key a new secret and print it, this once; it works for as many days as it was made
    for.

    Parameters
    ----------
    overlap_hours
        How long the old secret still works: 24; 0 ends it now.
    """
    async with _there(name, db) as keys:
        text = await (
            keys.rotate(name) if overlap_hours is None else keys.rotate(name, overlap_hours)
        )
        _print_key(text, name, await keys.all(), json)


@keys_app.command
async def revoke(name: str, /, *, db: Db = "adjourn.db") -> None:
    """End a key now, in every process that serves this file."""
    async with _there(name, db) as keys:
        await keys.revoke(name)
    print(printable(f"Revoked {name}: it opens nothing any more."))


def _path(db: str) -> str:
    return f"{db}.access"


def _is_there(path: str) -> bool:
    return Path(path).exists()


@asynccontextmanager
async def _keys(db: str) -> AsyncGenerator[Keys]:
    try:
        from adjourn.access.keys import Keys
    except ModuleNotFoundError as error:
        raise UsageError(
            f"Keys need a part that is not installed ({error.name}): pip install 'adjourn[server]'"
        ) from error
    clock = SystemClock()
    records = Records(_path(db), clock.now)
    try:
        yield Keys(records, clock.now)
    finally:
        records.close()


@asynccontextmanager
async def _there(name: str, db: str) -> AsyncGenerator[Keys]:
    """As `_keys`, for what must be there already. Raises: KeyNotFoundError."""
    if not _is_there(_path(db)):
        raise KeyNotFoundError(name)
    async with _keys(db) as keys:
        yield keys


def _print_key(text: str, name: str, found: Sequence[KeyView], json: bool) -> None:
    """The key alone goes to the output, so that a script can take it from there."""
    view = next((each for each in found if each.name == name), None)
    if json:
        print(json_text({"key": text, **({} if view is None else _plain(view))}))
        return
    print(text)
    sys.stdout.flush()
    _remark(f"The key {name}, shown this once: put it where the program finds it (ADJOURN_KEY).")
    if view is not None:  # else it has been revoked since
        _remark(f"It works until {clock(view.ends_at)[:16]} UTC.")
    if view is not None and view.old_until is not None:
        _remark(f"The old one works until {clock(view.old_until)[:16]} UTC.")


def _remark(line: str) -> None:
    console(sys.stderr).print(Text(printable(line), "dim"), soft_wrap=True)


def _plain(view: KeyView) -> dict[str, object]:
    return {name: getattr(view, name) for name in view.__struct_fields__}


def _table(found: Sequence[KeyView]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for view in found:
        used = "never" if view.used_at is None else clock(view.used_at)[:16]
        table.add_row(
            Text(view.name, "bold"),
            Text(f"{view.ids[0]}_..."),
            Text(" ".join(view.scopes)),
            Text(view.tenant or "-"),
            Text(clock(view.ends_at)[:16], "dim"),
            Text(used, "dim"),
            Text(_status(view), STYLES[view.status]),
        )
    return table


def _status(view: KeyView) -> str:
    if view.old_until is None:
        return view.status
    return f"{view.status}, old one until {clock(view.old_until)[:16]}"
