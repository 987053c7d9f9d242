"""Why somebody is not let in, in words that they can act on. No secret ever stands in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from adjourn.errors import AdjournError, SettingsError

Why = Literal[
    "not_begun_here",
    "declined",
    "provider_error",
    "unreachable",
    "unfit",
    "token",
    "not_fresh",
    "no_auth_time",
    "disabled",
    "domain",
    "stranger",
    "ambiguous",
    "taken",
    "groups_missing",
]
"""Written in logs: never renamed."""


@dataclass(frozen=True, slots=True)
class _Told:
    status: int
    heading: str
    text: str


_TOLD: Mapping[Why, _Told] = {
    "not_begun_here": _Told(
        400,
        "Begin again",
        "This sign-in was not begun in this browser, has been used, or took longer than ten "
        "minutes. Nothing was done. Sign in again.",
    ),
    "declined": _Told(
        403,
        "You are not signed in",
        "Your account's provider did not let you in, or you declined. Sign in again, perhaps with "
        "another account.",
    ),
    "provider_error": _Told(
        502,
        "The provider of your account refused",
        "It did not complete the sign-in. Try again; if it stays so, tell who runs this server: "
        "its log says more.",
    ),
    "unreachable": _Told(
        503,
        "The provider of your account cannot be reached",
        "Nothing is lost, and whoever is signed in stays so. Try again in a moment.",
    ),
    "unfit": _Told(
        502,
        "The provider of your account cannot be used",
        "It answers in a way that we do not trust. Tell who runs this server: its log says what "
        "is wrong.",
    ),
    "token": _Told(
        403,
        "You are not signed in",
        "What the provider sent does not prove who you are. Sign in again; if it stays so, tell "
        "who runs this server: its log says what is wrong.",
    ),
    "not_fresh": _Told(
        403,
        "You have not signed in again",
        "This needs a sign-in made now, and your provider let you through on an older one. Sign "
        "out of your account there, then try again.",
    ),
    "no_auth_time": _Told(
        403,
        "Your provider does not say when you signed in",
        "This needs a sign-in made now, and the provider of your account did not say when yours "
        "was. Who runs this server can have it send the claim auth_time with the ID token.",
    ),
    "disabled": _Told(
        403,
        "Your account is switched off here",
        "You can no longer sign in. Ask who runs this server.",
    ),
    "domain": _Told(
        403,
        "This account cannot come in",
        "Only accounts with a verified address of this company can. Sign in with that one.",
    ),
    "stranger": _Told(
        403,
        "Nobody knows you here yet",
        "Your account is in order, and nobody has said what it may do here. Ask who runs this "
        "server to add it, or to add you to a group that may come in.",
    ),
    "ambiguous": _Told(
        403,
        "Several people here have your address",
        "So we cannot tell which one you are. Ask who runs this server to write your account down "
        "with the right one.",
    ),
    "taken": _Told(
        403,
        "This account is not yours here",
        "Whom it would be signed in as has another account. Sign in with that one, or ask who runs "
        "this server to write the right one down.",
    ),
    "groups_missing": _Told(
        403,
        "Your groups are missing",
        "You are in more groups than your provider lists in a sign-in, so it left all of them out "
        "and we cannot tell what you may do. Who runs this server can have it send only the groups "
        "assigned to this application, or application roles.",
    ),
}


class SignInRefusedError(AdjournError):
    """Somebody is not let in. `why` is for programs, the text and `heading` for them, `detail` for
    the log of whoever runs the server."""

    def __init__(self, why: Why, detail: str = "", *, back: str = "/", account: str = "") -> None:
        told = _TOLD[why]
        self.why = why
        self.detail = detail
        self.heading = told.heading
        self.status = told.status
        self.back = back
        """Where they were going: an own path."""
        self.account = account
        """What is to be written down to let them in, where that would help."""
        super().__init__(told.text)


class ProviderSettingsError(SettingsError):
    """`[oidc]` of the settings names a provider that nobody can safely sign in with."""

    def __init__(self, problem: str, next_move: str) -> None:
        super().__init__(f"[oidc]: {problem}. {next_move}")
