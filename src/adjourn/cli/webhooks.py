"""`adjourn notify` and `adjourn webhooks`: trying them out, and endpoints that are gone."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from msgspec.structs import replace
from rich.table import Table
from rich.text import Text

from adjourn.cli.exits import UsageError
from adjourn.cli.settings import Settings, read_settings
from adjourn.cli.text import clock, console, printable
from adjourn.engine.clock import SystemClock, new_id
from adjourn.errors import RemoteError
from adjourn.store.records import Records

if TYPE_CHECKING:  # parts of the server extra, which may not be installed
    from adjourn.notify.webhooks import EndpointState, Webhooks

COLUMNS = ("NAME", "ADDRESS", "STATE", "LAST TROUBLE (UTC)")
SHOWN = 200  # characters of what an endpoint answered

notify = App(name="notify", help="Try out whether people can be told.", help_format="plaintext")
webhooks = App(name="webhooks", help="The endpoints of the settings.", help_format="plaintext")

SettingsFile = Annotated[str, Parameter(help="The settings of `adjourn run`.")]
Db = Annotated[str, Parameter(help="The engine's file, as `adjourn run` has it.")]


@notify.command
async def test(*, to: str, settings: SettingsFile = "adjourn.toml") -> None:
    """Send a mail that says it is a test, and say what the mail server answered.

    Parameters
    ----------
    to
        A mail address.
    """
    given = _settings(settings)
    if given.mail is None:
        raise UsageError(f"{settings} has no [mail]: nobody is told by mail.")
    from adjourn.notify.trying import try_mail

    handed = await try_mail(given, to, os.environ, SystemClock().now(), f"test:{new_id()}")
    if not handed.taken:
        raise RemoteError(f"{given.mail.host} did not take it: {handed.answer}")
    print(printable(f"{given.mail.host} took it for {to}: {handed.answer}"))


@webhooks.command(name="list")
async def list_endpoints(*, settings: SettingsFile = "adjourn.toml", db: Db = "adjourn.db") -> None:
    """List the endpoints: which of them work, and which are disabled."""
    given = _settings(settings)
    async with _opened(given, db) as opened:
        states = await opened.states()
    if not states:
        print(printable(f"{settings} has no [[webhooks]]."))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for name, state in states.items():
        since = "" if state.trouble_at is None else f"{clock(state.trouble_at)[:16]} "
        table.add_row(
            Text(name, "bold"),
            Text(printable(state.url)),
            _state(state),
            Text(printable(f"{since}{state.trouble}")),
        )
    console().print(table)


def _state(state: EndpointState) -> Text:
    if state.disabled_at is not None:
        return Text(f"disabled, {state.missed} events missed", "red")
    return Text("in trouble", "yellow") if state.trouble else Text("enabled", "green")


@webhooks.command
async def enable(
    name: str, /, *, settings: SettingsFile = "adjourn.toml", db: Db = "adjourn.db"
) -> None:
    """Send to an endpoint again that has answered 410; a server that runs knows at once."""
    async with _opened(_settings(settings), db) as opened:
        was = await opened.enable(name)
    if was.disabled_at is None:
        print(f"{name} was enabled already.")
        return
    print(f"{name} is enabled again. Of {was.missed} events it was not told, and will not be.")


@webhooks.command(name="test")
async def test_endpoint(
    name: str, /, *, settings: SettingsFile = "adjourn.toml", db: Db = "adjourn.db"
) -> None:
    """Send a signed `adjourn.test` to an endpoint, and say what it answered."""
    from adjourn.notify.trying import try_endpoint

    async with _opened(_settings(settings), db) as opened:
        reply = await try_endpoint(opened, name, SystemClock().now(), f"test:{new_id()}")
    said = printable(reply.body.decode("utf-8", "replace"))[:SHOWN]
    line = f"{name} answered {reply.status}{': ' if said else ''}{said}"
    if not 200 <= reply.status < 300:
        raise RemoteError(f"{line}. Only 2xx counts as taken.")
    print(line)


def _settings(file: str) -> Settings:
    """Links lead somewhere even where `adjourn run` would fill in its own address."""
    given = read_settings(file)
    return given if given.public_url else replace(given, public_url="http://127.0.0.1:7071")


@asynccontextmanager
async def _opened(settings: Settings, db: str) -> AsyncGenerator[Webhooks]:
    try:
        from adjourn.cli.signing_in import records_file
        from adjourn.notify.install import Surroundings, webhooks_of
    except ModuleNotFoundError as error:
        raise UsageError(
            f"Webhooks need a part that is not installed ({error.name}): "
            "pip install 'adjourn[server]'"
        ) from error
    now = SystemClock().now
    records = Records(records_file(db), now)
    try:
        yield webhooks_of(settings, Surroundings(now=now, environment=os.environ, records=records))
    finally:
        records.close()
