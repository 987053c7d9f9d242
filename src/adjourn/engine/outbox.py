"""Events that an orchestrator sends: delivered in the step that asked, or put off to the next one.

What is put off is a due timer that names the sender's history row: on disk in one commit with that
row, and gone in one commit with the delivery. So none is lost and none is sent twice.
"""

from __future__ import annotations

import logging
from typing import Literal

import msgspec

from adjourn.engine.batch import Batch
from adjourn.engine.messages import RaiseEvent
from adjourn.errors import SealedError
from adjourn.model import commands, events
from adjourn.model.ids import sent_event_id
from adjourn.store.protocol import InstanceRow, Timer

_log = logging.getLogger("adjourn.engine")

PUT_OFF: Literal["start"] = "start"
"""The purpose of the timer of an event that was put off. Unlike that of a scheduled start, which
has sequence 0, it names the sender's history row."""
PUT_OFF_UNTIL = 0  # due at once, and before all else, whatever the clock does
KEY_PAUSE_US = 60_000_000  # before an event is tried again whose encryption key is not here


def send(batch: Batch, row: InstanceRow, command: commands.SendEvent) -> None:
    """Delivered in this step, or put off to the next one when this has done enough of it."""
    if batch.room_for_events > 0:
        batch.room_for_events -= 1
        batch.internal.append(_sent(row, row.execution, command))
    else:
        batch.add_timer((PUT_OFF_UNTIL, row.key, row.execution, row.length, PUT_OFF))


def is_put_off(timer: Timer) -> bool:
    return timer[4] == PUT_OFF and timer[3] > 0


def send_now(batch: Batch, key: int, execution: int, number: int) -> None:
    """Deliver what this row of the sender's history says; the sender may have ended since."""
    sender = batch.memory.by_key(key)
    body = batch.memory.store.row(key, execution, number)
    if sender is None or body is None:
        return
    try:
        event = batch.memory.store.rows.read(sender.row.id, execution, number, body)
    except SealedError as error:  # kept until its key is back
        _log.error("%s", error)
        batch.add_timer((batch.now_us + KEY_PAUSE_US, key, execution, number, PUT_OFF))
        return
    except msgspec.MsgspecError as error:  # damaged: its next turn says so
        _log.error("%s, row %d: an event cannot be sent: %s", sender.row.id, number, error)
        return
    if isinstance(event, events.EventSent):
        batch.internal.append(_sent(sender.row, execution, event))


def _sent(
    sender: InstanceRow, execution: int, asked: commands.SendEvent | events.EventSent
) -> RaiseEvent:
    return RaiseEvent(
        id=asked.instance_id,
        name=asked.name,
        data=asked.data,
        event_id=sent_event_id(sender.id, execution, asked.sequence),
        sender=sender.id,
        tenant=sender.tenant,
    )
