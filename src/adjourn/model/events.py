"""The facts of an instance's life, in the order of that life.

An event is written once and never changed: `kind` and the field names are stored data. Those marked
*asked* record a command of the orchestrator and are compared with the code on every replay; the
others came from outside and are handed to it. Durable Task's names stand in parentheses.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from adjourn.errors import RefusalKind
from adjourn.model.actor import Actor
from adjourn.model.codec import NULL
from adjourn.model.failure import FailureDetails


class _Event(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="kind",
    gc=False,  # they hold no cycles, and there are many: the collector need not walk them
):
    at: datetime
    """When the engine recorded it: aware, UTC."""


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """Where a sub-orchestration reports to."""

    instance_id: str
    execution: int
    sequence: int


class InstanceStarted(_Event, frozen=True, kw_only=True, tag="InstanceStarted"):
    """An execution begins (ExecutionStarted)."""

    name: str
    input: msgspec.Raw = NULL
    version: str = ""
    parent: Parent | None = None
    tags: dict[str, str] = {}
    trace_context: str = ""


class ActivityScheduled(_Event, frozen=True, kw_only=True, tag="ActivityScheduled"):
    """Asked: run an activity (TaskScheduled)."""

    sequence: int
    name: str
    input: msgspec.Raw = NULL
    approval: str = ""
    """The id of the approval whose decision it executes. It is the idempotency key, too."""
    hosted: bool = False
    """Its body is a closure of the orchestrator: an attempt needs the execution in memory."""


class ActivityRetryScheduled(_Event, frozen=True, kw_only=True, tag="ActivityRetryScheduled"):
    """An attempt failed; the next is due at `retry_at`. Decided once, here, and never again."""

    sequence: int
    attempt: int
    failure: FailureDetails
    retry_at: datetime


class ActivityRecovered(_Event, frozen=True, kw_only=True, tag="ActivityRecovered"):
    """The process died during an attempt; this attempt takes its place, with the same key."""

    sequence: int
    attempt: int


class ActivityInDoubt(_Event, frozen=True, kw_only=True, tag="ActivityInDoubt"):
    """Nobody knows whether the effect happened; a person settles it."""

    sequence: int
    reason: str


class ActivityCompleted(_Event, frozen=True, kw_only=True, tag="ActivityCompleted"):
    """The activity's result (TaskCompleted)."""

    sequence: int
    result: msgspec.Raw = NULL
    settled_by: str = ""


class ActivityFailed(_Event, frozen=True, kw_only=True, tag="ActivityFailed"):
    """The activity failed for good (TaskFailed)."""

    sequence: int
    failure: FailureDetails
    settled_by: str = ""


class ActivityCancelled(_Event, frozen=True, kw_only=True, tag="ActivityCancelled"):
    """Asked: nobody waits for this activity any more; its result will be dropped."""

    sequence: int


class TimerCreated(_Event, frozen=True, kw_only=True, tag="TimerCreated"):
    """Asked: a durable deadline."""

    sequence: int
    fire_at: datetime


class TimerFired(_Event, frozen=True, kw_only=True, tag="TimerFired"):
    """The deadline has passed."""

    sequence: int


class TimerCancelled(_Event, frozen=True, kw_only=True, tag="TimerCancelled"):
    """Asked: nobody waits for this timer any more."""

    sequence: int


class SubOrchestrationStarted(_Event, frozen=True, kw_only=True, tag="SubOrchestrationStarted"):
    """Asked: a child instance (SubOrchestrationInstanceCreated)."""

    sequence: int
    name: str
    instance_id: str
    input: msgspec.Raw = NULL


class SubOrchestrationCompleted(_Event, frozen=True, kw_only=True, tag="SubOrchestrationCompleted"):
    """The child's result (SubOrchestrationInstanceCompleted)."""

    sequence: int
    result: msgspec.Raw = NULL


class SubOrchestrationFailed(_Event, frozen=True, kw_only=True, tag="SubOrchestrationFailed"):
    """The child failed, was terminated, or could not start (SubOrchestrationInstanceFailed)."""

    sequence: int
    failure: FailureDetails


class SubOrchestrationCancelled(_Event, frozen=True, kw_only=True, tag="SubOrchestrationCancelled"):
    """Asked: nobody waits for this child any more; it is terminated."""

    sequence: int


class OrchestrationStarted(_Event, frozen=True, kw_only=True, tag="OrchestrationStarted"):
    """Asked: an instance of its own, which reports to nobody (SubOrchestrationInstanceCreated,
    tagged fire and forget). An id that was taken was left alone."""

    sequence: int
    name: str
    instance_id: str
    input: msgspec.Raw = NULL


class EventSent(_Event, frozen=True, kw_only=True, tag="EventSent"):
    """Asked: an external event to an instance (EventSent). Nobody answers it."""

    sequence: int
    instance_id: str
    name: str
    data: msgspec.Raw = NULL


class ExternalEventReceived(_Event, frozen=True, kw_only=True, tag="ExternalEventReceived"):
    """A named message (EventRaised). Kept until something consumes it."""

    name: str
    data: msgspec.Raw = NULL
    event_id: str = ""
    by: Actor | None = None
    """Who sent it, where a server knows: what its data says of that, anybody can have written."""
    carried: bool = False
    """True when it came over from the execution before, unconsumed."""


class ExternalEventSetAside(_Event, frozen=True, kw_only=True, tag="ExternalEventSetAside"):
    """Asked: an early message did not fit the wait's type and was passed over."""

    name: str
    event_id: str = ""
    reason: str


class UpdateReceived(_Event, frozen=True, kw_only=True, tag="UpdateReceived"):
    """A message that wants an answer."""

    name: str
    update_id: str
    data: msgspec.Raw = NULL
    by: Actor | None = None
    """Who sent it, where the server knows."""
    carried: bool = False


class UpdateAccepted(_Event, frozen=True, kw_only=True, tag="UpdateAccepted"):
    """Asked: the answer, with its result."""

    update_id: str
    result: msgspec.Raw = NULL


class UpdateRefused(_Event, frozen=True, kw_only=True, tag="UpdateRefused"):
    """Asked: the answer, with the reason."""

    update_id: str
    reason: str
    refusal: RefusalKind = "refused"
    details: msgspec.Raw = NULL
    unheard: bool = False
    """Set aside: its wait could not read it, or its validator did not want it."""


class InstanceSuspended(_Event, frozen=True, kw_only=True, tag="InstanceSuspended"):
    """What arrives from now on waits (ExecutionSuspended)."""

    reason: str = ""


class InstanceResumed(_Event, frozen=True, kw_only=True, tag="InstanceResumed"):
    """What waited is now handed over, in order (ExecutionResumed)."""

    reason: str = ""


class InstanceContinuedAsNew(_Event, frozen=True, kw_only=True, tag="InstanceContinuedAsNew"):
    """Asked: end this execution and begin the next (ContinueAsNew)."""

    input: msgspec.Raw = NULL


class InstanceCompleted(_Event, frozen=True, kw_only=True, tag="InstanceCompleted"):
    """Asked: the result (ExecutionCompleted)."""

    result: msgspec.Raw = NULL


class InstanceFailed(_Event, frozen=True, kw_only=True, tag="InstanceFailed"):
    """Asked: the orchestrator raised."""

    failure: FailureDetails


class InstanceTerminated(_Event, frozen=True, kw_only=True, tag="InstanceTerminated"):
    """Somebody ended it; its code does not run again (ExecutionTerminated)."""

    reason: str = ""


Asked = (
    ActivityScheduled
    | ActivityCancelled
    | TimerCreated
    | TimerCancelled
    | SubOrchestrationStarted
    | SubOrchestrationCancelled
    | OrchestrationStarted
    | EventSent
    | ExternalEventSetAside
    | UpdateAccepted
    | UpdateRefused
    | InstanceContinuedAsNew
    | InstanceCompleted
    | InstanceFailed
)
"""Events that record a command."""

Arrived = (
    InstanceStarted
    | ActivityRetryScheduled
    | ActivityRecovered
    | ActivityInDoubt
    | ActivityCompleted
    | ActivityFailed
    | TimerFired
    | SubOrchestrationCompleted
    | SubOrchestrationFailed
    | ExternalEventReceived
    | UpdateReceived
    | InstanceSuspended
    | InstanceResumed
    | InstanceTerminated
)
"""Events that came from outside."""

Event = Asked | Arrived

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Event)


def encode_event(event: Event) -> bytes:
    """The row's JSON text, as UTF-8."""
    return _encoder.encode(event)


def decode_event(body: bytes | str) -> Event:
    """The event of a row. Raises: msgspec.MsgspecError for a body that is no event."""
    return _decoder.decode(body)
