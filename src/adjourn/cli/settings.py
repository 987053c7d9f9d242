"""`adjourn.toml`: what an operator writes down once, read whole before anything runs."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from adjourn.access.settings import Access
from adjourn.cli.exits import UsageError


class Settings(Access, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Each room's table; a room that is not configured stays out."""


def read_settings(file: str | None) -> Settings:
    """What the file says; nothing, without one.

    Raises: UsageError that names the file and the word in it that is wrong.
    """
    if file is None:
        return Settings()
    try:
        given = tomllib.loads(Path(file).read_text("utf-8"))
        return msgspec.convert(given, Settings)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{file} cannot be read as TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise UsageError(f"{file}: {error}. docs/settings.md lists every word.") from error
