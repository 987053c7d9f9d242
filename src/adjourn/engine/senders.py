"""Whose word counts: agents never approve, by whichever door they come.

An event called "Approval" is the plain form's answer, and the inbox takes it from people alone. A
server that lets programs send events would otherwise give them that answer by its other door. The
rule goes by the name, and not by what waits at this moment: an event that comes early is kept, and
would be the answer as soon as somebody asks. Nor does it go by the receiver: whatever may be sent
to an instance that has asked for an approval, this may not.

It stands in the engine, in the step that would take the message, so that no route can forget it.
Where no server says who sends (`by` is None: local mode, code in this process), there is nobody to
ask: that code could decide as it likes anyway.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import msgspec

from adjourn.engine.listing import EVENT
from adjourn.engine.messages import RaiseEvent, SendUpdate
from adjourn.errors import Refusal
from adjourn.model.actor import DECIDERS, Actor
from adjourn.model.approval import ACT, APPROVAL
from adjourn.store.protocol import InstanceRow

_RULES = {
    "agent": "Agents never approve, and decide nothing about approvals: let a person do it.",
    "role": "Only people with the role approver or lead decide.",
    "other_person": "Its data says that somebody else decided: leave `by` out, or be that person.",
}


def check_sender(row: InstanceRow, message: RaiseEvent | SendUpdate) -> None:
    """Raises: UpdateForbiddenError for what this sender may not send to this instance."""
    if message.by is None:
        return
    rule = _broken(row, message, message.by)
    if rule is not None:
        id = message.event_id if isinstance(message, RaiseEvent) else message.update_id
        raise Refusal(_RULES[rule], "forbidden", {"rule": rule}).error(row.id, id)


def _broken(
    row: InstanceRow, message: RaiseEvent | SendUpdate, by: Actor
) -> Literal["agent", "role", "other_person"] | None:
    name = message.name.casefold()
    answers = name == EVENT
    if by.agent:
        # An approval's own rules judge an action; anything else would only fill its buffer, until
        # it takes no person's action either.
        acts = isinstance(message, SendUpdate) and name == ACT
        return "agent" if answers or (row.name == APPROVAL and not acts) else None
    if not answers or isinstance(message, SendUpdate):
        return None  # the orchestrator is told who sends an update
    if DECIDERS.isdisjoint(by.roles):
        return "role"
    return "other_person" if _said_by(message.data) not in (None, by.id) else None


def _said_by(data: msgspec.Raw) -> Any:
    """Who decided, by the word of the data."""
    said = msgspec.json.decode(data)
    return cast("dict[str, Any]", said).get("by") if isinstance(said, dict) else None
