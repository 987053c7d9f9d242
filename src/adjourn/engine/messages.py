"""What arrives at the engine. Each message with a reply is answered once, after the commit that
holds its effect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from adjourn.authoring.functions import Activity
from adjourn.model.actor import Actor
from adjourn.model.failure import FailureDetails

EventAnswer = Literal["accepted", "duplicate"]
OnConflict = Literal["error", "return_existing", "replace_finished", "terminate_and_replace"]

Outcome = tuple[Any, Any, Exception | None]
"""Ticket, value, error."""


class Mailbox(Protocol):
    """Where answers go: an event loop, a waiting thread, a test."""

    def deliver(self, outcomes: Sequence[Outcome]) -> None:
        """Hand over a batch. Called from the engine thread; must not block or raise."""
        ...

    def wants(self, ticket: Any) -> bool:
        """Whether somebody still waits for this ticket's answer. Called as `deliver`."""
        ...


Reply = tuple[Mailbox, Any]
"""A mailbox and the ticket that the answer is for."""


class _Message(msgspec.Struct, kw_only=True, gc=False):
    """Messages come by the ten thousand and hold no cycles: the collector need not walk them."""


class StartInstance(_Message, kw_only=True, gc=False):
    name: str
    id: str
    input: msgspec.Raw
    on_conflict: OnConflict = "error"
    start_at: datetime | None = None
    tags: dict[str, str] = {}
    trace_context: str = ""
    reply: Reply | None = None


class RaiseEvent(_Message, kw_only=True, gc=False):
    id: str
    name: str
    data: msgspec.Raw
    event_id: str = ""
    wait: int = 0
    """Only to this wait, as `listing.number_of` counts them; 0 for whichever comes first."""
    sender: str = ""
    """The instance that sent it; empty when it came from outside."""
    tenant: str = ""
    """The sending instance's."""
    by: Actor | None = None
    """Who sent it, where a server knows."""
    reply: Reply | None = None


class SendUpdate(_Message, kw_only=True, gc=False):
    id: str
    name: str
    data: msgspec.Raw
    update_id: str
    by: Actor | None = None
    reply: Reply | None = None


class Control(_Message, kw_only=True, gc=False):
    id: str
    action: Literal["suspend", "resume", "terminate"]
    reason: str = ""
    recursive: bool = True
    reply: Reply | None = None


class SettleActivity(_Message, kw_only=True, gc=False):
    """A person's word on an activity in doubt."""

    id: str
    sequence: int
    outcome: Literal["completed", "failed", "again"]
    by: str
    result: msgspec.Raw
    reason: str = ""
    reply: Reply | None = None


class AwaitResult(_Message, kw_only=True, gc=False):
    id: str
    reply: Reply | None = None


class Read(_Message, kw_only=True, gc=False):
    """A look at committed state; `query` runs on the engine thread."""

    query: Callable[[], Any]
    reply: Reply | None = None


class ActivityCall(msgspec.Struct, kw_only=True, eq=False, gc=False):
    """One attempt of one activity, ready to run."""

    key: int
    instance_id: str
    execution: int
    sequence: int
    activity: Activity[..., Any]
    input: msgspec.Raw
    attempt: int
    failures: int
    first_at: datetime
    approval: str = ""


class ActivityFinished(_Message, kw_only=True, gc=False):
    """An attempt's outcome: a failure, or a result."""

    call: ActivityCall
    result: msgspec.Raw | None = None
    failure: FailureDetails | None = None
    timed_out: bool = False
    reply: Reply | None = None


Message = (
    StartInstance
    | RaiseEvent
    | SendUpdate
    | Control
    | SettleActivity
    | AwaitResult
    | Read
    | ActivityFinished
)


class Runner(Protocol):
    """Runs activities, outside the engine thread."""

    def start(self, calls: Sequence[ActivityCall]) -> None:
        """Run these attempts; each ends in one ActivityFinished, unless it was cancelled
        or the runner was closed."""
        ...

    def cancel(self, calls: Sequence[ActivityCall]) -> None:
        """Nobody waits for these any more: tell them."""
        ...
