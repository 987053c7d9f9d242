"""Every public error of Adjourn: one tree, in the order in which a user meets them.

Constructors take facts, never sentences; the text is made here, once, and ends with the next move.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol


class AdjournError(Exception):
    """The base of every error that Adjourn raises."""


class Failure(Protocol):
    """What the errors below need to know of a recorded failure (`adjourn.model.failure`)."""

    @property
    def type(self) -> str: ...
    @property
    def message(self) -> str: ...


def _choices(known: Iterable[str]) -> str:
    names = sorted(known)
    if not names:
        return "none is registered yet"
    return "registered: " + ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")


class RegistrationError(AdjournError):
    """A function cannot be registered as an orchestrator or activity."""


class UnknownNameError(AdjournError):
    """Nothing is registered under this name."""

    def __init__(self, noun: str, name: str, known: Iterable[str]) -> None:
        self.noun = noun
        self.name = name
        super().__init__(
            f"No {noun} is called {name!r} ({_choices(known)}). "
            f"Register it with @app.{noun}, or correct the name."
        )


class UnknownOrchestratorError(UnknownNameError):
    """No orchestrator is registered under this name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__("orchestrator", name, known)


class UnknownActivityError(UnknownNameError):
    """No activity is registered under this name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__("activity", name, known)


class SerializationError(AdjournError):
    """A value cannot be written as JSON, or a text is not the JSON that we accept."""


class PayloadTooLargeError(AdjournError):
    """A value is larger than one history row may hold."""

    def __init__(self, what: str, size_bytes: int, limit_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes
        super().__init__(
            f"{what} is {size_bytes:,} bytes; at most {limit_bytes:,} are accepted. "
            "Store the large part elsewhere and pass a reference to it."
        )


class InvalidPayloadError(AdjournError):
    """A value does not fit the type that its receiver declared."""

    def __init__(self, what: str, reason: str) -> None:
        self.what = what
        self.reason = reason
        super().__init__(f"{what} does not fit its declared type: {reason}")


class InvalidIdError(AdjournError):
    """An id or a name has characters or a length that we do not accept."""

    def __init__(self, noun: str, value: str, rule: str) -> None:
        self.value = value
        super().__init__(f"{value[:80]!r} cannot be {noun}: use {rule}.")


class InstanceNotFoundError(AdjournError):
    """There is no instance with this id."""

    def __init__(self, instance_id: str) -> None:
        self.instance_id = instance_id
        super().__init__(
            f"There is no instance {instance_id!r}. Start it first, or look for it with list()."
        )


class InstanceExistsError(AdjournError):
    """The id is taken by another instance. Ids are everybody's: of an instance that whoever asks
    may not know, no more is said than that, and `status` is empty."""

    def __init__(self, instance_id: str, status: str = "", reason: str = "") -> None:
        self.instance_id = instance_id
        self.status = status
        super().__init__(
            f"Instance {instance_id!r} already exists ({status}) and {reason}. Choose another id, "
            "or pass on_conflict='return_existing', 'replace_finished' or 'terminate_and_replace'."
            if status
            else f"The id {instance_id!r} is taken. Choose another id."
        )


class InstanceFinishedError(AdjournError):
    """The instance has finished and takes nothing more."""

    def __init__(self, instance_id: str, status: str) -> None:
        self.instance_id = instance_id
        self.status = status
        super().__init__(
            f"Instance {instance_id!r} has finished ({status}) and takes nothing more. "
            "Read its result, or start a new instance."
        )


class WrongStateError(AdjournError):
    """The instance is not in a state in which this can be done."""

    def __init__(self, instance_id: str, status: str, action: str, move: str) -> None:
        self.instance_id = instance_id
        self.status = status
        super().__init__(f"Instance {instance_id!r} is {status}: it cannot {action}. {move}")


class TooManyEventsError(AdjournError):
    """The instance holds too many external events that nothing has consumed."""

    def __init__(self, instance_id: str, limit: int) -> None:
        self.instance_id = instance_id
        super().__init__(
            f"Instance {instance_id!r} holds {limit:,} external events that nothing has consumed. "
            "Let it consume some (or terminate it), then send again."
        )


class TooManyRequestsError(AdjournError):
    """Whoever sends this has sent as many as they may in this time."""

    def __init__(self, what: str, retry_after_seconds: int) -> None:
        self.what = what
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"Too many {what}. Try again in {retry_after_seconds} s.")


class UpdateRefusedError(AdjournError):
    """The orchestrator refused this update, and says why."""

    def __init__(
        self,
        instance_id: str,
        update_id: str,
        reason: str,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        self.instance_id = instance_id
        self.update_id = update_id
        self.reason = reason
        self.details = dict(details or {})
        """What a program needs of the reason: plain JSON."""
        super().__init__(f"Instance {instance_id!r} refused this update: {reason}")


class UpdateForbiddenError(UpdateRefusedError):
    """Who sent it may not do this; `details["rule"]` names the rule."""


class UpdateConflictError(UpdateRefusedError):
    """It came too late, or to another version than the sender saw; `details` tell what happened."""


class UpdateInvalidError(UpdateRefusedError):
    """Its content is wrong; `details["fields"]` says what about which field."""


RefusalKind = Literal["refused", "forbidden", "conflict", "invalid"]

_REFUSALS: Mapping[RefusalKind, type[UpdateRefusedError]] = {
    "refused": UpdateRefusedError,
    "forbidden": UpdateForbiddenError,
    "conflict": UpdateConflictError,
    "invalid": UpdateInvalidError,
}


def kind_of(error: UpdateRefusedError) -> RefusalKind:
    """The kind that makes this error again."""
    for kind, made in _REFUSALS.items():
        if made is type(error):
            return kind
    return "refused"


class Refusal(AdjournError):
    """What a validator of updates raises; the sender gets the error of this kind."""

    def __init__(
        self,
        reason: str,
        kind: RefusalKind = "refused",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        self.reason = reason
        self.kind: RefusalKind = kind
        self.details = dict(details or {})
        super().__init__(reason)

    def error(self, instance_id: str, update_id: str) -> UpdateRefusedError:
        """The error of this kind, for the sender."""
        return _REFUSALS[self.kind](instance_id, update_id, self.reason, self.details)


class ApprovalRequiredError(AdjournError):
    """An activity that needs an approval was called without one, or with one for something else."""


class InvalidApprovalError(AdjournError):
    """`ctx.approval` was asked for something that makes no sense; nothing was started."""


class InstanceFailedError(AdjournError):
    """The awaited instance did not complete: it failed."""

    def __init__(self, instance_id: str, failure: Failure) -> None:
        self.instance_id = instance_id
        self.failure = failure
        super().__init__(f"Instance {instance_id!r} failed: {failure.type}: {failure.message}")


class InstanceTerminatedError(AdjournError):
    """The awaited instance did not complete: somebody terminated it."""

    def __init__(self, instance_id: str, reason: str) -> None:
        self.instance_id = instance_id
        self.reason = reason
        super().__init__(f"Instance {instance_id!r} was terminated: {reason or 'no reason given'}")


class TaskFailedError(AdjournError):
    """Something that an orchestrator awaited failed; `failure` holds what was recorded."""

    def __init__(self, what: str, name: str, failure: Failure) -> None:
        self.name = name
        self.failure = failure
        super().__init__(f"{what} {name!r} failed: {failure.type}: {failure.message}")


class ActivityFailedError(TaskFailedError):
    """An activity failed for good: its retries, if any, are used up."""

    def __init__(self, name: str, failure: Failure) -> None:
        super().__init__("Activity", name, failure)


class SubOrchestrationFailedError(TaskFailedError):
    """A sub-orchestration failed or was terminated."""

    def __init__(self, name: str, failure: Failure) -> None:
        super().__init__("Sub-orchestration", name, failure)


class NonRetryableError(AdjournError):
    """Raise this (or a subclass) in an activity to fail it at once, whatever its retry policy."""


class ActivityTimeoutError(AdjournError):
    """An attempt of an activity ran longer than its start-to-close timeout."""

    def __init__(self, name: str, timeout_seconds: float) -> None:
        super().__init__(
            f"The attempt ran longer than the {timeout_seconds:g} s that {name!r} may take. "
            "Raise timeout=, or make the activity shorter."
        )


class DeterminismError(AdjournError):
    """An orchestrator asked for something that would not be the same on replay."""


class StorageError(AdjournError):
    """The file could not be read or written. What was not acknowledged may or may not be there:
    open it again and repeat the call with the same id."""


class StorageFullError(StorageError):
    """The disk is full. Nothing of the call was kept; free some space and repeat it."""


class FileRefusedError(StorageError):
    """The file is not one that this version of Adjourn may open; it was not changed."""

    def __init__(self, path: str, reason: str, move: str) -> None:
        self.path = path
        super().__init__(f"{path} was refused: {reason}. {move}")


class FileLockedError(StorageError):
    """Another process owns the file."""

    def __init__(self, path: str, owner_pid: int | None) -> None:
        self.path = path
        self.owner_pid = owner_pid
        owner = f"process {owner_pid}" if owner_pid else "another process"
        super().__init__(
            f"{path} is in use by {owner}. Talk to it over HTTP, or stop it first: "
            "one process owns one file."
        )


class FencedError(StorageError):
    """Another engine took the file over while this one was frozen; this one may not write."""

    def __init__(self, path: str, own_epoch: int, file_epoch: int) -> None:
        super().__init__(
            f"{path} was taken over by another engine (epoch {file_epoch}, ours is {own_epoch}). "
            "This engine has stopped and changed nothing; restart it."
        )


class HistoryDamagedError(StorageError):
    """A row of this instance's history is not what was written."""

    def __init__(self, instance_id: str, execution: int, number: int, reason: str) -> None:
        self.instance_id = instance_id
        self.number = number
        super().__init__(
            f"History of {instance_id!r}, execution {execution}, row {number}: {reason}. "
            "Nothing of it runs. Restore the file from a backup, or terminate this instance."
        )


class SealedError(HistoryDamagedError):
    """Something of this instance is encrypted with a key that is not here, or is not that key."""

    def __init__(self, instance_id: str, key_id: str, reason: str) -> None:
        self.instance_id = instance_id
        self.key_id = key_id
        AdjournError.__init__(
            self,
            f"{instance_id!r} is encrypted with key {key_id!r}, and {reason}. Nothing of it runs "
            "and nothing is lost: put that key back behind the ones in use, and start again.",
        )


class EncryptionKeysError(AdjournError):
    """The keys for encryption at rest cannot be used; the file was not changed."""


class EngineStoppedError(AdjournError):
    """The engine is stopped (closed, fenced, or halted by a storage error)."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The engine is stopped: {reason}. Open the file again.")


def names_files(error: AdjournError) -> bool:
    """Whether its text may name files of the machine: for whoever runs it, and nobody who asks."""
    about_files = isinstance(error, StorageError | EngineStoppedError)
    return about_files and not isinstance(error, HistoryDamagedError)


class ForkedEngineError(AdjournError):
    """The process was forked after the file was opened; the child may not use it."""

    def __init__(self) -> None:
        super().__init__(
            "This engine belongs to the parent process. Open files after forking, "
            "or reach the parent over HTTP."
        )


class NotSignedInError(AdjournError):
    """Nobody is signed in, and this is for people."""

    def __init__(self) -> None:
        super().__init__(
            "Nobody is signed in. Sign in, or choose who you are, on the dashboard's first page; "
            "a program sends its key."
        )


class UnknownPersonError(AdjournError):
    """Nobody has this id."""

    def __init__(self, person: str, hint: str = "") -> None:
        self.person = person
        super().__init__(
            f"Nobody here is called {person!r}. Ids are those of the people file "
            f"(people_file in the settings) and of those who have signed in. {hint}".rstrip()
        )


class ScopeMissingError(AdjournError):
    """Whoever sends this may not do it: neither their roles nor their key reach so far."""

    def __init__(self, scope: str) -> None:
        self.scope = scope
        super().__init__(
            f"This needs the scope {scope!r}. Make a key that has it (`adjourn keys make`), or let "
            "somebody do it whose roles reach so far."
        )


class SettingsError(AdjournError):
    """What an operator wrote down cannot be used; nothing was started."""


class InvalidSettingError(SettingsError):
    """Something that an operator wrote down, or asked for, cannot be meant."""

    def __init__(self, setting: str, reason: str, move: str) -> None:
        self.setting = setting
        super().__init__(f"{setting}: {reason}. {move}")


class KeyExistsError(AdjournError):
    """A key has this name already."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"There is a key {name!r} already. Give it a new secret with `adjourn keys rotate "
            f"{name}`, or revoke it first, or choose another name."
        )


class KeyNotFoundError(AdjournError):
    """No key has this name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"There is no key {name[:80]!r}. `adjourn keys list` shows those of this file; another "
            "one is named with --db."
        )


class RefusedKeyError(AdjournError):
    """A key was not sent: where it would have gone, or what it is, is wrong. It is not shown."""

    def __init__(self, address: str, reason: str, move: str) -> None:
        self.address = address
        super().__init__(f"The key was not sent to {address}: {reason}. {move}")


class RefusedAddressError(AdjournError):
    """The server will not listen here without authentication."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"Without authentication Adjourn listens on loopback only, not on {address}. "
            "Use --host 127.0.0.1, or say in a settings file how people sign in (--settings)."
        )


class RemoteError(AdjournError):
    """A server could not be reached, or answered with something unexpected."""


def one_of(values: Sequence[str]) -> str:
    """`a, b or c`, for messages."""
    return values[0] if len(values) == 1 else ", ".join(values[:-1]) + " or " + values[-1]
