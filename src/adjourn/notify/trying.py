"""Trying the settings out: one test mail, one test request."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime

import msgspec

from adjourn.errors import RemoteError
from adjourn.notify import letters, smtp
from adjourn.notify.addresses import OutgoingRefusedError
from adjourn.notify.letters import Office
from adjourn.notify.outgoing import Reply, UnreachableError
from adjourn.notify.port import Note
from adjourn.notify.settings import (
    NotificationSettings,
    NotificationSettingsError,
    is_mailbox,
    password_of,
)
from adjourn.notify.webhooks import Webhooks


async def try_mail(
    settings: NotificationSettings,
    to: str,
    environment: Mapping[str, str],
    at: datetime,
    id: str,
) -> smtp.Handed:
    """Send one that says it is a test. Raises: NotificationSettingsError."""
    if settings.mail is None:
        raise NotificationSettingsError("There is no [mail] in the settings: add it.")
    if not is_mailbox(to):
        raise NotificationSettingsError(f"{to!r} is no plain mail address.")
    note = Note(id=id, channel="mail", to=to, kind="test", at=at)
    mail = letters.about_nothing(Office(settings.mail, settings.public_url), note, to)
    password = password_of(settings.mail, environment)
    return await asyncio.to_thread(
        smtp.hand_over, settings.mail, password, to, mail.as_bytes(), smtp.Cord()
    )


async def try_endpoint(webhooks: Webhooks, name: str, at: datetime, id: str) -> Reply:
    """One signed request of the type `adjourn.test`, also to one that is disabled.

    Raises: UnknownEndpointError, RemoteError where nobody answers or may be asked.
    """
    body = msgspec.json.encode({"type": "adjourn.test", "timestamp": at, "data": {}})
    try:
        return await webhooks.call(name, id, body)
    except (OutgoingRefusedError, UnreachableError) as error:
        raise RemoteError(f"{name} was not reached: {error}") from error
