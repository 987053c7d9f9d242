"""One table for errors, one table for history: both complete."""

from typing import get_args

import pytest

from adjourn import errors
from adjourn.errors import AdjournError
from adjourn.model.events import Arrived, Asked
from adjourn.server import history
from adjourn.server.problems import status_of

NEVER_ANSWERED = {
    "EncryptionKeysError",
    "AdjournError",
    "RegistrationError",
    "Refusal",
    "ApprovalRequiredError",
    "InvalidApprovalError",
    "InstanceFailedError",
    "InstanceTerminatedError",
    "TaskFailedError",
    "ActivityFailedError",
    "SubOrchestrationFailedError",
    "NonRetryableError",
    "ActivityTimeoutError",
    "ForkedEngineError",
    "InvalidSettingError",
    "KeyExistsError",
    "KeyNotFoundError",
    "RefusedKeyError",
    "RefusedAddressError",
    "SettingsError",
    "RemoteError",
}

CLASSES = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, AdjournError)
]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_that_a_request_can_meet_has_its_status(kind: type[AdjournError]) -> None:
    status = status_of(kind.__new__(kind), "/api/v1/instances/x")

    assert (status == 500) == (kind.__name__ in NEVER_ANSWERED | {"HistoryDamagedError"})


def test_every_event_has_durable_tasks_word_or_is_left_out_on_purpose() -> None:
    every = set(get_args(Asked)) | set(get_args(Arrived))

    assert history.ROWS.keys() | history.LEFT_OUT == every
    assert not history.ROWS.keys() & history.LEFT_OUT
