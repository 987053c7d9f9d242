"""`adjourn.toml`: what an operator writes down once, read whole before anything runs."""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, cast, get_args

import msgspec
from msgspec import structs

from adjourn.access.settings import Access
from adjourn.cli.exits import UsageError
from adjourn.model.privacy import Privacy
from adjourn.notify.settings import MailSettings, WebhookSettings


class LogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[log]`: what is written to the standard error stream, each line without secrets."""

    level: Literal["debug", "info", "warning", "error"] = "warning"
    """Of Adjourn's own loggers and of everybody else's."""
    access: bool | None = None
    """A line for each request; where nothing is said, where people sign in."""
    format: Literal["text", "json"] = "text"


class Settings(Access, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Each room's table; a room that is not configured stays out."""

    privacy: Privacy = Privacy()
    log: LogSettings = LogSettings()
    mail: MailSettings | None = None
    webhooks: list[WebhookSettings] = msgspec.field(default_factory=list[WebhookSettings])


def read_settings(file: str | None) -> Settings:
    """What the file says; nothing, without one. Files that it names stand beside it, wherever it is
    read from.

    Raises: UsageError that names the file and the word in it that is wrong.
    """
    if file is None:
        return Settings()
    try:
        given = tomllib.loads(Path(file).read_text("utf-8"))
        settings = msgspec.convert(given, Settings)
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read ({error.strerror}). --settings names the file; "
            "docs/settings.md shows one."
        ) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{file} cannot be read as TOML: {error}") from error
    except msgspec.ValidationError as error:
        meant = _meant(str(error))
        raise UsageError(f"{file}: {error}.{meant} docs/settings.md lists every word.") from error
    return _beside(Path(file).parent, settings)


def _beside(folder: Path, settings: Settings) -> Settings:
    """A service manager starts us in a folder of its own, and `adjourn people` is called in any."""

    def found(name: str) -> str:
        return str(folder / name) if name else ""  # which leaves an absolute path as it is

    mail = settings.mail
    return structs.replace(
        settings,
        people_file=found(settings.people_file),
        mail=None if mail is None else structs.replace(mail, ca_file=found(mail.ca_file)),
        webhooks=[structs.replace(each, ca_file=found(each.ca_file)) for each in settings.webhooks],
    )


def _meant(said: str) -> str:
    """The word that was probably meant by one that is not known."""
    _, unknown, rest = said.partition("unknown field `")
    word = rest.partition("`")[0]
    known = [each for each in _words(Settings) if each != word]  # of another table
    close = get_close_matches(word, known, 1) if unknown else []
    return f" Did you mean `{close[0]}`?" if close else ""


def _words(table: type[msgspec.Struct]) -> list[str]:
    """The words of this table and of those in it."""
    found: list[str] = []
    for field in structs.fields(table):
        found.append(field.encode_name)
        for inner in (field.type, *get_args(field.type)):
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                found += _words(inner)
    return found


def secret_variables(settings: Settings) -> list[str]:
    """The environment variables that these settings name, wherever: `client_secret_env = "..."`.
    Whatever a room calls so holds a secret of it."""
    return sorted(set(_variables(msgspec.to_builtins(settings))))


def _variables(value: Any) -> list[str]:
    if isinstance(value, list):
        return [name for each in cast("list[Any]", value) for name in _variables(each)]
    if not isinstance(value, dict):
        return []
    found: list[str] = []
    for name, each in cast("dict[str, Any]", value).items():
        if name.endswith("_env"):
            names = cast("list[Any]", each if isinstance(each, list) else [each])
            found += [text for text in names if isinstance(text, str) and text]
        else:
            found += _variables(each)
    return found
