"""What an orchestrator asks for. Each command becomes the event that rhymes with it."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

import msgspec

from adjourn.errors import RefusalKind
from adjourn.model import events
from adjourn.model.codec import NULL
from adjourn.model.failure import FailureDetails


class _Command(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    pass


class ScheduleActivity(_Command, frozen=True, kw_only=True):
    """Run an activity once the commit is on disk."""

    sequence: int
    name: str
    input: msgspec.Raw
    approval: str = ""
    hosted: bool = False


class CancelActivity(_Command, frozen=True, kw_only=True):
    """Drop an activity's result and tell it so."""

    sequence: int


class CreateTimer(_Command, frozen=True, kw_only=True):
    """Wake me at `fire_at`, or at once when that is past."""

    sequence: int
    fire_at: datetime


class CancelTimer(_Command, frozen=True, kw_only=True):
    """Do not wake me at `fire_at`."""

    sequence: int
    fire_at: datetime


class StartSubOrchestration(_Command, frozen=True, kw_only=True):
    """Start a child instance."""

    sequence: int
    name: str
    instance_id: str
    input: msgspec.Raw


class CancelSubOrchestration(_Command, frozen=True, kw_only=True):
    """Terminate a child instance."""

    sequence: int
    instance_id: str


class StartOrchestration(_Command, frozen=True, kw_only=True):
    """Start an instance that is nobody's child."""

    sequence: int
    name: str
    instance_id: str
    input: msgspec.Raw


class SendEvent(_Command, frozen=True, kw_only=True):
    """Send an external event to an instance."""

    sequence: int
    instance_id: str
    name: str
    data: msgspec.Raw


class SetEventAside(_Command, frozen=True, kw_only=True):
    """Pass over an early external event that does not fit."""

    name: str
    event_id: str
    reason: str


class AcceptUpdate(_Command, frozen=True, kw_only=True):
    """Answer an update with a result."""

    update_id: str
    result: msgspec.Raw = NULL


class RefuseUpdate(_Command, frozen=True, kw_only=True):
    """Answer an update with a reason."""

    update_id: str
    reason: str
    refusal: RefusalKind = "refused"
    details: msgspec.Raw = NULL
    unheard: bool = False


class ContinueAsNew(_Command, frozen=True, kw_only=True):
    """End this execution, begin the next with this input."""

    input: msgspec.Raw


class CompleteInstance(_Command, frozen=True, kw_only=True):
    """The orchestrator returned."""

    result: msgspec.Raw


class FailInstance(_Command, frozen=True, kw_only=True):
    """The orchestrator raised."""

    failure: FailureDetails


Command = (
    ScheduleActivity
    | CancelActivity
    | CreateTimer
    | CancelTimer
    | StartSubOrchestration
    | CancelSubOrchestration
    | StartOrchestration
    | SendEvent
    | SetEventAside
    | AcceptUpdate
    | RefuseUpdate
    | ContinueAsNew
    | CompleteInstance
    | FailInstance
)


def event_of(command: Command, at: datetime) -> events.Asked:
    """The event that records this command."""
    match command:
        case ScheduleActivity(sequence=sequence, name=name, input=input):
            return events.ActivityScheduled(
                at=at,
                sequence=sequence,
                name=name,
                input=input,
                approval=command.approval,
                hosted=command.hosted,
            )
        case CancelActivity(sequence=sequence):
            return events.ActivityCancelled(at=at, sequence=sequence)
        case CreateTimer(sequence=sequence, fire_at=fire_at):
            return events.TimerCreated(at=at, sequence=sequence, fire_at=fire_at)
        case CancelTimer(sequence=sequence):
            return events.TimerCancelled(at=at, sequence=sequence)
        case StartSubOrchestration(sequence=sequence, name=name, instance_id=id, input=input):
            return events.SubOrchestrationStarted(
                at=at, sequence=sequence, name=name, instance_id=id, input=input
            )
        case CancelSubOrchestration(sequence=sequence):
            return events.SubOrchestrationCancelled(at=at, sequence=sequence)
        case StartOrchestration(sequence=sequence, name=name, instance_id=id, input=input):
            return events.OrchestrationStarted(
                at=at, sequence=sequence, name=name, instance_id=id, input=input
            )
        case SendEvent(sequence=sequence, instance_id=id, name=name, data=data):
            return events.EventSent(at=at, sequence=sequence, instance_id=id, name=name, data=data)
        case SetEventAside(name=name, event_id=event_id, reason=reason):
            return events.ExternalEventSetAside(at=at, name=name, event_id=event_id, reason=reason)
        case AcceptUpdate(update_id=update_id, result=result):
            return events.UpdateAccepted(at=at, update_id=update_id, result=result)
        case RefuseUpdate(update_id=update_id, reason=reason, refusal=refusal, details=details):
            return events.UpdateRefused(
                at=at,
                update_id=update_id,
                reason=reason,
                refusal=refusal,
                details=details,
                unheard=command.unheard,
            )
        case ContinueAsNew(input=input):
            return events.InstanceContinuedAsNew(at=at, input=input)
        case CompleteInstance(result=result):
            return events.InstanceCompleted(at=at, result=result)
        case FailInstance(failure=failure):
            return events.InstanceFailed(at=at, failure=failure)
        case _:
            assert_never(command)
