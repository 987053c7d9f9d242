"""`adjourn run`: engine and HTTP API in this process, until somebody stops it."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import signal
import socket
import sys
import threading
import traceback
from types import FrameType, ModuleType
from typing import TYPE_CHECKING

from adjourn.approvals.people import Authenticator
from adjourn.cli.exits import PortInUseError, UsageError
from adjourn.cli.logs import protected
from adjourn.cli.settings import read_settings
from adjourn.cli.text import console, printable
from adjourn.client.app import Adjourn
from adjourn.client.client import Client
from adjourn.errors import RegistrationError

if TYPE_CHECKING:  # parts of the server extra, which may not be installed
    from fastapi import FastAPI
    from starlette.types import ASGIApp

PORT_LIMIT = 65_535
ACTIVITY_THREAD = "adjourn-activity"  # how the engine's runner names its threads
THREAD_SECONDS = 0.1  # an idle thread ends at once
COLLECT_SELDOM = (50_000, 20, 50)
"""Thresholds of the garbage collector. What the engine drops is freed without it, and with Python's
own thresholds it walks all live instances over and over: half of the time with 10,000 busy ones
(benchmarks/approval.py). A library must not decide this for its process; a server may."""


def run(
    target: str,
    database: str,
    host: str,
    port: int,
    people: str | None = None,
    settings: str | None = None,
) -> None:
    """Serve `target` until SIGINT or SIGTERM; then take nothing more and close the files.

    Raises: UsageError, SettingsError, RefusedAddressError, PortInUseError, FileLockedError,
    StorageError.
    """
    server_parts()
    from adjourn.cli.notifying import notifying
    from adjourn.cli.signing_in import door

    words = read_settings(settings)
    way_in = door(host, words, people)
    way_in.check()
    if not 0 <= port <= PORT_LIMIT:
        raise UsageError(f"{port} is no port: use 1 to {PORT_LIMIT:,}, or 0 for any free one.")
    app = load_app(target)
    with (
        protected(app, words, signed_in=way_in.signs_in),
        way_in.opened(database) as authenticator,
    ):
        gc.set_threshold(*COLLECT_SELDOM)
        with _listener(host, port, authenticator) as listener:
            client = app.open(database)
            with notifying(app, client, words, authenticator, database, listener):
                asyncio.run(_serve(app, client, target, database, listener, authenticator))
    _leave_threads_behind()


def _leave_threads_behind() -> None:
    """The file is closed. Activities in threads had their grace and cannot be stopped: Python
    would wait for them, and what they do is repeated at the next start, with the same key."""
    left = [thread for thread in threading.enumerate() if thread.name.startswith(ACTIVITY_THREAD)]
    for thread in left:
        thread.join(THREAD_SECONDS)
    running = sum(thread.is_alive() for thread in left)
    if running:
        line = f"{running} activities still ran; the next start runs them again, same keys."
        print(line, file=sys.stderr, flush=True)
        os._exit(0)


def server_parts() -> None:
    """Raises: UsageError when the server extra is not installed."""
    try:
        importlib.import_module("adjourn.server")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"This needs a part that is not installed ({error.name}): pip install 'adjourn[server]'"
        ) from error


async def _serve(
    app: Adjourn,
    client: Client,
    target: str,
    database: str,
    listener: socket.socket,
    authenticator: Authenticator,
) -> None:
    from adjourn.cli.signing_in import first_admin, how_they_sign_in, sweeping
    from adjourn.server.listening import Server, address_of

    site, pages = _site(app, client, authenticator)
    told: list[str] = []

    def ready() -> None:
        line = f"Adjourn serves {target} at {address_of(listener)}, file {database}."
        line = f"{printable(line)} {printable(how_they_sign_in(authenticator))} Ctrl-C stops it."
        for each in (line, *told):
            console().print(each, soft_wrap=True)
        sys.stdout.flush()

    server = Server(site, ready)

    def stop(number: int, frame: FrameType | None) -> None:
        for page in pages:
            streams = getattr(getattr(page, "state", None), "streams", None)
            if streams is not None:
                streams.end()
        server.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    async with client, sweeping(authenticator):
        told += await first_admin(authenticator)  # only now: the file is ours
        await server.serve(sockets=[listener])


def _site(
    app: Adjourn, client: Client, authenticator: Authenticator
) -> tuple[FastAPI, list[ASGIApp]]:
    """API, dashboard and the application's own pages, in one; and those pages.

    Raises: UsageError for pages at a path of ours.
    """
    from adjourn.access.gate import Gate
    from adjourn.dashboard.app import create_dashboard
    from adjourn.server.app import check_free, create_app

    gate = authenticator if isinstance(authenticator, Gate) else None
    links = None if gate is None else gate.links
    access = None if gate is None else gate.settings
    pages = {path: make(client, authenticator) for path, make in app.mounts.items()}
    dashboard = create_dashboard(client, authenticator, places=app.places, links_made_by=links)
    try:
        check_free(app.mounts, dashboard.routes)
        site = create_app(client, authenticator, pages, access=access, links_made_by=links)
    except RegistrationError as error:
        raise UsageError(str(error)) from error
    site.mount("", dashboard)  # the last: it takes the rest
    return site, [*pages.values(), dashboard]


def _listener(host: str, port: int, authenticator: Authenticator) -> socket.socket:
    from adjourn.server.listening import listen

    try:
        return listen(host, port, authenticator)
    except OSError as error:
        raise PortInUseError(host, port, error.strerror or str(error)) from error


def load_app(target: str) -> Adjourn:
    """The application that `module:name` means; modules are looked for here first.

    Raises: UsageError that says what is not there.
    """
    module_name, _, attribute = target.partition(":")
    if not module_name or not attribute:
        raise UsageError(f"{target!r} is not of the form module:app, as in support.workflow:app.")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    module = _import(module_name, here)
    found: object = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise UsageError(f"{module_name} has no {attribute!r}. {_instead(module)}")
        found = getattr(found, part)
    if not isinstance(found, Adjourn):
        kind = type(found).__name__
        raise UsageError(f"{target} is no Adjourn(), it is a {kind}. {_instead(module)}")
    return found


def _import(name: str, here: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise UsageError(
                f"There is no module {error.name!r}, neither in {here} nor installed. "
                "Run this where your code is."
            ) from error
        raise _broken(name, error) from error
    except Exception as error:  # whatever the user's module does when it is imported
        raise _broken(name, error) from error


def _broken(name: str, error: Exception) -> UsageError:
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and frame.filename != __file__
    ]
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return UsageError(f"{name} cannot be imported: {type(error).__name__}: {error}{place}")


def _instead(module: ModuleType) -> str:
    names = sorted(name for name, value in vars(module).items() if isinstance(value, Adjourn))
    if not names:
        return f"Put `app = Adjourn()` into {module.__name__}."
    return "It has " + ", ".join(f"{module.__name__}:{name}" for name in names) + "."
