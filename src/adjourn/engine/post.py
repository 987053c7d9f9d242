"""What instances tell each other, handed over in the step, and so in the commit, that caused it."""

from __future__ import annotations

import logging

from adjourn.engine import handlers, turns
from adjourn.engine.batch import Batch
from adjourn.engine.messages import RaiseEvent
from adjourn.errors import AdjournError, HistoryDamagedError, StorageError

_log = logging.getLogger("adjourn.engine")


def deliver(batch: Batch) -> None:
    """Hand over what instances have sent each other, until nothing is left."""
    while batch.internal:
        match batch.internal.popleft():
            case RaiseEvent() as sent:
                _receive(batch, sent)
            case key, execution, event:
                instance = batch.memory.by_key(key)
                if instance is None or instance.row.status.finished:
                    continue
                if instance.row.execution == execution:
                    turns.turn(batch, instance, event)


def _receive(batch: Batch, sent: RaiseEvent) -> None:
    """Nobody waits for an answer: an event that cannot be taken is dropped, and the log says so."""
    try:
        if handlers.take_event(batch, sent) == "accepted":
            return
        why = "it has been there before"
    except StorageError as error:
        if not isinstance(error, HistoryDamagedError):  # that is the receiver's trouble only
            raise
        why = str(error)
    except AdjournError as error:
        why = str(error)
    _log.warning(
        "The event %r that %s sent to %s was dropped: %s", sent.name, sent.sender, sent.id, why
    )
