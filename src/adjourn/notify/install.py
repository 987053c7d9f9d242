"""Notifications as a server installs them: from settings, before the file is opened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from adjourn.client.app import Adjourn
from adjourn.client.client import Client
from adjourn.notify.mail import Mail
from adjourn.notify.outgoing import Resolve, look_up
from adjourn.notify.people import Directory, People
from adjourn.notify.port import Channel, Notifier
from adjourn.notify.settings import (
    NotificationSettings,
    NotificationSettingsError,
    check_settings,
    password_of,
    secrets_of,
)
from adjourn.notify.telling import register
from adjourn.notify.webhooks import Webhooks, endpoint_of
from adjourn.store.records import Records


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What of its process the room needs."""

    now: Callable[[], datetime]
    environment: Mapping[str, str]
    records: Records | None = None
    """Needed for webhooks."""
    fresh: Callable[[], Awaitable[None]] | None = None
    """Reads the directory again."""
    resolve: Resolve = look_up


def install_notifications(
    app: Adjourn,
    client: Client,
    settings: NotificationSettings,
    directory: Directory,
    around: Surroundings,
) -> None:
    """Tell people and programs of approvals, as `settings` say; of those that open from now on.

    Without `[mail]` and `[[webhooks]]` nobody is told anything, and what an earlier configuration
    has left to be delivered ends as dropped. Called once, before `client` is opened.

    Raises: NotificationSettingsError, RegistrationError.
    """
    check_settings(settings)
    notifiers: dict[Channel, Notifier] = {}
    if settings.mail is not None:
        notifiers["mail"] = mail_of(client, settings, directory, around)
    if settings.webhooks:
        notifiers["webhook"] = webhooks_of(settings, around)
    register(app, client, notifiers)


def mail_of(
    client: Client, settings: NotificationSettings, directory: Directory, around: Surroundings
) -> Mail:
    """Raises: NotificationSettingsError."""
    if settings.mail is None:
        raise NotificationSettingsError("There is no [mail] in the settings: add it.")
    people = People(directory, around.fresh)
    password = password_of(settings.mail, around.environment)
    return Mail(settings.mail, password, settings.public_url, people, client, around.now)


def webhooks_of(settings: NotificationSettings, around: Surroundings) -> Webhooks:
    """Raises: NotificationSettingsError."""
    if around.records is None:
        raise NotificationSettingsError("Webhooks need a file of records.")
    endpoints = [
        endpoint_of(each, secrets_of(each, around.environment), around.resolve)
        for each in settings.webhooks
    ]
    return Webhooks(endpoints, settings.public_url, around.records, around.now)
