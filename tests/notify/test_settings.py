"""What an operator may write, and what is said about the rest."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from adjourn import Adjourn
from adjourn.cli.exits import UsageError
from adjourn.cli.settings import read_settings
from adjourn.engine.clock import SystemClock
from adjourn.notify.install import Surroundings, install_notifications, webhooks_of
from adjourn.notify.settings import (
    EVENT_TYPES,
    MailSettings,
    NotificationSettingsError,
    WebhookSettings,
    password_of,
    secrets_of,
)
from adjourn.testing import Sandbox
from tests.notify.bureau import Settings

WHOLE = """
public_url = "https://adjourn.example.com"

[mail]
host = "post.example.com"
sender = "adjourn@example.com"
user = "adjourn"
password_env = "MAIL_PASSWORD"
daily_at = "07:30"

[[webhooks]]
name = "ledger"
url = "https://hooks.example.com/adjourn"
secret_env = "LEDGER_SECRETS"
events = ["approval.decided"]
allowed_hosts = ["hooks.example.com"]
"""


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "adjourn.toml"
    file.write_text(WHOLE)
    settings = read_settings(str(file))
    assert settings.mail is not None and settings.mail.usual_port == 587
    assert settings.mail.domain == "example.com"
    assert [each.name for each in settings.webhooks] == ["ledger"]
    assert settings.webhooks[0].ports == [443]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('sender = "adjourn@example.com"', 'sender = "adjourn@example.com\\r\\nBcc: x"'),
        ('sender = "adjourn@example.com"', 'sender = "adjourn"'),
        ('host = "post.example.com"', 'host = "post.example.com"\ntls = "none"'),
        ('host = "post.example.com"', 'host = "post.example.com"\ntls = "maybe"'),
        ('host = "post.example.com"', 'host = "post.example.com"\nport = 70000'),
        ('host = "post.example.com"', 'host = "post.example.com"\npassword = "secret"'),
        ('password_env = "MAIL_PASSWORD"', ""),
        ('user = "adjourn"', ""),
        ('daily_at = "07:30"', 'daily_at = "7:30"'),
        ('daily_at = "07:30"', 'daily_at = "25:00"'),
        ('daily_at = "07:30"', "digest_minutes = 0"),
        ('daily_at = "07:30"', "digest_over = -1"),
        ('daily_at = "07:30"', "timeout_seconds = 0"),
        ('daily_at = "07:30"', "cool_down_minutes = -1"),
        ('name = "ledger"', 'name = "Ledger!"'),
        ("https://hooks.example.com/adjourn", "ftp://hooks.example.com/"),
        ("https://hooks.example.com/adjourn", "https://user@hooks.example.com/"),
        ("https://hooks.example.com/adjourn", "https://2130706433/"),
        ('"approval.decided"', '"approval.exploded"'),
        ('secret_env = "LEDGER_SECRETS"', 'secret = "whsec_x"'),
        ('secret_env = "LEDGER_SECRETS"', ""),
        ('allowed_hosts = ["hooks.example.com"]', 'allow_private = ["localhost"]'),
        ('allowed_hosts = ["hooks.example.com"]', "timeout_seconds = 1000"),
        ('allowed_hosts = ["hooks.example.com"]', 'allowd_hosts = ["hooks.example.com"]'),
    ],
)
def test_a_wrong_word_is_named(tmp_path: Path, before: str, after: str) -> None:
    file = tmp_path / "adjourn.toml"
    assert before in WHOLE
    file.write_text(WHOLE.replace(before, after))
    with pytest.raises(UsageError, match=r"adjourn\.toml"):
        read_settings(str(file))


def mail(**words: Any) -> MailSettings:
    return MailSettings(host="localhost", tls="none", sender="a@example.com", **words)


def hook(name: str = "ledger") -> WebhookSettings:
    return WebhookSettings(name=name, url="https://hooks.example.com/", secret_env="HOOK")


def secret(length: int) -> str:
    return "whsec_" + base64.b64encode(b"x" * length).decode()


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "whsec_",
        "whsec_short",
        secret(23),
        secret(65),
        "not base64 at all!",
        f"{secret(24)} oops",
        "whsec_" + "*" * 44,
    ],
)
def test_a_secret_that_is_none_stops_the_start_and_is_not_told(value: str) -> None:
    with pytest.raises(NotificationSettingsError) as told:
        secrets_of(hook(), {"HOOK": value})
    assert "HOOK" in str(told.value)
    if hidden := value.strip().removeprefix("whsec_"):
        assert hidden not in str(told.value)


def test_secrets_may_be_written_in_all_usual_ways() -> None:
    first, second = secret(24), secret(64)
    bare = first.removeprefix("whsec_").rstrip("=")
    found = secrets_of(hook(), {"HOOK": f"{first}, {second}\n{bare}"})
    assert [len(each) for each in found] == [24, 64, 24]


def test_a_password_that_is_missing_stops_the_start() -> None:
    with pytest.raises(NotificationSettingsError, match="'PASSWORD', which is not set"):
        password_of(mail(user="ann", password_env="PASSWORD"), {})
    assert password_of(mail(user="ann", password_env="PASSWORD"), {"PASSWORD": "x"}) == "x"
    assert password_of(mail(), {}) == ""


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (Settings(mail=mail(), public_url=""), "set public_url"),
        (Settings(webhooks=[hook()], public_url=""), "set public_url"),
        (Settings(webhooks=[hook(), hook()]), "Two .* 'ledger'"),
        (Settings(webhooks=[hook()]), "HOOK"),
        (Settings(mail=mail(user="ann", password_env="PASSWORD")), "PASSWORD"),
    ],
)
def test_what_does_not_fit_together_stops_the_start(settings: Settings, told: str) -> None:
    app = Adjourn()
    around = Surroundings(now=SystemClock().now, environment={})
    with pytest.raises(NotificationSettingsError, match=told if "HOOK" not in told else "records"):
        install_notifications(app, Sandbox(app).client, settings, None, around)  # type: ignore[arg-type]
    assert app.watchers == {}


def test_without_a_word_nothing_is_watched() -> None:
    app = Adjourn()
    around = Surroundings(now=SystemClock().now, environment={})
    install_notifications(app, Sandbox(app).client, Settings(), None, around)  # type: ignore[arg-type]
    assert app.watchers == {}
    with pytest.raises(NotificationSettingsError):
        webhooks_of(Settings(webhooks=[hook()]), around)


def test_every_event_is_in_the_docs() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text()
    for kind in EVENT_TYPES:
        assert f"`{kind}`" in docs
