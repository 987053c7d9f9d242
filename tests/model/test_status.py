"""The states of an instance and the table of their moves."""

from __future__ import annotations

import pytest

from adjourn import Status
from adjourn.model.status import MOVES

ENDS = {Status.COMPLETED, Status.FAILED, Status.TERMINATED}


def test_the_table_has_a_line_for_every_status():
    assert set(MOVES) == set(Status)


@pytest.mark.parametrize("status", sorted(ENDS))
def test_a_finished_status_has_no_moves(status: Status):
    assert status.finished
    assert MOVES[status] == frozenset()


@pytest.mark.parametrize("status", sorted(set(Status) - ENDS))
def test_an_unfinished_status_moves_to_every_end_and_never_to_itself(status: Status):
    assert not status.finished
    assert ENDS <= MOVES[status]
    assert status not in MOVES[status]


def test_the_words_are_those_of_durable_functions_plus_quarantined():
    assert [status.value for status in Status] == [
        "Pending",
        "Running",
        "Suspended",
        "Quarantined",
        "Completed",
        "Failed",
        "Terminated",
    ]


def test_a_status_is_its_word():
    assert f"{Status.RUNNING}" == Status.RUNNING == "Running"
    assert Status("Failed") is Status.FAILED
