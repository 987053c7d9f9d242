"""Errors as exit codes: one table."""

from __future__ import annotations

from collections.abc import Mapping

from adjourn import errors
from adjourn.errors import AdjournError

OTHER = 1
USAGE = 2
NOT_FOUND = 3
CONFLICT = 4
UNREACHABLE = 5
REFUSED = 6
INTERRUPTED = 130


class UsageError(AdjournError):
    """The command was given something that it cannot use."""


class PortInUseError(AdjournError):
    """Somebody else listens there."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"Cannot listen on {host} port {port}: {reason}. Stop what listens there, "
            "or choose another with --port."
        )


class DamagedError(AdjournError):
    """A file holds histories that are not what was written."""

    def __init__(self, path: str, broken: int) -> None:
        super().__init__(
            f"{broken} broken in {path}. Nothing of those instances runs: restore the file from a "
            "backup, or terminate them."
        )


EXIT: Mapping[type[AdjournError], int] = {
    UsageError: USAGE,
    errors.RegistrationError: USAGE,
    errors.EncryptionKeysError: USAGE,
    errors.SerializationError: USAGE,
    errors.PayloadTooLargeError: USAGE,
    errors.InvalidPayloadError: USAGE,
    errors.InvalidIdError: USAGE,
    errors.DeterminismError: USAGE,
    errors.RefusedAddressError: USAGE,
    errors.SettingsError: USAGE,
    errors.UnknownPersonError: NOT_FOUND,
    errors.InvalidSettingError: USAGE,
    errors.RefusedKeyError: USAGE,
    errors.UnknownNameError: NOT_FOUND,
    errors.InstanceNotFoundError: NOT_FOUND,
    errors.KeyNotFoundError: NOT_FOUND,
    errors.InstanceExistsError: CONFLICT,
    errors.KeyExistsError: CONFLICT,
    errors.InstanceFinishedError: CONFLICT,
    errors.WrongStateError: CONFLICT,
    errors.TooManyEventsError: CONFLICT,
    errors.TooManyRequestsError: CONFLICT,
    errors.UpdateRefusedError: CONFLICT,
    errors.NotSignedInError: REFUSED,
    errors.ScopeMissingError: REFUSED,
    DamagedError: OTHER,
    PortInUseError: UNREACHABLE,
    errors.StorageError: UNREACHABLE,
    errors.EngineStoppedError: UNREACHABLE,
    errors.RemoteError: UNREACHABLE,
}
"""By class; a class that is not here ends as the nearest one that it derives from."""


def exit_code_of(error: AdjournError) -> int:
    for kind in type(error).__mro__:
        if kind in EXIT:
            return EXIT[kind]
    return OTHER
