"""What an operator writes down about notifications. No secret stands in it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from datetime import time
from typing import Literal, Protocol, get_args

import msgspec

from adjourn.errors import SettingsError
from adjourn.notify.addresses import OutgoingRefusedError, read_place, read_url

EventType = Literal[
    "approval.opened",
    "approval.reminded",
    "approval.escalated",
    "approval.reassigned",
    "approval.asked",
    "approval.answered",
    "approval.undone",
    "approval.decided",
    "approval.expired",
    "approval.cancelled",
    "approval.superseded",
]
"""Sent to endpoints: never renamed."""

EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)
SECRET_BYTES = range(24, 65)
HERE = frozenset({"localhost", "127.0.0.1", "::1"})
_USUAL_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_WORD, _LABEL = r"[A-Za-z0-9_%+'-]+", r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_MAILBOX = re.compile(rf"(?=.{{1,64}}@.{{1,190}}\Z){_WORD}(?:\.{_WORD})*@{_LABEL}(?:\.{_LABEL})*\Z")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}\Z")


class NotificationSettingsError(SettingsError):
    """Notifications cannot be sent like this; the text says which word it is, and what to do."""


def is_mailbox(text: str) -> bool:
    """Whether it is a plain mail address: nothing in it that a mail server could read otherwise."""
    return _MAILBOX.match(text) is not None


class MailSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[mail]`: the server that takes our mails, and how often people get some."""

    host: str
    sender: str
    """The address that mails come from: `adjourn@example.com`."""
    sender_name: str = "Adjourn"
    tls: Literal["starttls", "tls", "none"] = "starttls"
    """none: only to this very machine."""
    port: int = 0
    """0 is the usual one: 587, 465, 25."""
    user: str = ""
    password_env: str = ""
    """The variable that holds it; needed with `user`."""
    ca_file: str = ""
    """Certificates to trust instead of the usual ones."""
    timeout_seconds: float = 20.0
    cool_down_minutes: float = 15.0
    """Nobody is told the same of the same approval twice within it."""
    digest_over: int = 5
    """Who has more open questions than this gets one digest instead of single mails."""
    digest_minutes: int = 60
    """At most one digest in each such period."""
    daily_at: str = ""
    """`07:30`, UTC: digests go out at this time of the day instead."""

    def __post_init__(self) -> None:
        if not is_mailbox(self.sender):
            raise ValueError(f"sender {self.sender!r} is no mail address")
        if self.tls == "none" and self.host not in HERE:
            raise ValueError('tls = "none" is for a mail server on this machine only')
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"{self.port} is no port")
        if bool(self.user) != bool(self.password_env):
            raise ValueError("user and password_env go together")
        if not 0 < self.timeout_seconds <= 300 or self.cool_down_minutes < 0:
            raise ValueError("timeout_seconds is 1 to 300, and cool_down_minutes not negative")
        if self.digest_over < 0 or not 1 <= self.digest_minutes <= 7 * 24 * 60:
            raise ValueError("digest_over is not negative, and digest_minutes 1 to 10080")
        if self.daily_at:
            self.daily_time()

    @property
    def usual_port(self) -> int:
        return self.port or _USUAL_PORTS[self.tls]

    @property
    def domain(self) -> str:
        return self.sender.rpartition("@")[2].lower()

    def daily_time(self) -> time:
        """Raises: ValueError."""
        if re.fullmatch(r"\d\d:\d\d", self.daily_at) is None:
            raise ValueError(f'daily_at {self.daily_at!r} is no time like "07:30"')
        return time.fromisoformat(self.daily_at)


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of `[[webhooks]]`: an endpoint that is told of approvals (Standard Webhooks)."""

    name: str
    """Ours: what `adjourn webhooks` and the log call it."""
    url: str
    secret_env: str
    """The variable that holds its secrets (`whsec_...`), the newest first, with blanks between:
    each request is signed with all of them, so that the other side may change over at leisure."""
    events: list[EventType] = []
    """Only these; all of them where it is empty."""
    allowed_hosts: list[str] = []
    """Where the host of `url` must be one of; ".example.com" is any name below it."""
    ports: list[int] = msgspec.field(default_factory=lambda: [443])
    allow_private: list[str] = []
    """Places on a network of our own ("10.1.2.3:8443"), by http too. All else must be public."""
    ca_file: str = ""
    timeout_seconds: float = 15.0

    def __post_init__(self) -> None:
        if _NAME.match(self.name) is None:
            raise ValueError(f"name {self.name!r} is not 1 to 41 of a-z, 0-9, _ and -")
        if not 0 < self.timeout_seconds <= 120:
            raise ValueError("timeout_seconds is 1 to 120")
        for each in self.allow_private:
            read_place(each)
        try:
            read_url(self.url)
        except OutgoingRefusedError as error:
            raise ValueError(str(error)) from error


class NotificationSettings(Protocol):
    """What of all settings is needed here."""

    @property
    def public_url(self) -> str: ...
    @property
    def mail(self) -> MailSettings | None: ...
    @property
    def webhooks(self) -> list[WebhookSettings]: ...


def check_settings(settings: NotificationSettings) -> None:
    """Raises: NotificationSettingsError."""
    names = [each.name for each in settings.webhooks]
    for name in names:
        if names.count(name) > 1:
            raise NotificationSettingsError(f"Two [[webhooks]] are called {name!r}: rename one.")
    if (settings.mail or names) and not settings.public_url:
        raise NotificationSettingsError(
            "Notifications carry a link to the approval: set public_url to where people find it."
        )


def password_of(mail: MailSettings, environment: Mapping[str, str]) -> str:
    """Empty where nobody logs in. Raises: NotificationSettingsError."""
    if not mail.user:
        return ""
    return _variable("[mail] password_env", mail.password_env, environment)


def secrets_of(webhook: WebhookSettings, environment: Mapping[str, str]) -> list[bytes]:
    """The keys it is signed with, the newest first. Raises: NotificationSettingsError."""
    what = f"[[webhooks]] {webhook.name} secret_env"
    written = _variable(what, webhook.secret_env, environment).replace(",", " ").split()
    secrets = [_secret(each) for each in written]
    if not all(secrets):
        raise NotificationSettingsError(
            f"{what}: {webhook.secret_env} does not hold secrets. One is whsec_ and then "
            f"{SECRET_BYTES.start} to {SECRET_BYTES.stop - 1} random bytes in base64."
        )
    return secrets


def _variable(what: str, name: str, environment: Mapping[str, str]) -> str:
    found = environment.get(name, "").strip()
    if not name or not found:
        raise NotificationSettingsError(
            f"{what} names the environment variable {name!r}, which is not set: set it."
        )
    return found


def _secret(text: str) -> bytes:
    """Empty for what is none."""
    plain = text.removeprefix("whsec_").rstrip("=")
    try:
        found = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
    return found if len(found) in SECRET_BYTES else b""


def events_of(webhook: WebhookSettings) -> Sequence[EventType]:
    """Which it wants."""
    return webhook.events or EVENT_TYPES
