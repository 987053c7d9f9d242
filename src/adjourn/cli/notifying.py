"""Notifications of `adjourn run`: installed from the settings, over what sign-in has opened."""

from __future__ import annotations

import os
import socket
from collections.abc import Generator
from contextlib import contextmanager

from msgspec.structs import replace

from adjourn.access.gate import Gate
from adjourn.approvals.people import Authenticator
from adjourn.cli.settings import Settings
from adjourn.cli.signing_in import records_file
from adjourn.client.app import Adjourn
from adjourn.client.client import Client
from adjourn.engine.clock import SystemClock
from adjourn.notify.install import Surroundings, install_notifications
from adjourn.server.listening import address_of
from adjourn.store.records import Records


@contextmanager
def notifying(
    app: Adjourn,
    client: Client,
    settings: Settings,
    authenticator: Authenticator,
    database: str,
    listener: socket.socket,
) -> Generator[None]:
    """With what notifications need, for as long as the server runs. Without sign-in their links
    lead to this machine.

    Raises: SettingsError, StorageError.
    """
    if not settings.public_url:
        settings = replace(settings, public_url=address_of(listener))
    gate = authenticator if isinstance(authenticator, Gate) else None
    now = SystemClock().now
    own = Records(records_file(database), now) if settings.webhooks and gate is None else None
    around = Surroundings(
        now=now,
        environment=os.environ,
        records=own if gate is None else gate.records,
        fresh=None if gate is None else gate.directory.fresh,
    )
    try:
        install_notifications(app, client, settings, authenticator, around)
        yield
    finally:
        if own is not None:
            own.close()
