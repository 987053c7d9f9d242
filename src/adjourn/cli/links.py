"""`adjourn links`: the key that signs links, also while a server runs."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from adjourn.cli.people import Db, records_of
from adjourn.engine.clock import SystemClock

links = App(name="links", help="The key that signs links to approve or to reject.")


@links.command
async def rotate(
    *, now: Annotated[bool, Parameter(negative="")] = False, db: Db = "adjourn.db"
) -> None:
    """Sign links with a new key from now on; a server that runs does so with its next one.

    Parameters
    ----------
    now
        End the links that are out, too: for a key that somebody else may have. Without it they
        work to their own end, ten minutes at most.
    """
    with records_of(db) as records:
        from adjourn.access.links import Links

        await Links(records, SystemClock().now).rotate(end_all=now)
    out = "those that are out have ended" if now else "those that are out work to their end"
    print(f"Links are signed with a new key; {out}.")
