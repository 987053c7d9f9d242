"""The effect of a decision: started once, with exactly what was approved, and shown beside it."""

from __future__ import annotations

from hashlib import sha256

import msgspec

from adjourn.engine.batch import Batch
from adjourn.engine.instance import Instance
from adjourn.errors import ApprovalRequiredError, SealedError
from adjourn.model import commands, events
from adjourn.model.approval import APPROVAL
from adjourn.model.inbox import ExecutionState
from adjourn.store.protocol import InstanceRow


class _Outcome(msgspec.Struct):
    outcome: str
    digest: str = ""


def begin(batch: Batch, row: InstanceRow, command: commands.ScheduleActivity) -> None:
    """The effect is about to start. Raises: ApprovalRequiredError, which the workflow gets."""
    id = command.approval
    approval = batch.memory.look_up(id)
    if approval is None or approval.row.name != APPROVAL or approval.row.parent != row.key:
        raise ApprovalRequiredError(f"{id} is no approval that this instance asked for.")
    decided = _outcome(batch, approval)
    if decided is None or decided.outcome != "approved":
        raise ApprovalRequiredError(f"{id} was not approved, so nothing may be executed for it.")
    arguments = msgspec.json.decode(command.input, type=dict[str, msgspec.Raw])
    if [sha256(bytes(value)).hexdigest() for value in arguments.values()] != [decided.digest]:
        raise ApprovalRequiredError(
            f"{id} approved another value than the one that activity {command.name!r} was given."
        )
    if _state(batch, approval.row.key) not in ("none", "queued"):
        raise ApprovalRequiredError(f"{id} has been executed already: one decision, one effect.")
    note(batch, id, "running")


def note(batch: Batch, approval: str, state: ExecutionState) -> None:
    """Show what became of the effect of this approval; an empty id is of no approval."""
    if not approval:
        return
    instance = batch.memory.look_up(approval)
    if instance is not None:
        batch.executions.append((instance.row.key, state))
        batch.listed[approval] = instance.row.tenant


def forgo(batch: Batch, id: str) -> None:
    """Whoever asked has ended: what was approved and not begun never will be."""
    approval = batch.memory.look_up(id)
    if approval is not None and _state(batch, approval.row.key) == "queued":
        note(batch, id, "none")


def _outcome(batch: Batch, approval: Instance) -> _Outcome | None:
    """What the approval answered; its last row may be of this very step."""
    row, store = approval.row, batch.memory.store
    if approval.fresh:
        body = approval.fresh[-1][3]
    else:
        body = store.row(row.key, row.execution, -1) or b""
    try:
        last = store.rows.read(row.id, row.execution, row.length, body)
        if not isinstance(last, events.InstanceCompleted):
            return None
        return msgspec.json.decode(last.result, type=_Outcome)
    except (msgspec.MsgspecError, SealedError):
        return None  # damaged: then nothing is executed


def _state(batch: Batch, key: int) -> ExecutionState:
    for listed, state in reversed(batch.executions):
        if listed == key:
            return state
    row = batch.memory.store.inbox_row(key)
    return "none" if row is None else row.execution
